from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pressplay.base.errors import Refused
from pressplay.stages import relaying
from pressplay.stages.environment import StageEnvironment
from pressplay.stages.limits import Limits
from pressplay.stages.relays import places, running

KEY = "the-real-key-without-a-known-shape"
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in (places.FOLDER, running.MODEL_KEY, "/etc/pressplay/prices"):
        (tmp_path / name.lstrip("/")).mkdir(parents=True)
    prices = '{"models": {"m": {"input": 1, "output": 5}}}'
    (tmp_path / running.PRICES.lstrip("/")).write_text(prices)
    return tmp_path


@pytest.fixture
def start(root: Path) -> Iterator[Start]:
    """The stage, as a process of its own."""
    started: list[subprocess.Popen[str]] = []

    def begin(**variables: str) -> subprocess.Popen[str]:
        made = subprocess.Popen(
            [sys.executable, "-m", "pressplay.stages", "relay"],
            env={"PATH": os.environ["PATH"], "PRESSPLAY_ROOT": str(root), **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(made)
        return made

    yield begin
    for each in started:
        each.kill()
        each.communicate()


def write_key(root: Path, **files: str) -> None:
    for name, text in files.items():
        (root / running.MODEL_KEY.lstrip("/") / name.replace("_", "-")).write_text(text)


def env_of(root: Path, **variables: str) -> StageEnvironment:
    return StageEnvironment(variables={"PRESSPLAY_ROOT": str(root), **variables})


def test_the_stage_serves_until_it_is_stopped_and_ends_well(
    root: Path, start: Start, model: Any, talk: Any
) -> None:
    write_key(root, api_key=KEY, base_url=model.url)
    relay = start(PRESSPLAY_REQUEST=json.dumps({"budget": {"usd": 1}}))
    with relaying.carried(env_of(root)) as carried:
        assert carried.proxy_url
        socket = root / "run/relay" / places.MODEL
        ask = {"model": "m", "max_tokens": 9, "messages": []}
        assert talk.ask(socket, ask).status == 200
        assert relaying.read_cost(env_of(root))["limits"] == {"usd": 1}
    assert model.heard[0].headers["x-api-key"] == KEY
    relay.send_signal(signal.SIGTERM)
    said, _ = relay.communicate(timeout=10)
    assert relay.returncode == 0
    assert "model_called" in said
    assert KEY not in said
    assert "Error" not in said


def test_an_empty_list_closes_every_registry(root: Path, start: Start, talk: Any) -> None:
    start(PRESSPLAY_REGISTRIES="")
    with relaying.carried(env_of(root)):
        socket = root / "run/relay" / places.REGISTRIES
        answer = talk.send(socket, b"CONNECT pypi.org:443 HTTP/1.1\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 403 ")


@pytest.mark.parametrize(
    ("files", "variables", "why"),
    [
        ({}, {"PRESSPLAY_REGISTRIES": "*.example"}, "PRESSPLAY_REGISTRIES"),
        ({"base_url": "http://models.example"}, {}, "https://"),
        ({"api_key": KEY}, {"PRESSPLAY_REQUEST": '{"budget": {"usd": "x"}}'}, "usd"),
    ],
)
def test_what_is_set_up_wrongly_is_told_to_the_step(
    root: Path, start: Start, files: dict[str, str], variables: dict[str, str], why: str
) -> None:
    write_key(root, **files)
    relay = start(**variables)
    with pytest.raises(Refused, match=why), relaying.carried(env_of(root)):
        pytest.fail("there is nothing to carry")
    relay.communicate(timeout=10)
    assert relay.returncode == 2


def test_a_model_without_prices_is_not_offered(root: Path, start: Start) -> None:
    write_key(root, api_key=KEY)
    (root / running.PRICES.lstrip("/")).unlink()
    start()
    with pytest.raises(Refused, match="model-prices"), relaying.carried(env_of(root)):
        pytest.fail("there is nothing to carry")


def test_the_request_and_what_prepare_found_limit_together(root: Path) -> None:
    env = env_of(
        root,
        PRESSPLAY_REQUEST='{"budget": {"usd": 3, "tokens": 10}, "maxTurns": 9}',
        PRESSPLAY_LIMITS='{"usd": 2, "turns": 60}',
    )
    assert running.read_limits(env) == Limits(usd=2, tokens=10, turns=9)


def test_without_limits_there_are_none(root: Path) -> None:
    assert running.read_limits(env_of(root)) == Limits()


@pytest.mark.parametrize("text", ["[]", "{", "null", '{"usd": "5"}'])
def test_limits_that_cannot_be_read_are_not_taken_for_none(root: Path, text: str) -> None:
    with pytest.raises(Refused):
        running.read_limits(env_of(root, PRESSPLAY_LIMITS=text))

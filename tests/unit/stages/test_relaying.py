from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pressplay.base import files
from pressplay.base.errors import Refused, Unavailable
from pressplay.stages import relaying
from pressplay.stages.environment import StageEnvironment
from pressplay.stages.relaying import Carried
from pressplay.stages.relays import places, serving, sockets


@pytest.fixture
def env(tmp_path: Path) -> StageEnvironment:
    return StageEnvironment(variables={"PRESSPLAY_ROOT": str(tmp_path)})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "run/relay"
    made.mkdir(parents=True)
    return made


def hello(client: socket.socket) -> None:
    client.sendall(b"hello")


def answer_of(url: str) -> bytes:
    port = int(url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        return client.recv(99)


def test_without_a_sidecar_nothing_is_carried(env: StageEnvironment) -> None:
    with relaying.carried(env) as found:
        assert found == Carried()
        assert found.registry_variables() == {}
    assert relaying.read_cost(env) == {}


def test_each_socket_gets_a_port_of_its_own(env: StageEnvironment, folder: Path) -> None:
    with (
        serving.serving(sockets.listen(folder / places.REGISTRIES), hello),
        serving.serving(
            sockets.listen(folder / places.MODEL), lambda client: client.sendall(b"model")
        ),
    ):
        (folder / places.READY).touch()
        with relaying.carried(env) as found:
            assert answer_of(found.proxy_url) == b"hello"
            assert answer_of(found.model_url) == b"model"
        with pytest.raises(ConnectionRefusedError):
            answer_of(found.proxy_url)


def test_a_step_waits_for_its_sidecar(env: StageEnvironment, folder: Path) -> None:
    with serving.serving(sockets.listen(folder / places.REGISTRIES), hello):
        threading.Timer(0.1, (folder / places.READY).touch).start()
        with relaying.carried(env) as found:
            assert answer_of(found.proxy_url) == b"hello"
            assert found.model_url == ""


def test_a_sidecar_that_never_comes_up_is_unavailable(
    env: StageEnvironment, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relaying, "START_S", 0.05)
    with pytest.raises(Unavailable, match="did not come up"), relaying.carried(env):
        pytest.fail("there is nothing to carry")


def test_a_sidecar_that_cannot_start_says_why(env: StageEnvironment, folder: Path) -> None:
    (folder / places.REFUSED).write_text("base-url is wrong")
    with pytest.raises(Refused, match="base-url is wrong"), relaying.carried(env):
        pytest.fail("there is nothing to carry")


def test_package_clients_are_led_to_the_proxy_and_to_the_operators_settings(
    env: StageEnvironment, folder: Path, tmp_path: Path
) -> None:
    operators = tmp_path / "etc/pressplay/registries"
    operators.mkdir(parents=True)
    (operators / "pip.conf").write_text("[global]\n")
    (operators / "npmrc").touch()
    (folder / places.READY).touch()
    sockets.listen(folder / places.REGISTRIES).close()
    with relaying.carried(env) as found:
        variables = found.registry_variables()
    assert variables["HTTPS_PROXY"] == variables["https_proxy"] == found.proxy_url
    assert variables["CARGO_HTTP_PROXY"] == found.proxy_url
    assert variables["NO_PROXY"] == "127.0.0.1,localhost,::1"
    assert variables["PIP_CONFIG_FILE"] == str(operators / "pip.conf")
    assert "NPM_CONFIG_GLOBALCONFIG" not in variables


@pytest.fixture
def meter(folder: Path) -> Callable[[object], None]:
    def write(value: object) -> None:
        # As the meter itself does: a reader finds a whole record, or the one before.
        files.write_atomically(folder / places.METER, json.dumps(value).encode())

    return write


def test_the_cost_is_what_the_meter_says(
    env: StageEnvironment, meter: Callable[[object], None]
) -> None:
    meter({"usd": 0.5, "calls": 2, "open": {"calls": 0, "usd": 0}})
    assert relaying.read_cost(env) == {"usd": 0.5, "calls": 2}


def test_open_calls_are_waited_for(env: StageEnvironment, meter: Callable[[object], None]) -> None:
    meter({"usd": 0.5, "open": {"calls": 1, "usd": 0.25}})
    settled = {"usd": 0.6, "open": {"calls": 0, "usd": 0}}
    threading.Timer(0.1, meter, [settled]).start()
    assert relaying.read_cost(env) == {"usd": 0.6}


def test_a_call_that_stays_open_is_taken_at_its_worst(
    env: StageEnvironment, meter: Callable[[object], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relaying, "SETTLING_S", 0.05)
    meter({"usd": 0.5, "open": {"calls": 1, "usd": 0.25}})
    assert relaying.read_cost(env) == {"usd": 0.75, "estimated": True}


@pytest.mark.parametrize("text", ["", "[]", "{", "null", '{"open": 3}', '{"open": {"calls": 1}}'])
def test_a_meter_that_is_broken_says_nothing(
    env: StageEnvironment, folder: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relaying, "SETTLING_S", 0.05)
    (folder / places.METER).write_text(text)
    assert relaying.read_cost(env) == {}

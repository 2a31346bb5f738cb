"""What is heard of a run's steps while they run."""

from __future__ import annotations

from pathlib import Path

import pytest

from pressplay.base.redaction import STARS
from pressplay.cli import watching
from pressplay.cli.progress import Pod
from pressplay.cluster.kube import KubeClient
from pressplay.cluster.port import NotFound

TOKEN = "ghp_" + "a1B2" * 9
POD = Pod("run-agent-1", "agent", "")


@pytest.mark.parametrize(
    ("line", "usd"),
    [
        (b"model_called model=m prompt=10 answer=2 usd=0.012500", 0.0125),
        (b"model_called model=m", None),
        (b"model_called usd=much", None),
        (b"somebody_else usd=5", None),
        (b"", None),
        (b"\xff\xfe", None),
    ],
)
def test_the_meters_words_tell_what_a_call_cost(line: bytes, usd: float | None) -> None:
    assert watching.cost_of_call(line) == usd


class _Logs:
    """Answers `follow_logs` from a table; everything else of a client is not asked."""

    def __init__(self, pieces: dict[str, list[bytes]]) -> None:
        self.pieces = pieces

    def follow_logs(self, _namespace: str, _pod: str, *, container: str, **_: object) -> object:
        if container not in self.pieces:
            raise NotFound("no such pod")
        yield from self.pieces[container]


class _Hearing(watching.Surroundings):
    """Listens once, without threads."""

    def hear(self, pieces: dict[str, list[bytes]]) -> None:
        for ear in (self._words, self._meter):
            kube: KubeClient = _Logs(pieces)  # type: ignore[assignment]  # all that is asked of it
            for piece in ear.open(kube, POD) if ear.pod else ():
                ear.hear(piece)


def test_a_step_that_called_no_model_has_no_spend(hearing: _Hearing) -> None:
    hearing.hear({"main": [b"x\n"], "relay": [b"relay_registries hosts=a\n"]})
    assert hearing.usd is None


@pytest.fixture
def hearing(tmp_path: Path) -> _Hearing:
    made = _Hearing(tmp_path, "run", changed=lambda: None)
    made.listen_to(POD)
    return made


def test_only_whole_lines_are_shown(hearing: _Hearing) -> None:
    hearing.hear({"main": [b"first\nsec", b"ond\nthi"], "relay": []})
    assert hearing.line == "second"


def test_a_token_that_comes_in_pieces_is_never_shown(hearing: _Hearing) -> None:
    for cut in range(len(TOKEN)):
        text = f"before\ntoken {TOKEN}\n".encode()
        hearing.hear({"main": [text[: 13 + cut], text[13 + cut :]], "relay": []})
        assert hearing.line == f"token {STARS}"


def test_a_line_without_end_costs_no_memory(hearing: _Hearing) -> None:
    hearing.hear({"main": [b"x " * 50_000] * 50 + [b"\nend\n"], "relay": []})
    assert hearing.line == "end"


def test_hostile_bytes_are_shown_as_harmless_ones(hearing: _Hearing) -> None:
    hearing.hear({"main": [b"\xff\x1b[2J\x1b]0;t\x07ok\xe2\x80\xae\n"], "relay": []})
    assert hearing.line == "\ufffdok"


def test_the_spend_of_a_running_agent_is_the_sum_of_its_calls(hearing: _Hearing) -> None:
    calls = [b"relay_model url=x\nmodel_called usd=0.5\nmodel_", b"called usd=0.25\n"]
    hearing.hear({"main": [], "relay": calls})
    hearing.hear({"main": [], "relay": calls})
    assert hearing.usd == 0.75, "a log that is read again is not paid again"
    hearing.listen_to(Pod("run-verify-1", "verify", ""))
    assert hearing.usd is None

"""What a push wants, as real git and as strangers write it."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressplay.base.errors import Refused
from pressplay.forge.local import pkt_lines
from pressplay.forge.local.pkt_lines import Command, Push

OLD, NEW, ZERO = "1" * 40, "2" * 40, "0" * 40
CAPABILITIES = "report-status side-band-64k agent=git/2"


def _packet(text: str) -> bytes:
    return f"{len(text.encode()) + 4:04x}{text}".encode()


def _body(*commands: Command, capabilities: str = CAPABILITIES) -> bytes:
    lines = [f"{it.old} {it.new} {it.ref}" for it in commands]
    lines[:1] = [f"{lines[0]}\0{capabilities}"] if lines else []
    return b"".join(_packet(line) for line in lines) + b"0000PACK..."


def test_commands_and_capabilities_are_read() -> None:
    create = Command(old=ZERO, new=NEW, ref="refs/heads/a b")
    delete = Command(old=OLD, new=ZERO, ref="refs/heads/ü")

    push = pkt_lines.read_push(_body(create, delete))

    assert push.commands == (create, delete)
    assert "side-band-64k" in push.capabilities
    assert (create.creates, create.deletes) == (True, False)
    assert (delete.creates, delete.deletes) == (False, True)


def test_push_that_only_asks_whether_it_may_has_no_commands() -> None:
    assert pkt_lines.read_push(b"0000").commands == ()


def test_shallow_lines_stand_before_commands() -> None:
    command = Command(old=OLD, new=NEW, ref="refs/heads/a")
    push = pkt_lines.read_push(_packet(f"shallow {OLD}") + _body(command))

    assert push.commands == (command,)
    assert "report-status" in push.capabilities


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"00",
        b"zzzz",
        b"0004",
        b"0001",
        b"ffff",
        _packet("push-cert\0"),
        _packet("hello"),
        _packet(f"{OLD} {NEW} "),
        _body(Command(OLD, NEW, "refs/heads/a"))[:60],
        b"0064" + b"\xff" * 96 + b"0000",
    ],
)
def test_what_is_no_push_is_refused(start: bytes) -> None:
    with pytest.raises(Refused):
        pkt_lines.read_push(start)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(start: bytes) -> None:
    with contextlib.suppress(Refused):
        assert isinstance(pkt_lines.read_push(start), Push)


@given(
    st.lists(
        st.builds(
            Command,
            old=st.sampled_from([OLD, ZERO]),
            new=st.sampled_from([NEW, ZERO]),
            ref=st.from_regex(r"refs/[a-z/]{1,20}[^\s\x00]{1,10}", fullmatch=True),
        ),
        min_size=1,
        max_size=9,
    )
)
def test_what_git_writes_is_read_back(commands: list[Command]) -> None:
    assert pkt_lines.read_push(_body(*commands)).commands == tuple(commands)


def test_refusal_names_every_ref_and_shows_the_message() -> None:
    push = Push(
        commands=(Command(OLD, NEW, "refs/heads/a"), Command(ZERO, NEW, "refs/heads/b")),
        capabilities=frozenset(CAPABILITIES.split()),
    )

    body = pkt_lines.refusal(push, reason="declined", message="one\ntwo")

    assert body.startswith(b"0009\x02one\n0009\x02two\n")
    assert b"unpack ok\n" in body
    assert b"ng refs/heads/a declined\n" in body
    assert b"ng refs/heads/b declined\n" in body
    assert body.endswith(b"00000000")


def test_refusal_speaks_no_band_that_was_not_offered() -> None:
    push = Push((Command(OLD, NEW, "refs/heads/a"),), frozenset({"report-status"}))

    body = pkt_lines.refusal(push, reason="declined", message="unseen")

    assert body == _packet("unpack ok\n") + _packet("ng refs/heads/a declined\n") + b"0000"
    assert pkt_lines.refusal(Push(push.commands, frozenset()), reason="", message="") == b"0000"

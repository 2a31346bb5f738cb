"""What a push wants, read from the first lines of its body, and how git is told no. Pure.

Source: git's documentation, "gitprotocol-pack" (reference update request, report status) and
"gitprotocol-common" (pkt-line format).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pressplay.base.errors import Refused

NOTHING = re.compile(r"0+")
_COMMAND = re.compile(r"([0-9a-f]{40}|[0-9a-f]{64}) ([0-9a-f]{40}|[0-9a-f]{64}) (\S.*)", re.DOTALL)
_FLUSH = b"0000"
_LARGEST_BAND = 65515


@dataclass(frozen=True)
class Command:
    """One ref that a push wants to change; a sha of zeros means that it is not there."""

    old: str
    new: str
    ref: str

    @property
    def creates(self) -> bool:
        return NOTHING.fullmatch(self.old) is not None

    @property
    def deletes(self) -> bool:
        return NOTHING.fullmatch(self.new) is not None


@dataclass(frozen=True)
class Push:
    """All that one push wants; without a command it only asks whether it may."""

    commands: tuple[Command, ...]
    capabilities: frozenset[str]


def read_push(start: bytes) -> Push:
    """The commands at the start of a receive-pack body. Raises Refused if it is not one."""
    commands: list[Command] = []
    capabilities: frozenset[str] = frozenset()
    for line in _lines(start):
        if line.startswith(b"shallow "):
            continue
        text, _, promised = line.partition(b"\0")
        if promised and not commands:
            capabilities = frozenset(promised.decode("utf-8", "replace").split())
        commands.append(_command(text))
    return Push(commands=tuple(commands), capabilities=capabilities)


def announcement(service: str) -> bytes:
    """What stands before the list of refs (gitprotocol-http, "Smart Server Response")."""
    return _packet(f"# service={service}\n".encode()) + _FLUSH


def refusal(push: Push, *, reason: str, message: str) -> bytes:
    """The body that makes git show `message` after `remote:` and each ref as rejected."""
    if "report-status" not in push.capabilities and "report-status-v2" not in push.capabilities:
        return _FLUSH
    report = _packet(b"unpack ok\n")
    for command in push.commands:
        report += _packet(f"ng {command.ref} {reason}\n".encode())
    report += _FLUSH
    if "side-band-64k" not in push.capabilities:
        return report
    said = b"".join(_packet(b"\x02" + f"{line}\n".encode()) for line in message.splitlines())
    bands = (report[at : at + _LARGEST_BAND] for at in range(0, len(report), _LARGEST_BAND))
    return said + b"".join(_packet(b"\x01" + band) for band in bands) + _FLUSH


def _lines(start: bytes) -> Iterator[bytes]:
    """The content of each pkt-line up to the flush."""
    at = 0
    while True:
        head = start[at : at + 4]
        try:
            size = int(head, 16) if len(head) == 4 else 0
        except ValueError:
            size = 1
        if head == _FLUSH:
            return
        if size <= 4 or at + size > len(start):
            raise Refused("The push is not in git's format, or names too many refs at once")
        yield start[at + 4 : at + size].removesuffix(b"\n")
        at += size


def _command(text: bytes) -> Command:
    try:
        found = _COMMAND.fullmatch(text.removesuffix(b"\n").decode())
    except UnicodeDecodeError as error:
        raise Refused("A ref's name must be UTF-8") from error
    if found is None:
        raise Refused("The push holds a line that is no ref update; signed pushes are not taken")
    return Command(old=found[1], new=found[2], ref=found[3])


def _packet(content: bytes) -> bytes:
    return f"{len(content) + 4:04x}".encode() + content

"""The live picture, as a terminal of each size shows it."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import sys
import termios
from collections.abc import Callable
from typing import Any, TextIO

import pytest

from pressplay.cli import drawing, reporting, terminal_text
from pressplay.cli.drawing import Screen
from pressplay.cli.progress import Pod, Progress, Stage

HOSTILE = (
    "\x1b[2J\x1b[10A\x1b]0;owned\x07中文字" + "x" * 10_000 + "\x1b[31m\r\nlast 中文字 " + "y" * 500
)


def _progress(**changes: Any) -> Progress:
    known: dict[str, Any] = {
        "run": "implement-r1-i1",
        "phase": "Running",
        "stages": (
            Stage("preflight", "Succeeded", 1),
            Stage("implement", "Running", 75, "agent"),
            Stage("clippy-format"),
            Stage("deploy", "Failed", 3),
            Stage("seal", "Skipped", 0, "when false"),
        ),
        "pod": Pod("implement-r1-i1-agent-1", "agent", ""),
        "pull": "7",
        "pull_url": "http://127.0.0.1:4711/operator/app/pull/7",
        "preview_url": "http://pr-7.preview.localhost:31000/",
        "usd": 0.125,
    }
    return Progress(**(known | changes))


class Pty:
    """Both ends of a pseudoterminal of a given size."""

    def __init__(self, columns: int, rows: int) -> None:
        self.ours, self.theirs = pty.openpty()
        settings = termios.tcgetattr(self.theirs)
        settings[1] &= ~termios.OPOST
        termios.tcsetattr(self.theirs, termios.TCSANOW, settings)
        os.set_blocking(self.ours, False)
        self.stream: TextIO = os.fdopen(self.theirs, "w", encoding="utf-8")
        self.resize(columns, rows)

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def size(self) -> tuple[int, int]:
        found = os.get_terminal_size(self.theirs)
        return found.columns, found.lines

    def read(self) -> str:
        """What was written since the last look."""
        data = b""
        while True:
            try:
                data += os.read(self.ours, 65536)
            except BlockingIOError:
                return data.decode()

    def close(self) -> None:
        self.stream.close()
        os.close(self.ours)


@pytest.fixture
def new_pty(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes pseudoterminals and closes them."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    made: list[Pty] = []

    def make(columns: int, rows: int = 24) -> Pty:
        made.append(Pty(columns, rows))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_a_picture_is_drawn_over_the_one_before_at_every_size(
    new_pty: Any, new_terminal: Callable[[int], Any], columns: int
) -> None:
    window, screen = new_pty(columns), new_terminal(columns)
    drawn = Screen(window.stream, size=window.size)
    screen.feed("$ pressplay demo\n")
    drawn.open()
    for beat in range(3):
        line = terminal_text.one_line(HOSTILE)
        shown = drawing.picture(_progress(), line=line, elapsed_s=75 + beat, beat=beat)
        drawn.draw(shown)
        screen.feed(window.read())
        assert not screen.shows_cursor
    drawn.close()
    screen.feed(window.read())
    assert screen.shows_cursor
    rows = screen.text.splitlines()
    assert rows[0] == "$ pressplay demo"
    assert sum("preflight" in row for row in rows) == 1
    assert [row.split()[0] for row in rows[1:6]] == ["✓", "⠹", "·", "✗", "-"]
    assert any(row.split() == ["Time", "1:17"] for row in rows)
    assert any(row.startswith("  agent         last") for row in rows)
    assert any(row.split() == ["Spend", "$0.12"] for row in rows)
    if columns >= 80:
        assert "#7 http://127.0.0.1:4711/operator/app/pull/7" in screen.text


def test_a_window_that_grows_and_shrinks_leaves_one_picture(
    new_pty: Any, new_terminal: Callable[[int], Any]
) -> None:
    window = new_pty(200)
    drawn = Screen(window.stream, size=window.size)
    shown = drawing.picture(_progress(), line="z" * 300, elapsed_s=1)
    drawn.draw(shown)
    window.read()
    window.resize(50, 24)
    drawn.draw(shown)
    text = window.read()
    # What is wider than the window now, the terminal has broken into several rows.
    rows_back = int(text.partition("\x1b[")[2].partition("A")[0])
    lines = 5 + 1 + 5
    known = _progress()
    wide = (199, 16 + len(f"#{known.pull} {known.pull_url}"), 16 + len(known.preview_url))
    broken = sum(-(-width // 50) - 1 for width in wide)
    assert rows_back == lines + broken
    window.resize(120, 24)
    screen = new_terminal(120)
    screen.feed("\n" * lines)
    drawn.draw(shown)
    screen.feed(window.read())
    assert sum("preflight" in row for row in screen.text.splitlines()) == 1


def test_a_low_window_shows_the_newest_lines(
    new_pty: Any, new_terminal: Callable[[int], Any]
) -> None:
    window, screen = new_pty(80, 6), new_terminal(80)
    drawn = Screen(window.stream, size=window.size)
    for _ in range(2):
        drawn.draw(drawing.picture(_progress(), line="now", elapsed_s=1))
        screen.feed(window.read())
    rows = screen.text.rstrip().splitlines()
    assert len(rows) == 5
    assert rows[-1].split() == ["agent", "now"]


def test_no_color_is_respected(new_pty: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    window = new_pty(80)
    Screen(window.stream, size=window.size).draw(drawing.picture(_progress(), line="", elapsed_s=1))
    text = window.read()
    assert "\x1b[32m" not in text
    assert "✓" in text


def test_markup_of_a_library_in_a_line_is_only_text(
    new_pty: Any, new_terminal: Callable[[int], Any]
) -> None:
    window, screen = new_pty(80), new_terminal(80)
    shown = drawing.picture(_progress(), line="[bold]:smile:[/bold] [/]", elapsed_s=1)
    Screen(window.stream, size=window.size).draw(shown)
    screen.feed(window.read())
    assert "[bold]:smile:[/bold] [/]" in screen.text


@pytest.mark.parametrize(
    ("environment", "drawable"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "xterm", "CI": "false"}, True),
        ({"TERM": "xterm", "CI": "true"}, False),
        ({"TERM": "dumb"}, False),
        ({"TERM": ""}, False),
        ({}, False),
    ],
)
def test_only_a_terminal_that_can_be_drawn_on_is(
    environment: dict[str, str], drawable: bool, new_pty: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", new_pty(80).stream)
    assert reporting.is_drawable(environment) is drawable


def test_what_is_no_terminal_is_not_drawn_on(monkeypatch: pytest.MonkeyPatch) -> None:
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - a device
        monkeypatch.setattr(sys, "stdout", nowhere)
        assert not reporting.is_drawable({"TERM": "xterm"})


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.9, "0:00"), (75, "1:15"), (3599, "59:59"), (3723, "1:02:03")]
)
def test_times_are_shown_as_clocks_do(seconds: float, text: str) -> None:
    assert drawing.clock_text(seconds) == text

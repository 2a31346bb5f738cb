"""A terminal that understands just what a live view may send, and complains of everything else."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

import pytest

_TOKEN = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|(\r)|(\n)|([^\x00-\x1f\x7f-\x9f])", re.DOTALL)


class Terminal:
    """A screen of so many columns; rows grow without end, as with scrollback."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.rows: list[str] = [""]
        self.row = 0
        self.column = 0
        self.shows_cursor = True
        self.highest = 0
        """How far up the cursor ever went, counted from where it stood lowest."""

    def feed(self, data: str) -> None:
        """Take what a program wrote. Asserts that there is nothing in it but what is known."""
        at = 0
        for found in _TOKEN.finditer(data):
            assert found.start() == at, f"the terminal was sent {data[at : found.start()]!r}"
            at = found.end()
            arguments, command, back, down, letter = found.groups()
            if command:
                self._obey(arguments, command)
            elif back:
                self.column = 0
            elif down:
                self._down()
            else:
                self._put(letter)
        assert at == len(data), f"the terminal was sent {data[at:]!r}"

    @property
    def text(self) -> str:
        """All rows, without blanks at their ends."""
        return "\n".join(row.rstrip() for row in self.rows)

    def _obey(self, arguments: str, command: str) -> None:
        match command:
            case "A":
                self.row -= int(arguments or 1)
                assert self.row >= 0, "the cursor left the screen"
                self.column = 0
            case "K":
                self.rows[self.row] = self.rows[self.row][: self.column]
            case "J":
                self.rows[self.row] = self.rows[self.row][: self.column]
                del self.rows[self.row + 1 :]
            case "h" | "l":
                assert arguments == "?25"
                self.shows_cursor = command == "h"
            case "m":
                pass
            case _:
                pytest.fail(f"the terminal was told {arguments}{command}")

    def _down(self) -> None:
        self.row += 1
        self.column = 0
        if self.row == len(self.rows):
            self.rows.append("")

    def _put(self, letter: str) -> None:
        wide = 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        assert self.column + wide <= self.width, f"a line is wider than {self.width}"
        row = self.rows[self.row].ljust(self.column)
        self.rows[self.row] = row[: self.column] + letter + row[self.column + 1 :]
        self.column += 1


@pytest.fixture
def new_terminal() -> Callable[[int], Terminal]:
    """Makes a terminal of so many columns."""
    return Terminal

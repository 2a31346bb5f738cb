"""What an agent prints may be hostile to the terminal on which it is shown."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressplay.cli import terminal_text

TOKEN = "ghp_" + "a1B2" * 9


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ("plain", "plain"),
        ("first\nsecond\n\n", "second"),
        ("10 %\r50 %\r", "50 %"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("a\x1b[2J\x1b[H\x1b[1;1Hb", "ab"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]52;c;cGFzdGU=\x1b\\text", "text"),
        ("\x1bP1$q\x1b\\text", "text"),
        ("\x9b31mred", "red"),
        ("\x1bcreset", "reset"),
        ("bell\x07 back\x08space", "bell backspace"),
        ("\u202etxet", "txet"),
        ("zero\u200bwidth", "zerowidth"),
        ("tab\there", "tab here"),
        ("  many   blanks ", "many blanks"),
        (f"token {TOKEN}", "token ***"),
        (f"token {TOKEN[:9]}\x1b[0m{TOKEN[9:]}", "token ***"),
        ("M" * 64, "***"),
        ("\x1b[", ""),
        ("", ""),
    ],
)
def test_a_line_is_shown_without_what_a_terminal_would_obey(printed: str, shown: str) -> None:
    assert terminal_text.one_line(printed) == shown


def test_bytes_that_are_no_text_are_shown_as_signs_of_that() -> None:
    assert terminal_text.last_line(b"ok\n\xff\xfe caf\xc3") == "\ufffd\ufffd caf\ufffd"


def test_a_line_without_end_is_cut() -> None:
    shown = terminal_text.one_line("word " * 1_000_000)
    assert len(shown) <= terminal_text.LONGEST
    assert shown.startswith("word")


def test_a_secret_that_the_cut_goes_through_is_not_shown() -> None:
    for lead in range(60):
        text = TOKEN + " " + "x" * (16 * 1024 - lead)
        shown = terminal_text.one_line(text)
        assert TOKEN[-8:] not in shown


def test_marks_that_pile_up_are_cut() -> None:
    assert len(terminal_text.one_line("a" + "\u0301" * 100_000)) <= terminal_text.LONGEST


@given(st.text())
def test_nothing_that_is_shown_steers_a_terminal(text: str) -> None:
    for shown in (terminal_text.one_line(text), terminal_text.all_in_one(text)):
        assert all(unicodedata.category(each)[0] not in "CZ" or each == " " for each in shown)


@given(st.binary())
def test_any_bytes_make_one_line(data: bytes) -> None:
    assert "\n" not in terminal_text.last_line(data)


def test_a_whole_line_keeps_its_length_and_loses_its_escapes() -> None:
    assert terminal_text.harmless(f"  \x1b[1mkeep\x1b[m  this {TOKEN}") == "  keep  this ***"

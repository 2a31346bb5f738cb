"""Texts are made to fit before the forge refuses them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pressplay.forge import lengths


def test_text_that_fits_is_not_touched() -> None:
    text = "é" * (lengths.BODY // 2)

    assert lengths.fit(text) == text


def test_longer_text_keeps_its_two_ends_and_says_how_much_is_gone() -> None:
    text = "<!-- first mark -->" + "x" * 100_000 + "<!-- last mark -->"
    made = lengths.fit(text)

    assert len(made.encode()) <= lengths.BODY
    assert made.startswith("<!-- first mark -->")
    assert made.endswith("<!-- last mark -->")
    kept = made.count("x") - "bytes are left out here: the forge takes no longer text".count("x")
    assert f"{100_000 - kept} bytes are left out here" in made


def test_title_is_one_line() -> None:
    made = lengths.fit_line("a\nb  c " * 200)

    assert "\n" not in made.strip()
    assert len(made.encode()) <= lengths.TITLE


def test_half_a_surrogate_pair_becomes_a_question_mark() -> None:
    assert lengths.fit("a\ud800b") == "a?b"


@given(st.text(st.characters(codec="utf-8"), max_size=400), st.integers(8, 300))
def test_whatever_is_given_fits_and_is_whole_text(text: str, most: int) -> None:
    made = lengths.fit(text, most=most)

    assert len(made.encode()) <= most
    assert (made == text) == (len(text.encode()) <= most)

"""Durations as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressplay.base import clocks
from pressplay.base.errors import Refused


@given(st.integers(0, 999_999_999))
def test_a_duration_is_read_back_as_it_was_written(seconds: int) -> None:
    assert clocks.read_duration(clocks.duration_text(seconds), field="ttl") == seconds


def test_each_unit_counts_in_seconds() -> None:
    texts = ("90s", "30m", "24h", "7d")
    assert [clocks.read_duration(t, field="ttl") for t in texts] == [90, 1800, 86400, 604800]


@pytest.mark.parametrize("text", ["", "24", "h", "1.5h", "-1h", "1w", "1h30m", "٣h", "1h\n"])
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(Refused, match=r"ttl is .*24h"):
        clocks.read_duration(text, field="ttl")

"""Times in Go's layouts, and durations."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressplay.engine.expressions import dates, printing
from pressplay.engine.expressions.errors import Fault
from pressplay.engine.expressions.values import Duration

_MOMENT = datetime(2024, 3, 5, 16, 7, 9, 120000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("layout", "text"),
    [
        ("2006-01-02T15:04:05Z07:00", "2024-03-05T16:07:09Z"),
        ("Monday, January _2 2006 3:04PM MST", "Tuesday, March  5 2024 4:07PM UTC"),
        ("Mon Jan 2 06 03:4:5.000 pm -0700", "Tue Mar 5 24 04:7:9.120 pm +0000"),
        ("002 .999 ,99 -07 Z0700", "065 .12 ,12 +00 Z"),
        ("plain text", "plain text"),
    ],
)
def test_a_layout_says_how_a_moment_is_written(layout: str, text: str) -> None:
    assert dates.write(_MOMENT, layout) == text


@pytest.mark.parametrize(
    ("text", "layout", "moment"),
    [
        ("05/03/24", "02/01/06", datetime(2024, 3, 5, tzinfo=UTC)),
        ("5 Mar 2024, 4:07pm", "2 Jan 2006, 3:04pm", datetime(2024, 3, 5, 16, 7, tzinfo=UTC)),
        ("2024-065", "2006-002", datetime(2024, 3, 5, tzinfo=UTC)),
        ("2024-03-05T18:07:09.12+02:00", "2006-01-02T15:04:05Z07:00", _MOMENT),
    ],
)
def test_a_layout_says_how_a_moment_is_read(text: str, layout: str, moment: datetime) -> None:
    assert dates.read(text, layout) == moment


@given(st.integers(0, 2**36), st.integers(0, 999_999), st.integers(-14 * 60, 14 * 60))
def test_what_was_written_is_read_back(seconds: int, fraction: int, minutes: int) -> None:
    layout = "2006-01-02 15:04:05.000000 -07:00"
    zone = timezone(timedelta(minutes=minutes))
    moment = datetime.fromtimestamp(seconds, zone).replace(microsecond=fraction)
    found = dates.read(dates.write(moment, layout), layout)
    assert found == moment
    assert found.utcoffset() == moment.utcoffset()


@given(st.integers(-(2**62), 2**62))
def test_a_duration_that_was_printed_is_read_back(nanoseconds: int) -> None:
    span = Duration(nanoseconds)
    assert dates.read_duration(printing.duration_text(span)) == span


@given(st.text(max_size=20), st.text("0123456789:-TZ .JanMonPM", max_size=20))
def test_no_text_breaks_a_reader(text: str, layout: str) -> None:
    for read in (lambda: dates.read(text, layout), lambda: dates.read_duration(text)):
        try:
            read()
        except Fault as fault:
            assert text[:5] in fault.problem or repr(text)[1:6] in fault.problem


@pytest.mark.parametrize("name", ["Nowhere/At_All", "../etc/passwd", "\0"])
def test_an_unknown_zone_is_refused(name: str) -> None:
    with pytest.raises(Fault, match="unknown time zone"):
        dates.zone(name)

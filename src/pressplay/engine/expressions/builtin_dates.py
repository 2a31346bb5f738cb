"""The functions of expr-lang for times, and the methods that times and durations have."""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from pressplay.engine.expressions import dates, printing, values
from pressplay.engine.expressions.errors import Fault
from pressplay.engine.expressions.functions import Function, Run, table
from pressplay.engine.expressions.values import Duration

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def microseconds(moment: datetime) -> int:
    """Since the beginning of 1970, in UTC."""
    return (moment - _EPOCH) // _MICROSECOND


def _date(text: str, layout: str = "", zone: str = "") -> datetime:
    where = dates.zone(zone)
    return dates.read(text, layout, zone=where) if layout else dates.read_usual(text, zone=where)


def _add_date(  # noqa: PLR0917 - called with the expression's arguments
    moment: datetime, years: int, months: int, days: int
) -> datetime:
    count = moment.year * 12 + moment.month - 1 + years * 12 + months
    year, month = divmod(count, 12)
    if not 1 <= year <= 9999:
        raise Fault("the date is out of range")
    # Too many days roll over into the next month, as in Go.
    beyond = max(moment.day - calendar.monthrange(year, month + 1)[1], 0)
    start = moment.replace(year=year, month=month + 1, day=moment.day - beyond)
    return start + timedelta(days=days + beyond)


def _truncate(moment: datetime, span: Duration) -> datetime:
    step = span.nanoseconds // 1000
    if step <= 0:
        return moment
    since = (moment - datetime(1, 1, 1, tzinfo=UTC)) // _MICROSECOND
    return moment - timedelta(microseconds=since % step)


def _now(run: Run) -> datetime:
    return run.clock.now()


FUNCTIONS: Mapping[str, Function] = {
    **table({"now()": _now}, needs_run=True),
    **table({"date(string, string?, string?)": _date, "duration(string)": dates.read_duration}),
}

_TIME_METHODS = table(
    {
        "Year(time)": lambda moment: moment.year,
        "Month(time)": lambda moment: moment.month,
        "Day(time)": lambda moment: moment.day,
        "Hour(time)": lambda moment: moment.hour,
        "Minute(time)": lambda moment: moment.minute,
        "Second(time)": lambda moment: moment.second,
        "Nanosecond(time)": lambda moment: moment.microsecond * 1000,
        "Weekday(time)": lambda moment: moment.isoweekday() % 7,
        "YearDay(time)": lambda moment: moment.timetuple().tm_yday,
        "Unix(time)": lambda moment: microseconds(moment) // 1_000_000,
        "UnixMilli(time)": lambda moment: microseconds(moment) // 1_000,
        "UnixMicro(time)": microseconds,
        "UnixNano(time)": lambda moment: values.wrap(microseconds(moment) * 1_000),
        "Format(time, string)": dates.write,
        "String(time)": printing.to_text,
        "UTC(time)": lambda moment: moment.astimezone(UTC),
        "Local(time)": lambda moment: moment.astimezone(UTC),
        "Add(time, duration)": values.add,
        "AddDate(time, int, int, int)": _add_date,
        "Sub(time, time)": values.subtract,
        "Truncate(time, duration)": _truncate,
        "Before(time, time)": lambda moment, other: moment < other,
        "After(time, time)": lambda moment, other: moment > other,
        "Equal(time, time)": lambda moment, other: moment == other,
    }
)
_DURATION_METHODS = table(
    {
        "Hours(duration)": lambda span: span.nanoseconds / 3.6e12,
        "Minutes(duration)": lambda span: span.nanoseconds / 6e10,
        "Seconds(duration)": lambda span: span.nanoseconds / 1e9,
        "Milliseconds(duration)": lambda span: _whole(span, 1_000_000),
        "Microseconds(duration)": lambda span: _whole(span, 1_000),
        "Nanoseconds(duration)": lambda span: span.nanoseconds,
        "String(duration)": printing.duration_text,
    }
)
METHODS: Mapping[str, Mapping[str, Function]] = {
    "time.Time": _TIME_METHODS,
    "time.Duration": _DURATION_METHODS,
}


def _whole(span: Duration, size: int) -> int:
    return int(span.nanoseconds / size)

"""Times in Go's layouts, such as `2006-01-02 15:04:05`, and durations such as `1h30m`.

Source: the constants and the documentation of Go's package time. The local zone is UTC, as in
the controller's image.
"""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache

from pressplay.engine.expressions.errors import Fault
from pressplay.engine.expressions.values import Duration, wrap

MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

# What `date(text)` tries when no layout is given, in this order.
USUAL_LAYOUTS = (
    "2006-01-02",
    "15:04:05",
    "2006-01-02 15:04:05",
    "2006-01-02T15:04:05Z07:00",
    "02 Jan 06 15:04 MST",
    "Monday, 02-Jan-06 15:04:05 MST",
    "Mon, 02 Jan 2006 15:04:05 MST",
)

_ELEMENT = re.compile(
    r"""
      January | Jan(?![a-z]) | Monday | Mon(?![a-z]) | MST
    | 2006 | 002 | 01 | 02 | 03 | 04 | 05 | 06 | 15 | _2(?!006) | [12345] | PM | pm
    | Z07:00 | Z0700 | Z07 | -07:00 | -0700 | -07 | [.,]0+(?!\d) | [.,]9+(?!\d)
    """,
    re.VERBOSE,
)
_ZONE = r"Z|[+-]\d\d:?(?:\d\d)?"
_SPAN_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_NANOSECONDS: Mapping[str, int] = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}

_WRITERS: Mapping[str, Callable[[datetime], str]] = {
    "January": lambda moment: MONTHS[moment.month - 1],
    "Jan": lambda moment: MONTHS[moment.month - 1][:3],
    "Monday": lambda moment: DAYS[moment.weekday()],
    "Mon": lambda moment: DAYS[moment.weekday()][:3],
    "MST": lambda moment: moment.tzname() or "UTC",
    "2006": lambda moment: f"{moment.year:04}",
    "06": lambda moment: f"{moment.year % 100:02}",
    "01": lambda moment: f"{moment.month:02}",
    "1": lambda moment: str(moment.month),
    "02": lambda moment: f"{moment.day:02}",
    "_2": lambda moment: f"{moment.day:2}",
    "2": lambda moment: str(moment.day),
    "002": lambda moment: f"{moment.timetuple().tm_yday:03}",
    "15": lambda moment: f"{moment.hour:02}",
    "03": lambda moment: f"{moment.hour % 12 or 12:02}",
    "3": lambda moment: str(moment.hour % 12 or 12),
    "04": lambda moment: f"{moment.minute:02}",
    "4": lambda moment: str(moment.minute),
    "05": lambda moment: f"{moment.second:02}",
    "5": lambda moment: str(moment.second),
    "PM": lambda moment: "PM" if moment.hour >= 12 else "AM",
    "pm": lambda moment: "pm" if moment.hour >= 12 else "am",
}
# What a reader takes, and under which name; several elements may share one.
_READERS: Mapping[str, tuple[str, str]] = {
    "January": ("month_name", "|".join(MONTHS)),
    "Jan": ("month_name", "|".join(month[:3] for month in MONTHS)),
    "Monday": ("day_name", "|".join(DAYS)),
    "Mon": ("day_name", "|".join(day[:3] for day in DAYS)),
    "MST": ("zone_name", r"[A-Z]{3,4}(?:[+-]\d{1,2})?"),
    "2006": ("year", r"\d{4}"),
    "06": ("short_year", r"\d\d"),
    "01": ("month", r"\d\d"),
    "1": ("month", r"\d\d?"),
    "02": ("day", r"\d\d"),
    "_2": ("day", r"\ ?\d\d?"),
    "2": ("day", r"\d\d?"),
    "002": ("year_day", r"\d{3}"),
    "15": ("hour", r"\d\d"),
    "03": ("half", r"\d\d"),
    "3": ("half", r"\d\d?"),
    "04": ("minute", r"\d\d"),
    "4": ("minute", r"\d\d?"),
    "05": ("second", r"\d\d"),
    "5": ("second", r"\d\d?"),
    "PM": ("noon", "AM|PM"),
    "pm": ("noon", "am|pm"),
}


def write(moment: datetime, layout: str) -> str:
    """The moment in a layout."""
    return _ELEMENT.sub(lambda match: _write_element(moment, match.group()), layout)


def _write_element(moment: datetime, element: str) -> str:
    if element in _WRITERS:
        return _WRITERS[element](moment)
    if element[0] in ".,":
        digits = f"{moment.microsecond:06}000"[: len(element) - 1]
        if element[1] == "9":
            digits = digits.rstrip("0")
        return element[0] + digits if digits else ""
    offset = moment.utcoffset() or timedelta()
    if element[0] == "Z" and not offset:
        return "Z"
    minutes = int(offset.total_seconds()) // 60
    sign = "-" if minutes < 0 else "+"
    hours, minutes = divmod(abs(minutes), 60)
    rest = element[3:].replace("00", f"{minutes:02}")
    return f"{sign}{hours:02}{rest}"


def read(text: str, layout: str, *, zone: tzinfo = UTC) -> datetime:
    """The moment that the text names in a layout; `zone` holds where the text names none.

    Raises Fault.
    """
    match = _reader(layout).fullmatch(text)
    if match is None:
        raise Fault(f"{text!r} is no time in the layout {layout!r}")
    found = {key: value for key, value in match.groupdict().items() if value}
    try:
        return _moment(found, zone)
    except ValueError as error:
        raise Fault(f"{text!r} is no time: {error}") from error


def read_usual(text: str, *, zone: tzinfo = UTC) -> datetime:
    """The moment, in any of the usual layouts. Raises Fault."""
    for layout in USUAL_LAYOUTS:
        try:
            return read(text, layout, zone=zone)
        except Fault:
            continue
    raise Fault(f"invalid date {text}")


@lru_cache(maxsize=64)
def _reader(layout: str) -> re.Pattern[str]:
    parts: list[str] = []
    end = 0
    taken: set[str] = set()
    for match in _ELEMENT.finditer(layout):
        parts.append(re.escape(layout[end : match.start()]))
        end = match.end()
        element = match.group()
        name, pattern = _READERS.get(element, ("zone", _ZONE))
        if element[0] in ".,":
            name, pattern = "fraction", r"[.,]\d+" + ("" if element[1] == "0" else "|")
        # A second element of the same meaning is read over: the first counts.
        group = "?:" if name in taken else f"?P<{name}>"
        taken.add(name)
        parts.append(f"({group}{pattern})")
        if name == "second" and not re.match(r"[.,][09]", layout[end:]):
            parts.append(r"(?P<fraction>[.,]\d+)?" if "fraction" not in taken else "")
            taken.add("fraction")
    parts.append(re.escape(layout[end:]))
    return re.compile("".join(parts), re.ASCII)


def _moment(found: Mapping[str, str], zone: tzinfo) -> datetime:
    def number(name: str, default: int) -> int:
        return int(found.get(name, default))

    year = number("year", 0)
    if "short_year" in found:
        short = number("short_year", 0)
        year = short + (1900 if short >= 69 else 2000)
    month = number("month", 1)
    if "month_name" in found:
        month = next(n for n, name in enumerate(MONTHS, 1) if name.startswith(found["month_name"]))
    hour = number("hour", 0)
    if "half" in found:
        is_late = found.get("noon", "").lower() == "pm"
        hour = number("half", 0) % 12 + (12 if is_late else 0)
    fraction = found.get("fraction", ".")[1:].ljust(6, "0")[:6]
    moment = datetime(
        year,
        month,
        number("day", 1),
        hour,
        number("minute", 0),
        number("second", 0),
        int(fraction),
        tzinfo=_zone_of(found, zone),
    )
    if "year_day" in found:
        moment += timedelta(days=number("year_day", 1) - 1)
    return moment


def _zone_of(found: Mapping[str, str], zone: tzinfo) -> tzinfo:
    offset = found.get("zone", "")
    if offset == "Z" or found.get("zone_name") in ("UTC", "GMT"):
        return UTC
    if offset:
        digits = offset[1:].replace(":", "").ljust(4, "0")
        span = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
        return timezone(-span if offset[0] == "-" else span)
    if "zone_name" in found:
        # An abbreviation does not say which zone it means: Go makes one up, without offset.
        return timezone(timedelta(), found["zone_name"])
    return zone


def zone(name: str) -> tzinfo:
    """A zone by its name in the IANA database. Raises Fault."""
    if name in ("", "UTC", "Local"):
        return UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Fault(f"unknown time zone {name}") from error


def read_duration(text: str) -> Duration:
    """The span that `1h30m`, `-1.5s` or `300ms` names. Raises Fault."""
    sign = -1 if text.startswith("-") else 1
    rest = text.removeprefix("-") if sign < 0 else text.removeprefix("+")
    if rest == "0":
        return Duration(0)
    total, end = 0, 0
    for match in _SPAN_PART.finditer(rest):
        if match.start() != end:
            break
        end = match.end()
        whole, _, fraction = match[1].partition(".")
        unit = _NANOSECONDS[match[2]]
        total += int(whole[:20] or 0) * unit + int(fraction[:18] or 0) * unit // 10 ** len(
            fraction[:18]
        )
    if end != len(rest) or not rest or wrap(total) != total:
        raise Fault(f"invalid duration {text!r}; write it like 1h30m")
    return Duration(sign * total)

"""Tools for dates and times: what time it is where, and counting with dates."""

from __future__ import annotations

import calendar
import difflib
import functools
import zoneinfo
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final, TypedDict

from agentkit import Tool, ToolError, Toolset, UsageError, tool

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_YEARS: Final = 9999


class Time(TypedDict):
    """A moment, as the clocks of one zone show it."""

    time: str
    """As ISO 8601 with the offset, to the second."""
    weekday: str
    zone: str


class Between(TypedDict):
    """How far two dates are apart; negative where the second is the earlier one."""

    days: int
    workdays: int
    """Mondays to Fridays, the first day counted, the last one not."""


class Clock:
    """The time, and counting with dates: `current_time`, `days_between`, `add_to_date`.

    `zone` is the one meant where none is given. `now` gives the current moment, aware of its zone; a test passes
    its own. Safe to use from many threads.

    Raises:
        UsageError: `zone` is no time zone.
    """

    def __init__(self, *, zone: str = "UTC", now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        try:
            self._zone = _zone(zone)
        except ToolError as exc:
            raise UsageError(f"{exc}. Give one of these as zone=...") from exc
        self._now = now

    @property
    def tools(self) -> Toolset:
        """The three tools, for `Agent(tools=...)`."""
        offered: list[Tool[..., object]] = [
            tool(self.current_time, timeout_s=10, effect="pure"),
            tool(self.days_between, timeout_s=10, effect="pure"),
            tool(self.add_to_date, timeout_s=10, effect="pure"),
        ]
        return Toolset(offered)

    def current_time(self, zone: str | None = None) -> Time:
        """Tell the current date and time in a time zone.

        Args:
            zone: A name such as "Europe/Oslo" or "UTC"; null means the user's.
        """
        chosen = _zone(zone) if zone else self._zone
        here = self._now().astimezone(chosen)
        return {"time": here.isoformat(timespec="seconds"), "weekday": _weekday(here), "zone": chosen.key}

    def days_between(self, start: date, end: date) -> Between:
        """Count the days from one date to another.

        Args:
            start: The first date, such as "2024-02-28".
            end: The second date; an earlier one gives negative numbers.
        """
        start, end = _day(start, "start"), _day(end, "end")
        days = (end - start).days
        workdays = _workdays(start, end) if days >= 0 else -_workdays(end, start)
        return {"days": days, "workdays": workdays}

    def add_to_date(self, start: date, years: int = 0, months: int = 0, weeks: int = 0, days: int = 0) -> str:
        """Add to a date, or take from it with negative numbers; gives the date with its weekday.

        Args:
            start: The date, such as "2024-01-31".
            years: Added first, with months; the day is the month's last where it has no such day.
            months: Added together with years.
            weeks: Added after these.
            days: Added with weeks.
        """
        start = _day(start, "start")
        try:
            month = start.year * 12 + start.month - 1 + years * 12 + months
            year, index = divmod(month, 12)
            last = calendar.monthrange(year, index + 1)[1] if 1 <= year <= MAX_YEARS else 0
            moved = start.replace(year=year, month=index + 1, day=min(start.day, last))
            moved += timedelta(days=weeks * 7 + days)
        except (OverflowError, ValueError) as exc:
            raise ToolError(f"that lies outside of the years 1 to {MAX_YEARS}") from exc
        return f"{moved.isoformat()} ({_weekday(moved)})"


# English, whatever the locale
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def _day(value: object, name: str) -> date:
    """Return the date of what was given by hand; a model's arguments are dates already."""
    if isinstance(value, datetime):
        return value.date()
    if not isinstance(value, date):
        raise ToolError(f"{name} is {value!r:.100}; it is a date, such as date.fromisoformat('2024-01-31')")
    return value


def _weekday(day: date) -> str:
    return _WEEKDAYS[day.weekday()]


def _workdays(start: date, end: date) -> int:
    weeks, rest = divmod((end - start).days, 7)
    return weeks * 5 + sum((start.weekday() + step) % 7 < 5 for step in range(rest))


def _zone(name: str) -> zoneinfo.ZoneInfo:
    """Return the zone; only known names reach the file system."""
    known = _zones()
    key = known.get(name.lower())
    if key is None:
        raise ToolError(f"there is no time zone {name[:100]!r}. {_near(name, known)}")
    return zoneinfo.ZoneInfo(key)


@functools.cache
def _zones() -> dict[str, str]:
    """Return the names of all zones, by themselves in small letters."""
    # a file of Debian's beside the zones, and no name of one: it says what the machine is set to
    return {name.lower(): name for name in sorted(zoneinfo.available_timezones() - {"localtime"})}


def _near(name: str, known: dict[str, str]) -> str:
    if not known:
        return "This system knows none; the package tzdata has them"
    asked = name[:100].lower().replace(" ", "_")
    places = {key.rpartition("/")[2]: key for key in known}
    near = [key for key in known if asked and key.endswith("/" + asked)]
    near += difflib.get_close_matches(asked, known, n=3)
    near += [places[place] for place in difflib.get_close_matches(asked.rpartition("/")[2], places, n=3)]
    names = list(dict.fromkeys(known[key] for key in near))[:5]
    return f"Close: {', '.join(names)}" if names else 'Names are like "Europe/Oslo", "America/New_York", "UTC"'

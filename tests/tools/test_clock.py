"""Clock: the time that a test gives it, zones with near names, and dates counted."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from agentkit_tools import Clock

from agentkit import Agent, ToolError, UsageError

NOON = datetime(2024, 7, 1, 12, 0, 0, 123456, tzinfo=UTC)
CLOCK = Clock(now=lambda: NOON, zone="Europe/Oslo")


@pytest.mark.parametrize(
    ("zone", "time", "name"),
    [
        (None, "2024-07-01T14:00:00+02:00", "Europe/Oslo"),
        ("UTC", "2024-07-01T12:00:00+00:00", "UTC"),
        ("america/new_york", "2024-07-01T08:00:00-04:00", "America/New_York"),
        ("Asia/Kathmandu", "2024-07-01T17:45:00+05:45", "Asia/Kathmandu"),
    ],
)
def test_the_time_is_told_in_a_zone(zone: str | None, time: str, name: str) -> None:
    assert CLOCK.current_time(zone) == {"time": time, "weekday": "Monday", "zone": name}


@pytest.mark.parametrize(
    ("zone", "near"),
    [
        ("Oslo", "Close: Europe/Oslo"),
        ("Europe/Olso", "Close: Europe/Oslo"),
        ("new york", "Close: America/New_York"),
        ("../../etc/passwd", "Names are like"),
        ("Europe", "Close: Europe/"),
        ("\0", "Names are like"),
        ("localtime", "'localtime'. "),
        ("x" * 100_000, "Names are like"),
    ],
)
def test_an_unknown_zone_is_told_with_near_names(zone: str, near: str) -> None:
    with pytest.raises(ToolError) as caught:
        CLOCK.current_time(zone)
    assert str(caught.value).startswith("there is no time zone ")
    assert near in str(caught.value)
    assert len(str(caught.value)) < 400


def test_an_unknown_zone_of_the_developer_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="there is no time zone 'Oslo'"):
        Clock(zone="Oslo")


@pytest.mark.parametrize(
    ("start", "end", "days", "workdays"),
    [
        (date(2024, 2, 28), date(2024, 3, 1), 2, 2),
        (date(2024, 7, 1), date(2024, 7, 8), 7, 5),
        (date(2024, 7, 6), date(2024, 7, 8), 2, 0),
        (date(2024, 7, 8), date(2024, 7, 1), -7, -5),
        (date(2024, 7, 1), date(2024, 7, 1), 0, 0),
        (date.min, date.max, 3652058, 2608614),
    ],
)
def test_days_are_counted(start: date, end: date, days: int, workdays: int) -> None:
    assert CLOCK.days_between(start, end) == {"days": days, "workdays": workdays}


def test_by_hand_a_moment_counts_as_its_date_and_a_text_is_told() -> None:
    late = datetime(2024, 7, 1, 23, 59, tzinfo=UTC)
    assert CLOCK.days_between(late, date(2024, 7, 2)) == {"days": 1, "workdays": 1}
    assert CLOCK.days_between(date(2024, 7, 2), late) == {"days": -1, "workdays": -1}
    assert CLOCK.add_to_date(late, days=1) == "2024-07-02 (Tuesday)"
    with pytest.raises(ToolError, match=r"^end is '2024-07-02'; it is a date, such as date\.fromisoformat"):
        CLOCK.days_between(late, "2024-07-02")  # type: ignore[arg-type]
    with pytest.raises(ToolError, match=r"^start is None; it is a date"):
        CLOCK.add_to_date(None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("start", "added", "result"),
    [
        (date(2024, 1, 31), {"months": 1}, "2024-02-29 (Thursday)"),
        (date(2024, 2, 29), {"years": 1}, "2025-02-28 (Friday)"),
        (date(2024, 1, 15), {"months": -1}, "2023-12-15 (Friday)"),
        (date(2024, 12, 31), {"days": 1}, "2025-01-01 (Wednesday)"),
        (date(2024, 7, 1), {"weeks": -1, "days": 3}, "2024-06-27 (Thursday)"),
        (date(2024, 7, 1), {}, "2024-07-01 (Monday)"),
    ],
)
def test_dates_are_added_to(start: date, added: dict[str, int], result: str) -> None:
    assert CLOCK.add_to_date(start, **added) == result


@pytest.mark.parametrize("added", [{"years": 9_000}, {"days": 10**12}, {"months": -(10**9)}, {"weeks": 10**400}])
def test_a_date_outside_of_the_calendar_is_told(added: dict[str, int]) -> None:
    with pytest.raises(ToolError, match="outside of the years 1 to 9999"):
        CLOCK.add_to_date(date(2024, 1, 1), **added)


@pytest.mark.cassette(tools="live")
def test_an_agent_uses_it() -> None:
    result = Agent(model="gpt-oss-120b", tools=CLOCK.tools).run_sync("When?")
    assert [made.output for made in result.tool_calls] == [
        '{"time":"2024-07-01T14:00:00+02:00","weekday":"Monday","zone":"Europe/Oslo"}',
        '{"days":176,"workdays":126}',
        "2024-07-15 (Monday)",
    ]
    assert all(item.strict and item.effect == "pure" for item in CLOCK.tools)

"""Signatures and docstrings the way public code writes them: retail and airline desks, MCP servers, data science."""

from __future__ import annotations

import datetime as dt
import inspect
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Dict, List, Literal, Optional, Tuple, Union  # noqa: UP035

import jsonschema
import pytest
from pydantic import BaseModel, Field, HttpUrl

from agentkit.tools import collect_tools, tool
from tests.test_types_table import outside_subset

# ruff: noqa: B006, B008, E501, UP006, UP007, UP042, UP045, RUF013


class FlightInfo(BaseModel):
    flight_number: str = Field(description="Flight number, such as 'HAT001'.")
    date: str = Field(description="The date for the flight in the format 'YYYY-MM-DD', such as '2024-05-01'.")


class Passenger(BaseModel):
    first_name: str
    last_name: str
    dob: str


class Payment(BaseModel):
    payment_id: str
    amount: int


class Priority(str, Enum):
    LOW = "low"
    HIGH = "high"


class IssueFilter(BaseModel):
    """Which issues to list."""

    labels: list[str] = Field(default_factory=list, description="All of these labels.")
    assignee: str | None = None
    since: dt.datetime | None = Field(None, description="Changed at or after.")


@dataclass
class Column:
    name: str
    dtype: Literal["int", "float", "str"] = "str"


def exchange_delivered_order_items(
    order_id: str, item_ids: List[str], new_item_ids: List[str], payment_method_id: str
) -> str:
    """Exchange items in a delivered order to new items of the same product type. For a delivered order,
    return or exchange can be only done once by the agent.

    Args:
        order_id: The order id, such as '#W0000000'. Be careful there is a '#' symbol at the beginning of the order id.
        item_ids: The item ids to be exchanged, each such as '1008292230'. There could be duplicate items in the list.
        new_item_ids: The item ids to be exchanged for, each such as '1008292230'.
            There could be duplicate items in the list.
        payment_method_id: The payment method id to pay or receive refund for the item price difference,
            such as 'gift_card_0000000' or 'credit_card_0000000'.

    Returns:
        Order: The order details after the exchange.

    Raises:
        ValueError: If the order is not delivered.
    """


def modify_user_address(
    user_id: str,
    address1: str,
    address2: str,
    city: str,
    state: str,
    country: str,
    zip: str,  # noqa: A002
) -> str:
    """Modify the default address of a user.

    :param user_id: The user id, such as 'sara_doe_496'.
    :param address1: The first line of the address, such as '123 Main St'.
    :param address2: The second line, such as 'Apt 1' or ''.
    :param city: The city.
    :param state: The state, such as 'CA'.
    :param country: The country.
    :param zip: The zip code.
    :return: The user.
    """


def book_reservation(
    user_id: str,
    origin: str,
    destination: str,
    flight_type: Literal["round_trip", "one_way"],
    cabin: Literal["business", "economy", "basic_economy"],
    flights: List[FlightInfo | dict],
    passengers: List[Passenger],
    payment_methods: List[Payment],
    total_baggages: int,
    nonfree_baggages: int,
    insurance: Literal["yes", "no"],
) -> str:
    """Book a reservation."""


def cancel_reservation(reservation_id: str) -> str:
    """Cancel the whole reservation."""


def calculate(expression: str) -> str:
    """
    Calculate the result of a mathematical expression.

    Args:
        expression: The mathematical expression to calculate, such as '2 + 2'. The expression can contain numbers, operators (+, -, *, /), parentheses, and spaces.

    Returns: The result of the mathematical expression.
    """


def think(thought: str) -> str:
    """Use the tool to think about something. It will not obtain new information."""


def transfer_to_human_agents(summary: str) -> str:
    """Transfer the user to a human agent, with a summary of the user's issue.
    Only transfer if
     -  the user explicitly asks for a human agent
     -  given the policy and the available tools, you cannot solve the user's issue.
    """


async def list_issues(
    owner: Annotated[str, Field(description="Repository owner")],
    repo: Annotated[str, Field(description="Repository name")],
    state: Annotated[Literal["open", "closed", "all"], Field(description="Filter by state")] = "open",
    filter: IssueFilter = IssueFilter(),  # noqa: A002
    per_page: Annotated[int, Field(ge=1, le=100, description="Results per page (max 100)")] = 30,
    priority: Priority = Priority.LOW,
) -> list[dict[str, Any]]:
    """List issues in a repository."""


async def create_issue(
    owner: str, repo: str, title: str, body: Optional[str] = None, labels: List[str] = [], milestone: int = None
) -> dict:
    """Create an issue.

    Args:
        owner (str): Repository owner.
        repo (str): Repository name.
        title (str): Title of the issue.
        body (Optional[str]): Text in Markdown. Defaults to None.
        labels (List[str], optional): Labels. Defaults to [].
        milestone (int, optional): Number of the milestone.
    """


def read_text_file(
    path: str, tail: Annotated[int | None, "Last N lines"] = None, head: Annotated[int | None, "First N lines"] = None
) -> str:
    """Read the complete contents of a file as text. Cannot use head and tail together."""


def edit_file(path: Path, edits: list[dict[str, str]], dry_run: bool = False) -> str:
    """Edit a file.

    Args:
      path: File to edit.
      edits: List of `oldText`/`newText` pairs.
      dry_run: Preview changes using git-style diff format.
    """


def fetch(
    url: HttpUrl,
    max_length: Annotated[int, Field(gt=0, lt=1_000_000)] = 5000,
    start_index: Annotated[int, Field(ge=0)] = 0,
    raw: bool = False,
) -> str:
    """Fetches a URL from the internet and optionally extracts its contents as markdown."""


def query(sql: str, params: Optional[Sequence[Union[str, int, float, None]]] = None, *, limit: int = 100) -> list[dict]:
    """Run a read-only SQL query

    Parameters
    ----------
    sql : str
        The query; one statement.
    params : sequence, optional
        Values for the placeholders,
        in order.
    limit : int, default 100
        Rows to return at most.

    Returns
    -------
    list of dict
        One per row.

    Examples
    --------
    >>> query("select 1")
    """


def describe(
    df_name: str, percentiles: list[float] | None = None, include: Literal["all"] | list[str] | None = None
) -> dict:
    """Descriptive statistics of a data frame."""


def plot(
    x: list[float],
    y: list[float],
    kind: Literal["line", "bar", "scatter"] = "line",
    figsize: Tuple[float, float] = (6.0, 4.0),
    colors: Dict[str, str] = {},
) -> str:
    """Plot y over x."""


def create_table(name: str, columns: list[Column], if_not_exists: bool = True) -> str:
    """Create a table."""


def schedule(
    title: str,
    start: dt.datetime,
    duration: dt.timedelta = dt.timedelta(hours=1),
    attendees: set[str] = frozenset(),
    reminder: dt.time | None = None,
    all_day: dt.date | None = None,
) -> str:
    """Put an event into the calendar."""


def lookup(id: uuid.UUID | int) -> str:  # noqa: A002
    """Look a customer up by either id."""


def send_email(to: str | list[str], subject: str, body: str, headers: Mapping[str, str] | None = None) -> str:
    """Send an email.

    Args:
        to: One address, or several.

        subject: The subject line; keep it short.

        body: Plain text.
    """


def set_thermostat(
    room: Literal["kitchen", "bath"], celsius: Annotated[float, Field(ge=5, le=30, multiple_of=0.5)]
) -> str:
    """Set the temperature of a room."""


STRICT = [
    (
        exchange_delivered_order_items,
        {"order_id": "#W1", "item_ids": ["1"], "new_item_ids": ["2"], "payment_method_id": "p"},
    ),
    (
        modify_user_address,
        {"user_id": "u", "address1": "a", "address2": "", "city": "c", "state": "s", "country": "US", "zip": "1"},
    ),
    (cancel_reservation, {"reservation_id": "R"}),
    (calculate, {"expression": "2 + 2"}),
    (think, {"thought": "hm"}),
    (transfer_to_human_agents, {"summary": "s"}),
    (
        list_issues,
        {
            "owner": "o",
            "repo": "r",
            "state": None,
            "filter": {"labels": ["bug"], "assignee": None, "since": "2025-01-31T10:00:00Z"},
            "per_page": 5,
            "priority": "high",
        },
    ),
    (create_issue, {"owner": "o", "repo": "r", "title": "t", "body": None, "labels": None, "milestone": None}),
    (read_text_file, {"path": "p", "tail": 5, "head": None}),
    (fetch, {"url": "https://example.org/", "max_length": 10, "start_index": None, "raw": None}),
    (query, {"sql": "select ?", "params": ["a", 1, 2.5, None], "limit": None}),
    (describe, {"df_name": "d", "percentiles": [0.5], "include": "all"}),
    (create_table, {"name": "t", "columns": [{"name": "a", "dtype": None}], "if_not_exists": None}),
    (
        schedule,
        {
            "title": "t",
            "start": "2025-01-31T10:00:00",
            "duration": "PT30M",
            "attendees": ["a"],
            "reminder": None,
            "all_day": None,
        },
    ),
    (lookup, {"id": 5}),
    (set_thermostat, {"room": "bath", "celsius": 21.5}),
]
LOOSE = [
    (
        book_reservation,
        {
            "user_id": "u",
            "origin": "SFO",
            "destination": "JFK",
            "flight_type": "one_way",
            "cabin": "economy",
            "flights": [{"flight_number": "HAT001", "date": "2024-05-01"}],
            "passengers": [],
            "payment_methods": [{"payment_id": "p", "amount": 5}],
            "total_baggages": 0,
            "nonfree_baggages": 0,
            "insurance": "no",
        },
        "'flights.items' is a map with free keys",
    ),
    (
        edit_file,
        {"path": "a.txt", "edits": [{"oldText": "a", "newText": "b"}]},
        "'edits.items' is a map with free keys",
    ),
    (
        plot,
        {"x": [1], "y": [2.5], "figsize": [3, 4], "colors": {"a": "red"}},
        "'figsize' is a tuple, which has no strict form (a list, or an object with named fields, has one)",
    ),
    (send_email, {"to": ["a@b.c"], "subject": "s", "body": "b"}, "'headers' is a map with free keys"),
]
ALL = [row[:2] for row in (*STRICT, *LOOSE)]
each = pytest.mark.parametrize(("function", "arguments"), ALL, ids=[row[0].__name__ for row in ALL])


@each
def test_schema_is_valid_and_admits_the_arguments(function, arguments):
    made = tool(function)
    jsonschema.Draft202012Validator.check_schema(made.schema)
    jsonschema.Draft202012Validator(made.schema).validate(arguments)


@pytest.mark.parametrize("function", [row[0] for row in STRICT], ids=[row[0].__name__ for row in STRICT])
def test_schema_is_strict_where_possible(function):
    made = tool(function)
    assert (made.strict, made.strict_reason) == (True, None)
    assert outside_subset(made.schema) == []


@pytest.mark.parametrize(
    ("function", "reason"), [(row[0], row[2]) for row in LOOSE], ids=[row[0].__name__ for row in LOOSE]
)
def test_schema_says_why_it_is_not_strict(function, reason):
    assert tool(function).strict_reason == reason


@each
def test_arguments_are_accepted_and_an_extra_one_refused(function, arguments):
    made = tool(function)
    args, kwargs = made.bind(made.check(json.dumps(arguments)))
    inspect.signature(function).bind(*args, **kwargs)
    with pytest.raises(ValueError, match="surplus: unknown"):
        made.check(json.dumps({**arguments, "surplus": 1}))


@each
def test_every_argument_is_checked(function, arguments):
    """A value of a type that no parameter has is refused, for each parameter in turn."""
    made = tool(function)
    for name in arguments:
        with pytest.raises(ValueError, match=name):
            made.check(json.dumps({**arguments, name: [{"wrong": [True]}, True]}))


def test_descriptions_of_the_docstring_reach_the_schema():
    made = {item.name: item for item in collect_tools([row[0] for row in ALL])}
    found = {
        (name, key): made[name].schema["properties"][key].get("description")
        for name, key in [
            ("exchange_delivered_order_items", "new_item_ids"),
            ("modify_user_address", "zip"),
            ("query", "params"),
            ("create_issue", "labels"),
            ("send_email", "subject"),
            ("edit_file", "dry_run"),
            ("list_issues", "per_page"),
            ("read_text_file", "tail"),
        ]
    }
    assert found == {
        (
            "exchange_delivered_order_items",
            "new_item_ids",
        ): "The item ids to be exchanged for, each such as '1008292230'. There could be duplicate items in the list.",
        ("modify_user_address", "zip"): "The zip code.",
        ("query", "params"): "Values for the placeholders, in order.",
        ("create_issue", "labels"): "Labels. Defaults to [].",
        ("send_email", "subject"): "The subject line; keep it short.",
        ("edit_file", "dry_run"): "Preview changes using git-style diff format.",
        ("list_issues", "per_page"): "Results per page (max 100). Default: 30.",
        ("read_text_file", "tail"): "Last N lines",
    }
    assert made["query"].description == "Run a read-only SQL query"
    assert made["calculate"].description == "Calculate the result of a mathematical expression."
    assert made["exchange_delivered_order_items"].description.endswith("can be only done once by the agent.")

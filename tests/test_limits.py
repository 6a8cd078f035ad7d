"""Where a run stops by itself."""

from __future__ import annotations

import pytest

from agentkit.errors import UsageError
from agentkit.limits import Limits, Prices, total_tokens
from agentkit.response import Usage

COUNTS = ["turns", "tool_calls", "calls_per_response", "input_tokens", "output_tokens", "total_tokens"]


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("value", [-1, 1.5, "5", True])
def test_a_count_is_a_whole_number(name: str, value: object):
    with pytest.raises(UsageError, match=f"^{name}="):
        Limits(**{name: value})


@pytest.mark.parametrize("name", ["seconds", "cost"])
@pytest.mark.parametrize("value", [-0.1, float("nan"), "5", True])
def test_seconds_and_cost_are_numbers(name: str, value: object):
    with pytest.raises(UsageError, match=f"^{name}="):
        Limits(**{name: value}, prices=Prices(input=1, output=1))


@pytest.mark.parametrize("value", [0, None])
def test_at_least_one_call_of_a_response_is_run(value: object):
    with pytest.raises(UsageError, match=r"^calls_per_response="):
        Limits(calls_per_response=value)


def test_a_cost_needs_prices():
    with pytest.raises(UsageError, match=r"Give prices=Prices\(input=..., output=...\)"):
        Limits(cost=1)


@pytest.mark.parametrize("prices", [{"input": -1}, {"output": float("nan")}, {"cached_input": "1"}, {"input": None}])
def test_prices_are_not_negative(prices: dict):
    with pytest.raises(UsageError, match="allowed is a price per million tokens, not negative"):
        Prices(**{"input": 1, "output": 1, **prices})


USED = Usage(input_tokens=1_500_000, output_tokens=200_000, total_tokens=1_700_000)
REACHED = [
    (Limits(), None),
    (Limits(input_tokens=1_500_001), None),
    (Limits(input_tokens=1_500_000), "input_tokens: 1500000 used, 1500000 allowed"),
    (Limits(output_tokens=5), "output_tokens: 200000 used, 5 allowed"),
    (Limits(total_tokens=1_000_000), "total_tokens: 1700000 used, 1000000 allowed"),
    (Limits(cost=3.5, prices=Prices(input=1, output=10)), "cost: 3.5 used, 3.5 allowed"),
    (Limits(cost=3.6, prices=Prices(input=1, output=10)), None),
]


@pytest.mark.parametrize(("limits", "expected"), REACHED)
def test_a_limit_is_reached_at_its_number(limits: Limits, expected: str | None):
    assert limits.exceeded_by(USED) == expected


def test_prices_are_given_as_prices():
    with pytest.raises(UsageError, match=r"prices=\{'a': 1\}; give prices=Prices"):
        Limits(cost=1, prices={"a": 1})


def test_a_tiny_cost_is_shown():
    limits = Limits(cost=1e-9, prices=Prices(input=0.5, output=0))
    assert limits.exceeded_by(Usage(input_tokens=7)) == "cost: 3.5e-06 used, 1e-09 allowed"


def test_without_usage_no_limit_is_reached():
    limits = Limits(input_tokens=0, output_tokens=0, total_tokens=0, cost=0, prices=Prices(input=1, output=1))
    assert limits.exceeded_by(Usage(unreported=3)) is None


COSTS = [
    (Usage(input_tokens=1_000_000), 2.0),
    (Usage(output_tokens=500_000), 4.0),
    (Usage(input_tokens=1_000_000, cached_tokens=500_000), 1.25),
    (Usage(input_tokens=1_000_000, cached_tokens=9_000_000), 0.5),
    (Usage(total_tokens=5), None),
]


@pytest.mark.parametrize(("usage", "expected"), COSTS)
def test_what_a_usage_costs(usage: Usage, expected: float | None):
    assert Prices(input=2, output=8, cached_input=0.5).cost(usage) == expected


def test_cached_tokens_cost_as_others_unless_said():
    assert Prices(input=2, output=8).cost(Usage(input_tokens=1_000_000, cached_tokens=500_000)) == 2.0


TOTALS = [
    (Usage(), None),
    (Usage(total_tokens=7), 7),
    (Usage(input_tokens=3, output_tokens=4), 7),
    (Usage(input_tokens=3), 3),
    (Usage.parse({"input_tokens": 60, "output_tokens": 40, "total_tokens": 100}), 100),
    (
        Usage.parse({"input_tokens": 60, "output_tokens": 40, "total_tokens": 100})
        + Usage.parse({"input_tokens": 60, "output_tokens": 40}),
        200,
    ),
]


@pytest.mark.parametrize(("usage", "expected"), TOTALS)
def test_a_total_counts_also_what_the_server_did_not_add_up(usage: Usage, expected: int | None):
    assert total_tokens(usage) == expected


@pytest.mark.parametrize("name", ["input_tokens", "output_tokens", "total_tokens"])
def test_which_limits_need_usage(name: str):
    assert Limits(**{name: 5}).need_usage
    assert not Limits(turns=1, tool_calls=1, seconds=1).need_usage

"""A server that is down for five minutes isn't buried in retries, and is itself again afterwards."""

from __future__ import annotations

import functools
import math

import pytest

from agentkit import RetryPolicy
from tests.faults.outage import CLIENTS, DOWN_S, END_S, simulate

SETTLED_S = 10.0
"""How long after the budget is spent the last waits that it paid for are over."""

WITHOUT_RETRIES = functools.cache(lambda: simulate(RetryPolicy.none()))
WITH_THEM = functools.cache(lambda shared, status: simulate(RetryPolicy(), status=status, shared=shared))


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("shared", [False, True], ids=["fifty clients", "one client"])
def test_a_spent_budget_bounds_what_reaches_the_server(shared: bool, status: int) -> None:
    down, up = DOWN_S
    outcome = WITH_THEM(shared, status)
    assert down < outcome.spent_at < down + 60
    start = outcome.spent_at + SETTLED_S
    plain = WITHOUT_RETRIES().between(WITHOUT_RETRIES().received, start, up)
    assert plain > 1000
    assert outcome.between(outcome.received, start, up) <= 1.1 * plain
    assert len(outcome.received) - len(outcome.asked) <= (1 if shared else CLIENTS) * 10 + 0.1 * len(outcome.asked)


@pytest.mark.parametrize("shared", [False, True], ids=["fifty clients", "one client"])
def test_after_the_outage_everything_works_again(shared: bool) -> None:
    _, up = DOWN_S
    outcome = WITH_THEM(shared, 503)
    settled = up + 5
    assert outcome.between(outcome.failed, settled, math.inf) == 0
    asked = outcome.between(outcome.asked, settled, END_S)
    assert asked > 1000
    assert outcome.between(outcome.received, settled, math.inf) == pytest.approx(asked, abs=CLIENTS)


def test_without_a_budget_it_would_be_four_times_as_much() -> None:
    """What the budget is for; and that the simulation would show it."""
    _, up = DOWN_S
    outcome = simulate(RetryPolicy(budget_burst=math.inf))
    plain = WITHOUT_RETRIES().between(WITHOUT_RETRIES().received, up - 60, up)
    assert outcome.between(outcome.received, up - 60, up) > 3.5 * plain

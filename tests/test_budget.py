"""The budget: retries that requests earn, and spend."""

from __future__ import annotations

import math

from agentkit.budget import Budget


def test_it_begins_full_and_ends_empty():
    budget = Budget(0.1, 10)
    assert [budget.spend() for _ in range(12)] == [True] * 10 + [False] * 2
    assert budget.left == 0


def test_ten_requests_earn_a_retry():
    budget = Budget(0.1, 10)
    while budget.spend():
        pass
    paid = 0
    for _ in range(1000):
        budget.earn()
        paid += budget.spend()
    assert paid == 100


def test_it_holds_no_more_than_its_size():
    budget = Budget(0.1, 2)
    for _ in range(1000):
        budget.earn()
    assert [budget.spend() for _ in range(3)] == [True, True, False]


def test_none_and_endless():
    assert not Budget(0, 0).spend()
    endless = Budget(0.1, math.inf)
    assert all(endless.spend() for _ in range(1000))

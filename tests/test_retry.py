"""What is tried again, how often, and after how long: the policy alone, without a server or a clock."""

import logging

import pytest

from agentkit.budget import Budget
from agentkit.errors import (
    AuthenticationError,
    BadRequest,
    CassetteMismatch,
    ProtocolError,
    RateLimited,
    ResponseFailed,
    ServerError,
    StreamBroken,
    Timeout,
    TransportError,
    UsageError,
)
from agentkit.profile import OPENAI, OTHER, SAMBANOVA
from agentkit.retry import Attempts, RetryPolicy, is_overload


def status(number, code=None, *, hint=None, should_retry=None, cls=ServerError):
    error = cls(f"answered {number}", status=number, code=code, retry_after_s=hint)
    error.should_retry = should_retry
    return error


def transport(kind):
    error = TransportError(kind)
    error.kind = kind
    return error


def waits(*errors, profile=OTHER, refreshable_key=False, resample=True, budget=None, random=lambda: 1.0, **policy):
    """Return the wait after each failure, up to the first None, the last failure coming again and again."""
    attempts = Attempts(
        RetryPolicy(random=random, **policy),
        profile,
        budget=budget,
        refreshable_key=refreshable_key,
        resample=resample,
    )
    found = []
    for number in range(12):
        found.append(attempts.next_wait(errors[min(number, len(errors) - 1)], 0.0))
        if found[-1] is None:
            return found
    raise AssertionError("it never gives up")


PATIENT = [0.5, 1.0, 2.0, None]

CASES = [
    ("reset", [TransportError("reset")], PATIENT),
    ("broken stream", [StreamBroken("cut")], PATIENT),
    ("silence", [Timeout("idle")], PATIENT),
    *[(str(number), [status(number)], PATIENT) for number in (408, 409, 425, 429, 500, 502, 503, 504, 520, 524, 529)],
    *[(str(number), [status(number)], [None]) for number in (400, 401, 402, 403, 404, 413, 422, 501, 505)],
    ("failed in-band", [ResponseFailed("x", code="server_error")], PATIENT),
    ("rate limit in-band", [ResponseFailed("x", code="rate_limit_exceeded")], PATIENT),
    ("failed for good", [ResponseFailed("x", code="invalid_prompt")], [None]),
    ("failed without a code", [ResponseFailed("x")], [None]),
    ("error in a 200", [status(200, "server_error")], PATIENT),
    ("stale, then fine", [transport("stale"), status(400)], [0.0, None]),
    ("stale doesn't count", [transport("stale"), status(500)], [0.0, 0.5, 1.0, 2.0, None]),
    ("always hung up on", [transport("stale")], [0.0, 0.5, 1.0, 2.0, None]),
    ("unresolved", [transport("unresolved")], [0.5, None]),
    ("certificate", [transport("final")], [None]),
    ("protocol", [ProtocolError("x")], [0.5, None]),
    ("unreadable call", [status(400, "adapter_mapping_failed")], [0.5, 1.0, None]),
    ("unreadable call in-band", [ResponseFailed("x", code="adapter_mapping_failed")], [0.5, 1.0, None]),
    ("told not to", [status(503, should_retry=False)], [None]),
    ("told to", [status(400, should_retry=True)], PATIENT),
    ("caller's mistake", [UsageError("x")], [None]),
    ("cassette", [CassetteMismatch("x")], [None]),
    ("hint", [status(429, hint=7.0)], [7.7, 7.7, 7.7, None]),
    ("hint of nothing", [status(429, hint=0.0)], PATIENT),
    ("hint too long", [status(429, hint=3600.0)], [None]),
]


@pytest.mark.parametrize(("errors", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_the_table(errors, expected):
    assert waits(*errors) == pytest.approx(expected)


def test_a_spent_quota_depends_on_the_server():
    spent = status(429, "insufficient_quota", cls=RateLimited)
    assert waits(spent, profile=OPENAI) == [None]
    assert waits(spent, profile=SAMBANOVA) == PATIENT
    assert waits(ResponseFailed("x", code="insufficient_quota"), profile=OPENAI) == [None]


def test_a_refused_key_is_fetched_anew_once():
    refused = status(401, cls=AuthenticationError)
    assert waits(refused, refreshable_key=True) == [0.0, None]
    assert waits(status(403, cls=AuthenticationError), refreshable_key=True) == [None]


def test_waits_are_drawn_evenly_from_zero_to_a_growing_bound():
    draws = iter([0.0, 0.25, 0.5, 1.0])
    assert waits(TransportError("x"), random=lambda: next(draws), attempts=5) == [0.0, 0.25, 1.0, 4.0, None]


def test_the_bound_stops_growing():
    found = waits(TransportError("x"), attempts=10, base_s=1.0, cap_s=5.0)
    assert found == [1.0, 2.0, 4.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, None]


def test_a_hint_is_never_undercut():
    assert waits(status(429, hint=7.0), random=lambda: 0.0, attempts=2) == [7.0, None]


def test_none_means_none():
    """Not even the free retry of a stale connection: the caller asked for one request."""
    for error in (TransportError("x"), transport("stale"), status(503), ProtocolError("x")):
        policy = RetryPolicy.none()
        assert Attempts(policy, OTHER).next_wait(error, 0.0) is None


def test_attempts_are_recorded():
    attempts = Attempts(RetryPolicy(random=lambda: 1.0), OTHER)
    first, second = status(500), BadRequest("no", status=400)
    attempts.next_wait(first, 0.25)
    attempts.next_wait(second, 0.5)
    assert [(a.number, a.error, a.duration_s, a.wait_s) for a in attempts.failed] == [
        (1, first, 0.25, 0.5),
        (2, second, 0.5, None),
    ]


def test_a_wait_above_a_second_is_a_warning(caplog):
    with caplog.at_level(logging.INFO, "agentkit"):
        waits(status(429, hint=1.0), random=lambda: 0.0, attempts=2)
        waits(status(429, hint=1.5), random=lambda: 0.0, attempts=2)
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING"]
    assert caplog.messages[1] == "attempt 1 failed, next in 1.50 s: answered 429"


@pytest.mark.parametrize(
    "options",
    [
        {"attempts": 0},
        {"attempts": True},
        {"attempts": 1.5},
        {"base_s": -1},
        {"cap_s": float("nan")},
        {"budget_ratio": -0.1},
        {"budget_burst": float("nan")},
    ],
)
def test_senseless_policies_are_refused(options):
    with pytest.raises(UsageError, match=next(iter(options))):
        RetryPolicy(**options)


def test_a_call_that_may_not_be_resampled():
    assert waits(status(400, "adapter_mapping_failed"), resample=False) == [None]
    assert waits(status(503), resample=False) == PATIENT


def test_retries_are_paid_from_the_budget(caplog):
    budget = Budget(0.0, 2)
    error = status(503)
    with caplog.at_level(logging.INFO, "agentkit"):
        assert waits(error, budget=budget) == [0.5, 1.0, None]
    assert error.__notes__ == [
        "Not tried again: too many of this client's requests failed, and its retry budget is spent."
    ]
    assert "the retry budget is spent: attempt 3 is the last: answered 503" in caplog.text
    for failure in (TransportError("x"), ProtocolError("x"), status(429, hint=1.0)):
        assert waits(failure, budget=budget) == [None]
    assert waits(transport("stale"), budget=budget) == [0.0, None]  # what is sent again at once is no second try


def test_what_is_not_tried_again_costs_nothing():
    budget = Budget(0.0, 1)
    for failure in (status(400), transport("final"), status(429, hint=3600.0), UsageError("x")):
        assert waits(failure, budget=budget) == [None]
    assert budget.left == 1


def test_a_new_key_needs_no_budget():
    assert waits(status(401, cls=AuthenticationError), refreshable_key=True, budget=Budget(0, 0)) == [0.0, None]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (status(429, cls=RateLimited), True),
        (status(429, "queue_full", cls=RateLimited), True),
        (status(200, "queue_full", cls=RateLimited), True),
        (status(503), True),
        (ResponseFailed("x", code="rate_limit_exceeded"), True),
        (ResponseFailed("x", code="server_error"), False),
        (status(500), False),
        (status(400, cls=BadRequest), False),
        (TransportError("x"), False),
    ],
)
def test_what_says_that_the_server_has_too_much_to_do(error, expected):
    assert is_overload(error, SAMBANOVA) is expected


def test_an_account_out_of_credit_is_no_overload():
    spent = status(429, "insufficient_quota", cls=RateLimited)
    assert (is_overload(spent, SAMBANOVA), is_overload(spent, OPENAI)) == (True, False)

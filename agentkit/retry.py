"""When a failed request is sent again, and after how long. tenacity decides; nothing here sleeps by itself.

What kind of failure it was comes first, since kinds differ in how often it makes sense to try:

| failure | tries after the first |
|---|---|
| connection refused, reset, cut, silent; 408, 409, 425, 429, 5xx; failed in-band by the server | the policy's |
| a kept connection that the server had closed | one at once, which doesn't count |
| the host name doesn't resolve | one |
| the server broke the protocol | one |
| `adapter_mapping_failed`: the model wrote a call that the server couldn't read | two |
| 401, where `api_key` is a function, which may know a newer key | one at once |
| certificate, other 4xx, 501, 505, spent quota, a wait longer than `max_hint_s`, the total deadline | none |

The server's `x-should-retry` goes before its code, and the code before its status. No row gets more than the policy's
attempts, and each retry is paid from the client's budget (see `Budget`), but for the two that are made at once.
"""

from __future__ import annotations

import asyncio
import logging
import random as _random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentkit.errors import (
    AgentkitError,
    ProtocolError,
    ResponseFailed,
    StatusError,
    TransportError,
    UsageError,
)
from agentkit.status import RATE_CODES, SERVER_CODES, UNREADABLE_CALL

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import tenacity

    from agentkit.budget import Budget
    from agentkit.profile import Profile

RETRIED_STATUS = {408, 409, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529}
RETRIES = {"stale": 1, "unresolved": 1, "protocol": 1, "unreadable_call": 2, "unauthorized": 1, "final": 0}
"""Retries for a kind of failure, where that isn't left to the policy."""
AT_ONCE = {"stale", "unauthorized"}
"""Kinds that waiting doesn't help."""

_log = logging.getLogger("agentkit")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One HTTP request that failed, for `error.attempts`."""

    number: int
    """From 1."""
    error: AgentkitError
    """Why it failed."""
    duration_s: float
    """Seconds from sending to failing."""
    wait_s: float | None
    """Seconds waited afterwards; None for the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and how patiently a client tries again.

    Waits are drawn evenly between 0 and `base_s * 2**n`, at most `cap_s` ("full jitter"); a server's own hint
    goes before, with up to a tenth added. A hint above `max_hint_s` isn't waited for: the error tells it.
    """

    attempts: int = 4
    """Requests in all, the first included."""
    base_s: float = 0.5
    """Upper end of the first wait."""
    cap_s: float = 30.0
    """Longest wait that the client chooses by itself."""
    max_hint_s: float = 60.0
    """Longest wait that a server can ask for."""
    budget_ratio: float = 0.1
    """Retries that each request of a client adds to its budget: a tenth of its requests may be retried for long."""
    budget_burst: float = 10.0
    """Most retries that the budget holds, and what it begins with; `math.inf` for no budget."""
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    """How to wait."""
    random: Callable[[], float] = _random.random
    """Numbers from 0 to 1."""
    clock: Callable[[], float] = time.monotonic
    """Seconds, for durations."""

    def __post_init__(self) -> None:
        if isinstance(self.attempts, bool) or not isinstance(self.attempts, int) or self.attempts < 1:
            raise UsageError(f"attempts={self.attempts!r}; allowed is a whole number from 1 (1: no retries).")
        for name in ("base_s", "cap_s", "max_hint_s", "budget_ratio", "budget_burst"):
            if not getattr(self, name) >= 0:
                unit = "seconds" if name.endswith("_s") else "numbers"
                raise UsageError(f"{name}={getattr(self, name)!r}; allowed are {unit}, not negative.")

    @classmethod
    def none(cls) -> RetryPolicy:
        """Return a policy that never tries again."""
        return cls(attempts=1)


class Attempts:
    """The failed attempts of one request, and the decision after each of them."""

    __slots__ = (
        "_budget",
        "_kinds",
        "_policy",
        "_profile",
        "_refreshable",
        "_resample",
        "_retrying",
        "_state",
        "failed",
    )

    def __init__(
        self,
        policy: RetryPolicy,
        profile: Profile,
        *,
        budget: Budget | None = None,
        refreshable_key: bool = False,
        resample: bool = True,
    ) -> None:
        """`resample` tells whether a call that the server couldn't read may be asked for again unchanged."""
        import tenacity  # 9 ms, needed only once something has failed

        self.failed: list[Attempt] = []
        self._policy = policy
        self._profile = profile
        self._budget = budget
        self._refreshable = refreshable_key
        self._resample = resample
        self._kinds: list[str] = []
        self._retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(self._may_retry), stop=self._is_spent, wait=self._wait
        )
        self._state = tenacity.RetryCallState(self._retrying, None, (), {})

    def next_wait(self, error: AgentkitError, duration_s: float) -> float | None:
        """Record a failure; return the seconds to wait before the next attempt, or None to give up."""
        self._kinds.append(self._kind(error))
        self._state.set_exception((type(error), error, error.__traceback__))
        again = self._retrying.retry(self._state) and not self._retrying.stop(self._state) and self._can_pay(error)
        wait = float(self._retrying.wait(self._state)) if again else None
        self._state.prepare_for_next_attempt()
        self.failed.append(Attempt(len(self.failed) + 1, error, duration_s, wait))
        if wait is not None:
            level = logging.WARNING if wait > 1 else logging.INFO
            _log.log(level, "attempt %d failed, next in %.2f s: %s", len(self.failed), wait, error)
        return wait

    def _kind(self, error: AgentkitError) -> str:
        kind = failure_kind(error, self._profile)
        if kind == "stale" and "stale" in self._kinds:
            return "transient"  # no old connection any more, but a server that hangs up
        if kind == "unauthorized" and not self._refreshable:
            return "final"
        if kind == "unreadable_call" and not self._resample:
            return "final"
        return kind

    def _can_pay(self, error: AgentkitError) -> bool:
        # A new key is no second try of the same thing, and neither is what was sent to a connection that was closed.
        if self._budget is None or self._kinds[-1] in AT_ONCE or self._budget.spend():
            return True
        error.add_note("Not tried again: too many of this client's requests failed, and its retry budget is spent.")
        _log.info("the retry budget is spent: attempt %d is the last: %s", len(self.failed) + 1, error)
        return False

    def _may_retry(self, error: BaseException) -> bool:
        kind = self._kinds[-1]
        allowed = RETRIES.get(kind)
        hint = _hint(error)
        return (allowed is None or self._kinds.count(kind) <= allowed) and (
            hint is None or hint <= self._policy.max_hint_s
        )

    def _is_spent(self, _state: tenacity.RetryCallState) -> bool:
        counted = len(self._kinds) - self._kinds.count("stale")
        return self._policy.attempts == 1 or counted >= self._policy.attempts

    def _wait(self, state: tenacity.RetryCallState) -> float:
        policy = self._policy
        if self._kinds[-1] in AT_ONCE:
            return 0.0
        hint = _hint(state.outcome.exception() if state.outcome else None)
        if hint:  # zero seconds say nothing: backing off is our own business
            return hint * (1 + 0.1 * policy.random())
        earlier = sum(kind not in AT_ONCE for kind in self._kinds[:-1])
        longest: float = min(policy.cap_s, policy.base_s * 2 ** min(earlier, 32))
        return policy.random() * longest


def _hint(error: BaseException | None) -> float | None:
    hint = getattr(error, "retry_after_s", None)
    return float(hint) if hint is not None else None


def failure_kind(error: AgentkitError, profile: Profile) -> str:
    """Return which row of the table above a failure belongs to."""
    if isinstance(error, TransportError):
        return error.kind
    if isinstance(error, StatusError):
        return _status_kind(error, profile)
    if isinstance(error, ResponseFailed):
        code = error.code
        if code == UNREADABLE_CALL:
            return "unreadable_call"
        return "transient" if code not in profile.final_codes and code in SERVER_CODES | RATE_CODES else "final"
    return "protocol" if isinstance(error, ProtocolError) else "final"


def is_overload(error: AgentkitError, profile: Profile) -> bool:
    """Tell whether a server says that it has too much to do, so that fewer requests at once would help."""
    code = getattr(error, "code", None)
    if code in profile.final_codes:
        return False
    if isinstance(error, StatusError):
        return error.status in (429, 503) or code in RATE_CODES
    return isinstance(error, ResponseFailed) and code in RATE_CODES


def _status_kind(error: StatusError, profile: Profile) -> str:
    if error.should_retry is not None:
        return "transient" if error.should_retry else "final"
    if error.code in profile.final_codes:
        return "final"
    if error.code == UNREADABLE_CALL:
        return "unreadable_call"
    if error.status == 401:
        return "unauthorized"
    if error.status in RETRIED_STATUS or (error.status in (200, 400) and error.code in SERVER_CODES | RATE_CODES):
        return "transient"
    return "final"

"""Where a run stops by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentkit.errors import UsageError

if TYPE_CHECKING:
    from agentkit.response import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """What tokens cost, in any currency, per million."""

    input: float
    """Per million input tokens."""
    output: float
    """Per million output tokens."""
    cached_input: float | None = None
    """Per million input tokens served from the server's cache; None: as `input`."""

    def __post_init__(self) -> None:
        for name in ("input", "output", "cached_input"):
            value = getattr(self, name)
            if not _is_amount(value) and not (value is None and name == "cached_input"):
                raise UsageError(f"{name}={value!r}; allowed is a price per million tokens, not negative.")

    def cost(self, usage: Usage) -> float | None:
        """Return what this usage costs, or None where it isn't known."""
        if usage.input_tokens is None and usage.output_tokens is None:
            return None
        cached = min(usage.cached_tokens or 0, usage.input_tokens or 0)
        cached_price = self.input if self.cached_input is None else self.cached_input
        fresh = (usage.input_tokens or 0) - cached
        return (fresh * self.input + cached * cached_price + (usage.output_tokens or 0) * self.output) / 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Where a run stops with `LimitReached`. None: no limit. The counts are of one run, not of its transcript."""

    turns: int | None = 32
    """Responses."""
    tool_calls: int | None = None
    """Calls of tools. Reached before a response's calls are run, they stay open, and run on continuing."""
    calls_per_response: int = 64
    """Calls run of one response; those beyond get an error as their output, and the run goes on."""
    input_tokens: int | None = None
    """Tokens sent, summed over the turns."""
    output_tokens: int | None = None
    """Tokens written, summed over the turns."""
    total_tokens: int | None = None
    """Tokens sent and written, summed over the turns."""
    seconds: float | None = None
    """Seconds on the clock. What runs when they have passed is cancelled."""
    cost: float | None = None
    """Money, in the currency of `prices`."""
    prices: Prices | None = None
    """What tokens cost; needed for `cost`."""

    def __post_init__(self) -> None:
        for name in ("turns", "tool_calls", "calls_per_response", "input_tokens", "output_tokens", "total_tokens"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
                raise UsageError(f"{name}={value!r}; allowed is a whole number, not negative, or None for no limit.")
        for name in ("seconds", "cost"):
            value = getattr(self, name)
            if value is not None and not _is_amount(value):
                raise UsageError(f"{name}={value!r}; allowed is a number, not negative, or None for no limit.")
        if self.calls_per_response is None or self.calls_per_response < 1:
            raise UsageError(f"calls_per_response={self.calls_per_response!r}; allowed is a whole number from 1.")
        if self.prices is not None and not isinstance(self.prices, Prices):
            raise UsageError(f"prices={self.prices!r}; give prices=Prices(input=..., output=...).")
        if self.cost is not None and self.prices is None:
            raise UsageError("cost is limited, but there are no prices. Give prices=Prices(input=..., output=...).")

    def exceeded_by(self, usage: Usage) -> str | None:
        """Return which limit on tokens or cost this usage has reached, in words, or None."""
        counts: list[tuple[str, float | None, float | None]] = [
            ("input_tokens", usage.input_tokens, self.input_tokens),
            ("output_tokens", usage.output_tokens, self.output_tokens),
            ("total_tokens", total_tokens(usage), self.total_tokens),
            ("cost", self.prices.cost(usage) if self.prices else None, self.cost),
        ]
        for name, used, allowed in counts:
            if used is not None and allowed is not None and used >= allowed:
                return f"{name}: {_shown(used)} used, {_shown(allowed)} allowed"
        return None

    @property
    def need_usage(self) -> bool:
        """Whether any of them can only be checked where the server reports usage."""
        return any(x is not None for x in (self.input_tokens, self.output_tokens, self.total_tokens, self.cost))


def total_tokens(usage: Usage) -> int | None:
    """Return the tokens of a usage, summed by ourselves where the server gave only the parts.

    In a sum over several responses the total may be that of some of them only: the larger number holds.
    """
    if usage.total_tokens is None and usage.input_tokens is None and usage.output_tokens is None:
        return None
    return max(usage.total_tokens or 0, (usage.input_tokens or 0) + (usage.output_tokens or 0))


def _is_amount(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0  # NaN isn't


def _shown(amount: float) -> str:
    return str(amount) if isinstance(amount, int) else f"{amount:g}"

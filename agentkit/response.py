"""One finished answer: a typed view over the server's response object, which is kept whole.

Required of a server is nothing but `output`. Even SambaNova's own examples leave out fields that its
specification marks as required, so every other field may be absent (protocol notes, section 4).
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from agentkit import items
from agentkit.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentkit.items import FunctionCall, Item
    from agentkit.json import JSON, JSONObject
    from agentkit.retry import Attempt

_N = TypeVar("_N", int, float)

_MOST = 1e18  # more is no count of tokens and no time; it also keeps infinities and NaN out


@dataclass(frozen=True, slots=True, repr=False)
class Usage:
    """Tokens and times, of one response or summed over several.

    None means that the server didn't say. A sum adds what is there; `unreported` counts the responses that
    carried no token counts, so that a sum is never mistaken for the whole.
    """

    input_tokens: int | None = None
    """Tokens of the conversation that was sent."""
    output_tokens: int | None = None
    """Tokens that the model wrote, reasoning included."""
    total_tokens: int | None = None
    """Both together, as the server counts them."""
    cached_tokens: int | None = None
    """The part of `input_tokens` that came from the server's cache."""
    reasoning_tokens: int | None = None
    """The part of `output_tokens` spent on reasoning."""
    total_latency: float | None = None
    """Seconds that the server worked on it (SambaNova)."""
    time_to_first_token: float | None = None
    """Seconds until the first token (SambaNova); None on sums."""
    output_tokens_per_sec: float | None = None
    """Tokens a second, over the whole of it (SambaNova); None on sums."""
    output_tokens_after_first_per_sec: float | None = None
    """Tokens a second, after the first (SambaNova); None on sums."""
    total_tokens_per_sec: float | None = None
    """Input and output tokens a second (SambaNova); None on sums."""
    acceptance_rate: float | None = None
    """Of speculative decoding (SambaNova); None on sums."""
    start_time: float | None = None
    """Unix time in seconds (SambaNova); None on sums."""
    end_time: float | None = None
    """Unix time in seconds (SambaNova); None on sums."""
    unreported: int = 0
    """Responses without token counts."""
    replayed: int = field(default=0, compare=False)
    """Responses that came from a cassette: their tokens were paid for when it was recorded."""
    raw: Mapping[str, JSON] = field(default_factory=dict, repr=False, compare=False)
    """The server's usage object, unknown fields included; empty on sums."""

    @classmethod
    def parse(cls, raw: object) -> Usage:
        """Read a server's usage object; whatever is missing or of a wrong type reads as None."""
        if not isinstance(raw, dict):
            return cls(unreported=1)
        input_tokens, output_tokens = _count(raw.get("input_tokens")), _count(raw.get("output_tokens"))
        return cls(
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            total_tokens=_count(raw.get("total_tokens")),
            cached_tokens=_count(_member(raw.get("input_tokens_details"), "cached_tokens")),
            reasoning_tokens=_count(_member(raw.get("output_tokens_details"), "reasoning_tokens")),
            total_latency=_number(raw.get("total_latency")),
            time_to_first_token=_number(raw.get("time_to_first_token")),
            output_tokens_per_sec=_number(raw.get("output_tokens_per_sec")),
            output_tokens_after_first_per_sec=_number(raw.get("output_tokens_after_first_per_sec")),
            total_tokens_per_sec=_number(raw.get("total_tokens_per_sec")),
            acceptance_rate=_number(raw.get("acceptance_rate")),
            start_time=_number(raw.get("start_time")),
            end_time=_number(raw.get("end_time")),
            unreported=1 if input_tokens is None and output_tokens is None else 0,
            raw=raw,
        )

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            input_tokens=_sum(self.input_tokens, other.input_tokens),
            output_tokens=_sum(self.output_tokens, other.output_tokens),
            total_tokens=_sum(self.total_tokens, other.total_tokens),
            cached_tokens=_sum(self.cached_tokens, other.cached_tokens),
            reasoning_tokens=_sum(self.reasoning_tokens, other.reasoning_tokens),
            total_latency=_sum(self.total_latency, other.total_latency),
            unreported=self.unreported + other.unreported,
            replayed=self.replayed + other.replayed,
        )

    def __repr__(self) -> str:
        known = {f.name: value for f in fields(self) if f.repr and (value := getattr(self, f.name)) != f.default}
        return f"Usage({', '.join(f'{name}={value!r}' for name, value in known.items())})"

    def __bool__(self) -> bool:
        return any(count is not None for count in (self.input_tokens, self.output_tokens, self.total_tokens))


@dataclass(frozen=True, repr=False)
class Response:
    """A response as the server sent it; `raw` holds everything, the properties read from it."""

    raw: JSONObject
    """The response object, unknown fields included. `tools`, which servers repeat in every response, may be the same
    object in several: copy it before you change it."""

    request_id: str | None = None
    """The server's id of the request, from its headers."""

    attempts: Sequence[Attempt] = ()
    """The attempts that led to it, where it is a failed one and all of them failed."""

    replayed: bool = False
    """Whether it came from a cassette."""

    @classmethod
    def parse(cls, raw: object, *, request_id: str | None = None, replayed: bool = False) -> Response:
        """Take a decoded body for a response. Raises `ProtocolError` where it has no list of items."""
        if not isinstance(raw, dict):
            raise ProtocolError(f"expected a response object, got {_kind(raw)}: {_head(raw)}")
        output, status = raw.get("output"), raw.get("status")
        if status in ("in_progress", "queued"):
            raise ProtocolError(f"the response is still {status!r}; a stateless server can't be asked for it later.")
        if output is None and status in ("failed", "incomplete", "cancelled"):
            raw = {**raw, "output": []}
        elif not isinstance(output, list) or not all(isinstance(item, dict) for item in output):
            found = "a list of other things" if isinstance(output, list) else _kind(output)
            raise ProtocolError(
                f"expected `output` to be a list of items, got {found} in a response with keys "
                f"{sorted(raw)[:12]}. Does base_url point to a Responses API (POST .../responses)?"
            )
        return cls(raw, request_id, replayed=replayed)

    def __repr__(self) -> str:
        kinds = ", ".join(str(item.get("type")) for item in self.output)
        return f"<Response {self.id} {self.status}: {kinds or 'no items'}>"

    @property
    def id(self) -> str | None:
        """The server's id of the response."""
        return _text(self.raw.get("id"))

    @property
    def model(self) -> str | None:
        """The model that answered, as the server names it."""
        return _text(self.raw.get("model"))

    @property
    def status(self) -> str:
        """`completed`, `incomplete` or `failed`; a server that says nothing means completed."""
        return _text(self.raw.get("status")) or "completed"

    @property
    def output(self) -> list[Item]:
        """The items, in order, as received."""
        return self.raw["output"]  # type: ignore[return-value]

    @property
    def output_text(self) -> str:
        """The text of all messages, joined."""
        return "".join(items.message_text(item) for item in self.output if items.is_message(item))

    @property
    def refusal(self) -> str | None:
        """What the model said instead of an answer, or None."""
        said = [items.message_refusal(item) for item in self.output if items.is_message(item)]
        return "".join(text for text in said if text is not None) if any(t is not None for t in said) else None

    @property
    def calls(self) -> list[FunctionCall]:
        """The function calls that can be run: none of a response cut short, none that is half-written."""
        if self.status != "completed":
            return []
        return [
            items.call_view(item)
            for item in self.output
            if item.get("type") == "function_call" and not items.is_half_written(item)
        ]

    @property
    def error(self) -> Mapping[str, JSON] | None:
        """The in-band error (`{"code": ..., "message": ...}`) of a failed response; a bare text is the message."""
        error = self.raw.get("error")
        if isinstance(error, str) and error:
            return {"message": error}
        return error if isinstance(error, dict) else None

    @property
    def incomplete_reason(self) -> str | None:
        """Why the response was cut short: `max_output_tokens`, `content_filter`, ..."""
        return _text(_member(self.raw.get("incomplete_details"), "reason"))

    @cached_property
    def usage(self) -> Usage:
        """Tokens and times."""
        usage = Usage.parse(self.raw.get("usage"))
        return replace(usage, replayed=1) if self.replayed else usage


def _count(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _MOST:
        return None
    return int(value) if value == int(value) else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _MOST:
        return None
    return float(value)


def _sum(a: _N | None, b: _N | None) -> _N | None:
    return b if a is None else a if b is None else a + b


def _member(value: object, key: str) -> object:
    return value.get(key) if isinstance(value, dict) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _kind(value: object) -> str:
    return {dict: "an object", list: "a list", str: "a string", type(None): "nothing", bool: "a boolean"}.get(
        type(value), "a number"
    )


def _head(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else text[:200] + "..."

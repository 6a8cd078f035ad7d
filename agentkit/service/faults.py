"""Misbehaviour on demand: the errors of SambaNova's documentation, and what servers were seen to do.

The first group are replies. A `Fault` bends any answer; `FAULTS` holds them by name, for scripts that aren't
Python, request headers, and faults at a rate (`misbehaviour`).
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from agentkit.service.events import is_delta
from agentkit.service.replies import (
    Answer,
    Call,
    Cut,
    Disconnect,
    Failure,
    Reasoning,
    Rewrite,
    Text,
    event,
    failure,
)
from agentkit.service.sse import Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from agentkit.json import JSONObject
    from agentkit.service.replies import Part, Step

Bent: TypeAlias = "Answer | Failure | Disconnect"
"""What is sent instead of an answer."""

Kind: TypeAlias = Literal["transient", "final", "form", "model"]
"""What a client can do about it: ask again; nothing; read it all the same; tell the model."""


@dataclass(frozen=True, slots=True)
class Fault:
    """From the answer that would have been given to what is sent instead."""

    bend: Callable[..., Bent]
    kind: Kind
    note: str
    """What it does, in one line."""
    parameters: Mapping[str, type] = field(default_factory=dict)
    """The keywords that `bend` takes, and their types."""
    affects: Literal["answers", "streams", "calls"] = "answers"
    """Whether it shows in every answer, in streamed ones only, or where there is a call."""
    replaces: bool = False
    """Whether the answer plays no part in it, so that the script need not be asked."""

    def __call__(self, answer: Answer, **parameters: object) -> Bent:
        """Return what is sent instead of `answer`."""
        return self.bend(answer, **parameters)


def rate_limited(*, retry_after_s: float | None = None, headers: Mapping[str, str] | None = None) -> Failure:
    """Return a 429 for too many requests; without arguments it has no header that says when to come back."""
    given = dict(headers or {})
    if retry_after_s is not None:
        given["retry-after"] = f"{retry_after_s:g}"
    return failure(
        429,
        code="insufficient_quota",
        message="Rate limit exceeded.",
        type="rate_limit_error",
        headers=given,
    )


def queue_full() -> Failure:
    """Return the 429 of a server with too many requests in flight."""
    return failure(429, code="queue_full", message="The request queue is full. Try again shortly.", type="server_error")


def request_timeout() -> Failure:
    """Return a 408, in its simple form."""
    return failure(408, body={"error": "Request timeout"})


def internal_error() -> Failure:
    """Return a 500 in text/plain, as SambaNova sends it."""
    return failure(500, body="Internal Server Error")


def maintenance() -> Failure:
    """Return a 503 in text/plain, as SambaNova sends it."""
    return failure(503, body="Service Unavailable")


def context_length_exceeded() -> Failure:
    """Return the 400 for a conversation longer than the model's context."""
    return failure(
        400, code="context_length_exceeded", message="The input is longer than the model's context.", param="input"
    )


def adapter_mapping_failed(model_output: str = '<|call|>weather{"city": "Oslo"') -> Failure:
    """Return the 400 for a tool call of the model that the server couldn't parse; sampling again may help."""
    error: JSONObject = {
        "message": "Failed to parse the model's tool call.",
        "type": "server_error",
        "param": None,
        "code": "adapter_mapping_failed",
        "error_model_output": model_output,
    }
    return failure(400, body={"error": error})


def one_output_index(steps: Iterator[Step]) -> Iterator[Step]:
    """Give every item the same `output_index`, as LM Studio was seen to."""
    for step in steps:
        yield {**step, "output_index": 0} if isinstance(step, dict) and "output_index" in step else step


def arguments_only_when_done(steps: Iterator[Step]) -> Iterator[Step]:
    """Leave the arguments of calls to `response.output_item.done`."""
    for step in steps:
        if not (isinstance(step, dict) and "function_call_arguments" in str(step.get("type"))):
            yield step


def cut_before_first_delta(steps: Iterator[Step]) -> Iterator[Step]:
    """Cut the stream when the item is open and nothing of it was sent."""
    for step in steps:
        if isinstance(step, dict) and is_delta(step):
            yield Cut()
        yield step


def cut_after_first_delta(steps: Iterator[Step]) -> Iterator[Step]:
    """Cut the stream within an item."""
    for step in steps:
        yield step
        if isinstance(step, dict) and is_delta(step):
            yield Cut()


def without_terminal_event(steps: Iterator[Step]) -> Iterator[Step]:
    """End the stream in good order but without its terminal event."""
    for step in steps:
        if not (isinstance(step, dict) and "response" in step and step["type"] in _TERMINAL):
            yield step


_TERMINAL = frozenset({"response.completed", "response.incomplete", "response.failed"})


def _with(*parts: Part) -> Callable[[Answer], Answer]:
    return lambda answer: replace(answer, parts=(*parts, *answer.parts))


def _instead(make: Callable[..., Failure | Disconnect], note: str, kind: Kind = "transient", **types: type) -> Fault:
    return Fault(lambda _answer, **given: make(**given), kind, note, types, replaces=True)


def _calls(change: Callable[[Call], tuple[Call, ...]]) -> Callable[[Answer], Answer]:
    def bend(answer: Answer) -> Answer:
        changed = (change(part) if isinstance(part, Call) else (part,) for part in answer.parts)
        return replace(answer, parts=tuple(part for parts in changed for part in parts))

    return bend


def _malformed(call: Call) -> tuple[Call]:
    arguments = "".join(piece for piece in call.pieces if isinstance(piece, str))
    return (replace(call, pieces=(arguments[:-1],)),)


def _failed(
    answer: Answer, *, code: str = "server_error", message: str = "The model failed to generate a response."
) -> Answer:
    error: JSONObject = {"code": code, "message": message}
    return replace(answer, status="failed", error=error, error_event="nested")


def _incomplete(answer: Answer, *, reason: str = "max_output_tokens") -> Answer:
    return replace(answer, status="incomplete", reason=reason)


def _slow(answer: Answer, *, delay_s: float = 1.0, tokens_per_s: float = 20.0) -> Answer:
    return replace(answer, delay_s=answer.delay_s + delay_s, tokens_per_s=tokens_per_s)


def _limited_with_headers(*, retry_after_s: float = 1) -> Failure:
    return rate_limited(
        retry_after_s=retry_after_s,
        headers={
            "x-ratelimit-limit-requests": "60",
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-requests": f"{retry_after_s:g}",
        },
    )


FAULTS: Mapping[str, Fault] = {
    "rate_limited": _instead(
        rate_limited,
        "429 `insufficient_quota`; without `retry_after_s` no header says when to come back",
        retry_after_s=float,
    ),
    "rate_limited_with_headers": _instead(
        _limited_with_headers,
        "429 `insufficient_quota` with `retry-after` (1 s) and `x-ratelimit-*`",
        retry_after_s=float,
    ),
    "queue_full": _instead(queue_full, "429 `queue_full`: too many requests in flight"),
    "request_timeout": _instead(request_timeout, '408 `{"error": "Request timeout"}`'),
    "internal_error": _instead(internal_error, "500 in text/plain"),
    "maintenance": _instead(maintenance, "503 in text/plain"),
    "context_length_exceeded": _instead(
        context_length_exceeded, "400 `context_length_exceeded`: the conversation is too long", "final"
    ),
    "adapter_mapping_failed": _instead(
        adapter_mapping_failed,
        "400 `adapter_mapping_failed`: the server couldn't parse the model's call",
        model_output=str,
    ),
    "disconnect": _instead(Disconnect, "the connection closes before any byte of an answer"),
    "cut_before_first_delta": Fault(
        _with(Rewrite(cut_before_first_delta)),
        "transient",
        "the connection closes when an item is open, still empty",
        affects="streams",
    ),
    "cut_after_first_delta": Fault(
        _with(Rewrite(cut_after_first_delta)), "transient", "the connection closes within an item", affects="streams"
    ),
    "without_terminal_event": Fault(
        _with(Rewrite(without_terminal_event)),
        "transient",
        "the stream ends, without `response.completed`",
        affects="streams",
    ),
    "failed": Fault(
        _failed,
        "transient",
        "200, then in band an `error` event and a response with status `failed`",
        {"code": str, "message": str},
    ),
    "incomplete": Fault(
        _incomplete, "final", "the last item and the response have status `incomplete`", {"reason": str}
    ),
    "slow": Fault(
        _slow,
        "form",
        "the first byte after `delay_s` (1), then `tokens_per_s` (20)",
        {"delay_s": float, "tokens_per_s": float},
    ),
    "no_event_lines": Fault(_with(Wire(event_lines=False)), "form", "no `event:` lines", affects="streams"),
    "no_sequence_numbers": Fault(
        _with(Wire(sequence_numbers=False)), "form", "no `sequence_number` in events", affects="streams"
    ),
    "no_indexes": Fault(
        _with(Wire(sequence_numbers=False, indexes=False)),
        "form",
        "neither `sequence_number` nor `output_index`, `content_index`, `summary_index`",
        affects="streams",
    ),
    "unknown_event": Fault(
        _with(event("response.unheard_of", note="an event of a type that no document names")),
        "form",
        "an event of an unknown type",
        affects="streams",
    ),
    "unknown_item": Fault(
        _with({"id": "unk_1", "type": "unheard_of", "status": "completed", "note": "keep me"}),
        "form",
        "an output item of an unknown type comes first",
    ),
    "one_output_index": Fault(
        _with(Rewrite(one_output_index)), "form", "every item has `output_index` 0", affects="streams"
    ),
    "arguments_only_when_done": Fault(
        _with(Rewrite(arguments_only_when_done)),
        "form",
        "arguments come in `response.output_item.done` only",
        affects="streams",
    ),
    "malformed_arguments": Fault(
        _calls(_malformed), "model", "the arguments of calls lack their last character", affects="calls"
    ),
    "unknown_tool": Fault(
        _calls(lambda call: (replace(call, name=f"{call.name}_unheard_of"),)),
        "model",
        "calls name a tool that isn't there",
        affects="calls",
    ),
    "two_calls": Fault(
        _calls(lambda call: (call, replace(call, call_id=None))), "form", "each call comes twice", affects="calls"
    ),
    "message_and_call": Fault(
        _with(Text(("Let me look that up.",), phase="commentary")), "form", "a message of commentary comes first"
    ),
    "reasoning_first": Fault(
        _with(Reasoning(("The user asks; a short answer will do.",))), "form", "a reasoning item comes first"
    ),
}
"""The faults by name."""


class UnknownFault(ValueError):
    """A fault, or a parameter of one, that there isn't; the message says which there are."""


def find_fault(name: str) -> Fault:
    """Return the fault of this name, or raise `UnknownFault`."""
    if name in FAULTS:
        return FAULTS[name]
    near = difflib.get_close_matches(name, FAULTS, 3)
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    raise UnknownFault(f"there is no fault {name[:80]!r}.{hint} Faults are: {', '.join(FAULTS)}.")


def checked_parameters(name: str, given: Mapping[str, object]) -> dict[str, object]:
    """Return the parameters of a fault with their types checked, or raise `UnknownFault`."""
    known = find_fault(name).parameters
    checked: dict[str, object] = {}
    for key, value in given.items():
        if key not in known:
            allowed = f"takes {', '.join(known)}" if known else "takes no parameters"
            raise UnknownFault(f"fault {name!r} {allowed}, not {key[:80]!r}.")
        if known[key] is float and (isinstance(value, bool) or not isinstance(value, int | float) or value < 0):
            raise UnknownFault(f"fault {name!r}: {key} is a number of at least 0, not {value!r}.")
        checked[key] = value if known[key] is float else str(value)
    if checked.get("tokens_per_s") == 0:
        raise UnknownFault(f"fault {name!r}: tokens_per_s is above 0.")
    return checked

"""Misbehaviour on demand: the errors of SambaNova's documentation, and what servers were seen to do.

The first group are replies. A `Fault` bends any answer; `FAULTS` holds them by name, for scripts that aren't
Python, request headers, and faults at a rate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

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
    from agentkit.json import JSONObject
    from agentkit.service.replies import Part, Step

Fault: TypeAlias = Callable[[Answer], Answer | Failure | Disconnect]
"""From the answer that would have been given to what is sent instead."""


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


def _with(*parts: Part) -> Fault:
    return lambda answer: replace(answer, parts=(*parts, *answer.parts))


def _instead(given: Failure | Disconnect) -> Fault:
    return lambda _answer: given


def _calls(change: Callable[[Call], tuple[Call, ...]]) -> Fault:
    def bend(answer: Answer) -> Answer:
        changed = (change(part) if isinstance(part, Call) else (part,) for part in answer.parts)
        return replace(answer, parts=tuple(part for parts in changed for part in parts))

    return bend


def _malformed(call: Call) -> tuple[Call]:
    arguments = "".join(piece for piece in call.pieces if isinstance(piece, str))
    return (replace(call, pieces=(arguments[:-1],)),)


def _failed(answer: Answer) -> Answer:
    error: JSONObject = {"code": "server_error", "message": "The model failed to generate a response."}
    return replace(answer, status="failed", error=error, error_event="nested")


FAULTS: Mapping[str, Fault] = {
    "rate_limited": _instead(rate_limited()),
    "rate_limited_with_headers": _instead(
        rate_limited(
            retry_after_s=1,
            headers={
                "x-ratelimit-limit-requests": "60",
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": "1",
            },
        )
    ),
    "queue_full": _instead(queue_full()),
    "request_timeout": _instead(request_timeout()),
    "internal_error": _instead(internal_error()),
    "maintenance": _instead(maintenance()),
    "context_length_exceeded": _instead(context_length_exceeded()),
    "adapter_mapping_failed": _instead(adapter_mapping_failed()),
    "disconnect": _instead(Disconnect()),
    "cut_before_first_delta": _with(Rewrite(cut_before_first_delta)),
    "cut_after_first_delta": _with(Rewrite(cut_after_first_delta)),
    "without_terminal_event": _with(Rewrite(without_terminal_event)),
    "failed": _failed,
    "incomplete": lambda answer: replace(answer, status="incomplete"),
    "no_event_lines": _with(Wire(event_lines=False)),
    "no_sequence_numbers": _with(Wire(sequence_numbers=False)),
    "no_indexes": _with(Wire(sequence_numbers=False, indexes=False)),
    "unknown_event": _with(event("response.unheard_of", note="an event of a type that no document names")),
    "unknown_item": _with({"id": "unk_1", "type": "unheard_of", "status": "completed", "note": "keep me"}),
    "one_output_index": _with(Rewrite(one_output_index)),
    "arguments_only_when_done": _with(Rewrite(arguments_only_when_done)),
    "malformed_arguments": _calls(_malformed),
    "unknown_tool": _calls(lambda call: (replace(call, name=f"{call.name}_unheard_of"),)),
    "two_calls": _calls(lambda call: (call, replace(call, call_id=None))),
    "message_and_call": _with(Text(("Let me look that up.",), phase="commentary")),
    "reasoning_first": _with(Reasoning(("The user asks; a short answer will do.",))),
}

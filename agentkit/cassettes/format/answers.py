"""The response objects of an answer: of its JSON, or of the events of its stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from agentkit import json
from agentkit.cassettes.format.streams import blocks_of, is_stream

if TYPE_CHECKING:
    from agentkit.json import JSON, JSONObject

_TERMINAL = ("response.completed", "response.incomplete", "response.failed")


def output_items(answer: bytes) -> list[JSON]:
    """Return what a model answered, item by item; empty where there is no such answer.

    Of a stream whose last response tells no items, those of its `response.output_item.done` events.
    """
    if not is_stream(answer):
        return _output(_decoded(answer))
    blocks, rest, _ = blocks_of(answer)
    blocks.append(rest)
    for block in reversed(blocks):
        if any(name.encode() in block for name in _TERMINAL):
            event = _event(block)
            if event.get("type") in _TERMINAL and (found := _output(event.get("response"))):
                return found
    done = [_event(block) for block in blocks if b"response.output_item.done" in block]
    return [event["item"] for event in done if event.get("type") == "response.output_item.done" and "item" in event]


def first_response(answer: bytes) -> dict[str, object] | None:
    """Return the response object that an answer begins with: of the first event that has one, or its JSON."""
    if not is_stream(answer):
        return cast("dict[str, object] | None", whole) if isinstance(whole := _decoded(answer), dict) else None
    blocks, _, _ = blocks_of(answer)
    for block in blocks:
        response = _event(block).get("response") if b'"response"' in block else None
        if isinstance(response, dict):
            return cast("dict[str, object]", response)
    return None


def _event(block: bytes) -> JSONObject:
    lines = [line[5:] for line in block.splitlines() if line.startswith(b"data:")]
    value = _decoded(b"\n".join(lines))
    return value if isinstance(value, dict) else {}


def _decoded(data: bytes) -> JSON:
    try:
        return json.decode(data)
    except json.JSONError:
        return None


def _output(response: JSON) -> list[JSON]:
    output = response.get("output") if isinstance(response, dict) else None
    return output if isinstance(output, list) else []

"""A request with every field and item, and each place of it changed: what counts, and what doesn't."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

URI = "https://api.example.com/v1/responses"

TOOL = {
    "type": "function",
    "name": "weather",
    "description": "Return the weather of a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "enum": ["Oslo", "Rome"]}, "days": {"type": "integer", "maximum": 7}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}

BODY: dict = {
    "model": "large-1",
    "stream": True,
    "instructions": "You are a patient guide. Answer in one sentence.",
    "temperature": 0.5,
    "top_p": 0.9,
    "top_k": 40,
    "max_output_tokens": 512,
    "parallel_tool_calls": True,
    "max_tool_calls": 4,
    "top_logprobs": 2,
    "frequency_penalty": 0.1,
    "presence_penalty": 0.2,
    "truncation": "auto",
    "reasoning": {"effort": "low", "summary": "auto"},
    "text": {
        "verbosity": "low",
        "format": {
            "type": "json_schema",
            "name": "answer",
            "strict": True,
            "schema": {"type": "object", "properties": {"degrees": {"type": "number"}}},
        },
    },
    "include": ["reasoning.encrypted_content"],
    "tool_choice": {"type": "function", "name": "weather"},
    "tools": [TOOL, {**TOOL, "name": "forecast", "strict": False}],
    "input": [
        {"type": "message", "role": "system", "content": "Be brief."},
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Use the tools."}]},
        {
            "type": "message",
            "role": "user",
            "content": [
                {"type": "input_text", "text": "What is the weather on this picture?"},
                {"type": "input_image", "image_url": "https://example.com/oslo.png", "detail": "low"},
                {"type": "input_image", "file_id": "file-A1", "detail": "auto"},
                {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0x"},
            ],
        },
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "Look up Oslo."}],
            "content": [{"type": "reasoning_text", "text": "It looks like Oslo."}],
            "encrypted_content": "gAAAAABo",
        },
        {
            "type": "function_call",
            "id": "fc_1",
            "call_id": "call_1",
            "name": "weather",
            "arguments": '{"city": "Oslo", "days": 2, "where": {"lat": 59.9}}',
        },
        {"type": "function_call", "id": "fc_2", "call_id": "call_2", "name": "forecast", "arguments": "not json"},
        {"type": "function_call_output", "call_id": "call_1", "output": '{"degrees": 21, "sky": ["blue", "clear"]}'},
        {
            "type": "function_call_output",
            "call_id": "call_2",
            "output": [{"type": "input_text", "text": "rain later"}, {"type": "input_image", "image_url": "data:,x"}],
        },
        {
            "type": "message",
            "role": "assistant",
            "id": "msg_1",
            "phase": "final",
            "content": [
                {"type": "output_text", "text": "It is 21 degrees.", "annotations": [{"type": "x", "start": 1}]},
                {"type": "refusal", "refusal": "No more."},
            ],
        },
        {"type": "custom_tool_call", "id": "ct_1", "call_id": "call_3", "name": "shell", "input": "ls -l"},
        {"type": "custom_tool_call_output", "call_id": "call_3", "output": "total 0"},
        {"type": "mcp_approval_request", "id": "mcpr_1", "name": "pay", "server_label": "bank", "arguments": "{}"},
        {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True},
        {"type": "item_reference", "id": "msg_elsewhere"},
    ],
}

NOT_COUNTED: dict[str, object] = {
    "metadata": {"run": "7"},
    "user": "u1",
    "store": False,
    "service_tier": "auto",
    "prompt_cache_key": "k",
    "prompt_cache_retention": "24h",
    "safety_identifier": "s",
}
"""Fields that don't count, with a value."""


def encode(body: object) -> bytes:
    """Return a body as the client sends it."""
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def places(value: object, path: tuple = ()) -> Iterator[tuple]:
    """Return the path of each value that isn't a container; strings that hold JSON are containers."""
    members = opened(value)
    if isinstance(members, dict):
        for key, member in members.items():
            yield from places(member, (*path, key))
    elif isinstance(members, list):
        for index, member in enumerate(members):
            yield from places(member, (*path, index))
    else:
        yield path


def opened(value: object) -> object:
    """Return what a string holds as JSON, anything else as it is."""
    return json.loads(value) if isinstance(value, str) and value[:1] in ("{", "[") else value


def value_at(body: object, path: tuple) -> object:
    """Return the value at a place."""
    for step in path:
        body = opened(body)[step]
    return body


def changed(body: object, path: tuple, value: object) -> object:
    """Return a copy with another value at a place."""
    if not path:
        return value
    members = opened(body)
    copied = copy.copy(members)
    copied[path[0]] = changed(members[path[0]], path[1:], value)
    return json.dumps(copied) if isinstance(body, str) else copied


def other(value: object) -> object:
    """Return a value of the same type that isn't equal."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    return f"{value} changed"


def is_id(path: tuple) -> bool:
    """Tell whether a place holds an id that the request itself introduces, and mentions nowhere else."""
    item = BODY["input"][path[1]] if path[0] == "input" else {}
    lone = item.get("type") in ("reasoning", "function_call", "message", "custom_tool_call")
    return len(path) == 3 and path[2] == "id" and lone

"""A stream with everything in it that can be cut in two: thoughts, two interleaved calls, text of many bytes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import httpx

THOUGHT = {"type": "reasoning", "id": "r", "summary": [], "content": [{"type": "reasoning_text", "text": "hm ✓"}]}
CALLS = [
    {"type": "function_call", "id": "f0", "call_id": "c0", "name": "add", "arguments": '{"a":1,"b":2}'},
    {"type": "function_call", "id": "f1", "call_id": "c1", "name": "add", "arguments": '{"a":3,"b":4}'},
]
TEXT = "Grüße, 東京 😀\u2028!"
MESSAGE = {"type": "message", "id": "m", "role": "assistant", "content": [{"type": "output_text", "text": TEXT}]}
OUTPUT = [THOUGHT, *CALLS, MESSAGE]
RESPONSE = {"id": "resp", "status": "completed", "output": OUTPUT, "usage": {"input_tokens": 5, "output_tokens": 7}}


def _events() -> list[tuple[str, dict[str, object]]]:
    def added(item: dict[str, object], index: int) -> tuple[str, dict[str, object]]:
        return "output_item.added", {"output_index": index, "item": item}

    def done(item: dict[str, object], index: int) -> tuple[str, dict[str, object]]:
        return "output_item.done", {"output_index": index, "item": item}

    opened = [{**call, "arguments": ""} for call in CALLS]
    return [
        ("created", {"response": {"id": "resp"}}),
        added({"type": "reasoning", "id": "r", "summary": []}, 0),
        ("reasoning_text.delta", {"item_id": "r", "delta": "hm"}),
        ("reasoning_text.delta", {"item_id": "r", "delta": " ✓"}),
        done(THOUGHT, 0),
        added(opened[0], 1),
        added(opened[1], 2),
        ("function_call_arguments.delta", {"item_id": "f0", "delta": '{"a":1'}),
        ("function_call_arguments.delta", {"item_id": "f1", "delta": '{"a":3'}),
        ("function_call_arguments.delta", {"item_id": "f0", "delta": ',"b":2}'}),
        ("function_call_arguments.delta", {"item_id": "f1", "delta": ',"b":4}'}),
        done(CALLS[1], 2),
        done(CALLS[0], 1),
        added({"type": "message", "id": "m", "role": "assistant", "content": []}, 3),
        ("output_text.delta", {"item_id": "m", "delta": "Grüße, 東"}),
        ("output_text.delta", {"item_id": "m", "delta": "京 😀\u2028!"}),
        done(MESSAGE, 3),
        ("completed", {"response": RESPONSE}),
    ]


def _encode(number: int, name: str, fields: dict[str, object]) -> bytes:
    data = {"type": f"response.{name}", "sequence_number": number, **fields}
    return b"data:" + json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode() + b"\r\n\r\n"


GOLDEN = b"".join(_encode(number, name, fields) for number, (name, fields) in enumerate(_events()))
"""The stream's bytes."""

ANSWERED = _encode(0, "completed", {"response": {"id": "last", "status": "completed", "output": [MESSAGE]}})
"""A stream of one event: what the model says once the calls are answered."""


class Body(httpx.AsyncByteStream):
    """The golden bytes up to `end`, and then what a bad connection does."""

    def __init__(self, data: bytes, end: int, then: str) -> None:
        self._data = data
        self._end = end
        self._then = then

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._data[: self._end]
        if self._then == "split":
            yield self._data[self._end :]
        elif self._then == "reset":
            raise httpx.ReadError("connection reset")
        elif self._then == "stall":
            await asyncio.sleep(10_000)


class Line(httpx.AsyncBaseTransport):
    """A transport that plays bodies in turn, the last one again and again."""

    def __init__(self, *bodies: tuple[bytes, int, str]) -> None:
        self.bodies = list(bodies)
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        body = self.bodies[min(len(self.requests), len(self.bodies)) - 1]
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=Body(*body), request=request)

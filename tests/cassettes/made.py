"""Recordings made by hand: of agents that ask a scripted model, and of single exchanges."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import httpx

from agentkit import json
from agentkit.cassettes.interaction import Body, Failure, Head, Interaction, Recording
from agentkit.testing import ScriptedModel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from agentkit import Client
    from agentkit.testing import Script

URI = "http://recorded.test/v1/responses"
EVENT_STREAM = (("content-type", "text/event-stream"),)
JSON_BODY = (("content-type", "application/json"),)


class Recorder(httpx.AsyncBaseTransport):
    """Keeps what an agent asks of a scripted model, and what it is answered."""

    def __init__(self, script: Script, *, deltas: bool = True, at_ms: bool = False) -> None:
        """`deltas`: requests name the one that they go on with, as those that the engine records do."""
        self._model = ScriptedModel(script)
        self._deltas = deltas
        self._at_ms = at_ms
        self.interactions: list[Interaction] = []

    def client(self, **options: object) -> Client:
        return self._model.client(**{"transport": self, **options})

    @property
    def recording(self) -> Recording:
        return Recording(Head(recorded="2026-11-27", server="http://recorded.test/v1"), tuple(self.interactions))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        parent, kept = self._goes_on_with(body)
        index = len(self.interactions)
        self.interactions.append(Interaction(request.method, URI, kept, parent=parent))
        try:
            response = await self._model.handle_async_request(request)
        except httpx.TransportError as exc:
            self._note(index, failure=Failure(type(exc).__name__, str(exc)))
            raise
        kind = response.headers.get("content-type", "")
        self._note(index, status=response.status_code, headers=(("content-type", kind),))
        kept_stream = _Kept(response, self, index)
        return httpx.Response(response.status_code, headers={"content-type": kind}, stream=kept_stream, request=request)

    def _note(self, index: int, **changes: object) -> None:
        self.interactions[index] = dataclasses.replace(self.interactions[index], **changes)  # type: ignore[arg-type]

    def _goes_on_with(self, body: bytes) -> tuple[int | None, Body]:
        for index in reversed(range(len(self.interactions) if self._deltas else 0)):
            earlier = bytes(self.interactions[index].body)
            if body.startswith(earlier[:-2]) and len(body) > len(earlier):
                return index, Body(body[len(earlier) - 2 :], self.interactions[index].body, len(earlier) - 2)
        return None, Body(body)


class _Kept(httpx.AsyncByteStream):
    def __init__(self, response: httpx.Response, recorder: Recorder, index: int) -> None:
        self._response, self._recorder, self._index = response, recorder, index

    async def __aiter__(self) -> AsyncIterator[bytes]:
        chunks: list[bytes] = []
        try:
            async for chunk in self._response.stream:  # type: ignore[union-attr]
                chunks.append(chunk)
                yield chunk
        except httpx.TransportError as exc:
            self._recorder._note(self._index, failure=Failure(type(exc).__name__, str(exc)))
            raise
        finally:
            at_ms = tuple(range(20, 20 + 10 * len(chunks), 10)) if self._recorder._at_ms else ()
            self._recorder._note(self._index, chunks=tuple(chunks), at_ms=at_ms)

    async def aclose(self) -> None:
        await self._response.aclose()


def message(text: str, *, name: str = "msg_1") -> dict[str, object]:
    part = {"type": "output_text", "text": text, "annotations": []}
    return {"type": "message", "id": name, "role": "assistant", "status": "completed", "content": [part]}


def call(call_id: str, name: str, arguments: str = "{}") -> dict[str, object]:
    return {"type": "function_call", "id": f"fc_{call_id}", "call_id": call_id, "name": name, "arguments": arguments}


def output(call_id: str, text: str) -> dict[str, object]:
    return {"type": "function_call_output", "call_id": call_id, "output": text}


def user(text: str) -> dict[str, object]:
    return {"type": "message", "role": "user", "content": text}


def asking(items: object, **fields: object) -> bytes:
    return json.encode({"model": "m", **fields, "input": items})


def answered(items: list[dict[str, object]], *, tokens: tuple[int, int] = (10, 5), **fields: object) -> bytes:
    usage = {"input_tokens": tokens[0], "output_tokens": tokens[1], "total_tokens": sum(tokens)}
    return json.encode(
        {"id": "resp_1", "object": "response", "status": "completed", "model": "m-1", **fields}
        | {"output": items, "usage": usage}
    )


def plain(body: bytes, answer: bytes, *, status: int = 200, **more: object) -> Interaction:
    """A request and a plain answer."""
    return Interaction("POST", URI, Body(body), status, JSON_BODY, (answer,), **more)  # type: ignore[arg-type]


def recorded(*interactions: Interaction, **head: object) -> Recording:
    return Recording(Head(**head), interactions)  # type: ignore[arg-type]

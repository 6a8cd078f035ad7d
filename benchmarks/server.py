"""The fake server: answers as a path says, as fast as Python can. Stateless, like what it stands for.

    python -m benchmarks.server <core>

prints its port. `/calls=50,parallel=1,deltas=0,ms=0,echo=0/v1/responses` is a model that asks for 50 calls and then
answers; it sees how far it is from the outputs in the request. Bodies are looked at with `count` and `find` alone, but
for the tools that are echoed: the server must never be what is waited for.
"""

# ruff: noqa: T201  (it prints its port)

from __future__ import annotations

import asyncio
import functools
import json
import os
import sys

OUTPUT = b'function_call_output"'
USAGE = {
    "input_tokens": 9,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 9,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 18,
}


def make_response(turn: int, output: list[dict[str, object]], tools: object = None) -> dict[str, object]:
    """Return a response object as servers send it, all required fields included."""
    return {
        "id": f"resp_{turn}",
        "object": "response",
        "created_at": 1_700_000_000,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": "m",
        "output": output,
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": tools or [],
        "top_p": 1.0,
        "usage": USAGE,
    }


def make_calls(turn: int, count: int) -> list[dict[str, object]]:
    """Return the calls of one response."""
    return [
        {
            "id": f"fc_{turn}_{i}",
            "type": "function_call",
            "call_id": f"call_{turn}_{i}",
            "name": "look_0",
            "status": "completed",
            "arguments": f'{{"word":"w{turn}"}}',
        }
        for i in range(count)
    ]


def make_message(text: str) -> dict[str, object]:
    """Return the message that ends a run."""
    content = [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]
    return {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": content}


def stream(output: list[dict[str, object]], deltas: int = 1, tools: object = None) -> bytes:
    """Return a streamed answer, each event a chunk of its own."""
    begun = {**make_response(0, [], tools), "status": "in_progress", "usage": None}
    events: list[dict[str, object]] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
    ]
    for index, item in enumerate(output):
        events += events_of_call(item, index) if item["type"] == "function_call" else events_of_message(item, deltas)
    events.append({"type": "response.completed", "response": make_response(0, output, tools)})
    framed = []
    for number, event in enumerate(events):
        data = json.dumps({**event, "sequence_number": number})
        piece = f"event: {event['type']}\ndata: {data}\n\n".encode()
        framed.append(b"%x\r\n%b\r\n" % (len(piece), piece))
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(framed) + b"0\r\n\r\n"


def events_of_call(item: dict[str, object], index: int) -> list[dict[str, object]]:
    """Return the events of one call."""
    place = {"item_id": item["id"], "output_index": index}
    opened = {**item, "status": "in_progress", "arguments": ""}
    family, text = "response.function_call_arguments", item["arguments"]
    return [
        {"type": "response.output_item.added", "output_index": index, "item": opened},
        {"type": f"{family}.delta", **place, "delta": text},
        {"type": f"{family}.done", **place, "arguments": text, "name": item["name"]},
        {"type": "response.output_item.done", "output_index": index, "item": item},
    ]


def events_of_message(item: dict[str, object], deltas: int) -> list[dict[str, object]]:
    """Return the events of a message, its text in so many pieces."""
    place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    part = item["content"][0]  # type: ignore[index]
    text, size = part["text"], len(part["text"]) // deltas
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    family = "response.output_text"
    return [
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}},
        {"type": "response.content_part.added", **place, "part": {**part, "text": ""}},
        *({"type": f"{family}.delta", **place, "delta": piece, "logprobs": []} for piece in pieces),
        {"type": f"{family}.done", **place, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
    ]


@functools.lru_cache(maxsize=8)
def make_stream(deltas: int) -> bytes:
    """Return the same stream again: making it takes longer than sending it."""
    text = "".join([f"word{i % 1000:04d} " for i in range(deltas)])
    return stream([make_message(text)], deltas)


@functools.lru_cache(maxsize=64)
def read_script(path: bytes) -> dict[str, int]:
    """Return what the path asks for."""
    pairs = (pair.split("=") for pair in path.split(b"/")[1].decode().split(","))
    return {name: int(value) for name, value in pairs}


def answer(script: dict[str, int], body: bytes) -> bytes:
    """Return head and body of the answer to one request."""
    done = body.count(OUTPUT)
    if script["deltas"] and done >= script["calls"]:
        return make_stream(script["deltas"])
    if done < script["calls"]:
        output = make_calls(done // script["parallel"], script["parallel"])
    else:
        output = [make_message("done")]
    tools = json.loads(body)["tools"] if script["echo"] else None
    if b'"stream":true' in body or b'"stream": true' in body:
        return stream(output, tools=tools)
    data = json.dumps(make_response(done, output, tools)).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(data)
    return head + data


class Connection(asyncio.Protocol):
    """Reads requests, writes answers."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._missing = 0
        self._path = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if not self._missing:
            data = b"".join([*self._parts, data])
            head, mark, rest = data.partition(b"\r\n\r\n")
            self._parts = [data]
            if not mark:
                return
            lowered = head.lower()
            length = lowered.partition(b"content-length:")[2].partition(b"\r\n")[0]
            self._path = head.split(b" ", 2)[1]
            self._missing = int(length or 0)
            self._parts, data = [], rest
        self._parts.append(data)
        self._missing -= len(data)
        if self._missing <= 0:
            body, self._parts, self._missing = b"".join(self._parts), [], 0
            self._respond(body)

    def _respond(self, body: bytes) -> None:
        script = read_script(self._path)
        data = answer(script, body)
        if script["ms"]:
            asyncio.get_running_loop().call_later(script["ms"] / 1000, self._write, data)
        else:
            self._write(data)

    def _write(self, data: bytes) -> None:
        self._transport.write(data)  # type: ignore[attr-defined]


async def main() -> None:
    """Serve until the process is ended."""
    if len(sys.argv) > 1:
        os.sched_setaffinity(0, {int(sys.argv[1])})
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())

"""CPU time per turn of a run with many tool calls, against a loop over httpx that does the least possible.

    python -m benchmarks.turns [--save]

The server runs in a process of its own and asks for one call a turn; each output is 50 bytes. Both sides keep the
conversation as encoded bytes and join them for each request.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from typing import TYPE_CHECKING

import httpx

from agentkit import Agent, Client, Limits, Settings, tool
from benchmarks.surroundings import print_table, save

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

CALLS = {10: 15, 50: 9, 200: 5, 1000: 3}
"""Tool calls of a run, and how often it is measured."""
OUTPUT = "x" * 50
HEAD = ("calls", "httpx loop, ms", "async tool, ms", "sync tool, ms", "async / httpx", "sync / httpx")

SERVER = r"""
import asyncio, json

def answer(body):
    turn, calls = body.count(b'"function_call_output"'), json.loads(body)["metadata"]["calls"]
    item = {"id": f"fc_{turn}", "type": "function_call", "call_id": f"call_{turn}", "name": "look",
            "status": "completed", "arguments": '{"word":"w%d"}' % turn}
    if turn == int(calls):
        item = {"id": "msg", "type": "message", "role": "assistant", "status": "completed",
                "content": [{"type": "output_text", "text": "done", "annotations": []}]}
    usage = {"input_tokens": 9, "output_tokens": 9, "total_tokens": 18}
    response = {"id": f"resp_{turn}", "object": "response", "status": "completed", "model": "m", "output": [item],
                "usage": usage}
    return json.dumps(response).encode()

async def serve(reader, writer):
    while True:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return writer.close()
        size = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        body = answer(await reader.readexactly(size))
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        writer.write(head + body)

async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=2**24)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"""


def look(word: str) -> str:  # noqa: ARG001  (the model gives one)
    """Look a word up."""
    return OUTPUT


async def look_async(word: str) -> str:  # noqa: ARG001
    """Look a word up."""
    return OUTPUT


SYNC_TOOL, ASYNC_TOOL = tool(look), tool(name="look")(look_async)


async def run_agent(client: Client, calls: int, *, is_async: bool) -> None:
    """Make a run with that many calls."""
    tools = [ASYNC_TOOL if is_async else SYNC_TOOL]
    settings = Settings(metadata={"calls": str(calls)})
    agent = Agent(model="m", tools=tools, limits=Limits(turns=None), settings=settings)
    result = await agent.run("Go", client=client)
    assert result.output == "done", result  # noqa: S101
    assert len(result.tool_calls) == calls  # noqa: S101


async def run_httpx(client: httpx.AsyncClient, calls: int) -> None:
    """Do the same by hand, for this one server."""
    definition = SYNC_TOOL.definition
    head = {"model": "m", "stream": False, "store": False, "metadata": {"calls": str(calls)}, "tools": [definition]}
    begin = json.dumps(head, separators=(",", ":")).encode()[:-1] + b',"input":['
    kept = [json.dumps({"type": "message", "role": "user", "content": "Go"}, separators=(",", ":")).encode()]
    headers = {"content-type": "application/json"}
    while True:
        body = begin + b",".join(kept) + b"]}"
        answer = await client.post("responses", content=body, headers=headers)
        item = answer.raise_for_status().json()["output"][0]
        kept.append(json.dumps(item, separators=(",", ":")).encode())
        if item["type"] == "message":
            break
        output = look(**json.loads(item["arguments"]))
        given = {"type": "function_call_output", "call_id": item["call_id"], "output": output}
        kept.append(json.dumps(given, separators=(",", ":")).encode())
    assert len(kept) == 2 * calls + 2  # noqa: S101


async def cpu_ms(way: Callable[[int], Awaitable[None]], calls: int) -> float:
    """Return this process's CPU time of a turn, in milliseconds, all threads together."""
    before = time.process_time()
    await way(calls)
    return (time.process_time() - before) / (calls + 1) * 1e3


async def measure(url: str) -> list[list[object]]:
    """Measure the three in turn, so that a slow moment of the machine meets them all; clients are made before."""
    async with (
        Client(url, trust_env=False) as client,
        httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as plain_client,
    ):
        ways: list[Callable[[int], Awaitable[None]]] = [
            lambda calls: run_httpx(plain_client, calls),
            lambda calls: run_agent(client, calls, is_async=True),
            lambda calls: run_agent(client, calls, is_async=False),
        ]
        for way in ways:
            await way(10)  # imports, connections and caches
        rows: list[list[object]] = []
        for calls, times in CALLS.items():
            measured: list[list[float]] = [[] for _ in ways]
            for _ in range(times):
                for way, found in zip(ways, measured, strict=True):
                    found.append(await cpu_ms(way, calls))
            plain, *ours = map(statistics.median, measured)
            rows.append([calls, plain, *ours, *(own / plain for own in ours)])
        return rows


async def main() -> None:
    """Measure, print, and save where asked."""
    server = await asyncio.create_subprocess_exec(sys.executable, "-c", SERVER, stdout=asyncio.subprocess.PIPE)
    if server.stdout is None:
        raise RuntimeError("the server has no output to read its port from")
    try:
        port = int(await server.stdout.readline())
        rows = await measure(f"http://127.0.0.1:{port}/v1")
    finally:
        server.terminate()
        await server.wait()
    print_table(HEAD, rows)
    if "--save" in sys.argv[1:]:
        save("turns", HEAD, rows)


if __name__ == "__main__":
    asyncio.run(main())

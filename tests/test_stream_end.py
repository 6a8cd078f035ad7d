"""The end of a stream: what follows the terminal event is read, so that the connection can be used again."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator

import httpx
import pytest

from agentkit import Agent, Client

ANSWER = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello."}]}],
}
COMPLETED = b"data: " + json.dumps({"type": "response.completed", "response": ANSWER}).encode() + b"\n\n"


class Body(httpx.AsyncByteStream):
    """A body that notes how it ended: read to its end, or closed before."""

    def __init__(self, *, held_open: bool = False) -> None:
        self.read_to_its_end = False
        self._held_open = held_open

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield COMPLETED
        if self._held_open:
            await asyncio.sleep(30)
        yield b"data: [DONE]\n\n"
        self.read_to_its_end = True


def client_of(body: Body) -> Client:
    answer = httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=body)
    return Client("http://model.test/v1", transport=httpx.MockTransport(lambda request: answer))


@pytest.mark.parametrize("way", ["run", "stream", "client.stream", "client.respond"])
def test_a_stream_is_read_to_its_end_before_its_connection_is_given_back(way: str) -> None:
    """A connection whose answer was left unread is closed, and each turn would make a new one."""

    async def main() -> None:
        body = Body()
        async with client_of(body) as client:
            agent = Agent(model="any", client=client)
            if way == "run":
                await agent.run("hi")
            elif way == "stream":
                async with agent.stream("hi") as run:
                    async for _ in run:
                        pass
            elif way == "client.stream":
                async for _ in client.stream({"model": "any", "input": "hi"}):
                    pass
            else:
                await client.respond({"model": "any", "input": "hi"})
        assert body.read_to_its_end

    asyncio.run(main())


def test_a_stream_held_open_after_its_end_does_not_hold_up_the_answer() -> None:
    async def main() -> str:
        async with client_of(Body(held_open=True)) as client:
            return (await Agent(model="any", client=client).run("hi")).output

    started = time.monotonic()
    assert asyncio.run(main()) == "Hello."
    assert time.monotonic() - started < 5

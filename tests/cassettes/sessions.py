"""Recordings to write and read: of agents that talk to the reference server, and made of literals."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import httpx

from agentkit import Agent, Client
from agentkit.cassettes.interaction import Body, Head, Interaction, Recording
from agentkit.testing import ScriptedModel, call, random_ids

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from agentkit.service.ids import Ids

PLACES = ("Oslo", "Bergen", "Tromsø", "Bodø", "Røros", "Molde")


class Recorder(httpx.AsyncBaseTransport):
    """Notes what passes, chunk by chunk. One conversation: each request goes on from the one before it."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner
        self.interactions: list[Interaction] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        data = await request.aread()
        answer = await self._inner.handle_async_request(request)
        assert isinstance(answer.stream, httpx.AsyncByteStream)
        chunks = [chunk async for chunk in answer.stream]
        parent = len(self.interactions) - 1 if self.interactions else None
        headers = tuple((name, value) for name, value in answer.headers.items() if name == "content-type")
        self.interactions.append(
            Interaction(
                "POST", str(request.url), self._body(data), answer.status_code, headers, tuple(chunks), None, parent
            )
        )
        return httpx.Response(answer.status_code, headers=answer.headers, stream=Chunks(chunks), request=request)

    def _body(self, data: bytes) -> Body:
        before = self.interactions[-1].body if self.interactions else None
        if before is not None and data.startswith(bytes(before)[:-2]):
            return Body(data[before.size - 2 :], before, before.size - 2)
        return Body(data)


class Chunks(httpx.AsyncByteStream):
    """The chunks of an answer, once more."""

    def __init__(self, chunks: list[bytes]) -> None:
        self._chunks = chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk


def weather(city: str) -> dict[str, object]:
    """Tell the weather of a city.

    Args:
        city: The city's name.
    """
    return {"city": city, "celsius": len(city), "sky": "clear", "wind": "light, from the south"}


def trains(start: str, end: str, day: str = "today") -> list[str]:
    """List the trains between two cities.

    Args:
        start: Where the journey begins.
        end: Where it ends.
        day: A day, as in "today" or "2026-11-27".
    """
    return [f"{start} 08:02 - {end} 14:40 ({day})", f"{start} 15:50 - {end} 22:31 ({day})"]


def recorded(turns: int, *, prompt: str = "Plan a journey through Norway.", ids: Ids | None = None) -> Recording:
    """Return a streaming session of so many turns, each but the last a call of a tool."""
    cities = itertools.cycle(PLACES)
    script = [call("weather", {"city": next(cities)}) for _ in range(turns - 1)]
    words = "Take the morning train to the coast, and a coat: it is cold in the evening. " * 8
    model = ScriptedModel([*script, words], ids=ids or random_ids)
    recorder = Recorder(model)
    client = Client(base_url="http://scripted.test/v1", transport=recorder)
    agent = Agent(
        model="scripted", instructions="You plan journeys. Look up the weather first.", tools=[weather, trains]
    )
    with agent.stream_sync(prompt, client=client) as stream:
        for _ in stream:
            pass
    return Recording(Head(recorded="2026-11-27", server="agentkit serve"), tuple(recorder.interactions))

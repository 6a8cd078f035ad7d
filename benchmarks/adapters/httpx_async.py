"""The reference: a loop over `httpx.AsyncClient`, items encoded once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from benchmarks.adapters.by_hand import Conversation, Text, encode, make_items

if TYPE_CHECKING:
    from benchmarks.task import Task
    from benchmarks.worker import Runs

HEADERS = {"content-type": "application/json", "authorization": "Bearer k"}


def make_client(url: str) -> httpx.AsyncClient:
    """Return a client that opens and keeps as many connections as there are requests at once."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    return httpx.AsyncClient(base_url=url, timeout=60, limits=limits)


class Adapter:
    """Keeps one client, but for tasks that say otherwise."""

    PACKAGES = ("httpx", "httpcore", "h11")

    def __init__(self) -> None:
        self._client: httpx.AsyncClient | None = None

    async def open(self, task: Task, url: str) -> Runs:
        self._client = client = make_client(url)
        history = list(map(encode, make_items(task)))

        async def run() -> str:
            return await converse(client, Conversation(task, history), stream=bool(task.deltas))

        async def run_anew() -> str:
            async with make_client(url) as own:
                return await converse(own, Conversation(task, history), stream=bool(task.deltas))

        return run_anew if task.new_client else run

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()


async def converse(client: httpx.AsyncClient, conversation: Conversation, *, stream: bool) -> str:
    """Ask and run calls until there is an answer."""
    while True:
        items = await (ask_streamed if stream else ask)(client, conversation.body())
        if (text := conversation.take(items)) is not None:
            return text


async def ask(client: httpx.AsyncClient, body: bytes) -> list[dict[str, object]]:
    """Return the items of one response."""
    answer = await client.post("responses", content=body, headers=HEADERS)
    return answer.raise_for_status().json()["output"]  # type: ignore[no-any-return]


async def ask_streamed(client: httpx.AsyncClient, body: bytes) -> list[dict[str, object]]:
    """Return the items of one streamed response."""
    text = Text()
    async with client.stream("POST", "responses", content=body, headers=HEADERS) as answer:
        answer.raise_for_status()
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                text.take(line[6:])
    if text.items is None or not text.deltas:
        raise RuntimeError("the stream ended without a response")
    return text.items

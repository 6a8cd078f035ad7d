"""The same loop over `httpx.Client`. Runs come one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from benchmarks.adapters.by_hand import Conversation, Text, encode, make_items
from benchmarks.adapters.httpx_async import HEADERS

if TYPE_CHECKING:
    from benchmarks.task import Task
    from benchmarks.worker import Runs


class Adapter:
    """Keeps one client, but for tasks that say otherwise."""

    PACKAGES = ("httpx", "httpcore", "h11")

    def __init__(self) -> None:
        self._client: httpx.Client | None = None

    async def open(self, task: Task, url: str) -> Runs:
        if task.at_once > 1:
            raise NotImplementedError("a sync client makes one run at a time")
        self._client = client = httpx.Client(base_url=url, timeout=60)
        history = list(map(encode, make_items(task)))

        async def run() -> str:
            return converse(client, Conversation(task, history), stream=bool(task.deltas))

        async def run_anew() -> str:
            with httpx.Client(base_url=url, timeout=60) as own:
                return converse(own, Conversation(task, history), stream=bool(task.deltas))

        return run_anew if task.new_client else run

    async def close(self) -> None:
        if self._client is not None:
            self._client.close()


def converse(client: httpx.Client, conversation: Conversation, *, stream: bool) -> str:
    """Ask and run calls until there is an answer."""
    while True:
        items = (ask_streamed if stream else ask)(client, conversation.body())
        if (text := conversation.take(items)) is not None:
            return text


def ask(client: httpx.Client, body: bytes) -> list[dict[str, object]]:
    """Return the items of one response."""
    answer = client.post("responses", content=body, headers=HEADERS)
    return answer.raise_for_status().json()["output"]  # type: ignore[no-any-return]


def ask_streamed(client: httpx.Client, body: bytes) -> list[dict[str, object]]:
    """Return the items of one streamed response."""
    text = Text()
    with client.stream("POST", "responses", content=body, headers=HEADERS) as answer:
        answer.raise_for_status()
        for line in answer.iter_lines():
            if line.startswith("data: "):
                text.take(line[6:])
    if text.items is None or not text.deltas:
        raise RuntimeError("the stream ended without a response")
    return text.items

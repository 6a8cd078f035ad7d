"""The plain loop: a list of dicts over `httpx.AsyncClient`, all of it encoded for each request."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from benchmarks.adapters import httpx_async
from benchmarks.adapters.by_hand import look, make_head, make_items
from benchmarks.adapters.httpx_async import ask, ask_streamed, make_client
from benchmarks.task import QUESTION, make_output

if TYPE_CHECKING:
    import httpx

    from benchmarks.task import Task
    from benchmarks.worker import Runs


class Adapter(httpx_async.Adapter):
    """Keeps one client, but for tasks that say otherwise."""

    async def open(self, task: Task, url: str) -> Runs:
        self._client = client = make_client(url)

        async def run() -> str:
            return await converse(client, task)

        async def run_anew() -> str:
            async with make_client(url) as own:
                return await converse(own, task)

        return run_anew if task.new_client else run


async def converse(client: httpx.AsyncClient, task: Task) -> str:
    """Ask and run calls until there is an answer."""
    output = make_output(task)
    items = [*make_items(task), {"type": "message", "role": "user", "content": QUESTION}]
    while True:
        body = json.dumps({**make_head(task), "input": items}).encode()
        received = await (ask_streamed if task.deltas else ask)(client, body)
        items += received
        for item in received:
            if item["type"] == "message":
                return item["content"][0]["text"]  # type: ignore[index,no-any-return]
            said = look(output, **json.loads(item["arguments"]))  # type: ignore[arg-type]
            items.append({"type": "function_call_output", "call_id": item["call_id"], "output": said})

"""agentkit, as its users write it. Tools are async here; `agentkit_sync` has plain functions."""

# ruff: noqa: ARG001  (what the model gives to tools that need nothing)

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from agentkit import Agent, Client, Limits, TextDelta, Tool, Transcript, tool
from benchmarks.adapters.by_hand import make_items
from benchmarks.task import QUESTION, make_output, name_of_tool

if TYPE_CHECKING:
    from benchmarks.task import Task
    from benchmarks.worker import Runs


class Adapter:
    """Keeps one client, but for tasks that say otherwise; each run has a new agent."""

    PACKAGES = ("agentkit", "httpx", "pydantic")
    is_async = True

    def __init__(self) -> None:
        self._client: Client | None = None

    async def open(self, task: Task, url: str) -> Runs:
        self._client = client = Client(url, "k")
        tools = self.make_tools(task)
        history = Transcript.from_items(make_items(task))

        def make_agent() -> Agent[str]:
            return Agent(model="m", tools=tools, limits=Limits(turns=None))

        async def run() -> str:
            result = await make_agent().run(QUESTION, transcript=history, client=client)
            return result.output

        async def run_streamed() -> str:
            async with make_agent().stream(QUESTION, transcript=history, client=client) as events:
                deltas = [event.text async for event in events if isinstance(event, TextDelta)]
            if "".join(deltas) != events.result.output:
                raise RuntimeError("the deltas aren't the answer")
            return events.result.output

        async def run_anew() -> str:
            async with Client(url, "k") as own:
                result = await make_agent().run(QUESTION, transcript=history, client=own)
                return result.output

        return run_streamed if task.deltas else run_anew if task.new_client else run

    def make_tools(self, task: Task) -> list[Tool[..., object]]:
        """Return a task's tools."""
        return [self._make_tool(task, index) for index in range(task.tools)]

    def _make_tool(self, task: Task, index: int) -> Tool[..., object]:
        output = make_output(task)

        def look(word: str, limit: int = 10) -> str:
            """Look a word up.

            Args:
                word: The word to look up, as it stands in the text.
                limit: The most that may be found.
            """
            if task.tool_ms:
                time.sleep(task.tool_ms / 1000)
            return output

        async def look_async(word: str, limit: int = 10) -> str:
            """Look a word up.

            Args:
                word: The word to look up, as it stands in the text.
                limit: The most that may be found.
            """
            return output

        return tool(name=name_of_tool(index))(look_async if self.is_async else look)

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()

"""openai-agents over the Responses API, its tracing off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents import Agent, OpenAIResponsesModel, Runner, function_tool, set_tracing_disabled
from openai import AsyncOpenAI

from benchmarks.adapters.by_hand import make_items
from benchmarks.adapters.framework import make_functions
from benchmarks.task import QUESTION

if TYPE_CHECKING:
    from benchmarks.task import Task
    from benchmarks.worker import Runs

TURNS = 10**6


class Adapter:
    """Keeps one client, but for tasks that say otherwise; each run has a new agent."""

    PACKAGES = ("openai-agents", "openai")

    def __init__(self) -> None:
        self._client: AsyncOpenAI | None = None
        set_tracing_disabled(True)

    async def open(self, task: Task, url: str) -> Runs:
        self._client = client = AsyncOpenAI(base_url=url, api_key="k")
        tools = [function_tool(function) for function in make_functions(task)]
        asked = [*make_items(task), {"type": "message", "role": "user", "content": QUESTION}]

        def make_agent(client: AsyncOpenAI) -> Agent:
            return Agent(name="a", model=OpenAIResponsesModel("m", openai_client=client), tools=tools)

        async def run() -> str:
            return (await Runner.run(make_agent(client), asked, max_turns=TURNS)).final_output

        async def run_anew() -> str:
            async with AsyncOpenAI(base_url=url, api_key="k") as own:
                return (await Runner.run(make_agent(own), asked, max_turns=TURNS)).final_output

        async def run_streamed() -> str:
            result = Runner.run_streamed(make_agent(client), asked, max_turns=TURNS)
            raw = [event.data async for event in result.stream_events() if event.type == "raw_response_event"]
            return "".join([data.delta for data in raw if data.type == "response.output_text.delta"])

        return run_streamed if task.deltas else run_anew if task.new_client else run

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()

"""agno over the Responses API, its telemetry off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agno.agent import Agent
from agno.models.message import Message
from agno.models.openai import OpenAIResponses
from openai import AsyncOpenAI

from benchmarks.adapters.framework import make_functions
from benchmarks.task import QUESTION, make_history

if TYPE_CHECKING:
    from benchmarks.task import Task
    from benchmarks.worker import Runs


class Adapter:
    """Keeps one client, but for tasks that say otherwise; each run has a new agent."""

    PACKAGES = ("agno", "openai")

    def __init__(self) -> None:
        self._client: AsyncOpenAI | None = None

    async def open(self, task: Task, url: str) -> Runs:
        self._client = client = AsyncOpenAI(base_url=url, api_key="k")
        tools = make_functions(task)
        history = [
            message
            for question, said in make_history(task)
            for message in (Message(role="user", content=question), Message(role="assistant", content=said))
        ]

        def make_agent(client: AsyncOpenAI) -> Agent:
            model = OpenAIResponses(id="m", api_key="k", base_url=url, async_client=client, store=False)
            return Agent(model=model, tools=tools, telemetry=False)

        async def run() -> str:
            asked = [*history, Message(role="user", content=QUESTION)] if history else QUESTION
            return (await make_agent(client).arun(asked)).content

        async def run_anew() -> str:
            async with AsyncOpenAI(base_url=url, api_key="k") as own:
                return (await make_agent(own).arun(QUESTION)).content

        async def run_streamed() -> str:
            events = make_agent(client).arun(QUESTION, stream=True)
            return "".join([event.content async for event in events if event.event == "RunContent" and event.content])

        return run_streamed if task.deltas else run_anew if task.new_client else run

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()

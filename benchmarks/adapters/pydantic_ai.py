"""pydantic-ai over the Responses API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openai import AsyncOpenAI
from pydantic_ai import Agent, Tool, UsageLimits
from pydantic_ai.messages import ModelRequest, ModelResponse, TextPart, UserPromptPart
from pydantic_ai.models.openai import OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

from benchmarks.adapters.framework import make_functions
from benchmarks.task import QUESTION, make_history

if TYPE_CHECKING:
    from benchmarks.task import Task
    from benchmarks.worker import Runs

LIMITS = UsageLimits(request_limit=None)


class Adapter:
    """Keeps one client, but for tasks that say otherwise; each run has a new agent."""

    PACKAGES = ("pydantic-ai-slim", "openai")

    def __init__(self) -> None:
        self._client: AsyncOpenAI | None = None

    async def open(self, task: Task, url: str) -> Runs:
        self._client = client = AsyncOpenAI(base_url=url, api_key="k")
        tools = [Tool(function) for function in make_functions(task)]
        history = [
            message
            for question, said in make_history(task)
            for message in (ModelRequest([UserPromptPart(question)]), ModelResponse([TextPart(said)]))
        ]

        def make_agent(client: AsyncOpenAI) -> Agent:
            return Agent(OpenAIResponsesModel("m", provider=OpenAIProvider(openai_client=client)), tools=tools)

        async def run() -> str:
            result = await make_agent(client).run(QUESTION, message_history=history, usage_limits=LIMITS)
            return result.output

        async def run_anew() -> str:
            async with AsyncOpenAI(base_url=url, api_key="k") as own:
                return (await make_agent(own).run(QUESTION)).output

        async def run_streamed() -> str:
            async with make_agent(client).run_stream(QUESTION) as result:
                return "".join([text async for text in result.stream_text(delta=True, debounce_by=None)])

        return run_streamed if task.deltas else run_anew if task.new_client else run

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()

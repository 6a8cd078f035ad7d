"""Strands over the Responses API. It streams always, and opens a client for each request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from strands import Agent, tool
from strands.models.openai_responses import OpenAIResponsesModel

from benchmarks.adapters.framework import make_functions
from benchmarks.task import QUESTION, make_history

if TYPE_CHECKING:
    from benchmarks.task import Task
    from benchmarks.worker import Runs


class Adapter:
    """Each run has a new agent."""

    PACKAGES = ("strands-agents", "openai")

    async def open(self, task: Task, url: str) -> Runs:
        tools = [tool(function) for function in make_functions(task)]

        def make_agent() -> Agent:
            model = OpenAIResponsesModel(client_args={"base_url": url, "api_key": "k"}, model_id="m")
            messages = [
                {"role": role, "content": [{"text": text}]}
                for question, said in make_history(task)
                for role, text in (("user", question), ("assistant", said))
            ]
            return Agent(model=model, tools=tools, messages=messages, callback_handler=None)

        async def run() -> str:
            return str(await make_agent().invoke_async(QUESTION)).strip()

        async def run_streamed() -> str:
            events = make_agent().stream_async(QUESTION)
            return "".join([event["data"] async for event in events if "data" in event])

        return run_streamed if task.deltas else run

    async def close(self) -> None:
        """Its clients are closed by itself."""

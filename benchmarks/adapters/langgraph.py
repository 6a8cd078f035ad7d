"""langgraph's agent of langchain, with langchain-openai over the Responses API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain.agents import create_agent
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.tools import StructuredTool
from langchain_openai import ChatOpenAI

from benchmarks.adapters.framework import make_functions
from benchmarks.task import QUESTION, make_history

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

    from benchmarks.task import Task
    from benchmarks.worker import Runs

CONFIG = {"recursion_limit": 10**6}


class Adapter:
    """Keeps one model, hence one client, but for tasks that say otherwise; each run has a new agent."""

    PACKAGES = ("langgraph", "langchain", "langchain-openai", "openai")

    async def open(self, task: Task, url: str) -> Runs:
        tools = [StructuredTool.from_function(coroutine=function) for function in make_functions(task)]
        history: list[BaseMessage] = []
        for question, said in make_history(task):
            history += [HumanMessage(question), AIMessage(said)]

        def make_model() -> ChatOpenAI:
            return ChatOpenAI(
                model="m", base_url=url, api_key="k", use_responses_api=True, streaming=bool(task.deltas), store=False
            )

        model = make_model()

        async def run() -> str:
            agent = create_agent(make_model() if task.new_client else model, tools)
            done = await agent.ainvoke({"messages": [*history, HumanMessage(QUESTION)]}, CONFIG)
            return done["messages"][-1].text

        async def run_streamed() -> str:
            agent = create_agent(model, tools)
            asked = {"messages": [HumanMessage(QUESTION)]}
            pieces = [
                message.text
                async for message, _ in agent.astream(asked, CONFIG, stream_mode="messages")
                if isinstance(message, AIMessageChunk)
            ]
            return "".join(pieces)

        return run_streamed if task.deltas else run

    async def close(self) -> None:
        """Its clients are closed when they are collected."""

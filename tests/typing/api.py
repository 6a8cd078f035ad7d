"""The public API as users write it. Type-checked, never run."""

from __future__ import annotations

from typing import Literal, assert_type

from pydantic import BaseModel

from agentkit import (
    Agent,
    Client,
    Event,
    FunctionCall,
    Image,
    Limits,
    Prompt,
    Response,
    Result,
    RetryPolicy,
    Run,
    Settings,
    SyncRun,
    TextDelta,
    Tool,
    ToolContext,
    ToolError,
    Toolset,
    Transcript,
    Usage,
    tool,
)


class City(BaseModel):
    name: str


class Shop:
    stock: dict[str, int]


@tool
def weather(city: str, unit: Literal["C", "F"] = "C") -> dict[str, int]:
    return {city: len(unit)}


@tool(timeout_s=2, effect="idempotent")
async def order(item: str, ctx: ToolContext[Shop]) -> str:
    ctx.emit("ordering")
    if item not in ctx.deps.stock:
        raise ToolError("sold out")
    return ctx.idempotency_key


class Store:
    @tool
    def price(self, item: str) -> float:
        return 1.0


async def decorated_functions_keep_their_types() -> None:
    assert_type(weather("Oslo", unit="F"), dict[str, int])
    assert_type(Store().price("tea"), float)
    assert_type(weather.name, str)


async def outputs_have_the_type_that_was_asked_for(client: Client) -> None:
    text = Agent(model="m", tools=[weather, order, Store().price], client=client)
    assert_type(text, Agent[str])
    assert_type((await text.run("hi")).output, str)
    assert_type(text.run_sync(["What?", Image.from_path("a.png")]), Result[str])

    city = Agent(model="m", output_type=City)
    assert_type((await city.run("hi")).output, City)

    union = Agent(model="m", output_type=City | None)
    assert_type((await union.run("hi")).output, City | None)

    listed = Agent(model="m", output_type=list[City])
    assert_type((await listed.run("hi")).output, list[City])


async def runs_are_iterated(agent: Agent[str]) -> None:
    async with agent.stream("hi", deps=Shop(), limits=Limits(turns=3)) as run:
        assert_type(run, Run[str])
        async for event in run:
            assert_type(event, Event)
            if isinstance(event, TextDelta):
                assert_type(event.text, str)
    assert_type(run.result.transcript, Transcript)
    with agent.stream_sync("hi", settings=Settings(temperature=0)) as sync_run:
        assert_type(sync_run, SyncRun[str])
        for text in sync_run.text_deltas():
            assert_type(text, str)


async def clients_take_bodies(client: Client) -> None:
    assert_type(await client.respond({"model": "m", "input": "hi"}), Response)
    async for event in client.stream({"model": "m", "input": "hi"}):
        assert_type(event, Event)
    Client("http://localhost/v1", lambda: "key", retry=RetryPolicy(attempts=2), profile="vllm", reasoning="drop")


def transcripts_are_values(result: Result[str]) -> None:
    assert_type(result.transcript.fork(turn=1), Transcript)
    assert_type(result.transcript.open_calls, list[FunctionCall])
    assert_type(result.usage, Usage)


def toolsets_select(tools: Toolset) -> None:
    assert_type(tools.only("a").without("b").prefixed("c_"), Toolset)
    Agent(model="m", tools=tools, instructions=Prompt("{{ name }}"))
    Tool.from_schema("echo", "Echo.", {"type": "object", "properties": {}}, lambda **values: values)

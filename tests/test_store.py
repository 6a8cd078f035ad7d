"""A retail store worked through the loop: after each task its data equals what direct calls give."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal, TypedDict

import pytest

from agentkit import Agent, Tool, ToolContext, ToolError, tool
from agentkit.testing import ReceivedRequest, Reply, ScriptedModel, call

Status = Literal["pending", "delivered", "cancelled", "returned"]


class Line(TypedDict):
    item_id: str
    count: int


@dataclass
class Order:
    user_id: str
    lines: list[dict[str, object]]
    status: Status = "pending"
    payment: str = "card"
    address: str = "Main Street 1"


@dataclass
class Store:
    """The data that the tools change."""

    orders: dict[str, Order] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)
    stock: dict[str, int] = field(default_factory=dict)
    log: list[tuple[str, object]] = field(default_factory=list)


def make_store() -> Store:
    store = Store(stock={f"item_{n}": 5 for n in range(6)})
    for n in range(8):
        lines = [{"item_id": f"item_{n % 6}", "count": 1 + n % 3}]
        status: Status = "pending" if n % 2 else "delivered"
        store.orders[f"#W{n}"] = Order(user_id=f"user_{n % 3}", lines=lines, status=status)
    store.addresses = {f"user_{n}": f"Road {n}" for n in range(3)}
    return store


def find(ctx: ToolContext[Store], order_id: str, wanted: Status | None = None) -> Order:
    order = ctx.deps.orders.get(order_id)
    if order is None:
        raise ToolError(f"no order {order_id!r}")
    if wanted is not None and order.status != wanted:
        raise ToolError(f"order {order_id} is {order.status}, not {wanted}")
    return order


@tool
def get_order(order_id: str, ctx: ToolContext[Store]) -> Order:
    """Look at an order.

    Args:
        order_id: Such as "#W0"; mind the hash.
    """
    return find(ctx, order_id)


@tool(parallel=False)
def cancel_order(
    order_id: str, reason: Literal["no longer needed", "ordered by mistake"], ctx: ToolContext[Store]
) -> str:
    """Cancel a pending order."""
    find(ctx, order_id, "pending").status = "cancelled"
    ctx.deps.log.append(("cancel", reason))
    return "cancelled"


@tool(parallel=False)
async def return_items(order_id: str, item_ids: list[str], payment: str | None, ctx: ToolContext[Store]) -> str:
    """Send back items of a delivered order."""
    order = find(ctx, order_id, "delivered")
    order.status = "returned"
    for item_id in item_ids:
        ctx.deps.stock[item_id] = ctx.deps.stock.get(item_id, 0) + 1
    order.payment = payment or order.payment
    return f"returned {len(item_ids)}"


@tool(parallel=False)
def place_order(lines: list[Line], ctx: ToolContext[Store], user_id: str = "user_0") -> str:
    """Order items."""
    for line in lines:
        if ctx.deps.stock.get(line["item_id"], 0) < line["count"]:
            raise ToolError(f"only {ctx.deps.stock.get(line['item_id'], 0)} of {line['item_id']} left")
    for line in lines:
        ctx.deps.stock[line["item_id"]] -= line["count"]
    order_id = f"#W{len(ctx.deps.orders)}"
    ctx.deps.orders[order_id] = Order(user_id, [dict(line) for line in lines])
    return order_id


@tool(parallel=False)
def change_address(user_id: str, address: str, ctx: ToolContext[Store]) -> None:
    """Change where a user's orders go."""
    if user_id not in ctx.deps.addresses:
        raise ToolError(f"no user {user_id!r}")
    ctx.deps.addresses[user_id] = address


TOOLS: list[Tool[..., object]] = [get_order, cancel_order, return_items, place_order, change_address]
BY_NAME = {one.name: one for one in TOOLS}
AGENT = Agent(model="m", tools=TOOLS, deps_type=Store)


def make_task(seed: int) -> list[list[tuple[str, dict[str, object]]]]:
    """Return the turns of a task, each with one to three calls; some ask for what isn't allowed."""
    pick = random.Random(seed)

    def one() -> tuple[str, dict[str, object]]:
        order_id, item = f"#W{pick.randrange(10)}", f"item_{pick.randrange(7)}"
        return pick.choice(
            [
                ("get_order", {"order_id": order_id}),
                ("cancel_order", {"order_id": order_id, "reason": "no longer needed"}),
                (
                    "return_items",
                    {"order_id": order_id, "item_ids": [item, item], "payment": pick.choice([None, "gift"])},
                ),
                ("place_order", {"lines": [{"item_id": item, "count": pick.randrange(1, 4)}], "user_id": None}),
                ("change_address", {"user_id": f"user_{pick.randrange(4)}", "address": "Ny gate 3 — Bergen ☂"}),
            ]
        )

    return [[one() for _ in range(pick.randrange(1, 4))] for _ in range(pick.randrange(1, 6))]


async def call_directly(store: Store, turns: list[list[tuple[str, dict[str, object]]]]) -> None:
    """Do what the task says without any agent."""
    context = ToolContext(deps=store)
    for name, arguments in (made for turn in turns for made in turn):
        given = {key: value for key, value in arguments.items() if value is not None or key == "payment"}
        try:
            result = BY_NAME[name].function(**given, ctx=context)
            if BY_NAME[name].is_async:
                await result  # type: ignore[misc]
        except ToolError:
            pass


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("seed", range(60))
def test_the_store_ends_as_after_direct_calls_with_each_call_made_once(seed: int, stream: bool) -> None:
    turns = make_task(seed)
    expected = make_store()
    asyncio.run(call_directly(expected, turns))

    def script(request: ReceivedRequest) -> Reply:
        done = len([item for item in request.input_items if item.get("type") == "function_call_output"])
        for turn in turns:
            if done == 0:
                return [call(name, arguments) for name, arguments in turn]
            done -= len(turn)
        return "All done."

    store = make_store()
    client = ScriptedModel(script).client()
    if stream:
        with AGENT.stream_sync("Help me.", deps=store, client=client) as run:
            for _ in run:
                pass
        result = run.result
    else:
        result = AGENT.run_sync("Help me.", deps=store, client=client)

    assert store == expected
    asked = Counter((name, str(sorted(arguments))) for turn in turns for name, arguments in turn)
    assert Counter((c.name, str(sorted(json.loads(c.arguments)))) for c in result.tool_calls) == asked

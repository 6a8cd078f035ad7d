"""New here: an assistant as its own small project, with its own tests beside it (test_assistant.py)."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from agentkit import Agent, Prompt, ToolContext, ToolError, tool
from agentkit.testing import example_client

MODEL = os.environ.get("AGENTKIT_MODEL", "gpt-oss-120b")


@dataclass
class Pantry:
    """What the assistant looks after."""

    owner: str
    stock: dict[str, int] = field(default_factory=dict)


@tool
def in_stock(ctx: ToolContext[Pantry]) -> dict[str, int]:
    """List what is in the pantry."""
    return ctx.deps.stock


@tool(parallel=False)
def take(item: str, ctx: ToolContext[Pantry], count: int = 1) -> str:
    """Take something out of the pantry.

    Args:
        item: What to take.
        count: How many.
    """
    left = ctx.deps.stock.get(item, 0)
    if left < count:
        raise ToolError(f"only {left} x {item} left")
    ctx.deps.stock[item] = left - count
    return f"took {count} x {item}, {left - count} left"


def deps() -> Pantry:
    """What `agentkit run` and `agentkit chat` give the agent."""
    return Pantry("Ada", {"tea": 2, "rice": 1})


RECORDING = Path(__file__).parents[2] / "cassettes/examples/09_tested_assistant.yaml"
client = example_client(RECORDING)  # AGENTKIT_LIVE=1 asks a real model
agent = Agent(
    model=MODEL,
    instructions=Prompt("You keep the pantry of {{ owner }}. Answer in one sentence."),
    tools=[in_stock, take],
    deps_type=Pantry,
)

if __name__ == "__main__":
    print(agent.run_sync("I'd like a cup of tea.", deps=deps(), client=client).output)

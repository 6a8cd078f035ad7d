"""New here: watching a run. Text comes as it is written, tools as they start and finish."""

import os
from pathlib import Path

from agentkit import Agent, ResponseFinished, TextDelta, ToolFinished, ToolStarted, tool
from agentkit.testing import example_client

MODEL = os.environ.get("AGENTKIT_MODEL", "gpt-oss-120b")


@tool
async def population(city: str) -> int:
    """Inhabitants of a city."""
    return {"Oslo": 709_037, "Bergen": 289_330}[city]


RECORDING = Path(__file__).parents[1] / "cassettes/examples/04_streaming.yaml"
client = example_client(RECORDING)  # AGENTKIT_LIVE=1 asks a real model
agent = Agent(model=MODEL, tools=[population])

if __name__ == "__main__":
    with agent.stream_sync("How many people live in Oslo and Bergen?", client=client) as run:
        for event in run:
            match event:
                case ToolStarted():
                    print(f"[{event.name} {event.arguments}]")
                case ToolFinished():
                    print(f"[{event.name} gave {event.output}]")
                case TextDelta():
                    print(event.text, end="", flush=True)
                case ResponseFinished() if event.response.output_text:
                    print()
    print(f"{run.result.turns} turns, {run.result.usage.output_tokens} tokens written")

"""New here: a tool. The model asks for it, agentkit runs it, the model answers with what it gave."""

import os
from pathlib import Path
from typing import Literal

from agentkit import Agent, tool
from agentkit.testing import example_client

MODEL = os.environ.get("AGENTKIT_MODEL", "gpt-oss-120b")


@tool
def weather(city: str, unit: Literal["C", "F"] = "C") -> dict[str, object]:
    """Current weather in a city.

    Args:
        city: City name, for example "Oslo".
        unit: Temperature unit.
    """
    return {"city": city, "temperature": 7 if unit == "C" else 45, "unit": unit, "sky": "rain"}


RECORDING = Path(__file__).parents[1] / "cassettes/examples/02_tools.yaml"
client = example_client(RECORDING)  # AGENTKIT_LIVE=1 asks a real model
agent = Agent(model=MODEL, instructions="Answer in one sentence.", tools=[weather])

if __name__ == "__main__":
    result = agent.run_sync("Do I need a coat in Oslo?", client=client)
    print(result.output)
    for made in result.tool_calls:
        print(f"  {made.name}{made.arguments} -> {made.output}")

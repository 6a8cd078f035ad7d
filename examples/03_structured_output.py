"""New here: an answer of a type. A wrong one goes back to the model with the reason."""

import os
from pathlib import Path

from pydantic import BaseModel, Field

from agentkit import Agent
from agentkit.testing import example_client

MODEL = os.environ.get("AGENTKIT_MODEL", "gpt-oss-120b")


class City(BaseModel):
    """A city and its size."""

    name: str
    people: int = Field(gt=0, description="Inhabitants of the municipality")


RECORDING = Path(__file__).parents[1] / "cassettes/examples/03_structured_output.yaml"
client = example_client(RECORDING)  # AGENTKIT_LIVE=1 asks a real model
agent = Agent(model=MODEL, output_type=City, output_retries=2)

if __name__ == "__main__":
    result = agent.run_sync("How many people live in Oslo?", client=client)
    print(repr(result.output))
    print(f"{result.turns} turns")

"""A question and an answer."""

import os
from pathlib import Path

from agentkit import Agent
from agentkit.testing import example_client

MODEL = os.environ.get("AGENTKIT_MODEL", "gpt-oss-120b")
RECORDING = Path(__file__).parents[1] / "cassettes/examples/01_hello.yaml"
client = example_client(RECORDING)  # AGENTKIT_LIVE=1 asks a real model

agent = Agent(model=MODEL, instructions="Answer in one sentence.")

if __name__ == "__main__":
    result = agent.run_sync("Hello!", client=client)
    print(result.output)

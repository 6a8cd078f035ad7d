"""A question and an answer."""

import os

from agentkit import Agent
from agentkit.testing import example_client

MODEL = os.environ.get("AGENTKIT_MODEL", "gpt-oss-120b")
client = example_client(["Hello! Ask me anything."])  # AGENTKIT_LIVE=1 asks a real model

agent = Agent(model=MODEL, instructions="Answer in one sentence.")

if __name__ == "__main__":
    result = agent.run_sync("Hello!", client=client)
    print(result.output)

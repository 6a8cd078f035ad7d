"""New here: ready-made tools. A guide that lists, searches and reads this project, and can't leave it."""

import os
from pathlib import Path

from agentkit_tools import Files

from agentkit import Agent
from agentkit.testing import example_client

MODEL = os.environ.get("AGENTKIT_MODEL", "gpt-oss-120b")
PROJECT = Path(__file__).parent.parent


RECORDING = Path(__file__).parents[1] / "cassettes/examples/07_repository_guide.yaml"
client = example_client(RECORDING)  # AGENTKIT_LIVE=1 asks a real model
agent = Agent(
    model=MODEL,
    instructions="You know the project in the files. Look things up, and name the file that shows it.",
    tools=Files(PROJECT).tools,
)

if __name__ == "__main__":
    result = agent.run_sync("How do I get an answer of a type?", client=client)
    for made in result.tool_calls:
        print(f"[{made.name}] {made.output.splitlines()[-1].split('  ')[0]}")
    print(result.output)

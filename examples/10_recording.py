"""New here: a recording. What a model answered once is played again, without a key or a network."""

import os
from pathlib import Path

import agentkit
from agentkit import Agent, tool

MODEL = os.environ.get("AGENTKIT_MODEL", "gpt-oss-120b")
RECORDING = Path(__file__).parents[1] / "cassettes/examples/10_recording.yaml"


@tool
def take(item: str) -> str:
    """Take something out of the pantry.

    Args:
        item: What to take.
    """
    print("(the pantry is opened)")  # while playing it isn't: a call gives what it gave
    return f"took {item}"


agent = Agent(model=MODEL, instructions="Answer in one sentence.", tools=[take])
live = os.environ.get("AGENTKIT_LIVE") == "1"  # AGENTKIT_LIVE=1 asks a real model

if __name__ == "__main__":
    with agentkit.cassette(RECORDING, "off" if live else "replay") as tape:
        result = agent.run_sync("I'd like a cup of tea.")
    print(result.output)
    print(f"turns played: {tape.played}, asked of a model: {tape.recorded}")

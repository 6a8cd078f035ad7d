"""New here: a picture in the question. It goes along as a data URL, read from a file or made from bytes."""

import base64
import os
from pathlib import Path

from agentkit import Agent, Image
from agentkit.testing import example_client

MODEL = os.environ.get("AGENTKIT_MODEL", "gemma-4-31B-it")
RED_DOT = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4//8/w38GIAXDIBKE0DHxgljNBAAO9TXL0Y4OHwAAAABJRU5ErkJggg=="
)


RECORDING = Path(__file__).parents[1] / "cassettes/examples/06_images.yaml"
client = example_client(RECORDING)  # AGENTKIT_LIVE=1 asks a real model
agent = Agent(model=MODEL, instructions="Answer in one sentence.")

if __name__ == "__main__":
    picture = Image.from_bytes(RED_DOT)  # or Image.from_path("dot.png")
    result = agent.run_sync(["What is in the picture?", picture], client=client)
    print(result.output)

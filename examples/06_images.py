"""New here: a picture in the question. It goes along as a data URL, read from a file or made from bytes."""

import base64
import os

from agentkit import Agent, Image
from agentkit.testing import ReceivedRequest, example_client

MODEL = os.environ.get("AGENTKIT_MODEL", "gemma-4-31B-it")
RED_DOT = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4//8/w38GIAXDIBKE0DHxgljNBAAO9TXL0Y4OHwAAAABJRU5ErkJggg=="
)


def script(request: ReceivedRequest) -> str:
    """What the scripted model says: it can't see, but it was sent a picture."""
    content = request.input_items[-1]["content"]
    kinds = [part["type"] for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    return f"A red dot. (I was sent {' and '.join(map(str, kinds))}.)"


client = example_client(script)  # AGENTKIT_LIVE=1 asks a real model
agent = Agent(model=MODEL, instructions="Answer in one sentence.")

if __name__ == "__main__":
    picture = Image.from_bytes(RED_DOT)  # or Image.from_path("dot.png")
    result = agent.run_sync(["What is in the picture?", picture], client=client)
    print(result.output)

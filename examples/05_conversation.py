"""New here: a conversation. The transcript is yours: continue it, save it, fork it, compare it."""

import os
import tempfile
from pathlib import Path

from agentkit import Agent, Transcript
from agentkit.testing import example_client

MODEL = os.environ.get("AGENTKIT_MODEL", "gpt-oss-120b")


RECORDING = Path(__file__).parents[1] / "cassettes/examples/05_conversation.yaml"
client = example_client(RECORDING)  # AGENTKIT_LIVE=1 asks a real model
agent = Agent(model=MODEL, instructions="Answer briefly.", client=client)

if __name__ == "__main__":
    first = agent.run_sync("Is Oslo large?")
    print(first.output)

    second = agent.run_sync("And Bergen?", transcript=first.transcript)
    print(second.output)

    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "chat.json"
        saved.write_text(second.transcript.to_json(), encoding="utf-8")
        resumed = Transcript.from_json(saved.read_text(encoding="utf-8"))

    other = agent.run_sync("And Trondheim?", transcript=resumed.fork(turn=1))
    print(second.transcript.diff(other.transcript))

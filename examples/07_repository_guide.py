"""New here: ready-made tools. A guide that lists, searches and reads this project, and can't leave it."""

import os
from pathlib import Path

from agentkit_tools import Files

from agentkit import Agent
from agentkit.testing import ReceivedRequest, Reply, call, example_client

MODEL = os.environ.get("AGENTKIT_MODEL", "gpt-oss-120b")
PROJECT = Path(__file__).parent.parent


def script(request: ReceivedRequest) -> Reply:
    """What the scripted model says: it looks around, searches, tries to look outside, and answers."""
    if request.last_output is None:
        return call("list_files", {"path": "examples", "pattern": "0[1-3]*.py"})
    if request.last_output.startswith("examples/01_hello.py"):
        return call("search_files", {"pattern": r"output_type=\w+", "path": "examples", "glob": "0[1-5]*.py"})
    if request.last_output.startswith("examples/03_structured_output.py"):
        return call("read_file", {"path": "../secrets.txt"})
    return "examples/03_structured_output.py shows how to get an answer of a type: pass output_type."


client = example_client(script)  # AGENTKIT_LIVE=1 asks a real model
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

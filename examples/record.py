"""Record the cassettes of the examples anew, over HTTP from the reference server: python -m examples.record.

Each example is run as it is, with the script of its model in examples/scripts served to it. What a server gives hasn't
changed unless an example or a script has, and then neither have the files. Needs the extras `cassettes`, `server` and
`test`.
"""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import agentkit
from agentkit.service.http import running
from agentkit.service.loading import load_script

HERE = Path(__file__).parent
CASSETTES = HERE.parent / "cassettes" / "examples"


def record(example: Path, name: str) -> None:
    """Run an example against the server, and record what it asks."""
    with running(load_script(str(HERE / "scripts" / f"{name}.py"))) as server:
        os.environ |= {"AGENTKIT_LIVE": "1", "AGENTKIT_BASE_URL": server.base_url}
        with agentkit.cassette(CASSETTES / f"{name}.yaml", "rewrite"):
            runpy.run_path(str(example), run_name="__main__")


def record_by_itself(*command: str) -> None:
    """Run what brings its cassettes along, with the server to ask."""
    with running(load_script(str(HERE / "scripts" / "pantry.yaml"))) as server:
        env = {**os.environ, "AGENTKIT_BASE_URL": server.base_url, "AGENTKIT_CASSETTES": "rewrite"}
        env.pop("AGENTKIT_LIVE", None)
        subprocess.run([sys.executable, *command], cwd=HERE, env=env, check=True)


def main() -> None:
    """Record all of them."""
    for example in sorted(HERE.glob("0*.py")):
        record(example, example.stem)
    record(HERE / "09_tested_assistant" / "assistant.py", "09_tested_assistant")
    record_by_itself("10_recording.py")
    record_by_itself("-m", "pytest", "-q", "-p", "no:cacheprovider", "09_tested_assistant", "--cassettes=rewrite")


if __name__ == "__main__":
    main()

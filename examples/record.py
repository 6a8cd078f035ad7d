"""Record the cassettes of the examples anew, over HTTP from the reference server: python -m examples.record.

What a server gives hasn't changed unless the examples or examples/scripts/pantry.yaml have, and then neither have the
files. Needs the extras `cassettes`, `server` and `test`.
"""

import os
import subprocess
import sys
from pathlib import Path

from agentkit.service.http import running
from agentkit.service.loading import load_script

HERE = Path(__file__).parent
COMMANDS = (
    ["10_recording.py"],
    ["-m", "pytest", "-q", "-p", "no:cacheprovider", "09_tested_assistant", "--cassettes=rewrite"],
)


def main() -> None:
    """Run what has cassettes, with the server to ask."""
    with running(load_script(str(HERE / "scripts" / "pantry.yaml"))) as server:
        env = {**os.environ, "AGENTKIT_BASE_URL": server.base_url, "AGENTKIT_CASSETTES": "rewrite"}
        for command in COMMANDS:
            subprocess.run([sys.executable, *command], cwd=HERE, env=env, check=True)


if __name__ == "__main__":
    main()

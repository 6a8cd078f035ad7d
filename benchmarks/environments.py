"""Makes an environment for each framework, in benchmarks/environments, which git ignores.

python -m benchmarks.environments                  # all of them, the newest releases: minutes, and 1 GB
python -m benchmarks.environments pydantic_ai      # one
"""

# ruff: noqa: S603  (the commands are below)

from __future__ import annotations

import subprocess
import sys
import venv

from benchmarks.race import ENVIRONMENTS

PACKAGES = {
    "pydantic_ai": ["pydantic-ai-slim[openai]"],
    "openai_agents": ["openai-agents"],
    "langgraph": ["langgraph", "langchain", "langchain-openai"],
    "agno": ["agno", "openai"],
    "strands": ["strands-agents[openai]"],
}


def main(names: list[str]) -> None:
    """Make the environments named, or all."""
    for name in names or PACKAGES:
        folder = ENVIRONMENTS / name
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([folder / "bin" / "pip", "install", "--quiet", "--upgrade", *PACKAGES[name]], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])

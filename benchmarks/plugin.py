"""What the pytest plugin adds to a test run that uses no cassette.

    python -m benchmarks.plugin [--save]

Measured from outside: wall and CPU time of fresh processes of pytest over one file of tests that do nothing, with the
plugin and with `-p no:agentkit`, taken in turn; other plugins are left out. What is added is the difference of the
medians. Needs agentkit to be installed: the plugin is an entry point.
"""

from __future__ import annotations

import importlib.metadata
import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from benchmarks.startup import timed
from benchmarks.surroundings import RESULTS, Figure, describe, print_table

TIMES = 25
HEAD = ("tests", "without, cpu ms", "with, cpu ms", "added, cpu ms", "added, wall ms")
COUNTS = (1, 1000)
AT_MOST_MS = 10.0


def measure(folder: Path, count: int) -> list[float]:
    """Return a row of the table."""
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    code = f"import pytest\n\n@pytest.mark.parametrize('n', range({count}))\ndef test_nothing(n):\n    pass\n"
    (folder / "test_nothing.py").write_text(code, encoding="utf-8")
    others = [f"-pno:{name}" for name in importlib.metadata.entry_points(group="pytest11").names if name != "agentkit"]
    with_it = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *others, str(folder)]
    without = [*with_it, "-p", "no:agentkit"]
    pairs = [(run(without), run(with_it)) for _ in range(TIMES + 1)][1:]
    (wall, cpu), (wall_with, cpu_with) = (
        map(statistics.median, zip(*runs, strict=True)) for runs in zip(*pairs, strict=True)
    )
    return [count, cpu, cpu_with, cpu_with - cpu, wall_with - wall]


def run(command: list[str]) -> tuple[float, float]:
    """Return wall and CPU time of a run, in milliseconds."""
    return timed(command, stdout=subprocess.DEVNULL)


def main() -> None:
    """Measure, print, and save where asked."""
    if "agentkit" not in importlib.metadata.entry_points(group="pytest11").names:
        raise SystemExit("the plugin isn't installed. In the checkout: pip install -e '.[test]'")
    with tempfile.TemporaryDirectory() as folder:
        rows = [measure(Path(folder), count) for count in COUNTS]
    print_table(HEAD, rows)
    figures = [Figure(f"plugin added to {int(row[0])} tests, cpu ms", round(row[3], 2), AT_MOST_MS) for row in rows]
    if "--save" in sys.argv[1:]:
        RESULTS.mkdir(exist_ok=True)
        made = {**describe(), "times": TIMES, "head": HEAD, "rows": rows, "figures": [asdict(f) for f in figures]}
        (RESULTS / "plugin.json").write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""What the benchmarks share: the versions that were measured, tables, and results as files."""

# ruff: noqa: T201  (printing is what they are for)

from __future__ import annotations

import datetime
import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("agentkit", "httpx", "httpcore", "h11", "pydantic")


def print_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table as Markdown."""
    texts = [list(head), *([f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    texts.insert(1, ["-" * (width - 1) + ":" for width in widths])
    for cells in texts:
        print("| " + " | ".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True)) + " |")


def save(name: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Write `benchmarks/results/<name>.json`."""
    found = {
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "machine": {"cores": os.cpu_count(), "system": platform.system(), "architecture": platform.machine()},
        "versions": {"python": platform.python_version(), **{package: version(package) for package in PACKAGES}},
        "rows": [
            {key: round(cell, 3) if isinstance(cell, float) else cell for key, cell in zip(head, row, strict=True)}
            for row in rows
        ],
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")

"""What the benchmarks share: the versions that were measured, tables, and results as files."""

# ruff: noqa: T201  (printing is what they are for)

from __future__ import annotations

import datetime
import json
import os
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("agentkit", "httpx", "httpcore", "h11", "pydantic")


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure with a bound."""

    name: str
    found: float
    at_most: float | None = None

    def row(self) -> tuple[object, ...]:
        """Return it as a table's row."""
        if self.at_most is None:
            return self.name, self.found, "", ""
        return self.name, self.found, self.at_most, "" if self.found <= self.at_most else "over"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table as Markdown, the first column to the left."""
    texts = [list(head), *([f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    texts.insert(1, ["-" * width if i == 0 else "-" * (width - 1) + ":" for i, width in enumerate(widths)])
    lines = []
    for cells in texts:
        padded = [
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        lines.append(f"| {' | '.join(padded)} |")
    return "\n".join(lines)


def print_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table as Markdown."""
    print(table(head, rows))


def describe() -> dict[str, object]:
    """Return date, machine and versions."""
    return {
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "system": platform.system(),
            "architecture": platform.machine(),
        },
        "versions": {"python": platform.python_version(), **{package: version(package) for package in PACKAGES}},
    }


def save(
    about: Mapping[str, object], cases: Mapping[str, object], figures: Sequence[Figure], *, name: str = "run"
) -> None:
    """Write `benchmarks/results/NAME.json`."""
    rows = [{**asdict(figure), "found": round(float(figure.found), 3)} for figure in figures]
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps({**about, "cases": cases, "figures": rows}, indent=1)
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")

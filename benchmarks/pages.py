"""The tables of the committed results, as the pages show them: between two marks, written by nobody but this.

    python -m benchmarks.pages

`tests/test_figures.py` holds the pages to the results.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.race import REFERENCE
from benchmarks.surroundings import RESULTS, table
from benchmarks.task import CASES

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[1]
BEGIN = "<!-- from benchmarks/results/{}.json: python -m benchmarks.pages -->"
END = "<!-- end -->"
SHORT = ("httpx_async", "agentkit", "agentkit_sync", "pydantic_ai", "openai_agents")
SHORT_CASES = ("text", "loop of 50", "loop of 200", "20 turns over 1 MB", "128 tools, echoed", "stream of 2000 deltas")

Result = dict[str, Any]


def render_short(result: Result) -> str:
    """Return the few rows for who reads about agentkit."""
    cases = {name: result["cases"][name] for name in SHORT_CASES}
    names = [name for name in SHORT if any(name in row for row in cases.values())]
    return f"{_times(cases, names)}\n\n{_about(result)}"


def render_all(result: Result) -> str:
    """Return all of it."""
    cases = result["cases"]
    names = list(dict.fromkeys(name for row in cases.values() for name in row))
    figures = [
        [row["name"], row["found"], "" if row["at_most"] is None else row["at_most"]] for row in result["figures"]
    ]
    return "\n\n".join(
        [
            _about(result),
            "### CPU per turn, ms",
            _times(cases, names),
            f"### The same, {REFERENCE} = 1",
            _ratios(cases, names),
            "### Figures with a bound",
            table(["figure", "found", "at most"], figures),
        ]
    )


def _times(cases: dict[str, Any], names: list[str]) -> str:
    rows = [[case, *(_cell(row.get(name)) for name in names)] for case, row in cases.items()]
    return table(["CPU per turn, ms", *names], rows)


def _ratios(cases: dict[str, Any], names: list[str]) -> str:
    bounds = {case.name: case.at_most for case in CASES}
    rows = []
    for case, row in cases.items():
        base = row[REFERENCE]["cpu_ms"]
        shares = [row[name]["cpu_ms"] / base if name in row else "" for name in names]
        rows.append([case, *shares, "" if bounds[case] is None else bounds[case]])
    return table(["case", *names, "agentkit at most"], rows)


def _cell(found: dict[str, float] | None) -> object:
    return "" if found is None else found["cpu_ms"]


def _about(result: Result) -> str:
    machine, clients = result["machine"], result["clients"]
    versions = {name: version for own in clients.values() for name, version in own.items() if name != "python"}
    listed = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    return (
        f"Measured on {result['date']}: {machine['processor']}, {machine['cores']} cores, {machine['system']} "
        f"({machine['architecture']}), Python {result['versions']['python']}; {listed}."
    )


def render_figures(result: Result) -> str:
    """Return figures with their bounds."""
    rows = [[row["name"], row["found"], "" if row["at_most"] is None else row["at_most"]] for row in result["figures"]]
    machine = result["machine"]
    about = (
        f"Measured on {result['date']}: {machine['processor']}, {machine['cores']} cores, {machine['system']} "
        f"({machine['architecture']}), Python {result['versions']['python']}."
    )
    return f"{about}\n\n{table(['figure', 'found', 'at most'], rows)}"


class Block(NamedTuple):
    """A part of a page that a result fills."""

    page: str
    result: str
    """The name of its file, without `.json`."""
    render: Callable[[Result], str]


BLOCKS = (
    Block("README.md", "run", render_short),
    Block("benchmarks/README.md", "run", render_all),
    Block("docs/cassettes.md", "cassettes", render_figures),
)


def load(name: str) -> Result:
    """Return a committed result."""
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def split(text: str, result: str) -> tuple[str, str, str]:
    """Return a page before, between and after the marks."""
    before, _, rest = text.partition(BEGIN.format(result) + "\n")
    between, mark, after = rest.partition("\n" + END)
    if not mark:
        raise ValueError(f"the page has no {BEGIN.format(result)} ... {END}")
    return before, between, after


def write() -> None:
    """Put the tables into the pages."""
    for name, result, render in BLOCKS:
        page = ROOT / name
        before, _, after = split(page.read_text(encoding="utf-8"), result)
        filled = f"{before}{BEGIN.format(result)}\n{render(load(result))}\n{END}{after}"
        page.write_text(filled, encoding="utf-8")


if __name__ == "__main__":
    write()

"""Draws what the committed result says: benchmarks/results/*.svg.

    python -m benchmarks.plots

Needs matplotlib, which nothing else but outage.py does.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from benchmarks.race import REFERENCE
from benchmarks.surroundings import RESULTS
from benchmarks.task import CASES, LOOPS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CLIENTS = {
    "httpx_async": ("httpx, items encoded once", "C7", "o-"),
    "dumps": ("httpx, all encoded each turn", "C4", "o-"),
    "agentkit": ("agentkit", "C0", "o-"),
    "pydantic_ai": ("pydantic-ai", "C1", "s--"),
    "openai_agents": ("openai-agents", "C2", "s--"),
    "langgraph": ("langgraph", "C3", "s--"),
    "agno": ("agno", "C5", "s--"),
    "strands": ("strands", "C6", "s--"),
}


def draw() -> None:
    """Draw both plots."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "agentkit", "svg.fonttype": "none", "font.family": "sans-serif"})
    result = json.loads((RESULTS / "run.json").read_text(encoding="utf-8"))
    _save("turns", (7, 4.2), result, _draw_turns)
    _save("ratios", (9, 4.6), result, _draw_ratios)


def _save(name: str, size: tuple[float, float], result: dict[str, Any], fill: Any) -> None:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=size)
    fill(axes, result["cases"])
    python, date = result["versions"]["python"], result["date"]
    axes.annotate(f"Python {python}, {date}", (1, 1.01), xycoords="axes fraction", ha="right", fontsize=7, color="0.4")
    axes.grid(axis="y", which="major", color="0.9")
    axes.set_axisbelow(True)
    axes.legend(frameon=False, fontsize=8, ncols=2)
    figure.tight_layout()
    figure.savefig(RESULTS / f"{name}.svg", metadata={"Date": None, "Creator": None})
    pyplot.close(figure)


def _draw_turns(axes: Axes, cases: dict[str, dict[str, dict[str, float]]]) -> None:
    """Draw the cost of a turn over the calls of a run."""
    for name, (label, color, style) in CLIENTS.items():
        points = [(calls, cases[case][name]["cpu_ms"]) for calls, case in LOOPS.items() if name in cases[case]]
        if points:
            axes.plot(*zip(*points, strict=True), style, color=color, label=label, markersize=4)
    axes.set(xscale="log", yscale="log", xlabel="tool calls of the run, one a turn", ylabel="CPU per turn, ms")
    axes.set_xticks(list(LOOPS), [str(calls) for calls in LOOPS])
    axes.minorticks_off()


def _draw_ratios(axes: Axes, cases: dict[str, dict[str, dict[str, float]]]) -> None:
    """Draw each client's part of the reference, case by case."""
    shown = [case for case in CASES if REFERENCE in cases.get(case.name, {})]
    clients = {name: style for name, style in CLIENTS.items() if name != REFERENCE}
    for place, (name, (label, color, _)) in enumerate(clients.items()):
        there = [(i, cases[case.name]) for i, case in enumerate(shown) if name in cases[case.name]]
        heights = [row[name]["cpu_ms"] / row[REFERENCE]["cpu_ms"] for _, row in there]
        left = [i + (place - len(clients) / 2 + 0.5) * 0.11 for i, _ in there]
        axes.bar(left, heights, 0.1, color=color, label=label)
    for i, case in enumerate(shown):
        if case.at_most is not None:
            axes.hlines(case.at_most, i - 0.45, i + 0.45, color="k", linewidth=1)
    axes.axhline(1, color="0.6", linewidth=0.8, linestyle=":")
    axes.set(yscale="log", ylabel="CPU per turn, httpx loop = 1 (bar: the bound)")
    axes.set_xticks(range(len(shown)), [case.name.replace(" ", "\n", 1) for case in shown], fontsize=7)


if __name__ == "__main__":
    draw()

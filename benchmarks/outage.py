"""Draws docs/outage.svg: what reaches a server that is down for five minutes, with and without the retry budget.

    python -m benchmarks.outage

Needs matplotlib. The simulation is that of tests/faults/outage.py, in virtual time.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot

from agentkit import RetryPolicy
from tests.faults.outage import CLIENTS, DOWN_S, END_S, simulate

PAGE = Path(__file__).parents[1] / "docs" / "outage.svg"
BIN_S = 10
POLICIES = {
    "retries without a budget": RetryPolicy(budget_burst=math.inf),
    "agentkit's default policy": RetryPolicy(),
    "no retries": RetryPolicy.none(),
}


def main() -> None:
    """Simulate, and draw."""
    logging.disable()
    mpl.rcParams.update({"svg.hashsalt": "outage", "svg.fonttype": "none", "font.family": "sans-serif"})
    figure, axes = pyplot.subplots(figsize=(8, 3.6))
    axes.axvspan(*DOWN_S, color="0.92", label="server down (503)")
    for (name, policy), style in zip(POLICIES.items(), ["C1-", "C0-", "k:"], strict=True):
        received = Counter(int(time // BIN_S) for time in simulate(policy).received)
        times = range(int(END_S) // BIN_S)
        axes.step([time * BIN_S for time in times], [received[time] / BIN_S for time in times], style, label=name)
    axes.set(xlabel="seconds", ylabel="requests per second", xlim=(0, END_S), ylim=(0, None))
    axes.set_title(f"{CLIENTS} clients, each asking every 10 s", fontsize=10)
    axes.legend(frameon=False, fontsize=8)
    figure.tight_layout()
    figure.savefig(PAGE, metadata={"Date": None, "Creator": None})


if __name__ == "__main__":
    main()

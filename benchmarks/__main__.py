"""Everything in one run: CPU time of each client in each case, the ratios to the reference, what stands beside them.

python -m benchmarks                        # all clients whose environments are made: 13 minutes
python -m benchmarks --own                  # the loops by hand and agentkit: 5 minutes
python -m benchmarks --only text "loop of 50"
python -m benchmarks --save                 # also writes benchmarks/results/run.json, the plots and the pages' tables
"""

# ruff: noqa: T201  (printing is what it is for)

from __future__ import annotations

import argparse
import sys

from benchmarks import memory, pages, plots, schemas, startup, tools
from benchmarks.race import FRAMEWORKS, LOOPS, REFERENCE, Found, Racer, fake_server, python_of, race
from benchmarks.surroundings import Figure, describe, print_table, save
from benchmarks.task import CASES
from benchmarks.task import LOOPS as LOOP_CASES


def main() -> int:
    """Measure, print, and save where asked."""
    arguments = parse()
    cases = [case for case in CASES if not arguments.only or case.name in arguments.only]
    names = [*LOOPS, *(() if arguments.own else FRAMEWORKS)]
    pythons = {name: python for name in names if (python := python_of(name)) is not None}
    for name in names:
        if name not in pythons:
            print(f"{name} is left out: python -m benchmarks.environments {name}", file=sys.stderr)
    racers = [Racer(name, python) for name, python in pythons.items()]
    with fake_server() as server:
        try:
            found = race(racers, cases, arguments.rounds, server)
        finally:
            for racer in racers:
                racer.close()
        figures = [*figures_of(found)]
        if not arguments.only:
            figures += [*tools.measure(server), *startup.measure(), *schemas.measure(), *memory.measure(server)]
    show(found, figures)
    if arguments.save:
        save({**describe(), "clients": {r.name: r.versions for r in racers}}, found, figures)
        plots.draw()
        pages.write()
    return 0


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.partition("\n")[0])
    parser.add_argument("--own", action="store_true", help="without the other frameworks")
    parser.add_argument("--only", nargs="+", default=(), choices=[c.name for c in CASES], metavar="CASE")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each case, medians count (5)")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/run.json, draw the plots")
    return parser.parse_args()


def figures_of(found: dict[str, dict[str, Found]]) -> list[Figure]:
    """Return the ratios that have a bound."""
    figures = []
    for case in CASES:
        row = found.get(case.name, {})
        if REFERENCE not in row:
            continue
        for name in ("agentkit", "agentkit_sync"):
            if name in row and case.at_most is not None:
                ratio = row[name]["cpu_ms"] / row[REFERENCE]["cpu_ms"]
                figures.append(Figure(f"{case.name}: {name} / {REFERENCE}", ratio, case.at_most))
    first, last = (found.get(LOOP_CASES[calls], {}).get("agentkit") for calls in (10, 1000))
    if first and last:
        figures.append(Figure("a turn of 1000 calls / a turn of 10", last["cpu_ms"] / first["cpu_ms"], 1.3))
    return figures


def show(found: dict[str, dict[str, Found]], figures: list[Figure]) -> None:
    """Print the tables."""
    names = list(dict.fromkeys(name for row in found.values() for name in row))
    print("\nCPU time per turn, ms\n")
    print_table(
        ["case", *names],
        [[case, *(row[name]["cpu_ms"] if name in row else "" for name in names)] for case, row in found.items()],
    )
    print(f"\nThe same, {REFERENCE} = 1\n")
    rows = []
    for case, row in found.items():
        base = row[REFERENCE]["cpu_ms"] if REFERENCE in row else float("nan")
        rows.append([case, *(row[name]["cpu_ms"] / base if name in row else "" for name in names)])
    print_table(["case", *names], rows)
    print("\nFigures with a bound\n")
    print_table(["figure", "found", "at most", ""], [[*figure.row()] for figure in figures])


if __name__ == "__main__":
    sys.exit(main())

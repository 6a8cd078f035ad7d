"""CPU time of describing 128 functions as tools, against pydantic's `TypeAdapter(f).json_schema()` of the same ones.

python -m benchmarks.schemas           # a few seconds
python -m benchmarks.schemas --save    # also writes benchmarks/results/schemas.json
"""

from __future__ import annotations

import statistics
import sys
import time
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, TypeAdapter

from agentkit import tool
from benchmarks.surroundings import print_table, save

if TYPE_CHECKING:
    from collections.abc import Callable

COUNT = 128
ROUNDS = 9
HEAD = ("functions", "agentkit, ms", "TypeAdapter, ms", "agentkit / TypeAdapter")


class Address(BaseModel):
    """A nested model."""

    street: str
    zip_code: str | None = None


def make_plain() -> Callable[..., object]:
    """Return a new function with parameters of plain types."""

    def search(
        query: str, limit: int = 10, exact: bool = False, tags: list[str] | None = None, order: Literal["a", "z"] = "a"
    ) -> str:
        """Search for something."""
        return f"{query}{limit}{exact}{tags}{order}"

    return search


def make_nested() -> Callable[..., object]:
    """Return a new function with a pydantic model among its parameters."""

    def ship(order_id: str, address: Address, express: bool = False) -> str:
        """Ship an order."""
        return f"{order_id}{address}{express}"

    return ship


def describe(functions: list[Callable[..., object]]) -> None:
    """Make tools and their definitions, as a request lists them."""
    for function in functions:
        _ = tool(function).definition


def describe_with_pydantic(functions: list[Callable[..., object]]) -> None:
    """Make pydantic's schemas."""
    for function in functions:
        TypeAdapter(function).json_schema()


def measure(make: Callable[[], Callable[..., object]], work: Callable[[list[Callable[..., object]]], None]) -> float:
    """Return milliseconds of CPU, the median of several rounds over new functions."""
    taken = []
    for _ in range(ROUNDS):
        functions = [make() for _ in range(COUNT)]
        before = time.process_time()
        work(functions)
        taken.append((time.process_time() - before) * 1000)
    return statistics.median(taken)


def main() -> None:
    """Measure, print, and save where asked."""
    rows: list[tuple[object, ...]] = []
    for name, make in (("plain types", make_plain), ("one shared model", make_nested)):
        ours, theirs = measure(make, describe), measure(make, describe_with_pydantic)
        rows.append((f"{COUNT} of {name}", ours, theirs, ours / theirs))
    print_table(HEAD, rows)
    if "--save" in sys.argv[1:]:
        save("schemas", HEAD, rows)


if __name__ == "__main__":
    main()

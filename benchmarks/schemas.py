"""CPU time of describing 128 functions as tools, against pydantic's `TypeAdapter(f).json_schema()` of the same ones."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, TypeAdapter

from agentkit import tool
from benchmarks.surroundings import Figure

if TYPE_CHECKING:
    from collections.abc import Callable

COUNT = 128
ROUNDS = 9


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


def make_own() -> Callable[..., object]:
    """Return a new function with a pydantic model that no other function has."""

    class Parcel(BaseModel):
        weight_g: int
        fragile: bool = False

    def weigh(order_id: str, parcel: Parcel) -> str:
        """Weigh a parcel."""
        return f"{order_id}{parcel}"

    weigh.__annotations__ = {"order_id": str, "parcel": Parcel, "return": str}
    return weigh


def describe(functions: list[Callable[..., object]]) -> None:
    """Make tools and their definitions, as a request lists them."""
    for function in functions:
        _ = tool(function).definition


def describe_with_pydantic(functions: list[Callable[..., object]]) -> None:
    """Make pydantic's schemas."""
    for function in functions:
        TypeAdapter(function).json_schema()


def cpu_ms(make: Callable[[], Callable[..., object]], work: Callable[[list[Callable[..., object]]], None]) -> float:
    """Return milliseconds of CPU, the median of several rounds over new functions."""
    taken = []
    for _ in range(ROUNDS):
        functions = [make() for _ in range(COUNT)]
        before = time.process_time()
        work(functions)
        taken.append((time.process_time() - before) * 1000)
    return statistics.median(taken)


def measure() -> list[Figure]:
    """Return the ratios."""
    kinds = (("plain types", make_plain), ("one shared model", make_nested), ("a model of its own", make_own))
    return [
        Figure(
            f"128 schemas of {name} / TypeAdapter", cpu_ms(make, describe) / cpu_ms(make, describe_with_pydantic), 0.75
        )
        for name, make in kinds
    ]

"""Async generators inside of others, closed from the outside in."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable
    from types import TracebackType

T = TypeVar("T")


class closing(Generic[T]):  # noqa: N801  (stands where contextlib.aclosing would)
    """An async generator that whoever reads it closes, and nobody else.

        async with closing(generator) as events:
            async for event in events: ...

    An event loop that shuts down closes all async generators at once, and a garbage collector those that it finds.
    Of nested ones, the outer closes the inner as well: "RuntimeError: aclose(): asynchronous generator is already
    running", on stderr. So the loop isn't told of the inner ones; through the outermost it ends them all, in order.
    """

    __slots__ = ("_begun", "_iterator")

    def __init__(self, iterator: AsyncIterator[T]) -> None:
        self._iterator = iterator
        self._begun = False

    def __aiter__(self) -> closing[T]:
        return self

    def __anext__(self) -> Awaitable[T]:
        if self._begun:
            return anext(self._iterator)
        self._begun = True
        told = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(firstiter=None, finalizer=_leave)  # a generator takes them from where it begins
        try:
            return anext(self._iterator)
        finally:
            sys.set_asyncgen_hooks(*told)

    async def aclose(self) -> None:
        """Close the generator. Other iterators have nothing to close."""
        if (close := getattr(self._iterator, "aclose", None)) is not None:
            await close()

    async def __aenter__(self) -> closing[T]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


def _leave(generator: object) -> None:
    """Do nothing with a generator that is garbage: the one that reads it is garbage too, and closes it."""

"""What pytest knows of a test: its fixtures and their order, how its body is run, where its traceback ends."""

from __future__ import annotations

import functools
import inspect
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

from agentkit import tape
from agentkit.errors import CassetteError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import FrameType

    import pytest

PACKAGE = __name__.partition(".")[0]
THE_WAY = (__name__.rpartition(".")[0] + ".", f"{PACKAGE}.cassettes.pytest_plugin")
"""What of agentkit is on the way to a test."""
INSTALLED = frozenset({"site-packages", "dist-packages"})


def fixtures_of(item: pytest.Item) -> list[str]:
    """Return the names of a test's fixtures, in their order."""
    return cast("list[str]", getattr(item, "fixturenames", []))


def _definitions(item: pytest.Item) -> Mapping[str, Sequence[pytest.FixtureDef[object]]]:
    found = getattr(item, "_fixtureinfo", None)
    return {} if found is None else cast("Mapping[str, Sequence[pytest.FixtureDef[object]]]", found.name2fixturedefs)


def put_first(item: pytest.Item, fixture: str) -> None:
    """Have a fixture made before all others of its test, and after all that tests share."""
    definitions = _definitions(item)
    others = [name for name in fixtures_of(item) if name != fixture]
    own = (i for i, name in enumerate(others) if name in definitions and definitions[name][-1].scope == "function")
    place = next(own, len(others))
    item.fixturenames = [*others[:place], fixture, *others[place:]]  # type: ignore[attr-defined]


def has_teardown(item: pytest.Item) -> bool:
    """Tell whether fixtures of the test may ask a model after its body: those of installed plugins don't."""
    return any(
        name != "cassette" and found and found[-1].scope == "function" and _is_projects_generator(found[-1].func)
        for name, found in _definitions(item).items()
    )


def _is_projects_generator(function: Callable[..., object]) -> bool:
    if not inspect.isgeneratorfunction(function) and not inspect.isasyncgenfunction(function):
        return False
    code = getattr(inspect.unwrap(function), "__code__", None)
    return code is not None and not INSTALLED & set(Path(code.co_filename).parts)


@contextmanager
def in_coroutine(item: pytest.Item, in_force: tape.Tape | None) -> Iterator[None]:
    """Put a cassette in force inside of a test that is a coroutine: some plugins run it in a context made earlier."""
    body = getattr(item, "obj", None)
    if not inspect.iscoroutinefunction(body):
        yield
        return

    @functools.wraps(body)
    async def wrapped(*args: object, **kwargs: object) -> object:
        with tape.InForce(in_force):
            return await body(*args, **kwargs)

    item.obj = wrapped  # type: ignore[attr-defined]
    try:
        yield
    finally:
        item.obj = body  # type: ignore[attr-defined]


def names_errors(item: pytest.Item) -> bool:
    """Tell whether a test says which error it expects to fail with."""
    marker = item.get_closest_marker("xfail")
    return marker is not None and marker.kwargs.get("raises") is not None


def leave_out_ours(error: BaseException) -> None:
    """End the traceback where the test calls agentkit: what a cassette says is about the test."""
    if not isinstance(error, CassetteError | UsageError):
        return
    entry = error.__traceback__
    while entry is not None and entry.tb_next is not None:
        if _is_ours(entry.tb_next.tb_frame):
            entry.tb_next = None
        entry = entry.tb_next


def _is_ours(frame: FrameType) -> bool:
    name = str(frame.f_globals.get("__name__", ""))
    return name.startswith(f"{PACKAGE}.") and not name.startswith(THE_WAY)

"""What the adapters of other frameworks share: the tool, and the tasks that they leave out."""

# ruff: noqa: ARG001  (what the model gives to tools that need nothing)

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from benchmarks.task import make_output, name_of_tool

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.task import Task


def make_functions(task: Task) -> list[Callable[..., object]]:
    """Return the functions that a task's tools are made of, each with a name of its own."""
    return [make_function(task, name_of_tool(index)) for index in range(task.tools)]


def make_function(task: Task, name: str) -> Callable[..., object]:
    """Return an async function, or a plain one for tools that sleep."""
    output = make_output(task)

    async def look(word: str, limit: int = 10) -> str:
        """Look a word up.

        Args:
            word: The word to look up, as it stands in the text.
            limit: The most that may be found.
        """
        return output

    def look_slowly(word: str, limit: int = 10) -> str:
        """Look a word up.

        Args:
            word: The word to look up, as it stands in the text.
            limit: The most that may be found.
        """
        time.sleep(task.tool_ms / 1000)
        return output

    made = look_slowly if task.tool_ms else look
    made.__name__ = made.__qualname__ = name
    return made

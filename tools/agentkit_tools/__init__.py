"""Ready-made tools for agentkit agents; built on the public names of `agentkit` alone.

    from agentkit_tools import Clock, Database, Files, calculate

    Agent(model=..., tools=[Files("src").tools, Database("sales.db").tools, Clock().tools, calculate])

Each is also used by hand, as a function or a method: ``Files("src").read_file("main.py")``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentkit_tools.calculator import calculate
    from agentkit_tools.clock import Clock
    from agentkit_tools.files import Files
    from agentkit_tools.sql import Database

__all__ = ["Clock", "Database", "Files", "calculate"]

_HOMES = {"Clock": "clock", "Database": "sql", "Files": "files", "calculate": "calculator"}


def __getattr__(name: str) -> object:
    # on use: the processes of isolated.py import this package too, and shall not load agentkit
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'agentkit_tools' has no attribute {name!r}")
    value: object = getattr(import_module(f"agentkit_tools.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

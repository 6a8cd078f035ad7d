"""What runs have used, counted for the runs around them too."""

from __future__ import annotations

import contextvars

from agentkit.errors import UsageError
from agentkit.response import Usage

MAX_DEPTH = 16
"""How deep runs may nest: a tool that runs an agent whose tool runs an agent ..."""


class RunsTooDeep(UsageError):
    """A run in a run in a run ... It ends them all: told to the model, each would go on with its other turns."""


class Meter:
    """What a run has used, counted for the runs around it too, so that limits hold over nested runs."""

    __slots__ = ("depth", "parent", "usage")

    def __init__(self) -> None:
        self.parent = ACTIVE.get()
        self.depth: int = self.parent.depth + 1 if self.parent else 0
        self.usage = Usage()
        if self.depth >= MAX_DEPTH:
            raise RunsTooDeep(f"runs nested {self.depth} deep; allowed are {MAX_DEPTH}. Does a tool run its own agent?")

    def add(self, usage: Usage) -> None:
        """Count the usage of one response."""
        meter: Meter | None = self
        while meter is not None:
            meter.usage += usage
            meter = meter.parent


ACTIVE: contextvars.ContextVar[Meter | None] = contextvars.ContextVar("agentkit_meter", default=None)

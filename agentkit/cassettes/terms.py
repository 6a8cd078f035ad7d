"""What a session goes by, and how its user runs it again another way: the advice in messages names real commands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agentkit.cassettes.cleaning.cleaner import Cleaner
    from agentkit.cassettes.matching.rules import Rules
    from agentkit.cassettes.modes import Match, Mode, Tools


@dataclass(frozen=True, slots=True)
class Rerun:
    """How a command runs the same again, for the advice in messages."""

    command: Callable[[Mode], str]
    """Returns the command for a mode."""
    scrubbing: str
    """How it takes a pattern for what is to be replaced."""
    ignoring: str = "ignore=[...]"
    """How it takes a field that doesn't count."""
    note: str = ""
    """What else to say of a request that isn't recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a session goes by."""

    path: Path
    mode: Mode
    goes_live: bool
    """Whether a request may go out."""
    tools: Tools
    match: Match
    speed: float
    timings: bool
    rules: Rules
    cleaner: Cleaner
    rerun: Rerun | None
    """How a command runs this again; None where it is plain code."""

    def command(self, mode: Mode) -> str:
        """Return how to run this again in a mode."""
        return f'cassette("{self.path}", mode="{mode}")' if self.rerun is None else self.rerun.command(mode)

    @property
    def scrubbing(self) -> str:
        """How this takes a pattern for what is to be replaced."""
        return "cassette(scrub=[...])" if self.rerun is None else self.rerun.scrubbing

    @property
    def ignoring(self) -> str:
        """How this takes a field that doesn't count."""
        return "ignore=[...]" if self.rerun is None else self.rerun.ignoring

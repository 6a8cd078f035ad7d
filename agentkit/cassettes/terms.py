"""What a session goes by, and how its user runs it again another way: the advice in messages names real commands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from agentkit.cassettes.cleaning.cleaner import Cleaner
    from agentkit.cassettes.matching.rules import Rules
    from agentkit.cassettes.modes import Match, Mode, Tools


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
    rerun: str
    """The command that runs this again, with `{mode}` in place of the mode; empty where it is plain code."""

    def command(self, mode: Mode) -> str:
        """Return how to run this again in a mode."""
        return self.rerun.replace("{mode}", mode) if self.rerun else f'cassette("{self.path}", mode="{mode}")'

    @property
    def scrubbing(self) -> str:
        """How this takes a pattern for what is to be replaced, and a field that doesn't count."""
        if self.rerun.startswith("pytest"):
            return "@pytest.mark.cassette(scrub=[...]) or ignore=[...]"
        return "--scrub PATTERN or --ignore PATH" if self.rerun else "cassette(scrub=[...]) or ignore=[...]"

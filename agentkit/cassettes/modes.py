"""The modes of a cassette, and which of them holds: the command line's, else the environment's, else the code's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

from agentkit.errors import CassetteError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Mode: TypeAlias = Literal["replay", "record", "extend", "rewrite", "compare", "off"]
Tools: TypeAlias = Literal["recorded", "live", "verify"]
Match: TypeAlias = Literal["canonical", "exact", "turns"]
MODES: Final[tuple[Mode, ...]] = get_args(Mode)
ENVIRONMENT: Final = "AGENTKIT_CASSETTES"
IN_CI: Final = "AGENTKIT_CASSETTES_IN_CI"

override: Mode | None = None
"""What `pytest --cassettes=MODE` asks for; it goes before everything else."""


def checked_mode(value: str, where: str) -> Mode:
    """Return a mode, or raise `UsageError` that names where it was given."""
    if value not in MODES:
        raise UsageError(f"{where} is {value!r}; allowed are {', '.join(MODES)}.")
    return value


def effective_mode(given: Mode | None, env: Mapping[str, str]) -> Mode:
    """Return the mode that holds. What code has switched off stays off: it is to go live wherever it is run."""
    if given == "off":
        return given
    if override is not None:
        return override
    if said := env.get(ENVIRONMENT):
        return checked_mode(said, f"the environment variable {ENVIRONMENT}")
    return "replay" if given is None else checked_mode(given, "mode")


def is_ci(env: Mapping[str, str]) -> bool:
    """Tell whether this is a CI job that may not record."""
    return env.get("CI", "").lower() not in ("", "0", "false") and not env.get(IN_CI)


def refuse_in_ci(what: str, path: Path, env: Mapping[str, str]) -> None:
    """Raise `CassetteError` in CI for `what`: nobody would review the result there."""
    if is_ci(env):
        raise CassetteError(
            f"{path}: {what}, which is refused in CI. Do it on your own machine and commit the file; where CI is to "
            f"do it, give pytest --cassettes-in-ci or set {IN_CI}=1."
        )

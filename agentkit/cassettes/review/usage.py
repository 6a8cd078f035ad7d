"""Which interactions a test run has used: what tells recordings that nobody plays from those that are needed.

The pytest plugin writes `.agentkit/played.json` in the folder of the cassettes:

    {"version": 1, "session": "full green",
     "cassettes": {"test_weather/test_oslo.yaml": {"played": [1, 2], "total": 2}}}

`session` says what the run was: `full green` where all tests were run and none failed; `partial` where some were left
out by name, marker or an early end; `failed`. Only a full green run shows what is unused. Paths are relative to the
folder, with forward slashes, and turns count from 1.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast, get_args

from agentkit.cassettes.files import write_text
from agentkit.errors import CassetteError

if TYPE_CHECKING:
    from collections.abc import Mapping

Session: TypeAlias = Literal["full green", "partial", "failed"]

PLACE: Final = Path(".agentkit", "played.json")
VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Played:
    """What was used of one cassette."""

    played: tuple[int, ...]
    """The turns that were played, from 1, sorted."""
    total: int
    """How many there were."""

    @property
    def unused(self) -> tuple[int, ...]:
        """The turns that weren't."""
        return tuple(sorted(set(range(1, self.total + 1)) - set(self.played)))

    def say_unused(self) -> str:
        """Return which turns weren't, as `turns 2 and 3 of 4 were not played`."""
        *first, last = map(str, self.unused)
        listed = f"turns {', '.join(first)} and {last}" if first else f"turn {last}"
        return f"{listed} of {self.total} {'were' if first else 'was'} not played"


@dataclass(frozen=True, slots=True)
class Usage:
    """What a test run has used."""

    session: Session
    cassettes: Mapping[str, Played]
    """By path below the folder, with forward slashes."""

    @property
    def is_full_green(self) -> bool:
        """Whether what wasn't used isn't needed."""
        return self.session == "full green"


def belongs_to_a_test(path: Path, folder: Path) -> bool:
    """Tell whether a cassette below a folder is a test's, which has a folder for its module.

    Others are named by hand, and played outside of tests as well: a notebook's, an example's.
    """
    return path.absolute().parent != folder.absolute()


def read_usage(folder: Path) -> Usage | None:
    """Return what the last test run used of the cassettes below a folder; None where none has left word.

    Raises `CassetteError` where the file is there and can't be read.
    """
    path = folder / PLACE
    try:
        value: object = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as exc:
        raise CassetteError(f"{path} can't be read ({exc}). Delete it, and run the tests again.") from exc
    usage = _usage_of(value)
    if usage is None:
        raise CassetteError(f"{path} isn't what version {VERSION} writes. Delete it, and run the tests again.")
    return usage


def find_usage(path: Path) -> tuple[Path, Usage] | None:
    """Return the nearest folder above a cassette where a test run has left word, and what it has used."""
    for folder in path.absolute().parents:
        if (usage := read_usage(folder)) is not None:
            return folder, usage
    return None


def write_usage(folder: Path, usage: Usage) -> None:
    """Write it, in place of the last one, in a folder that version control leaves alone. Raises OSError."""
    cassettes = {
        name: {"played": list(played.played), "total": played.total} for name, played in sorted(usage.cassettes.items())
    }
    value = {"version": VERSION, "session": usage.session, "cassettes": cassettes}
    place = folder / PLACE
    place.parent.mkdir(parents=True, exist_ok=True)
    ignore = place.with_name(".gitignore")
    if not ignore.exists():
        write_text(ignore, "*\n")
    write_text(place, json.dumps(value, indent=1) + "\n")


def _usage_of(value: object) -> Usage | None:
    if not isinstance(value, dict) or value.get("version") != VERSION or value.get("session") not in get_args(Session):
        return None
    listed = value.get("cassettes")
    if not isinstance(listed, dict):
        return None
    found = {str(name): _played_of(entry) for name, entry in listed.items()}
    if None in found.values():
        return None
    return Usage(cast("Session", value["session"]), cast("dict[str, Played]", found))


def _played_of(value: object) -> Played | None:
    if not isinstance(value, dict):
        return None
    played, total = value.get("played"), value.get("total")
    if not isinstance(total, int) or not isinstance(played, list) or not all(isinstance(n, int) for n in played):
        return None
    return Played(tuple(sorted(played)), total)

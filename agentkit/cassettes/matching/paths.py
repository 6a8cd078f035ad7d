"""Places in a JSON value, as `input[3].content[0].text`: read, written, and left out. Pure.

A path given by the user may say `[*]` for every element. Keys that aren't plain words go into brackets and
quotes: `tools[0].parameters.properties["a.b"]`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from json import JSONDecodeError, dumps, loads
from typing import TYPE_CHECKING, TypeAlias

from agentkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agentkit.json import JSON

Step: TypeAlias = "str | int | None"
"""A key, an index, or None for every element of a list."""
Path: TypeAlias = "tuple[Step, ...]"

IGNORED = "\0ignored"
"""What stands for a list's element that was left out: how many there are still counts."""

_KEY = re.compile(r"[^.\[\]\"'*$\s]+")
_STEP = re.compile(r"\.(?P<key>[^.\[\]\"'*$\s]+)|\[(?:(?P<any>\*)|(?P<index>\d+)|(?P<quoted>\"(?:[^\"\\]|\\.)*\"))\]")


@dataclass(frozen=True, slots=True)
class Embedded:
    """The JSON value that a string holds; a path goes on into it."""

    value: JSON


def parse_path(text: object) -> Path:
    """Read a path; raises `UsageError` where it is none."""
    if not isinstance(text, str):
        raise _wrong(text, "is no string")
    rest = text if text.startswith("[") else f".{text}"
    steps: list[Step] = []
    position = 0
    while position < len(rest):
        match = _STEP.match(rest, position)
        if match is None:
            raise _wrong(text, f"can't be read from {rest[position:][:40].removeprefix('.')!r} on")
        steps.append(_step(match, text))
        position = match.end()
    if not steps or not isinstance(steps[0], str):
        raise _wrong(text, "doesn't begin with a field of the body")
    return tuple(steps)


def write_path(path: Iterable[Step]) -> str:
    """Return a path as text; `parse_path` reads it back."""
    pieces = [_written(step) for step in path]
    return "".join(pieces).removeprefix(".")


def without(value: object, paths: Sequence[Path]) -> object:
    """Return `value` without what the paths lead to: keys go, elements become `IGNORED`. Unchanged parts are shared."""
    if not paths:
        return value
    if isinstance(value, Embedded):
        return Embedded(without(value.value, paths))  # type: ignore[arg-type]
    if isinstance(value, dict):
        members = ((key, member, _below(paths, key)) for key, member in value.items())
        return {key: without(member, below) for key, member, below in members if () not in below}
    if isinstance(value, list):
        return [without_element(index, member, paths) for index, member in enumerate(value)]
    return value


def without_element(index: int, member: object, paths: Sequence[Path]) -> object:
    """Return the element of a list without what the paths, which begin at the list, lead to."""
    below = [path[1:] for path in paths if path[0] is None or path[0] == index]
    return IGNORED if () in below else without(member, below)


def closed(value: object) -> JSON:
    """Return a value as plain JSON, with what strings hold in their place."""
    if isinstance(value, Embedded):
        return value.value
    if isinstance(value, dict):
        return {key: closed(member) for key, member in value.items()}
    return [closed(member) for member in value] if isinstance(value, list) else value  # type: ignore[return-value]


def _below(paths: Sequence[Path], key: str) -> list[Path]:
    return [path[1:] for path in paths if path[0] == key]


def _step(match: re.Match[str], text: str) -> Step:
    if match["any"]:
        return None
    if match["index"]:
        return int(match["index"])
    if match["quoted"] is None:
        return match["key"]
    try:
        return str(loads(match["quoted"]))
    except JSONDecodeError as exc:
        raise _wrong(text, f"holds {match['quoted']}, which is no JSON string") from exc


def _written(step: Step) -> str:
    if step is None:
        return "[*]"
    if isinstance(step, int):
        return f"[{step}]"
    return f".{step}" if _KEY.fullmatch(step) else f"[{dumps(step, ensure_ascii=False)}]"


def _wrong(text: object, why: str) -> UsageError:
    return UsageError(
        f"the path {repr(text)[:120]} {why}. Write it as the mismatch report does: "
        '"temperature", "input[*].content", "tools[0].parameters", "input[*].output.time".'
    )

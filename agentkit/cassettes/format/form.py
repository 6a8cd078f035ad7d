"""The file format, version 1: a recording as YAML that reads like the conversation, and back.

    # agentkit cassette
    version: 1
    interactions:

    - turn: 1
      request: {method, uri, json}          or text, base64; `style` where the JSON is spelled in another way
      response: {status, headers, events}   or json, text, base64; `chunks`, `at_ms` where they tell something
    - turn: 2
      request: {continues: 1, input_added}  `$output: 0` is the first item that turn 1 answered
      error: {type, message}

Each part is read back as it is written: what values wouldn't give again byte for byte is stored as text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from agentkit.cassettes.format import stock
from agentkit.cassettes.format.document import Spot, WrongError, line_of, read
from agentkit.cassettes.format.growth import Base
from agentkit.cassettes.format.layout import mapping_lines
from agentkit.cassettes.format.turns import TURN, read_interaction, request_lines, response_lines, rest_form
from agentkit.cassettes.interaction import VERSION, Head, Interaction, Recording
from agentkit.errors import CassetteError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

COMMENT = "# agentkit cassette"
_HEAD = ("version", "recorded", "server", "now", "seed", "ids", "interactions")
_CONFLICT = re.compile(r"^(?:<{7}|={7}|>{7})(?: |$)", re.MULTILINE)
_OURS = re.compile(r"^- turn: ", re.MULTILINE)


def dump(recording: Recording) -> str:
    """Return the text of a cassette file. Raises `CassetteError` for a recording that contradicts itself."""
    return Writer().dump(recording)


class Writer:
    """Writes recordings; what it wrote before, after the same parent, is neither built nor checked again."""

    def __init__(self) -> None:
        self._written: dict[int, _Written] = {}

    def dump(self, recording: Recording) -> str:
        """Return the text of a cassette file."""
        lines = [COMMENT, *mapping_lines(_head_form(recording.head))]
        lines.append("interactions:" if recording.interactions else "interactions: []")
        bases: list[Base] = []
        fresh: dict[int, _Written] = {}
        for index, interaction in enumerate(recording.interactions):
            parent = _parent(recording, index, bases)
            known = self._written.get(id(interaction))
            if known is None or not known.holds(interaction, parent):
                known = _Written(interaction, parent)
            fresh[id(interaction)] = known
            bases.append(known.base)
            lines.extend(("", f"- turn: {index + 1}", *known.lines(interaction.parent)))
        self._written = fresh
        return "\n".join(lines) + "\n"


def _parent(recording: Recording, index: int, bases: Sequence[Base]) -> Base | None:
    parent = recording.interactions[index].parent
    if parent is None:
        return None
    if not 0 <= parent < index:
        raise CassetteError(
            f"interaction {index} of the recording goes on with interaction {parent}; allowed is an earlier one. "
            "Give its index, or None."
        )
    return bases[parent]


class _Written:
    """An interaction's lines, and what they depend on."""

    __slots__ = ("_after", "_before", "_interaction", "_parent", "base")

    def __init__(self, interaction: Interaction, parent: Base | None) -> None:
        self._interaction = interaction
        self._parent = parent
        self.base = Base(interaction)
        request, join = request_lines(interaction, parent)
        if join is not None:
            self.base.join, self.base.known = join, True
        self._before = mapping_lines({"lane": interaction.lane}, 2) if interaction.lane else []
        self._before.append("  request:")
        self._after = [*request, *response_lines(interaction, parent), *mapping_lines(rest_form(interaction), 2)]

    def holds(self, interaction: Interaction, parent: Base | None) -> bool:
        return self._interaction is interaction and self._parent is parent

    def lines(self, parent: int | None) -> list[str]:
        continues = [] if parent is None else [f"    continues: {parent + 1}"]
        return [*self._before, *continues, *self._after]


def _head_form(head: Head) -> dict[str, object]:
    known = {"recorded": head.recorded, "server": head.server, "now": head.now}
    form: dict[str, object] = {"version": VERSION, **{key: text for key, text in known.items() if text}}
    if head.seed is not None:
        form["seed"] = head.seed
    if head.keeps_ids:
        form["ids"] = "kept"
    return {**form, **{key: value for key, value in head.extra.items() if key not in _HEAD}}


def load(text: str | bytes, *, name: str, anew: str = "record it anew") -> Recording:
    """Read a cassette file, of this version, an earlier one, or stock vcrpy.

    `name` is what errors call it, and `anew` how it is recorded again.

    Raises `CassetteError` with file, line and place for what can't be read.
    """
    text = _decoded(text, name, anew)
    try:
        if not _is_ours(text) and (found := stock.load(text)) is not None:
            return found
        return _recording(Spot(_migrated(read(text))))
    except WrongError as exc:
        line = exc.line or (line_of(text, exc.path) if exc.path else None)
        place = _place(exc.path)
        raise CassetteError(
            f"{name}{f', line {line}' if line else ''}: {f'{place}: ' if place else ''}{exc.said}. "
            f"Put it right, take the file from version control, or {anew}."
        ) from None


def _decoded(text: str | bytes, name: str, anew: str) -> str:
    remedy = f"Take the file from version control, or {anew}."
    if isinstance(text, bytes):
        try:
            text = text.decode()
        except UnicodeDecodeError as exc:
            raise CassetteError(
                f"{name}: not a text in UTF-8, at byte {exc.start}; a cassette is one. {remedy}"
            ) from None
    if "\0" in text:
        raise CassetteError(f"{name}: a binary file; a cassette is YAML. {remedy}")
    if not text.strip():
        raise CassetteError(f"{name}: the file is empty; a cassette has a version and interactions. {remedy}")
    if found := _CONFLICT.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise CassetteError(
            f"{name}, line {line}: a conflict of a merge, {found[0].strip()}. Take one side whole, "
            f"`git checkout --ours` or `--theirs`: two halves make no conversation. Or {anew}."
        )
    return text


def _is_ours(text: str) -> bool:
    return text.startswith(COMMENT) or _OURS.search(text) is not None


def _place(path: Sequence[str | int]) -> str:
    place = ""
    for step in path:
        place += f"[{step}]" if isinstance(step, int) else f".{step}" if place else step
    return place


_MIGRATIONS: dict[int, Callable[[dict[str, object]], dict[str, object]]] = {}
"""For each earlier version of our own, what makes the next one of it. Stock vcrpy, before the first, is `stock`."""


def _migrated(value: object) -> object:
    """Return the document in the version of today."""
    if not isinstance(value, dict):
        Spot(value).wrong("a mapping of version and interactions")
    version = Spot(value).member("version").integer(1, what=f"version: {VERSION}")
    if version > VERSION:
        Spot(value).member("version").fail(
            f"found version {version}; this agentkit reads versions up to {VERSION}. Install a newer agentkit"
        )
    document = cast("dict[str, object]", value)
    for each in range(version, VERSION):
        document = _MIGRATIONS[each](document)
    return document


def _recording(spot: Spot) -> Recording:
    document = spot.mapping("a cassette")
    head = _read_head(spot)
    if "interactions" not in document:
        spot.fail("found no interactions; allowed is a list of them, `interactions: []` for none")
    bases: list[Base] = []
    places: dict[int, int] = {}
    for index, each in enumerate(spot.member("interactions").members("a list of interactions")):
        each.mapping("an interaction", TURN)
        turn = each.member("turn").integer(1)
        if turn in places:
            each.member("turn").fail(f"found turn {turn} twice; allowed is a number of its own")
        bases.append(read_interaction(each, places, bases))
        places[turn] = index
    return Recording(head, tuple(base.interaction for base in bases))


def _read_head(spot: Spot) -> Head:
    document = spot.mapping("a cassette")
    ids = spot.member("ids", "")
    if ids.value not in ("", "kept"):
        ids.wrong("kept, or no such key")
    seed = spot.member("seed")
    if seed.value is not None and type(seed.value) is not int:
        seed.wrong("a whole number")
    return Head(
        recorded=spot.member("recorded", "").text(),
        server=spot.member("server", "").text(),
        now=spot.member("now", "").text(),
        seed=seed.value,
        keeps_ids=ids.value == "kept",
        extra={key: value for key, value in document.items() if key not in _HEAD},
    )

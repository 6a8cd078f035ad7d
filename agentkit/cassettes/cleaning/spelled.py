"""Texts that a stream spells out delta by delta, edited as the texts that they are. Pure.

What is looked for may begin in one delta and end in another, with an event's JSON in between: no search over the
bytes would find it.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from agentkit.cassettes.cleaning.edits import edit_chunks
from agentkit.cassettes.cleaning.strings import Literal, string_values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentkit.cassettes.cleaning.edits import Edit, FindEdits

_LINE = re.compile(rb'^data:[^\n]*?"type"\s*:\s*"[a-z_.]+\.delta"[^\n]*$', re.MULTILINE)
_WHOSE = ("type", "item_id", "output_index", "content_index", "summary_index")


def spelled_edits(data: bytes, finders: Sequence[FindEdits]) -> list[Edit]:
    """Return the edits of what the finders find in the texts that a stream's deltas make together."""
    texts: dict[tuple[object, ...], list[Literal]] = {}
    for match in _LINE.finditer(data):
        if (found := _delta(match[0], match.start())) is not None:
            texts.setdefault(found[0], []).append(found[1])
    edits = [edit for literals in texts.values() for edit in _edit(literals, finders)]
    return sorted(edits)


def spelled_texts(data: bytes) -> list[bytes]:
    """Return the texts that a stream's deltas make together, of whatever kind."""
    texts: dict[tuple[object, ...], list[bytes]] = {}
    for match in _LINE.finditer(data):
        if (found := _delta(match[0], match.start())) is not None:
            texts.setdefault(found[0], []).append((found[1].text or "").encode(errors="surrogatepass"))
    return [b"".join(pieces) for pieces in texts.values()]


def _delta(line: bytes, start: int) -> tuple[tuple[object, ...], Literal] | None:
    try:
        event = json.loads(line.partition(b":")[2])
    except (ValueError, RecursionError):
        return None
    literals = [literal for literal in string_values(line) if literal.key == "delta"]
    if not isinstance(event, dict) or len(literals) != 1 or literals[0].text != event.get("delta"):
        return None
    at = literals[0]
    return tuple(event.get(name) for name in _WHOSE if not isinstance(event.get(name), list | dict)), Literal(
        at.start + start, at.end + start, "delta", at.raw
    )


def _edit(literals: list[Literal], finders: Sequence[FindEdits]) -> list[Edit]:
    said = tuple((literal.text or "").encode(errors="surrogatepass") for literal in literals)
    changed = edit_chunks(said, finders)
    pairs = zip(literals, said, changed, strict=True)
    return [literal.replaced(_text(new)) for literal, old, new in pairs if old != new]


def _text(data: bytes) -> str:
    return data.decode(errors="surrogatepass")

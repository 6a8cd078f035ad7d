"""What differs between two conversations, item by item, readable when printed."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from agentkit import items as item_views
from agentkit import json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agentkit.items import Item

Change: TypeAlias = "tuple[Literal['-', '+'], int, Item]"

SHOWN = 160
"""Characters shown of a value that stands on one side only."""

MANY_WORDS = 2000
"""Above this, texts are cut to where they begin to differ: comparing two texts of 20,000 words takes minutes."""


@dataclass(frozen=True, slots=True)
class TranscriptDiff:
    """The changes that lead from one list of items to another. False where there are none; prints as text."""

    changes: tuple[Change, ...]
    """`("-", index, item)` for items of the first that the second lacks, `("+", index, item)` the other way
    round; indexes count in the list that the item is from."""

    agreeing: int
    """How many items agree before the first difference."""

    def __bool__(self) -> bool:
        return bool(self.changes)

    def __str__(self) -> str:
        if not self.changes:
            return f"no difference in {self.agreeing} items"
        return "\n".join([f"the first {self.agreeing} items agree", *self._lines()])

    def _lines(self) -> Iterator[str]:
        position = 0
        while position < len(self.changes):
            sign, index, item = self.changes[position]
            following = self.changes[position + 1] if position + 1 < len(self.changes) else None
            if sign == "-" and following and following[0] == "+" and _label(item) == _label(following[2]):
                yield f"~ [{index}] {_label(item)}"
                yield from _field_lines(item, following[2])
                position += 2
            else:
                yield f"{sign} [{index}] {_label(item)}: {_short(_content(item))}"
                position += 1


def diff_items(old: Sequence[Item], new: Sequence[Item]) -> TranscriptDiff:
    """Compare two lists of items; equal are items with equal JSON, whatever the order of their keys."""
    before, after = ([json.encode(_sorted(item)) for item in side] for side in (old, new))
    changes: list[Change] = []
    for tag, a, b, c, d in difflib.SequenceMatcher(a=before, b=after, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        for left in range(a, b):
            changes.append(("-", left, old[left]))
            if left - a < d - c:
                changes.append(("+", c + left - a, new[c + left - a]))
        changes.extend(("+", right, new[right]) for right in range(c + b - a, d))
    pairs = enumerate(zip(before, after, strict=False))
    agreeing = next((i for i, (x, y) in pairs if x != y), min(len(before), len(after)))
    return TranscriptDiff(tuple(changes), agreeing)


def _field_lines(old: Item, new: Item) -> Iterator[str]:
    for name in {**old, **new}:
        before, after = (json.encode(_sorted({name: item[name]} if name in item else {})) for item in (old, new))
        if before == after:
            continue
        if isinstance(old.get(name), str) and isinstance(new.get(name), str):
            yield f"    {name}: {_word_diff(str(old[name]), str(new[name]))}"
        else:
            yield f"    {name}: {_short(old.get(name))} -> {_short(new.get(name))}"


def _word_diff(old: str, new: str) -> str:
    """Return the new text with what went as `[-...-]` and what came as `{+...+}`."""
    a, b = (text.split(" ") for text in (old, new))
    pieces: list[str] = []
    if len(a) + len(b) > MANY_WORDS:
        same = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
        pieces = [f"({same} words agree)"] if same else []
        return " ".join([*pieces, "[-" + _cut(" ".join(a[same:])) + "-]", "{+" + _cut(" ".join(b[same:])) + "+}"])
    for tag, i, j, k, m in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if tag == "equal":
            words = a[i:j]
            pieces.append(" ".join(words if len(words) <= 8 else [*words[:3], "...", *words[-3:]]))
            continue
        if j > i:
            pieces.append("[-" + _cut(" ".join(a[i:j])) + "-]")
        if m > k:
            pieces.append("{+" + _cut(" ".join(b[k:m])) + "+}")
    return " ".join(pieces)


def _label(item: Item) -> str:
    if item_views.is_message(item):
        return f"{item.get('role')} message"
    kind = item.get("type")
    return f"{kind} {item['name']}" if "name" in item else str(kind)


def _content(item: Item) -> object:
    for name in ("arguments", "output"):
        if name in item:
            return item[name]
    return item_views.message_text(item) or item_views.reasoning_text(item) or item


def _short(value: object) -> str:
    return _cut(repr(value))


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}... ({len(text)} characters)"


def _sorted(value: json.JSON) -> json.JSON:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(member) for member in value] if isinstance(value, list) else value

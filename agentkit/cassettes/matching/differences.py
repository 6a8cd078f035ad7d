"""Where two requests differ in what counts, place by place. Pure."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from agentkit import json
from agentkit.cassettes.matching.comparable import EMBEDDED, Ids
from agentkit.cassettes.matching.paths import Path, write_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agentkit.cassettes.matching.rules import Rules
    from agentkit.json import JSON, JSONObject


@dataclass(frozen=True, slots=True)
class Difference:
    """A place where two requests differ."""

    path: str
    """In the live request; in the recorded one where it is gone."""
    label: str
    """What stands there, such as `message user`; may be empty."""
    kind: Literal["changed", "added", "removed"]
    old: JSON = None
    """The recorded value; None for what was added."""
    new: JSON = None
    """The live value; None for what was removed."""
    is_reordered: bool = False
    """Whether a list holds the same elements in another order."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """How two requests agree and where they differ."""

    agreeing: int
    """Input items that agree."""
    items: int
    """Input items of the longer of the two."""
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Comparable:
    """What counts of a request."""

    head: JSONObject
    items: list[JSON]


_Pair: TypeAlias = "tuple[int | None, int | None]"
"""Indexes of what stands for each other; None where there is nothing."""


def compare_bodies(recorded: JSONObject, live: JSONObject, rules: Rules) -> Comparison:
    """Return where two bodies differ. Ids are compared only where nothing else differs."""
    old, new = (read_comparable(body, rules, Ids(alike=True)) for body in (recorded, live))
    compared = _compare(old, new, rules)
    if not compared.differences:
        old, new = (read_comparable(body, rules, Ids()) for body in (recorded, live))
        compared = _compare(old, new, rules)
    return compared


def read_comparable(body: JSONObject, rules: Rules, ids: Ids) -> Comparable:
    """Return what counts of a body."""
    head, items = rules.comparable_body(body, ids)
    if items is not None:
        head = {key: value for key, value in head.items() if key != "input"}
    return Comparable(head, items or [])


def _compare(old: Comparable, new: Comparable, rules: Rules) -> Comparison:
    found = list(_of_values(old.head, new.head, (), rules))
    pairs = _aligned(old.items, new.items, rules)
    for i, j in pairs:
        found.extend(_of_pair(old.items, new.items, i, j, ("input",), rules))
    changed = sum(1 for i, j in pairs if i is not None)
    return Comparison(len(old.items) - changed, max(len(old.items), len(new.items)), tuple(found))


def _of_values(old: JSON, new: JSON, path: Path, rules: Rules, label: str = "") -> Iterator[Difference]:
    old, new = _opened(old, new)
    if rules.encode(old) == rules.encode(new):
        return
    if isinstance(old, dict) and isinstance(new, dict):
        yield from _of_objects(old, new, path, rules, label)
    elif isinstance(old, list) and isinstance(new, list):
        yield from _of_lists(old, new, path, rules, label)
    else:
        yield Difference(write_path(path), label, "changed", old, new)


def _of_objects(old: JSONObject, new: JSONObject, path: Path, rules: Rules, label: str) -> Iterator[Difference]:
    found = 0
    for key in {**old, **new}:
        place = (*path, key)
        if key not in new:
            found += 1
            yield Difference(write_path(place), label, "removed", old[key])
        elif key not in old:
            found += 1
            yield Difference(write_path(place), label, "added", new=new[key])
        else:
            for difference in _of_values(old[key], new[key], place, rules, label):
                found += 1
                yield difference
    if not found:  # keys in another order, which counts under exact rules
        where = write_path(path) or "the order of the fields"
        yield Difference(where, label, "changed", [*old], [*new], is_reordered=True)


def _of_lists(old: list[JSON], new: list[JSON], path: Path, rules: Rules, label: str) -> Iterator[Difference]:
    if len(old) > 1 and sorted(map(rules.encode, old)) == sorted(map(rules.encode, new)):
        yield Difference(write_path(path), label, "changed", old, new, is_reordered=True)
        return
    for i, j in _aligned(old, new, rules):
        yield from _of_pair(old, new, i, j, path, rules, label)


def _of_pair(
    old: list[JSON], new: list[JSON], i: int | None, j: int | None, path: Path, rules: Rules, label: str = ""
) -> Iterator[Difference]:
    if i is None and j is not None:
        yield Difference(write_path((*path, j)), label or describe(new[j]), "added", new=new[j])
    elif j is None and i is not None:
        yield Difference(write_path((*path, i)), label or describe(old[i]), "removed", old[i])
    elif i is not None and j is not None:
        yield from _of_values(old[i], new[j], (*path, j), rules, label or describe(new[j]))


def _aligned(old: Sequence[JSON], new: Sequence[JSON], rules: Rules) -> list[_Pair]:
    """Return the elements that don't agree: pairs of what replaces what, or one alone."""
    before, after = (list(map(rules.encode, side)) for side in (old, new))
    pairs: list[_Pair] = []
    for tag, i, j, k, m in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        pairs += _paired(old, new, [*range(i, j)], [*range(k, m)])
    return pairs


def _paired(old: Sequence[JSON], new: Sequence[JSON], left: list[int], right: list[int]) -> list[_Pair]:
    """Pair what is of the same type, in order; where one stands for one, whatever it is."""
    if len(left) == len(right) == 1:
        return [(left[0], right[0])]
    pairs: list[_Pair] = []
    for i in left:
        j = next((j for j in right if _kind(new[j]) == _kind(old[i])), None)
        pairs.append((i, j))
        if j is not None:
            pairs += [(None, skipped) for skipped in right if skipped < j]
            right = [later for later in right if later > j]
    return pairs + [(None, j) for j in right]


def _kind(value: JSON) -> object:
    return value.get("type") if isinstance(value, dict) else type(value)


def _opened(old: JSON, new: JSON) -> tuple[JSON, JSON]:
    """Return what two strings hold as JSON; where only one does, both as text."""
    before, after = _inside(old), _inside(new)
    if before is not None and after is not None:
        return before[0], after[0]
    if before is None and after is None:
        return old, new
    return closed_text(old), closed_text(new)


def closed_text(value: JSON) -> JSON:
    """Return JSON that a string holds as that string, also within a value."""
    inside = _inside(value)
    if inside is not None:
        return json.encode(closed_text(inside[0])).decode()
    if isinstance(value, dict):
        return {key: closed_text(member) for key, member in value.items()}
    return [closed_text(member) for member in value] if isinstance(value, list) else value


def _inside(value: JSON) -> tuple[JSON] | None:
    return (value[1],) if isinstance(value, list) and len(value) == 2 and value[0] == EMBEDDED else None


def describe(value: JSON) -> str:
    """Return what an item, a tool or a part is: `message user`, `function_call weather`."""
    if not isinstance(value, dict):
        return ""
    kind, name = value.get("type"), value.get("role") or value.get("name")
    return " ".join(word for word in (kind, name) if isinstance(word, str))

"""What to say of a request that no recording answers: the closest one, where they differ, and what to do. Pure.

All that comes in was scrubbed before, so nothing here can show a secret.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from agentkit import json
from agentkit.cassettes.matching.closest import Recorded, closest
from agentkit.cassettes.matching.comparable import ID
from agentkit.cassettes.matching.differences import Comparison, Difference, closed_text, compare_bodies
from agentkit.cassettes.matching.rules import read_body, request_place
from agentkit.cassettes.matching.worddiff import hint, shorten, word_diff

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agentkit.cassettes.matching.rules import Rules
    from agentkit.json import JSON

_SHOWN = 3
"""Places shown with their words; of further ones the paths."""
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A report on a request that the cassette doesn't hold."""

    text: str
    """To be read by a person; begins with the cassette's name."""
    place: str
    """The first place that differs, such as `input[20].content[0].text`; empty where no request resembles it."""
    turn: int | None
    """The closest recorded request; None where there is none of that method and path."""


def report(
    method: str,
    uri: str,
    body: bytes,
    recorded: Sequence[Recorded],
    *,
    name: str,
    rules: Rules,
    remedies: Sequence[tuple[str, str]] = (),
) -> Mismatch:
    """Compare a live request with the recorded ones.

    Args:
        method: Of the live request.
        uri: Of the live request, scrubbed.
        body: Of the live request, scrubbed.
        recorded: All of the cassette, or those of a lane, in order.
        name: The cassette's, as the user knows it.
        rules: What counts.
        remedies: When, and the command for it: `("the change is wanted", "pytest --cassettes=extend")`.
    """
    place, turn, lines = _findings(method, uri, body, recorded, rules)
    return Mismatch("\n".join([f"{name}: {lines[0]}", *lines[1:], *advice(remedies)]), place, turn)


def _findings(
    method: str, uri: str, body: bytes, recorded: Sequence[Recorded], rules: Rules
) -> tuple[str, int | None, list[str]]:
    if not recorded:
        return "", None, ["it holds no request, and the program makes one."]
    there = [each for each in recorded if _route(each.method, each.uri) == _route(method, uri)]
    if not there:
        return "", None, list(_elsewhere(method, uri, recorded))
    nearest = closest(body, there, rules)
    if _key(nearest, rules) == rules.state(method, uri, body).key:
        return "", nearest.turn, [_used_up(nearest, there, rules)]
    compared = _compare(uri, body, nearest, rules)
    played = ", played already" if nearest.played else ""
    first = f"the live request is not the recorded one (closest: turn {nearest.turn} of {len(recorded)}{played})."
    return compared.differences[0].path, nearest.turn, [first, *_lines(compared)]


def _key(recorded: Recorded, rules: Rules) -> str:
    return rules.state(recorded.method, recorded.uri, bytes(recorded.body)).key


def _route(method: str, uri: str) -> tuple[JSON, ...]:
    host, path, _ = request_place(uri)
    return method.upper(), host, path


def _used_up(nearest: Recorded, there: Sequence[Recorded], rules: Rules) -> str:
    body, key = bytes(nearest.body), _key(nearest, rules)
    sized = [each for each in there if len(each.body) == len(body)]
    turns = [each.turn for each in sized if bytes(each.body) == body or _key(each, rules) == key]
    said = f"all {len(turns)} recordings" if len(turns) > 1 else "the only recording"
    where = f"turn{'s' if len(turns) > 1 else ''} {', '.join(map(str, turns[:8]))}{', …' if len(turns) > 8 else ''}"
    verb = "were" if len(turns) > 1 else "was"
    return f"{said} of exactly this request {verb} played already ({where}); the program asks once more than then."


def _elsewhere(method: str, uri: str, recorded: Sequence[Recorded]) -> Iterator[str]:
    yield f"no recorded request goes to {method.upper()} {_shown_place(uri)}."
    counted = Counter(f"{each.method.upper()} {_shown_place(each.uri)}" for each in recorded)
    listed = ", ".join(f"{place} ({count})" for place, count in counted.most_common(_NAMED))
    yield f"  recorded are: {listed}{', …' if len(counted) > _NAMED else ''}"


def _shown_place(uri: str) -> str:
    return shorten(f"{request_place(uri)[0]}{urlsplit(uri).path}")


def _compare(uri: str, body: bytes, nearest: Recorded, rules: Rules) -> Comparison:
    recorded = bytes(nearest.body)
    old, new = read_body(recorded), read_body(body)
    if old is None or new is None:
        texts = (recorded.decode(errors="backslashreplace"), body.decode(errors="backslashreplace"))
        compared = Comparison(0, 0, _if_changed("body", *texts))
    else:
        compared = compare_bodies(old, new, rules)
    query = _if_changed("query", *(urlsplit(each).query for each in (nearest.uri, uri)))
    differs = request_place(nearest.uri) != request_place(uri)
    return Comparison(compared.agreeing, compared.items, (*(query if differs else ()), *compared.differences))


def _if_changed(path: str, old: str, new: str) -> tuple[Difference, ...]:
    return (Difference(path, "", "changed", old, new),) if old != new else ()


def _lines(compared: Comparison) -> Iterator[str]:
    found = compared.differences
    if compared.items:
        most = "all" if compared.agreeing == compared.items else f"{compared.agreeing} of"
        yield f"  {most} {compared.items} input items agree; first difference at {_begin(found[0].path)}"
    for difference in found[:_SHOWN]:
        label = f"   ({difference.label})" if difference.label else ""
        yield f"  {difference.path}{label}"
        yield from (f"      {line}" for line in _told(difference))
    rest = [difference.path for difference in found[_SHOWN:]]
    if rest:
        more = f" and {len(rest) - _NAMED} more" if len(rest) > _NAMED else ""
        yield f"  differs too: {', '.join(rest[:_NAMED])}{more}"


def _begin(path: str) -> str:
    """Return the item that a path leads into, else all of it."""
    return path[: path.index("]") + 1] if path.startswith("input[") else path


def _told(difference: Difference) -> Iterator[str]:
    old, new = difference.old, difference.new
    if difference.kind != "changed":
        mark, value = ("+", new) if difference.kind == "added" else ("-", old)
        yield f"{'{+' if mark == '+' else '[-'}{shorten(_text(value))}{'+}' if mark == '+' else '-]'}"
        return
    if difference.is_reordered:
        yield f"[-{shorten(_text(old), 60)}-]{{+{shorten(_text(new), 60)}+}}"
        yield "hint: the same elements in another order"
        return
    if not (isinstance(old, str) and isinstance(new, str)):
        yield f"[-{shorten(_text(old))}-]{{+{shorten(_text(new))}+}}"
        if _type(old) != _type(new):
            yield f"hint: {_type(old)} became {_type(new)}"
        return
    yield word_diff(_text(old), _text(new))
    if said := hint(_text(old), _text(new)):
        yield f"hint: the changed part looks like {said}" if said.startswith(("a ", "an ")) else f"hint: {said}"


def _text(value: JSON) -> str:
    """Return a value as text; ids are shown by the number of their appearance."""
    closed = closed_text(value)
    text = closed if isinstance(closed, str) else json.encode(closed).decode()
    text = text.replace(ID, "<id>").replace(json.encode(ID)[1:-1].decode(), "<id>")
    return _NUMBERED.sub(lambda match: f"<id {int(match[1]) + 1}>", text).replace("\0\0", "\0")


def _type(value: JSON) -> str:
    names = {type(None): "null", bool: "a boolean", int: "a number", float: "a number", str: "a text"}
    return names.get(type(value), "a list" if isinstance(value, list) else "an object")


def advice(remedies: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Yield the lines that say what to do, and when."""
    if not remedies:
        return
    width = max(len(when) for when, _ in remedies)
    yield "  what to do:"
    for when, command in remedies:
        yield f"     {when:<{width}} → {command}"


_NUMBERED = re.compile(r"(?:\0|\\u0000)(\d+)(?:\0|\\u0000)")

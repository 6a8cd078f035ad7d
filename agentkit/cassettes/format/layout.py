"""Plain values as YAML lines that a person reads, and that change where the value changes.

Text of several lines stands as it is, nothing is folded, what fits on a line stands on one. The same value gives
the same lines, and `document.read` gives the value back: where it doesn't, the caller stores the value as text.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

T = TypeVar("T")

WIDTH = 100
"""Characters up to which a mapping or a list stands on one line."""

_RESERVED = frozenset(["null", "true", "false", "yes", "no", "on", "off", "y", "n"])
_UNPRINTABLE = "\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff"
_ESCAPED = re.compile(f"[{_UNPRINTABLE}]")
_PLAIN = re.compile(rf"[^\W\d_](?:[^\t\n:#{_UNPRINTABLE}]|:(?=[^\s])|(?<=\S)#)*")
_PLAIN_IN_FLOW = re.compile(r"[^\W\d_](?:[\w/$.+@()*=~^;' -])*")
_PLAIN_KEY = re.compile(r"[A-Za-z_$][A-Za-z0-9_$.-]*")
_COUNT = re.compile(r"[0-9]+(?:\+[0-9]+(?:\*[0-9]+)?|\*[0-9]+)")
"""Chunks as they are counted, `2+117` or `1*40`: no number in YAML either."""
_SINGLE = re.compile(rf"[^\t\n{_UNPRINTABLE}]*")


class Row(list[T]):
    """A list that stands on one line, however long."""

    __slots__ = ()


def mapping_lines(value: Mapping[str, object], indent: int = 0) -> list[str]:
    """Return a mapping, a line or more for each key."""
    lines: list[str] = []
    _write_mapping(value, indent, lines)
    return lines


def _write_mapping(value: Mapping[str, object], indent: int, lines: list[str]) -> None:
    pad = " " * indent
    for key, member in value.items():
        head = f"{pad}{_key(key)}:"
        inline = _inline(member)
        if inline is not None:
            lines.append(f"{head} {inline}")
        elif isinstance(member, str):
            _write_literal(member, head, indent + 2, lines)
        else:
            lines.append(head)
            if isinstance(member, dict):
                _write_mapping(member, indent + 2, lines)
            else:
                _write_sequence(cast("list[object]", member), indent, lines)


def _write_sequence(value: Sequence[object], indent: int, lines: list[str]) -> None:
    pad = " " * indent
    for member in value:
        inline = _inline(member)
        if inline is not None:
            lines.append(f"{pad}- {inline}")
        elif isinstance(member, str):
            _write_literal(member, f"{pad}-", indent + 2, lines)
        else:
            at = len(lines)
            if isinstance(member, dict):
                _write_mapping(member, indent + 2, lines)
            else:
                _write_sequence(cast("list[object]", member), indent + 2, lines)
            lines[at] = f"{pad}- {lines[at][indent + 2 :]}"


def _write_literal(text: str, head: str, indent: int, lines: list[str]) -> None:
    pad = " " * indent
    mark = "2" if text[0] in " \t\n" else ""
    ends = "" if text.endswith("\n") else "-"
    lines.append(f"{head} |{mark}{ends}")
    lines.extend(pad + line if line else "" for line in text.removesuffix("\n").split("\n"))


def _inline(value: object) -> str | None:
    """Return a value that stands on the line of its key; None for what takes lines of its own."""
    if isinstance(value, str):
        return None if _is_literal(value) else _text(value, _PLAIN)
    if isinstance(value, Row):
        return (
            "["
            + ", ".join([_text(each, _PLAIN_IN_FLOW) if isinstance(each, str) else _scalar(each) for each in value])
            + "]"
        )
    if isinstance(value, dict | list):
        return _flow(value, WIDTH)
    return _scalar(value)


def _is_literal(text: str) -> bool:
    return "\n" in text.rstrip("\n") and not text.endswith("\n\n") and not _ESCAPED.search(text)


def _flow(value: object, room: int) -> str | None:
    """Return a value in at most `room` characters; None where that isn't possible, or hides lines of text."""
    if isinstance(value, str):
        shown = None if "\n" in value or len(value) > room else _text(value, _PLAIN_IN_FLOW)
    elif isinstance(value, dict):
        shown = _flow_mapping(value, room)
    elif isinstance(value, list):
        shown = _flow_sequence(value, room)
    else:
        shown = _scalar(value)
    return None if shown is None or len(shown) > room else shown


def _flow_mapping(value: dict[str, object], room: int) -> str | None:
    parts: list[str] = []
    for key, member in value.items():
        name = _key(key)
        room -= len(name) + 4
        shown = None if room < 0 else _flow(member, room)
        if shown is None:
            return None
        room -= len(shown)
        parts.append(f"{name}: {shown}")
    return "{" + ", ".join(parts) + "}"


def _flow_sequence(value: list[object], room: int) -> str | None:
    parts: list[str] = []
    for member in value:
        room -= 2
        shown = None if room < 0 else _flow(member, room)
        if shown is None:
            return None
        room -= len(shown)
        parts.append(shown)
    return "[" + ", ".join(parts) + "]"


def _scalar(value: object) -> str:
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    return repr(value)


def _key(text: str) -> str:
    if _PLAIN_KEY.fullmatch(text) and text.lower() not in _RESERVED:
        return text
    return _quoted(text)


def _text(text: str, plain: re.Pattern[str]) -> str:
    if plain.fullmatch(text) and text[-1] not in " :" and text.lower() not in _RESERVED:
        return text
    return text if _COUNT.fullmatch(text) else _quoted(text)


def _quoted(text: str) -> str:
    if _SINGLE.fullmatch(text):
        return "'" + text.replace("'", "''") + "'"
    return _ESCAPED.sub(_escape, json.dumps(text, ensure_ascii=False))


def _escape(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"

"""Two texts, compared word by word, and what the words that changed look like. Pure.

Today is 2026-11-[-20-]{+21+}, answer
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from typing import TypeAlias

from agentkit.status import escape

TOKEN = re.compile(r"\d+(?:\.\d+)+|\w+|\s+|[^\w\s]")
"""A word, a number, space, or a sign."""
_AROUND = 28
"""Characters shown before and after a change."""
_LONGEST = 100
"""Characters shown of one side of a change."""
_MOST_TOKENS = 600
"""Above this, what lies between the first and the last change is shown as one: comparing takes minutes otherwise."""
_MOST_CHANGES = 4
_LONGEST_KNOWN = 200
"""Characters of the longest word of which is said what it looks like."""

Change: TypeAlias = "tuple[int, int, int, int]"
"""Where tokens differ: from and to in the old, from and to in the new."""


def word_diff(old: str, new: str) -> str:
    """Return the new text around its changes, what went as `[-...-]` and what came as `{+...+}`."""
    a, b = TOKEN.findall(old), TOKEN.findall(new)
    pieces: list[str] = []
    position = 0
    changes = _changes(a, b)
    for i, j, k, m in changes[:_MOST_CHANGES]:
        pieces.append(_between("".join(b[position:k]), is_first=not pieces))
        pieces.append(_mark("[-", "".join(a[i:j]), "-]") + _mark("{+", "".join(b[k:m]), "+}"))
        position = m
    rest = "".join(b[position:])
    pieces.append(f"{_begin(rest)} …" if len(rest) > _AROUND + 2 else rest)
    more = f" (and {len(changes) - _MOST_CHANGES} more changes)" if len(changes) > _MOST_CHANGES else ""
    return escape("".join(pieces)) + more


def hint(old: str, new: str) -> str:
    """Return what the change between two texts looks like, as `a date or time`; empty where it looks like nothing."""
    if "".join(old.split()) == "".join(new.split()):
        return "whitespace only"
    if old.casefold() == new.casefold():
        return "upper and lower case only"
    if unicodedata.normalize("NFC", old) == unicodedata.normalize("NFC", new):
        return "the same characters in another Unicode form, composed or not"
    a, b = TOKEN.findall(old), TOKEN.findall(new)
    if len(a) == len(b) and sorted(a) == sorted(b):
        return "the same words in another order"
    if said := _unlike(old, new):
        return said
    kinds = [{_kind(_run(a, i, j)), _kind(_run(b, k, m))} for i, j, k, m in _changes(a, b)]
    found = set().union(*kinds) if kinds else set()
    return found.pop() if len(found) == 1 else ""


def _unlike(old: str, new: str) -> str:
    """Tell letters of two alphabets apart, which may look the same: the Cyrillic a in place of the Latin one."""
    if len(old) != len(new):
        return ""
    pairs = {(x, y) for x, y in zip(old, new, strict=True) if x != y}
    if not pairs or not all(x.isalpha() and y.isalpha() and x.isascii() != y.isascii() for x, y in pairs):
        return ""
    shown = [f"{x} (U+{ord(x):04X}) became {y} (U+{ord(y):04X})" for x, y in sorted(pairs)]
    return ", ".join(shown[:3]) + (", …" if len(shown) > 3 else "")


def shorten(text: str, most: int = _LONGEST) -> str:
    """Return a text on one line, its middle left out where it is long."""
    text = escape(text)
    if len(text) <= most:
        return text
    return f"{text[: most * 2 // 3]} … {text[-most // 4 :]} ({len(text):,} characters)"


def _changes(a: list[str], b: list[str]) -> list[Change]:
    same = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    most = min(len(a), len(b)) - same
    backward = zip(reversed(a), reversed(b), strict=False)
    end = min(next((i for i, (x, y) in enumerate(backward) if x != y), most), most)
    left, right = a[same : len(a) - end], b[same : len(b) - end]
    if len(left) + len(right) > _MOST_TOKENS:
        return [(same, len(a) - end, same, len(b) - end)]
    matcher = difflib.SequenceMatcher(None, left, right, autojunk=False)
    found = [(same + i, same + j, same + k, same + m) for tag, i, j, k, m in matcher.get_opcodes() if tag != "equal"]
    return _joined(found, a)


def _joined(changes: list[Change], old: list[str]) -> list[Change]:
    """Return changes with only a space between them as one: replaced words read better together."""
    joined: list[Change] = []
    for change in changes:
        if joined and all(token.isspace() for token in old[joined[-1][1] : change[0]]):
            i, _, k, _ = joined.pop()
            change = (i, change[1], k, change[3])
        joined.append(change)
    return joined


def _between(text: str, *, is_first: bool) -> str:
    if is_first:
        return text if len(text) <= _AROUND + 2 else f"… {_end(text)}"
    return text if len(text) <= 2 * _AROUND + 3 else f"{_begin(text)} … {_end(text)}"


def _begin(text: str) -> str:
    """Return the beginning of a text up to the end of a word, if there is one."""
    return text[:_AROUND].rpartition(" ")[0] or text[:_AROUND]


def _end(text: str) -> str:
    """Return the end of a text from the beginning of a word, if there is one."""
    return text[-_AROUND:].partition(" ")[2] or text[-_AROUND:]


def _mark(opening: str, text: str, closing: str) -> str:
    if not text:
        return ""
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST * 2 // 3]} … {text[-_LONGEST // 4 :]}"
    return f"{opening}{text}{closing}"


def _run(tokens: list[str], start: int, end: int) -> str:
    """Return the tokens with those that no space parts from them."""
    while start > 0 and not tokens[start - 1].isspace():
        start -= 1
    while end < len(tokens) and not tokens[end].isspace():
        end += 1
    return "".join(tokens[start:end]).strip("\"'()[]{},;:.!?")


_DAY = "mon|tues|wednes|thurs|fri|satur|sun"
_MONTH = "january|february|march|april|may|june|july|august|september|october|november|december"
_KINDS = (
    (
        "a date or time",
        rf"(?i).*\d{{4}}-\d\d-\d\d.*|.*\d\d?:\d\d.*|.*\d\d?[./]\d\d?[./]\d{{2,4}}.*|({_DAY})day|{_MONTH}",
    ),
    ("an id", r"(?i).*[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-.*|(?=.*\d)(?=.*[a-z])[0-9a-z_-]{12,}"),
    ("a memory address", r".*\b0x[0-9a-fA-F]{4,}.*"),
    ("a path", r".*(?:[\w.~>-]*/[\w.-]+/|/[\w.-]+/?|[A-Za-z]:\\).*"),
    ("a number", r"[-+]?[\d.,_]+%?|[\w-]*[=:#]?\d+(?:\.\d+)?[a-z]{0,2}"),
)
_COMPILED = tuple((name, re.compile(pattern, re.DOTALL)) for name, pattern in _KINDS)


def _kind(text: str) -> str:
    if len(text) > _LONGEST_KNOWN:
        return ""
    return next((name for name, pattern in _COMPILED if pattern.fullmatch(text)), "")

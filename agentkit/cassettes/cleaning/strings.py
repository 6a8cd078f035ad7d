"""The string values of JSON text, replaced one by one while the rest stays as it is. Pure.

Also of a text that holds JSON line by line, as a stream does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from json import JSONDecodeError, dumps, loads
from typing import TYPE_CHECKING

from agentkit.cassettes.cleaning.edits import apply_edits

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator

    from agentkit.cassettes.cleaning.edits import Edit

_LITERAL = re.compile(rb'"(?:[^"\\\n]++|\\.)*+"(?P<colon>\s*:)?')


@dataclass(frozen=True, slots=True)
class Literal:
    """A string value in JSON text."""

    start: int
    end: int
    key: str
    """The key that it is the value of; empty where it is an element of a list."""
    raw: bytes

    @property
    def text(self) -> str | None:
        """What it says; None where it is no JSON string."""
        try:
            return str(loads(self.raw))
        except (JSONDecodeError, UnicodeDecodeError):
            return None

    def replaced(self, text: str) -> Edit:
        """Return the edit that makes it say something else, in the way in which it was written."""
        written = dumps(text, ensure_ascii=self.raw.isascii() and b"\\u" in self.raw)
        try:
            return self.start, self.end, written.encode()
        except UnicodeEncodeError:  # half of a character
            return self.start, self.end, dumps(text).encode()


def string_values(data: bytes) -> Iterator[Literal]:
    """Return the string values of JSON text, in their order."""
    key, key_end = "", -1
    for match in _LITERAL.finditer(data):
        if match["colon"] is None:
            named = data[key_end : match.start()].isspace() or key_end == match.start()
            yield Literal(match.start(), match.end(), key if named else "", match[0])
        else:
            key = match[0][1 : match.start("colon") - match.start() - 1].decode(errors="replace")
            key_end = match.end()


def edit_strings(data: bytes, change: Callable[[str, str], str], skipped: Container[str] = ()) -> list[Edit]:
    """Return the edits of `change(key, text)` on each string value, and on those of JSON that a string holds.

    Values of the skipped keys are left alone, but for those in strings.
    """
    edits: list[Edit] = []
    for literal in string_values(data):
        text = None if literal.key in skipped else literal.text
        if text is None:
            continue
        changed = change_text(literal.key, text, change)
        if changed != text:
            edits.append(literal.replaced(changed))
    return edits


def change_text(key: str, text: str, change: Callable[[str, str], str]) -> str:
    """Return a text changed: where it holds a JSON object or array, within its strings, or else as a whole."""
    if text.lstrip()[:1] not in ("{", "[") or not holds_json(text):
        return change(key, text)
    data = text.encode(errors="surrogatepass")
    return apply_edits(data, edit_strings(data, change)).decode(errors="surrogatepass")


def holds_json(text: str | bytes) -> bool:
    """Tell whether a text is JSON."""
    try:
        loads(text)
    except (ValueError, RecursionError):
        return False
    return True

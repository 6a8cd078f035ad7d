"""How a server or a client spells JSON: recognised in bytes, and spelled again byte for byte."""

from __future__ import annotations

import functools
import json as stdlib
import re
from typing import TYPE_CHECKING, NamedTuple

from agentkit import json

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentkit.cassettes.format.document import Spot

LAYOUTS = ("compact", "spaced", "indent 1", "indent 2", "indent 3", "indent 4", "indent 8", "tab")
_FLAGS = ("ascii", "html", "newline")
_INDENTED = re.compile(rb"[\[{]\n( *|\t)\S")
_SPACED = re.compile(rb'[^\\]": ')
_HTML = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})


class Style(NamedTuple):
    """One way to spell JSON."""

    layout: str = "compact"
    ascii: bool = False
    """Whether every other character is escaped: `\\u00e9`."""
    html: bool = False
    """Whether `<`, `>` and `&` are escaped too, as Go does."""
    newline: bool = False
    """Whether a line end follows the document."""

    @property
    def separator(self) -> bytes | None:
        """What stands between two members of a list; None where it depends on how deep the list is."""
        return {"compact": b",", "spaced": b", "}.get(self.layout)

    @property
    def words(self) -> str:
        """The style as a cassette names it; empty for the usual one."""
        layout = () if self.layout == "compact" else (self.layout,)
        return ", ".join((*layout, *(flag for flag in _FLAGS if getattr(self, flag))))

    @classmethod
    def named(cls, spot: Spot) -> Style:
        """Return the style that `words` name."""
        words = spot.text().split(", ") if spot.value != "" else []
        layouts = [word for word in words if word in LAYOUTS]
        if len(layouts) > 1 or any(word not in LAYOUTS and word not in _FLAGS for word in words):
            spot.wrong(f"one of {', '.join(LAYOUTS)}, and any of {', '.join(_FLAGS)}, separated by ', '")
        return cls(layouts[0] if layouts else "compact", "ascii" in words, "html" in words, "newline" in words)

    def encode(self, value: object) -> bytes:
        """Return a value as JSON. Raises `JSONError` for what JSON or UTF-8 can't hold."""
        try:
            text = _encoder(self.layout, self.ascii)(value)
            if self.html:
                text = text.translate(_HTML)
            return (text + "\n" if self.newline else text).encode()
        except (ValueError, TypeError, RecursionError) as exc:
            raise json.JSONError(f"not representable as JSON: {exc}") from exc


COMPACT = Style()


def recognise(data: bytes, likely: Style | None = None) -> tuple[object, Style] | None:
    """Return the value and the style of a JSON document; None where spelling it again gives other bytes."""
    try:
        value = json.decode(data)
        for style in (likely,) if likely and likely.encode(value) == data else _candidates(data):
            if style is likely or style.encode(value) == data:
                return value, style
    except json.JSONError:
        pass
    return None


def _candidates(data: bytes) -> list[Style]:
    layout = _layout(data)
    newline = data.endswith(b"\n")
    if layout not in LAYOUTS:
        return []
    if b"\\u" not in data:
        return [Style(layout, newline=newline)]
    flags = ((False, False), (True, False), (False, True), (True, True))
    return [Style(layout, *flag, newline) for flag in flags]


def _layout(data: bytes) -> str:
    indented = _INDENTED.match(data)
    if indented:
        return "tab" if indented[1] == b"\t" else f"indent {len(indented[1])}"
    if _SPACED.search(data) or (data[:1] == b"[" and b", " in data):
        return "spaced"
    return "compact"


@functools.cache
def _encoder(layout: str, ascii_only: bool) -> Callable[[object], str]:
    indent: int | str | None = None
    if layout == "tab":
        indent = "\t"
    elif layout.startswith("indent"):
        indent = int(layout.split()[1])
    separators = (",", ":") if layout == "compact" else (", ", ": ") if layout == "spaced" else None
    return stdlib.JSONEncoder(ensure_ascii=ascii_only, allow_nan=False, indent=indent, separators=separators).encode

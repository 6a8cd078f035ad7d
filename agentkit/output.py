"""What a tool returned, as the text or the content parts that the model reads.

Text goes as it is, everything else as one canonical JSON (`canonical.py`), so that the same result is the same
bytes in every run: recordings match, and caches hit. Too long is cut for the model and kept in full beside it.
"""

from __future__ import annotations

import json as stdlib_json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from agentkit.canonical import NotJSON, to_json
from agentkit.items import File, Image, Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentkit.items import Part
    from agentkit.json import JSON, JSONObject

MAX_OUTPUT_BYTES: Final = 64 * 1024
"""Default size of what the model sees of one output, as UTF-8."""

MAX_FULL_BYTES: Final = 16 * 1024 * 1024
"""Size of what is kept of one output."""


class OutputError(ValueError):
    """A returned value that can't be shown to the model; the message says why, for model and developer."""


@dataclass(frozen=True, slots=True)
class EncodedOutput:
    """A tool's result, ready for a `function_call_output` item."""

    text: str
    """What the model reads; where there are parts, the same in words."""

    full: str | None = None
    """The whole text where `text` was cut, up to `MAX_FULL_BYTES`; None where nothing is missing."""

    parts: tuple[JSONObject, ...] | None = None
    """The content parts to send instead of `text`; None for a plain text output."""

    @property
    def output(self) -> str | list[JSON]:
        """The value of the item's `output` field."""
        return self.text if self.parts is None else list(self.parts)


def encode_output(value: object, *, parts_allowed: bool = False, max_bytes: int = MAX_OUTPUT_BYTES) -> EncodedOutput:
    """Return what the model gets for a tool's return value.

    A str goes as it is, None as ``null``, NaN and infinities as the strings "NaN", "Infinity", "-Infinity", sets
    sorted, bytes as base64, a generator as the list of what it yields, up to a cap. `Text`, `Image` and `File`,
    alone or in a list, become content parts; where `parts_allowed` is False, pictures and files become a line
    that says what was left out.

    Consumes generators, so it runs the tool's code: call it where the tool ran, under its time limit.

    Raises:
        OutputError: The value has no JSON form, contains itself, or is nested too deeply.
    """
    parts = _parts(value)
    if parts is not None and parts_allowed and not all(isinstance(part, Text) for part in parts):
        return _encode_parts(parts, max_bytes)
    if parts is not None:
        return _fit("\n".join(_in_words(part) for part in parts), max_bytes)
    return _fit(value if isinstance(value, str) else _to_text(value), max_bytes)


def _parts(value: object) -> list[Part] | None:
    """Return `value` as parts, plain strings among them as text; None for what holds no part."""
    if isinstance(value, Text | Image | File):
        return [value]
    if not isinstance(value, list | tuple) or not any(isinstance(item, Text | Image | File) for item in value):
        return None
    if not all(isinstance(item, Text | Image | File | str) for item in value):
        return None
    return [Text(sendable(item)) if isinstance(item, str) else item for item in value]


def sendable(text: str) -> str:
    r"""Return `text` with lone surrogates, as in file names that aren't UTF-8, written out: ``\udcff``.

    In JSON they would go out as escapes that stand for no character, which strict servers refuse.
    """
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _encode_parts(parts: Sequence[Part], max_bytes: int) -> EncodedOutput:
    texts = [_fit(part.text, max_bytes) if isinstance(part, Text) else None for part in parts]
    sent = [
        (_sendable_part(part) if text is None else Text(text.text)).to_part()
        for part, text in zip(parts, texts, strict=True)
    ]
    words = _fit("\n".join(_in_words(part, left_out=False) for part in parts), max_bytes)
    full = words.full if any(text is not None and text.full is not None for text in texts) else None
    return EncodedOutput(words.text, full, tuple(sent))


def _sendable_part(part: Part) -> Part:
    if isinstance(part, File) and part.filename is not None:
        return replace(part, filename=sendable(part.filename))
    return part


_DATA_URL = re.compile(r"data:([^;,]*)[^,]*,")


def _in_words(part: Part, *, left_out: bool = True) -> str:
    if isinstance(part, Text):
        return part.text
    kind, source = ("image", part.url) if isinstance(part, Image) else ("file", part.data or part.url or "")
    name = [part.filename] if isinstance(part, File) and part.filename else []
    words = " ".join([kind, *name, _described_source(source)]).strip()
    return f"[{words}: left out, this server takes text outputs only]" if left_out else f"[{words}]"


def _described_source(source: str) -> str:
    match = _DATA_URL.match(source)
    if match is None:
        return source[:200]
    encoded = len(source) - match.end()
    size = encoded * 3 // 4 - source[-2:].count("=") if ";base64" in match[0] else encoded
    return f"{match[1] or 'text/plain'}, {size} bytes"


def _to_text(value: object) -> str:
    try:
        # What a generator gives is kept whole, so it ends well before the cap.
        encoded = to_json(value, replace=_replace_part, max_chars=MAX_FULL_BYTES // 2)
    except NotJSON as exc:
        raise OutputError(f"the tool's result can't be sent: {exc}.") from exc
    return stdlib_json.dumps(encoded, ensure_ascii=False, separators=(",", ":"))


def _replace_part(value: object) -> JSON:
    return _in_words(value) if isinstance(value, Text | Image | File) else None


# --- cutting -----------------------------------------------------------------------------------------------


def _fit(text: str, max_bytes: int) -> EncodedOutput:
    """Cut `text` for the model and, far later, for keeping."""
    text = sendable(text)
    if len(text) * 4 <= max_bytes:  # no character takes more than four bytes
        return EncodedOutput(text)
    shown = _head(text, max_bytes)
    if len(shown) == len(text):
        return EncodedOutput(text)
    room = max(max_bytes - len(_note(len(text), len(text))), 0)
    shown = _head(text, room)
    return EncodedOutput(shown + _note(len(shown), len(text)), _head(text, MAX_FULL_BYTES))


def _note(shown: int, total: int) -> str:
    return f"\n[cut: {shown:,} of {total:,} characters shown]"


def _head(text: str, max_bytes: int) -> str:
    """Return the longest beginning of `text` that takes at most `max_bytes` as UTF-8."""
    data = text[:max_bytes].encode()
    if len(data) <= max_bytes:
        return text[:max_bytes]
    end = max_bytes
    while end > 0 and data[end] & 0xC0 == 0x80:  # never inside a character
        end -= 1
    return data[:end].decode()

"""A body as a cassette shows it: JSON as values, else text, else base64. Exact to the byte in each form."""

from __future__ import annotations

import base64
import binascii
import contextlib
from typing import TYPE_CHECKING

from agentkit import json
from agentkit.cassettes.format.styles import Style, recognise

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentkit.cassettes.format.document import Spot
    from agentkit.cassettes.format.echoes import Echoes

KEYS = ("json", "style", "text", "base64")
"""The keys that a body takes in its mapping."""


def json_form(data: bytes, echoes: Echoes | None = None) -> Iterator[dict[str, object]]:
    """Give a body as JSON, where it is JSON in a style that is known."""
    found = recognise(data)
    if found is not None:
        value, style = found
        if echoes is not None and isinstance(value, dict):
            value = echoes.shorten_response(value)
        yield {"json": value, **({"style": style.words} if style.words else {})}


def raw_forms(data: bytes) -> Iterator[dict[str, object]]:
    """Give a body as text, then as base64."""
    with contextlib.suppress(UnicodeDecodeError):
        yield {"text": data.decode()}
    yield {"base64": base64.b64encode(data).decode()}


def read_body(spot: Spot, echoes: Echoes | None = None) -> bytes:
    """Return the bytes of a body from the mapping that holds it; none of its keys: no body."""
    value = spot.mapping("a body")
    given = [key for key in ("json", "text", "base64") if key in value]
    if len(given) > 1:
        spot.fail(f"found {' and '.join(given)}; allowed is one of them")
    if "text" in given:
        return encoded_text(spot.member("text"))
    if "base64" in given:
        return decoded_base64(spot.member("base64"))
    if "json" in given:
        body = spot.member("json")
        if echoes is not None and isinstance(body.value, dict):
            body = spot.below("json", echoes.restore_response(body))
        return encoded(body, Style.named(spot.member("style", "")))
    return b""


def encoded(spot: Spot, style: Style) -> bytes:
    """Return a value as JSON."""
    try:
        return style.encode(spot.value)
    except json.JSONError as exc:
        spot.fail(str(exc))


def encoded_text(spot: Spot) -> bytes:
    text = spot.text()
    try:
        return text.encode()
    except UnicodeEncodeError:
        spot.wrong("text that UTF-8 can hold")


def decoded_base64(spot: Spot) -> bytes:
    try:
        return base64.b64decode(spot.text(), validate=True)
    except (binascii.Error, ValueError):
        spot.wrong("bytes in base64")

"""A piece of text in all the forms in which it may stand in a request or an answer. Pure.

A body is JSON, and the `arguments` and outputs in it are JSON within a string, so that a path or a key stands there
escaped once or twice. Looking for the escaped forms leaves all other bytes as they are, and finds them in what is
no JSON as well.
"""

from __future__ import annotations

import base64
from json import dumps
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable

_DEPTH = 3


def escaped_forms(text: str) -> set[bytes]:
    """Return the text as UTF-8, and as JSON strings hold it up to three levels deep."""
    forms = {text}
    for depth in range(_DEPTH):
        forms |= {written for form in forms for written in _escapes(form, slashes=depth < 2)}
    return {form.encode(errors="surrogatepass") for form in forms}


def encoded_forms(text: str) -> set[bytes]:
    """Return `escaped_forms`, and the text in URLs and in base64, there also with something before and after it."""
    forms = escaped_forms(text)
    for written in (quote(text, safe=""), quote(text), quote_plus(text)):
        forms |= {written.encode(), written.lower().encode()} if "%" in written else set()
    for inner in _base64_cores(text.encode(errors="surrogatepass")):
        forms |= escaped_forms(inner) | escaped_forms(inner.translate(_URL_SAFE))
    return forms


def any_in(forms: Iterable[bytes], data: bytes) -> bool:
    """Tell whether any form occurs."""
    return any(form in data for form in forms)


_URL_SAFE = str.maketrans("+/", "-_")


def _escapes(text: str, *, slashes: bool) -> set[str]:
    plain = dumps(text, ensure_ascii=False)[1:-1]
    found = {plain, dumps(text)[1:-1]}
    return found | {plain.replace("/", "\\/")} if slashes else found


def _base64_cores(value: bytes) -> set[str]:
    """Return what base64 makes of the value, at each of the three places in which it can begin.

    The characters at its ends depend on the neighbours; they hold a part of a byte each, and are left out.
    """
    cores: set[str] = set()
    for before in range(3):
        coded = base64.b64encode(b"\0" * before + value).decode().rstrip("=")
        whole = 4 * ((before + len(value)) // 3)  # groups that nothing after the value changes
        cores.add(coded[(0, 2, 3)[before] : whole])
    return {core for core in cores if len(core) >= 8}

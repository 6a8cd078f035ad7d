"""Secrets, taken out of what is kept: headers, URIs, the environment's values, keys named like secrets. Pure.

What slips through is found by `secrets.py`, and nothing is written.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

from agentkit.cassettes.cleaning.literals import any_in, encoded_forms
from agentkit.cassettes.cleaning.secret_names import is_secret_name, is_secret_parameter, is_secret_variable
from agentkit.cassettes.cleaning.strings import edit_strings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agentkit.cassettes.cleaning.edits import Edit, FindEdits

KEPT_HEADERS = frozenset(
    {"content-type", "location", "retry-after", "retry-after-ms", "x-request-id", "x-should-retry"}
)
"""The headers of an answer that are kept: what the client reads, but for what changes with each answer (dates, what
is left of a rate limit)."""

HIDDEN = "<secret>"
"""What stands for a value whose key says that it is a secret."""

_SHORTEST = 8
_FLAGS = frozenset(
    {
        "changeme",
        "default",
        "disabled",
        "development",
        "localhost",
        "optional",
        "password",
        "production",
        "required",
        "undefined",
    }
)
_PATH = re.compile(r"(?:~|\.{0,2}|[A-Za-z]:)[/\\](?![^/\\]*$)|[A-Za-z]:\\|~?/[\w.-]*$")
_URL_PASSWORD = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/\s:@]*:([^@\s]+)@")
_USER = re.compile(r"(?<=://)[^/?#@]*@")
_PARAMETER = re.compile(r"(?<=[?&])([^=&#]+)=([^&#]+)")
_NAMED = re.compile(
    rb'(?i:key|token|secrets?|passw(?:or)?d|passphrase|pwd?|authorization|cookies?|credentials?)\\*"\s*:\s*\\*"'
)
_MIXED = re.compile(r"(?=\S*\d)(?=\S*[A-Za-z])\S+$")
_NAMED_HERE = re.compile(rb"(?i)authorization|cookie|key|pass|pwd?|pin|secret|credential|token")
_REST = rb"""(?P<value>[^"\\\n]{1,4000})(?P=quote)"""
_NUMBER = re.compile(
    rb"""(?<!\\)(?P<quote>\\*")(?P<name>[A-Za-z_\-]*(?i:passw(?:or)?d|pwd|pw|secret|passphrase))(?P=quote)\s*:\s*"""
    rb"""(?P<value>\d{4,})(?=\s*[,}\]])"""
)
_FIELD = re.compile(
    rb"""(?<!\\)(?P<quote>\\*")(?:name|key)(?P=quote)\s*:\s*(?P=quote)(?P<name>[A-Za-z_\-]{2,64})(?P=quote)\s*,\s*"""
    rb"""(?P=quote)value(?P=quote)\s*:\s*(?P=quote)""" + _REST
)
_HEADER = re.compile(
    rb"""\[\s*(?<!\\)(?P<quote>\\*")(?P<name>(?i:(?:proxy-)?authorization|(?:set-)?cookie|x-api-key))(?P=quote)\s*,\s*"""
    rb"""(?P=quote)""" + _REST + rb"""\s*\]"""
)
_FORM = re.compile(rb"[\w.\-~%+*\[\]]+=[^&=\s\"{}]*(?:&[\w.\-~%+*\[\]]+=[^&=\s\"{}]*)*\s*")
_PAIR = re.compile(rb"([^&=]+)=([^&\s]*)")
_KEPT_AS_IT_IS = re.compile(r"<[^<>\s]{1,80}>|\*+|x{3,}|")


def kept_headers(headers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Return the headers of an answer that are kept, names in lower case."""
    lowered = ((name.lower(), value) for name, value in headers)
    return tuple(
        (name, clean_uri(value) if name == "location" else value) for name, value in lowered if name in KEPT_HEADERS
    )


def clean_uri(uri: str) -> str:
    """Return a URI without user and password, the values of its secret parameters hidden."""
    return _PARAMETER.sub(_hide_parameter, _USER.sub("", uri))


def secret_values(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables whose values are secrets: by their name, or passwords in URLs.

    Left out are values below 8 characters, paths, numbers and words that switch something: they stand everywhere.
    """
    found: dict[str, str] = {}
    for name, value in variables.items():
        if is_secret_variable(name) and _is_secret(value):
            found[name] = value.strip()
        elif (match := _URL_PASSWORD.match(value)) and _is_secret(match[1]):
            found[name] = match[1]
    return found


def hide_values(values: Mapping[str, str]) -> FindEdits:
    """Return what finds these values by name, in all forms that they may take, and puts `<NAME>` there."""
    forms: dict[bytes, bytes] = {}
    for name, value in values.items():
        forms |= dict.fromkeys(encoded_forms(value), f"<{name}>".encode())
    pattern = re.compile(b"|".join(map(re.escape, sorted(forms, key=len, reverse=True))))

    def find(data: bytes) -> list[Edit]:
        if not any_in(forms, data):
            return []
        return [(match.start(), match.end(), forms[match[0]]) for match in pattern.finditer(data)]

    return find


class HideNamed:
    """Finds the string values of JSON keys that are named like secrets, also within JSON that strings hold."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        """Values that were found and that are like no word: they may not stand anywhere else either."""

    def __call__(self, data: bytes) -> list[Edit]:
        """Return the edits that hide them."""
        return edit_strings(data, self._hide) if _NAMED.search(data) else []

    def _hide(self, key: str, text: str) -> str:
        if not is_secret_name(key) or not _holds_secret(key, text):
            return text
        if len(text) >= _SHORTEST and _MIXED.match(text):
            self.seen.add(text)
        return HIDDEN


def hide_pairs(data: bytes) -> list[Edit]:
    """Find secrets beside their names: `{"name": "Cookie", "value": ...}`, `["Authorization", ...]`, and numbers.

    A number stays one, of as many digits: a tool that takes it is called with it when it is played.
    """
    found: list[Edit] = []
    for pattern in (_NUMBER, _FIELD, _HEADER) if _NAMED_HERE.search(data) else ():
        for match in pattern.finditer(data):
            name, value = match["name"].decode(), match["value"]
            hidden = b"1".ljust(len(value), b"0") if pattern is _NUMBER else HIDDEN.encode()
            if is_secret_name(name) and value not in (b"", hidden):
                found.append((*match.span("value"), hidden))
    return sorted(found)


def hide_form(data: bytes) -> list[Edit]:
    """Find the secrets in a form, `user=ann&password=...`; where it is no form, none."""
    if not _FORM.fullmatch(data):
        return []
    return [
        (*match.span(2), HIDDEN.encode())
        for match in _PAIR.finditer(data)
        if is_secret_parameter(unquote_plus(match[1].decode())) and match[2] not in (b"", HIDDEN.encode())
    ]


def _holds_secret(key: str, text: str) -> bool:
    if _KEPT_AS_IT_IS.fullmatch(text):
        return False
    if not key.lower().endswith(("token", "key")):
        return True
    # A token may also be a piece of a text, as in log probabilities; one that opens something is longer.
    shortest = 16 if key.lower() == "token" else _SHORTEST
    return len(text) >= shortest and not any(map(str.isspace, text)) and (len(text) >= 24 or not text.isalpha())


def _hide_parameter(match: re.Match[str]) -> str:
    return f"{match[1]}={HIDDEN}" if is_secret_parameter(unquote_plus(match[1])) else match[0]


def _is_secret(value: str) -> bool:
    value = value.strip()
    if len(value) < _SHORTEST or value.lower() in _FLAGS or (value.isdecimal() and len(value) < 12):
        return False
    return _PATH.match(value) is None

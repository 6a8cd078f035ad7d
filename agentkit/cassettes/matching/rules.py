"""Which recorded request a live one is: a key over what counts, looked up in a dictionary. Pure.

The key covers method, resource and the body as `comparable.py` has it. The base URL of an API isn't part of it, so that
what was recorded against one server plays for another, whose paths begin otherwise (`/v1`, `/openai/v1`, `/api/v1`);
requests that aren't the API's (a tool's own) count with host, path and query, but for the local hosts, whose ports
change from run to run.

Each request of a conversation repeats the one before it, so a key is made by going on with the hash of an earlier
request: what the two share is compared as bytes and not read again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from json import JSONEncoder
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from agentkit import json
from agentkit.cassettes.cleaning.secret_names import is_secret_parameter
from agentkit.cassettes.matching.comparable import (
    DROPPED,
    ID_FIELDS,
    Ids,
    comparable,
    comparable_item,
    shape_body,
    shape_item,
)
from agentkit.cassettes.matching.paths import (
    IGNORED,
    Embedded,
    Path,
    closed,
    parse_path,
    without,
    without_element,
    write_path,
)
from agentkit.errors import UsageError

if TYPE_CHECKING:
    from _hashlib import HASH
    from collections.abc import Iterable, Iterator

    from agentkit.json import JSON, JSONObject

VERSION = 1
"""Goes up when equal requests get another key than before."""

_LOCAL = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0"})  # noqa: S104  (compared, not bound)
_API = ("responses", "models")


@dataclass(frozen=True, slots=True)
class _Growth:
    """What it takes to go on from a request to one that adds items to it."""

    rules: Rules
    place: tuple[str, str]
    """Method and URI."""
    hashed: HASH
    """Of all that comes before the end of the list of items."""
    ids: Ids
    body: bytes | None
    """The request's bytes; None where they were never joined."""


@dataclass(frozen=True, slots=True)
class RequestState:
    """A request as matching sees it. Immutable: any number of requests can go on from it."""

    key: str
    """Equal for requests that are the same in all that counts."""
    items: int
    """How many input items it has; 0 where the body isn't JSON."""
    growth: _Growth | None = field(default=None, repr=False, compare=False)
    """What it takes to go on from it; None where nothing can be added."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What counts when requests are compared.

    Raises `UsageError` for paths that can't be read.
    """

    ignore: Sequence[str] = ()
    """Places of the body that don't count, such as `tools[*].description`; as a mismatch report writes them."""
    exact: bool = False
    """Whether all counts: every field, ids as they are, the order of keys, 1.0 apart from 1; only `ignore` doesn't."""
    paths: tuple[Path, ...] = field(default=(), init=False, repr=False, compare=False)
    """`ignore`, read."""

    def __post_init__(self) -> None:
        if isinstance(self.ignore, str) or not isinstance(self.ignore, Sequence):
            raise UsageError(f"ignore={self.ignore!r}; give a list of paths, such as ['input[*].content'].")
        object.__setattr__(self, "ignore", tuple(self.ignore))
        object.__setattr__(self, "paths", tuple(map(parse_path, self.ignore)))

    @property
    def fingerprint(self) -> str:
        """Equal for rules under which all keys are equal; keys may be kept under it."""
        said = [VERSION, self.exact, sorted(map(write_path, self.paths))]
        return hashlib.sha256(json.encode(said)).hexdigest()[:16]

    def state(self, method: str, uri: str, body: bytes, after: RequestState | None = None) -> RequestState:
        """Return the state of a request.

        Args:
            method: As sent.
            uri: Absolute, or a path.
            body: As sent.
            after: The state of an earlier request of the same conversation. Where this body is that one with items
                added to the end, only these are read; the result is the same with and without.
        """
        growth = after.growth if after else None
        if growth is not None and growth.body is not None and growth.place == (method, uri) and growth.rules == self:
            kept = len(growth.body) - 2
            if len(body) > kept and body.startswith(memoryview(growth.body)[:kept]):
                grown = _grown(after, growth, body[kept:], body)  # type: ignore[arg-type]
                if grown is not None:
                    return grown
        return self._read_whole(method, uri, body)

    def grown(self, after: RequestState, tail: bytes) -> RequestState | None:
        """Return the state of the request whose body is the one of `after`, less its closing `]}`, and `tail`.

        None where `tail` doesn't add items, or the body of `after` doesn't end with its list of items. For
        requests that are kept as what was added, whose whole bytes would have to be joined.
        """
        growth = after.growth
        return _grown(after, growth, tail, None) if growth is not None and growth.rules == self else None

    def comparable_body(self, body: JSONObject, ids: Ids) -> tuple[JSONObject, list[JSON] | None]:
        """Return what counts of a body: its fields without `input`, and the items; None where there is no list."""
        shaped = body if self.exact else shape_body(body)
        asked = shaped.get("input")
        head: JSONObject = {**shaped, "input": None} if isinstance(asked, list) else shaped
        kept = without(head, self.paths)
        counted: JSONObject = kept if self.exact else comparable(kept, ids)  # type: ignore[assignment]
        if not isinstance(asked, list) or "input" not in counted:
            return counted, None
        return counted, [self.comparable_item(index, item, ids) for index, item in enumerate(asked)]

    def comparable_item(self, index: int, item: JSON, ids: Ids) -> JSON:
        """Return what counts of the item at an index."""
        below = [path[1:] for path in self.paths if path[0] == "input" and len(path) > 1]
        shaped = without_element(index, item if self.exact else shape_item(item), below)
        if shaped is IGNORED or self.exact:
            return shaped  # type: ignore[return-value]
        return comparable_item(shaped, ids)

    def encode(self, value: JSON) -> bytes:
        """Return what counts as bytes that are equal for equal values."""
        return (_encode_in_order if self.exact else _encode_sorted)(value).encode("ascii")

    def _read_whole(self, method: str, uri: str, body: bytes) -> RequestState:
        hashed = hashlib.sha256(self.encode([method.upper(), *request_place(uri)]))
        decoded = read_body(body)
        if decoded is None:
            hashed.update(b"\nbytes\n" + body)
            return RequestState(hashed.hexdigest()[:32], 0)
        if not is_api(uri):
            hashed.update(b"\njson\n" + self.encode(decoded if self.exact else comparable(decoded, Ids())))
            return RequestState(hashed.hexdigest()[:32], 0)
        ids = Ids()
        head, items = self.comparable_body(decoded, ids)
        hashed.update(b"\nbody\n" + self.encode(head) + b"\n")
        for item in items or ():
            hashed.update(self.encode(item) + b"\n")
        # Only a body that ends with its items can be gone on with; the strict reading saw each key once.
        is_open = bool(items) and next(reversed(decoded)) == "input" and body.endswith(b"]}")
        growth = _Growth(self, (method, uri), hashed, ids, body) if is_open else None
        return RequestState(hashed.hexdigest()[:32], len(items or ()), growth)


@dataclass(frozen=True, slots=True)
class NotCounted:
    """A place of a body that doesn't count, and why."""

    path: str
    value: JSON
    why: str


def ignored_fields(body: bytes, rules: Rules) -> list[NotCounted]:
    """Return what of a request's body doesn't count under the rules; empty where it isn't JSON."""
    decoded = read_body(body)
    if decoded is None:
        return []
    found = [] if rules.exact else list(_left_out_by_default(decoded))
    told = {entry.path for entry in found}
    for path in rules.paths:
        for place, value in _reached(decoded, path, exact=rules.exact):
            if write_path(place) not in told:
                found.append(NotCounted(write_path(place), value, f"ignored: {write_path(path)}"))
    return found


def useless_paths(rules: Rules, bodies: Iterable[bytes]) -> list[str]:
    """Return which paths to ignore find nothing in any of these bodies: mistyped, most likely."""
    left = dict(zip(rules.ignore, rules.paths, strict=True))
    for body in bodies if left else ():
        decoded = read_body(body)
        if decoded is not None:
            left = {said: path for said, path in left.items() if not any(_reached(decoded, path, exact=rules.exact))}
    return list(left)


def read_body(body: bytes) -> JSONObject | None:
    """Return a body that is a JSON object; None where it is anything else, one key given twice included."""
    try:
        decoded = json.decode_strict(body)
    except json.JSONError:
        return None
    return decoded if isinstance(decoded, dict) else None


def is_api(uri: str) -> bool:
    """Tell whether a request goes to the API, and not to something that a tool talks to."""
    return _resource(urlsplit(uri).path) is not None


def request_place(uri: str) -> list[JSON]:
    """Return what counts of a URI: of an API's the resource, else host, path, and the query without secrets."""
    parts = urlsplit(uri)
    resource = _resource(parts.path)
    if resource is not None:
        return ["", resource, []]
    host = "" if parts.hostname in _LOCAL else parts.netloc.rpartition("@")[2].lower()
    query = [[name, value] for name, value in parse_qsl(parts.query, keep_blank_values=True)]
    return [host, parts.path, sorted(pair for pair in query if not is_secret_parameter(pair[0]))]  # type: ignore[list-item]


def _resource(path: str) -> str | None:
    """Return what follows the base URL in an API's path, as `/responses` or `/models/m`; None for other paths."""
    steps = path.rstrip("/").split("/")
    place = next((i for i in range(len(steps) - 1, max(len(steps) - 4, -1), -1) if steps[i] in _API), None)
    return None if place is None else "/" + "/".join(steps[place:])


def _grown(after: RequestState, growth: _Growth, tail: bytes, body: bytes | None) -> RequestState | None:
    # `tail` is taken only if all of it is ",item,item]}". The list that it is wrapped into here is nested as deep
    # as the body's own, so that what is too deep there is too deep here.
    if not (tail.startswith(b",") and tail.endswith(b"]}")):
        return None
    added = read_body(b'{"":[' + tail[1:])
    items = added.get("") if added is not None and len(added) == 1 else None
    if not isinstance(items, list) or not items:
        return None
    hashed, ids = growth.hashed.copy(), growth.ids.copy()
    for index, item in enumerate(items, after.items):
        hashed.update(growth.rules.encode(growth.rules.comparable_item(index, item, ids)) + b"\n")
    return RequestState(
        hashed.hexdigest()[:32], after.items + len(items), _Growth(growth.rules, growth.place, hashed, ids, body)
    )


def _left_out_by_default(body: JSONObject) -> Iterator[NotCounted]:
    for name, why in DROPPED.items():
        if name in body:
            yield NotCounted(name, body[name], why)
    asked = body.get("input")
    ids = Ids()
    for index, item in enumerate(asked if isinstance(asked, list) else ()):
        if not isinstance(item, dict):
            continue
        if "status" in item:
            yield NotCounted(f"input[{index}].status", item["status"], "how far the server got")
        numbered = ids.number(item)
        for name in ID_FIELDS:
            if name in numbered and str(item[name]) in ids.numbers:
                yield NotCounted(f"input[{index}].{name}", item[name], "an id, counts by order of appearance")


def _reached(body: JSONObject, path: Path, *, exact: bool) -> Iterator[tuple[Path, JSON]]:
    shaped: JSONObject = body if exact else shape_body(body)
    if not exact and isinstance(asked := shaped.get("input"), list):
        shaped = {**shaped, "input": [shape_item(item) for item in asked]}  # type: ignore[misc]
    yield from _walk(shaped, path, ())


def _walk(value: object, path: Path, place: Path) -> Iterator[tuple[Path, JSON]]:
    if isinstance(value, Embedded):
        value = value.value
    if not path:
        yield place, closed(value)
    elif isinstance(value, dict) and path[0] in value:
        yield from _walk(value[path[0]], path[1:], (*place, path[0]))
    elif isinstance(value, list):
        for index, member in enumerate(value):
            if path[0] is None or path[0] == index:
                yield from _walk(member, path[1:], (*place, index))


_encode_sorted = JSONEncoder(sort_keys=True, separators=(",", ":")).encode
_encode_in_order = JSONEncoder(separators=(",", ":")).encode

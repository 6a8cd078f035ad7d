"""Cassettes of stock vcrpy as recordings: of its YAML and its JSON serializer, and what is laid out alike.

Read are also pydantic-ai's `parsed_body`, httpx's old `content` and `status_code`, langchain's lists of requests and
responses, and the YAML of the VCRs for Ruby, R and Go. Bodies are stored decoded; the headers that told how they
were packed are left out.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import importlib
import json as stdlib
import re
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from agentkit import json
from agentkit.cassettes.format.document import Spot, WrongError, yaml
from agentkit.cassettes.interaction import Body, Interaction, Recording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agentkit.json import JSON

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PACKING = frozenset(["content-encoding", "content-length", "transfer-encoding"])
_MOST = 5_000_000
"""Values of a `parsed_body`, counted again wherever an alias repeats them."""
_DIGITS = re.compile(r"[1-9][0-9][0-9](?![0-9])")


class _Loader(_Base):  # type: ignore[misc]
    """Safe, and without timestamps; header names that some recorder tagged are texts."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own attribute
        first: [(tag, pattern) for tag, pattern in found if not tag.endswith(":timestamp")]
        for first, found in _Base.yaml_implicit_resolvers.items()
    }


def _tagged_name(_loader: Any, _suffix: str, node: yaml.Node) -> object:
    """Read `!!python/object/new:multidict._multidict.istr [Accept]` as the text that it wraps."""
    if isinstance(node, yaml.SequenceNode) and len(node.value) == 1 and isinstance(node.value[0], yaml.ScalarNode):
        return node.value[0].value
    raise yaml.constructor.ConstructorError(None, None, f"the tag {node.tag} isn't accepted", node.start_mark)


_Loader.add_constructor("!binary", _Loader.construct_yaml_binary)  # as Ruby writes it
for _tag in ("new", "apply"):
    _Loader.add_multi_constructor(f"tag:yaml.org,2002:python/object/{_tag}:multidict._multidict.istr", _tagged_name)


def load(text: str) -> Recording | None:
    """Return the recording that a foreign cassette holds; None for what isn't one. Raises `WrongError`."""
    document = _document(text)
    if not isinstance(document, dict | list):
        return None
    pairs = _pairs(Spot(document))
    if pairs is None:
        return None
    return Recording(interactions=linked([_interaction(request, response) for request, response in pairs]))


def convert(document: object) -> Recording:
    """Return the recording of the dict that vcrpy gives a serializer. Raises `WrongError`."""
    if isinstance(document, dict) and document.get("interactions") == []:
        return Recording()
    pairs = _pairs(Spot(document))
    if pairs is None:
        Spot(document).wrong("a mapping with interactions, each of a request and a response")
    return Recording(interactions=linked([_interaction(request, response) for request, response in pairs]))


def _document(text: str) -> object:
    if text.lstrip().startswith(("{", "[")):
        try:
            return cast("object", stdlib.loads(text))
        except (ValueError, RecursionError):
            return None
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.constructor.ConstructorError as exc:
        mark = exc.problem_mark
        raise WrongError(f"a foreign cassette with {exc.problem}", line=mark.line + 1 if mark else None) from None
    except (yaml.YAMLError, ValueError, RecursionError):
        return None


def _pairs(spot: Spot) -> list[tuple[Spot, Spot]] | None:
    """Return requests and responses side by side; None where there are none to be seen."""
    value = spot.value
    if isinstance(value, list):  # vcrpy before 1.0
        return _interactions(spot) if value and _is_pair(value[0]) else None
    if not isinstance(value, dict):
        return None
    for key in ("interactions", "http_interactions"):
        listed = value.get(key)
        if isinstance(listed, list) and (not listed or _is_pair(listed[0])):
            return _interactions(spot.member(key)) if listed or "version" not in value else None
    if isinstance(value.get("requests"), list) and isinstance(value.get("responses"), list):
        requests, responses = spot.member("requests").members("requests"), spot.member("responses").members("responses")
        if len(requests) != len(responses):
            spot.fail(f"found {len(requests)} requests and {len(responses)} responses; allowed is one for each")
        return list(zip(requests, responses, strict=True))
    return None


def _is_pair(value: object) -> bool:
    return isinstance(value, dict) and "request" in value and "response" in value and "turn" not in value


def _interactions(spot: Spot) -> list[tuple[Spot, Spot]]:
    found: list[tuple[Spot, Spot]] = []
    for each in spot.members("a list of interactions"):
        value = each.mapping("an interaction")
        for key in ("request", "response"):
            if key not in value:
                each.fail(f"found no {key}; allowed is an interaction of request and response")
        found.append((each.member("request"), each.member("response")))
    return found


def _interaction(request: Spot, response: Spot) -> Interaction:
    asked, answered = request.mapping("a request"), response.mapping("a response")
    body = _unpacked(_body(request, "body"), _headers(request.member("headers")), request)
    headers = _headers(response.member("headers"))
    answer = _unpacked(_body(response, "body" if "body" in answered else "content"), headers, response)
    uri = request.member("uri" if "uri" in asked else "url")
    return Interaction(
        method=request.member("method").text().upper(),
        uri=uri.uri(),
        body=Body(body),
        status=_status(response),
        headers=tuple((name, value) for name, value in headers if name not in _PACKING),
        chunks=(answer,) if answer else (),
    )


def _body(spot: Spot, key: str) -> bytes:
    """Return the bytes of a body, as they were sent, or as the recorder took them apart."""
    holder = cast("dict[str, object]", spot.value)
    if holder.get("parsed_body") is not None:
        return _spelled(spot.member("parsed_body"))
    body = spot.member(key)
    if isinstance(body.value, dict):
        for name in ("base64_string", "base64"):
            if isinstance(body.value.get(name), str):
                return _from_base64(body.member(name))
        body = body.member("string")
    match body.value:
        case None:
            return b""
        case bytes():
            return body.value
        case str():
            try:
                return body.value.encode()
            except UnicodeEncodeError:
                return body.value.encode("utf-8", "surrogatepass")
    return body.wrong("a body: a text, or bytes")


def _spelled(spot: Spot) -> bytes:
    """Return parsed JSON as bytes; the way it was spelled is lost."""
    if isinstance(spot.value, str):
        return spot.value.encode()
    left = _MOST
    level: list[object] = [spot.value]
    while level:
        left -= len(level)
        if left < 0:
            spot.fail(f"found more than {_MOST} values, aliases counted; allowed are fewer")
        level = [below for each in level if isinstance(each, dict | list) for below in _members(each)]
    try:
        return json.encode(spot.value)
    except json.JSONError as exc:
        spot.fail(str(exc))


def _members(value: dict[str, object] | list[object]) -> Iterator[object]:
    yield from value.values() if isinstance(value, dict) else value


def _from_base64(spot: Spot) -> bytes:
    try:
        return base64.b64decode(spot.text())
    except (binascii.Error, ValueError):
        spot.wrong("bytes in base64")


def _headers(spot: Spot) -> list[tuple[str, str]]:
    """Return headers as pairs, a value each, names in lower case."""
    match spot.value:
        case dict():
            named = [(str(name), values) for name, values in spot.value.items()]
        case list():
            named = [_pair(each) for each in spot.members("headers")]
        case _:
            named = []
    return [
        (name.lower(), value.decode("latin-1") if isinstance(value, bytes) else str(value))
        for name, values in named
        for value in (values if isinstance(values, list | tuple) else [values])
        if value is not None
    ]


def _pair(spot: Spot) -> tuple[str, object]:
    match spot.value:
        case {"name": str() as name, "value": value}:
            return name, value
        case [str() as name, value]:
            return name, value
    return spot.wrong("a header's name and value")


def _status(response: Spot) -> int | None:
    value = cast("dict[str, object]", response.value)
    for key in ("status_code", "code", "status"):
        found = value.get(key)
        if isinstance(found, dict):
            found = found.get("code", found.get("status_code"))
        if isinstance(found, str) and _DIGITS.match(found):
            found = int(found[:3])
        if type(found) is int:
            return Spot(found, (*response.path, key)).integer(100, 999)
    return response.member("status").wrong("the HTTP status: {code: 200, message: OK}")


def _unpacked(data: bytes, headers: list[tuple[str, str]], spot: Spot) -> bytes:
    """Return a body with its content encodings undone; many recorders undid them and kept the header."""
    encodings = [each.strip() for name, value in headers if name == "content-encoding" for each in value.split(",")]
    for encoding in reversed(encodings):
        match encoding.lower():
            case "gzip" | "x-gzip":
                data = _gunzipped(data)
            case "deflate":
                data = _deflated(data)
            case "br":
                data = _by_module("brotli", lambda module, data: cast("bytes", module.decompress(data)), data, spot)
            case "zstd":
                data = _by_module("zstandard", _unzstd, data, spot)
    return data


def _inflated(data: bytes, *windows: int) -> bytes:
    for window in windows:
        try:
            return zlib.decompress(data, window)
        except zlib.error:
            continue
    return data


def _gunzipped(data: bytes) -> bytes:
    return _inflated(data, 31) if data[:2] == b"\x1f\x8b" else data


def _deflated(data: bytes) -> bytes:
    return data if data[:1] in (b"{", b"[") else _inflated(data, 15, -15)


def _by_module(name: str, unpack: Callable[[Any, bytes], bytes], data: bytes, spot: Spot) -> bytes:
    """Return a body unpacked by a module that may not be installed; what is text was unpacked before."""
    if _is_text(data):
        return data
    try:
        module = importlib.import_module(name)
    except ImportError:
        spot.fail(f"a body that only the package {name} can unpack. Install it, or convert the file where it is")
    try:
        return unpack(module, data)
    except Exception:  # noqa: BLE001 - errors of the module's own; the data is no such packing
        return data


def _unzstd(module: Any, data: bytes) -> bytes:
    return cast("bytes", module.ZstdDecompressor().decompressobj().decompress(data))


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def linked(interactions: list[Interaction]) -> tuple[Interaction, ...]:
    """Return interactions with the earlier ones that they go on with: those whose input theirs begins with."""
    ends: dict[bytes, int] = {}
    found: list[Interaction] = []
    for index, interaction in enumerate(interactions):
        steps = _steps(interaction)
        parent = next((ends[step] for step in reversed(steps) if step in ends), None)
        found.append(interaction if parent is None else replace(interaction, parent=parent))
        if steps:
            ends[steps[-1]] = index
    return tuple(found)


def _steps(interaction: Interaction) -> list[bytes]:
    """Return a digest of the request up to each of its items."""
    try:
        body = json.decode(bytes(interaction.body))
        items: JSON = body.get("input") if isinstance(body, dict) else None
        if not isinstance(items, list):
            return []
        running = hashlib.sha256(f"{interaction.method} {interaction.uri}".encode())
        steps: list[bytes] = []
        for item in items:
            running.update(json.encode(item) + b"\0")
            steps.append(running.digest())
    except json.JSONError:
        return []
    return steps

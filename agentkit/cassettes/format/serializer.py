"""Our files and our matching for vcrpy by itself: a configured `vcr.VCR`.

    recorder = agentkit.cassettes.vcr()
    with recorder.use_cassette("weather.yaml"): ...

What vcrpy's own dict has no place for travels in it under the key "agentkit": an interaction read from a file and
saved again keeps its chunks, times, error and lane.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from agentkit.cassettes.cleaning.hiding import kept_headers
from agentkit.cassettes.format import form, ids, stock
from agentkit.cassettes.format.document import WrongError
from agentkit.cassettes.interaction import Failure, Head, Interaction, Recording, ToolResult
from agentkit.cassettes.matching.rules import Rules
from agentkit.errors import CassetteError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vcr import VCR
    from vcr.request import Request as VCRRequest

_KEY = "agentkit"


class Serializer:
    """Turns the dict of a vcrpy cassette into the text of ours, and back."""

    def __init__(self, name: str = "the cassette", *, normalised: bool = False) -> None:
        """Make a serializer. `name` is what errors call the file; `normalised`: ids are numbered at each save."""
        self._name = name
        self._normalised = normalised

    def serialize(self, cassette_dict: Mapping[str, Any]) -> str:
        """Return the text of a cassette file."""
        try:
            recording = to_recording(cassette_dict)
        except WrongError as exc:
            raise CassetteError(f"{self._name}: {exc.said}. Record it anew with vcrpy 9.4 or later.") from None
        return form.dump(ids.normalise(recording) if self._normalised else recording)

    def deserialize(self, cassette_string: str) -> dict[str, Any]:
        """Return the dict that vcrpy works with. Raises `CassetteError`."""
        return to_dict(form.load(cassette_string, name=self._name))


def vcr(**options: object) -> VCR:
    """Return a `vcr.VCR` that reads and writes our files, matches requests as we do, and keeps no secret headers.

    `options` are those of `vcr.VCR`. A serializer belongs to the instance that it is registered on, hence this.
    """
    from vcr import VCR

    given = {"serializer": _KEY, "match_on": [_KEY], "before_record_response": _without_headers, **options}
    recorder = VCR(**given)
    recorder.register_serializer(_KEY, Serializer(normalised=True))
    recorder.register_matcher(_KEY, _match)
    return recorder


def _match(one: VCRRequest, other: VCRRequest) -> None:
    """Hold two of vcrpy's requests to be the same where their keys are, as vcrpy wants it: by an assertion."""
    rules = Rules()
    keys = [rules.state(each.method, each.uri, _body_bytes(each)).key for each in (one, other)]
    if keys[0] != keys[1]:
        raise AssertionError(f"{one.uri}: the body differs in what counts")


def _body_bytes(request: VCRRequest) -> bytes:
    body = request.body_bytes
    return body if isinstance(body, bytes) else str(body or "").encode()


def _without_headers(response: dict[str, Any]) -> dict[str, Any]:
    listed = [(name, value) for name, values in response["headers"].items() for value in values]
    kept: dict[str, list[str]] = {}
    for name, value in kept_headers(listed):
        kept.setdefault(name, []).append(value)
    return {**response, "headers": kept}


def to_dict(recording: Recording) -> dict[str, Any]:
    """Return a recording as vcrpy's dict."""
    found: dict[str, Any] = {"version": 1, "interactions": [_interaction_dict(each) for each in recording]}
    head = {key: value for key, value in asdict(recording.head).items() if value or (value == 0 and key == "seed")}
    if head:
        found["metadata"] = {_KEY: head}
    return found


def to_recording(document: Mapping[str, Any]) -> Recording:
    """Return the recording of vcrpy's dict. Raises `WrongError`."""
    plain = stock.convert(document)
    kept = (document.get("metadata") or {}).get(_KEY)
    extras = [each["response"].get(_KEY) or {} for each in document["interactions"]]
    found = tuple(_restored(one, extra, index) for index, (one, extra) in enumerate(zip(plain, extras, strict=True)))
    return Recording(Head(**kept) if kept else Head(), found)


def _interaction_dict(interaction: Interaction) -> dict[str, Any]:
    headers: dict[str, list[str]] = {}
    for name, value in interaction.headers:
        headers.setdefault(name, []).append(value)
    return {
        "request": {
            "method": interaction.method,
            "uri": interaction.uri,
            "body": _as_text(bytes(interaction.body)),
            "headers": {},
        },
        "response": {
            "status": _status_dict(interaction),
            "headers": headers,
            "body": {"string": interaction.answer},
            _KEY: _extra(interaction),
        },
    }


def _status_dict(interaction: Interaction) -> dict[str, Any]:
    """Return the status; where no answer began, one that says so: vcrpy plays answers only, never an error."""
    if interaction.status is not None:
        return {"code": interaction.status, "message": ""}
    return {"code": 502, "message": interaction.failure.kind if interaction.failure else "no answer"}


def _as_text(data: bytes) -> str | bytes:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def _extra(interaction: Interaction) -> dict[str, Any]:
    """Return what vcrpy has no place for; bytes as base64, since any serializer may be given it."""
    failure = interaction.failure
    return {
        "status": interaction.status,
        "headers": [list(pair) for pair in interaction.headers],
        "chunks": [len(chunk) for chunk in interaction.chunks],
        "at_ms": list(interaction.at_ms),
        "error": None if failure is None else asdict(failure),
        "parent": interaction.parent,
        "lane": interaction.lane,
        "tool_results": [asdict(result) for result in interaction.tool_results],
    }


def _restored(plain: Interaction, extra: dict[str, Any], index: int) -> Interaction:
    """Return an interaction with what came with it under our key; one that vcrpy recorded itself has nothing there."""
    if not extra:
        return plain
    answer, chunks, place = plain.answer, [], 0
    for size in extra["chunks"]:
        chunks.append(answer[place : place + size])
        place += size
    parent = extra["parent"]
    return replace(
        plain,
        status=extra["status"],
        headers=tuple((name, value) for name, value in extra["headers"]),
        chunks=tuple(chunks),
        at_ms=tuple(extra["at_ms"]),
        failure=None if extra["error"] is None else Failure(**extra["error"]),
        parent=parent if parent is not None and parent < index else None,
        lane=extra["lane"],
        tool_results=tuple(ToolResult(**each) for each in extra["tool_results"]),
    )

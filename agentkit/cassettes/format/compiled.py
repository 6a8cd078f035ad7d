"""The compiled copy of a cassette: the same recording, opened in milliseconds and read one interaction at a time.

YAML takes a second for 5 MB. The copy is beside the cassette, in an ignored folder, under the digest of the file that
it was made of; it holds nothing that the file doesn't. Whatever is wrong with it, it is as if it weren't there.

    16 bytes    what this is, and the version
    32 bytes    SHA-256 of all that follows
     8 bytes    length of the index
    index       JSON: head, keys, parents, lanes, rules, bodies and records, each with its place
    records     the bytes of bodies, and a line of JSON and the chunks for each answer
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from dataclasses import asdict
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentkit.cassettes.interaction import Body, Failure, Head, Interaction, Recording, ToolResult

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = ".agentkit"
_MAGIC = b"agentkit tape 1\n"
_START = len(_MAGIC) + 32 + 8


class Compiled:
    """A recording whose interactions are read when they are asked for."""

    def __init__(self, data: bytes, index: dict[str, Any], start: int) -> None:
        self._data = memoryview(data)
        self._bodies: list[list[int]] = index["bodies"]
        self._records: list[list[int]] = index["records"]
        self._start = start
        self._made: dict[int, Body] = {}
        self.head = Head(**index["head"])
        self.keys: tuple[str, ...] = tuple(index["keys"])
        """The keys that `write` was given."""
        self.rules: str = index["rules"]
        """The rules that the keys were made by."""
        self.parents: tuple[int | None, ...] = tuple(index["parents"])
        """For each interaction, the one that it goes on with."""
        self.lanes: tuple[str, ...] = tuple(index["lanes"])

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[Interaction]:
        return map(self.interaction, range(len(self)))

    def recording(self) -> Recording:
        """Return all of it."""
        return Recording(self.head, tuple(self))

    def interaction(self, index: int) -> Interaction:
        """Return one interaction; of the others, only the bodies that its own goes on from are touched."""
        start, end, chunks_end = self._records[index]
        record = json.loads(self._bytes(start, end))
        answer = self._bytes(end, chunks_end)
        places = list(accumulate(record["chunks"], initial=0))
        failure, results = record["failure"], record["tool_results"]
        return Interaction(
            method=record["method"],
            uri=record["uri"],
            body=self.body(index),
            status=record["status"],
            headers=tuple((name, value) for name, value in record["headers"]),
            chunks=tuple(answer[place:after] for place, after in pairwise(places)),
            failure=None if failure is None else Failure(**failure),
            parent=self.parents[index],
            lane=self.lanes[index],
            at_ms=tuple(record["at_ms"]),
            tool_results=tuple(ToolResult(**result) for result in results),
        )

    def body(self, index: int) -> Body:
        """Return the body of an interaction's request."""
        missing: list[int] = []
        at = index
        while at >= 0 and at not in self._made:
            missing.append(at)
            at = self._bodies[at][0]
        for each in reversed(missing):
            parent, kept, start, end = self._bodies[each]
            self._made[each] = Body(self._bytes(start, end), self._made.get(parent), kept)
        return self._made[index]

    def _bytes(self, start: int, end: int) -> bytes:
        return bytes(self._data[self._start + start : self._start + end])


def place_of(cassette: Path, digest: str) -> Path:
    """Return where the copy of a cassette file with this digest is kept."""
    return cassette.parent / FOLDER / f"{cassette.name}.{digest[:32]}"


def read(cassette: Path, digest: str) -> Compiled | None:
    """Return the copy that was made of the file with this digest; None where there is none, or it is damaged."""
    try:
        data = place_of(cassette, digest).read_bytes()
        given, rest = data[len(_MAGIC) : len(_MAGIC) + 32], memoryview(data)[len(_MAGIC) + 32 :]
        if not data.startswith(_MAGIC) or hashlib.sha256(rest).digest() != given:
            return None
        size = int.from_bytes(data[_START - 8 : _START], "big")
        index = json.loads(data[_START : _START + size])
        return Compiled(data, index, _START + size) if index["digest"] == digest else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write(cassette: Path, digest: str, recording: Recording, keys: list[str], rules: str) -> None:
    """Keep a copy of a cassette file, in place of those made of earlier contents; silently none where that fails."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        place = place_of(cassette, digest)
        data = _encoded(digest, recording, keys, rules)
        _make_folder(place.parent)
        _write_whole(place, data)
        for other in place.parent.glob(f"{_escaped(cassette.name)}.{'[0-9a-f]' * 32}"):
            if other != place:
                other.unlink(missing_ok=True)


def _escaped(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _make_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        _write_whole(ignore, b"*\n")


def _write_whole(place: Path, data: bytes) -> None:
    """Write a file that is there whole or not at all; it is its owner's alone."""
    handle, name = tempfile.mkstemp(dir=place.parent, prefix=".writing-")  # made with mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(name).replace(place)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def _encoded(digest: str, recording: Recording, keys: list[str], rules: str) -> bytes:
    if len(keys) != len(recording):
        raise ValueError(f"{len(keys)} keys for {len(recording)} interactions")
    pieces: list[bytes] = []
    bodies = _add_bodies(recording, pieces)
    records = _add_records(recording, pieces)
    index = json.dumps(
        {
            "digest": digest,
            "head": asdict(recording.head),
            "keys": keys,
            "rules": rules,
            "parents": [each.parent for each in recording],
            "lanes": [each.lane for each in recording],
            "bodies": bodies,
            "records": records,
        },
        separators=(",", ":"),
    ).encode()
    rest = b"".join((len(index).to_bytes(8, "big"), index, *pieces))
    return _MAGIC + hashlib.sha256(rest).digest() + rest


def _add_bodies(recording: Recording, pieces: list[bytes]) -> list[list[int]]:
    """Add what each body adds to its parent; return parent, what is kept of it, start and end of each."""
    known: dict[int, int] = {}
    found: list[list[int]] = []
    place = 0
    for index, interaction in enumerate(recording):
        body = interaction.body
        parent = -1 if body.parent is None else known.get(id(body.parent), -1)
        tail, kept = (bytes(body), 0) if parent < 0 else (body.tail, body.kept)
        pieces.append(tail)
        found.append([parent, kept, place, place + len(tail)])
        place += len(tail)
        known.setdefault(id(body), index)
    return found


def _add_records(recording: Recording, pieces: list[bytes]) -> list[list[int]]:
    """Add a line and the chunks of each answer; return the start of the line, its end, and the end of the chunks."""
    found: list[list[int]] = []
    place = sum(map(len, pieces))
    for interaction in recording:
        line = json.dumps(_record(interaction), separators=(",", ":")).encode()
        answer = interaction.answer
        pieces += (line, answer)
        found.append([place, place + len(line), place + len(line) + len(answer)])
        place += len(line) + len(answer)
    return found


def _record(interaction: Interaction) -> dict[str, object]:
    failure = interaction.failure
    return {
        "method": interaction.method,
        "uri": interaction.uri,
        "status": interaction.status,
        "headers": interaction.headers,
        "chunks": [len(chunk) for chunk in interaction.chunks],
        "failure": None if failure is None else asdict(failure),
        "at_ms": interaction.at_ms,
        "tool_results": [asdict(result) for result in interaction.tool_results],
    }

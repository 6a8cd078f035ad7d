"""What keeps paid tokens: a journal of exchanges as they end, held open by the one writer of a cassette.

A journal is a text file next to its cassette, a JSON object a line: one for each exchange, a later one with what its
calls gave, and one with what the head will say. It holds cleaned text only. A line torn by
a crash is the last one, and is left out.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import os
import sys
from typing import TYPE_CHECKING, BinaryIO, cast

from agentkit.cassettes.files import write_text
from agentkit.cassettes.interaction import Body, Failure, Head, Interaction, Recording, ToolResult
from agentkit.errors import CassetteError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from agentkit.cassettes.files import CassetteFile
    from agentkit.entries import Outcome

JOURNAL_VERSION = 1


class Journal:
    """The journal of a recording under way. Holding it open makes its owner the cassette's one writer."""

    def __init__(self, file: CassetteFile) -> None:
        """Open the journal of a cassette, and read what a killed recording left there.

        Raises `CassetteError` where another process, thread or task records to the same cassette.
        """
        self.path = file.journal
        self._file: BinaryIO | None = self._open(file.path)
        data = self._file.read()
        self._mend_end(data)
        self.recovered = parse_journal(data, name=str(self.path))
        self._offset = 1 + max(_numbers(data), default=-1)
        self._holds_any = self._offset > 0

    def _open(self, path: Path) -> BinaryIO:
        while True:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                handle = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
            except OSError as exc:
                raise CassetteError(f"{self.path}: can't be written: {exc.strerror or exc}. Check the folder.") from exc
            file = os.fdopen(handle, "r+b")
            try:
                _lock(file)
            except OSError:
                file.close()
                raise CassetteError(
                    f"{path} is being recorded by another process, thread or test. One cassette has one writer: "
                    "give each its own file, or run them one after the other."
                ) from None
            if os.fstat(file.fileno()).st_nlink:
                return file
            file.close()  # the writer before removed it between our opening and our locking

    def _mend_end(self, data: bytes) -> None:
        """End the last line, which a crash may have torn, or take it away where it has."""
        file, begun = cast("BinaryIO", self._file), data.rfind(b"\n") + 1
        if begun == len(data):
            return
        try:
            json.loads(data[begun:])
        except ValueError:
            file.truncate(begun)
        else:
            file.seek(0, os.SEEK_END)
            file.write(b"\n")

    def note_head(self, head: Head) -> None:
        """Write down who is asked, and the moment and the seed that the recording goes by."""
        self._append(_head_line(head))

    def append(self, number: int, interaction: Interaction, parent: int | None) -> None:
        """Write down an exchange that has ended, before anything is done with its answer."""
        self._holds_any = True
        before = None if parent is None else self._offset + parent
        self._append({"n": self._offset + number, **_encode(interaction, before)})

    def append_results(self, number: int, results: Sequence[ToolResult]) -> None:
        """Write down what the calls of an answer gave, before the model is told."""
        self._append({"n": self._offset + number, "results": _encode_results(results)})

    def _append(self, line: Mapping[str, object]) -> None:
        file = cast("BinaryIO", self._file)
        try:
            file.seek(0, os.SEEK_END)
            file.write(_line(line).encode())
            file.flush()
            os.fsync(file.fileno())
        except OSError as exc:
            raise CassetteError(f"{self.path}: can't be written: {exc.strerror or exc}. Free some space.") from exc

    def close(self, *, keep: bool) -> None:
        """Let another writer in. `keep=False`: what it holds is safe elsewhere."""
        file, self._file = self._file, None
        if file is None:
            return
        if not keep or not self._holds_any:
            with contextlib.suppress(OSError):
                self.path.unlink()  # while the lock is held: nobody else has written to it
        with contextlib.suppress(OSError):  # what could not be written was told when that was tried
            file.close()

    @property
    def is_held(self) -> bool:
        """Whether it hasn't been let go of."""
        return self._file is not None

    def read(self) -> Recording:
        """Return what it holds by now. Raises `CassetteError`."""
        file = cast("BinaryIO", self._file)
        file.seek(0)
        return parse_journal(file.read(), name=str(self.path))

    def leave(self, recording: Recording) -> None:
        """Let another writer in, and leave these exchanges of those that a killed recording had left."""
        if not recording.interactions:
            self.close(keep=False)
            return
        head = recording.head
        lines = [_head_line(head), *({"n": n, **_encode(made, made.parent)} for n, made in enumerate(recording))]
        try:
            write_text(self.path, "".join(_line(line) for line in lines))
        except OSError as exc:
            raise CassetteError(f"{self.path}: can't be written: {exc.strerror or exc}. Free some space.") from exc
        finally:
            self.close(keep=True)


def read_journal(path: Path) -> Recording:
    """Return what a journal holds. Raises `CassetteError`."""
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise CassetteError(f"{path}: can't be read: {exc.strerror or exc}.") from exc
    return parse_journal(data, name=str(path))


def parse_journal(data: bytes, *, name: str) -> Recording:
    """Return the exchanges of a journal, in the order of their requests. Raises `CassetteError` for other text."""
    head = Head()
    found: dict[int, dict[str, object]] = {}
    lines = data.split(b"\n")
    for place, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
            if "journal" in value:
                head = _read_head(value, name)
            else:
                found.setdefault(int(value["n"]), {}).update(value)
        except (ValueError, KeyError, TypeError) as exc:
            if place == len(lines):
                break  # torn by a crash
            raise CassetteError(
                f"{name}, line {place}: this is no line of a journal. Remove the file, or put it right by hand."
            ) from exc
    try:
        return Recording(head, tuple(_decode_all(found)))
    except (KeyError, TypeError, ValueError, binascii.Error) as exc:
        raise CassetteError(f"{name}: a line lacks something ({exc}). Remove the file, or put it right.") from exc


def _line(value: Mapping[str, object]) -> str:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")) + "\n"


def _head_line(head: Head) -> dict[str, object]:
    return {"journal": JOURNAL_VERSION, "server": head.server, "now": head.now, "seed": head.seed}


def _numbers(data: bytes) -> Iterator[int]:
    for line in data.splitlines():
        with contextlib.suppress(ValueError, KeyError, TypeError):
            yield int(json.loads(line)["n"])


def _read_head(value: Mapping[str, object], name: str) -> Head:
    version = value["journal"]
    if version != JOURNAL_VERSION:
        raise CassetteError(f"{name} is of version {version!r}; this agentkit reads version {JOURNAL_VERSION}.")
    seed = value.get("seed")
    return Head(
        server=str(value.get("server") or ""),
        now=str(value.get("now") or ""),
        seed=seed if isinstance(seed, int) else None,
    )


def _encode(interaction: Interaction, parent: int | None) -> dict[str, object]:
    body, failure = interaction.body, interaction.failure
    kept = body.kept if parent is not None else 0
    return {
        "method": interaction.method,
        "uri": interaction.uri,
        "parent": parent,
        "kept": kept,
        "tail": _pack(body.tail if kept else bytes(body)),
        "status": interaction.status,
        "headers": interaction.headers,
        "chunks": [_pack(chunk) for chunk in interaction.chunks],
        "failure": None if failure is None else [failure.kind, failure.message, failure.retry],
        "lane": interaction.lane,
        "at_ms": interaction.at_ms,
        "results": _encode_results(interaction.tool_results),
    }


def _encode_results(results: Sequence[ToolResult]) -> list[list[str | None]]:
    return [[result.call_id, result.output, result.outcome, result.full] for result in results]


def _decode_all(found: Mapping[int, dict[str, object]]) -> list[Interaction]:
    made: list[Interaction] = []
    indices: dict[int, int] = {}
    for number in sorted(found):
        value = found[number]
        parent = indices.get(cast("int", value["parent"])) if value["parent"] is not None else None
        made.append(_decode(value, parent, made))
        indices[number] = len(made) - 1
    return made


def _decode(value: dict[str, object], parent: int | None, made: list[Interaction]) -> Interaction:
    kept, tail = cast("int", value["kept"]), _unpack(value["tail"])
    if kept and parent is None:
        raise ValueError("a request goes on with one that isn't there")
    failure = cast("list[str] | None", value["failure"])
    return Interaction(
        method=str(value["method"]),
        uri=str(value["uri"]),
        body=Body(tail, made[parent].body, kept) if kept and parent is not None else Body(tail),
        status=cast("int | None", value["status"]),
        headers=tuple((str(name), str(text)) for name, text in cast("list[list[str]]", value["headers"])),
        chunks=tuple(_unpack(chunk) for chunk in cast("list[object]", value["chunks"])),
        failure=None if failure is None else Failure(*failure),
        parent=parent,
        lane=str(value["lane"]),
        at_ms=tuple(cast("list[int]", value["at_ms"])),
        tool_results=tuple(
            ToolResult(str(r[0]), str(r[1]), cast("Outcome", r[2]), None if r[3] is None else str(r[3]))
            for r in cast("list[list[object]]", value["results"])
        ),
    )


def _pack(data: bytes) -> object:
    """Return bytes as text, where they are, or as base64."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def _unpack(value: object) -> bytes:
    if isinstance(value, str):
        return value.encode()
    return base64.b64decode(cast("dict[str, str]", value)["base64"], validate=True)


if sys.platform == "win32":
    import msvcrt

    def _lock(file: BinaryIO) -> None:
        """Take the file for this writer, or raise `OSError`. It ends with the process."""
        file.seek(2**30)  # beyond what is read
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        file.seek(0)

else:
    import fcntl

    def _lock(file: BinaryIO) -> None:
        """Take the file for this writer, or raise `OSError`. It ends with the process."""
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

"""Conversations in files: read to continue from, written whole or not at all, for the owner's eyes only."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from agentkit.errors import TranscriptError, UsageError
from agentkit.saved import FORMAT
from agentkit.transcript import Transcript


def read_transcript(path: Path, *, asked: str = "--continue") -> Transcript:
    """Return the conversation that `--save` wrote; errors begin with what asked for it."""
    try:
        return _decoded(path.read_bytes(), f"{asked} {path}")
    except FileNotFoundError:
        raise UsageError(f"{asked} {path}: there is no such file. Give one that --save wrote.") from None
    except OSError as exc:
        raise UsageError(f"{asked} {path}: {exc.strerror or exc}. Give a file that --save wrote.") from exc
    except TranscriptError as exc:
        raise TranscriptError(f"{asked} {path}: {exc}") from exc


def _decoded(data: bytes, place: str) -> Transcript:
    if not data.strip():
        raise UsageError(f"{place}: the file is empty. Give one that --save wrote.")
    if data.lstrip().startswith(b"["):
        raise TranscriptError(
            "not a transcript, but a JSON list. If it holds items, make it one: "
            "Transcript.from_items(json.loads(text)).to_json()"
        )
    return Transcript.from_json(data)


def check_writable(path: Path, *, asked: str = "--save") -> None:
    """Refuse a place that can't be written to, before a run is paid for that couldn't be kept."""
    target = path.resolve()
    if (target.exists() and not target.is_file()) or path.is_relative_to("/dev"):
        raise UsageError(f"{asked} {path}: that is no file. Give the name of a file.")
    if target.is_file() and not _may_be_replaced(target):
        raise UsageError(f"{asked} {path}: the file is there, and holds something else. Give another name.")
    if not target.parent.is_dir():
        raise UsageError(f"{asked} {path}: there is no folder {str(path.parent)!r}. Make it first.")
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise UsageError(f"{asked} {path}: the folder can't be written to. Give another place.")


def _may_be_replaced(target: Path) -> bool:
    """Tell whether a file is empty or a conversation; `--save agent.py` is a slip of the hand."""
    try:
        with target.open("rb") as file:
            head = file.read(64)
    except OSError:
        return False
    return not head.strip() or FORMAT.encode() in head


def write_transcript(path: Path, transcript: Transcript) -> None:
    """Write a conversation, mode 0600, under its name only once it is whole. Raises OSError."""
    target = path.resolve()  # a link stays a link
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")  # mkstemp makes it 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(transcript.to_json().encode())
            file.write(b"\n")
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise

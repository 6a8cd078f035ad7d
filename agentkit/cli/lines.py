"""Where a chat's lines come from: an editor with history and completion, or plain stdin where nobody edits."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from agentkit.cli.terminal import harmless
from agentkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from agentkit.cli.terminal import Stream

PROMPT: Final = "> "
CONTINUED: Final = "  "
MOST_REMEMBERED: Final = 1000
"""Entries that the history keeps."""


class Lines(Protocol):
    """Gives what the user says, one entry after another."""

    interactive: bool
    """Whether somebody is there, to read hints."""

    def read(self, draft: str = "") -> str:
        """Return the next entry, to be edited from `draft`.

        Raises EOFError at the end, KeyboardInterrupt for Ctrl-C, UsageError for what is no text.
        """


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One way to go on with what has been typed."""

    text: str
    replaces: int = 0
    """How many characters before the cursor it stands for."""
    note: str = ""
    """What it is."""


Suggest: TypeAlias = "Callable[[str], Iterable[Suggestion]]"
"""From what stands before the cursor to ways to go on."""


class PlainLines:
    """Lines of stdin, a backslash at the end joining two. In a pipe they are shown, so that a log can be read."""

    def __init__(self, notes: Stream) -> None:
        self.interactive = sys.stdin.isatty()
        self._notes = notes

    def read(self, draft: str = "") -> str:  # noqa: ARG002
        """Return the next line; a draft can't be edited here, and is left out."""
        text, prompt = "", PROMPT
        while True:
            line = self._read_line(prompt)
            if not line and not text:
                raise EOFError
            text += line.rstrip("\r\n")
            if not line or not text.endswith("\\"):
                return text
            text, prompt = text[:-1] + "\n", CONTINUED

    def _read_line(self, prompt: str) -> str:
        notes = self._notes
        notes.break_line()
        if self.interactive:
            notes.write(prompt)
        line = sys.stdin.buffer.readline()
        if self.interactive and line.endswith(b"\n"):
            notes.at_start = True  # the terminal has shown the line, and its end
        try:
            text = line.decode()
        except UnicodeDecodeError as exc:
            raise UsageError(f"a line of stdin isn't UTF-8 (byte {exc.start}). Convert it first.") from exc
        if text and not self.interactive:
            notes.line(f"{prompt}{harmless(text)}".rstrip("\n"), "dim")
        return text


def open_lines(notes: Stream, environ: Mapping[str, str], suggest: Suggest) -> Lines:
    """Return an editor where there is a terminal for one, and plain lines elsewhere."""
    if not (sys.stdin.isatty() and notes.is_terminal) or environ.get("TERM", "") in ("", "dumb", "unknown"):
        return PlainLines(notes)
    from agentkit.cli.editor import EditedLines

    return EditedLines(notes, History(history_path(environ)), suggest)


def history_path(environ: Mapping[str, str]) -> Path | None:
    """Return where entries are remembered; None where there is no such place."""
    with contextlib.suppress(RuntimeError):  # nobody's home
        if os.name == "nt" and environ.get("LOCALAPPDATA"):
            return Path(environ["LOCALAPPDATA"], "agentkit", "chat_history")
        state = environ.get("XDG_STATE_HOME", "")
        # "All paths set in these environment variables must be absolute." (XDG base directories)
        base = Path(state) if Path(state).is_absolute() else Path.home() / ".local" / "state"
        return base / "agentkit" / "chat_history"
    return None


class History:
    """Entries of earlier chats, a JSON string on each line, for the owner's eyes only.

    Chats that run side by side append to the same file. What can't be read or written is no reason to stop.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def load(self) -> list[str]:
        """Return what was said, oldest first; a file grown too long is cut."""
        if self._path is None:
            return []
        try:
            lines = self._path.read_bytes().splitlines()
        except OSError:
            return []
        if len(lines) > 2 * MOST_REMEMBERED:
            with contextlib.suppress(OSError):
                self._rewrite(lines[-MOST_REMEMBERED:])
        return [entry for line in lines[-MOST_REMEMBERED:] if (entry := _decoded(line)) is not None]

    def add(self, entry: str) -> None:
        """Remember an entry."""
        if self._path is None:
            return
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            with os.fdopen(handle, "ab") as file:
                file.write(json.dumps(entry).encode() + b"\n")

    def _rewrite(self, lines: list[bytes]) -> None:
        path = Path(str(self._path))
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mkstemp makes it 0600
        with os.fdopen(handle, "wb") as file:
            file.write(b"\n".join(lines) + b"\n")
        Path(temporary).replace(path)


def _decoded(line: bytes) -> str | None:
    try:
        entry = json.loads(line)
    except ValueError:  # half a line, of a full disk
        return None
    return entry if isinstance(entry, str) else None

"""What reaches the terminal: text made harmless, cut to fit, coloured only where that is wanted.

This is the one place that stands between a model's or a tool's text and the terminal: `harmless` for text,
`harmless_json` for JSON, `one_line` for what must stay on a line.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import textwrap
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TextIO, cast

from rich.cells import cell_len, set_cell_size
from rich.color import ColorSystem
from rich.style import Style

from agentkit.service.hidden import HIDDEN, escaped

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_CONTROLS = "\x00-\x08\x0b\x0c\x0e-\x1f"  # ESC begins sequences that recolour, retitle, write the clipboard
_UNSAFE: Final = re.compile(f"[\r{_CONTROLS}{HIDDEN}]")
_LINE_END: Final = re.compile(r"\r(?=\n|\Z)")

NARROWEST: Final = 20
WIDEST: Final = 120
"""Columns that a line takes at most; as many where the output is no terminal."""


def harmless(text: str) -> str:
    """Return text whose control and hidden characters are shown as escapes, such as `\\x1b`, instead of obeyed.

    Newlines and tabs stay, and `\\r\\n` becomes a newline. Each character is judged by itself, so a sequence
    that is spread over several deltas does no more than one that comes whole.
    """
    return _UNSAFE.sub(lambda match: escaped(match[0]), _LINE_END.sub("", text))


def harmless_json(text: str) -> str:
    """Return the same JSON, with the characters that `harmless` shows written as JSON's own escapes."""
    # DEL is ASCII, which `dumps` leaves as it is
    return _UNSAFE.sub(lambda match: json.dumps(match[0])[1:-1].replace("\x7f", "\\u007f"), text)


def one_line(text: str) -> str:
    """Return harmless text with every run of white space as one space."""
    return harmless(" ".join(text.split()))


def fit(text: str, columns: int, *, mark: str = "…") -> str:
    """Return text cut to so many columns, wide characters counted as two; what is cut ends with `mark`."""
    text = text[: 4 * columns + 4]  # as many as can matter, so that a long output costs nothing
    if cell_len(text) <= columns:
        return text
    return set_cell_size(text, max(columns - cell_len(mark), 0)).rstrip() + mark


def wants_color(file: TextIO, environ: Mapping[str, str]) -> bool:
    """Tell whether to colour: on a terminal that can, unless `NO_COLOR` is set to anything (no-color.org)."""
    if environ.get("NO_COLOR") or not _is_terminal(file):
        return False
    from rich.console import Console

    console = Console(file=file, _environ=environ)
    return console.color_system is not None and not console.legacy_windows


def _is_terminal(file: TextIO) -> bool:
    try:
        return file.isatty()
    except (OSError, ValueError):  # closed
        return False


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The few signs that aren't ASCII."""

    call: str = "▸"
    arrow: str = "→"
    ok: str = "✓"
    failed: str = "✗"
    dot: str = "·"
    dash: str = "—"
    cut: str = "…"


ASCII: Final = Glyphs(call=">", arrow="->", ok="ok", failed="!!", dot="|", dash="--", cut="...")


class Stream:
    """An output: knows whether it stands at the start of a line, and goes quiet once its reader has left."""

    def __init__(self, file: TextIO, environ: Mapping[str, str]) -> None:
        self.file = file
        """Where it goes. What is written here past `write` must leave the cursor at the start of a line."""
        self._lock = threading.Lock()  # tools print from their threads
        self.is_colored = wants_color(file, environ)
        self.is_terminal = _is_terminal(file)
        self.at_start = True
        self.writes = 0
        """Grows with each write, so that who left a line open can see whether it still ends as it did."""
        self._hint = ""
        self.error: OSError | None = None
        """Why something could not be written."""
        self.glyphs = Glyphs() if _can_encode(file, "▸→✓✗·—…") else ASCII
        self.is_unicode = (file.encoding or "").lower().replace("-", "") == "utf8"

    @property
    def columns(self) -> int:
        """How wide a line may be; asked anew each time, since windows change."""
        if not self.is_terminal:
            return WIDEST
        try:
            # the last column stays free: some terminals break the line when it is filled
            columns = os.get_terminal_size(self.file.fileno()).columns or 80
        except (OSError, ValueError):
            columns = 80
        return min(max(columns - 1, NARROWEST), WIDEST)

    def write(self, text: str, style: str = "") -> None:
        """Write text as it is; it must have been made harmless."""
        if not text:
            return
        with self._lock:
            self.writes += 1
            self.at_start = text.endswith("\n")
            self._put(_styled(text, style) if style and self.is_colored else text)

    def line(self, text: str, style: str = "") -> None:
        """Write text as a line of its own."""
        self.break_line()
        self.write(text, style)
        self.break_line()

    def paragraph(self, text: str, style: str = "") -> None:
        """Write text as lines of its own, broken between words where a terminal would break within them."""
        if self.is_terminal:
            text = textwrap.fill(
                text, self.columns, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
            )
        self.line(text, style)

    def hint(self, text: str) -> None:
        """Show on a terminal what is waited for, until the next line."""
        if self.is_terminal:
            self.break_line()
            self.write(shown := fit(text, self.columns, mark=self.glyphs.cut))
            self._hint = shown

    def clear_hint(self) -> None:
        """Take away what `hint` has shown; what begins a line does so by itself."""
        if self._hint:
            with self._lock:
                self._put(f"\r{' ' * cell_len(self._hint)}\r")  # as every terminal understands it
                self._hint, self.at_start = "", True

    def break_line(self) -> None:
        """End the line, unless nothing stands on it."""
        self.clear_hint()
        if not self.at_start:
            self.write("\n")

    def _put(self, text: str) -> None:
        try:
            self.file.write(text)
            self.file.flush()
        except BrokenPipeError:  # `| head -1` has read enough
            self._discard()
        except OSError as exc:  # a full disk, or a window that was closed
            self.error = exc
            self._discard()

    def _discard(self) -> None:
        """Send what follows, and what the file still holds for the interpreter's exit, nowhere."""
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.file.fileno())
            os.close(nowhere)


def _styled(text: str, style: str) -> str:
    body = text.rstrip("\n")  # a background or underline must not run on to the next line
    return Style.parse(style).render(body, color_system=ColorSystem.STANDARD) + text[len(body) :]


def _can_encode(file: TextIO, text: str) -> bool:
    try:
        text.encode(file.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


class Prints:
    """What stands in for `sys.stdout` while an agent's own code runs: its prints go among the notes."""

    def __init__(self, notes: Stream, file: TextIO) -> None:
        self._notes = notes
        self._file = file
        self._seen = -1

    def write(self, text: str) -> int:
        """Write to the notes, on a line that belongs to the prints."""
        if self._notes.writes != self._seen:
            self._notes.break_line()
        self._notes.write(text)
        self._seen = self._notes.writes
        return len(text)

    def writelines(self, lines: Iterator[str]) -> None:
        """Write each."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where a command writes: the answer to stdout and nothing else there, all the rest to stderr."""

    answer: Stream
    notes: Stream

    def show_error(self, message: str) -> None:
        """Write an error among the notes; its first line stands out, a traceback below it is for reading."""
        first, newline, rest = harmless(message).partition("\n")
        self.notes.paragraph(f"Error: {first}", "red")
        if newline:
            self.notes.line(rest)


@contextlib.contextmanager
def open_outputs(environ: Mapping[str, str]) -> Iterator[Outputs]:
    """Take stdout for the answer, and send everybody else's output to stderr while it is taken.

    Prints of an agent's file and tools, and what their child processes write, would otherwise end up in
    `agentkit run ... > answer.txt`.
    """
    ours, theirs = sys.stdout, sys.stderr
    for file in (ours, theirs):
        with contextlib.suppress(AttributeError):
            file.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    with _divert_descriptor(ours) as file:
        answer = Stream(file, environ)
        # on one terminal they share the line that they write on
        notes = answer if answer.is_terminal and _is_terminal(theirs) else Stream(theirs, environ)
        sys.stdout = cast("TextIO", Prints(notes, theirs))
        try:
            yield Outputs(answer, notes)
        finally:
            sys.stdout = ours


@contextlib.contextmanager
def _divert_descriptor(stdout: TextIO) -> Iterator[TextIO]:
    """Point file descriptor 1 to stderr, and give a file that still writes to where it pointed."""
    if stdout is not sys.__stdout__ or stdout.fileno() != 1:
        yield stdout
        return
    stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with open(kept, "w", encoding=stdout.encoding, errors="backslashreplace", closefd=False) as file:
            yield file
    finally:
        with contextlib.suppress(OSError, ValueError):
            stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)

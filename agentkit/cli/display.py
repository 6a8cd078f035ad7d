"""The events of a run as lines in a terminal: the answer as it comes, and around it what the agent does.

Lines only ever grow at their end: no cursor is moved, nothing is taken back, so that scrolling back, selecting
and copying stay as they are everywhere.
"""

from __future__ import annotations

import contextlib
import json
import logging
import time
from typing import TYPE_CHECKING, Final

from rich.cells import cell_len

from agentkit.canonical import to_json
from agentkit.cli.loading import place_of, short_traceback
from agentkit.cli.terminal import fit, harmless, harmless_json, one_line
from agentkit.entries import OutputsEntry, ResponseEntry
from agentkit.errors import AgentkitError, LimitReached, ToolError, UsageError
from agentkit.events import (
    AttemptDiscarded,
    OutputRejected,
    ReasoningDelta,
    ResponseFinished,
    RetryWaiting,
    TextDelta,
    ToolFinished,
    ToolProgress,
    ToolStarted,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from agentkit import Result
    from agentkit.cli.terminal import Glyphs, Outputs, Stream
    from agentkit.events import Event
    from agentkit.response import Usage
    from agentkit.transcript import Transcript

DIM: Final = "dim"
CALL: Final = "cyan"
WARNING: Final = "yellow"
ERROR: Final = "red"

HEAD_SHARE: Final = 0.6
"""How much of a line a call may take before its result."""


class RunDisplay:
    """Shows one run. The answer goes to `outputs.answer`, everything else to `outputs.notes`.

    On a terminal the text is shown as it comes. Elsewhere the answer is written once, when it is whole: a file
    or a pipe can't be told that an attempt broke off, or that a text was no more than an aside before a call.
    """

    def __init__(
        self,
        outputs: Outputs,
        *,
        as_text: bool = True,
        reasoning: bool = False,
        clock: Callable[[], float] = time.monotonic,
        timed: bool = True,
    ) -> None:
        """Make a display.

        `as_text` is False for an agent whose answer is shown as JSON, once it is checked. `timed` is False for a
        recorded run, of which nobody knows how long its tools took.
        """
        self._answer, self._notes = outputs.answer, outputs.notes
        self._as_text = as_text
        self._live = as_text and outputs.answer.is_terminal
        self._reasoning = reasoning
        self._clock = clock
        self._timed = timed
        self._start = clock()
        self._asked_at = self._start
        self._model_s = 0.0
        self._section: object = None
        self._shown = ""
        self._arguments: dict[str, str] = {}
        self._open_line = (-1, "")

    def show(self, event: Event) -> None:
        """Show what happened."""
        match event:
            case TextDelta(text, item_id):
                if self._live:
                    self._enter(("text", item_id))
                    self._answer.write(harmless(text))
                self._shown += text
            case ReasoningDelta(text, item_id):
                if self._reasoning:
                    self._enter(("reasoning", item_id))
                    self._notes.write(harmless(text), DIM)
            case ToolStarted(call_id, name, arguments):
                self._begin_call(call_id, name, arguments)
            case ToolProgress(_, name, data):
                self._note(f"  {one_line(name)}: {one_line(_in_words(data))}")
            case ToolFinished():
                self._end_call(event)
            case ResponseFinished(response):
                self._model_s += self._clock() - self._asked_at
                self._asked_at = self._clock()
                self._arguments.update((call.call_id, call.arguments) for call in response.calls)
                if response.calls:
                    self._shown = ""
            case RetryWaiting(wait_s, _, error):
                self._asked_at = self._clock() + wait_s
                when = f" in {duration(wait_s)}" if self._timed else ""
                self._warn(f"{_described(error)} Trying again{when}.")
            case AttemptDiscarded():
                self._discard()
            case OutputRejected(message, attempt):
                self._shown = ""
                self._warn(f"answer {attempt} rejected: {one_line(message)}")
            case _:
                pass

    def finish(self, result: Result[object]) -> None:
        """Show the answer, as far as it doesn't stand there yet, and what the run took."""
        text = result.text if self._as_text else json_text(result.output, is_unicode=self._answer.is_unicode)
        self.end(text, turns=result.turns, usage=result.usage)

    def end(self, text: str, *, turns: int, usage: Usage) -> None:
        """Show the answer, given as text, and what the run took."""
        if not (self._live and self._shown and self._shown.endswith(text)):
            self._enter("answer")
            self._answer.write(harmless(text))
        self._answer.break_line()
        took = self._clock() - self._start if self._timed else None
        self._note_parts(summary(turns, usage, took_s=took, model_s=self._model_s))

    def interrupted(self, before: Transcript, now: Transcript) -> None:
        """Show what an interrupt cut off, by how the transcript grew."""
        if self._notes.is_terminal:
            self._notes.write("\n")  # the terminal has written ^C where the cursor stood
        last = now.entries[-1] if len(now.entries) > len(before.entries) else None
        if isinstance(last, OutputsEntry):
            asked = now.entries[-2]
            calls = asked.response.calls if isinstance(asked, ResponseEntry) else []
            for call, record, item in zip(calls, last.records, last.items, strict=False):
                if record.outcome in ("cancelled", "not_run"):
                    head = call_head(call.name, call.arguments, self._notes.columns, self._notes.glyphs)
                    self._notes.line(with_result(head, str(item.get("output")), self._notes, failed=True), WARNING)
        elif self._shown:
            self._warn("interrupted in the middle of an answer; the transcript doesn't keep the part above.")
        else:
            self._warn("interrupted.")

    @contextlib.contextmanager
    def logged(self) -> Iterator[None]:
        """Show agentkit's warnings as notes, unless the file has set up logging of its own."""
        logger = logging.getLogger("agentkit")
        if logger.hasHandlers():
            yield
            return
        handler = _NoteHandler(self._warn)
        logger.addHandler(handler)
        try:
            yield
        finally:
            logger.removeHandler(handler)

    def _begin_call(self, call_id: str, name: str, arguments: str) -> None:
        self._arguments[call_id] = arguments
        if not self._notes.is_terminal:
            return  # a log gets one line when the call ends; a person sees what is being waited for
        if self._open_line[0] == self._notes.writes and not self._notes.at_start:
            return  # several at once: each of the others is shown when it ends
        self._enter(("call", call_id))
        self._notes.write(call_head(name, arguments, self._notes.columns, self._notes.glyphs), CALL)
        self._open_line = (self._notes.writes, call_id)

    def _end_call(self, event: ToolFinished) -> None:
        failed = event.outcome != "ok"
        head = call_head(event.name, self._arguments.get(event.call_id, ""), self._notes.columns, self._notes.glyphs)
        took = duration(event.duration_s) if self._timed and event.outcome != "not_run" else ""
        line = with_result(head, event.output, self._notes, failed=failed, took=took)
        if self._open_line != (self._notes.writes, event.call_id):
            self._enter(("call", event.call_id))
            self._notes.write(head, CALL)
        self._notes.write(line[len(head) :] + "\n", ERROR if failed else DIM)
        self._asked_at = self._clock()
        raised = event.exception
        if raised is not None and not isinstance(raised, ToolError) and (place := place_of(raised)) is not None:
            self._note(f"  raised at {one_line(place)}")

    def _discard(self) -> None:
        """Say that the text which stands there is void; why, and what happens next, is said by what follows."""
        if self._live and self._shown:
            self._warn("this answer broke off: what stands above is void.")
            if self._answer is not self._notes:
                self._answer.line("[broken off]")  # the notes are somewhere else
        self._shown = ""

    def _enter(self, section: object) -> None:
        """Begin a line where another kind of thing begins."""
        if section != self._section or self._open_line[0] == self._notes.writes:
            self._notes.break_line()
            self._answer.break_line()
        self._section = section

    def _note(self, text: str, style: str = DIM) -> None:
        self._enter("note")
        self._notes.paragraph(text, style)

    def _warn(self, text: str) -> None:
        self._note(f"! {text}", WARNING)

    def _note_parts(self, parts: list[str]) -> None:
        for line in dotted(f"{self._notes.glyphs.dash} ", parts, self._notes):
            self._note(line)


class _NoteHandler(logging.Handler):
    def __init__(self, warn: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._warn = warn

    def emit(self, record: logging.LogRecord) -> None:
        if record.module != "retry":  # shown as it happens, from RetryWaiting
            self._warn(one_line(record.getMessage()))


def dotted(head: str, parts: Sequence[str], notes: Stream) -> list[str]:
    """Return parts with dots between them, on as many lines as a narrow window needs."""
    lines = [f"{head}{parts[0]}"]
    for part in parts[1:]:
        longer = f"{lines[-1]} {notes.glyphs.dot} {part}"
        if cell_len(longer) <= notes.columns:
            lines[-1] = longer
        else:
            lines.append(f"{' ' * cell_len(head)}{part}")
    return lines


def call_head(name: str, arguments: str, columns: int, glyphs: Glyphs) -> str:
    """Return a call as `▸ name(city="Oslo")`, cut so that its result fits on the line behind it."""
    room = int(columns * HEAD_SHARE) - cell_len(glyphs.call) - 3
    shown_name = fit(one_line(name), room, mark=glyphs.cut)
    shown = fit(show_arguments(arguments), max(room - cell_len(shown_name), 4), mark=glyphs.cut)
    return f"{glyphs.call} {shown_name}({shown})"


def with_result(head: str, result: str, out: Stream, *, failed: bool, took: str = "") -> str:
    """Return a call with what came of it behind it, cut to one line."""
    glyphs = out.glyphs
    arrow = f" {glyphs.failed if failed else glyphs.arrow} "
    end = f" {glyphs.dot} {took}" if took else ""
    room = max(out.columns - cell_len(head) - cell_len(arrow) - cell_len(end), 4)
    return f"{head}{arrow}{fit(one_line(result[:4096]), room, mark=glyphs.cut)}{end}"


def show_arguments(arguments: str) -> str:
    """Return a call's arguments as `city="Oslo", unit=null`; what is no JSON object, as it is."""
    try:
        value = json.loads(arguments)
    except (ValueError, RecursionError):
        return one_line(arguments[:4096])
    if not isinstance(value, dict):
        return one_line(arguments[:4096])
    return one_line(", ".join(f"{key}={json.dumps(item, ensure_ascii=False)[:4096]}" for key, item in value.items()))


def summary(turns: int, usage: Usage, *, took_s: float | None, model_s: float) -> list[str]:
    """Return the parts of the last line; `took_s` None: of a recorded run.

    The speed is the server's word, or else seen from here; where a cassette has answered, it says nothing.
    """
    parts = [f"{turns} {'turn' if turns == 1 else 'turns'}"]
    if usage.replayed:
        parts.append("replayed" if usage.replayed >= turns else f"{usage.replayed} replayed")
    if usage:
        parts.append(tokens(usage))
        seconds = 0.0 if took_s is None or usage.replayed else usage.total_latency or model_s
        if usage.output_tokens and seconds > 0:
            speed = usage.output_tokens / seconds
            parts.append(f"{speed:,.0f} tokens/s" if speed >= 10 else f"{speed:.1f} tokens/s")
    elif turns:
        parts.append("tokens unknown")
    return [*parts, "as recorded" if took_s is None else duration(took_s)]


def tokens(usage: Usage) -> str:
    """Return the tokens of some responses as `1,234 tokens in, 90 out`."""
    missing = f" (unknown for {usage.unreported})" if usage.unreported else ""
    return f"{usage.input_tokens or 0:,} tokens in, {usage.output_tokens or 0:,} out{missing}"


def duration(seconds: float) -> str:
    """Return a time as `<1 ms`, `12 ms`, `1.5 s` or `2 min 5 s`."""
    if seconds < 0.001:
        return "<1 ms"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    return f"{round(seconds) // 60} min {round(seconds) % 60} s"


def json_text(value: object, *, is_unicode: bool) -> str:
    """Return an answer of any type as indented JSON."""
    return harmless_json(json.dumps(to_json(value), ensure_ascii=not is_unicode, indent=2))


def explained(exc: BaseException, *, to_go_on: str = "with --save, go on with --continue FILE") -> str:
    """Return an error as its message; one that isn't ours with the lines of the user's code that it came from."""
    if isinstance(exc, UsageError):
        return str(exc)
    if isinstance(exc, LimitReached):
        # what the message goes on with is for who writes Python
        which = str(exc).partition(" Go on with run(")[0]
        option = "--max-turns" if "turn" in which else "the agent's Limits"
        return f"{which} Raise {option}; {to_go_on}. ({type(exc).__name__})"
    if isinstance(exc, AgentkitError):
        return f"{exc} ({type(exc).__name__})"
    return f"the run ended with an exception.\n{short_traceback(exc)}"


def _described(error: BaseException) -> str:
    text = one_line(str(error)) or type(error).__name__
    return text if text.endswith((".", "]", "!", "?")) else f"{text}."


def _in_words(data: object) -> str:
    return data if isinstance(data, str) else repr(data)

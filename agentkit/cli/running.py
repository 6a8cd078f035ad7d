"""One run of an agent in a terminal: shown while it goes, and its conversation kept however it ends."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agentkit.cassettes.files import PENDING
from agentkit.cli.display import RunDisplay, explained
from agentkit.cli.interrupts import SIGNALLED, Interrupts
from agentkit.cli.prepared import prepare
from agentkit.cli.report import encode_report, error_object, result_object
from agentkit.cli.saving import check_writable, read_transcript, write_transcript
from agentkit.cli.terminal import harmless, one_line, open_outputs
from agentkit.errors import UsageError
from agentkit.portal import run_blocking
from agentkit.step import Finish, Stop, next_action
from agentkit.transcript import Transcript

if TYPE_CHECKING:
    from pathlib import Path

    from agentkit import Result, SyncRun
    from agentkit.cassettes.review.past import Past
    from agentkit.cassettes.session import Cassette
    from agentkit.cli.terminal import Outputs
    from agentkit.items import Item
    from agentkit.json import JSON, JSONObject

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What `agentkit run` was asked for."""

    target: str
    prompt: str | None = None
    as_json: bool = False
    save: Path | None = None
    continued: Path | None = None
    cassette: Path | None = None
    ignore: tuple[str, ...] = ()
    scrub: tuple[str, ...] = ()
    from_turn: int | None = None
    rerun_tools: bool = False
    reasoning: bool = False
    model: str | None = None
    base_url: str | None = None
    max_turns: int | None = None


def run_agent(options: RunOptions) -> int:
    """Run once, and return the exit code."""
    with open_outputs(os.environ) as outputs, Interrupts() as interrupts:
        conversation = Conversation(options, outputs)
        try:
            conversation.prepare()
            result = conversation.run()
        except (Exception, KeyboardInterrupt) as exc:  # noqa: BLE001  (reported, as all are)
            return conversation.fail(exc, interrupts.signal)
        return conversation.finish(result)


class Conversation:
    """What one command needs from its first check to its last line."""

    def __init__(self, options: RunOptions, outputs: Outputs) -> None:
        self._options = options
        self._outputs = outputs
        self._display: RunDisplay | None = None
        self._before = Transcript()
        self._input: str | list[Item] | None = None
        self._tape: Cassette | None = None
        self._run: SyncRun[object] | None = None

    def prepare(self) -> None:
        """Check and load all that can be before a request is made. Raises UsageError."""
        options = self._options
        if options.cassette is None and (options.ignore or options.scrub):
            raise UsageError("--ignore and --scrub are for --cassette FILE. Give it as well, or leave them out.")
        if options.save is not None:
            check_writable(options.save)
        if options.continued is not None:
            self._before = read_transcript(options.continued)
        if options.from_turn is not None:
            self._begin_in_a_recording(options.cassette, options.from_turn)
        elif options.rerun_tools:
            raise UsageError("--rerun-tools is for the calls of the turn that --from-turn names. Give both.")
        else:
            self._input = _read_prompt(options.prompt, self._before)
        self._prepared = prepare(
            options.target, model=options.model, base_url=options.base_url, max_turns=options.max_turns
        )

    def _begin_in_a_recording(self, path: Path | None, turn: int) -> None:
        """Take what was recorded up to a turn as given. Raises UsageError."""
        options = self._options
        if path is None or options.continued is not None:
            raise UsageError("--from-turn goes on from a recording. Give --cassette FILE, and no --continue.")
        from agentkit.cassettes.review.past import open_past

        past = open_past(path, turn=turn)
        given = None if options.prompt is None else _read_prompt(options.prompt, Transcript())
        self._before, self._input = asked_anew(past, given, rerun_tools=options.rerun_tools)
        if not options.as_json:
            whose = f", of an agent that ran within {past.lane}," if past.lane else ""
            note = f"up to turn {turn}{whose} as recorded in {path}; what follows is live."
            self._outputs.notes.line(f"{self._outputs.notes.glyphs.dash} {one_line(note)}", "dim")

    def run(self) -> Result[object]:
        """Run to the end, showing what happens."""
        path = self._options.cassette
        if path is None or self._options.from_turn is not None:
            return self._run_live()
        from agentkit.cassettes.session import Cassette
        from agentkit.cassettes.terms import Rerun

        self._tape = Cassette(
            path,
            ignore=[*self._options.ignore, "stream"],  # a run in a terminal streams, whatever was recorded
            scrub=self._options.scrub,
            rerun=Rerun(
                lambda mode: f"AGENTKIT_CASSETTES={mode} {_command(self._options)}", "--scrub PATTERN", "--ignore PATH"
            ),
        )
        with self._tape:
            return self._run_live()

    def _run_live(self) -> Result[object]:
        prepared = self._prepared
        deps = run_blocking(prepared.loaded.deps)
        if not self._options.as_json:
            self._display = RunDisplay(
                self._outputs, as_text=prepared.agent.output_type is str, reasoning=self._options.reasoning
            )
        self._run = prepared.agent.stream_sync(
            self._input, transcript=self._before, deps=deps, client=prepared.client, limits=prepared.limits
        )
        logged = contextlib.nullcontext() if self._display is None else self._display.logged()
        with logged, self._run as run:
            for event in run:
                if self._display is not None:
                    self._display.show(event)
        return run.result

    def finish(self, result: Result[object]) -> int:
        """Show the answer, keep the conversation, and return the exit code."""
        kept = self._keep()
        if self._display is None:
            self._report(result_object(result))
        else:
            self._display.finish(result)
            self._tell_recorded()
        return OK if self._is_written() and kept else FAILED

    def fail(self, exc: BaseException, number: int | None) -> int:
        """Show what went wrong, keep the conversation, and return the exit code; `number` is a signal's."""
        interrupted = number is not None or not isinstance(exc, Exception)
        if self._options.as_json:
            error = KeyboardInterrupt() if interrupted else exc
            self._report(error_object(error, None if self._run is None else self._run.transcript))
        elif interrupted:
            self._show_interrupt()
        else:
            self._outputs.show_error(explained(exc))
        if not self._options.as_json:
            self._tell_recorded()
        self._keep(advise=True)
        if interrupted:
            return SIGNALLED + (number or signal.SIGINT)
        return USAGE if isinstance(exc, UsageError) else FAILED

    def _tell_recorded(self) -> None:
        """Say where what went live was recorded."""
        tape, notes = self._tape, self._outputs.notes
        if tape is None or not tape.was_changed:
            return
        path = tape.path
        if path.with_name(path.name + PENDING).is_file():
            notes.paragraph(one_line(f"Recorded. To see what changed: agentkit cassettes review {path}"), "dim")
        else:
            notes.paragraph(one_line(f"Recorded in {path}."), "dim")

    def _show_interrupt(self) -> None:
        if self._display is None or self._run is None:
            self._outputs.notes.line("interrupted before the run began.")
        else:
            self._display.interrupted(self._before, self._run.transcript)

    def _keep(self, *, advise: bool = False) -> bool:
        """Save the conversation where that was asked for; returns False where it couldn't be."""
        path = self._options.save
        if self._run is None:
            return True
        transcript = self._run.transcript
        if path is not None:
            try:
                write_transcript(path, transcript)
            except OSError as exc:
                self._outputs.show_error(f"{path} can't be written: {exc.strerror or exc}")
                return False
        if advise and not self._options.as_json and transcript.entries:
            self._advise(path)
        return True

    def _advise(self, path: Path | None) -> None:
        notes = self._outputs.notes
        if path is None:
            notes.paragraph("Not kept. With --save FILE it would be, to go on from with --continue FILE.", "dim")
            return
        words = ["agentkit", "run", self._options.target, "--continue", str(path), "--save", str(path)]
        notes.paragraph(harmless(f"Kept so far in {path}. To go on:"), "dim")
        notes.line(harmless(f"  {shlex.join(words)}"), "dim")  # in one piece, to be copied

    def _is_written(self) -> bool:
        """Tell whether the answer has reached where it was sent; a reader that has left counts as content."""
        if (error := self._outputs.answer.error) is None:
            return True
        self._outputs.show_error(f"the answer can't be written: {error.strerror or error}")
        return False

    def _report(self, report: JSONObject) -> None:
        answer = self._outputs.answer
        answer.write(encode_report(report, is_unicode=answer.is_unicode))


def _read_prompt(given: str | None, transcript: Transcript) -> str | None:
    """Return the prompt: as given, of stdin, or None to go on from a transcript."""
    if given is None and transcript.entries:
        return None
    if given == "-" or (given is None and not sys.stdin.isatty()):
        try:
            given = sys.stdin.buffer.read().decode().rstrip("\r\n")
        except UnicodeDecodeError as exc:
            raise UsageError(f"stdin isn't UTF-8 (byte {exc.start}). Convert it first.") from exc
    if given is None or not given.strip():
        raise UsageError(
            'there is no prompt. Give it after the file, as "...", or as - to read it from stdin; '
            "with --continue alone the conversation goes on."
        )
    if open_calls := transcript.open_calls:
        names = ", ".join(call.name for call in open_calls)
        raise UsageError(
            f"the conversation ends in calls that haven't run yet ({names}). Continue it without a prompt first."
        )
    return given


def _command(options: RunOptions) -> str:
    """Return the command that asks for the same run."""
    named = [
        ("--continue", options.continued),
        ("--cassette", options.cassette),
        *(("--ignore", path) for path in options.ignore),
        *(("--scrub", pattern) for pattern in options.scrub),
        ("--model", options.model),
        ("--base-url", options.base_url),
        ("--max-turns", options.max_turns),
    ]
    given = [str(word) for name, value in named if value is not None for word in (name, value)]
    asked = [options.target, *filter(None, [options.prompt])]
    if (options.prompt or "").startswith("-") and options.prompt != "-":
        return shlex.join(["agentkit", "run", *given, "--", *asked])
    return shlex.join(["agentkit", "run", *asked, *given])


def asked_anew(past: Past, prompt: str | None, *, rerun_tools: bool) -> tuple[Transcript, str | list[Item] | None]:
    """Return the conversation to go on from, and what is said first.

    Where the turn was an answer, that is the prompt, or else what was said next in the recording. In the middle of a
    run the prompt takes the place of the one that began it.
    """
    told = past.open if rerun_tools else past.transcript
    if isinstance(next_action(told), Finish | Stop):
        if prompt is None and not past.following:
            raise UsageError("the recording has nothing after that turn. Give a prompt to go on with.")
        return told, prompt if prompt is not None else list(past.following)
    return told if prompt is None else with_prompt(told, prompt), None


def with_prompt(transcript: Transcript, prompt: str) -> Transcript:
    """Return a conversation whose last user message says something else; its pictures and files stay."""
    items = transcript.items
    index = next((i for i in reversed(range(len(items))) if items[i].get("role") == "user"), None)
    if index is None:
        raise UsageError("the recording has no prompt that could be replaced. Leave it out.")
    content = items[index].get("content")
    kept = (
        [part for part in content if isinstance(part, dict) and "text" not in part] if isinstance(content, list) else []
    )
    said: list[JSON] = [{"type": "input_text", "text": prompt}, *kept]
    return transcript.replace(index, {**items[index], "content": said if kept else prompt})

"""A conversation in a terminal: what the user says is asked, and the transcript kept in order whatever happens.

A conversation is a value, so all that changes it (a message, `/fork`, `/load`) is a new one in its place, and
`/undo` puts the one before back.
"""

from __future__ import annotations

import functools
import os
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from agentkit.cli.display import DIM, WARNING, RunDisplay, dotted, explained
from agentkit.cli.interrupts import Interrupts
from agentkit.cli.lines import open_lines
from agentkit.cli.prepared import is_scripted, prepare
from agentkit.cli.recital import recite
from agentkit.cli.running import FAILED, OK, USAGE
from agentkit.cli.saving import check_writable, read_transcript, write_transcript
from agentkit.cli.slash import is_command, run_command, suggestions
from agentkit.cli.terminal import harmless, one_line, open_outputs
from agentkit.client import Client
from agentkit.entries import InputEntry, ResponseEntry
from agentkit.errors import AgentkitError, UsageError
from agentkit.portal import run_blocking
from agentkit.response import Usage
from agentkit.transcript import Transcript

if TYPE_CHECKING:
    from pathlib import Path

    from agentkit import Result, SyncRun
    from agentkit.cli.lines import Lines
    from agentkit.cli.terminal import Outputs


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatOptions:
    """What `agentkit chat` was asked for."""

    target: str
    save: Path | None = None
    continued: Path | None = None
    reasoning: bool = False
    model: str | None = None
    base_url: str | None = None
    max_turns: int | None = None


@dataclass(frozen=True, slots=True)
class Talk:
    """A conversation, and where it is kept."""

    transcript: Transcript = Transcript()  # noqa: RUF009  (immutable)
    path: Path | None = None
    """Written after each answer; None: nowhere."""


def chat(options: ChatOptions) -> int:
    """Talk until the end, and return the exit code."""
    with open_outputs(os.environ) as outputs, Interrupts() as interrupts:
        try:
            talking = Chat(options, outputs, interrupts)
        except Exception as exc:  # noqa: BLE001  (reported, as all are)
            outputs.show_error(explained(exc))
            return USAGE if isinstance(exc, UsageError) else FAILED
        except KeyboardInterrupt:
            return interrupts.exit_code
        return talking.run(open_lines(outputs.notes, os.environ, lambda text: suggestions(text, talking)))


class Chat:
    """One conversation with one agent, from its first check to its last line."""

    def __init__(self, options: ChatOptions, outputs: Outputs, interrupts: Interrupts) -> None:
        """Check and load all that can be before anything is asked. Raises UsageError."""
        self._options = options
        self._interrupts = interrupts
        if options.save is not None:
            check_writable(options.save)
        before = Transcript() if options.continued is None else read_transcript(options.continued)
        prepared = prepare(options.target, model=options.model, base_url=options.base_url, max_turns=options.max_turns)
        self.outputs = outputs
        self.notes = outputs.notes
        self.agent = prepared.agent
        self.client = prepared.client or Client.from_env()
        self._limits = prepared.limits
        self._deps = run_blocking(prepared.loaded.deps)
        self.talk = Talk(before, options.save)
        self.origin = options.continued
        """Where the conversation came from, and is saved where no other name is given."""
        self.spent = Usage()
        """All that was used since the chat began, for answers that were taken back too."""
        self.asked = 0
        """Responses since the chat began."""
        self.draft = ""
        """What the next entry is edited from."""
        self.has_ended = False
        self._past: list[Talk] = []
        self._is_open = False
        """Whether the last message has no answer."""
        self._has_failed = False
        self.is_lost = False
        """Whether the conversation couldn't be written."""

    def run(self, lines: Lines) -> int:
        """Read and answer until the end, and return the exit code."""
        try:
            self._greet(lines)
            while not self.has_ended:
                self._interrupts.rearm()
                self._take_entry(lines)
        except KeyboardInterrupt:  # one that asks for the end
            self.notes.break_line()
            return self._interrupts.exit_code
        self._take_leave(lines)
        failed = self._has_failed and not lines.interactive  # who was there has seen it
        return FAILED if failed or self.is_lost or self.outputs.answer.error is not None else OK

    def ask(self, message: str | None) -> None:
        """Send a message, or None to go on from where the conversation stands, and show what comes."""
        before = self.talk
        display = RunDisplay(self.outputs, as_text=self.agent.output_type is str, reasoning=self._options.reasoning)
        run: SyncRun[object] | None = None
        result: Result[object] | None = None
        interrupted = False
        try:
            run = self.agent.stream_sync(
                message, transcript=before.transcript, deps=self._deps, client=self.client, limits=self._limits
            )
            with display.logged(), run:
                for event in run:
                    display.show(event)
            result = run.result
            display.finish(result)
        except KeyboardInterrupt:
            interrupted = True
            display.interrupted(before.transcript, before.transcript if run is None else run.transcript)
        except Exception as exc:  # noqa: BLE001  (shown, and the chat goes on)
            self._has_failed = True
            self.outputs.show_error(explained(exc, to_go_on="/retry goes on"))
        if run is not None:
            self._count(before.transcript, run.transcript, result)
            # what is asked again belongs to the message that it is asked for
            self._extend(run.transcript, is_new=message is not None or not self._is_open)
            self._is_open = result is None
        if interrupted and self._interrupts.is_final:
            raise KeyboardInterrupt
        if result is None and (message is None or self.talk is not before):
            self._advise()

    def _extend(self, transcript: Transcript, *, is_new: bool) -> None:
        """Take what a run has made of the conversation, and keep it."""
        if transcript.entries == self.talk.transcript.entries:
            return
        if is_new:
            self._past.append(self.talk)
        self.talk = Talk(transcript, self.talk.path)
        self.keep()

    def fork(self, transcript: Transcript, path: Path | None) -> None:
        """Go on in a copy, kept elsewhere."""
        self._past.append(self.talk)
        self.talk, self._is_open = Talk(transcript, path), False
        if transcript.entries:
            self.keep()

    def load(self, transcript: Transcript, path: Path) -> None:
        """Go on with another conversation, which isn't written to until the user says so."""
        self._past.append(self.talk)
        self.talk, self.origin, self._is_open = Talk(transcript), path, False

    def move(self, path: Path) -> None:
        """Keep the conversation elsewhere from here on."""
        before = self.talk
        self.talk = Talk(before.transcript, path)
        if not self.keep():
            self.talk = before

    def undo(self) -> bool:
        """Put the conversation before the last change back; returns False where there is none."""
        if self._past:
            self.talk = self._past.pop()
        elif self.talk.transcript.entries:
            self.talk = Talk(without_last_message(self.talk.transcript), self.talk.path)
        else:
            return False
        self._is_open = False
        self.keep()
        return True

    def keep(self) -> bool:
        """Write the conversation where it is kept; returns False where that failed."""
        if self.talk.path is None:
            return True
        try:
            write_transcript(self.talk.path, self.talk.transcript)
        except OSError as exc:
            self.is_lost = True
            self.outputs.show_error(f"{self.talk.path} can't be written: {exc.strerror or exc}")
            return False
        self.is_lost = False
        return True

    def note(self, text: str, style: str = DIM) -> None:
        """Write a remark."""
        self.notes.paragraph(harmless(text), style)

    def _take_entry(self, lines: Lines) -> None:
        draft, self.draft = self.draft, ""
        try:
            entry = lines.read(draft)
        except EOFError:
            self.has_ended = True
            return
        except UsageError as exc:
            self._has_failed = True
            self.outputs.show_error(str(exc))
            return
        except KeyboardInterrupt:
            if self._interrupts.is_final or not lines.interactive:
                raise
            self.note("Ctrl-D ends the chat.")
            return
        if self._interrupts.is_final:  # it came over a half-written line, which the editor has taken back
            raise KeyboardInterrupt
        try:
            self._obey(entry, lines)
        except KeyboardInterrupt:  # in the middle of a command
            if self._interrupts.is_final or not lines.interactive:
                raise
            self.note("interrupted.")
        if self._interrupts.signal is not None and not lines.interactive:
            raise KeyboardInterrupt  # who interrupts a script means all of it

    def _obey(self, entry: str, lines: Lines) -> None:
        if is_command(entry):
            try:
                run_command(entry, self)
            except (AgentkitError, OSError) as exc:
                self._has_failed = True
                self.outputs.show_error(explained(exc) if isinstance(exc, AgentkitError) else str(exc))
        elif calls := self.talk.transcript.open_calls:
            names = ", ".join(call.name for call in calls)
            self.note(f"! calls wait to be run ({names}): /retry runs them, /undo takes them back.", WARNING)
            self.draft = entry
        elif entry.strip():
            self.ask(entry.strip())
            if lines.interactive:
                self.notes.write("\n")

    def _count(self, before: Transcript, now: Transcript, result: Result[object] | None) -> None:
        new = [e.response for e in now.entries[len(before.entries) :] if isinstance(e, ResponseEntry)]
        # a result's usage holds that of runs nested in its tools too
        used = functools.reduce(Usage.__add__, (response.usage for response in new), Usage())
        self.spent += used if result is None else result.usage
        self.asked += len(new)

    def _advise(self) -> None:
        """Say how to go on from an answer that didn't come."""
        self.note("/retry asks again, /undo takes your message back.")

    def _greet(self, lines: Lines) -> None:
        options, tools = self._options, len(self.agent.tools)
        host = "a scripted model" if is_scripted(self.client) else f"{urlsplit(self.client.base_url).hostname}"
        parts = [
            one_line(self.agent.model),
            one_line(host),
            f"{tools} {'tool' if tools == 1 else 'tools'}",
            "/help",
            "Ctrl-D ends",
        ]
        if lines.interactive:
            for line in dotted("", parts, self.notes):
                self.notes.line(line, DIM)
        if self.talk.transcript.entries:
            recite(self.talk.transcript, self.notes, only_last=True)
        elif options.save is not None and options.save.exists() and (kept := _turns_in(options.save)):
            self.note(
                f"! {options.save} holds a conversation of {kept}, which the next answer replaces. "
                f"To go on with it: --continue {shlex.quote(str(options.save))}",
                WARNING,
            )

    def _take_leave(self, lines: Lines) -> None:
        path = self.talk.path
        if not lines.interactive or not self.talk.transcript.entries:
            return
        if path is None:
            self.note("Not kept; --save FILE or /save FILE would.")
            return
        words = ["agentkit", "chat", self._options.target, "--continue", str(path), "--save", str(path)]
        self.note(f"Kept in {path}. To go on:")
        self.notes.line(harmless(f"  {shlex.join(words)}"), DIM)  # in one piece, to be copied


def without_last_message(transcript: Transcript) -> Transcript:
    """Return a conversation up to before its last message of the user."""
    positions = [i for i, entry in enumerate(transcript.entries) if isinstance(entry, InputEntry)]
    return Transcript(transcript.entries[: positions[-1] if positions else 0])


def _turns_in(path: Path) -> str:
    """Return how many turns a file holds, in words; empty where it holds none."""
    try:
        turns = read_transcript(path).turns
    except UsageError:
        return ""
    return f"{turns} {'turn' if turns == 1 else 'turns'}" if turns else ""

"""One run of an agent in a terminal: shown while it goes, and its conversation kept however it ends."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import os
import shlex
import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from agentkit.cli.display import RunDisplay
from agentkit.cli.loading import load_agent, short_traceback
from agentkit.cli.report import encode_report, error_object, result_object
from agentkit.cli.saving import check_writable, read_transcript, write_transcript
from agentkit.cli.terminal import harmless, open_outputs
from agentkit.client import Client
from agentkit.errors import AgentkitError, UsageError
from agentkit.transcript import Transcript

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agentkit.agent import Agent
    from agentkit.cli.loading import Loaded
    from agentkit.cli.terminal import Outputs
    from agentkit.json import JSONObject
    from agentkit.limits import Limits
    from agentkit.run import Result, Run

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
SIGNALLED: Final = 128
"""Added to the number of the signal that ended the run: 130 for Ctrl-C."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What `agentkit run` was asked for."""

    target: str
    prompt: str | None = None
    as_json: bool = False
    save: Path | None = None
    continued: Path | None = None
    reasoning: bool = False
    model: str | None = None
    base_url: str | None = None
    max_turns: int | None = None


def run_agent(options: RunOptions) -> int:
    """Run once, and return the exit code."""
    with open_outputs(os.environ) as outputs:
        conversation = Conversation(options, outputs)
        try:
            conversation.prepare()
            result = asyncio.run(conversation.run())
        except (Exception, KeyboardInterrupt, asyncio.CancelledError) as exc:  # noqa: BLE001  (reported, as all are)
            return conversation.fail(exc)
        return conversation.finish(result)


class Conversation:
    """What one command needs from its first check to its last line."""

    def __init__(self, options: RunOptions, outputs: Outputs) -> None:
        self._options = options
        self._outputs = outputs
        self._display: RunDisplay | None = None
        self._before = Transcript()
        self._run: Run[object] | None = None
        self._signal: int = signal.SIGINT

    def prepare(self) -> None:
        """Check and load all that can be before a request is made. Raises UsageError."""
        options = self._options
        if options.save is not None:
            check_writable(options.save)
        if options.continued is not None:
            self._before = read_transcript(options.continued)
        self._prompt = _read_prompt(options.prompt, self._before)
        self._loaded = load_agent(options.target)
        self._agent = _adjusted(self._loaded, options)
        self._client = self._find_client()

    async def run(self) -> Result[object]:
        """Run to the end, showing what happens."""
        deps = await self._loaded.deps()
        if not self._options.as_json:
            self._display = RunDisplay(
                self._outputs, as_text=self._agent.output_type is str, reasoning=self._options.reasoning
            )
        self._run = self._agent.stream(
            self._prompt, transcript=self._before, deps=deps, client=self._client, limits=self._limits()
        )
        with self._logged(), self._signals():
            async with self._run as run:
                async for event in run:
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
        return OK if kept else FAILED

    def fail(self, exc: BaseException) -> int:
        """Show what went wrong, keep the conversation, and return the exit code."""
        interrupted = not isinstance(exc, Exception)
        if self._options.as_json:
            self._report(error_object(exc, None if self._run is None else self._run.transcript))
        elif interrupted:
            self._show_interrupt()
        else:
            self._outputs.show_error(_explained(exc))
        self._keep(advise=True)
        if interrupted:
            return SIGNALLED + self._signal
        return USAGE if isinstance(exc, UsageError) else FAILED

    def _find_client(self) -> Client | None:
        url = self._options.base_url
        if url is not None:
            # the key of another provider must not go to an address typed by hand
            return Client(url, os.environ.get("AGENTKIT_API_KEY"))
        own = self._agent.client
        if _is_live():
            return Client.from_env() if own is None or _is_scripted(own) else own
        client = own or self._loaded.client()
        if client is not None and _is_scripted(client):
            self._outputs.notes.paragraph("offline: a scripted model answers. AGENTKIT_LIVE=1 asks a real one.", "dim")
        return client

    def _limits(self) -> Limits | None:
        turns = self._options.max_turns
        return None if turns is None else dataclasses.replace(self._agent.limits, turns=turns)

    @contextlib.contextmanager
    def _logged(self) -> Iterator[None]:
        """Show agentkit's warnings as notes, unless the file has set up logging of its own."""
        logger = logging.getLogger("agentkit")
        if self._display is None or logger.hasHandlers():
            yield
            return
        handler = self._display.log_handler()
        logger.addHandler(handler)
        try:
            yield
        finally:
            logger.removeHandler(handler)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Let `kill` and a closed window end the run in order, as Ctrl-C does."""
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()

        def stop(number: int) -> None:
            self._signal = number
            if task is not None:
                task.cancel()

        numbers = [n for name in ("SIGTERM", "SIGHUP") if (n := getattr(signal, name, None)) is not None]
        with contextlib.suppress(NotImplementedError, ValueError, RuntimeError):  # Windows, or not the main thread
            for number in numbers:
                if signal.getsignal(number) is signal.SIG_DFL:  # nohup ignores SIGHUP, and means it
                    loop.add_signal_handler(number, stop, number)
        try:
            yield
        finally:
            with contextlib.suppress(NotImplementedError, ValueError, RuntimeError):
                for number in numbers:
                    loop.remove_signal_handler(number)

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

    def _report(self, report: JSONObject) -> None:
        answer = self._outputs.answer
        answer.write(encode_report(report, is_unicode=answer.is_unicode))


def _adjusted(loaded: Loaded, options: RunOptions) -> Agent[object]:
    model = options.model or (os.environ.get("AGENTKIT_MODEL") if _is_live() else None)
    return loaded.agent.replace(model=model) if model else loaded.agent


def _is_live() -> bool:
    return os.environ.get("AGENTKIT_LIVE") == "1"


def _is_scripted(client: Client) -> bool:
    return urlsplit(client.base_url).hostname == "scripted.test"  # where ScriptedModel.client() points


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


def _explained(exc: BaseException) -> str:
    """Return an error as its message; one that isn't ours with the lines of the user's code that it came from."""
    if isinstance(exc, UsageError):
        return str(exc)
    if isinstance(exc, AgentkitError):
        return f"{exc} ({type(exc).__name__})"
    return f"the run ended with an exception.\n{short_traceback(exc)}"

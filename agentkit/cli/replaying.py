"""`agentkit replay`: a recorded run in a terminal, as it looked when it was live."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import TYPE_CHECKING, Final

from agentkit.cassettes.review.answered import Reading
from agentkit.cassettes.review.conversation import read_conversations
from agentkit.cli.cassettes.outcome import OK, reported
from agentkit.cli.cassettes.page import is_beneath
from agentkit.cli.cassettes.showing import open_cassette
from agentkit.cli.display import DIM, WARNING, RunDisplay
from agentkit.cli.interrupts import Interrupts
from agentkit.cli.keys import END, read_key
from agentkit.cli.lines import PROMPT
from agentkit.cli.terminal import harmless, one_line, open_outputs
from agentkit.errors import TransportError
from agentkit.events import (
    AttemptDiscarded,
    ResponseFinished,
    RetryWaiting,
    ToolFinished,
    ToolStarted,
)
from agentkit.response import Usage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agentkit.cassettes.interaction import Interaction, Recording
    from agentkit.cassettes.review.answered import Answered
    from agentkit.cassettes.review.conversation import Conversation, Said, Turn
    from agentkit.cli.terminal import Outputs

PACE_MS: Final = 20
"""Between two chunks of a recording that keeps no times."""
HINT: Final = "Enter: the next turn. q: the end."


class _Ended(Exception):
    """Whoever watches has seen enough."""


def replay_cassette(path: Path, *, speed: float | None, reasoning: bool) -> int:
    """Play a recording, and return the exit code. `speed` None: turn by turn where somebody watches, else at once."""

    def replay(outputs: Outputs) -> int:
        _, recording = open_cassette(path)
        watched = outputs.answer.is_terminal
        stepping = speed is None and watched and sys.stdin.isatty()
        pace = Pace((1.0 if speed is None else speed) if watched or speed is not None else 0.0)
        step = _wait_for_key(outputs) if stepping else _go_on
        with contextlib.suppress(_Ended):
            Player(recording, outputs, pace=pace, step=step, reasoning=reasoning).play()
        return OK

    with open_outputs(os.environ) as outputs, Interrupts() as interrupts:
        try:
            return reported(replay, outputs)
        except KeyboardInterrupt:
            outputs.answer.break_line()
            outputs.notes.line("interrupted.", WARNING)
            return interrupts.exit_code


class Pace:
    """Waits between the chunks of an answer, as long as they took; `speed` 2 plays twice as fast, 0 at once."""

    def __init__(
        self,
        speed: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._speed = speed
        self._clock = clock
        self._sleep = sleep
        self._began = 0.0

    def begin(self) -> None:
        """Begin an answer."""
        self._began = self._clock()

    def wait(self, interaction: Interaction, chunk: int) -> None:
        """Wait until a chunk is due."""
        if not self._speed:
            return
        at_ms = interaction.at_ms[chunk] if chunk < len(interaction.at_ms) else (chunk + 1) * PACE_MS
        due = self._began + at_ms / 1000 / self._speed
        if (left := due - self._clock()) > 0:
            self._sleep(left)


class Player:
    """Plays the conversations of a recording, one after the other."""

    def __init__(
        self,
        recording: Recording,
        outputs: Outputs,
        *,
        pace: Pace,
        step: Callable[[], None],
        reasoning: bool = False,
    ) -> None:
        """`step` is called between two turns."""
        self._recording = recording
        self._outputs = outputs
        self._pace = pace
        self._step = step
        self._reasoning = reasoning
        self._display: RunDisplay | None = None
        self._turns = 0
        self._usage = Usage()
        self._is_first = True
        self._nested: dict[str, Usage] = {}
        """What agents that ran within a call had used, by the call."""

    def play(self) -> None:
        """Play all but the conversations of nested agents, which a live run counts, and doesn't show either."""
        conversations = read_conversations(self._recording)
        for nested in conversations:
            if is_beneath(nested, conversations):
                call = nested.lane.partition("/")[0]
                used = sum((turn.usage for turn in nested.turns), start=Usage())
                self._nested[call] = self._nested.get(call, Usage()) + used
        for conversation in conversations:
            if not is_beneath(conversation, conversations):
                self._play_conversation(conversation)

    def _play_conversation(self, conversation: Conversation) -> None:
        for turn in conversation.turns:
            if not self._is_first:
                self._step()
            self._is_first = False
            self._play_turn(turn)
        if self._display is not None:
            self._outputs.notes.line("The recording ends here, without an answer.", DIM)
            self._display = None

    def _play_turn(self, turn: Turn) -> None:
        if turn.is_exchange:
            words = [said.text for said in (*turn.added, *turn.said) if said.by in ("http", "status")]
            arrow = f" {self._outputs.notes.glyphs.arrow} "
            self._outputs.notes.line(one_line(arrow.join([*words, *filter(None, [turn.problem])])), DIM)
            return
        for said in turn.added:
            self._say(said)
        display = self._display or self._begin_run()
        for attempt in turn.failed:
            self._retry(display, attempt.number, self._answer(display, attempt.number))
        answered = self._answer(display, turn.number)
        self._turns += 1
        self._usage += turn.usage
        if answered.response is None:
            self._outputs.show_error(one_line(answered.problem))
            self._display = None
            return
        display.show(ResponseFinished(answered.response, self._turns))
        for call in turn.calls:
            self._show_call(display, call)
            self._usage += self._nested.pop(call.call_id, Usage())
        if not turn.calls:
            display.end(answered.response.output_text, turns=self._turns, usage=self._usage)
            self._display = None
            if answered.problem:
                self._outputs.notes.line(one_line(answered.problem), WARNING)

    def _begin_run(self) -> RunDisplay:
        self._display = RunDisplay(self._outputs, reasoning=self._reasoning, timed=False)
        self._turns, self._usage = 0, Usage()
        return self._display

    def _say(self, said: Said) -> None:
        """Show what the caller said, as it stands behind a chat's prompt."""
        notes = self._outputs.notes
        text = harmless(said.text).replace("\n", "\n" + " " * len(PROMPT))
        head = PROMPT if said.by == "user" else f"{one_line(said.by)}  "
        notes.line(f"{head}{text}", "bold" if said.by == "user" else DIM)

    def _answer(self, display: RunDisplay, number: int) -> Answered:
        """Show an answer as it comes, chunk by chunk."""
        interaction = self._recording.interactions[number - 1]
        reading = Reading(interaction)
        self._pace.begin()
        for chunk, events in enumerate(reading.events()):
            self._pace.wait(interaction, chunk)
            for event in events:
                display.show(event)
        return reading.answered

    def _retry(self, display: RunDisplay, number: int, answered: Answered) -> None:
        error = TransportError(answered.problem)
        if answered.partial:
            display.show(AttemptDiscarded(number, error))
        display.show(RetryWaiting(0.0, number, error))

    def _show_call(self, display: RunDisplay, call: Said) -> None:
        display.show(ToolStarted(call.call_id, call.name, call.text))
        output = call.output if call.output is not None else "no output was recorded"
        outcome = "not_run" if call.output is None else call.outcome
        display.show(ToolFinished(call.call_id, call.name, output, outcome))


def _go_on() -> None:
    """Play the next turn at once."""


def _wait_for_key(outputs: Outputs) -> Callable[[], None]:
    def wait() -> None:
        outputs.answer.break_line()
        outputs.notes.hint(HINT)
        key = read_key()
        outputs.notes.clear_hint()
        if key in ("q", "Q", END):
            raise _Ended

    return wait

from __future__ import annotations

import io

import pytest

from agentkit import Agent, Response, ToolError, Usage
from agentkit.cli.display import RunDisplay, call_head, duration, show_arguments, summary
from agentkit.cli.terminal import Glyphs, Outputs, Stream
from agentkit.errors import StreamBroken
from agentkit.events import (
    AttemptDiscarded,
    Event,
    OutputRejected,
    ReasoningDelta,
    ResponseFinished,
    RetryWaiting,
    TextDelta,
    ToolFinished,
    ToolProgress,
    ToolStarted,
)
from agentkit.testing import ScriptedModel


class Log(io.StringIO):
    encoding = "utf-8"


class Tty(Log):
    def isatty(self) -> bool:
        return True


class Screen:
    """A display, and what it wrote."""

    def __init__(self, *, answer_is_terminal: bool, notes_are_terminal: bool, **options: bool) -> None:
        self.answer = Tty() if answer_is_terminal else Log()
        self.notes = Tty() if notes_are_terminal else Log()
        answer = Stream(self.answer, {"NO_COLOR": "1"})
        shared = answer_is_terminal and notes_are_terminal
        notes = answer if shared else Stream(self.notes, {"NO_COLOR": "1"})
        self.display = RunDisplay(Outputs(answer, notes), clock=lambda: 0.0, **options)

    def show(self, *events: Event) -> Screen:
        for event in events:
            self.display.show(event)
        return self


def on_terminal(**options: bool) -> Screen:
    return Screen(answer_is_terminal=True, notes_are_terminal=True, **options)


def piped(**options: bool) -> Screen:
    return Screen(answer_is_terminal=False, notes_are_terminal=False, **options)


STARTED = ToolStarted("c1", "weather", '{"city": "Oslo"}')
FINISHED = ToolFinished("c1", "weather", '{"temp": 7}', "ok", 0.0123)
CALLED = ResponseFinished(
    Response({"output": [{"type": "function_call", "call_id": "c9", "name": "nope", "arguments": '{"a": [1, null]}'}]}),
    1,
)


def test_text_is_shown_as_it_comes_on_a_terminal() -> None:
    assert on_terminal().show(TextDelta("Take "), TextDelta("a\x1b coat")).answer.getvalue() == "Take a\\x1b coat"


def test_messages_begin_on_lines_of_their_own() -> None:
    screen = on_terminal().show(TextDelta("one", "m1"), TextDelta("two", "m2"))
    assert screen.answer.getvalue() == "one\ntwo"


def test_piped_text_waits_for_the_whole_answer() -> None:
    assert piped().show(TextDelta("Take ")).answer.getvalue() == ""


def test_a_call_is_one_line_that_begins_when_the_tool_does() -> None:
    screen = on_terminal().show(TextDelta("Hm."), STARTED)
    assert screen.answer.getvalue() == 'Hm.\n▸ weather(city="Oslo")'
    screen.show(FINISHED, TextDelta("7 C."))
    assert screen.answer.getvalue() == 'Hm.\n▸ weather(city="Oslo") → {"temp": 7} · 12 ms\n7 C.'


def test_in_a_log_a_call_is_written_when_it_ends() -> None:
    screen = piped().show(STARTED)
    assert screen.notes.getvalue() == ""
    screen.show(FINISHED)
    assert screen.notes.getvalue() == '▸ weather(city="Oslo") → {"temp": 7} · 12 ms\n'
    assert screen.answer.getvalue() == ""


def test_calls_that_end_out_of_order_are_told_apart() -> None:
    screen = on_terminal().show(
        STARTED,
        ToolStarted("c2", "clock", "{}"),
        ToolFinished("c2", "clock", "noon", "ok", 0.5),
        ToolFinished("c1", "weather", "rain", "ok", 2),
    )
    assert screen.answer.getvalue().splitlines() == [
        '▸ weather(city="Oslo")',
        "▸ clock() → noon · 500 ms",
        '▸ weather(city="Oslo") → rain · 2.0 s',
    ]


def test_a_call_that_never_ran_is_shown_with_its_arguments() -> None:
    screen = piped().show(CALLED, ToolFinished("c9", "nope", "there is no tool 'nope'", "not_run"))
    assert screen.notes.getvalue() == "▸ nope(a=[1, null]) ✗ there is no tool 'nope'\n"


def test_a_tool_that_raised_is_shown_with_its_place() -> None:
    with pytest.raises(KeyError) as caught:
        {}["x"]
    raised = caught.value
    screen = piped().show(STARTED, ToolFinished("c1", "weather", "KeyError: 'x'", "error", 0.001, raised))
    line, place = screen.notes.getvalue().splitlines()
    assert line == "▸ weather(city=\"Oslo\") ✗ KeyError: 'x' · 1 ms"
    assert place.startswith("  raised at test_display.py:")
    told = piped().show(STARTED, ToolFinished("c1", "weather", "no such city", "error", 0, ToolError("no such city")))
    assert "raised at" not in told.notes.getvalue()


def test_progress_retries_and_rejections_are_notes() -> None:
    screen = piped().show(
        ToolProgress("c1", "copy", {"done": 3}),
        RetryWaiting(2.0, 1, StreamBroken("the stream broke\x1b[2J")),
        OutputRejected("not JSON:\nline 2", 1),
    )
    assert screen.notes.getvalue().splitlines() == [
        "  copy: {'done': 3}",
        "! the stream broke\\x1b[2J. Trying again in 2.0 s.",
        "! answer 1 rejected: not JSON: line 2",
    ]


def test_text_of_a_broken_attempt_is_called_void() -> None:
    broken = AttemptDiscarded(1, StreamBroken("cut"))
    screen = on_terminal().show(TextDelta("Take a"), broken, TextDelta("Take a coat."))
    assert screen.answer.getvalue() == "Take a\n! this answer broke off: what stands above is void.\nTake a coat."
    assert piped().show(TextDelta("Take a"), broken).notes.getvalue() == ""
    apart = Screen(answer_is_terminal=True, notes_are_terminal=False).show(TextDelta("Take a"), broken)
    assert apart.answer.getvalue() == "Take a\n[broken off]\n"


def test_reasoning_is_shown_on_demand() -> None:
    events = (ReasoningDelta("I think\x07", "r1"), TextDelta("Hi", "m1"))
    assert on_terminal().show(*events).answer.getvalue() == "Hi"
    assert on_terminal(reasoning=True).show(*events).answer.getvalue() == "I think\\x07\nHi"


def finished(display: RunDisplay, agent: Agent[object], script: list[str]) -> None:
    with agent.stream_sync("hi", client=ScriptedModel(script).client()) as run:
        for event in run:
            display.show(event)
    display.finish(run.result)


@pytest.mark.parametrize("screen", [on_terminal(), piped()], ids=["terminal", "piped"])
def test_the_answer_is_there_once(screen: Screen) -> None:
    finished(screen.display, Agent(model="m"), ["Take a coat."])
    assert screen.answer.getvalue().splitlines()[0] == "Take a coat."
    assert screen.answer.getvalue().count("coat") == 1
    assert "1 turn · " in screen.answer.getvalue() + screen.notes.getvalue()


def test_a_structured_answer_is_json() -> None:
    screen = piped(as_text=False)
    finished(screen.display, Agent(model="m", output_type=list[str]), ['{"value": ["\x9b1m", "ø"]}'])
    assert screen.answer.getvalue() == '[\n  "\\u009b1m",\n  "ø"\n]\n'


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ('{"city": "Oslo", "unit": null}', 'city="Oslo", unit=null'),
        ("{}", ""),
        ("", ""),
        ("{broken", "{broken"),
        ("[1]", "[1]"),
        ('{"a": "\\u001b[2J\\n"}', 'a="\\u001b[2J\\n"'),
        ('{"\\u202e": "\\u202e"}', '\\u202e="\\u202e"'),
        ("[" * 100_000, "[" * 4096),
    ],
)
def test_arguments_read_like_a_call(arguments: str, shown: str) -> None:
    assert show_arguments(arguments) == shown


def test_a_call_leaves_room_for_its_result() -> None:
    assert call_head("weather", '{"city": "Oslo", "unit": null}', 39, Glyphs()) == '▸ weather(city="Oslo"…)'
    assert call_head("n" * 64, '{"city": "Oslo"}', 39, Glyphs()) == "▸ nnnnnnnnnnnnnnnnnn…(cit…)"
    assert call_head("f\x1b[2J", "{}", 79, Glyphs()) == "▸ f\\x1b[2J()"


@pytest.mark.parametrize(
    ("usage", "parts"),
    [
        (
            Usage(input_tokens=1317, output_tokens=90, total_latency=2.0),
            ["1 turn", "1,317 tokens in, 90 out", "45 tokens/s", "3.0 s"],
        ),
        (Usage(input_tokens=10, output_tokens=3), ["1 turn", "10 tokens in, 3 out", "3.0 tokens/s", "3.0 s"]),
        (Usage(unreported=1), ["1 turn", "tokens unknown", "3.0 s"]),
        (
            Usage(input_tokens=10, output_tokens=30, unreported=1),
            ["1 turn", "10 tokens in, 30 out (unknown for 1)", "30 tokens/s", "3.0 s"],
        ),
    ],
)
def test_the_last_line_says_what_it_took(usage: Usage, parts: list[str]) -> None:
    assert summary(1, usage, took_s=3.0, model_s=1.0) == parts


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "<1 ms"), (0.0124, "12 ms"), (0.9996, "1.0 s"), (1.25, "1.2 s"), (59.96, "1 min 0 s"), (125, "2 min 5 s")],
)
def test_times_are_short(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown

"""Calls and their outputs: the model's mistakes, the tools' failures, time limits, order."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Coroutine, Generator
from pathlib import Path

import pytest

from agentkit import (
    Agent,
    Image,
    LimitReached,
    Limits,
    OutputsEntry,
    Tool,
    ToolCall,
    ToolContext,
    ToolError,
    ToolFinished,
    ToolStarted,
    Transcript,
    tool,
)
from agentkit.testing import ScriptedModel, call
from tests.conftest import Enter


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def run_calls(*calls: object, tools: list[object], **options: object) -> list[ToolCall]:
    """Let the model make calls, and return what came of them."""
    model = ScriptedModel([list(calls), "ok"], rules=None)
    return Agent(model="m", tools=tools).run_sync("?", client=model.client(), **options).tool_calls


class TestMistakesOfTheModel:
    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ('{"a": 1, "b": ', "JSON"),
            ("", "JSON"),
            ("null", "object"),
            ("[1, 2]", "object"),
            ('"1"', "object"),
            ('{"a": 1}', "b"),
            ('{"a": 1, "b": 2, "c": 3}', "c"),
            ('{"a": true, "b": 2}', "a"),
            ('{"a": 1.5, "b": 2}', "a"),
            ('{"a": NaN, "b": 2}', "NaN"),
            ('{"a": 1e999, "b": 2}', "range"),
            ('{"a": 1, "a": 2, "b": 2}', "duplicate"),
            ('{"a": ' + "[" * 100_000 + "]" * 100_000 + ', "b": 1}', "nested"),
            ('{"a": ' + "9" * 5000 + ', "b": 1}', "digit"),
        ],
    )
    def test_wrong_arguments_are_told_and_nothing_runs(self, arguments: str, said: str) -> None:
        started = time.perf_counter()
        (made,) = run_calls(call("add", arguments), tools=[add])
        assert made.outcome == "not_run"
        assert said in made.output
        assert len(made.output) < 3000
        assert time.perf_counter() - started < 1

    @pytest.mark.parametrize(("arguments", "output"), [('{"a": "5", "b": 1.0}', "6"), ('{"a": 1, "b": 2}', "3")])
    def test_numbers_written_as_text_are_understood(self, arguments: str, output: str) -> None:
        (made,) = run_calls(call("add", arguments), tools=[add])
        assert (made.outcome, made.output) == ("ok", output)

    @pytest.mark.parametrize("name", ["Add", "functions.add", "ad", " add"])
    def test_an_unknown_name_is_told_the_near_ones_and_none_is_run(self, name: str) -> None:
        (made,) = run_calls(call(name, {"a": 1, "b": 2}), tools=[add])
        assert made.outcome == "not_run"
        assert "Did you mean: add?" in made.output

    def test_a_name_like_no_other_is_told_what_there_is(self) -> None:
        (made,) = run_calls(call("zzz", {}), tools=[add])
        assert made.output == "there is no tool 'zzz'. There are: add."

    def test_calls_without_any_tools_are_answered(self) -> None:
        (made,) = run_calls(call("add", {}), tools=[])
        assert "Answer without tools" in made.output

    def test_surplus_calls_get_an_error_and_the_rest_run(self) -> None:
        calls = [call("add", {"a": n, "b": 0}) for n in range(70)]
        made = run_calls(*calls, tools=[add])
        assert [m.outcome for m in made] == ["ok"] * 64 + ["not_run"] * 6
        assert "64" in made[-1].output

    def test_the_number_of_calls_can_be_set(self) -> None:
        made = run_calls(*[call("add", {"a": 1, "b": 2})] * 3, tools=[add], limits=Limits(calls_per_response=1))
        assert [m.outcome for m in made] == ["ok", "not_run", "not_run"]

    def test_equal_ids_are_both_answered_under_distinct_ones(self) -> None:
        model = ScriptedModel(
            [[call("add", {"a": 1, "b": 1}, call_id="x"), call("add", {"a": 2, "b": 2}, call_id="x")], "ok"], rules=None
        )
        result = Agent(model="m", tools=[add]).run_sync("?", client=model.client())
        sent = [(i.get("call_id"), i.get("output")) for i in model.requests[1]["input"][1:]]
        assert sent == [("x", None), ("x-2", None), ("x", "2"), ("x-2", "4")]
        entry = result.transcript.entries[2]
        assert isinstance(entry, OutputsEntry)
        assert entry.call_ids == ("x", "x")

    def test_the_same_unsafe_call_said_twice_runs_once(self) -> None:
        ran: list[int] = []

        @tool
        def pay(amount: int) -> str:
            ran.append(amount)
            return f"paid {amount}"

        made = run_calls(*[call("pay", {"amount": 5}, call_id="x")] * 2, tools=[pay])
        assert ran == [5]
        assert [m.output for m in made] == ["paid 5", "paid 5"]

    def test_the_same_call_under_another_id_is_another_call(self) -> None:
        made = run_calls(call("add", {"a": 1, "b": 1}), call("add", {"a": 1, "b": 1}), tools=[add])
        assert [m.outcome for m in made] == ["ok", "ok"]

    def test_the_same_call_again_and_again_is_warned_about(self, caplog: pytest.LogCaptureFixture) -> None:
        model = ScriptedModel([[call("add", {"a": 1, "b": 1})]] * 21 + ["ok"])
        with caplog.at_level(logging.WARNING, "agentkit"):
            Agent(model="m", tools=[add]).run_sync("?", client=model.client())
        assert ["20 times in a row" in r.getMessage() for r in caplog.records] == [True]


class TestFailuresOfTools:
    def test_a_tool_error_is_told_as_it_is(self) -> None:
        @tool
        def find(city: str) -> str:
            raise ToolError("no city called 'Osloo'; did you mean 'Oslo'?")

        (made,) = run_calls(call("find", {"city": "Osloo"}), tools=[find])
        assert (made.outcome, made.output) == ("error", "no city called 'Osloo'; did you mean 'Oslo'?")

    @pytest.mark.parametrize("kind", ["sync", "async"])
    def test_any_other_exception_is_told_by_type_and_message_and_kept_whole(self, kind: str) -> None:
        def fail() -> None:
            raise ZeroDivisionError("no such luck")

        async def fail_async() -> None:
            fail()

        (made,) = run_calls(call("fail", {}), tools=[tool(fail if kind == "sync" else fail_async, name="fail")])
        assert made.output == "ZeroDivisionError: no such luck"
        assert isinstance(made.exception, ZeroDivisionError)
        assert made.exception.__traceback__ is not None

    @pytest.mark.parametrize("error", [SystemExit(3), asyncio.CancelledError(), StopIteration(), GeneratorExit()])
    @pytest.mark.parametrize("kind", ["sync", "async"])
    def test_exits_and_cancels_of_a_tool_are_its_own(self, kind: str, error: BaseException) -> None:
        def leave() -> None:
            raise error

        async def leave_async() -> None:
            raise error

        (made,) = run_calls(call("leave", {}), tools=[tool(leave if kind == "sync" else leave_async, name="leave")])
        assert made.outcome == "error"
        assert type(error).__name__ in made.output or "StopIteration" in made.output

    @pytest.mark.parametrize("kind", ["sync", "async"])
    def test_a_keyboard_interrupt_in_a_tool_ends_the_run(self, kind: str) -> None:
        @tool(name="stop")
        def stop() -> None:
            raise KeyboardInterrupt

        @tool(name="stop")
        async def stop_async() -> None:
            raise KeyboardInterrupt

        model = ScriptedModel([[call("stop", {}), call("add", {"a": 1, "b": 1})], "never"])
        agent = Agent(model="m", tools=[stop if kind == "sync" else stop_async, add])
        with pytest.raises(KeyboardInterrupt) as caught:
            agent.run_sync("?", client=model.client())
        assert caught.value.transcript.open_calls == []  # type: ignore[attr-defined]
        assert len(model.requests) == 1

    def test_an_output_without_a_json_form_is_told(self) -> None:
        @tool
        def thing() -> object:
            return object()

        (made,) = run_calls(call("thing", {}), tools=[thing])
        assert made.outcome == "error"
        assert "0x" not in made.output


class TestTime:
    def test_an_async_tool_that_hangs_times_out(self) -> None:
        cancelled = threading.Event()

        @tool(timeout_s=0.02)
        async def hang() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

        (made,) = run_calls(call("hang", {}), tools=[hang])
        assert made.outcome == "timeout"
        assert made.output == "timed out after 0.02 s; it may still be running, outcome unknown"
        assert cancelled.wait(2)

    def test_a_sync_tool_that_hangs_times_out_and_its_late_result_is_dropped(self) -> None:
        release = threading.Event()

        @tool(timeout_s=0.02)
        def hang() -> str:
            release.wait(5)
            return "late"

        (made,) = run_calls(call("hang", {}), tools=[hang])
        assert made.outcome == "timeout"
        release.set()

    def test_a_hung_sync_tool_does_not_hold_up_the_others(self) -> None:
        release = threading.Event()

        @tool(timeout_s=0.05)
        def hang() -> str:
            release.wait(5)
            return "late"

        made = run_calls(call("hang", {}), call("add", {"a": 1, "b": 1}), tools=[hang, add])
        assert [m.outcome for m in made] == ["timeout", "ok"]
        release.set()

    def test_sync_code_in_an_async_tool_is_warned_about(self) -> None:
        warned = threading.Event()
        said: list[str] = []

        class Watch(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                said.append(record.getMessage())
                if "blocked" in said[-1]:
                    warned.set()

        @tool
        async def block() -> bool:
            return warned.wait(30)

        handler = Watch()
        logging.getLogger("agentkit").addHandler(handler)
        try:
            (made,) = run_calls(call("block", {}), tools=[block])
        finally:
            logging.getLogger("agentkit").removeHandler(handler)
        assert made.output == "true"
        assert "Make it a plain def" in said[0]
        assert "warned.wait" in said[0]


class TestTogether:
    @pytest.mark.parametrize("kind", ["sync", "async"])
    def test_calls_run_together_and_outputs_stay_in_call_order(self, kind: str, enter: Enter) -> None:
        both = threading.Barrier(8)

        @tool(name="meet")
        def meet(n: int) -> int:
            both.wait(5)
            return n

        arrived: list[int] = []
        everyone = asyncio.Event()

        @tool(name="meet")
        async def meet_async(n: int) -> int:
            arrived.append(n)
            if len(arrived) == 8:
                everyone.set()
            await everyone.wait()
            return n

        model = ScriptedModel([[call("meet", {"n": n}) for n in range(8)], "ok"])
        agent = Agent(model="m", tools=[meet if kind == "sync" else meet_async])
        seen = enter(agent, "?", client=model.client())
        outputs = [i["output"] for i in seen.transcript.items if i["type"] == "function_call_output"]
        assert outputs == [str(n) for n in range(8)]

    def test_a_tool_that_is_not_parallel_runs_alone(self) -> None:
        running: list[str] = []
        seen: list[list[str]] = []
        lock = threading.Lock()

        def enter(name: str) -> None:
            with lock:
                running.append(name)
                seen.append(list(running))

        def leave(name: str) -> None:
            with lock:
                running.remove(name)

        @tool
        def shared() -> None:
            enter("shared")
            leave("shared")

        @tool(parallel=False)
        def alone() -> None:
            enter("alone")
            leave("alone")

        run_calls(*[call("shared", {})] * 3, call("alone", {}), call("shared", {}), tools=[shared, alone])
        assert ["alone"] in seen
        assert not [names for names in seen if "alone" in names and len(names) > 1]

    def test_contextvars_go_in_and_do_not_leak_out(self) -> None:
        user: contextvars.ContextVar[str] = contextvars.ContextVar("user", default="nobody")

        @tool
        def who() -> str:
            before = user.get()
            user.set("changed")
            return before

        @tool
        async def who_async() -> str:
            before = user.get()
            user.set("changed")
            return before

        user.set("ada")
        made = run_calls(call("who", {}), call("who_async", {}), call("who", {}), tools=[who, who_async])
        assert [m.output for m in made] == ["ada"] * 3
        assert user.get() == "ada"

    def test_a_changed_directory_or_environment_is_warned_about(
        self, caplog: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(Path.cwd())
        monkeypatch.setenv("AGENTKIT_TEST", "before")

        @tool
        def wander() -> None:
            os.chdir(tmp_path)
            os.environ["AGENTKIT_TEST"] = "after"

        run_calls(call("wander", {}), tools=[wander])
        said = [record.getMessage() for record in caplog.records]
        assert any("working directory changed while wander ran" in line for line in said)
        assert any("AGENTKIT_TEST" in line and "after" not in line for line in said)


class TestWhatToolsAreGiven:
    def test_the_context(self) -> None:
        seen: list[ToolContext[str]] = []

        @tool
        def look(ctx: ToolContext[str]) -> str:
            seen.append(ctx)
            return ctx.deps

        run_calls(call("look", {}), call("look", {}), tools=[look], deps="the deps")
        assert sorted((c.deps, c.call_id, c.tool_name) for c in seen) == [
            ("the deps", "call_1", "look"),
            ("the deps", "call_2", "look"),
        ]
        assert len({c.idempotency_key for c in seen}) == 2

    def test_arguments_are_fresh_values(self) -> None:
        @tool
        def spoil(names: list[str]) -> int:
            names.append("x")
            return len(names)

        made = run_calls(*[call("spoil", {"names": ["a"]})] * 2, tools=[spoil])
        assert [m.output for m in made] == ["2", "2"]
        assert made[0].arguments == '{"names":["a"]}'


def wrapped(function: Callable[..., object]) -> Callable[..., object]:
    @functools.wraps(function)
    def wrapper(*args: object, **kwargs: object) -> object:
        return function(*args, **kwargs)

    return wrapper


async def double(n: int) -> int:
    """Double a number."""
    await asyncio.sleep(0)
    return 2 * n


class Doubler:
    def __call__(self, n: int) -> object:
        return double(n)


class Later:
    def __await__(self) -> Generator[object, None, int]:
        return double(4).__await__()


def later(n: int) -> Later:
    return Later()


SYNC_AND_YET_AWAITABLE = {
    "wrapper": tool(wrapped(double)),
    "object": tool(Doubler(), name="double"),
    "partial": tool(functools.partial(wrapped(double)), name="double"),
    "lambda": Tool.from_schema("double", None, {"properties": {"n": {"type": "integer"}}}, lambda n: double(n)),
    "awaitable": tool(later, name="double"),
}


class TestSyncToolsThatReturnCoroutines:
    @pytest.mark.parametrize("made", SYNC_AND_YET_AWAITABLE.values(), ids=SYNC_AND_YET_AWAITABLE)
    def test_what_they_return_is_awaited(self, made: Tool[..., object]) -> None:
        assert not made.is_async
        (found,) = run_calls(call("double", {"n": 4}), tools=[made])
        assert (found.outcome, found.output) == ("ok", "8")

    def test_what_they_raise_is_told(self) -> None:
        @tool
        @wrapped
        async def fail() -> None:
            raise ToolError("no")

        (found,) = run_calls(call("fail", {}), tools=[fail])
        assert (found.outcome, found.output) == ("error", "no")

    def test_they_have_one_context_and_the_loop(self) -> None:
        variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")

        async def inner() -> list[object]:
            return [variable.get(), threading.current_thread().name.startswith("agentkit-tool")]

        @tool
        def outer() -> object:
            variable.set("set in the thread")
            return inner()

        (found,) = run_calls(call("outer", {}), tools=[outer])
        assert found.output == '["set in the thread",false]'

    def test_they_time_out_and_are_cancelled(self) -> None:
        cancelled = threading.Event()

        @tool(timeout_s=0.1)
        @wrapped
        async def hang() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

        (found,) = run_calls(call("hang", {}), tools=[hang])
        assert found.outcome == "timeout"
        assert cancelled.wait(2)

    def test_a_coroutine_that_comes_too_late_is_closed(self) -> None:
        """Python would warn that it was never awaited."""
        made = threading.Event()
        coroutines: list[Coroutine[object, object, int]] = []

        @tool(timeout_s=0.02)
        def slow() -> object:
            time.sleep(0.1)
            coroutines.append(double(1))
            made.set()
            return coroutines[0]

        @tool
        def wait() -> None:
            made.wait(5)
            time.sleep(0.1)

        found = run_calls(call("slow", {}), call("wait", {}), tools=[slow, wait])
        assert [item.outcome for item in found] == ["timeout", "ok"]
        assert inspect.getcoroutinestate(coroutines[0]) == inspect.CORO_CLOSED


def test_progress_after_the_loop_was_closed_is_dropped() -> None:
    release, errors = threading.Event(), queue.SimpleQueue[BaseException | None]()

    @tool(timeout_s=0.02)
    def report(ctx: ToolContext[None]) -> None:
        release.wait(5)
        try:
            ctx.emit("late")
        except BaseException as exc:
            errors.put(exc)
            raise
        errors.put(None)

    async def main() -> None:
        model = ScriptedModel([[call("report", {})], "ok"], rules=None)
        await Agent(model="m", tools=[report]).run("?", client=model.client())

    asyncio.run(main())
    release.set()
    assert errors.get(timeout=5) is None


def test_lone_surrogates_in_a_tool_error_are_written_out() -> None:
    @tool
    def fail() -> None:
        raise ToolError("no file caf\udce9")

    (found,) = run_calls(call("fail", {}), tools=[fail])
    assert found.output == r"no file caf\udce9"


class TestOutputs:
    def test_a_long_output_is_cut_for_the_model_and_kept_whole(self, enter: Enter) -> None:
        @tool
        def read() -> str:
            return "x" * 200_000

        model = ScriptedModel([[call("read", {})], "ok"])
        seen = enter(Agent(model="m", tools=[read]), "?", client=model.client())
        sent = model.requests[1]["input"][2]["output"]
        assert len(sent) < 70_000
        entry = seen.transcript.entries[2]
        assert isinstance(entry, OutputsEntry)
        assert entry.records[0].full == "x" * 200_000

    def test_pictures_go_as_parts_where_the_server_takes_them(self) -> None:
        @tool
        def draw() -> Image:
            return Image.from_bytes(b"\x89PNG\r\n\x1a\n")

        for parts in (True, False):
            model = ScriptedModel([[call("draw", {})], "ok"], rules=None)
            Agent(model="m", tools=[draw]).run_sync("?", client=model.client(tool_output_parts=parts))
            output = model.requests[1]["input"][2]["output"]
            if parts:
                assert output == [{"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo="}]
            else:
                assert isinstance(output, str)
                assert "image/png" in output
                assert "iVBOR" not in output

    def test_events_name_call_and_outcome(self) -> None:
        model = ScriptedModel([[call("add", {"a": 1, "b": 1}), call("nope", {})], "ok"])
        with Agent(model="m", tools=[add]).stream_sync("?", client=model.client()) as run:
            events = [event for event in run if isinstance(event, ToolStarted | ToolFinished)]
        assert [(type(e).__name__, e.name) for e in events] == [
            ("ToolFinished", "nope"),
            ("ToolStarted", "add"),
            ("ToolFinished", "add"),
        ]


class TestIdempotencyKeys:
    def test_a_call_keeps_its_key_when_the_run_is_resumed(self) -> None:
        keys: list[str] = []

        @tool(effect="idempotent")
        def pay(ctx: ToolContext[None]) -> str:
            keys.append(ctx.idempotency_key)
            return "paid"

        model = ScriptedModel([[call("pay", {})], "ok", "ok"])
        agent = Agent(model="m", tools=[pay])
        with pytest.raises(LimitReached) as caught:
            agent.run_sync("?", client=model.client(), limits=Limits(tool_calls=0))
        stopped = Transcript.from_json(caught.value.transcript.to_json())  # type: ignore[union-attr]
        for _ in range(2):
            agent.run_sync(transcript=stopped, client=model.client())
        assert len(keys) == 2
        assert len(set(keys)) == 1
        agent.run_sync("?", client=ScriptedModel([[call("pay", {})], "ok"]).client())
        assert len(set(keys)) == 2

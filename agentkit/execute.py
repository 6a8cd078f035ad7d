"""Running the calls of one response: arguments checked, functions run together, outputs in call order.

Whatever happens, every call gets exactly one output. The model's mistakes become outputs that say what was
wrong and what is valid; a tool's failure becomes an output too, and stays whole for the developer.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import difflib
import inspect
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from agentkit import json
from agentkit.arguments import ArgumentsError
from agentkit.entries import OutputRecord, OutputsEntry, encode_items
from agentkit.errors import CassetteError, ToolError
from agentkit.events import Event, ToolFinished, ToolProgress, ToolStarted
from agentkit.items import function_call_output
from agentkit.meter import RunsTooDeep
from agentkit.output import EncodedOutput, OutputError, encode_output, sendable
from agentkit.response import Usage
from agentkit.surroundings import Surroundings
from agentkit.tools import Tool, ToolContext

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterator, Mapping, Sequence

    from agentkit.entries import Outcome
    from agentkit.items import FunctionCall
    from agentkit.tape import RecordedOutput, Track
    from agentkit.watchdog import Watchdog
    from agentkit.workers import Workers

GRACE_S = 5.0
"""How long an async tool that timed out may take to wind up before it is left behind."""
SETTLE_S = 0.1
"""How long a cancelled run waits for sync tools, which can't be cancelled."""
CANCEL_GRACE_S = 0.7
"""How long it waits for async tools after that; a cancelled run returns within a second."""

_log = logging.getLogger("agentkit")


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call, and what came of it."""

    call_id: str
    """The call's id, as received."""
    name: str
    """The tool, as the model named it."""
    arguments: str
    """The arguments, as the model wrote them."""
    output: str
    """What the model was told."""
    outcome: Outcome
    """`ok`, `error`, `timeout`, `cancelled` or `not_run`."""
    duration_s: float = 0.0
    """Seconds it ran."""
    exception: BaseException | None = None
    """What the tool raised, traceback and all."""
    full: str | None = None
    """The whole output where the model got a cut one."""


@dataclass(slots=True)
class _Raised:
    """What a tool raised instead of returning."""

    error: BaseException


@dataclass(slots=True)
class _Handed:
    """What a sync tool returned to be awaited, such as the coroutine of the async function that it wraps."""

    awaitable: Awaitable[object]
    context: contextvars.Context
    """The context that the tool ran in."""

    def close(self, _: object = None) -> None:
        """Give it up: Python would warn, later and elsewhere, that it was never awaited."""
        if inspect.iscoroutine(self.awaitable):
            self.awaitable.close()


@dataclass(slots=True)
class _Call:
    """One call on its way from asked to answered."""

    call: FunctionCall
    index: int
    tool: Tool[..., object] | None = None
    arguments: dict[str, object] | None = None
    started_at: float | None = None
    deadline: float | None = None
    task: asyncio.Task[object] | None = None
    output: EncodedOutput | None = None
    outcome: Outcome = "ok"
    error: BaseException | None = None
    duration_s: float = 0.0
    twin: _Call | None = None
    """The earlier call that this one repeats to the letter: it gets the same output without running."""

    @property
    def is_running(self) -> bool:
        return self.started_at is not None and self.output is None


class Execution:
    """The calls of one response being run. `events` runs them; `entry` is what goes into the transcript."""

    def __init__(
        self,
        calls: Sequence[FunctionCall],
        tools: Mapping[str, Tool[..., object]],
        *,
        deps: object,
        key: str,
        most: int,
        parts_allowed: bool,
        allowed: Collection[str] | None,
        enter: Callable[[FunctionCall, str], object],
        track: Track | None = None,
        place: str = "",
        workers: Callable[[], Workers],
        watchdog: Callable[[], Watchdog],
    ) -> None:
        """`allowed` are the tools that this turn may call, None for all; `enter` is called in the context that
        each tool runs in. `track` is the run's way through a cassette, which may hold the outputs; `place`
        says which response of the run this is."""
        self._tools = tools
        self._deps = deps
        self._key = key
        self._most = most
        self._parts_allowed = parts_allowed
        self._allowed = allowed
        self._enter = enter
        self._track = track
        self._place = place
        self._workers = workers
        self._watchdog = watchdog
        self._queue: list[Event] = []
        self._loop = asyncio.get_running_loop()
        self._wake: asyncio.Future[None] | None = None
        self._abandoned = False
        self.calls = [_Call(call, index) for index, call in enumerate(calls)]
        self.recorded_usage = Usage()
        """What the agents nested in calls had used whose outputs came from a cassette."""
        self.interrupt: BaseException | None = None
        """What came out of a tool and ends the run: a KeyboardInterrupt, a cassette's error, runs nested too deep."""

    async def events(self) -> AsyncGenerator[tuple[Event, ...]]:
        """Run the calls and yield what happens, together what came together.

        Cancelling or closing this leaves calls for `abandon`.
        """
        for state in self.calls:
            self._prepare(state)
        surroundings = Surroundings()
        for batch in self._batches():
            for state in batch:
                self._start(state)
            while True:
                while self._queue:
                    yield self._take_queue()
                running = [state for state in batch if state.is_running]
                if not running or self.interrupt is not None:
                    break
                await self._next_happening(running)
            if self.interrupt is not None:
                return
        for state in self.calls:
            if state.twin is not None:
                self._finish(state, cast("EncodedOutput", state.twin.output), state.twin.outcome, state.twin.error)
        while self._queue:
            yield self._take_queue()
        surroundings.warn_of_changes(", ".join(sorted({state.call.name for state in self.calls})))

    def _take_queue(self) -> tuple[Event, ...]:
        events, self._queue = tuple(self._queue), []
        return events

    async def abandon(self) -> None:
        """Answer every call that has no output yet, cancelling those that run."""
        self._abandoned = True
        running = [state.task for state in self.calls if state.is_running and state.task is not None]
        for task in running:
            task.cancel()
        try:
            await self._settle()
            if running:
                await asyncio.wait(running, timeout=CANCEL_GRACE_S)
        finally:
            self._answer_the_rest()

    async def _settle(self) -> None:
        """Let threads that are just ending say so: a real output is worth more than an unknown outcome."""
        until = self._loop.time() + SETTLE_S
        while (left := until - self._loop.time()) > 0 and any(s.is_running and s.task is None for s in self.calls):
            self._wake = self._loop.create_future()
            await asyncio.wait({self._wake}, timeout=left)

    def _answer_the_rest(self) -> None:
        for state in self.calls:
            if state.task is not None and state.output is None and state.task.done() and not state.task.cancelled():
                self._take_result(state, state.task.result())
            if state.output is None:
                if state.is_running:
                    self._finish(state, _text("cancelled; it was running, so the outcome is unknown"), "cancelled")
                else:
                    self._finish(state, _text("not run: cancelled"), "not_run")

    @property
    def has_begun(self) -> bool:
        """Whether any call was started."""
        return any(state.started_at is not None for state in self.calls)

    def tool_calls(self) -> list[ToolCall]:
        """Return the calls as the developer sees them, in call order."""
        return [
            ToolCall(
                call_id=state.call.call_id,
                name=state.call.name,
                arguments=state.call.arguments,
                output=output.text,
                outcome=state.outcome,
                duration_s=state.duration_s,
                exception=state.error,
                full=output.full,
            )
            for state in self.calls
            if (output := state.output) is not None
        ]

    def entry(self) -> OutputsEntry:
        """Return the outputs, in call order."""
        records: list[OutputRecord] = []
        items = []
        final_found = False
        for state in self.calls:
            output = cast("EncodedOutput", state.output)
            is_final = state.tool is not None and state.tool.final and state.outcome == "ok" and not final_found
            final_found = final_found or is_final
            items.append(
                function_call_output(state.call.call_id, output.text if output.parts is None else output.parts)
            )
            records.append(
                OutputRecord(state.call.call_id, state.call.name, state.outcome, final=is_final, full=output.full)
            )
        return OutputsEntry(encode_items(items), tuple(records))

    def _prepare(self, state: _Call) -> None:
        """Find the tool and check the arguments; what is wrong with them is the call's output."""
        call = state.call
        state.tool = self._tools.get(call.name)
        if state.index >= self._most:
            self._finish(
                state, _text(f"not run: more than {self._most} calls in one response. Call it again."), "not_run"
            )
        elif state.tool is None:
            self._finish(state, _text(_unknown_tool(call.name, self._tools)), "not_run")
        elif self._allowed is not None and call.name not in self._allowed:
            rest = f"allowed are {', '.join(sorted(self._allowed))}" if self._allowed else "answer without tools"
            self._finish(state, _text(f"not run: {call.name!r} may not be called in this turn; {rest}"), "not_run")
        elif (twin := self._find_twin(state)) is not None:
            state.twin = twin
        else:
            try:
                state.arguments = state.tool.check(call.arguments)
            except ArgumentsError as exc:
                self._finish(state, _text(str(exc)), "not_run", exc)

    def _find_twin(self, state: _Call) -> _Call | None:
        """Return an earlier call with the same id, name and arguments: the server said the same thing twice."""
        return next(
            (
                earlier
                for earlier in self.calls[: state.index]
                if earlier.call == state.call and earlier.twin is None and state.tool is not None
                if state.tool.effect == "unsafe"
            ),
            None,
        )

    def _batches(self) -> Iterator[list[_Call]]:
        """Yield the calls in groups that may run together."""
        batch: list[_Call] = []
        for state in self.calls:
            if state.output is not None or state.twin is not None or state.tool is None:
                continue
            if state.tool.parallel:
                batch.append(state)
                continue
            if batch:
                yield batch
            yield [state]
            batch = []
        yield batch

    def _start(self, state: _Call) -> None:
        tool = cast("Tool[..., object]", state.tool)
        call = state.call
        place = f"{self._place}.{state.index}"
        context: ToolContext[object] = ToolContext(
            deps=self._deps,
            call_id=call.call_id,
            idempotency_key=f"{self._key}-{state.index}",
            tool_name=call.name,
            emit=lambda data: self._progress(call, data),
            sources=self._track,
            place=place,
        )
        args, kwargs = tool.bind(cast("dict[str, object]", state.arguments), context)
        state.started_at = time.monotonic()
        if self._track is not None and (recorded := self._track.output_of(call, state.index)) is not None:
            self._emit(ToolStarted(call.call_id, call.name, call.arguments))
            self._take_recorded(state, recorded)
            return
        if tool.timeout_s is not None:
            state.deadline = state.started_at + tool.timeout_s
        self._emit(ToolStarted(call.call_id, call.name, call.arguments))
        carried = contextvars.copy_context()
        carried.run(self._enter, call, place)
        if tool.is_async:
            self._start_task(state, lambda: cast("Awaitable[object]", tool.function(*args, **kwargs)), carried)
        else:
            self._workers().submit(
                lambda: carried.run(self._run_sync, tool, args, kwargs), lambda result: self._take_result(state, result)
            )

    def _start_task(
        self, state: _Call, begin: Callable[[], Awaitable[object]], context: contextvars.Context
    ) -> asyncio.Task[object]:
        name = state.call.name
        self._watchdog().watch(name)
        task = self._loop.create_task(self._run_async(begin), name=f"agentkit tool {name}", context=context)
        task.add_done_callback(lambda task: self._task_done(state, task))
        state.task = task
        return task

    async def _run_async(self, begin: Callable[[], Awaitable[object]]) -> object:
        try:
            return encode_output(await begin(), parts_allowed=self._parts_allowed)
        except asyncio.CancelledError:
            raise
        except BaseException as exc:  # noqa: BLE001  (SystemExit and KeyboardInterrupt in a task would end the loop)
            return _Raised(exc)

    def _run_sync(self, tool: Tool[..., object], args: tuple[object, ...], kwargs: dict[str, object]) -> object:
        try:
            value = tool.function(*args, **kwargs)
            if not inspect.isawaitable(value):
                return encode_output(value, parts_allowed=self._parts_allowed)
        except BaseException as exc:  # noqa: BLE001  (whatever it is, it belongs to the call, not to the thread)
            return _Raised(exc)
        handed = _Handed(value, contextvars.copy_context())
        if self._loop.is_closed():
            handed.close()
        return handed

    def _task_done(self, state: _Call, task: asyncio.Task[object]) -> None:
        if task.cancelled():
            if self._abandoned or state.output is not None:
                return
            self._take_result(state, _Raised(asyncio.CancelledError("the tool cancelled itself")))
        else:
            self._take_result(state, task.result())

    def _take_result(self, state: _Call, result: object) -> None:
        if isinstance(result, _Handed):
            self._take_over(state, result)
            return
        if state.output is not None:
            return  # it came too late: the model has been told that it timed out
        if not isinstance(result, _Raised):
            self._finish(state, cast("EncodedOutput", result), "ok")
            return
        error = result.error
        if isinstance(error, KeyboardInterrupt | CassetteError | RunsTooDeep):
            self.interrupt = self.interrupt or error
        self._finish(state, _text(describe_error(error)), "error", error)

    def _take_over(self, state: _Call, handed: _Handed) -> None:
        """Await what a sync tool returned, as if the tool had been async."""
        if state.output is not None or self._abandoned:
            handed.close()
        else:
            task = self._start_task(state, lambda: handed.awaitable, handed.context)
            task.add_done_callback(handed.close)  # a task that is cancelled before it starts awaits nothing

    def _finish(
        self, state: _Call, output: EncodedOutput, outcome: Outcome, error: BaseException | None = None
    ) -> None:
        if self._track is not None and state.started_at is not None and state.twin is None:
            recorded = self._track.settle_output(state.call, state.index, output.output, outcome, output.full)
            if recorded is not None:
                output, outcome = _encoded(recorded), recorded.outcome
        self._conclude(state, output, outcome, error)

    def _take_recorded(self, state: _Call, recorded: RecordedOutput) -> None:
        if recorded.usage is not None:
            self.recorded_usage += recorded.usage
        self._conclude(state, _encoded(recorded), recorded.outcome)

    def _conclude(
        self, state: _Call, output: EncodedOutput, outcome: Outcome, error: BaseException | None = None
    ) -> None:
        state.output, state.outcome, state.error = output, outcome, error
        state.duration_s = 0.0 if state.started_at is None else time.monotonic() - state.started_at
        call = state.call
        if error is not None and outcome == "error" and not isinstance(error, ToolError):
            _log.info("tool %s raised %s", call.name, type(error).__name__, exc_info=error)
        self._emit(ToolFinished(call.call_id, call.name, output.text, outcome, state.duration_s, error))

    def _progress(self, call: FunctionCall, data: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed while the tool still ran
            self._loop.call_soon_threadsafe(self._emit, ToolProgress(call.call_id, call.name, data))

    def _emit(self, event: Event) -> None:
        self._queue.append(event)
        if self._wake is not None:
            _set(self._wake)

    async def _next_happening(self, running: list[_Call]) -> None:
        """Wait until there is an event to show, or a call's time is over."""
        self._wake = self._loop.create_future()
        deadlines = [state.deadline for state in running if state.deadline is not None]
        timer = None
        if deadlines:
            wait = max(0.0, min(deadlines) - time.monotonic())
            timer = self._loop.call_later(wait, _set, self._wake)
        try:
            await self._wake
        finally:
            self._wake = None
            if timer is not None:
                timer.cancel()
        now = time.monotonic()
        for state in running:
            if state.is_running and state.deadline is not None and now >= state.deadline:
                self._time_out(state)

    def _time_out(self, state: _Call) -> None:
        tool = cast("Tool[..., object]", state.tool)
        said = f"timed out after {tool.timeout_s:g} s; it may still be running, outcome unknown"
        self._finish(state, _text(said), "timeout", TimeoutError(said))
        if state.task is None:
            _log.warning(
                "tool %s timed out after %g s; its thread can't be stopped, and goes on", tool.name, tool.timeout_s
            )
            return
        task = state.task
        task.cancel()
        self._loop.call_later(GRACE_S, _report_if_running, task, tool.name)


def _set(wake: asyncio.Future[None]) -> None:
    if not wake.done():
        wake.set_result(None)


def _report_if_running(task: asyncio.Task[object], name: str) -> None:
    if not task.done():
        _log.warning("tool %s was cancelled %g s ago and still runs; it is left behind", name, GRACE_S)


def describe_error(error: BaseException) -> str:
    """Return what the model is told of an exception: its type and message, no traceback."""
    if isinstance(error, ToolError | OutputError):
        return str(error)
    said = str(error)
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def _unknown_tool(name: str, tools: Mapping[str, object]) -> str:
    """Name the tools that are near; running one of them unasked would be a guess."""
    if not tools:
        return f"there is no tool {name[:100]!r}, nor any other. Answer without tools."
    bare = name.strip().lower().removeprefix("functions.")
    same = [known for known in tools if known.lower() == bare]
    near = same or difflib.get_close_matches(bare, tools, n=3, cutoff=0.6)
    listed = ", ".join(near or sorted(tools)[:20])
    return f"there is no tool {name[:100]!r}. {f'Did you mean: {listed}?' if near else f'There are: {listed}.'}"


def _encoded(recorded: RecordedOutput) -> EncodedOutput:
    output = recorded.output
    if isinstance(output, str):
        return EncodedOutput(output, full=recorded.full)
    return EncodedOutput(json.encode(output).decode(), recorded.full, tuple(output))


def _text(text: str) -> EncodedOutput:
    return EncodedOutput(sendable(text))

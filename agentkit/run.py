"""The driver: one loop around `next_action`, for plain and streamed runs, sync and async.

A run is an async generator of events. `run` drains it, `stream` shows it, the sync forms step it on the
background loop. Whatever ends it, the transcript is in order first: every call that was started has an output.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import logging
import sys
import threading
import uuid
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from agentkit.closing import closing
from agentkit.entries import InputEntry, ResponseEntry, encode_items
from agentkit.errors import LimitReached, OutputInvalid, ProtocolError, StatusError, UsageError
from agentkit.events import Event, OutputRejected, ResponseFinished, TextDelta
from agentkit.execute import Execution, ToolCall
from agentkit.items import user_message
from agentkit.meter import ACTIVE, Meter
from agentkit.plan import Result
from agentkit.request import RequestTemplate
from agentkit.response import Response, Usage
from agentkit.status import UNREADABLE_CALL
from agentkit.step import AskModel, Finish, RunCalls, Stop, next_action
from agentkit.tape import LANE, begin_track
from agentkit.view import InputView
from agentkit.watchdog import Watchdog
from agentkit.workers import Workers

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
    from types import TracebackType

    from agentkit.client import Client
    from agentkit.entries import Entry
    from agentkit.items import FunctionCall, Item
    from agentkit.plan import RunPlan
    from agentkit.step import Action
    from agentkit.transcript import Transcript

T = TypeVar("T")

REPEATS = 20
"""How many times in a row the same call is made before a warning."""
BLOCK = 64
"""Entries that are joined for good, so that a request has few pieces to join: 2,000 take 60 µs."""
HEARTBEAT_S = 0.1
KNOWN_ITEMS = {"message", "reasoning", "function_call"}
"""Types of items that mean something here."""

_log = logging.getLogger("agentkit")


class Run(Generic[T]):
    """A run seen from inside: iterate for its events.

        async with agent.stream("...") as run:
            async for event in run: ...
        run.result

    Leaving the block, or `break`, ends the run; its `transcript` is then in order, and can be continued.
    """

    def __init__(self, plan: RunPlan[T]) -> None:
        self._plan = plan
        self._transcript = plan.transcript
        self._start = len(plan.transcript.entries)
        self._result: Result[T] | None = None
        self._events: AsyncGenerator[tuple[Event, ...]] | None = None
        self._ready: deque[Event] = deque()  # events that came with the last one
        self._stepper: asyncio.Task[object] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._halted: str | None = None
        self._closed = False
        self._id = uuid.uuid4().hex[:12]
        self._turns = 0
        self._response: Response | None = None
        self._next: Action | None = None  # known while the response is still decoded
        self._tool_calls: list[ToolCall] = []
        self._rejected = 0
        self._repeats: tuple[object, int] = (None, 0)
        self._forcing = plan.settings.forces_call
        self._asked_again = False
        self._told_unreadable = False
        self._usage_warned = False
        self._unknown_items: set[str] = set()
        self._workers: Workers | None = None
        self._watchdog: Watchdog | None = None
        self._heartbeat: asyncio.Task[None] | None = None
        self._track = begin_track()

    @property
    def transcript(self) -> Transcript:
        """The conversation so far."""
        return self._transcript

    @property
    def result(self) -> Result[T]:
        """The result, once the run has finished. Raises `UsageError` before, and for a run that was ended."""
        if self._result is None:
            if self._closed:
                raise UsageError("the run has no result: it was ended early. Go on from run.transcript.")
            raise UsageError(
                "the run has no result yet: iterate it to its end. What there is stands in run.transcript."
            )
        return self._result

    def cancel(self) -> None:
        """End the run, from any thread: iteration stops, the transcript is put in order."""
        if self._loop is None:
            self._halted = "cancelled"
            return
        with contextlib.suppress(RuntimeError):  # the loop is closed: the run has ended with it
            self._loop.call_soon_threadsafe(self._halt, "cancelled")

    async def text_deltas(self) -> AsyncIterator[str]:
        """Yield the text as it comes. What a broken stream had brought is not taken back: see `AttemptDiscarded`."""
        async for event in self:
            if isinstance(event, TextDelta):
                yield event.text

    def __aiter__(self) -> Run[T]:
        return self

    async def __anext__(self) -> Event:
        while not self._ready or self._halted is not None:
            self._ready.extend(await self._step())
        return self._ready.popleft()

    def take_ready(self) -> Event | None:
        """Return the next event if it has come already, with the one before."""
        return self._ready.popleft() if self._ready and self._halted is None else None

    async def _step(self) -> tuple[Event, ...]:
        """Return the next events, at least one."""
        if self._events is None:
            self._begin()
        events = cast("AsyncGenerator[tuple[Event, ...]]", self._events)
        if self._halted is not None:
            self._ready.clear()
            await events.aclose()
            raise self._ending()
        if self._stepper is not None:
            raise UsageError("this run is being iterated by two tasks at once. Give each its own run.")
        self._stepper = stepper = asyncio.current_task()
        try:
            return await anext(events)
        except StopAsyncIteration:
            raise
        except asyncio.CancelledError as exc:
            if self._is_ours(stepper):
                raise self._ending() from None
            attach(exc, self._transcript)
            raise
        except BaseException as exc:
            attach(exc, self._transcript)
            raise
        finally:
            self._stepper = None

    async def aclose(self) -> None:
        """End the run."""
        self._closed = True
        self._ready.clear()
        if self._events is not None:
            await self._events.aclose()

    async def __aenter__(self) -> Run[T]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()
        if exc is not None:
            attach(exc, self._transcript)

    def _begin(self) -> None:
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            raise UsageError(
                "agentkit's async form runs on asyncio, and no asyncio loop runs here. From another async "
                "framework, call run_sync in a thread."
            ) from None
        self._meter = Meter()
        self._track = self._track or begin_track()
        self._events = self._drive()
        self._heartbeat = _start_heartbeat()
        if self._plan.limits.seconds is not None:
            self._timer = self._loop.call_later(self._plan.limits.seconds, self._halt, "seconds")

    def _halt(self, why: str) -> None:
        if self._result is None and self._halted is None:
            self._halted = why
            if self._stepper is not None:
                self._stepper.cancel()

    def _is_ours(self, stepper: asyncio.Task[object] | None) -> bool:
        """Tell whether a cancellation is our own, by `_halt`, and nobody else's; then it is taken back."""
        return self._halted is not None and stepper is not None and stepper.uncancel() == 0

    def _ending(self) -> Exception:
        """Return what a halted run ends with: an error at a limit, the end of the iteration after `cancel`."""
        if self._halted != "seconds":
            return StopAsyncIteration()
        error = self._limit_reached(f"seconds: {self._plan.limits.seconds:g} have passed")
        attach(error, self._transcript)
        return error

    async def _drive(self) -> AsyncGenerator[tuple[Event, ...]]:
        try:
            await self._take_input()
            going_on = not self._plan.new_items
            while True:
                action, self._next = self._next or next_action(self._transcript), None
                if going_on and isinstance(action, Stop):
                    action = AskModel()  # continuing after a refusal, a failure or a cut asks again
                going_on = False
                match action:
                    case AskModel():
                        steps = self._ask()
                    case RunCalls(calls):
                        steps = self._execute(calls)
                    case Finish(text):
                        steps = self._finish(text)
                    case Stop(error):
                        error.attempts = self._response.attempts if self._response else ()
                        raise error
                async with closing(steps) as batches:
                    async for batch in batches:
                        yield batch
                if self._result is not None:
                    return
        finally:
            if self._timer is not None:
                self._timer.cancel()
            if self._workers is not None:
                self._workers.close()
            if self._watchdog is not None:
                self._watchdog.close()
            if self._heartbeat is not None:
                self._heartbeat.cancel()

    async def _take_input(self) -> None:
        """Append what the caller gave, entry by entry."""
        if not self._plan.new_items:
            if not self._transcript.entries:
                raise UsageError("neither an input nor a transcript: there is nothing to ask. Give one of them.")
            return
        extended = self._transcript.extend(self._plan.new_items, instructions=self._plan.instructions)
        _check_parts(self._plan.new_items, self._client)
        for entry in extended.entries[len(self._transcript.entries) :]:
            await self._append(entry)

    async def _append(self, entry: Entry) -> None:
        """Add an entry, and show it to the observers before anything else happens."""
        self._transcript = self._transcript.append(entry)
        for observer in self._plan.observers:
            seen = observer(entry)
            if inspect.isawaitable(seen):
                await seen

    @functools.cached_property
    def _client(self) -> Client:
        return self._plan.find_client()

    @functools.cached_property
    def _template(self) -> RequestTemplate:
        plan = self._plan
        instructions = self._transcript.instructions
        return RequestTemplate(
            model=plan.model,
            instructions=plan.instructions if instructions is None else instructions,
            tools=[tool.definition for tool in plan.tools.values()],
            settings=plan.settings,
            text_format=plan.answering.text_format,
            stream=plan.stream,
            profile=self._client.profile,
        )

    @functools.cached_property
    def _input(self) -> _Input:
        return _Input(
            InputView(
                self._client.reasoning,
                needs_encrypted_reasoning=self._client.profile.encrypted_reasoning,
                needs_spoken_reasoning=self._client.profile.spoken_reasoning,
            )
        )

    async def _ask(self) -> AsyncGenerator[tuple[Event, ...]]:
        """Send the conversation, and append what comes back."""
        limits = self._plan.limits
        if limits.turns is not None and self._turns >= limits.turns:
            raise self._limit_reached(f"turns: {self._turns} made, {limits.turns} allowed")
        if (exceeded := limits.exceeded_by(self._meter.usage)) is not None:
            raise self._limit_reached(exceeded)
        request = self._template.request(self._input.chunks(self._transcript), forced=self._forcing)
        response: Response | None = None
        resample = not self._told_unreadable
        async with closing(self._client.exchange(request, resample=resample, track=self._track)) as batches:
            try:
                async for batch in batches:
                    if isinstance(batch, Response):
                        response = batch
                        break
                    yield batch
            except StatusError as exc:
                if exc.code != UNREADABLE_CALL or self._told_unreadable:
                    raise
                self._told_unreadable = True
                await self._append(_message(_unreadable(exc)))
                return
        if response is None:
            raise ProtocolError("the exchange ended without a response")
        self._told_unreadable = False
        self._turns += 1
        self._response = response
        self._meter.add(response.usage)
        self._warn_of_unreported(response.usage)
        self._warn_of_unknown(response.output)
        await self._append(ResponseEntry.of(response, key=uuid.uuid4().hex))
        self._next = next_action(self._transcript, response)  # before anybody else has it, and could change it
        self._forcing = self._forcing and not response.calls
        yield (ResponseFinished(response, self._turns),)

    def _warn_of_unreported(self, usage: Usage) -> None:
        if usage.unreported and self._plan.limits.need_usage and not self._usage_warned:
            self._usage_warned = True
            _log.warning("the server reports no usage: the limits on tokens and cost go unchecked")

    def _warn_of_unknown(self, output: list[Item]) -> None:
        unknown = {str(item.get("type", "message")) for item in output} - KNOWN_ITEMS - self._unknown_items
        if unknown:
            self._unknown_items |= unknown
            _log.warning("items of unknown types, kept and sent back as they came: %s", ", ".join(sorted(unknown)))

    async def _execute(self, calls: tuple[FunctionCall, ...]) -> AsyncGenerator[tuple[Event, ...]]:
        """Run the calls, and append their outputs whatever happens, unless none was started."""
        limits = self._plan.limits
        if limits.tool_calls is not None and len(self._tool_calls) + len(calls) > limits.tool_calls:
            made = len(self._tool_calls)
            raise self._limit_reached(f"tool_calls: {made} made, {len(calls)} more asked, {limits.tool_calls} allowed")
        self._count_repeats(calls)
        execution = Execution(
            calls,
            self._plan.tools,
            deps=self._plan.deps,
            key=cast("ResponseEntry", self._transcript.entries[-1]).key or self._id,
            most=limits.calls_per_response,
            parts_allowed=self._client.tool_output_parts,
            allowed=self._allowed_tools(),
            enter=self._enter_call,
            track=self._track,
            place=str(self._turns),
            workers=self._get_workers,
            watchdog=self._get_watchdog,
        )
        finished = False
        try:
            async with closing(execution.events()) as batches:
                async for batch in batches:
                    yield batch
            finished = execution.interrupt is None
        finally:
            try:
                if not finished and execution.has_begun:
                    await execution.abandon()
            finally:  # a second cancellation cuts the waiting short, never the entry
                if finished or execution.has_begun:
                    self._meter.add(execution.recorded_usage)
                    self._tool_calls.extend(execution.tool_calls())
                    await self._append(execution.entry())
        if execution.interrupt is not None:
            raise execution.interrupt

    def _enter_call(self, call: FunctionCall, place: str) -> None:
        """Prepare the context that a tool runs in: runs in it count for this one, and are recorded beneath the call."""
        ACTIVE.set(self._meter)
        if self._track is not None:
            LANE.set(self._track.lane_of(call, place))

    def _allowed_tools(self) -> set[str] | None:
        choice = self._plan.settings.choice()
        if choice == "none":
            return set()
        if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
            named = choice.get("tools")
            return {str(t.get("name")) for t in named if isinstance(t, dict)} if isinstance(named, list) else None
        return None

    def _count_repeats(self, calls: tuple[FunctionCall, ...]) -> None:
        key = tuple((call.name, call.arguments) for call in calls)
        last, count = self._repeats
        self._repeats = (key, count + 1 if key == last else 1)
        if self._repeats[1] == REPEATS:
            _log.warning("the model has made the same call %d times in a row: %s", REPEATS, calls[0].name)

    async def _finish(self, text: str) -> AsyncGenerator[tuple[Event, ...]]:
        """Read the answer; a wrong one is sent back with the reason, as long as there are tries left."""
        if self._forcing and not self._asked_again and self._turns:
            self._asked_again = True
            _log.warning("tool_choice demands a call, and the model answered in words: asked once more")
            await self._append(_message("Call one of the tools now, as demanded by tool_choice."))
            return
        answering = self._plan.answering
        try:
            output = answering.parse(text)
        except ValueError as exc:
            self._rejected += 1
            said = f"{exc}\n{answering.hint}".strip()
            yield (OutputRejected(said, self._rejected),)
            if self._rejected > answering.retries:
                stop = OutputInvalid(f"the answer was rejected {self._rejected} times; the last reason: {exc}")
                stop.response = self._response
                raise stop from exc
            await self._append(_message(said))
            return
        self._result = Result(
            output=output,
            text=text,
            transcript=self._transcript,
            usage=self._meter.usage,
            turns=self._turns,
            tool_calls=self._tool_calls,
            response=self._response,
            _start=self._start,
        )

    def _limit_reached(self, which: str) -> LimitReached:
        error = LimitReached(
            f"limit reached: {which}. Go on with run(None, transcript=error.transcript), or raise Limits."
        )
        error.response = self._response
        return error

    def _get_workers(self) -> Workers:
        self._workers = self._workers or Workers()
        return self._workers

    def _get_watchdog(self) -> Watchdog:
        self._watchdog = self._watchdog or Watchdog()
        return self._watchdog


class _Input:
    """The bytes of a growing conversation, each entry viewed once, and joined with its neighbours once."""

    __slots__ = ("_blocks", "_recent", "_seen", "_view", "_warned")

    def __init__(self, view: InputView) -> None:
        self._view = view
        self._blocks: list[bytes] = []
        self._recent: list[bytes] = []
        self._seen = 0
        self._warned = False

    def chunks(self, transcript: Transcript) -> list[bytes]:
        """Return the bytes of all entries that send anything, to be joined by commas."""
        self._recent.extend(self._view.feed_all(transcript.entries[self._seen :]))
        self._seen = len(transcript.entries)
        if len(self._recent) > BLOCK:
            self._blocks.append(b",".join(self._recent))
            self._recent.clear()
        if self._view.left_out and not self._warned:
            self._warned = True
            wanted = "encrypted_content" if self._view.needs_encrypted_reasoning else "its text in content"
            _log.warning("reasoning without %s can't be sent back to this server, and is left out", wanted)
        return [*self._blocks, *self._recent]


class SyncRun(Generic[T]):
    """A run seen from inside, outside of async code: `Run` with plain iteration. Leaving the block ends the run."""

    def __init__(self, run: Run[T]) -> None:
        from agentkit.portal import iterate_blocking

        self._run = run
        self._steps = iterate_blocking(lambda: run)

    @property
    def transcript(self) -> Transcript:
        """The conversation so far."""
        return self._run.transcript

    @property
    def result(self) -> Result[T]:
        """The result, once the run has finished. Raises `UsageError` before, and for a run that was ended."""
        return self._run.result

    def cancel(self) -> None:
        """End the run, from any thread."""
        self._run.cancel()

    def text_deltas(self) -> Iterator[str]:
        """Yield the text as it comes."""
        for event in self:
            if isinstance(event, TextDelta):
                yield event.text

    def __iter__(self) -> SyncRun[T]:
        return self

    def __next__(self) -> Event:
        return self._run.take_ready() or next(self._steps)

    def close(self) -> None:
        """End the run."""
        self._steps.close()

    def __enter__(self) -> SyncRun[T]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
        if exc is not None:
            attach(exc, self.transcript)


def attach(error: BaseException, transcript: Transcript) -> None:
    """Put the conversation on an error that leaves a run, whoever's error it is."""
    if getattr(error, "transcript", None) is None:
        with contextlib.suppress(AttributeError):  # one with __slots__
            error.transcript = transcript  # type: ignore[attr-defined]


def _start_heartbeat() -> asyncio.Task[None] | None:
    """Wake the event loop now and then where it is a notebook kernel's.

    A kernel's Stop is a signal, which Python sees between two callbacks of the loop: one that waits for a socket
    sees it only when the next bytes come.
    """
    if "ipykernel" not in sys.modules or threading.current_thread() is not threading.main_thread():
        return None
    return asyncio.get_running_loop().create_task(_beat())


async def _beat() -> None:
    while True:  # noqa: ASYNC110  (there is nothing to wait for: waking up is the purpose)
        await asyncio.sleep(HEARTBEAT_S)


def _message(text: str) -> InputEntry:
    # it may quote what the model wrote, lone surrogates included, which no strict server takes
    return InputEntry(encode_items([user_message(text.encode(errors="backslashreplace").decode())]))


def _unreadable(error: StatusError) -> str:
    """Tell the model of a call that the server couldn't read: asking again unchanged has not helped."""
    wrote = f" You wrote: {error.model_output}" if error.model_output else ""
    return f"Your tool call could not be read, and was not run. Write it again, its arguments as valid JSON.{wrote}"


def _check_parts(items: Sequence[Item], client: Client) -> None:
    """Refuse input parts that the server is known not to take, before it says so in its own words."""
    profile = client.profile
    for part in (p for item in items if isinstance(content := item.get("content"), list) for p in content):
        if not isinstance(part, dict):
            continue
        url = part.get("image_url")
        if isinstance(url, str) and not url.startswith("data:") and not profile.image_urls:
            raise UsageError(f"{profile.name} fetches no pictures from {url[:80]!r}. Use Image.from_path(...).")
        if part.get("type") == "input_file" and not profile.files:
            raise UsageError(f"{profile.name} takes no files. Give their text, or pictures with Image.from_path(...).")

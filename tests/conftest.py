"""The four ways into a run, and a watch over what they leave behind."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from agentkit import Agent, Event, Result, Transcript
from tests.faults.leaks import watched
from tests.faults.rows import ROWS

OF_ROWS = {test for row in ROWS.values() for test in row.tests}


@dataclass
class Entered:
    """What came of a run: its result or its error, and the events that a stream showed."""

    result: Result[object] | None = None
    error: BaseException | None = None
    events: tuple[Event, ...] = ()

    @property
    def transcript(self) -> Transcript:
        """The conversation, wherever it ended up."""
        if self.result is not None:
            return self.result.transcript
        transcript = getattr(self.error, "transcript", None)
        assert isinstance(transcript, Transcript)
        return transcript


Enter = Callable[..., Entered]


def _run(agent: Agent[object], *args: object, **options: object) -> Entered:
    return Entered(asyncio.run(agent.run(*args, **options)))


def _run_sync(agent: Agent[object], *args: object, **options: object) -> Entered:
    return Entered(agent.run_sync(*args, **options))


def _stream(agent: Agent[object], *args: object, **options: object) -> Entered:
    async def main() -> Entered:
        events: list[Event] = []
        async with agent.stream(*args, **options) as run:
            async for event in run:
                events.append(event)  # noqa: PERF401  (an error must leave the events seen before it)
        return Entered(run.result, events=tuple(events))

    return asyncio.run(main())


def _stream_sync(agent: Agent[object], *args: object, **options: object) -> Entered:
    with agent.stream_sync(*args, **options) as run:
        events = list(run)
    return Entered(run.result, events=tuple(events))


@pytest.fixture(params=[_run, _run_sync, _stream, _stream_sync], ids=["run", "run_sync", "stream", "stream_sync"])
def enter(request: pytest.FixtureRequest) -> Enter:
    """Run an agent in one of the four ways; errors come back in `.error`."""

    def enter(agent: Agent[object], *args: object, **options: object) -> Entered:
        try:
            return request.param(agent, *args, **options)
        except Exception as error:  # noqa: BLE001
            return Entered(error=error)

    return enter


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    """Every test ends with the threads it began with, but for the one background loop of the `_sync` calls."""
    before = set(threading.enumerate())
    yield
    left = [t for t in threading.enumerate() if t not in before and t.name.startswith("agentkit")]
    left = [thread for thread in left if thread.name != "agentkit-loop"]
    for thread in left:
        thread.join(2.0)
    still = [thread.name for thread in left if thread.is_alive()]
    assert not still, f"threads left behind: {still}"


@pytest.fixture(autouse=True)
def _rules_of_faults(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """The tests that a row of the table of faults names leave nothing behind, and no key in a log."""
    if request.node.nodeid.partition("[")[0] not in OF_ROWS:
        yield
        return
    temporary = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    with watched(temporary):
        yield

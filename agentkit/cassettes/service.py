"""A recording as a server: any client that asks what was asked gets what was answered, in its chunks."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from agentkit import json
from agentkit.cassettes.cleaning.cleaner import Cleaner
from agentkit.cassettes.cleaning.secrets import mask_secrets
from agentkit.cassettes.matching.closest import Recorded
from agentkit.cassettes.matching.mismatch import report
from agentkit.cassettes.matching.rules import Rules
from agentkit.cassettes.reshaping import reshaped
from agentkit.cassettes.review.asked import is_responses
from agentkit.cassettes.shelves import keys_of
from agentkit.service.app import ConnectionCut, HTTPAnswer, failure_answer, json_answer, model_object
from agentkit.service.replies import failure
from agentkit.service.requests import ReceivedRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence

    from agentkit.cassettes.cleaning.scrubbing import ScrubRule
    from agentkit.cassettes.interaction import Interaction, Recording
    from agentkit.service.exchanges import Exchange

_NOT_SENT = frozenset({"content-length", "transfer-encoding", "content-encoding", "connection", "date"})
"""Headers of the connection that was, and not of the one that is."""
_FORM = ("stream", "stream_options")
"""What says in which form an answer is wanted."""
_RECORD = "record it; what is served is what was recorded, and nothing else"


class RecordedService:
    """Answers from a recording. Safe to use from several threads and event loops.

    A request is found by the key that replay finds it by, and equal ones are answered in the order in which they were
    recorded; then it begins again, so that a client can be run as often as it takes. One that isn't recorded is a 404.
    """

    def __init__(
        self,
        recording: Recording,
        *,
        name: str,
        speed: float = 0,
        rules: Rules | None = None,
        scrub: Sequence[ScrubRule] = (),
        reshapes: bool = False,
        refuse: Callable[[str], HTTPAnswer] | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """Make a service.

        `name` is the cassette's, for messages. `speed` 0: at once; 1: as it came, where the recording keeps times.
        `rules` and `scrub` are those under which it was recorded. `reshapes`: a client that streams gets answers that
        were recorded whole, and the other way round.
        `refuse` is given the report on a request that isn't recorded, and returns the answer to it, or raises.
        """
        self._recording = recording
        self._name = name
        self._speed = speed
        self._clock = clock
        self._sleep = sleep
        self._rules = rules or Rules()
        self._refuse = refuse or not_found
        self._cleaner = Cleaner.here(scrub, {})
        self._lock = threading.Lock()
        self._shelves = [_Shelf(recording, self._rules, self._cleaner)]
        if reshapes:
            in_any_form = Rules([*self._rules.ignore, *_FORM], exact=self._rules.exact)
            self._shelves.append(_Shelf(recording, in_any_form, self._cleaner))
        asked = [interaction for interaction in recording if is_responses(interaction)]
        # whatever a client has before /responses: the recorded server had its own
        self._uris = {interaction.uri for interaction in asked} or {""}

    async def handle(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        exchange: Exchange | None = None,
    ) -> HTTPAnswer:
        """Answer one request. Raises `ConnectionCut` where the recorded connection failed before an answer."""
        if exchange is not None:
            _note(exchange, headers, body)
        found = self._take(method, path, body)
        if found is None:
            return self._models(method, path) or self._refuse(self._report(method, path, body))
        turn, interaction = found
        if exchange is not None:
            exchange.reply = (f"turn {turn}",)
        return await self._answer(self._cleaner.restored(interaction))

    def _take(self, method: str, path: str, body: bytes) -> tuple[int, Interaction] | None:
        """Return the turn that answers a request, from 1, and its interaction, in the form that is asked for."""
        clean = self._cleaner.body(body)
        for shelf in self._shelves:
            for uri in self._candidates(path):
                key = shelf.rules.state(method, uri, clean).key
                with self._lock:
                    found = shelf.next(key)
                if found is None:
                    continue
                interaction: Interaction | None = self._recording.interactions[found]
                if shelf is not self._shelves[0]:
                    interaction = reshaped(self._recording.interactions[found], streamed=_streams(body))
                if interaction is not None:
                    return found + 1, interaction
        return None

    def _candidates(self, path: str) -> Iterator[str]:
        """Yield the recorded URIs that a path may stand for."""
        if urlsplit(path).path.rstrip("/").endswith("/responses"):
            yield from sorted(self._uris)
        else:
            yield path
            yield f"http://localhost{path}"

    async def _answer(self, interaction: Interaction) -> HTTPAnswer:
        began = self._clock()
        if interaction.status is None:
            raise ConnectionCut
        headers = tuple((name, value) for name, value in interaction.headers if name not in _NOT_SENT)
        if interaction.failure is None and len(interaction.chunks) <= 1:
            await self._wait(interaction, 0, began)
            return HTTPAnswer(interaction.status, headers, interaction.answer)
        return HTTPAnswer(interaction.status, headers, self._chunks(interaction, began))

    async def _chunks(self, interaction: Interaction, began: float) -> AsyncIterator[bytes]:
        for index, chunk in enumerate(interaction.chunks):
            await self._wait(interaction, index, began)
            yield chunk
            await self._sleep(0)  # a real connection lets other tasks run between two reads
        if interaction.failure is not None:
            raise ConnectionCut

    async def _wait(self, interaction: Interaction, chunk: int, began: float) -> None:
        if self._speed and chunk < len(interaction.at_ms):
            due = began + interaction.at_ms[chunk] / 1000 / self._speed
            await self._sleep(max(due - self._clock(), 0))

    def _models(self, method: str, path: str) -> HTTPAnswer | None:
        """Return the models that were asked, for a client that looks before it asks."""
        if method.upper() != "GET" or not urlsplit(path).path.rstrip("/").endswith("/models"):
            return None
        named = {_model_of(interaction) for interaction in self._recording if is_responses(interaction)}
        return json_answer(200, {"object": "list", "data": [model_object(name) for name in sorted(named - {""})]})

    def _report(self, method: str, path: str, body: bytes) -> str:
        """Say how a request differs from the closest recorded one."""
        recorded = [
            Recorded(turn, i.method, i.uri, self._cleaner.recorded(i.body)) for turn, i in enumerate(self._recording, 1)
        ]
        uri = next(self._candidates(path))
        clean = mask_secrets(self._cleaner.body(body))
        return report(
            method,
            uri,
            clean,
            recorded,
            name=self._name,
            rules=self._rules,
            remedies=[("the request is right", _RECORD)],
        ).text


class _Shelf:
    """The interactions of a recording by what counts of their requests, each of equal ones in turn."""

    def __init__(self, recording: Recording, rules: Rules, cleaner: Cleaner) -> None:
        self.rules = rules
        self._waiting: dict[str, deque[int]] = {}
        for index, key in enumerate(keys_of(recording, rules, cleaner)):
            self._waiting.setdefault(key, deque()).append(index)

    def next(self, key: str) -> int | None:
        """Return the interaction whose turn it is."""
        if waiting := self._waiting.get(key):
            waiting.rotate(-1)
            return waiting[-1]
        return None


def not_found(report: str) -> HTTPAnswer:
    """Return the answer to a request that isn't recorded."""
    # on one line: clients escape line ends in what a server says; and 404: they don't ask again
    said = " | ".join(line.strip() for line in report.splitlines())
    return failure_answer(failure(404, code="not_in_cassette", message=said, headers={"x-should-retry": "false"}))


def _streams(body: bytes) -> bool:
    with contextlib.suppress(json.JSONError):
        value = json.decode(body)
        return isinstance(value, dict) and value.get("stream") is True
    return False


def _note(exchange: Exchange, headers: Mapping[str, str], body: bytes) -> None:
    with contextlib.suppress(json.JSONError):
        value = json.decode(body)
        if isinstance(value, dict):
            exchange.note_request(ReceivedRequest(value, raw=body, headers={n.lower(): v for n, v in headers.items()}))


def _model_of(interaction: Interaction) -> str:
    try:
        body = json.decode(bytes(interaction.body))
    except json.JSONError:
        return ""
    model = body.get("model") if isinstance(body, dict) else None
    return model if isinstance(model, str) else ""

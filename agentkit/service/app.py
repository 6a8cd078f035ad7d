"""The service itself: method, path, headers and body in; status, headers and body out, whole or in chunks."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import unquote

from agentkit import json
from agentkit.json import JSONError
from agentkit.service.events import insert_at, number_events, response_steps
from agentkit.service.exchanges import describe
from agentkit.service.faults import UnknownFault
from agentkit.service.ids import random_ids
from agentkit.service.misbehaviour import HEADER
from agentkit.service.replies import Answer, Cut, Disconnect, Failure, Hold, Rewrite, Wait
from agentkit.service.requests import ReceivedRequest
from agentkit.service.script import ScriptExhausted, as_function, ask
from agentkit.service.sse import Wire, encode_done, encode_event, split_bytes
from agentkit.service.validation import SAMBANOVA, InvalidRequest, Rules, check_request

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentkit.json import JSONObject
    from agentkit.service.exchanges import Exchange
    from agentkit.service.ids import Ids
    from agentkit.service.misbehaviour import Drawn, Misbehaviour
    from agentkit.service.replies import Step
    from agentkit.service.script import Script

MAX_BODY_BYTES = 64 * 2**20
MODELS = ("gpt-oss-120b",)

_LARGE_BYTES = 2**20
_POLL_S = 0.002
_MOST_OWED = 1000
_JSON = ("content-type", "application/json")


class ConnectionCut(Exception):
    """The connection is to fail here: whoever carries the bytes closes it without ending the answer."""


@dataclass(frozen=True, slots=True)
class HTTPAnswer:
    """An HTTP answer: a body whole, or in chunks as they are made."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes | AsyncIterator[bytes]


class Service:
    """A stateless Responses service, answering from a script. Safe to use from several threads and event loops."""

    def __init__(
        self,
        script: Script,
        *,
        rules: Rules | None = SAMBANOVA,
        models: Sequence[str] | None = None,
        wire: Wire | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        ids: Ids = random_ids,
        keep_requests: bool = True,
        misbehaviour: Misbehaviour | None = None,
    ) -> None:
        """Make a service.

        `rules` say which requests are refused; None: none. `models` are the ids it knows, None: it takes any.
        `clock` reads Unix seconds. `misbehaviour` draws the faults of each answer.
        """
        self._model = as_function(script)
        self._rules = rules
        self._models = models
        self._wire = wire or Wire()
        self._clock = clock
        self._sleep = sleep
        self._ids = ids
        self._keep_requests = keep_requests
        self._misbehaviour = misbehaviour
        self._owed: OrderedDict[bytes, Answer] = OrderedDict()
        self._raw_types: set[str] = set()
        self._lock = threading.Lock()
        self.requests: list[ReceivedRequest] = []
        """The requests received, oldest first, the refused ones too."""

    async def handle(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        exchange: Exchange | None = None,
    ) -> HTTPAnswer:
        """Answer one request. Raises `ConnectionCut` where the script has the connection fail before an answer.

        `POST .../responses`, `GET .../models` and `GET .../models/{id}` below any prefix; another path is 404,
        another method 405. What is asked and said is noted on `exchange`.
        """
        allowed, name = _route(path)
        if allowed is None:
            return json_answer(404, {"error": "Not found"})
        if method.upper() not in allowed:
            answer = json_answer(405, {"error": "Method not allowed"})
            return replace(answer, headers=(*answer.headers, ("allow", ", ".join(allowed))))
        if "POST" in allowed:
            return await self._respond(headers, body, exchange)
        if name is None:
            return json_answer(200, {"object": "list", "data": [model_object(each) for each in self._models or MODELS]})
        if name in (self._models or MODELS):
            return json_answer(200, model_object(name))
        return self._refusal(_unknown_model(name))

    async def _respond(self, headers: Mapping[str, str], body: bytes, exchange: Exchange | None) -> HTTPAnswer:
        try:
            if len(body) > _LARGE_BYTES:  # nobody else waits for it
                request = await asyncio.to_thread(self._read, headers, body, exchange)
            else:
                request = self._read(headers, body, exchange)
            drawn = self._draw(request)
            answer = await self._ask(request, drawn)
        except InvalidRequest as exc:
            return self._refusal(exc)
        except ScriptExhausted as exc:
            return self._refusal(InvalidRequest(str(exc), code="script_exhausted", param="input"))
        if exchange is not None:
            exchange.reply = describe(answer)
            exchange.faults = tuple(fault.name for fault in drawn)
        match answer:
            case Failure():
                return failure_answer(answer)
            case Disconnect():
                raise ConnectionCut
            case Answer():
                return await self._say(request, answer)

    def _draw(self, request: ReceivedRequest) -> tuple[Drawn, ...]:
        try:
            return self._misbehaviour.draw(request) if self._misbehaviour is not None else ()
        except UnknownFault as exc:
            raise InvalidRequest(str(exc), code="invalid_value", param=HEADER) from exc

    async def _ask(self, request: ReceivedRequest, drawn: Sequence[Drawn]) -> Answer | Failure | Disconnect:
        """Ask the script, and bend its answer; one that is lost on the way is kept for who asks the same again."""
        replacing = [fault for fault in drawn if fault.fault.replaces]
        if replacing:
            return replacing[0].bend(Answer(()))
        with self._lock:
            owed = self._owed.pop(request.raw, None) if self._owed else None
        answer = owed or await ask(self._model, request)
        bent = answer
        for fault in drawn:
            bent = fault.bend(bent) if isinstance(bent, Answer) else bent
        if isinstance(answer, Answer) and any(fault.fault.kind == "transient" for fault in drawn):
            with self._lock:
                self._owed[request.raw] = answer
                if len(self._owed) > _MOST_OWED:
                    self._owed.popitem(last=False)
        return bent

    def _read(self, headers: Mapping[str, str], body: bytes, exchange: Exchange | None) -> ReceivedRequest:
        request = self._parse(headers, body)
        if exchange is not None:
            exchange.note_request(request)
        self._check(request)
        return request

    def _parse(self, headers: Mapping[str, str], body: bytes) -> ReceivedRequest:
        if len(body) > MAX_BODY_BYTES:
            raise InvalidRequest(
                f"Request body too large: {len(body)} bytes, at most {MAX_BODY_BYTES} are accepted.",
                status=413,
                code="request_too_large",
            )
        try:
            value = json.decode(body)
        except JSONError as exc:
            # Python's own words advise to call sys.set_int_max_str_digits
            said = "number with too many digits" if "int_max_str_digits" in str(exc) else exc
            raise InvalidRequest(f"The request body is not valid JSON: {said}.") from exc
        if not isinstance(value, dict):
            raise InvalidRequest("The request body must be a JSON object.", code="invalid_type")
        request = ReceivedRequest(value, raw=body, headers={name.lower(): text for name, text in headers.items()})
        if self._keep_requests:
            with self._lock:
                self.requests.append(request)
        return request

    def _check(self, request: ReceivedRequest) -> None:
        if self._rules is not None:
            check_request(request, self._rules, also=self._raw_types)
        if self._models is not None and request.get("model") not in self._models:
            raise _unknown_model(request.get("model"))

    async def _say(self, request: ReceivedRequest, answer: Answer) -> HTTPAnswer:
        if answer.delay_s:
            await self._sleep(answer.delay_s)
        for part in answer.parts:
            if isinstance(part, Mapping) and isinstance(kind := part.get("type"), str):
                self._raw_types.add(kind)
        new_id = self._ids(request)
        if request.get("stream") is not True:
            steps = response_steps(request, answer, new_id=new_id, clock=self._clock, split=_whole)
            placed = (part for part in answer.parts if isinstance(part, Hold | Cut) and part.at is not None)
            return await self._plain(itertools.chain(placed, steps))
        steps = response_steps(request, answer, new_id=new_id, clock=self._clock, split=answer.split)
        wire = next((part for part in answer.parts if isinstance(part, Wire)), self._wire)
        return HTTPAnswer(
            200,
            (("content-type", "text/event-stream; charset=utf-8"), ("cache-control", "no-cache")),
            self._stream(number_events(_bent(steps, answer)), wire),
        )

    async def _plain(self, steps: Iterator[Step]) -> HTTPAnswer:
        cut: Cut | None = None
        last: JSONObject = {}
        for step in steps:
            match step:
                case Hold():
                    await _opened(step)
                case Wait():
                    await self._sleep(step.seconds)
                case Cut():
                    cut = cut or step
                case dict():
                    last = step
        body = json.encode(last["response"])
        if cut is None:
            return HTTPAnswer(200, (_JSON,), body)
        return HTTPAnswer(200, (_JSON,), _half(body, cut))

    async def _stream(self, steps: Iterator[Step], wire: Wire) -> AsyncIterator[bytes]:
        for step in steps:
            match step:
                case Hold():
                    await _opened(step)
                case Wait():
                    await self._sleep(step.seconds)
                case Cut():
                    if step.reset:
                        raise ConnectionCut
                    return
                case dict():
                    for chunk in split_bytes(encode_event(step, wire), wire.chunk_bytes):
                        yield chunk
                        # a real connection lets other tasks run between two reads
                        await asyncio.sleep(0)
        if wire.done:
            yield encode_done(wire)

    def _refusal(self, refused: InvalidRequest) -> HTTPAnswer:
        return failure_answer(Failure(refused.status, {"error": refused.error}))


def _route(path: str) -> tuple[tuple[str, ...] | None, str | None]:
    """Return the methods that a path knows, and the model it names."""
    segments = path.partition("?")[0].strip("/").split("/")
    if segments[-1] == "responses":
        return ("POST",), None
    if "models" in segments:
        # an id may hold slashes, encoded or not
        start = segments.index("models") + 1
        return ("GET",), unquote("/".join(segments[start:])) or None
    return None, None


async def _half(body: bytes, cut: Cut) -> AsyncIterator[bytes]:
    if cut.at != 0:
        yield body[: len(body) // 2]
    if cut.reset:
        raise ConnectionCut


async def _opened(held: Hold) -> None:
    # polled, because an asyncio.Event belongs to one loop and a threading.Event would need a thread to wait in
    gate = held.gate
    if callable(gate):
        await gate()
        return
    while not gate.is_set():  # noqa: ASYNC110
        await asyncio.sleep(_POLL_S)


def _bent(steps: Iterator[Step], answer: Answer) -> Iterator[Step]:
    for part in answer.parts:
        match part:
            case Rewrite(change):
                steps = change(steps)
            case Hold() | Cut() if part.at is not None:
                steps = insert_at(steps, part, part.at)
            case _:
                pass
    return steps


def _whole(text: str) -> list[str]:
    return [text] if text else []


def model_object(name: str) -> JSONObject:
    """Return a model as `GET /models` lists it."""
    return {
        "id": name,
        "object": "model",
        "owned_by": "scripted",
        "context_length": 131072,
        "max_completion_tokens": 131072,
        "pricing": {"prompt": "0", "completion": "0", "duration_per_hour": "0"},
        "sn_metadata": {},
    }


def _unknown_model(name: object) -> InvalidRequest:
    return InvalidRequest(f"Model not found: {name}", status=404, code="model_not_found", param="model")


def json_answer(status: int, value: JSONObject) -> HTTPAnswer:
    """Return an answer in JSON."""
    return HTTPAnswer(status, (_JSON,), json.encode(value))


def failure_answer(failure: Failure) -> HTTPAnswer:
    """Return a failure as it is sent: with a `request_id` in SambaNova's envelope."""
    if isinstance(failure.body, str):
        return HTTPAnswer(
            failure.status, (("content-type", "text/plain; charset=utf-8"), *failure.headers), failure.body.encode()
        )
    body = dict(failure.body)
    if isinstance(body.get("error"), dict):
        body.setdefault("request_id", str(uuid.uuid4()))
    return HTTPAnswer(failure.status, (_JSON, *failure.headers), json.encode(body))

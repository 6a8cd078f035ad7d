"""HTTP made by others (tools, other SDKs) under `patch=True`: vcrpy's patches, over whichever cassette is in force.

vcrpy patches for the whole process and binds its patches to one cassette; with several at once the last one gets
it all. Here the patch is made once, and each request looks up the cassette of its own thread or task. Clients of
httpx get our own stubs (vcrpy's read streams to their end first); all others get vcrpy's.
"""

from __future__ import annotations

import contextlib
import http.client
import importlib
import re
import threading
import time
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPSConnection
from typing import TYPE_CHECKING, Any, cast
from unittest import mock
from urllib.request import AbstractHTTPHandler

import vcr.patch
from vcr.cassette import Cassette as VCRCassette
from vcr.filters import decode_response
from vcr.patch import CassettePatcherBuilder
from vcr.record_mode import RecordMode
from vcr.stubs import VCRConnection

from agentkit import json
from agentkit.cassettes.interaction import Failure
from agentkit.cassettes.playing import LEFT, AnswerHead, milliseconds_since
from agentkit.errors import AgentkitError, CassetteError
from agentkit.tape import LANE, find_tape

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator
    from contextlib import AbstractContextManager
    from types import ModuleType

    from vcr.request import Request as VCRRequest

    from agentkit.cassettes.interaction import Interaction
    from agentkit.cassettes.session import Cassette
    from agentkit.cassettes.tracks import NewTake, RunTrack

OURS = "agentkit"
"""The extension of a request of agentkit's own, which has asked the cassette already."""


class _Patch:
    """The one patch of the process, there while any cassette wants it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._undo = contextlib.ExitStack()

    def enter(self) -> None:
        with self._lock:
            self._users += 1
            if self._users == 1:
                for patcher in (*CassettePatcherBuilder(_InForce()).build(), *_turns()):
                    self._undo.enter_context(patcher)

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                self._undo.close()


PATCH = _Patch()

_BOUNDARY = re.compile(r"(?i)multipart/.*boundary=\"?([^\";\s]{8,})")
_TURN = threading.RLock()
"""Held where vcrpy takes its patches away for a moment, to make a real connection: for the whole process. A thread that
looked a class up just then would go live, past its cassette."""


def _turns() -> Iterator[AbstractContextManager[object]]:
    """Return patches that have threads wait for each other where vcrpy's are away, and where classes are looked up."""
    yield mock.patch.object(vcr.patch, "force_reset", _in_turn(vcr.patch.force_reset))
    yield mock.patch.object(VCRConnection, "getresponse", _noting(VCRConnection.getresponse))
    yield mock.patch.object(AbstractHTTPHandler, "do_open", _opener(AbstractHTTPHandler.do_open))
    with contextlib.suppress(ImportError):
        from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

        for pool in (HTTPConnectionPool, HTTPSConnectionPool):
            yield mock.patch.object(pool, "_new_conn", _waiting(pool._new_conn))  # noqa: SLF001  (it has no other hook)


def _in_turn(reset: Callable[[], AbstractContextManager[object]]) -> Callable[[], AbstractContextManager[object]]:
    @contextlib.contextmanager
    def force_reset() -> Iterator[None]:
        with _TURN, reset():
            yield

    return force_reset


def _waiting(function: Callable[..., object]) -> Callable[..., object]:
    def waiting(*args: object, **kwargs: object) -> object:
        with _TURN:
            return function(*args, **kwargs)

    return waiting


def _noting(getresponse: Callable[..., object]) -> Callable[..., object]:
    """Have a request that fails recorded: vcrpy keeps answers alone."""

    def noting(connection: Any, *args: object, **kwargs: object) -> object:
        try:
            return getresponse(connection, *args, **kwargs)
        except AgentkitError:
            raise
        except Exception as exc:
            request, cassette = connection._vcr_request, _cassette()  # noqa: SLF001  (vcrpy has it nowhere else)
            if cassette is not None and not hasattr(request, "recorded"):
                take = _track(cassette).begin(request.method, request.uri, _body_of(request))
                take.end(None, (), (), Failure(type(exc).__name__, str(exc)))
            raise

    return noting


def _opener(do_open: Callable[..., object]) -> Callable[..., object]:
    """Have urllib open what is patched, also where it looked the class up while it wasn't."""

    def opener(handler: object, http_class: type, request: object, **kwargs: object) -> object:
        with _TURN:
            if http_class in (HTTPConnection, HTTPSConnection):
                http_class = getattr(http.client, http_class.__name__)
        return do_open(handler, http_class, request, **kwargs)

    return opener


class _InForce(VCRCassette):  # type: ignore[misc]  # vcrpy has no types
    """What vcrpy's stubs take for their cassette: the one in force where they ask, or none."""

    def __init__(self) -> None:
        super().__init__("in force", record_mode=RecordMode.NEW_EPISODES, skip_patchers=("httpx", "httpx2"))
        self.custom_patches = tuple(_httpx_patches())

    @property
    def write_protected(self) -> bool:
        return False

    def filter_request(self, request: VCRRequest) -> VCRRequest:
        return request

    def can_play_response_for(self, request: VCRRequest) -> bool:
        """Tell whether there is a recording. Raises `CassetteMismatch` where the request may not go out."""
        cassette = _cassette()
        if cassette is None:
            return False
        track = _track(cassette)
        recorded = track.take(request.method, request.uri, _body_of(request))
        if recorded is None:
            return False
        request.recorded = recorded  # for play_response, which comes next, with the same request
        return True

    def play_response(self, request: VCRRequest) -> dict[str, object]:
        recorded = cast("Interaction", request.recorded)
        if recorded.failure is not None:
            raise ConnectionError(f"{recorded.failure.kind}: {recorded.failure.message} (as recorded)")
        headers: dict[str, list[str]] = {}
        for name, value in recorded.headers:
            headers.setdefault(name, []).append(value)
        headers["content-length"] = [str(len(recorded.answer))]
        return {
            "status": {"code": recorded.status, "message": ""},
            "headers": headers,
            "body": {"string": recorded.answer},
        }

    def append(self, request: VCRRequest, response: dict[str, object]) -> None:
        cassette = _cassette()
        if cassette is None:
            return
        plain = decode_response(response)
        status = cast("dict[str, int]", plain["status"])
        listed = [(str(name).lower(), v) for name, values in plain["headers"].items() for v in _listed(values)]
        body = _bytes_of(plain["body"]["string"])
        take = _track(cassette).begin(request.method, request.uri, _body_of(request))
        take.end(AnswerHead(status["code"], listed), (body,) if body else (), (), None)

    def _load(self) -> None:
        """There is no file."""

    def _save(self, force: bool = False) -> None:
        """There is no file."""
        del force


def _cassette() -> Cassette | None:
    return cast("Cassette | None", find_tape())


def _track(cassette: Cassette) -> RunTrack:
    return cassette.begin_run(LANE.get())


def _body_of(request: VCRRequest) -> bytes:
    return _without_boundary(_bytes_of(request.body), request.headers)


def _without_boundary(body: bytes, headers: Mapping[str, object]) -> bytes:
    """Return a body of several parts with a boundary that is the same each time: clients draw one by lot."""
    kind = next((value for name, value in headers.items() if name.lower() == "content-type"), "")
    found = _BOUNDARY.search(str(kind))
    return body if found is None else body.replace(found[1].encode(), b"boundary")


def _bytes_of(body: object) -> bytes:
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, bytes | bytearray):
        return bytes(body)
    if hasattr(body, "read"):
        return _bytes_of(body.read())
    if isinstance(body, Mapping) or (isinstance(body, list | tuple) and not _are_pieces(body)):
        return _encoded(body)  # vcrpy has aiohttp's `json=` and the fields of a form as they were given
    try:
        return b"".join(_bytes_of(piece) for piece in cast("Iterator[object]", body))
    except TypeError as exc:
        raise CassetteError(f"a request's body is a {type(body).__name__}; bytes or text can be recorded.") from exc


def _are_pieces(values: Iterable[object]) -> bool:
    return all(isinstance(piece, str | bytes | bytearray) for piece in values)


def _encoded(body: object) -> bytes:
    try:
        return json.encode(body)
    except json.JSONError as exc:
        raise CassetteError(f"a request's body is a {type(body).__name__} that is no JSON: {exc}.") from exc


def _listed(values: object) -> list[str]:
    return [str(value) for value in values] if isinstance(values, list | tuple) else [str(values)]


def _httpx_patches() -> Iterator[tuple[object, str, Callable[..., object]]]:
    for name in ("httpx", "httpx2"):
        with contextlib.suppress(ImportError):
            module = importlib.import_module(name)
            plain, asynchronous = module.HTTPTransport, module.AsyncHTTPTransport
            yield plain, "handle_request", _sync_stub(module, plain.handle_request)
            yield asynchronous, "handle_async_request", _async_stub(module, asynchronous.handle_async_request)


def _sync_stub(module: ModuleType, original: Callable[..., Any]) -> Callable[..., Any]:
    def handle_request(transport: object, request: Any) -> Any:
        cassette = None if OURS in request.extensions else _cassette()
        if cassette is None:
            return original(transport, request)
        body = _without_boundary(request.read(), request.headers)
        track = _track(cassette)
        recorded = track.take(request.method, str(request.url), body)
        if recorded is not None:
            return _played(module, recorded, request)
        take = _begin(track, request, body)
        began = time.monotonic()
        try:
            response = original(transport, request)
        except module.HTTPError as exc:
            take.end(None, (), (milliseconds_since(began),), Failure(type(exc).__name__, str(exc)))
            raise
        response.stream = _sync_stream(module, _Recorded(module, take, response, began), response.stream)
        return response

    return handle_request


def _async_stub(module: ModuleType, original: Callable[..., Any]) -> Callable[..., Any]:
    async def handle_async_request(transport: object, request: Any) -> Any:
        cassette = None if OURS in request.extensions else _cassette()
        if cassette is None:
            return await original(transport, request)
        body = _without_boundary(await request.aread(), request.headers)
        track = _track(cassette)
        recorded = track.take(request.method, str(request.url), body)
        if recorded is not None:
            return _played(module, recorded, request)
        take = _begin(track, request, body)
        began = time.monotonic()
        try:
            response = await original(transport, request)
        except module.HTTPError as exc:
            take.end(None, (), (milliseconds_since(began),), Failure(type(exc).__name__, str(exc)))
            raise
        response.stream = _async_stream(module, _Recorded(module, take, response, began), response.stream)
        return response

    return handle_async_request


def _begin(track: RunTrack, request: Any, body: bytes) -> NewTake:
    request.headers["accept-encoding"] = "identity"  # what is recorded is read by people
    return track.begin(request.method, str(request.url), body)


def _played(module: ModuleType, recorded: Interaction, request: Any) -> Any:
    if recorded.status is None:
        raise _error(module, recorded.failure, request)

    class Played(module.SyncByteStream, module.AsyncByteStream):  # type: ignore[misc, name-defined]
        def __iter__(self) -> Iterator[bytes]:
            yield from recorded.chunks
            if recorded.failure is not None:
                raise _error(module, recorded.failure, request)

        async def __aiter__(self) -> AsyncIterator[bytes]:
            for chunk in self.__iter__():
                yield chunk

    return module.Response(
        recorded.status, headers=list(recorded.headers), stream=Played(), extensions={OURS: {"replayed": True}}
    )


def _error(module: ModuleType, failure: Failure | None, request: Any) -> Exception:
    if failure is None or failure.kind == LEFT:
        return CassetteError("the recorded answer ends here: whoever read it had left. Read no more, or record anew.")
    kind = getattr(module, failure.kind, None)
    if not isinstance(kind, type) or not issubclass(kind, module.RequestError):
        kind = module.ReadError  # agentkit's own client met it
    return cast("Exception", kind(failure.message, request=request))


class _Recorded:
    """The bytes of a live answer, on their way to whoever reads them."""

    def __init__(self, module: ModuleType, take: NewTake, response: Any, began: float) -> None:
        self._module = module
        self._take = take
        self._began = began
        self._head = AnswerHead(response.status_code, [(n.lower(), v) for n, v in response.headers.multi_items()])
        self._chunks: list[bytes] = []
        self._at_ms: list[int] = []
        self._ended = False

    def add(self, chunk: bytes) -> None:
        if chunk:
            self._chunks.append(chunk)
            self._at_ms.append(milliseconds_since(self._began))

    def end(self, failure: Failure | None = None) -> None:
        if self._ended:
            return
        self._ended = True
        chunks: list[bytes] = self._chunks
        if any(name == "content-encoding" and value != "identity" for name, value in self._head.headers):
            packed = self._module.Response(200, headers=list(self._head.headers), content=b"".join(chunks))
            chunks = [packed.content] if packed.content else []
        self._take.end(self._head, chunks, self._at_ms if len(chunks) == len(self._at_ms) else (), failure)


def _sync_stream(module: ModuleType, recorded: _Recorded, inner: Any) -> object:
    class Stream(module.SyncByteStream):  # type: ignore[misc, name-defined]
        def __iter__(self) -> Iterator[bytes]:
            try:
                for chunk in inner:
                    recorded.add(chunk)
                    yield chunk
            except module.HTTPError as exc:
                recorded.end(Failure(type(exc).__name__, str(exc)))
                raise
            recorded.end()

        def close(self) -> None:
            recorded.end(Failure(LEFT))
            inner.close()

    return Stream()


def _async_stream(module: ModuleType, recorded: _Recorded, inner: Any) -> object:
    class Stream(module.AsyncByteStream):  # type: ignore[misc, name-defined]
        async def __aiter__(self) -> AsyncIterator[bytes]:
            try:
                async for chunk in inner:
                    recorded.add(chunk)
                    yield chunk
            except module.HTTPError as exc:
                recorded.end(Failure(type(exc).__name__, str(exc)))
                raise
            recorded.end()

        async def aclose(self) -> None:
            recorded.end(Failure(LEFT))
            await inner.aclose()

    return Stream()

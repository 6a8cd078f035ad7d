"""Answers that come from a cassette, and answers that go into one: the wire's own kind, chunk by chunk."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from agentkit.cassettes.interaction import Failure
from agentkit.errors import AgentkitError, CassetteError, ProtocolError, Timeout, TransportError
from agentkit.wire import Answer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentkit.cassettes.interaction import Interaction

LEFT = "Left"
"""The kind of failure of an answer whose reader left before its end."""
_OWN: dict[str, type[AgentkitError]] = {kind.__name__: kind for kind in (TransportError, Timeout, ProtocolError)}
_TERMINAL = re.compile(rb'"type"\s*:\s*"(?:response\.(?:completed|incomplete|failed)|error)"')


class PlayedAnswer(Answer):
    """A recorded answer."""

    __slots__ = ("_began", "_next", "_recorded", "_speed")

    replayed = True

    def __init__(self, recorded: Interaction, *, speed: float = 0) -> None:
        """`speed` 0: at once; 1: as it came; 2: twice as fast."""
        super().__init__(recorded.status or 0, recorded.headers)
        self._recorded = recorded
        self._speed = speed
        self._began = time.monotonic()
        self._next = 0

    async def next_chunk(self) -> bytes:
        """Return the next recorded chunk; raises the recorded failure behind the last one."""
        recorded, index = self._recorded, self._next
        await asyncio.sleep(self._wait_s(index))  # also at once: who reads is not to shut out everybody else
        if index < len(recorded.chunks):
            self._next = index + 1
            return recorded.chunks[index]
        if recorded.failure is not None:
            raise error_of(recorded.failure, "reading the answer")
        return b""

    def _wait_s(self, index: int) -> float:
        if not self._speed or index >= len(self._recorded.at_ms):
            return 0
        due = self._began + self._recorded.at_ms[index] / 1000 / self._speed
        return max(0.0, due - time.monotonic())

    @property
    def is_at_end(self) -> bool:
        """Whether all of it has been read."""
        return self._next == len(self._recorded.chunks) and self._recorded.failure is None

    async def aclose(self) -> None:
        """Leave the rest unread."""


@dataclass(frozen=True, slots=True)
class AnswerHead:
    """The beginning of an answer."""

    status: int
    headers: Sequence[tuple[str, str]]


class Take(Protocol):
    """Where a recording is put down."""

    def end(
        self, head: AnswerHead | None, chunks: Sequence[bytes], at_ms: Sequence[int], failure: Failure | None
    ) -> None:
        """Take an exchange that has ended; `head` is None where no answer began."""


class RecordedAnswer(Answer):
    """A live answer; what is read of it is recorded."""

    __slots__ = ("_answer", "_at_ms", "_began", "_chunks", "_ended", "_take")

    def __init__(self, answer: Answer, take: Take, began: float) -> None:
        super().__init__(answer.status, answer.headers)
        self._answer = answer
        self._take = take
        self._began = began
        self._chunks: list[bytes] = []
        self._at_ms: list[int] = []
        self._ended = False

    async def next_chunk(self) -> bytes:
        """Return the next bytes of the body, decoded; empty at its end."""
        try:
            chunk = await self._answer.next_chunk()
        except AgentkitError as exc:
            self.note_failure(exc)
            raise
        if chunk:
            self._chunks.append(chunk)
            self._at_ms.append(milliseconds_since(self._began))
        else:
            self._end(None)
        return chunk

    def note_failure(self, exc: BaseException | None) -> None:
        """Record what broke the answer off, where that was the connection's doing or a deadline's."""
        if exc is not None and (isinstance(exc, TransportError) or _is_httpx(exc.__cause__)):
            self._end(failure_of(exc))

    @property
    def is_at_end(self) -> bool:
        """Whether all of it has been read, as far as is known without waiting."""
        return self._answer.is_at_end

    async def aclose(self) -> None:
        """Give the connection back; a reader that left before the end is recorded as such."""
        is_whole = self.status != 200 or _TERMINAL.search(b"".join(self._chunks[-3:]))
        self._end(None if is_whole else Failure(LEFT))
        await self._answer.aclose()

    def _end(self, failure: Failure | None) -> None:
        if not self._ended:
            self._ended = True
            self._take.end(AnswerHead(self.status, self.headers), self._chunks, self._at_ms, failure)


def milliseconds_since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)


def failure_of(exc: BaseException) -> Failure:
    """Return an error of the connection as a cassette holds it."""
    cause = exc.__cause__
    retry = str(getattr(exc, "kind", "transient"))
    if _is_httpx(cause):
        return Failure(type(cause).__name__, str(cause), retry)
    return Failure(type(exc).__name__, str(exc), retry)


def error_of(failure: Failure, place: str) -> AgentkitError:
    """Return the error that a recorded failure was."""
    if failure.kind == LEFT:
        return CassetteError(
            "the recorded answer ends here: whoever read it had left. Read no more than was read then, or record anew."
        )
    own = _OWN.get(failure.kind)
    error = _httpx_error(failure, place) if own is None else own(failure.message)
    if isinstance(error, TransportError):
        error.kind = failure.retry
    return error


def _is_httpx(exc: BaseException | None) -> bool:
    """Tell whether an exception is httpx's, which may not even be imported."""
    return type(exc).__module__.partition(".")[0] == "httpx"


def _httpx_error(failure: Failure, place: str) -> AgentkitError:
    import httpx

    from agentkit.transport import translated

    kind = getattr(httpx, failure.kind, None)
    if isinstance(kind, type) and issubclass(kind, httpx.HTTPError):
        return translated(kind(failure.message), place)
    return CassetteError(
        f"the cassette holds an error of the kind {failure.kind!r}; allowed are {', '.join([*_OWN, LEFT])}, and the "
        "names of httpx's errors."
    )

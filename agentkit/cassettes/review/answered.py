"""What came back for a recorded request, read as the client reads it: any dialect, whole, cut or refused."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from agentkit import json
from agentkit.errors import AgentkitError, ProtocolError
from agentkit.events import TextDelta
from agentkit.fold import ResponseFold, deltas_of
from agentkit.response import Response
from agentkit.sse import SSEDecoder
from agentkit.status import read_error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentkit.cassettes.interaction import Interaction
    from agentkit.events import Event

LEFT: Final = "Left"
"""The kind of failure of an answer whose reader left before its end."""


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer: a response, or what went wrong; a failed response is both."""

    response: Response | None
    """None where the server refused, the connection failed, or what came is no response."""
    problem: str = ""
    """What went wrong, in words; empty: nothing did."""
    partial: str = ""
    """The text that had come before the answer broke off."""


class Reading:
    """Reads one answer, chunk by chunk. `events` shows what a reader sees; `answered` is known after the last."""

    def __init__(self, interaction: Interaction) -> None:
        self._interaction = interaction
        self._partial: list[str] = []
        self.answered = Answered(None, "no answer came")
        """What came of it, once `events` has been read to its end."""

    def events(self) -> Iterator[tuple[Event, ...]]:
        """Yield what each chunk shows, in order; a plain answer shows all with its last."""
        try:
            yield from self._stream() if is_streamed(self._interaction) else self._whole()
        except AgentkitError as exc:
            self.answered = Answered(None, str(exc), "".join(self._partial))

    def _stream(self) -> Iterator[tuple[Event, ...]]:
        decoder, fold = SSEDecoder(), ResponseFold()
        for chunk in self._interaction.chunks:
            yield self._seen(tuple(event for sent in decoder.feed(chunk) for event in fold.feed(sent)))
        if last := self._seen(tuple(event for sent in decoder.finish() for event in fold.feed(sent))):
            yield last
        partial = "" if fold.response is not None else "".join(self._partial)
        self.answered = Answered(fold.response, self._stream_problem(fold), partial)

    def _seen(self, events: tuple[Event, ...]) -> tuple[Event, ...]:
        self._partial += [event.text for event in events if isinstance(event, TextDelta)]
        return events

    def _stream_problem(self, fold: ResponseFold) -> str:
        if fold.response is not None:
            return _response_problem(fold.response)
        if fold.error is not None:
            return read_error(json.encode(fold.error)).message
        return _failure_text(self._interaction) or "the stream ended before its terminal event"

    def _whole(self) -> Iterator[tuple[Event, ...]]:
        interaction = self._interaction
        for _ in interaction.chunks[:-1]:
            yield ()
        if interaction.failure is not None or interaction.status is None:
            self.answered = Answered(None, _failure_text(interaction) or "no answer came")
            return
        raw = interaction.answer
        try:
            value = json.decode(raw)
        except json.JSONError as exc:
            value = None
            if interaction.status < 400:
                raise ProtocolError(f"the answer isn't JSON: {exc}") from exc
        if interaction.status >= 400 or (isinstance(value, dict) and value.get("error") and "output" not in value):
            self.answered = Answered(None, _refusal_text(interaction.status, raw))
            return
        response = Response.parse(value)
        yield tuple(event for item in response.output for event in deltas_of(item))
        self.answered = Answered(response, _response_problem(response))


def read_answer(interaction: Interaction) -> Answered:
    """Return what came back."""
    reading = Reading(interaction)
    for _ in reading.events():
        pass
    return reading.answered


def response_of(interaction: Interaction) -> Response | None:
    """Return the response that an answer held, or None."""
    return read_answer(interaction).response


def is_streamed(interaction: Interaction) -> bool:
    """Tell whether an answer is a stream of events; where no header says so, its first line does."""
    if interaction.status is not None and interaction.status >= 400:
        return False
    kind = dict(interaction.headers).get("content-type", "")
    if kind:
        return "event-stream" in kind.lower()
    return bool(interaction.chunks) and interaction.chunks[0].lstrip().startswith((b"data:", b"event:", b":"))


def _failure_text(interaction: Interaction) -> str:
    failure = interaction.failure
    if failure is None:
        return ""
    if failure.kind == LEFT:
        return "the reader left before the end"
    return f"{failure.kind}: {failure.message}" if failure.message else failure.kind


def _refusal_text(status: int, body: bytes) -> str:
    said = read_error(body)
    code = f" {said.code}" if said.code and said.code != str(status) else ""
    return f"HTTP {status}{code}: {said.message if body else _phrase(status)}"


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "an empty body"


def _response_problem(response: Response) -> str:
    if response.status == "failed":
        error = response.error or {}
        code = f" (code {error['code']})" if error.get("code") else ""
        return f"the response failed: {error.get('message') or 'the server gave no reason'}{code}"
    if response.status == "incomplete":
        return f"cut short: {response.incomplete_reason or 'the server gave no reason'}"
    return ""

"""What a scripted model says: small values, and the builders that read well in a script.

A reply is a str (one message), one part, or a list of parts, which become the items of one response in their
order. `reply(...)` adds what a list can't say: usage, delay, pace, how deltas are split. A dict is an item sent
as it is. `failure` and `disconnect` are the replies that are no response at all.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from agentkit import json
from agentkit.errors import UsageError
from agentkit.service.sse import Wire

if TYPE_CHECKING:
    from agentkit.json import JSON, JSONObject


class Gate(Protocol):
    """A `threading.Event`, an `asyncio.Event`, or anything else that becomes set."""

    def is_set(self) -> bool: ...


At: TypeAlias = "int | str | None"
"""Where in a stream: after that many events, or after the first event of that type. None: where it stands."""


@dataclass(frozen=True, slots=True)
class Hold:
    """The stream waits until the gate opens."""

    gate: Gate | Callable[[], Awaitable[object]]
    at: At = None


@dataclass(frozen=True, slots=True)
class Cut:
    """The answer ends before it is whole."""

    at: At = None
    reset: bool = True
    """The connection fails; otherwise the bytes just end."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Seconds that pass, as the model thinks."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Emit:
    """An event sent as it is, where it stands; absent from plain answers."""

    event: JSONObject


Step: TypeAlias = "JSONObject | Hold | Cut | Wait"
"""What a stream is made of: events, and what happens between them."""

Piece: TypeAlias = "str | Hold | Cut | Wait"
"""What a text is made of."""


@dataclass(frozen=True, slots=True)
class Text:
    """A message of the assistant."""

    pieces: tuple[Piece, ...]
    phase: Literal["commentary", "final_answer"] | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A message that refuses."""

    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Reasoning:
    """A reasoning item: text as SambaNova sends it, or summary and encrypted content as OpenAI does."""

    pieces: tuple[Piece, ...]
    summary: tuple[str, ...] = ()
    encrypted_content: str | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """A function call; `pieces` join to the arguments, byte for byte."""

    name: str
    pieces: tuple[Piece, ...]
    call_id: str | None = None


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A change to the stream of steps, before events are numbered; plain answers are left alone."""

    change: Callable[[Iterator[Step]], Iterator[Step]]


@dataclass(frozen=True, slots=True)
class Failure:
    """An HTTP error instead of a response."""

    status: int
    body: Mapping[str, JSON] | str
    """A str is sent as text/plain. A mapping as JSON; one with an `error` object gets the `request_id` too."""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Disconnect:
    """The connection fails before any byte of an answer."""


Part: TypeAlias = (
    "str | Text | Refusal | Reasoning | Call | Hold | Cut | Wait | Emit | Rewrite | Wire | Mapping[str, JSON]"
)

Splitter: TypeAlias = "int | Callable[[str], Iterable[str]] | None"
"""How texts become deltas: characters per delta, or a function. None: at token boundaries."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A response to be made of `parts`."""

    parts: tuple[Part, ...]
    status: Literal["completed", "incomplete", "failed"] = "completed"
    reason: str = "max_output_tokens"
    """`incomplete_details.reason`, where the status is incomplete."""
    error: JSONObject | None = None
    """`error`, where the status is failed."""
    error_event: Literal["nested", "flat", "bare"] | None = None
    """The shape of the `error` event before `response.failed`; None: no such event."""
    usage: Mapping[str, JSON] | Literal["counted"] | None = "counted"
    """"counted", the same with some numbers replaced, or None for `"usage": null`."""
    delay_s: float = 0.0
    """Seconds before the first byte."""
    tokens_per_s: float | None = None
    """The pace of the deltas; None: at once."""
    split: Splitter = None


Reply: TypeAlias = "Part | Sequence[Part] | Answer | Failure | Disconnect"


def text(*pieces: Piece, phase: Literal["commentary", "final_answer"] | None = None) -> Text:
    """Return a message. Among the pieces may be `hold(...)`, `cut()`, `wait(...)`: they act between its deltas."""
    return Text(pieces, phase)


def structured(value: object) -> Text:
    """Return a message whose text is `value` as JSON."""
    return Text((json.encode(value).decode(),))


def refusal(*pieces: Piece) -> Refusal:
    """Return a message with a refusal part."""
    return Refusal(pieces)


def reasoning(*pieces: Piece, summary: Sequence[str] = (), encrypted_content: str | None = None) -> Reasoning:
    """Return a reasoning item. Without pieces it has no content, as OpenAI's items haven't."""
    return Reasoning(pieces, tuple(summary), encrypted_content)


def call(name: str, arguments: Mapping[str, object] | str | None = None, *, call_id: str | None = None) -> Call:
    """Return a function call. `arguments` as a str are sent byte for byte, so that they may be malformed."""
    if not isinstance(arguments, str):
        arguments = json.encode(dict(arguments or {})).decode()
    return Call(name, (arguments,), call_id)


def reply(
    *parts: Part,
    usage: Mapping[str, JSON] | Literal["counted"] | None = "counted",
    delay_s: float = 0.0,
    tokens_per_s: float | None = None,
    split: Splitter = None,
) -> Answer:
    """Return a response made of `parts`, with its usage numbers and its pace."""
    return Answer(parts, usage=usage, delay_s=delay_s, tokens_per_s=tokens_per_s, split=split)


def incomplete(*parts: Part, reason: str = "max_output_tokens") -> Answer:
    """Return a response cut short by the server: the last item and the response have status incomplete."""
    return Answer(parts, status="incomplete", reason=reason)


def failed(
    *parts: Part,
    code: str = "server_error",
    message: str = "The model failed to generate a response.",
    error_event: Literal["nested", "flat", "bare"] | None = "nested",
) -> Answer:
    """Return a response that fails in band, HTTP status 200, after `parts`."""
    error: JSONObject = {"code": code, "message": message}
    return Answer(parts, status="failed", error=error, error_event=error_event)


def failure(
    status: int,
    *,
    code: str | None = None,
    message: str | None = None,
    type: str = "invalid_request_error",  # noqa: A002 - the API's word
    param: str | None = None,
    headers: Mapping[str, str] | None = None,
    body: Mapping[str, JSON] | str | None = None,
) -> Failure:
    """Return an HTTP error in SambaNova's envelope; `body` replaces the envelope, a str is sent as text/plain."""
    if body is None:
        error: JSONObject = {
            "message": message or f"scripted failure {status}",
            "type": type,
            "param": param,
            "code": code,
        }
        body = {"error": error}
    return Failure(status, body, tuple((headers or {}).items()))


def disconnect() -> Disconnect:
    """Return the reply of a server that closes the connection without an answer."""
    return Disconnect()


def hold(gate: Gate | Callable[[], Awaitable[object]], *, at: At = None) -> Hold:
    """Hold the stream until `gate` is set, or until the awaitable it returns is done.

        ScriptedModel([text("Hel", hold(gate), "lo")])

    A `threading.Event` and an `asyncio.Event` work from every thread and event loop. A plain answer is held
    before its first byte.
    """
    return Hold(gate, at)


def cut(*, at: At = None, reset: bool = True) -> Cut:
    """Cut the answer: here, after `at` events, or after the first event of type `at`.

    `reset=True` fails the connection, `reset=False` ends the bytes as if that were all. A plain answer is cut in
    the middle of its body.
    """
    return Cut(at, reset)


def wait(seconds: float) -> Wait:
    """Let seconds pass here."""
    return Wait(seconds)


def event(type: str, **fields: JSON) -> Emit:  # noqa: A002 - the API's word
    """Send an event of any type here, with these fields."""
    return Emit({"type": type, **fields})


def rewrite(change: Callable[[Iterator[Step]], Iterator[Step]]) -> Rewrite:
    """Pass the stream of events, and of what happens between them, through `change`."""
    return Rewrite(change)


_PARTS = (str, Text, Refusal, Reasoning, Call, Hold, Cut, Wait, Emit, Rewrite, Wire, Mapping)


def as_answer(given: Reply) -> Answer | Failure | Disconnect:
    """Return a reply in its full form; raise `UsageError` for anything that isn't one."""
    if isinstance(given, Answer | Failure | Disconnect):
        return given if not isinstance(given, Answer) else _checked(given)
    if isinstance(given, _PARTS):
        return _checked(Answer((given,)))
    if isinstance(given, list | tuple):
        return _checked(Answer(tuple(given)))
    raise UsageError(
        f"a scripted model replied with {given!r} ({type(given).__name__}). "
        "A reply is a str, a part such as text(...) or call(...), a list of parts, reply(...) or failure(...)."
    )


def _checked(answer: Answer) -> Answer:
    for part in answer.parts:
        if not isinstance(part, _PARTS):
            raise UsageError(
                f"a scripted reply holds {part!r} ({type(part).__name__}), which isn't a part of a response. "
                "Parts are str, text(...), call(...), reasoning(...), refusal(...), dicts, and hold, cut, event; "
                "failure(...) and reply(...) stand alone."
            )
    return answer

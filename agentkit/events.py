"""What a run shows while it goes on, in the order in which it happens."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from agentkit.entries import Outcome
    from agentkit.errors import AgentkitError
    from agentkit.json import JSONObject
    from agentkit.response import Response


@dataclass(slots=True)
class TextDelta:
    """A piece of the model's text, as it comes."""

    text: str
    item_id: str | None = None
    """The message that it belongs to, where the server says."""


@dataclass(slots=True)
class ReasoningDelta:
    """A piece of the model's reasoning, or of its summary."""

    text: str
    item_id: str | None = None


@dataclass(slots=True)
class RefusalDelta:
    """A piece of what the model says instead of an answer."""

    text: str
    item_id: str | None = None


@dataclass(slots=True)
class ToolStarted:
    """A tool begins to run."""

    call_id: str
    name: str
    arguments: str
    """As the model wrote them."""


@dataclass(slots=True)
class ToolProgress:
    """What a running tool passed to `ctx.emit`."""

    call_id: str
    name: str
    data: object


@dataclass(slots=True)
class ToolFinished:
    """A call has its output. Calls that never ran (unknown tool, wrong arguments) come without a `ToolStarted`."""

    call_id: str
    name: str
    output: str
    """What the model is told."""
    outcome: Outcome
    """`ok`, `error`, `timeout`, `cancelled` or `not_run`; after the last three but one, it is unknown what happened."""
    duration_s: float = 0.0
    """Seconds from start to end."""
    exception: BaseException | None = field(default=None, repr=False)
    """What the tool raised, traceback and all."""


@dataclass(slots=True)
class ResponseFinished:
    """A response is whole and stands in the transcript."""

    response: Response
    turn: int
    """Which response of this run, from 1."""


@dataclass(slots=True)
class RetryWaiting:
    """A request failed and is tried again after a wait."""

    wait_s: float
    attempt: int
    """Which attempt failed, from 1."""
    error: AgentkitError


@dataclass(slots=True)
class AttemptDiscarded:
    """What was shown since the request began is void: the stream broke, and the request starts again."""

    attempt: int
    """Which attempt broke, from 1."""
    error: AgentkitError


@dataclass(slots=True)
class OutputRejected:
    """The answer isn't what was asked for; the model is told why and asked again."""

    message: str
    """What the model is told."""
    attempt: int
    """Which answer was rejected, from 1."""


@dataclass(slots=True)
class UnknownEvent:
    """An event of a type that agentkit doesn't know, as it came."""

    type: str
    data: JSONObject


Event: TypeAlias = (
    TextDelta
    | ReasoningDelta
    | RefusalDelta
    | ToolStarted
    | ToolProgress
    | ToolFinished
    | ResponseFinished
    | RetryWaiting
    | AttemptDiscarded
    | OutputRejected
    | UnknownEvent
)

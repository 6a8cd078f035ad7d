"""What a run is made of, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from typing import TypeAlias

    from agentkit.client import Client
    from agentkit.entries import Entry
    from agentkit.execute import ToolCall
    from agentkit.items import Item
    from agentkit.json import JSONObject
    from agentkit.limits import Limits
    from agentkit.response import Response, Usage
    from agentkit.settings import Settings
    from agentkit.tools import Tool
    from agentkit.transcript import Transcript

    Observer: TypeAlias = Callable[[Entry], Awaitable[None] | None]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answering(Generic[T]):
    """How a run asks for its output and reads it."""

    text_format: JSONObject | None
    """What `text.format` holds."""
    parse: Callable[[str], T]
    """Reads the answer's text; raises ValueError with a message for the model."""
    retries: int
    """How many answers may be rejected."""
    hint: str = ""
    """What the model is told after a rejection, besides the reason."""


@dataclass(frozen=True, slots=True)
class RunPlan(Generic[T]):
    """All that a run is made of."""

    model: str
    instructions: str | None
    new_items: list[Item]
    transcript: Transcript
    tools: Mapping[str, Tool[..., object]]
    deps: object
    find_client: Callable[[], Client]
    settings: Settings
    limits: Limits
    observers: Sequence[Observer]
    answering: Answering[T]
    stream: bool


@dataclass(frozen=True, repr=False)
class Result(Generic[T]):
    """A finished run."""

    output: T
    """The answer, as `output_type` has it."""
    text: str
    """The answer as the model wrote it."""
    transcript: Transcript
    """The whole conversation, to continue from."""
    usage: Usage
    """Tokens of this run, runs nested in its tools included."""
    turns: int
    """Responses of this run."""
    tool_calls: list[ToolCall]
    """The calls of this run, in order."""
    response: Response | None
    """The last response; None where the transcript already held the answer."""
    _start: int = field(default=0, repr=False)

    def __repr__(self) -> str:
        calls = f", {len(self.tool_calls)} tool calls" if self.tool_calls else ""
        return f"<Result: {self.output!r}, {self.turns} turns{calls}>"

    @property
    def new_items(self) -> list[Item]:
        """The items that this run added, the prompt included."""
        return [item for entry in self.transcript.entries[self._start :] for item in entry.items]

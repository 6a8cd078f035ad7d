"""The entries of a conversation: what the caller put in, what one response brought, what the tools gave for it.

An entry keeps the JSON bytes of its items, encoded once: a request is a join of them, and memory holds one
copy of the text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from agentkit import json
from agentkit.response import Response

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentkit.items import Item
    from agentkit.json import JSONObject

OWN_DEPTH = json.MAX_DEPTH + 8
"""Nesting of our own text: the brackets around the items come on top of theirs."""

Outcome: TypeAlias = Literal["ok", "error", "timeout", "cancelled", "not_run"]


ECHOES = frozenset({"output", "output_text", "tools", "instructions", "text", "prompt"})
"""Fields of a response that a transcript doesn't keep: the items have a place of their own, the others echo
the request, and 128 echoed tools in each of 1,000 entries would outweigh the conversation."""


@dataclass(frozen=True, slots=True)
class InputEntry:
    """What the caller put in: messages and other items that no server wrote."""

    data: bytes = field(repr=False)
    """The items as JSON, joined by commas."""

    instructions: str | None = None
    """The instructions in force from here on; None where the caller said nothing about them."""

    @property
    def items(self) -> list[Item]:
        """The items, decoded anew."""
        return decode_items(self.data)


@dataclass(frozen=True, slots=True)
class ResponseEntry:
    """What one response brought, whole or cut short."""

    data: bytes = field(repr=False)
    """The items as JSON, joined by commas, half-written calls included."""

    meta: bytes = field(repr=False)
    """The response object as JSON without its items and without what it echoes of the request."""

    status: str = "completed"
    """The response's status."""

    call_ids: tuple[str, ...] = ()
    """The ids of the calls that can be run, as received."""

    half_written: bool = False
    """Whether there are calls that were cut off, and so never go back."""

    key: str = field(default="", compare=False)
    """What the idempotency keys of its calls are made of, so that a call keeps its key when a run is resumed.
    Ours, since servers repeat their ids; empty for items that came from elsewhere."""

    @classmethod
    def of(cls, response: Response, *, key: str = "") -> ResponseEntry:
        """Make the entry of a received response."""
        output = response.output
        calls = sum(1 for item in output if item.get("type") == "function_call")
        runnable = response.calls
        return cls(
            data=encode_items(output),
            meta=json.encode({key: value for key, value in response.raw.items() if key not in ECHOES}),
            status=response.status,
            call_ids=tuple(call.call_id for call in runnable),
            half_written=len(runnable) != calls,
            key=key,
        )

    @property
    def items(self) -> list[Item]:
        """The items, decoded anew."""
        return decode_items(self.data)

    @property
    def response(self) -> Response:
        """The response, without the fields that only echoed the request."""
        return Response({**cast("JSONObject", json.decode(self.meta)), "output": cast("list[json.JSON]", self.items)})


@dataclass(frozen=True, slots=True)
class OutputRecord:
    """What happened with one call; the transcript's own note, which no server sees."""

    call_id: str
    """The call's id as received."""
    name: str = ""
    """The tool's name as the model wrote it."""
    outcome: Outcome = "ok"
    """`error`: the model was told what went wrong. `timeout`, `cancelled`: it may have happened or not.
    `not_run`: it certainly didn't happen."""
    final: bool = False
    """Whether this output is the run's answer."""
    full: str | None = None
    """The whole output where the model got a cut one; at most 16 MB."""


@dataclass(frozen=True, slots=True)
class OutputsEntry:
    """The outputs of one response's calls, in call order."""

    data: bytes = field(repr=False)
    """The items as JSON, joined by commas."""

    records: tuple[OutputRecord, ...] = ()
    """One for each output."""

    @property
    def call_ids(self) -> tuple[str, ...]:
        """The ids that the outputs answer."""
        return tuple(record.call_id for record in self.records)

    @property
    def items(self) -> list[Item]:
        """The items, decoded anew."""
        return decode_items(self.data)

    @property
    def final(self) -> OutputRecord | None:
        """The record of the call whose output is the run's answer, if there is one."""
        return next((record for record in self.records if record.final), None)


Entry: TypeAlias = InputEntry | ResponseEntry | OutputsEntry


def encode_items(items: Iterable[Item]) -> bytes:
    """Return items as JSON joined by commas, as they stand between the brackets of `input`."""
    return b",".join(map(json.encode, items))


def decode_items(data: bytes) -> list[Item]:
    return cast("list[Item]", json.decode(b"[" + data + b"]", max_depth=OWN_DEPTH))

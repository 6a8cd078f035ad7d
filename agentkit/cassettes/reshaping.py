"""An answer in the form that is asked for, where it was recorded in the other one: whole, or as a stream. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agentkit import json
from agentkit.cassettes.review.answered import is_streamed, read_answer
from agentkit.service.events import number_events, steps_of
from agentkit.service.sse import Wire, encode_event

if TYPE_CHECKING:
    from agentkit.cassettes.interaction import Interaction


def reshaped(interaction: Interaction, *, streamed: bool) -> Interaction | None:
    """Return an interaction whose answer is a stream, or is none. Refusals and failures are what they are.

    None where the answer holds no response to make the other form of.
    """
    if interaction.status is None or interaction.status >= 400 or is_streamed(interaction) is streamed:
        return interaction
    if interaction.failure is not None:
        return replace(interaction, status=None, chunks=())
    response = read_answer(interaction).response
    if response is None:
        return None
    if streamed:
        kind, wire = "text/event-stream", Wire()
        events = (step for step in number_events(steps_of(response.raw)) if isinstance(step, dict))
        chunks = tuple(encode_event(event, wire) for event in events)
    else:
        kind, chunks = "application/json", (json.encode(response.raw),)
    headers = tuple((name, kind if name == "content-type" else value) for name, value in interaction.headers)
    return replace(interaction, headers=headers, chunks=chunks, at_ms=())

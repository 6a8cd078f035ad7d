"""What a request that isn't in the cassette is told: how it differs from the nearest one there, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentkit.cassettes.exchanges import Terms
    from agentkit.cassettes.interaction import Interaction
    from agentkit.cassettes.store import Store
    from agentkit.cassettes.tracks import Asked


def describe_miss(terms: Terms, store: Store, asked: Asked) -> str:
    return "the live request is not the recorded one"


def describe_drift(terms: Terms, recorded: Interaction, method: str, uri: str, body: bytes) -> str:
    return "differs"

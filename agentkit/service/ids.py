"""Ids of responses and items: fresh ones for a server, predictable ones for tests and recordings."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from agentkit.service.requests import ReceivedRequest

NewId: TypeAlias = Callable[[str, int], str]
"""From a prefix (`resp`, `rs`, `msg`, `fc`, `call`) and an item's place in the output to an id."""

Ids: TypeAlias = "Callable[[ReceivedRequest], NewId]"
"""From a request to the ids of its response."""


def random_ids(_request: ReceivedRequest) -> NewId:
    """Ids that never repeat, as long as SambaNova's."""
    return lambda prefix, _index: f"{prefix}_{uuid.uuid4().hex[:18]}"


def position_ids(request: ReceivedRequest) -> NewId:
    """Ids that say where in the conversation an item stands: the call after one user message is `call_1`.

    The same conversation gets the same ids, streamed or not, whichever thread asks and whichever script goes on
    with it; along a conversation they differ, since every turn stands further back.
    """
    given = request.get("input")
    start = len(given) if isinstance(given, list) else 1
    return lambda prefix, index: f"{prefix}_{start + index}"

"""Recordings cut and joined: without some of their interactions, one behind the other. Pure."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from agentkit.cassettes.interaction import Body, Recording

if TYPE_CHECKING:
    from collections.abc import Collection

    from agentkit.cassettes.interaction import Interaction


def without(recording: Recording, turns: Collection[int]) -> Recording:
    """Return a recording without these turns, counted from 1; the others keep their bytes.

    A request that went on with one that is gone goes on with what that one went on with.
    """
    kept: list[Interaction] = []
    places: dict[int, int] = {}
    for index, interaction in enumerate(recording):
        if index + 1 in turns:
            continue
        places[index] = len(kept)
        kept.append(_moved(interaction, recording, places, kept))
    return dataclasses.replace(recording, interactions=tuple(kept))


def joined(first: Recording, second: Recording) -> Recording:
    """Return the first recording with the interactions of the second behind its own."""
    offset = len(first)
    moved = (
        interaction
        if interaction.parent is None
        else dataclasses.replace(interaction, parent=interaction.parent + offset)
        for interaction in second
    )
    return dataclasses.replace(first, interactions=(*first.interactions, *moved))


def _moved(
    interaction: Interaction, recording: Recording, places: dict[int, int], kept: list[Interaction]
) -> Interaction:
    before = interaction.parent
    while before is not None and before not in places:
        before = recording.interactions[before].parent
    if before is None:
        return dataclasses.replace(interaction, parent=None, body=Body(bytes(interaction.body)))
    place = places[before]
    return dataclasses.replace(interaction, parent=place, body=added_to(kept[place].body, interaction.body))


def added_to(earlier: Body, body: Body) -> Body:
    """Return a body as what it adds to an earlier one, where it goes on with it."""
    if body.parent is earlier:
        return body
    whole, same = bytes(body), bytes(earlier)[:-2]  # `]}` ends the list of items, and the body
    return Body(whole[len(same) :], earlier, len(same)) if same and whole.startswith(same) else Body(whole)

"""Recordings cut and joined: the bytes of what stays are as they were."""

from __future__ import annotations

import itertools

import pytest

from agentkit import Agent, tool
from agentkit.cassettes.review.conversation import read_conversations
from agentkit.cassettes.review.splicing import joined, without
from agentkit.testing import call
from tests.cassettes.made import Recorder


@tool
def look(number: int) -> str:
    """Look."""
    return f"seen {number}"


def recording_of(turns: int):  # type: ignore[no-untyped-def]
    calls = [call("look", {"number": number}) for number in range(turns - 1)]
    recorder = Recorder([*calls, "Done."])
    Agent(model="m", tools=[look], client=recorder.client()).run_sync("Go")
    return recorder.recording


@pytest.mark.parametrize("gone", [set(c) for n in range(5) for c in itertools.combinations(range(1, 5), n)])
def test_what_stays_keeps_its_bytes_and_goes_on_with_what_is_left(gone: set[int]) -> None:
    recording = recording_of(4)
    left = without(recording, gone)
    kept = [interaction for turn, interaction in enumerate(recording, 1) if turn not in gone]
    assert [bytes(interaction.body) for interaction in left] == [bytes(interaction.body) for interaction in kept]
    for index, interaction in enumerate(left):
        assert interaction.parent == (index - 1 if index else None)
        if interaction.parent is not None:
            assert interaction.body.parent is left.interactions[interaction.parent].body
    if kept:
        assert len(read_conversations(left)) == 1


def test_joined_recordings_keep_their_own_chains() -> None:
    first, second = recording_of(2), recording_of(3)
    both = joined(first, second)
    assert [interaction.parent for interaction in both] == [None, 0, None, 2, 3]
    assert [bytes(i.body) for i in both] == [bytes(i.body) for i in (*first, *second)]

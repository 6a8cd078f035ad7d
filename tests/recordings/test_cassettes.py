"""The recordings as cassettes: read as conversations, compared, and gone on from."""

from __future__ import annotations

import itertools
import json
from collections import Counter

import pytest

from agentkit import UsageError
from agentkit.cassettes.interaction import Body, Interaction, Recording
from agentkit.cassettes.review.comparison import compare, differences
from agentkit.cassettes.review.conversation import read_conversations
from agentkit.cassettes.review.past import read_past
from tests.recordings.exchanges import ABSENT, Exchange, all_exchanges, by_project, folder, name_of_project

pytestmark = pytest.mark.skipif(folder() is None, reason=ABSENT)

REASONS = ("is no request for a response", "has no answer to go on from", "conversation isn't whole")
FILES = by_project(list(all_exchanges()))


def recordings(exchanges: list[Exchange]) -> list[Recording]:
    """Return one for each file."""
    grouped = itertools.groupby(exchanges, key=lambda exchange: exchange.source)
    return [Recording(interactions=tuple(map(interaction_of, group))) for _, group in grouped]


def interaction_of(exchange: Exchange) -> Interaction:
    uri = (
        exchange.url if exchange.url.partition("?")[0].endswith("/responses") else "https://recorded.test/v1/responses"
    )
    headers = (("content-type", exchange.content_type),)
    chunks = (exchange.body,) if exchange.body else ()
    return Interaction(
        "POST", uri, Body(json.dumps(exchange.request).encode()), exchange.status or 200, headers, chunks
    )


@pytest.mark.parametrize("exchanges", FILES, ids=name_of_project)
def test_every_exchange_has_its_place_in_a_conversation(exchanges: list[Exchange]) -> None:
    for recording in recordings(exchanges):
        turns = [turn for each in read_conversations(recording) for turn in each.turns]
        numbers = [turn.number for turn in turns] + [attempt.number for turn in turns for attempt in turn.failed]
        assert sorted(numbers) == list(range(1, len(recording) + 1))
        assert differences(compare(recording, recording)) == []


def test_what_was_answered_can_be_gone_on_from() -> None:
    """Each answer stands last in the transcript up to it. Refusals, and what leans on the server's memory, can't be."""
    refused: Counter[str] = Counter()
    for recording in recordings(list(all_exchanges())):
        for turn in range(1, len(recording) + 1):
            try:
                past = read_past(recording, turn=turn, name="x.yaml")
            except UsageError as exc:
                refused[next((reason for reason in REASONS if reason in str(exc)), str(exc))] += 1
                continue
            assert past.open.turns >= 1
            assert past.transcript.entries[: len(past.open.entries)] == past.open.entries
    assert refused == {
        "is no request for a response": 9,
        "has no answer to go on from": 15,
        "conversation isn't whole": 3,
    }

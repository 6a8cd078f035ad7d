"""The recorded function-calling conversations, run by the real agent against a server that answers as recorded.

The functions return the recorded outputs. Every conversation must reach its recorded text, with every request's
`input` equal to the recorded one, but for what `differences.py` names.
"""

from __future__ import annotations

from collections import Counter

import pytest

from tests.recordings.conversations import Conversation, conversations, left_out_counts, others, played
from tests.recordings.differences import ITEM_RULES, LIST_RULES
from tests.recordings.exchanges import ABSENT, folder
from tests.recordings.playback import entries, play, playback_server
from tests.recordings.rebuilding import rebuild
from tests.recordings.table import PAGE, measure, render

pytestmark = pytest.mark.skipif(folder() is None, reason=ABSENT)

LEFT_OUT = {
    "continued on the server with previous_response_id, so the requests hold only what is new": 1,
    "holds an item_reference, which points into the server's memory": 2,
    "holds a tool_search, whose calls are no function calls": 1,
    "the recording ends with calls that nobody answers": 5,
    "the recording ends without a text": 1,
}
LEAST = {"OpenAI": 4, "Azure": 4, "OpenRouter": 4, "xAI": 4, "Codex backend": 4}


@pytest.mark.parametrize(("conversation", "entry"), entries(), ids=lambda value: getattr(value, "name", value))
def test_a_conversation_runs_to_its_recorded_end(conversation: Conversation, entry: str) -> None:
    with playback_server() as server:
        outcome = play(conversation, server, entry)
    assert outcome.text == conversation.final_text
    assert outcome.calls == conversation.calls
    assert len(outcome.inputs) == len(conversation.exchanges)
    for explained, exchange in zip(outcome.explained, conversation.exchanges, strict=True):
        assert explained == exchange.input


@pytest.mark.parametrize("conversation", [c for c in others() if c.left_out is None], ids=lambda c: c.name)
def test_a_conversation_without_functions_is_sent_back_as_it_was(conversation: Conversation) -> None:
    inputs, _ = rebuild(conversation)
    assert inputs == [exchange.input for exchange in conversation.exchanges]


def test_few_conversations_without_functions_are_left_out() -> None:
    assert Counter(conversation.left_out for conversation in others() if conversation.left_out) == {
        "continued on the server with previous_response_id, so the requests hold only what is new": 4
    }


def test_every_conversation_left_out_has_a_named_reason() -> None:
    assert left_out_counts() == LEFT_OUT
    assert len(conversations()) == len(played()) + sum(LEFT_OUT.values())


def test_there_are_enough_of_each_server() -> None:
    counts = Counter(conversation.server for conversation in played())
    assert {server: counts[server] for server in LEAST if counts[server] < LEAST[server]} == {}


def test_all_ways_into_a_run_are_used() -> None:
    assert {entry for _, entry in entries()} == {"run", "run_sync", "run_streamed", "stream", "stream_sync"}


def test_every_difference_occurs_and_the_page_says_how_often() -> None:
    measured = measure()
    assert measured.differences.keys() == LIST_RULES.keys() | ITEM_RULES.keys()
    assert PAGE.read_text(encoding="utf-8") == render(measured), "run python -m tests.recordings.table --write"

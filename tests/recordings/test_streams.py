"""Every recorded stream folds into one response, however its bytes are cut."""

from __future__ import annotations

import json

import pytest

from tests.recordings.exchanges import (
    ABSENT,
    TERMINAL,
    Exchange,
    Item,
    all_exchanges,
    by_project,
    folder,
    name_of_project,
)
from tests.recordings.streams import fold, split

pytestmark = pytest.mark.skipif(folder() is None, reason=ABSENT)

STREAMS = [exchange for exchange in all_exchanges() if exchange.events is not None]
FINISHED = [exchange for exchange in STREAMS if exchange.final is not None and exchange.failure is None]
BYTE_BY_BYTE = 20_000
"""Bytes of each stream that are fed one by one. 81 of the 356 are longer: their rest comes whole."""


@pytest.mark.parametrize("exchanges", by_project(FINISHED), ids=name_of_project)
def test_a_stream_holds_its_final_response(exchanges: list[Exchange]) -> None:
    for exchange in exchanges:
        response, final = fold([exchange.body]), exchange.final
        assert response is not None
        assert final is not None
        assert response.raw == {**final, "output": final.get("output") or exchange.done_items}, exchange.name


@pytest.mark.parametrize("exchanges", by_project(FINISHED), ids=name_of_project)
def test_a_stream_may_be_cut_anywhere(exchanges: list[Exchange]) -> None:
    for exchange in exchanges:
        whole = fold([exchange.body])
        assert fold(split(exchange.body, 1, BYTE_BY_BYTE)) == whole, exchange.name
        assert fold(split(exchange.body, 61, len(exchange.body))) == whole, exchange.name


@pytest.mark.parametrize("exchanges", by_project(FINISHED), ids=name_of_project)
def test_the_done_events_alone_give_the_items(exchanges: list[Exchange]) -> None:
    """With the final response's output taken away, the items are those of the `output_item.done` events.

    They agree with the final output but for what servers encrypt anew, and ids that Copilot changes on the way.
    """
    for exchange in exchanges:
        response = fold(written_anew(exchange))
        assert response is not None
        assert response.output == exchange.done_items, exchange.name
        for item, final in zip(response.output, exchange.output, strict=True):
            renewed = {key for key in item.keys() | final.keys() if item.get(key) != final.get(key)}
            allowed = {"encrypted_content", "id"} if exchange.server == "Copilot" else {"encrypted_content"}
            assert renewed <= allowed, exchange.name


@pytest.mark.parametrize("exchanges", by_project(FINISHED), ids=name_of_project)
def test_the_deltas_alone_give_the_texts_and_arguments(exchanges: list[Exchange]) -> None:
    """Without the items that come whole, the same words come from the deltas."""
    for exchange in exchanges:
        response = fold(written_anew(exchange, but=("response.output_item.done",)))
        assert response is not None
        assert [words(item) for item in response.output] == [words(item) for item in exchange.done_items], exchange.name


def written_anew(exchange: Exchange, but: tuple[str, ...] = ()) -> list[bytes]:
    """Return a stream's events without the final response's output, without some types, and without numbers."""
    events = [event["data"] for event in exchange.events or () if isinstance(event["data"], dict)]
    bodies = [
        {k: v for k, v in event.items() if k != "sequence_number"} for event in events if event["type"] not in but
    ]
    for body in bodies:
        if body["type"] in TERMINAL:
            body["response"] = {**body["response"], "output": []}
    return [b"data: " + json.dumps(body).encode() + b"\n\n" for body in bodies]


def words(item: Item) -> tuple[object, ...]:
    """Return what an item says; of items that only a server understands, that they are there."""
    parts = [*(item.get("content") or ()), *(item.get("summary") or ())]
    texts = [part.get("text", part.get("refusal")) for part in parts if part.get("type") != "reasoning_text"]
    return item["type"], item.get("name"), item.get("arguments"), [text for text in texts if text]

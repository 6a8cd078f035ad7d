"""Every recorded stream folds into one response, however its bytes are cut."""

from __future__ import annotations

import pytest

from agentkit.fold import StreamError
from tests.recordings.exchanges import ABSENT, Exchange, exchanges, folder
from tests.recordings.streams import fold, split

pytestmark = pytest.mark.skipif(folder() is None, reason=ABSENT)

STREAMS = [exchange for exchange in exchanges() if exchange.events is not None]
FINISHED = [exchange for exchange in STREAMS if exchange.final is not None]
BYTE_BY_BYTE = 20_000
"""Bytes of each stream that are fed one by one. Nearly all are shorter; of the others the rest comes whole."""


@pytest.mark.parametrize("exchange", FINISHED, ids=lambda exchange: exchange.name)
def test_a_stream_holds_its_final_response(exchange: Exchange) -> None:
    response, final = fold([exchange.body]), exchange.final
    assert response is not None
    assert final is not None
    assert response.raw == {**final, "output": final.get("output") or exchange.done_items}


@pytest.mark.parametrize("exchange", FINISHED, ids=lambda exchange: exchange.name)
def test_a_stream_may_be_cut_anywhere(exchange: Exchange) -> None:
    whole = fold([exchange.body])
    assert fold(split(exchange.body, 1, BYTE_BY_BYTE)) == whole
    assert fold(split(exchange.body, 61, len(exchange.body))) == whole


@pytest.mark.parametrize("exchange", FINISHED, ids=lambda exchange: exchange.name)
def test_the_events_alone_give_the_same_items(exchange: Exchange) -> None:
    """With the final response's output taken away, the items come from the events."""
    events = [event["data"] for event in exchange.events or ()]

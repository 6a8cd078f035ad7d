"""Every recorded answer is read, and every item goes back out as it came in."""

from __future__ import annotations

import json

import pytest

from agentkit import Transcript
from agentkit import json as agentkit_json
from agentkit.entries import ResponseEntry
from agentkit.response import Response
from agentkit.view import InputView
from tests.recordings.exchanges import ABSENT, Exchange, all_exchanges, by_project, folder, name_of_project
from tests.recordings.streams import fold

pytestmark = pytest.mark.skipif(folder() is None, reason=ABSENT)

ANSWERS = [exchange for exchange in all_exchanges() if not exchange.is_refusal and exchange.failure is None]


@pytest.mark.parametrize("exchanges", by_project(ANSWERS), ids=name_of_project)
def test_items_go_back_out_as_they_came_in(exchanges: list[Exchange]) -> None:
    for exchange in exchanges:
        response = read(exchange)
        entry = ResponseEntry.of(response)
        assert exact(response.output) == exact(exchange.output), exchange.name
        assert exact(entry.items) == exact(exchange.output), exchange.name
        assert exact(entry.response.output) == exact(exchange.output), exchange.name
        if response.status == "completed":
            sent = json.loads(b"[" + InputView().feed(entry) + b"]")
            assert exact(sent) == exact(exchange.output)
        kept = Transcript([entry])
        assert Transcript.from_json(kept.to_json()) == kept, exchange.name


@pytest.mark.parametrize("exchanges", by_project(ANSWERS), ids=name_of_project)
def test_the_response_says_what_its_body_says(exchanges: list[Exchange]) -> None:
    for exchange in exchanges:
        response = read(exchange)
        final = exchange.final
        assert final is not None
        assert response.id == final.get("id"), exchange.name
        assert response.status == final["status"], exchange.name
        assert response.model == final.get("model"), exchange.name
        usage = final.get("usage") or {}
        assert response.usage.input_tokens == usage.get("input_tokens"), exchange.name
        assert response.usage.output_tokens == usage.get("output_tokens"), exchange.name
        assert response.usage.unreported == (not usage), exchange.name
        calls = [item for item in exchange.output if item.get("type") == "function_call"]
        complete = response.status == "completed"
        assert [call.arguments for call in response.calls] == [call["arguments"] for call in calls if complete], (
            exchange.name
        )


def read(exchange: Exchange) -> Response:
    """Read an answer as the client does."""
    if exchange.events is not None:
        response = fold([exchange.body])
        assert response is not None
        return response
    return Response.parse(agentkit_json.decode(exchange.body))


def exact(items: object) -> str:
    """Return JSON text to compare: where `==` takes 1 for 1.0 and True, text doesn't."""
    return json.dumps(items, sort_keys=True)

"""Conversations without functions, rebuilt request by request from what was said and what was answered."""

from __future__ import annotations

import json
from collections import Counter

from agentkit import Transcript
from agentkit import json as agentkit_json
from agentkit.entries import ResponseEntry
from agentkit.profile import find_profile
from agentkit.response import Response
from agentkit.view import InputView
from tests.recordings.conversations import Conversation
from tests.recordings.differences import explain
from tests.recordings.exchanges import Exchange, Item
from tests.recordings.playback import PROFILES
from tests.recordings.streams import fold


def rebuild(conversation: Conversation) -> tuple[list[list[Item]], Counter[str]]:
    """Return the inputs that agentkit sends, as the recording client would have written them, and the differences."""
    profile = find_profile(PROFILES.get(conversation.server, "other"), "")
    transcript = Transcript([])
    inputs: list[list[Item]] = []
    differences: Counter[str] = Counter()
    for number, (added, exchange) in enumerate(zip(conversation.added, conversation.exchanges, strict=True)):
        if added:
            transcript = transcript.extend(added)
        view = InputView(needs_encrypted_reasoning=profile.encrypted_reasoning)
        sent = json.loads(b"[" + b",".join(view.feed_all(transcript.entries)) + b"]")
        explained, counts = explain(sent, exchange.input, conversation.exchanges[:number])
        inputs.append(explained)
        differences += counts
        transcript = transcript.append(ResponseEntry.of(_read(exchange)))
    return inputs, differences


def _read(exchange: Exchange) -> Response:
    if exchange.events is None:
        return Response.parse(agentkit_json.decode(exchange.body))
    response = fold([exchange.body])
    assert response is not None
    return response

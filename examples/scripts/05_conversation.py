"""The model of examples/05_conversation.py; its cassette is recorded from it by python -m examples.record."""

from agentkit.testing import ReceivedRequest


def script(request: ReceivedRequest) -> str:
    """It has read the whole conversation."""
    said = [item["content"] for item in request.input_items if item.get("role") == "user"]
    return f"You have asked {len(said)} times, first: {said[0]}"

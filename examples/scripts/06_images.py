"""The model of examples/06_images.py; its cassette is recorded from it by python -m examples.record."""

from agentkit.testing import ReceivedRequest


def script(request: ReceivedRequest) -> str:
    """It can't see, but it was sent a picture."""
    content = request.input_items[-1]["content"]
    kinds = [part["type"] for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    return f"A red dot. (I was sent {' and '.join(map(str, kinds))}.)"

"""The model of examples/04_streaming.py; its cassette is recorded from it by python -m examples.record."""

from agentkit.testing import ReceivedRequest, Reply, call


def script(request: ReceivedRequest) -> Reply:
    """Two calls at once, then an answer."""
    if request.last_output is None:
        return [call("population", {"city": "Oslo"}), call("population", {"city": "Bergen"})]
    return "Together 998,367 people live in Oslo and Bergen."

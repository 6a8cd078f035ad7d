"""The model of examples/09_tested_assistant; its cassette is recorded from it by python -m examples.record."""

from agentkit.testing import ReceivedRequest, Reply, call


def script(request: ReceivedRequest) -> Reply:
    """Takes what is asked for, and says so."""
    return call("take", {"item": "tea"}) if request.last_output is None else f"Done: {request.last_output}."

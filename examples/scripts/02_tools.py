"""The model of examples/02_tools.py; its cassette is recorded from it by python -m examples.record."""

from agentkit.testing import ReceivedRequest, Reply, call


def script(request: ReceivedRequest) -> Reply:
    """First a call, then an answer."""
    if request.last_output is None:
        return call("weather", {"city": "Oslo"})
    return "Yes, take a coat: it is 7 °C and raining in Oslo."

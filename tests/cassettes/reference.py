"""A reference server to record from, and an agent with a tool that counts its runs: fixtures and what they are of."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

pytest.importorskip("yaml", reason="needs the extra 'cassettes'")
pytest.importorskip("vcr", reason="needs the extra 'cassettes'")
pytest.importorskip("uvicorn", reason="needs the extra 'server'")

from agentkit import Agent, Client, RetryPolicy, tool
from agentkit.service.http import RunningServer, running
from agentkit.service.script import Script
from agentkit.testing import call


@pytest.fixture
def outside_of_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recording is refused in CI, where these tests run too."""
    for name in ("CI", "AGENTKIT_CASSETTES", "AGENTKIT_CASSETTES_IN_CI"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "weather.yaml"


@dataclass
class Assistant:
    """An agent whose tool notes each run."""

    agent: Agent[str]
    ran: list[str] = field(default_factory=list)
    """The cities that the tool was run for."""


@pytest.fixture
def assistant() -> Assistant:
    ran: list[str] = []

    @tool
    def weather(city: str) -> dict[str, object]:
        """Current weather in a city."""
        ran.append(city)
        return {"city": city, "temperature": 7}

    return Assistant(Agent(model="m", instructions="Answer briefly.", tools=[weather]), ran)


def answering(request: object) -> object:
    """The model: asks for the weather, then answers."""
    items = request["input"]  # type: ignore[index]
    asked = sum(item.get("type") == "message" and item.get("role") == "user" for item in items)
    given = sum(item.get("type") == "function_call_output" for item in items)
    return call("weather", {"city": "Oslo"}) if given < asked else f"Answer {given}: take a coat."


Serve = Callable[..., RunningServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start reference servers; they end with the test."""
    with contextlib.ExitStack() as stack:

        def start(script: Script = answering, **options: object) -> RunningServer:
            return stack.enter_context(running(script, **options))

        yield start


def client_of(server: RunningServer, **options: object) -> Client:
    """A client of a server, which doesn't wait between tries."""
    policy = RetryPolicy(base_s=0.001, cap_s=0.001)
    return Client(server.base_url, "a-key-of-the-test", trust_env=False, **{"retry": policy, **options})

"""A project whose tests talk to a model over HTTP, and the server for it."""

from __future__ import annotations

import importlib
import pkgutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

import agentkit
from agentkit.service.http import RunningServer, running
from agentkit.service.script import Script
from agentkit.testing import ReceivedRequest, Reply, call
from tests.cassettes.reference import assistant, outside_of_ci, path, serve

__all__ = ["assistant", "outside_of_ci", "path", "serve"]

for module in pkgutil.walk_packages(agentkit.__path__, "agentkit."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)  # an inner run in this process forgets the modules that it has loaded

INI = """
[pytest]
cassettes_allow_loopback = true
asyncio_default_fixture_loop_scope = function
filterwarnings = error
"""
HEAD = '''
import os
import pytest
import agentkit
from agentkit import Agent, Client, tool

@tool
def weather(city: str) -> str:
    """Look the weather up."""
    return "rain"

agent = Agent(model="gpt-oss-120b", instructions="Be brief.", tools=[weather])

def ask(city="Oslo", **options):
    return agent.run_sync(f"Do I need a coat in {city}?", client=Client(os.environ["MODEL_URL"], "key"), **options)

async def ask_async(city="Oslo"):
    return await agent.run(f"Do I need a coat in {city}?", client=Client(os.environ["MODEL_URL"], "key"))
'''


def weather_script(request: ReceivedRequest) -> Reply:
    """Look the weather up, then answer."""
    return call("weather", {"city": "Oslo"}) if request.last_output is None else "Take a coat."


@dataclass
class Project:
    """Tests in a folder of their own, run by a pytest of their own."""

    pytester: pytest.Pytester
    monkeypatch: pytest.MonkeyPatch

    def write(self, body: str, name: str = "test_chat.py") -> None:
        """Write a module of tests below the names that all have."""
        path = self.pytester.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{HEAD}\n{body}", encoding="utf-8")

    def run(self, *options: str) -> pytest.RunResult:
        """Run the tests with no server to ask."""
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))  # nobody listens there
            self.monkeypatch.setenv("MODEL_URL", f"http://127.0.0.1:{taken.getsockname()[1]}/v1")
            return self.pytester.runpytest_inprocess("-p", "no:cacheprovider", *options)

    def run_live(self, *options: str, script: Script = weather_script) -> tuple[pytest.RunResult, RunningServer]:
        """Run the tests with a server to ask."""
        with self.server(script) as server:
            return self.pytester.runpytest_inprocess("-p", "no:cacheprovider", *options), server

    @contextmanager
    def server(self, script: Script = weather_script) -> Iterator[RunningServer]:
        """Run the reference server."""
        with running(script) as server:
            self.monkeypatch.setenv("MODEL_URL", server.base_url)
            yield server

    def files(self) -> list[str]:
        """Return what is in the folder of cassettes, but for what isn't committed."""
        folder = self.pytester.path / "cassettes"
        found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
        return sorted(path.as_posix() for path in found if ".agentkit" not in path.parts)

    def text(self, name: str) -> str:
        """Return a cassette's text."""
        return (self.pytester.path / "cassettes" / name).read_text(encoding="utf-8")


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Return a project without tests."""
    for name in ("CI", "AGENTKIT_CASSETTES", "AGENTKIT_CASSETTES_IN_CI"):
        monkeypatch.delenv(name, raising=False)
    (pytester.path / "pytest.ini").write_text(INI, encoding="utf-8")
    return Project(pytester, monkeypatch)

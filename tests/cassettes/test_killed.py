"""Recordings killed with SIGKILL at every step that touches the disk: nothing that was paid for is paid for again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

import agentkit
from tests.cassettes.reference import client_of

pytestmark = pytest.mark.usefixtures("outside_of_ci")

# Runs the recording, and kills itself before or after the step of the given number.
CHILD = """
import os, pathlib, signal, sys
import agentkit
from agentkit import Agent, Client, tool

url, path, mode, at, when = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5]
steps = 0

def counted(function):
    def step(*args, **options):
        global steps
        steps += 1
        number = steps
        if number == at and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            return function(*args, **options)
        finally:
            if number == at and when == "after":
                os.kill(os.getpid(), signal.SIGKILL)
    return step

for name in ("fsync", "replace", "open", "unlink", "rename"):
    setattr(os, name, counted(getattr(os, name)))
for name in ("replace", "unlink", "mkdir"):
    setattr(pathlib.Path, name, counted(getattr(pathlib.Path, name)))

@tool
def weather(city: str) -> dict[str, object]:
    "Current weather in a city."
    return {"city": city, "temperature": 7}

agent = Agent(model="m", instructions="Answer briefly.", tools=[weather])
client = Client(url, "a-key-of-the-test", trust_env=False)
with agentkit.cassette(path, mode):
    agent.run_sync("Do I need a coat?", client=client)
print(steps)
"""


def run_child(server, path, mode, at, when):
    return subprocess.run(
        [sys.executable, "-c", CHILD, server.base_url, str(path), mode, str(at), when],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )


def finish(path, assistant, server, mode):
    with agentkit.cassette(path, mode):
        assistant.agent.run_sync("Do I need a coat?", client=client_of(server))


def test_a_recording_killed_at_any_step_goes_on_without_asking_twice(tmp_path, assistant, serve):
    server = serve()
    whole = run_child(server, tmp_path / "whole.yaml", "record", 0, "before")
    assert whole.returncode == 0, whole.stderr
    steps = int(whole.stdout)
    assert steps > 8
    expected = (tmp_path / "whole.yaml").read_bytes()
    for at in range(1, steps + 1):
        for when in ("before", "after"):
            path = tmp_path / f"{at}-{when}.yaml"
            asked = len(server.requests)
            done = run_child(server, path, "record", at, when)
            assert done.returncode == -signal.SIGKILL, done.stderr
            assert not path.exists() or path.read_bytes() == expected, (at, when)
            finish(path, assistant, server, "record")
            # an exchange is safe once the step that wrote it down has ended; the one under way then is asked again
            assert len(server.requests) - asked <= 3, (at, when)
            assert path.read_bytes() == expected, (at, when)
            left = {entry.name for entry in tmp_path.iterdir() if entry.name.startswith(path.name)}
            assert left == {path.name}, (at, when)


def test_a_rewrite_killed_at_any_step_leaves_the_accepted_file_or_the_new_one(tmp_path, assistant, serve):
    server = serve()
    path = tmp_path / "tape.yaml"
    finish(path, assistant, server, "record")
    accepted = path.read_bytes()
    steps = int(run_child(server, path, "rewrite", 0, "before").stdout)
    assert path.read_bytes() == accepted
    for at in range(1, steps + 1):
        done = run_child(server, path, "rewrite", at, "before")
        assert done.returncode == -signal.SIGKILL
        assert path.read_bytes() == accepted, at
        with agentkit.cassette(path) as tape:
            assistant.agent.run_sync("Do I need a coat?")
        assert tape.unused == []
        finish(path, assistant, server, "rewrite")
        assert path.read_bytes() == accepted

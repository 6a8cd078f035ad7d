"""Ctrl-C and a notebook's Stop, in processes of their own: the run ends, and its transcript is in order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from jupyter_client.blocking.client import BlockingKernelClient
    from jupyter_client.manager import KernelManager

SETUP = """
import asyncio, threading, time
from agentkit import Agent, tool
from agentkit.testing import ScriptedModel, call, hold, text

done = threading.Event()

@tool
def finished() -> str:
    done.set()
    return "done"

@tool
async def hanging() -> None:
    while not done.is_set():
        await asyncio.sleep(0)
    print("hanging", flush=True)
    await asyncio.Event().wait()

@tool
def hanging_sync() -> None:
    done.wait()
    print("hanging", flush=True)
    threading.Event().wait()

def script(request):
    if request.last_text == "hold":
        print("hanging", flush=True)
        return text("Hel", hold(threading.Event()), "lo")
    return [call("finished", {}), call(request.last_text, {})]

agent = Agent(model="m", tools=[finished, hanging, hanging_sync], client=ScriptedModel(script).client())

def show(error):
    transcript = getattr(error, "transcript", None) or error.__context__.transcript
    print(type(error).__name__, [i["output"] for i in transcript.items if "output" in i], transcript.open_calls)
"""
RUN_SYNC = """
try:
    agent.run_sync({what!r})
except KeyboardInterrupt as error:
    show(error)
"""
STREAM_SYNC = """
try:
    with agent.stream_sync({what!r}) as run:
        for event in run: pass
except KeyboardInterrupt as error:
    show(error)
"""
ASYNCIO_RUN = """
try:
    asyncio.run(agent.run({what!r}))
except KeyboardInterrupt as error:
    show(error)
"""
ANSWERED = "KeyboardInterrupt ['done', 'cancelled; it was running, so the outcome is unknown'] []"


def python_env() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}


@pytest.mark.parametrize("what", ["hanging", "hanging_sync", "hold"])
@pytest.mark.parametrize("form", [RUN_SYNC, STREAM_SYNC, ASYNCIO_RUN], ids=["run_sync", "stream_sync", "asyncio.run"])
def test_ctrl_c_ends_the_run_at_once_with_every_call_answered(form: str, what: str) -> None:
    code = SETUP + form.format(what=what)
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=python_env())
    assert process.stdout is not None
    assert process.stdout.readline() == "hanging\n"
    interrupted = time.monotonic()
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=20)
    assert said.strip() == (ANSWERED if what != "hold" else "KeyboardInterrupt [] []")
    assert process.returncode == 0
    assert time.monotonic() - interrupted < 3


@pytest.fixture(scope="module")
def kernel() -> Iterator[tuple[KernelManager, BlockingKernelClient]]:
    manager = pytest.importorskip("jupyter_client.manager", reason="needs the `test` extra's jupyter_client")
    started = manager.KernelManager(kernel_name="python3")
    started.start_kernel(env=python_env())
    client = started.blocking_client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    client.execute_interactive(SETUP, timeout=60)
    yield started, client
    client.stop_channels()
    started.shutdown_kernel(now=True)
    started.cleanup_resources()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::RuntimeWarning")
@pytest.mark.parametrize("what", ["hanging", "hanging_sync", "hold"])
@pytest.mark.parametrize(
    "cell",
    [RUN_SYNC, "try:\n    await agent.run({what!r})\nexcept BaseException as error:\n    show(error)"],
    ids=["run_sync", "top-level await"],
)
def test_stop_in_a_notebook(kernel: tuple[KernelManager, BlockingKernelClient], cell: str, what: str) -> None:
    manager, client = kernel
    said: list[str] = []
    stopped_at: list[float] = []

    def hook(message: dict[str, dict[str, str]]) -> None:
        text = message["content"].get("text", "")
        said.append(text)
        if "hanging" in text and not stopped_at:
            stopped_at.append(time.monotonic())
            manager.interrupt_kernel()

    client.execute_interactive(cell.format(what=what), output_hook=hook, timeout=30)
    assert time.monotonic() - stopped_at[0] < 3
    ending = ANSWERED.split(" ", 1)[1] if what != "hold" else "[] []"
    assert "".join(said).strip().endswith(ending)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::RuntimeWarning")
def test_a_redefined_tool_takes_the_place_of_the_old_one(
    kernel: tuple[KernelManager, BlockingKernelClient],
) -> None:
    _, client = kernel
    shown: list[str] = []
    for kind in ("int", "str"):
        said: list[str] = []
        cell = f"""
@tool
def changing(value: {kind}) -> str:
    return "x"
print(Agent(model="m", tools=[changing]).tools[0].schema["properties"])
"""
        client.execute_interactive(cell, output_hook=lambda m: said.append(m["content"].get("text", "")), timeout=30)  # noqa: B023
        shown.append("".join(said))
    assert shown == ["{'value': {'type': 'integer'}}\n", "{'value': {'type': 'string'}}\n"]


LEFT = """
for event in agent.stream_sync("hanging"):
    if type(event).__name__ == "ToolStarted":
        break
print("left", flush=True)
"""


def test_a_sync_stream_left_without_its_block_ends_quietly() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", SETUP + LEFT], capture_output=True, text=True, env=python_env(), timeout=30
    )
    assert done.stdout.splitlines()[-1] == "left"
    assert not [line for line in done.stderr.splitlines() if "Executing <Task" not in line]
    assert done.returncode == 0

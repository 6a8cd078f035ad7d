"""How long it takes to import agentkit, and to get from the start of a process to the first bytes of a request.

Measured from outside: wall and CPU time of fresh processes; the first row is what the interpreter itself takes. The
script that agentkit is held against makes a tool's schema with pydantic's TypeAdapter, and posts it with httpx.
"""

# ruff: noqa: S603  (the scripts are below)

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import time

from benchmarks.surroundings import Figure

TIMES = 15
IMPORTS = {
    "nothing": "pass",
    "agentkit": "import agentkit",
    "the names": "from agentkit import Agent, Client, tool",
    "httpx": "import httpx",
}

TOOL = '''
def weather(city: str, unit: str = "C") -> str:
    """Weather.

    Args:
        city: The city.
    """
    return "x"
'''
AGENT = f"""
import sys
from agentkit import Agent, Client, tool
{TOOL}
agent = Agent(model="m", tools=[tool(weather)])
client = Client(sys.argv[1], "k", trust_env=False)
"""
BY_HAND = "httpx and TypeAdapter"
FIRST_REQUESTS = {
    "agentkit, run_sync": AGENT + 'agent.run_sync("hi", client=client)',
    "agentkit, run": AGENT + 'import asyncio; asyncio.run(agent.run("hi", client=client))',
    BY_HAND: f"""
import asyncio, sys
import httpx
from pydantic import TypeAdapter
{TOOL}
async def main():
    function = {{"type": "function", "name": "weather", "parameters": TypeAdapter(weather).json_schema()}}
    async with httpx.AsyncClient(trust_env=False) as client:
        await client.post(sys.argv[1] + "/responses", json={{"model": "m", "input": "hi", "tools": [function]}})
asyncio.run(main())
""",
}


def run(code: str) -> tuple[float, float]:
    """Return wall and CPU time of a whole process, in milliseconds."""
    return timed([sys.executable, "-c", code])


def timed(command: list[str], stdout: int | None = None) -> tuple[float, float]:
    """Return wall and CPU time of a command, in milliseconds."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=stdout)
    cpu = _cpu_of(process)
    return (time.perf_counter() - started) * 1e3, cpu * 1e3


def run_to_first_bytes(code: str) -> tuple[float, float]:
    """Return wall and CPU time from the start of a process to the first bytes that it sends."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        started = time.perf_counter()
        process = subprocess.Popen([sys.executable, "-c", code, url])
        connection, _ = listening.accept()
        with connection:
            begin = connection.recv(64)
            wall = time.perf_counter() - started
            process.kill()
            cpu = _cpu_of(process)
    if not begin.startswith(b"POST /v1/responses"):
        raise RuntimeError(f"expected a request, received {begin!r}")
    return wall * 1e3, cpu * 1e3


def _cpu_of(process: subprocess.Popen[bytes]) -> float:
    """Wait for a process to end, and return the CPU time that it took."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime


def measure() -> list[Figure]:
    """Return the ratios of CPU times."""
    cases = [(name, run, code) for name, code in IMPORTS.items()]
    cases += [(name, run_to_first_bytes, code) for name, code in FIRST_REQUESTS.items()]
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name, _, _ in cases}
    for _, way, code in cases:
        way(code)  # compiles what isn't, and brings the files into memory
    for _ in range(TIMES):
        for name, way, code in cases:
            taken[name].append(way(code))
    wall, cpu = ({name: statistics.median(one[i] for one in found) for name, found in taken.items()} for i in (0, 1))
    own, by_hand = FIRST_REQUESTS.keys() - {BY_HAND}, BY_HAND
    return [
        Figure("import agentkit / import httpx", cpu["agentkit"] / cpu["httpx"], 1.5),
        Figure("from agentkit import Agent, Client, tool / import httpx", cpu["the names"] / cpu["httpx"], 1.5),
        *(
            Figure(f"process start to first bytes: {name} / {by_hand}", cpu[name] / cpu[by_hand], 1.2)
            for name in sorted(own)
        ),
        Figure("process start to first bytes: agentkit, run, wall ms", wall["agentkit, run"]),
    ]

"""A server that is down for five minutes, and the clients that go on asking: what reaches it, and when.

Real clients over an in-process transport, in virtual time. Each asks every ten seconds, whatever became of the
last request.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import random
from dataclasses import dataclass, field

import httpx

from agentkit import AgentkitError, Client, RetryPolicy
from tests.faults.virtual_time import run

CLIENTS = 50
EVERY_S = 10.0
DOWN_S = (120.0, 420.0)
END_S = 720.0
LATENCY_S = 0.2

_BODY = {"model": "m", "input": "hi"}
_MESSAGE = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi"}]}
_ANSWER = json.dumps({"status": "completed", "output": [_MESSAGE]}).encode()


@dataclass
class Outcome:
    """What happened, each as the virtual times at which it did."""

    received: list[float] = field(default_factory=list)
    """Requests that reached the server."""
    asked: list[float] = field(default_factory=list)
    """Requests that the callers made."""
    failed: list[float] = field(default_factory=list)
    """Requests that the callers made and that failed in the end."""
    spent_at: float = 0.0
    """When the last client's budget was empty for the first time."""

    def between(self, times: list[float], start: float, end: float) -> int:
        """Count what happened in a span."""
        return sum(start <= time < end for time in times)


def simulate(policy: RetryPolicy, *, status: int = 503, shared: bool = False, **options: object) -> Outcome:
    """Let the clients ask through the outage. `shared`: they are fifty users of one client."""
    outcome = Outcome()
    dice = random.Random(7)

    async def main() -> None:
        loop = asyncio.get_running_loop()

        async def answer(request: httpx.Request) -> httpx.Response:
            outcome.received.append(loop.time())
            await asyncio.sleep(LATENCY_S)
            if DOWN_S[0] <= loop.time() < DOWN_S[1]:
                return httpx.Response(status, text="down")
            return httpx.Response(200, content=_ANSWER)

        def make() -> Client:
            waiting = dataclasses.replace(policy, random=dice.random, clock=loop.time)
            return Client("http://down.test/v1", transport=httpx.MockTransport(answer), retry=waiting, **options)

        one = make()
        clients = [one if shared else make() for _ in range(CLIENTS)]
        unspent = set(clients)

        async def ask(client: Client) -> None:
            outcome.asked.append(loop.time())
            try:
                await client.respond(_BODY)
            except AgentkitError:
                outcome.failed.append(loop.time())
            if client in unspent and client.stats.retries_left < 1:
                unspent.discard(client)
                outcome.spent_at = loop.time()

        async def use(client: Client, first: float) -> None:
            await asyncio.sleep(first)
            async with asyncio.TaskGroup() as group:
                while loop.time() < END_S:
                    group.create_task(ask(client))
                    await asyncio.sleep(EVERY_S)

        async with asyncio.TaskGroup() as group:
            for client in clients:
                group.create_task(use(client, dice.uniform(0, EVERY_S)))
        for client in {*clients}:
            await client.aclose()

    run(main)
    return outcome

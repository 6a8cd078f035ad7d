"""Gate: a bound over threads and event loops, first come first served."""

import asyncio
import threading

import pytest

from agentkit.errors import Timeout
from agentkit.gate import Gate


def test_without_a_limit_everyone_enters():
    async def main():
        gate = Gate(None)
        async with gate, gate, gate:
            return True

    assert asyncio.run(main())


def test_first_come_first_served():
    order = []

    async def main():
        gate = Gate(1)

        async def visit(name):
            async with gate:
                order.append(name)
                await asyncio.sleep(0)

        async with gate:
            tasks = [asyncio.create_task(visit(name)) for name in "abc"]
            await asyncio.sleep(0)
        late = asyncio.create_task(visit("late"))
        await asyncio.gather(*tasks, late)

    asyncio.run(main())
    assert order == ["a", "b", "c", "late"]


def test_a_cancelled_visitor_leaves_the_queue():
    async def main():
        gate = Gate(1)
        async with gate:
            waiting = asyncio.create_task(gate.__aenter__())
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        async with asyncio.timeout(1), gate:
            return True

    assert asyncio.run(main())


def test_a_visitor_cancelled_at_the_door_hands_the_place_on():
    """The place is given and the cancel comes before the visitor has run again."""

    async def main():
        gate = Gate(1)
        await gate.__aenter__()
        first = asyncio.create_task(gate.__aenter__())
        second = asyncio.create_task(gate.__aenter__())
        await asyncio.sleep(0)
        await gate.__aexit__()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        await asyncio.wait_for(second, 1)
        await gate.__aexit__()
        async with asyncio.timeout(1), gate:
            return True

    assert asyncio.run(main())


def test_patience_ends():
    async def main():
        gate = Gate(1, patience_s=0.01)
        async with gate:
            with pytest.raises(Timeout, match="max_concurrency=1") as caught:
                await gate.__aenter__()
            assert caught.value.kind == "final"
        async with asyncio.timeout(1), gate:
            return True

    assert asyncio.run(main())


def test_a_closed_loop_loses_its_turn():
    gate = Gate(1)

    def wait_and_vanish():
        loop = asyncio.new_event_loop()
        coroutine = gate.__aenter__()
        task = loop.create_task(coroutine)
        loop.run_until_complete(asyncio.sleep(0))
        task._log_destroy_pending = False
        loop.close()
        return task

    async def main():
        async with gate:
            left = await asyncio.to_thread(wait_and_vanish)
        async with asyncio.timeout(1), gate:
            pass
        left.get_coro().close()

    asyncio.run(main())


def test_the_bound_holds_over_threads_and_loops():
    gate, lock = Gate(3), threading.Lock()
    inside, most, visits = 0, 0, 0

    async def visit():
        nonlocal inside, most, visits
        async with gate:
            with lock:
                inside += 1
                most, visits = max(most, inside), visits + 1
            await asyncio.sleep(0)
            with lock:
                inside -= 1

    async def visits_of_a_thread():
        await asyncio.gather(*(visit() for _ in range(50)))

    threads = [threading.Thread(target=lambda: asyncio.run(visits_of_a_thread())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert (visits, inside) == (400, 0)
    assert most <= 3

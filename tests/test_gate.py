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


def run_through(gate, *, refused, at_once):
    """Send requests at once; the server refuses the first few, and takes the others."""

    async def visit(number):
        async with gate as entered:
            await asyncio.sleep(0)
            if number < refused:
                gate.narrow(entered)
            else:
                gate.widen()

    async def main():
        await asyncio.gather(*(visit(number) for number in range(at_once)))

    asyncio.run(main())
    return gate.limit


def test_requests_refused_together_halve_the_limit_once():
    assert run_through(Gate(16), refused=16, at_once=16) == 8


def test_without_a_bound_half_of_those_under_way_are_the_limit():
    gate = Gate(None)
    assert gate.limit is None
    assert run_through(gate, refused=12, at_once=12) == 6


def test_one_request_alone_is_no_crowd():
    assert run_through(Gate(None), refused=1, at_once=1) is None
    gate = Gate(8)
    for _ in range(10):
        run_through(gate, refused=1, at_once=1)
    assert gate.limit == 1
    assert run_through(gate, refused=1, at_once=1) == 1


def test_each_round_of_answers_lets_one_more_in():
    gate = Gate(16)
    assert run_through(gate, refused=16, at_once=16) == 8
    assert run_through(gate, refused=0, at_once=8) == 9
    assert run_through(gate, refused=0, at_once=9 + 10 + 11) == 12
    assert run_through(gate, refused=0, at_once=500) == 16


def test_a_narrowed_gate_lets_nobody_in_until_enough_have_left():
    async def main():
        gate = Gate(4)
        rounds = [await gate.__aenter__() for _ in range(4)]
        gate.narrow(rounds[0])
        waiting = asyncio.create_task(gate.__aenter__())
        for _ in range(2):
            await gate.__aexit__()
            await asyncio.sleep(0)
        assert not waiting.done()
        await gate.__aexit__()
        await asyncio.wait_for(waiting, 1)

    asyncio.run(main())


def test_who_waits_at_a_narrowed_gate_is_told_so():
    async def main():
        gate = Gate(4, patience_s=0.01)
        rounds = [await gate.__aenter__() for _ in range(4)]
        gate.narrow(rounds[0])
        with pytest.raises(Timeout, match="max_concurrency=4 places, of which the server now takes 2"):
            await gate.__aenter__()

    asyncio.run(main())

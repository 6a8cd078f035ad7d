"""The background loop behind the `_sync` calls."""

import asyncio
import contextlib
import contextvars
import gc
import signal
import subprocess
import sys
import textwrap
import threading
import weakref

import pytest

from agentkit.errors import UsageError
from agentkit.portal import _Job, iterate_blocking, run_blocking


async def value_of(variable):
    return variable.get()


def test_the_result_and_the_error_come_back():
    async def fail():
        raise KeyError("x")

    async def succeed():
        return 5

    assert run_blocking(succeed) == 5
    with pytest.raises(KeyError):
        run_blocking(fail)


def test_contextvars_hold_inside():
    variable = contextvars.ContextVar("variable")
    variable.set("mine")
    assert run_blocking(lambda: value_of(variable)) == "mine"


def test_it_works_inside_a_running_loop():
    async def five():
        return 5

    async def main():
        return run_blocking(five)

    assert asyncio.run(main()) == 5


def test_a_call_that_would_wait_for_itself_is_refused():
    async def nested():
        run_blocking(lambda: asyncio.sleep(0))

    with pytest.raises(UsageError, match="wait for itself"):
        run_blocking(nested)


def test_all_calls_share_one_thread():
    async def where():
        return threading.current_thread()

    assert run_blocking(where) is run_blocking(where)
    assert run_blocking(where).daemon


def test_an_error_is_not_kept():
    """An error holds its traceback, the traceback its frames: kept by one of them, it would stay."""

    class Mark(Exception):
        def __init__(self):
            seen.append(weakref.ref(self))

    seen = []

    async def fail():
        raise Mark

    gc.disable()
    try:
        with contextlib.suppress(Mark):
            run_blocking(fail)
        assert seen[0]() is None
    finally:
        gc.enable()


def test_an_iterator_goes_step_by_step_and_closes():
    steps = []

    async def count():
        try:
            for number in range(5):
                steps.append(number)
                yield number
        finally:
            steps.append("closed")

    iterator = iterate_blocking(count)
    assert next(iterator) == 0
    assert steps == [0]
    iterator.close()
    assert steps == [0, "closed"]
    assert list(iterate_blocking(count)) == [0, 1, 2, 3, 4]


def test_an_iterator_dropped_on_the_loop_itself_does_not_wait_for_itself():
    """The garbage collector may run anywhere, also in the thread of the loop."""
    closed = threading.Event()

    async def endless():
        try:
            while True:
                yield 1
        finally:
            closed.set()

    holder = [iterate_blocking(endless)]
    next(holder[0])

    async def drop():
        holder.clear()

    run_blocking(drop)
    assert closed.wait(1)


def run(code, *, interrupt=False):
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(code)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        if interrupt:
            assert process.stdout.readline() == "ready\n"
            process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
    finally:
        process.kill()
    return process.returncode, out, err


def test_an_interrupt_waits_for_the_clean_up():
    code = """
        import asyncio
        from agentkit.portal import run_blocking

        async def work():
            try:
                print("ready", flush=True)
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                print("cleaned")

        try:
            run_blocking(work)
        except KeyboardInterrupt:
            print("interrupted")
    """
    assert run(code, interrupt=True) == (0, "cleaned\ninterrupted\n", "")


def test_the_end_of_the_process_ends_what_runs():
    code = """
        import asyncio, threading
        from agentkit.portal import run_blocking

        begun = threading.Event()

        async def work():
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                print("ended", flush=True)

        def call():
            try:
                run_blocking(work)
            except asyncio.CancelledError:
                pass

        threading.Thread(target=call, daemon=True).start()
        begun.wait()
    """
    assert run(code) == (0, "ended\n", "")


def test_a_call_after_the_end_is_refused_instead_of_hanging():
    code = """
        import asyncio, atexit
        from agentkit.errors import UsageError
        from agentkit.portal import run_blocking

        def late():
            try:
                run_blocking(lambda: asyncio.sleep(0))
            except UsageError as error:
                print(error)

        atexit.register(late)
        run_blocking(lambda: asyncio.sleep(0))
    """
    code, out, err = run(code)
    assert (code, err) == (0, "")
    assert out.startswith("a _sync call while the process ends")


def test_a_job_that_was_never_begun_is_not_waited_for():
    """As after an interrupt in the very moment in which it is handed to the background loop."""
    job = _Job()
    job.cancel()
    assert job.finished.is_set()

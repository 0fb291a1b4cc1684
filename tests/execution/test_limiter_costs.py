"""Memory and time of waiting calls; several loops and processes."""

import asyncio
import gc
import subprocess
import sys
import time
import tracemalloc
import weakref
from contextlib import suppress
from pathlib import Path

from llm_playground import config
from llm_playground.execution import limiter
from tests.execution.traffic import ANTHROPIC, BATCH, OPENAI, PERSON, Traffic, says, settled
from tests.execution.virtual_time import in_virtual_time

# What it costs


@in_virtual_time
async def test_memory_of_a_thousand_waiting_calls():
    limiter.hold(OPENAI, 600)

    async def call():
        async with limiter.slot(OPENAI, tokens=1000, priority=BATCH):
            pass

    tracemalloc.start()
    try:
        before = held_bytes()
        calls = [asyncio.ensure_future(call()) for _ in range(1000)]
        await settled()
        waiting = held_bytes() - before
        for task in calls:
            task.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        del calls, task
        await settled()
        left = held_bytes() - before
    finally:
        tracemalloc.stop()

    assert waiting < 4_000 * 1000  # tasks and coroutines included
    assert left < 100 * 1000  # other threads may use asyncio meanwhile


@in_virtual_time
async def test_cancelled_waits_and_old_models_leave_nothing():
    limiter.hold(OPENAI, 10**6)
    tracemalloc.start()
    try:
        before = held_bytes()
        for number in range(1000):
            with suppress(TimeoutError):
                async with asyncio.timeout(0.1), limiter.slot(OPENAI, tokens=1, priority=BATCH):
                    pass
            async with limiter.slot(f"openai:{number}", tokens=1, priority=BATCH):
                pass
        left = held_bytes() - before
    finally:
        tracemalloc.stop()

    assert left < 100 * 1000  # as above; a lane takes more


def held_bytes():
    """What the limiter, asyncio and this file allocated; other threads may load libraries."""
    gc.collect()
    folders = (Path(module.__file__).parent for module in (limiter, asyncio))
    ours = [__file__, *(f"{folder}/*" for folder in folders)]
    filters = [tracemalloc.Filter(inclusive=True, filename_pattern=name) for name in ours]
    snapshot = tracemalloc.take_snapshot().filter_traces(filters)
    return sum(statistic.size for statistic in snapshot.statistics("filename"))


def test_cost_of_a_call_does_not_grow_with_the_queue():
    few, many = 400, 8000

    @in_virtual_time
    async def seconds_per_call(calls):
        traffic = Traffic()
        started = time.thread_time()
        await asyncio.gather(*(traffic.start(OPENAI, takes_s=0) for _ in range(calls)))
        return (time.thread_time() - started) / calls

    ratio = min(seconds_per_call(many) / seconds_per_call(few) for _ in range(3))

    assert ratio < 5  # twenty where each call looks at all who wait


# Loops and processes


def test_each_loop_has_its_own_slots():
    config.configure(concurrency=1)
    ended = []

    async def call():
        ended.append(weakref.ref(asyncio.get_running_loop()))
        limiter.learn(OPENAI, says(limit=100, remaining=0, resets_in_s=3600.0))
        async with limiter.slot(ANTHROPIC, tokens=1, priority=PERSON):
            waiting = [asyncio.ensure_future(wait_for(m)) for m in (ANTHROPIC, OPENAI)]
            await settled()
            assert not any(task.done() for task in waiting)

    for _ in range(2):
        asyncio.run(asyncio.wait_for(call(), 60))
    gc.collect()

    assert [loop() for loop in ended] == [None, None]


async def wait_for(model):
    async with limiter.slot(model, tokens=1, priority=PERSON):
        pass


FORK = """
import os, sys
from llm_playground import _runtime as _loop, config
from llm_playground.execution import limiter

config.configure(concurrency=1)

async def call():
    async with limiter.slot("openai:x", tokens=1, priority=0):
        return 7

async def hold_the_only_place():
    place = limiter.slot("openai:x", tokens=1, priority=0)
    await place.__aenter__()
    limiter.hold("openai:x", 600)
    return place

place = _loop.submit(hold_the_only_place()).result(10)
limiter._lock.acquire()  # as a thread may, in the moment of the fork
child = os.fork()
if child == 0:
    os._exit(_loop.submit(call()).result(10))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_forked_child_starts_with_free_slots():
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK], timeout=300, check=False
    )

    assert done.returncode == 7

"""The queue that brings events from the background loop to the caller's loop."""

import asyncio
import threading
import time

import pytest

from llm_playground import _runtime
from llm_playground._runtime import Debouncer, Handover

ITEMS = range(20_000)


def test_many_items_arrive_in_order_and_wake_the_loop_once_a_millisecond(monkeypatch):
    wakes = []

    async def receive():
        loop, handover = asyncio.get_running_loop(), Handover()
        wake = loop.call_soon_threadsafe
        monkeypatch.setattr(loop, "call_soon_threadsafe", lambda *a: (wakes.append(a), wake(*a)))
        threading.Thread(target=lambda: [handover.put(item) for item in ITEMS]).start()
        return [await handover.get() for _ in ITEMS]

    began = time.monotonic()
    received = asyncio.run(receive())
    elapsed_ms = (time.monotonic() - began) * 1000

    assert received == list(ITEMS)
    assert 1 <= len(wakes) <= elapsed_ms + 2


async def test_items_arrive_after_a_wait_was_cancelled_in_its_pause(monkeypatch):
    handover, paused = Handover(), asyncio.Event()

    async def pause(_seconds):
        paused.set()
        await asyncio.Event().wait()

    handover.put("first")
    assert await handover.get() == "first"
    monkeypatch.setattr(_runtime, "_WAKE_EVERY_S", 60)
    waiting = asyncio.create_task(handover.get())
    await asyncio.sleep(0)
    with monkeypatch.context() as patched:
        patched.setattr(asyncio, "sleep", pause)
        handover.put("second")
        await paused.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    monkeypatch.setattr(_runtime, "_WAKE_EVERY_S", 0)

    assert await handover.get() == "second"
    waiting = asyncio.create_task(handover.get())
    await asyncio.sleep(0)
    handover.put("third")
    assert await asyncio.wait_for(waiting, 10) == "third"


def test_what_a_signal_schedules_runs_while_the_loop_waits():
    """As ipykernel cancels a cell: ``call_soon`` from a signal's handler wakes no loop."""

    async def interrupted():
        waiting = asyncio.create_task(Handover().get())
        loop = asyncio.get_running_loop()
        threading.Timer(0.2, loop.call_soon, [waiting.cancel]).start()
        done, _ = await asyncio.wait({waiting}, timeout=60)
        return [task.cancelled() for task in done], loop.time()

    began = time.monotonic()
    cancelled, ended = asyncio.run(interrupted())

    assert cancelled == [True]
    assert ended - began < 50, "the loop woke by itself"


def test_no_call_is_lost_between_the_threads_of_a_debouncer(monkeypatch):
    monkeypatch.setattr(_runtime, "_IDLE_S", 0)
    done = threading.Event()
    debouncer = Debouncer(done.set, 0, "test")

    for _ in range(500):
        done.clear()
        debouncer.soon()
        assert done.wait(60)

    while (thread := debouncer._thread) is not None:
        thread.join(60)
    assert not [one for one in threading.enumerate() if one.name == "test"]

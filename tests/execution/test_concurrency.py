"""Limits of the calls in flight, per provider and in total."""

import asyncio
import math
import threading

import pytest

from llm_playground import _runtime, config
from llm_playground.execution import limiter
from tests.execution.traffic import LOCAL, OPENAI, PERSON, SCRIPT, Traffic, settled
from tests.execution.virtual_time import in_virtual_time


@pytest.mark.parametrize(("model", "places"), [(LOCAL, 4), (OPENAI, 32), ("ollama:llama", 32)])
@in_virtual_time
async def test_default_slots_of_a_provider(model, places):
    traffic = Traffic()

    await asyncio.gather(*(traffic.start(model, tokens=10**9) for _ in range(100)))

    assert traffic.peak_in_all == places
    assert traffic.sent[-1][1] - traffic.sent[0][1] == pytest.approx(math.ceil(100 / places) - 1)


@in_virtual_time
async def test_all_providers_share_256_slots():
    traffic = Traffic()

    await asyncio.gather(*(traffic.start(f"host{n % 10}:m") for n in range(400)))

    assert traffic.peak_in_all == 256


@pytest.mark.parametrize(("figure", "local", "openai"), [(2, 2, 2), (100, 4, 100)])
@in_virtual_time
async def test_configured_concurrency_counts_per_provider_and_in_all(figure, local, openai):
    config.configure(concurrency=figure)
    traffic = Traffic()

    await asyncio.gather(*(traffic.start(OPENAI) for _ in range(300)))
    assert traffic.peak["openai"] == openai
    await asyncio.gather(*(traffic.start(m) for m in [OPENAI, LOCAL] * 150))
    assert traffic.peak["local"] <= local
    assert traffic.peak_in_all == figure


def test_more_concurrency_lets_those_start_who_wait_already():
    model, entered, leave = "openai:more", threading.Semaphore(0), asyncio.Event()
    config.configure(concurrency=2)

    async def call():
        async with limiter.slot(model, tokens=1, priority=SCRIPT):
            entered.release()
            await leave.wait()

    calls = [_runtime.submit(call()) for _ in range(5)]
    try:
        assert all(entered.acquire(timeout=60) for _ in range(2))
        _runtime.submit(settled()).result(timeout=300)
        assert not entered.acquire(blocking=False)
        config.configure(concurrency=5)
        assert all(entered.acquire(timeout=60) for _ in range(3))
    finally:
        _runtime.loop().call_soon_threadsafe(leave.set)
        for done in calls:
            done.result(timeout=300)


@in_virtual_time
async def test_more_concurrency_starts_waiting_calls_at_once():
    config.configure(concurrency=1)
    traffic = Traffic()
    calls = [traffic.start(OPENAI, takes_s=600) for _ in range(5)]
    await settled()
    assert len(traffic.sent) == 1

    config.configure(concurrency=3)
    await settled()
    assert len(traffic.sent) == 3

    config.configure(model="local")
    config.configure(concurrency=2)
    await settled()
    assert len(traffic.sent) == 3
    await asyncio.gather(*calls)
    assert {when - traffic.sent[0][1] for _, when in traffic.sent[:3]} == {0}
    assert [when - traffic.sent[0][1] for _, when in traffic.sent[3:]] == pytest.approx([600, 600])


@in_virtual_time
async def test_less_concurrency_holds_for_those_who_wait_already():
    config.configure(concurrency=4)
    traffic = Traffic()
    calls = [traffic.start(OPENAI) for _ in range(8)]
    await settled()

    config.configure(concurrency=1)
    await asyncio.gather(*calls)

    assert [at - traffic.sent[0][1] for _, at in traffic.sent[4:]] == pytest.approx([1, 2, 3, 4])


@in_virtual_time
async def test_slot_is_free_after_error_and_cancel():
    config.configure(concurrency=1)
    traffic = Traffic()
    with pytest.raises(ZeroDivisionError):
        async with limiter.slot(OPENAI, tokens=1, priority=PERSON):
            _ = 1 / 0
    stopped = traffic.start(OPENAI, takes_s=1000)
    await settled()
    stopped.cancel()

    await traffic.start(OPENAI)

    assert traffic.sent[-1][1] == traffic.sent[0][1]

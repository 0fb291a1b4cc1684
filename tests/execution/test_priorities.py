"""Priorities, and how providers share the slots."""

import asyncio
import math
from itertools import pairwise

import pytest

from llm_playground import config
from llm_playground.execution import limiter
from tests.execution.traffic import (
    ANTHROPIC,
    BATCH,
    OPENAI,
    OPENAI_MINI,
    PERSON,
    SCRIPT,
    Traffic,
    now,
    settled,
)
from tests.execution.virtual_time import in_virtual_time

# Who goes first


@in_virtual_time
async def test_priorities_then_order_of_arrival():
    config.configure(concurrency=1)
    traffic = Traffic()
    for number in range(3):
        for letter, priority in (("b", BATCH), ("s", SCRIPT), ("p", PERSON)):
            traffic.start(OPENAI, priority=priority, name=f"{letter}{number}")
    await asyncio.sleep(20)

    assert traffic.names == ["b0", "p0", "p1", "p2", "s0", "s1", "s2", "b1", "b2"]


@in_virtual_time
async def test_a_person_goes_before_the_batch_of_another_provider():
    config.configure(concurrency=1)
    traffic = Traffic()
    for model, priority in [(OPENAI, BATCH)] * 3 + [(ANTHROPIC, PERSON)]:
        traffic.start(model, priority=priority)
    await asyncio.sleep(20)

    assert traffic.names == [OPENAI, ANTHROPIC, OPENAI, OPENAI]


@pytest.mark.parametrize(("priority", "one_in"), [(SCRIPT, 9), (BATCH, 17)])
@pytest.mark.parametrize("other", [OPENAI, OPENAI_MINI, ANTHROPIC])
@in_virtual_time
async def test_low_priorities_are_served_under_full_load(other, priority, one_in):
    config.configure(concurrency=1)
    traffic = Traffic()
    for _ in range(200):
        traffic.start(OPENAI, priority=PERSON, name="person")
    for _ in range(20):
        traffic.start(other, priority=priority, name="other")
    await asyncio.sleep(100.5)

    turns = [n for n, name in enumerate(traffic.names) if name == "other"]
    assert len(turns) == 100 // one_in
    assert {b - a for a, b in pairwise(turns)} == {one_in}


@in_virtual_time
async def test_many_batches_that_wait_long_do_not_crowd_out_a_person():
    config.configure(concurrency=1)
    traffic = Traffic()
    for number in range(600):
        traffic.start(f"host{number % 30}:m", priority=BATCH, name="batch")
    await asyncio.sleep(100)
    for _ in range(32):
        traffic.start(OPENAI, priority=PERSON, name="person")
    before = len(traffic.sent)
    await asyncio.sleep(34)

    assert traffic.names[before:].count("person") == 32


# Fairness between providers


@in_virtual_time
async def test_full_provider_does_not_block_another():
    traffic = Traffic()
    for _ in range(1000):
        traffic.start("openai:slow", takes_s=600)
    await settled()
    began = now()

    await asyncio.gather(*(traffic.start(ANTHROPIC, takes_s=0.1) for _ in range(320)))

    assert now() - began == pytest.approx(1.0)
    assert traffic.peak["openai"] == 32


@in_virtual_time
async def test_held_provider_does_not_block_another():
    traffic = Traffic()
    limiter.hold(OPENAI, 600)
    waiting = [traffic.start(OPENAI) for _ in range(1000)]
    began = now()

    await asyncio.gather(*(traffic.start(ANTHROPIC, takes_s=0.1) for _ in range(320)))

    assert now() - began == pytest.approx(1.0)
    assert OPENAI not in traffic.names
    await asyncio.gather(*waiting)
    assert now() - began == pytest.approx(600 + math.ceil(1000 / 32))


@in_virtual_time
async def test_slow_provider_does_not_occupy_all_slots():
    config.configure(concurrency=8)
    traffic = Traffic()
    slow = [traffic.start(OPENAI, takes_s=60) for _ in range(500)]
    await asyncio.sleep(0.5)
    for _ in range(5000):
        traffic.start(ANTHROPIC, takes_s=1)
    await asyncio.sleep(600)

    assert traffic.under_way == {"openai": 4, "anthropic": 4}
    fast = traffic.names.count(ANTHROPIC)
    assert fast == pytest.approx(4 * 540, rel=0.02)
    slow[0].cancel()


@in_virtual_time
async def test_equal_providers_take_turns():
    config.configure(concurrency=1)
    traffic = Traffic()
    hosts = ["a:m", "b:m", "c:m"]
    for host in hosts:
        for _ in range(20):
            traffic.start(host)
    await asyncio.sleep(100)

    assert traffic.names[:30] == hosts * 10

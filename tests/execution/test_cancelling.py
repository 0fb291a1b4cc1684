"""Cancelled calls lose no slot and block no other call."""

import asyncio
import random

import pytest

from llm_playground import config
from llm_playground.execution import limiter
from tests.execution.traffic import (
    ANTHROPIC,
    BATCH,
    LOCAL,
    OPENAI,
    OPENAI_MINI,
    PERSON,
    SCRIPT,
    Traffic,
    now,
    says,
    says_of_tokens,
    settled,
)
from tests.execution.virtual_time import in_virtual_time


@pytest.mark.parametrize("seed", range(10))
@in_virtual_time
async def test_random_cancels_lose_no_slot(seed):
    rng = random.Random(seed)
    config.configure(concurrency=5)
    traffic = Traffic()
    models = [OPENAI, OPENAI_MINI, ANTHROPIC, LOCAL]
    calls, stopped = [], set()
    for _ in range(800):
        model, priority = rng.choice(models), rng.choice([PERSON, SCRIPT, BATCH])
        answer = rng.choice([None, says(50, rng.randrange(51), 5.0)])
        calls.append(
            traffic.start(
                model, takes_s=rng.choice([0, 0.01, 0.3]), priority=priority, answer=answer
            )
        )
        if rng.random() < 0.1:
            limiter.hold(rng.choice(models), rng.random())
        for _ in range(rng.randrange(3)):
            await asyncio.sleep(0)
        if rng.random() < 0.6:
            chosen = rng.choice(calls[-40:])
            if chosen.cancel():
                stopped.add(chosen)

    ended = await asyncio.gather(*calls, return_exceptions=True)

    assert traffic.peak_in_all == 5
    assert len(stopped) > 200
    for call, end in zip(calls, ended, strict=True):
        assert end is None or (call in stopped and isinstance(end, asyncio.CancelledError))
    await everything_is_free(ANTHROPIC, 5)


async def everything_is_free(model, places):
    await asyncio.sleep(600)  # holds and resets are over
    traffic = Traffic()
    calls = [traffic.start(model, takes_s=1) for _ in range(places + 1)]
    await settled()
    assert len(traffic.sent) == places
    await asyncio.gather(*calls)


@in_virtual_time
async def test_slot_granted_while_cancelling_goes_to_the_next():
    config.configure(concurrency=1)
    limiter.learn(OPENAI, says(limit=10, remaining=2, resets_in_s=86400.0))
    traffic = Traffic()
    first, second, third = (traffic.start(OPENAI, takes_s=5) for _ in range(3))
    await settled()
    # A task's callbacks run in the round after its end, behind the look at the queue.
    first.add_done_callback(lambda _: second.cancel())
    await asyncio.sleep(1)
    began = now()
    first.cancel()
    await third

    assert second.cancelled()
    assert traffic.sent == [(OPENAI, began - 1), (OPENAI, began)]


@in_virtual_time
async def test_cancelled_head_of_queue_releases_the_rest():
    limiter.learn(OPENAI, says_of_tokens(limit=1000, remaining=300, resets_in_s=700.0))
    traffic, began = Traffic(), now()
    large = traffic.start(OPENAI, tokens=1000)
    small = traffic.start(OPENAI, tokens=100)
    await asyncio.sleep(1)
    large.cancel()
    await small

    assert traffic.sent[0][1] - began == pytest.approx(1)

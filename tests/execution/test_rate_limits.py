"""Rate limits learned from headers, holds, and other clients of the same key."""

import asyncio
import math

import pytest

from llm_playground import config
from llm_playground.events import RateLimit, Responded
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
    says,
    says_of_tokens,
    settled,
)
from tests.execution.virtual_time import in_virtual_time

# Rate limits


@in_virtual_time
async def test_requests_go_out_as_fast_as_the_provider_refills():
    limiter.learn(OPENAI, says(limit=10, remaining=2, resets_in_s=4.0))
    traffic, began = Traffic(), now()

    await asyncio.gather(*(traffic.start(OPENAI) for _ in range(6)))

    assert [at - began for _, at in traffic.sent] == pytest.approx([0, 0, 0.5, 1, 1.5, 2])


@in_virtual_time
async def test_tokens_go_out_as_fast_as_the_provider_refills():
    limiter.learn(OPENAI, says_of_tokens(limit=1000, remaining=300, resets_in_s=70.0))
    traffic, began = Traffic(), now()

    await asyncio.gather(*(traffic.start(OPENAI, tokens=n) for n in (300, 100, 50, 2000)))

    # 10 a second; what is larger than the limit goes when the bucket is full
    assert [at - began for _, at in traffic.sent] == pytest.approx([0, 10, 15, 115])


@in_virtual_time
async def test_a_person_goes_before_a_batch_that_waits_for_the_rate_limit():
    limiter.learn(OPENAI, says_of_tokens(limit=1000, remaining=200, resets_in_s=80.0))
    traffic, began = Traffic(), now()
    traffic.start(OPENAI, tokens=900, priority=BATCH, name="batch")
    await asyncio.sleep(1)
    traffic.start(OPENAI, tokens=100, priority=PERSON, name="person")
    await asyncio.sleep(200)

    assert [(name, round(at - began)) for name, at in traffic.sent] == [
        ("person", 1),
        ("batch", 80),
    ]


@in_virtual_time
async def test_a_model_is_limited_alone():
    limiter.learn(OPENAI, says(limit=100, remaining=0, resets_in_s=30.0))
    traffic, began = Traffic(), now()

    await asyncio.gather(*(traffic.start(model) for model in (OPENAI, OPENAI_MINI, ANTHROPIC)))

    sent = {name: at - began for name, at in traffic.sent}
    assert sent == pytest.approx({OPENAI: 30, OPENAI_MINI: 0, ANTHROPIC: 0})


@pytest.mark.parametrize("limit", [100, None])
@in_virtual_time
async def test_when_nothing_remains_all_wait_until_the_reset(limit):
    limiter.learn(OPENAI, says(limit=limit, remaining=0, resets_in_s=42.0))
    traffic, began = Traffic(), now()

    await asyncio.gather(*(traffic.start(OPENAI) for _ in range(5)))

    assert [at - began for _, at in traffic.sent] == pytest.approx([42] * 5)


@in_virtual_time
async def test_an_exhausted_limit_per_day_lets_calls_through_as_it_is_refilled():
    limiter.learn(OPENAI, says(limit=2400, remaining=0, resets_in_s=86400.0))
    traffic, began = Traffic(), now()
    for _ in range(3):
        traffic.start(OPENAI)
    await asyncio.sleep(300)

    # one in 36 s, half of it ours
    assert [at - began for _, at in traffic.sent] == pytest.approx([60, 84, 156], abs=1)


@in_virtual_time
async def test_calls_on_their_way_count_against_what_a_header_leaves():
    traffic, began = Traffic(), now()
    for _ in range(5):
        traffic.start(OPENAI, takes_s=600)
    await asyncio.sleep(1)
    limiter.learn(OPENAI, says(limit=10, remaining=6, resets_in_s=40.0))
    for _ in range(4):
        traffic.start(OPENAI)
    await asyncio.sleep(60)

    # four of the six may be those that were not answered yet; then one in 10 s
    assert [at - began for _, at in traffic.sent[5:]] == pytest.approx([1, 1, 11, 21])


@in_virtual_time
async def test_headers_are_believed_over_our_own_estimate():
    limiter.learn(OPENAI, says_of_tokens(limit=1000, remaining=1000, resets_in_s=0.0))
    traffic = Traffic()
    await traffic.start(
        OPENAI, tokens=1000, answer=says_of_tokens(limit=1000, remaining=990, resets_in_s=1.0)
    )
    began = now()
    await traffic.start(OPENAI, tokens=900)

    assert traffic.sent[-1][1] == began


# Others on the same key


@in_virtual_time
async def test_little_remaining_halves_the_calls_at_once_until_a_header_shows_more():
    config.configure(concurrency=8)
    low, enough = says(100_000, 19_999, 60.0), says(100_000, 20_000, 60.0)
    for answer, peak in ((None, 8), (low, 4), (enough, 8)):
        if answer is not None:
            limiter.learn(OPENAI, answer)
        traffic = Traffic()
        await asyncio.gather(*(traffic.start(OPENAI, answer=answer) for _ in range(40)))
        assert traffic.peak_in_all == peak


@in_virtual_time
async def test_calls_at_once_are_halved_no_longer_than_until_the_reset():
    config.configure(concurrency=8)
    limiter.learn(OPENAI, says(100_000, 10_000, 30.0))
    traffic = Traffic()
    for _ in range(40):
        traffic.start(OPENAI, takes_s=100)

    await asyncio.sleep(29)
    assert traffic.under_way == {"openai": 4}
    await asyncio.sleep(2)
    assert traffic.under_way == {"openai": 8}


@in_virtual_time
async def test_little_remaining_halves_what_is_sent():
    config.configure(concurrency=100)

    async def sent_within_a_minute(remaining):
        model = f"openai:{remaining}"
        limiter.learn(model, says(limit=100, remaining=remaining, resets_in_s=100.0 - remaining))
        traffic = Traffic()
        calls = [traffic.start(model, takes_s=0.01) for _ in range(200)]
        await asyncio.sleep(60.005)
        for call in calls:
            call.cancel()
        return len(traffic.sent)

    assert await sent_within_a_minute(20) == 20 + 60
    assert await sent_within_a_minute(18) == (18 + 60) / 2


@in_virtual_time
async def test_a_single_call_at_once_is_not_halved_to_none():
    config.configure(concurrency=1)
    limiter.learn(OPENAI, says(100, 10, 60.0))
    traffic = Traffic()

    await asyncio.gather(*(traffic.start(OPENAI) for _ in range(3)))

    assert traffic.peak_in_all == 1


@pytest.mark.parametrize("limit", [None, 0, -5, 100])
@pytest.mark.parametrize("remaining", [None, 0, -5, 10, 50, 200])
@pytest.mark.parametrize("resets_in_s", [None, 0.0, -1.0, math.nan, math.inf, 30.0, 1e12])
@in_virtual_time
async def test_whatever_a_header_says_calls_go_on(limit, remaining, resets_in_s):
    said = RateLimit(limit, remaining, resets_in_s)
    limiter.learn(OPENAI, Responded(200, requests=said, tokens=said))
    traffic, began = Traffic(), now()

    await asyncio.gather(*(traffic.start(OPENAI) for _ in range(2)))

    assert now() - began <= 61


# Holds after a 429


@in_virtual_time
async def test_hold_is_not_shortened_by_a_shorter_one():
    traffic, began = Traffic(), now()
    limiter.hold(OPENAI, 20)
    limiter.hold(OPENAI, 5)

    await asyncio.gather(*(traffic.start(model) for model in [OPENAI] * 3 + [OPENAI_MINI]))

    assert [at - began for _, at in traffic.sent] == pytest.approx([0, 20, 20, 20])


@in_virtual_time
async def test_release_sends_waiting_calls():
    limiter.learn(OPENAI, says(limit=10, remaining=0, resets_in_s=30.0))
    limiter.hold(OPENAI, 50)
    traffic, began = Traffic(), now()
    traffic.start(OPENAI)
    await asyncio.sleep(3)
    assert not traffic.sent

    limiter.release(OPENAI)
    await settled()

    assert [at - began for _, at in traffic.sent] == [3]
    assert limiter.expected_wait_s(OPENAI) == 0.0


@in_virtual_time
async def test_hold_on_leaving_a_slot_applies_to_the_next_call():
    config.configure(concurrency=1)
    traffic, began = Traffic(), now()
    async with limiter.slot(OPENAI, tokens=1, priority=SCRIPT):
        waiting = traffic.start(OPENAI)
        await settled()
    limiter.hold(OPENAI, 10)
    await waiting

    assert traffic.sent[0][1] - began == pytest.approx(10)


@in_virtual_time
async def test_one_can_ask_how_long_a_call_would_wait():
    config.configure(concurrency=2)
    traffic = Traffic()
    assert limiter.expected_wait_s(OPENAI) == 0.0

    limiter.hold(OPENAI, 12)
    assert limiter.expected_wait_s(OPENAI) == pytest.approx(12)
    assert limiter.expected_wait_s(OPENAI_MINI) == 0.0

    for _ in range(2):
        traffic.start(ANTHROPIC)
    await settled()
    assert limiter.expected_wait_s(ANTHROPIC) is None, "who knows when an answer ends"


@in_virtual_time
async def test_the_expected_wait_counts_who_goes_before():
    limiter.learn(OPENAI, says(limit=60, remaining=0, resets_in_s=60.0))
    limiter.learn(OPENAI, says(limit=60, remaining=30, resets_in_s=30.0))
    traffic = Traffic()
    for _ in range(100):
        traffic.start(OPENAI, priority=BATCH, takes_s=0)
    await settled()
    foreseen_s = limiter.expected_wait_s(OPENAI, priority=BATCH)
    assert limiter.expected_wait_s(OPENAI, priority=PERSON) == pytest.approx(1)

    began = now()
    await traffic.start(OPENAI, priority=BATCH, takes_s=0)
    assert now() - began == pytest.approx(foreseen_s)

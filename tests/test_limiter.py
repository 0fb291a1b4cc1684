"""When a call may be sent: places, priorities, rate limits, fairness, cancelling."""

import asyncio
import gc
import math
import random
import subprocess
import sys
import threading
import time
import tracemalloc
import weakref
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_playground import _loop, config, limiter
from llm_playground.limiter.bucket import Bucket, learned, level, ready_at, spent
from llm_playground.types import RateLimit, Responded
from tests.virtual_time import in_virtual_time

PERSON, SCRIPT, BATCH = 0, 1, 2
OPENAI = "openai:gpt-4o"
OPENAI_MINI = "openai:gpt-4o-mini"
ANTHROPIC = "anthropic:claude-sonnet-4-5"
LOCAL = "local:smollm2-135m-instruct"


@pytest.fixture(autouse=True)
def own_settings(monkeypatch):
    monkeypatch.setattr(config, "_settings", config._settings)


class Traffic:
    """Calls through the limiter, and what was seen of them."""

    def __init__(self):
        self.sent = []
        self.under_way = {}
        self.peak = {}
        self.peak_in_all = 0

    def start(self, model, *, takes_s=1.0, tokens=1, priority=SCRIPT, name=None, answer=None):
        call = self._call(model, takes_s, tokens, priority, name, answer)
        return asyncio.get_running_loop().create_task(call)

    async def _call(self, model, takes_s, tokens, priority, name, answer):
        async with limiter.slot(model, tokens=tokens, priority=priority):
            self.sent.append((name or model, now()))
            self._count(model, +1)
            try:
                await asyncio.sleep(takes_s)
                if answer is not None:
                    limiter.learn(model, answer)
            finally:
                self._count(model, -1)

    def _count(self, model, change):
        provider = model.partition(":")[0]
        self.under_way[provider] = self.under_way.get(provider, 0) + change
        self.peak[provider] = max(self.peak.get(provider, 0), self.under_way[provider])
        self.peak_in_all = max(self.peak_in_all, sum(self.under_way.values()))

    @property
    def names(self):
        return [name for name, _ in self.sent]


def now():
    return asyncio.get_running_loop().time()


async def settled():
    """Whoever may send has been sent; no time passes."""
    for _ in range(5):
        await asyncio.sleep(0)


def says(limit=None, remaining=None, resets_in_s=None):
    return Responded(200, requests=RateLimit(limit, remaining, resets_in_s))


def says_of_tokens(limit=None, remaining=None, resets_in_s=None):
    return Responded(200, tokens=RateLimit(limit, remaining, resets_in_s))


# Places


@pytest.mark.parametrize(("model", "places"), [(LOCAL, 4), (OPENAI, 32), ("ollama:llama", 32)])
@in_virtual_time
async def test_a_provider_has_its_places_and_nothing_else_limits_it_at_first(model, places):
    traffic = Traffic()

    await asyncio.gather(*(traffic.start(model, tokens=10**9) for _ in range(100)))

    assert traffic.peak_in_all == places
    assert traffic.sent[-1][1] - traffic.sent[0][1] == pytest.approx(math.ceil(100 / places) - 1)


@in_virtual_time
async def test_all_providers_together_have_256_places():
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

    calls = [_loop.submit(call()) for _ in range(5)]
    try:
        assert all(entered.acquire(timeout=10) for _ in range(2))
        config.configure(concurrency=5)
        limiter.reconsider()
        assert all(entered.acquire(timeout=10) for _ in range(3))
    finally:
        _loop.loop().call_soon_threadsafe(leave.set)
        for done in calls:
            done.result(timeout=10)


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
async def test_a_place_is_free_again_after_an_error_and_after_a_cancelled_call():
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


# Who goes first


@in_virtual_time
async def test_a_person_goes_before_a_script_before_a_batch_each_in_order_of_arrival():
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
async def test_people_who_keep_it_busy_leave_a_place_for_those_who_wait(other, priority, one_in):
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
async def test_a_full_provider_with_a_thousand_calls_waiting_does_not_block_another():
    traffic = Traffic()
    for _ in range(1000):
        traffic.start("openai:slow", takes_s=600)
    await settled()
    began = now()

    await asyncio.gather(*(traffic.start(ANTHROPIC, takes_s=0.1) for _ in range(320)))

    assert now() - began == pytest.approx(1.0)
    assert traffic.peak["openai"] == 32


@in_virtual_time
async def test_a_held_provider_with_a_thousand_calls_waiting_does_not_block_another():
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
async def test_a_slow_provider_does_not_pile_up_in_the_places_of_all():
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


# Told to wait


@in_virtual_time
async def test_nobody_sends_before_a_hold_ends_and_a_shorter_one_does_not_shorten_it():
    traffic, began = Traffic(), now()
    limiter.hold(OPENAI, 20)
    limiter.hold(OPENAI, 5)

    await asyncio.gather(*(traffic.start(model) for model in [OPENAI] * 3 + [OPENAI_MINI]))

    assert [at - began for _, at in traffic.sent] == pytest.approx([0, 20, 20, 20])


@in_virtual_time
async def test_a_hold_said_on_leaving_a_place_holds_for_whoever_would_get_it():
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


# Cancelling


@pytest.mark.parametrize("seed", range(10))
@in_virtual_time
async def test_hundreds_of_random_cancels_lose_no_place_and_no_wake_up(seed):
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
async def test_a_place_given_in_the_moment_of_cancelling_goes_to_the_next_and_was_not_spent():
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
async def test_who_holds_up_the_others_and_is_cancelled_lets_them_go():
    limiter.learn(OPENAI, says_of_tokens(limit=1000, remaining=300, resets_in_s=700.0))
    traffic, began = Traffic(), now()
    large = traffic.start(OPENAI, tokens=1000)
    small = traffic.start(OPENAI, tokens=100)
    await asyncio.sleep(1)
    large.cancel()
    await small

    assert traffic.sent[0][1] - began == pytest.approx(1)


# What it costs


@in_virtual_time
async def test_a_thousand_waiting_calls_hold_a_few_kilobytes_each_and_leave_nothing():
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
    assert left < 100_000


@in_virtual_time
async def test_calls_that_give_up_waiting_and_models_of_the_past_leave_nothing():
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

    assert left < 50_000


def held_bytes():
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def test_a_call_costs_no_more_when_many_wait():
    few, many = 400, 8000

    @in_virtual_time
    async def seconds_per_call(calls):
        traffic = Traffic()
        started = time.process_time()
        await asyncio.gather(*(traffic.start(OPENAI, takes_s=0) for _ in range(calls)))
        return (time.process_time() - started) / calls

    ratio = min(seconds_per_call(many) / seconds_per_call(few) for _ in range(3))

    assert ratio < 5  # twenty where each call looks at all who wait


# Loops and processes


def test_every_loop_has_places_of_its_own_and_one_that_ended_is_forgotten():
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
        asyncio.run(asyncio.wait_for(call(), 10))
    gc.collect()

    assert [loop() for loop in ended] == [None, None]


async def wait_for(model):
    async with limiter.slot(model, tokens=1, priority=PERSON):
        pass


FORK = """
import os, sys
from llm_playground import _loop, config, limiter

config.configure(concurrency=1)

async def call():
    async with limiter.slot("openai:x", tokens=1, priority=0):
        return 7

async def hold_the_only_place():
    place = limiter.slot("openai:x", tokens=1, priority=0)
    await place.__aenter__()
    limiter.hold("openai:x", 600)

_loop.submit(hold_the_only_place()).result(10)
limiter._lock.acquire()  # as a thread may, in the moment of the fork
child = os.fork()
if child == 0:
    os._exit(_loop.submit(call()).result(10))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_child_starts_with_free_places():
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK], timeout=60, check=False
    )

    assert done.returncode == 7


# The arithmetic of one limit

AMOUNTS = st.floats(0, 1e6)
BUCKETS = st.builds(
    Bucket,
    limit=st.floats(1, 1e6),
    level=st.floats(-1e5, 1e6),
    at=st.floats(0, 1e5),
    per_s=st.floats(1e-3, 1e5),
    low_until=st.one_of(st.just(-math.inf), st.just(math.inf), st.floats(0, 1e5)),
)


@given(BUCKETS, AMOUNTS, st.floats(0, 1e5))
def test_when_it_is_ready_there_is_enough_and_shortly_before_there_is_not(bucket, cost, time_s):
    bucket = bucket._replace(level=min(bucket.level, bucket.limit))
    cost = min(cost, bucket.limit)
    ready = ready_at(bucket, cost, time_s)

    assert ready >= time_s
    assert level(bucket, ready) == pytest.approx(
        max(cost, level(bucket, ready)), rel=1e-4, abs=0.01
    )
    earlier = ready - 0.01 - 0.1 / bucket.per_s
    if earlier > max(time_s, bucket.at):
        assert level(bucket, earlier) < cost


@given(BUCKETS, st.lists(st.tuples(st.floats(0, 50), st.floats(0, 5e3)), max_size=40))
def test_no_more_is_sent_than_there_was_and_was_refilled(bucket, calls):
    bucket = bucket._replace(level=min(bucket.level, bucket.limit))
    time_s = began = bucket.at
    sent, first = 0.0, bucket
    for pause_s, tokens in calls:
        cost = min(tokens, bucket.limit)
        time_s = ready_at(bucket, cost, time_s + pause_s)
        bucket = spent(bucket, cost, time_s)
        sent += cost

    allowed = max(0.0, first.level) + first.per_s * (time_s - began)
    assert sent <= allowed * (1 + 1e-6) + 0.1
    assert bucket.level >= -0.1 or bucket == first


@given(BUCKETS, AMOUNTS, st.floats(0, 1e5))
def test_what_was_not_sent_is_put_back(bucket, cost, time_s):
    bucket = bucket._replace(level=min(bucket.level, bucket.limit))
    back = spent(spent(bucket, cost, time_s), -cost, time_s)

    assert level(back, time_s + 9) == pytest.approx(level(bucket, time_s + 9), abs=0.01, rel=1e-6)


def test_a_limit_per_day_is_told_from_one_per_minute_by_its_reset():
    per_day = learned(None, RateLimit(200, 190, 4320.0), 0, 0.0)
    per_minute = learned(None, RateLimit(200, 190, 3.0), 0, 0.0)
    unknown = learned(None, RateLimit(200, 190, None), 0, 0.0)

    assert per_day.per_s * 86400 == pytest.approx(200)
    assert per_minute.per_s * 60 == pytest.approx(200)
    assert unknown.per_s * 60 == pytest.approx(200)

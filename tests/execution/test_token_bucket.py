"""Token buckets: learning from headers, refill and waiting time."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_playground.events import RateLimit
from llm_playground.execution.token_bucket import Bucket, learned, level, ready_at, spent

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
def test_ready_exactly_when_there_is_enough(bucket, cost, time_s):
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


def test_reset_distinguishes_limits_per_day_and_minute():
    per_day = learned(None, RateLimit(200, 190, 4320.0), 0, 0.0)
    per_minute = learned(None, RateLimit(200, 190, 3.0), 0, 0.0)
    unknown = learned(None, RateLimit(200, 190, None), 0, 0.0)

    assert per_day.per_s * 86400 == pytest.approx(200)
    assert per_minute.per_s * 60 == pytest.approx(200)
    assert unknown.per_s * 60 == pytest.approx(200)

"""Rate limits in headers are part of the first event; invalid values are ignored."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_playground.events import RateLimit, Responded
from llm_playground.providers.streaming import requests_limit, tokens_limit
from tests.providers.server import Reply, WireServer

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC).timestamp()
OPENAI = {
    "x-ratelimit-limit-requests": "60",
    "x-ratelimit-limit-tokens": "150000",
    "x-ratelimit-remaining-requests": "59",
    "x-ratelimit-remaining-tokens": "149984",
    "x-ratelimit-reset-requests": "1s",
    "x-ratelimit-reset-tokens": "6m0s",
}
ANTHROPIC = {
    "anthropic-ratelimit-requests-limit": "50",
    "anthropic-ratelimit-requests-remaining": "49",
    "anthropic-ratelimit-requests-reset": "2026-11-23T12:00:01Z",
    "anthropic-ratelimit-tokens-limit": "60000",
    "anthropic-ratelimit-tokens-remaining": "59000",
    "anthropic-ratelimit-tokens-reset": "2026-11-23T12:01:00Z",
    "anthropic-ratelimit-input-tokens-limit": "50000",
    "anthropic-ratelimit-input-tokens-remaining": "49500",
    "anthropic-ratelimit-input-tokens-reset": "2026-11-23T12:00:02.5+00:00",
    "anthropic-ratelimit-output-tokens-limit": "10000",
    "anthropic-ratelimit-output-tokens-remaining": "9000",
    "anthropic-ratelimit-output-tokens-reset": "2026-11-23T11:59:00Z",
}


async def test_the_first_event_says_what_the_headers_say(vendor):
    headers = {"content-type": "text/event-stream", "x-request-id": "req_1", **OPENAI}
    with WireServer(Reply(vendor.stream(["A"]), headers=headers)) as wire:
        provider = vendor.provider(wire.url)
        stream = provider.stream(vendor.request())
        first = await anext(stream)
        await stream.aclose()
        await provider.aclose()
    assert first == Responded(
        200, "req_1", RateLimit(60, 59, 1.0), RateLimit(150_000, 149_984, 360.0)
    )


def test_anthropics_resets_are_times_and_its_tightest_limit_of_tokens_counts():
    assert requests_limit(ANTHROPIC, NOW) == RateLimit(50, 49, 1.0)
    assert tokens_limit(ANTHROPIC, NOW) == RateLimit(10_000, 9_000, 0.0)
    without_output = {k: v for k, v in ANTHROPIC.items() if "output" not in k}
    assert tokens_limit(without_output, NOW) == RateLimit(50_000, 49_500, 2.5)


DURATIONS = {
    "1s": 1.0,
    "20ms": 0.02,
    "6m0s": 360.0,
    "1h2m3s": 3_723.0,
    "1d1h": 90_000.0,
    "7.66s": 7.66,
    "2m59.56s": 179.56,
    "0s": 0.0,
    "12": 12.0,
    "0.5": 0.5,
}


@pytest.mark.parametrize("value", DURATIONS)
def test_durations_are_seconds(value):
    limit = requests_limit({"x-ratelimit-reset-requests": value})
    assert limit.resets_in_s == pytest.approx(DURATIONS[value])


NONSENSE = ["", "soon", "-1", "1e400", "nan", "12 parsecs", "5x", "s", "²", "2026-13-45T00:00:00Z"]


@pytest.mark.parametrize("value", NONSENSE)
def test_invalid_values_are_ignored(value):
    for field in ("limit", "remaining", "reset"):
        assert requests_limit({f"x-ratelimit-{field}-requests": value}) is None
        assert tokens_limit({f"anthropic-ratelimit-tokens-{field}": value}) is None


def test_no_headers_no_limits():
    assert (requests_limit({}), tokens_limit({})) == (None, None)


@given(
    st.dictionaries(st.sampled_from([*OPENAI, *ANTHROPIC]), st.text(max_size=12)),
)
def test_arbitrary_headers_give_valid_limits_or_none(headers):
    for limit in (requests_limit(headers, NOW), tokens_limit(headers, NOW)):
        if limit is not None:
            assert all(count is None or count >= 0 for count in (limit.limit, limit.remaining))
            assert limit.resets_in_s is None or 0 <= limit.resets_in_s < float("inf")

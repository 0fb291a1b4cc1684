"""HTTP traces: recorded on request only, without keys, of limited size."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_playground import errors
from llm_playground.providers import http_trace
from llm_playground.providers.wire_formats import body_of
from llm_playground.types import Parameters
from llm_playground.widget.inspector import parameter_uses
from tests.providers.legacy_format import JSON, LEGACY
from tests.providers.server import Reply, WireServer, json_reply
from tests.providers.vendors import ALL, ANTHROPIC, KEY, OPENAI

PIECES = ["Good ", "day ", "to you."]


async def asked(vendor, url, on=None, **parameters):
    """One answer of a vendor, recorded on a tape where one is given."""
    provider = vendor.provider(url)
    try:
        if on is None:
            return [event async for event in provider.stream(vendor.request(**parameters))]
        with http_trace.recording(on):
            return [event async for event in provider.stream(vendor.request(**parameters))]
    finally:
        await provider.aclose()


async def test_the_request_is_kept_as_it_was_sent_and_the_response_as_it_came(vendor):
    kept = http_trace.HttpTrace()
    chunks = vendor.stream(PIECES)
    with WireServer(Reply(chunks)) as wire:
        await asked(vendor, wire.url, kept, temperature=0.5)

    [trip], [sent] = kept.trips, wire.requests
    assert (trip.method, trip.url) == (sent.method, wire.url + sent.path)
    assert trip.body.text() == (sent.body.decode(), "")
    assert trip.status_code == 200
    assert trip.received.text() == (b"".join(chunks).decode(), "")
    assert trip.sent_at <= trip.answered_at


async def test_of_the_retired_sdk_too():
    kept = http_trace.HttpTrace()
    with WireServer(Reply(LEGACY.stream(PIECES), headers=JSON)) as wire:
        await asked(LEGACY, wire.url, kept)

    [trip], [sent] = kept.trips, wire.requests
    assert trip.body.text()[0] == sent.body.decode()
    assert "Good" in trip.received.text()[0]
    assert KEY not in str(trip)


async def test_no_key_is_recorded(vendor):
    kept = http_trace.HttpTrace()
    echo = {"set-cookie": f"session={KEY}; Path=/", "x-echo": KEY, **Reply().headers}
    with WireServer(Reply(vendor.stream([f"Your key is {KEY}."]), headers=echo)) as wire:
        await asked(vendor, wire.url, kept)

    [trip] = kept.trips
    names = {name.lower() for name, _ in trip.headers}
    shown = [str(trip.headers), trip.url, str(trip.answer_headers), *trip.received.text()]
    assert names & {"authorization", "x-api-key", "x-goog-api-key"}
    assert "…7Qa" in shown[0]
    assert KEY not in " ".join(shown)
    assert "[redacted]" in shown[3]


async def test_a_refusal_is_kept_with_its_words(vendor):
    kept = http_trace.HttpTrace()
    with (
        WireServer(json_reply(429, {"error": {"message": "Too many today."}})) as wire,
        pytest.raises(errors.RateLimitError),
    ):
        await asked(vendor, wire.url, kept)

    [trip] = kept.trips
    assert trip.status_code == 429
    assert "Too many today." in trip.received.text()[0]


async def test_each_attempt_is_a_round_trip_of_its_own():
    kept = http_trace.HttpTrace()
    with WireServer([json_reply(500, {}), Reply(OPENAI.stream(PIECES))]) as wire:
        with pytest.raises(errors.ProviderUnavailableError):
            await asked(OPENAI, wire.url, kept)
        kept.attempt = 2
        await asked(OPENAI, wire.url, kept)

    assert [(trip.attempt, trip.status_code) for trip in kept.trips] == [(1, 500), (2, 200)]


async def test_nothing_is_kept_without_recording(vendor):
    kept = http_trace.HttpTrace()
    with WireServer(Reply(vendor.stream(PIECES))) as wire:
        await asked(vendor, wire.url)
        with http_trace.recording(kept):
            pass
        await asked(vendor, wire.url)

    assert http_trace.running() is None
    assert kept.trips == []


async def test_a_picture_is_shortened_and_the_rest_of_the_body_is_whole():
    picture = "iVBOR" * 40_000
    kept = http_trace.HttpTrace()
    with WireServer(Reply(OPENAI.stream(PIECES))) as wire:
        await asked(OPENAI, wire.url, kept, extra={"picture": picture, "after": "it"})

    [trip] = kept.trips
    body = json.loads(trip.body.text()[0])
    assert body["after"] == "it"
    assert body["picture"] == f"{picture[:64]}… {len(picture) - 64:,} characters left out"


@given(st.lists(st.binary(max_size=60), max_size=30), st.integers(2, 200))
def test_an_excerpt_is_whole_or_its_two_ends_within_its_bound(pieces, most):
    excerpt = http_trace.Excerpt(most)
    for piece in pieces:
        excerpt.add(piece)

    whole = b"".join(pieces)
    assert excerpt.size == len(whole)
    assert excerpt.kept <= most
    if len(whole) <= most:
        assert excerpt.kept == len(whole)
        assert excerpt.text()[1] == ""


@pytest.mark.parametrize("at", range(20, 90))
def test_excerpt_shows_no_half_key(at):
    key = "-".join(["sk", "planted" * 4])
    text = f"{'a ' * 30}{key}{' z' * 30}".encode()
    excerpt = http_trace.Excerpt(at)
    excerpt.add(text)

    head, tail = excerpt.text()

    assert "sk-p" not in head
    assert "planted" not in head + tail


def test_long_stream_is_kept_within_limits():
    excerpt = http_trace.Excerpt(10_000)
    for number in range(100_000):
        excerpt.add(b"data: %d\n\n" % number)

    head, tail = excerpt.text()

    assert head.startswith("data: 0\n")
    assert tail.endswith("data: 99999\n\n")
    assert len(head) + len(tail) <= 10_000


@pytest.mark.parametrize("vendor", ALL, ids=str)
def test_every_parameter_that_is_set_has_its_place_in_the_body_or_a_reason(vendor):
    chosen = Parameters(
        temperature=1, top_k=5, max_tokens=4096, stop=("x",), seed=3, extra={"user": "u"}
    )
    request = vendor.request(**chosen.as_dict())

    uses = {
        passage.name: passage for passage in parameter_uses(request, ("top_k",)) if passage.name
    }

    assert set(uses) == set(chosen.as_dict())
    assert uses["top_k"].places == ()
    for name, passage in uses.items():
        assert passage.places or passage.why
        for place in passage.places:
            value = body_of(request)
            for step in place.split("."):
                value = value[step]
            wanted = chosen.as_dict()[name]
            assert name == "extra" or value == (list(wanted) if name == "stop" else wanted)


def test_added_parameters_are_listed():
    added = [passage for passage in parameter_uses(ANTHROPIC.request()) if not passage.name]

    assert ("max_tokens",) in [passage.places for passage in added]
    assert all(passage.why for passage in added)

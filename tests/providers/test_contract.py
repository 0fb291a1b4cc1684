"""What every provider promises, whatever its wire format. A provider is one row of PROVIDERS."""

import asyncio
import re
from ssl import SSLContext

import pytest

from llm_playground import errors
from llm_playground.events import PartEnded, ReasoningDelta, Responded, TextDelta
from tests.providers.runner import Runner
from tests.providers.server import Reply, WireServer
from tests.providers.vendors import PROVIDERS

PIECES = ["Grü", "ße 👋"]
ANSWER = "".join(PIECES)
ENDS = ("drop", "done", "reset")  # how a connection may end in mid-stream


def places_to_cut(recording):
    """All bytes around line ends and in characters of several bytes, and every 19th of the rest."""
    special = {at for at, byte in enumerate(recording) if byte in b"\r\n" or byte > 127}
    near = {at + step for at in special for step in (-1, 0, 1)}
    return sorted((near | set(range(1, len(recording), 19))) & set(range(1, len(recording))))


@pytest.fixture(params=PROVIDERS, ids=str)
def vendor(request):
    return request.param


async def run_of(vendor, reply):
    with WireServer(reply) as wire:
        async with Runner(vendor, wire.url) as asker:
            return await asker.run()


async def test_whole_stream_is_a_completed_run_with_usage_and_cost(vendor):
    run = await run_of(vendor, Reply(vendor.stream(PIECES)))

    assert (run.status, run.text, run.finish_reason) == ("completed", ANSWER, "stop")
    assert (run.usage.input_tokens, run.usage.output_tokens) == (11, 5)
    assert run.usage_source == "provider"
    assert run.cost_usd is not None
    assert [attempt.status_code for attempt in run.attempts] == [200]


async def test_a_call_on_this_machine_loads_no_certificates(vendor, monkeypatch):
    loaded = []
    monkeypatch.setattr(SSLContext, "load_verify_locations", lambda *places: loaded.append(places))

    run = await run_of(vendor, Reply(vendor.stream(PIECES)))

    assert (run.status, loaded) == ("completed", [])


async def test_reasoning_is_kept_apart(vendor):
    run = await run_of(vendor, Reply(vendor.stream(PIECES, reasoning=["Hm, ", "so."])))

    assert (run.text, run.reasoning) == (ANSWER, "Hm, so.")


async def test_events_come_in_order_and_the_last_is_one_finish(vendor):
    with WireServer(Reply(vendor.stream(PIECES, reasoning=["Hm"]))) as wire:
        provider = vendor.provider(wire.url)
        events = [event async for event in provider.stream(vendor.request())]
        await provider.aclose()

    kinds = [type(event).__name__ for event in events if not isinstance(event, PartEnded)]
    assert kinds == ["Responded", "ReasoningDelta", "TextDelta", "TextDelta", "Finish"]


@pytest.mark.parametrize("end", ENDS)
async def test_a_stream_cut_anywhere_ends_in_the_right_status(vendor, end):
    recording = b"".join(vendor.stream(PIECES))
    last_word_at = recording.index(vendor.last_word)
    event_ends = re.compile(rb"\r?\n\r?\n").search(recording, last_word_at).end()
    places = places_to_cut(recording)[:: 1 if end == "drop" else 4]

    def cut(request):
        return Reply((recording[: int(re.search(rb"byte (\d+)", request.body)[1])],), end=end)

    with WireServer(cut) as wire:
        async with Runner(vendor, wire.url) as asker:
            runs = await asyncio.gather(*(asker.run(f"byte {place}") for place in places))

    for place, run in zip(places, runs, strict=True):
        case = f"cut after byte {place} of {len(recording)}: {run.status}, {run.error}"
        assert ANSWER.startswith(run.text), case
        if run.status == "completed":
            assert (run.text, place > last_word_at) == (ANSWER, True), case
        else:
            assert (run.status, place < event_ends) == ("failed", True), case
            assert isinstance(run.error, errors.ProviderError), case


async def test_a_run_that_broke_after_its_first_delta_is_priced_by_estimate(vendor):
    whole = vendor.stream(PIECES)
    place = next(i for i, event in enumerate(whole) if "Grü".encode() in event)
    run = await run_of(vendor, Reply(whole[: place + 1], end="drop"))

    assert (run.status, run.text) == ("failed", "Grü")
    assert type(run.error) is errors.StreamInterruptedError
    assert run.usage_source == "estimated"
    assert run.cost_usd is not None


async def test_leaving_early_closes_the_connection(vendor):
    with WireServer(Reply(vendor.stream(["x "] * 50)[:20], end="hang")) as wire:
        provider = vendor.provider(wire.url)
        stream = provider.stream(vendor.request())
        async for event in stream:
            if isinstance(event, TextDelta):
                break
        await stream.aclose()
        left = await asyncio.to_thread(wire.wait_for, lambda server: server.left_at)
        await provider.aclose()

    assert left


async def test_a_cancelled_run_closes_the_connection_and_keeps_its_text(vendor):
    with WireServer(Reply(vendor.stream(["x "] * 50)[:20], end="hang")) as wire:
        async with Runner(vendor, wire.url) as asker:
            task = asyncio.create_task(asker.run())
            await asyncio.to_thread(wire.wait_for, lambda server: server.requests)
            await asyncio.sleep(0.2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(wire.wait_for, lambda server: server.left_at)


async def test_what_the_provider_says_of_itself_comes_first(vendor):
    with WireServer(Reply(vendor.stream(PIECES))) as wire:
        provider = vendor.provider(wire.url)
        stream = provider.stream(vendor.request())
        first = await anext(stream)
        rest = [event async for event in stream]
        await provider.aclose()

    assert isinstance(first, Responded)
    assert first.status_code == 200
    assert not any(isinstance(event, (Responded, ReasoningDelta)) for event in rest)


async def test_many_at_once_do_not_mix(vendor):
    def answer(request):
        number = request.body.decode().partition("number ")[2][:3]
        return Reply(vendor.stream([f"answer {number} "] * 20), pause_s=0.001)

    with WireServer(answer) as wire:
        provider = vendor.provider(wire.url, connect_timeout_s=60)

        async def text_of(number):
            request = vendor.request(("user", f"number {number:03d}"))
            events = [event async for event in provider.stream(request)]
            return "".join(event.text for event in events if isinstance(event, TextDelta))

        texts = await asyncio.gather(*map(text_of, range(30)))
        await provider.aclose()

    assert texts == [f"answer {number:03d} " * 20 for number in range(30)]

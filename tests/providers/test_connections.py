"""Connections are closed after a disconnect, reused, and not sent through a proxy on loopback."""

import asyncio
from contextlib import aclosing

import pytest

from llm_playground.errors import ProviderUnavailableError
from llm_playground.events import Responded, TextDelta
from llm_playground.providers.http import is_loopback
from tests.providers.server import Reply, WireServer
from tests.providers.vendors import KEY

# What a proxy's variables are called; ALL_PROXY is the fallback for every scheme.
PROXY_VARIABLES = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"]
VENDOR_HOST = {
    "openai": "api.openai.com",
    "anthropic": "api.anthropic.com",
    "gemini": "generativelanguage.googleapis.com",
}


def endless(vendor, *, before_text):
    """A stream that goes silent, before or after its first text."""
    events = vendor.stream(["Hel", "lo"])
    first = next(number for number, event in enumerate(events) if b"Hel" in event)
    return Reply(events[:first] if before_text else events[: first + 1], end="hang")


async def read_some(stream, seen):
    async for event in stream:
        if not isinstance(event, Responded):
            seen.append(event)


async def left(wire):
    assert await asyncio.to_thread(wire.wait_for, lambda server: server.left_at, 20.0)


async def test_closing_the_generator_closes_the_connection(vendor):
    with WireServer(endless(vendor, before_text=False)) as wire:
        provider = vendor.provider(wire.url)
        async with aclosing(provider.stream(vendor.request())) as stream:
            assert isinstance(await anext(stream), Responded)
            assert await anext(stream) == TextDelta("Hel")
        await left(wire)
        await provider.aclose()


@pytest.mark.parametrize("before_text", [True, False])
async def test_cancelling_the_reader_closes_the_connection(vendor, before_text):
    with WireServer(endless(vendor, before_text=before_text)) as wire:
        provider, seen = vendor.provider(wire.url), []
        reading = asyncio.create_task(read_some(provider.stream(vendor.request()), seen))
        assert await asyncio.to_thread(wire.wait_for, lambda server: server.requests)
        while not (seen or before_text):  # noqa: ASYNC110 - the reader is what is under test
            await asyncio.sleep(0.001)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await left(wire)
        await provider.aclose()


async def test_cancelling_before_the_response_closes_the_connection(vendor):
    with WireServer(Reply(delay_s=30)) as wire:
        provider = vendor.provider(wire.url)
        reading = asyncio.create_task(read_some(provider.stream(vendor.request()), []))
        assert await asyncio.to_thread(wire.wait_for, lambda server: server.requests)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await left(wire)
        await provider.aclose()


async def test_answers_in_turn_share_a_connection(vendor, monkeypatch):
    with WireServer(Reply(vendor.stream(["A"]))) as wire:
        monkeypatch.setenv("HTTP_PROXY", wire.url)  # the way to a host that is not this machine
        provider = vendor.provider("http://models.example")
        for _ in range(5):
            await read_some(provider.stream(vendor.request()), [])
        await provider.aclose()
        assert (len(wire.requests), wire.connections) == (5, 1)


async def test_loopback_server_that_closes_connections_works(vendor):
    with WireServer(Reply(vendor.stream(["A"]), end="close")) as wire:
        provider, seen = vendor.provider(wire.url), []
        for _ in range(20):
            await read_some(provider.stream(vendor.request()), seen)
        await provider.aclose()
    assert seen.count(TextDelta("A")) == 20


async def test_closed_connection_is_not_reused(vendor, monkeypatch):
    with WireServer(Reply(vendor.stream(["A"]))) as first:
        port = int(first.url.rpartition(":")[2])
        monkeypatch.setenv("HTTP_PROXY", first.url)  # the way to a host that is not this machine
        provider = vendor.provider("http://models.example")
        await read_some(provider.stream(vendor.request()), [])
        await asyncio.to_thread(first.close)
    with WireServer(Reply(vendor.stream(["B"])), port=port):
        seen = []
        await read_some(provider.stream(vendor.request()), seen)
    await provider.aclose()
    assert seen[0] == TextDelta("B")


async def test_a_hundred_and_fifty_answers_run_at_once(vendor):
    events = vendor.stream(["A"])
    together = 150  # above the 100 connections that transports allow by default
    with WireServer(Reply(events[:-1], end="hang")) as wire:
        provider = vendor.provider(wire.url)
        tasks = [
            asyncio.create_task(read_some(provider.stream(vendor.request()), []))
            for _ in range(together)
        ]
        all_there = asyncio.to_thread(
            wire.wait_for, lambda server: len(server.requests) == together, 15.0
        )
        assert await all_there
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await provider.aclose()


async def test_answers_at_once_do_not_mix(vendor):
    def reply(request):
        number = request.body.decode().split("number ")[1][:3]
        return Reply(vendor.stream([number] * 20), pause_s=0.001)

    async def ask(provider, number):
        seen = []
        await read_some(provider.stream(vendor.request(("user", f"number {number}"))), seen)
        return {event.text for event in seen[:-1]}

    with WireServer(reply) as wire:
        provider = vendor.provider(wire.url)
        numbers = [str(100 + number) for number in range(40)]
        texts = await asyncio.gather(*(ask(provider, number) for number in numbers))
        await provider.aclose()
    assert texts == [{number} for number in numbers]


# Proxies.


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "127.8.9.10"])
async def test_loopback_never_goes_through_a_proxy(vendor, host, monkeypatch):
    bound = {"localhost": "127.0.0.1", "[::1]": "::1"}.get(host, host)
    with WireServer(Reply(vendor.stream(["A"])), host=bound) as home, WireServer(Reply()) as proxy:
        for variable in PROXY_VARIABLES:
            monkeypatch.setenv(variable, proxy.url)
        port = home.url.rpartition(":")[2]
        events = await vendor.answer(f"http://{host}:{port}")
    assert events[0] == TextDelta("A")
    assert proxy.requests == []
    assert proxy.connections == 0


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "ALL_PROXY"])
async def test_vendors_are_reached_through_the_environments_proxy(vendor, variable, monkeypatch):
    with WireServer(Reply((), status=502, framing="length")) as proxy:
        monkeypatch.setenv(variable, proxy.url)
        for name in ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "GOOGLE_GEMINI_BASE_URL"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")  # not the SDK's to read
        with pytest.raises(ProviderUnavailableError, match="proxy") as caught:
            await vendor.answer(None)
    asked = {(request.method, request.path) for request in proxy.requests}
    assert asked == {("CONNECT", f"{VENDOR_HOST[vendor.name]}:443")}
    assert all(KEY not in str(request.headers) for request in proxy.requests)
    assert VENDOR_HOST[vendor.name] in str(caught.value) or vendor.name in str(caught.value).lower()


async def test_an_answer_comes_through_a_proxy_as_without(vendor, monkeypatch):
    with WireServer(Reply(vendor.stream(["Hel", "lo"]))) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        events = await vendor.answer("http://models.example/v1")
    assert events[:2] == [TextDelta("Hel"), TextDelta("lo")]
    assert proxy.requests[0].path.startswith("http://models.example/v1")


async def test_no_proxy_is_honoured(vendor, monkeypatch):
    with WireServer(Reply()) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "models.invalid")
        with pytest.raises(ProviderUnavailableError, match="cannot be found"):
            await vendor.answer("http://models.invalid")
    assert proxy.requests == []


@pytest.mark.parametrize(
    ("base_url", "home"),
    [
        (None, False),
        ("http://127.0.0.1:1/v1", True),
        ("http://127.255.0.9", True),
        ("http://[::1]:80", True),
        ("http://LOCALHOST/v1", True),
        ("http://localhost.:80", True),
        ("http://127.0.0.1.example.com", False),
        ("http://localhost.example.com", False),
        ("http://10.0.0.1", False),
        ("http://user:127.0.0.1@example.com", False),
    ],
)
def test_only_this_machine_is_loopback(base_url, home):
    assert is_loopback(base_url) is home

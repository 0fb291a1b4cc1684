"""What breaks below HTTP is told apart: refused, unknown, insecure, silent."""

import asyncio
import socket

from llm_playground import errors
from llm_playground.providers import http
from llm_playground.types import TextDelta
from tests.wire.failing import broken_off, failure, failure_from
from tests.wire.server import Reply
from tests.wire.vendors import GEMINI


async def test_a_refused_connection_names_the_address(vendor):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    error, _ = await failure(vendor, f"http://127.0.0.1:{port}")
    assert type(error) is errors.ProviderUnavailableError
    assert str(error).startswith(f"127.0.0.1:{port} refuses connections.")


async def test_a_name_nobody_knows_is_said_so(vendor):
    error, _ = await failure(vendor, "http://nowhere.invalid")
    assert type(error) is errors.ProviderUnavailableError
    assert "nowhere.invalid cannot be found" in str(error)


async def test_no_secure_connection_is_said_so(vendor):
    async def plain(reader, writer):
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        error, _ = await failure(vendor, f"https://127.0.0.1:{port}")
    assert type(error) is errors.ProviderUnavailableError
    assert "No secure connection" in str(error)


async def test_silence_before_the_first_delta_is_a_time_out_and_may_be_tried_again(
    vendor, monkeypatch
):
    monkeypatch.setattr(http, "READ_TIMEOUT_S", 0.2)
    for silence in (Reply(delay_s=30), Reply((vendor.stream(["A"])[0],), end="hang")):
        if vendor is GEMINI and silence.chunks:
            continue  # its first event holds text
        error, events = await failure_from(vendor, silence)
        assert type(error) is errors.ProviderTimeoutError
        assert events == []


async def test_silence_in_mid_answer_keeps_the_text(vendor, monkeypatch):
    monkeypatch.setattr(http, "READ_TIMEOUT_S", 0.2)
    error, events = await failure_from(vendor, Reply(broken_off(vendor), end="hang"))
    assert type(error) is errors.ProviderTimeoutError
    assert "text so far is kept" in str(error)
    assert events == [TextDelta("Hel"), TextDelta("lo")]


async def test_an_address_that_never_answers_is_a_time_out(vendor, monkeypatch):
    monkeypatch.setattr(http, "CONNECT_TIMEOUT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = full.getsockname()
        waiting = []
        for _ in range(3):  # the queue of a listener that never accepts
            waiting.append(socket.socket())
            waiting[-1].setblocking(False)
            waiting[-1].connect_ex(address)
        error, _ = await failure(vendor, f"http://127.0.0.1:{address[1]}")
        for connection in waiting:
            connection.close()
    assert type(error) is errors.ProviderTimeoutError
    assert "could not be reached" in str(error)

"""The blocking SDK never blocks the loop; cancelling ends its thread and its connection."""

import asyncio
import contextlib
import datetime
import ipaddress
import ssl
import threading
from contextlib import aclosing

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from llm_playground import errors
from llm_playground.events import Finish, TextDelta
from tests.providers.failures import broken_off, collect, failure
from tests.providers.legacy_format import ELEMENTS, JSON, LEGACY, array, legacy_stream, reply, texts
from tests.providers.server import Reply, WireServer, json_reply

THREAD = "llm_playground exchange"


# Threads.


async def threads_end():
    """Every exchange's thread has ended, soon."""
    for thread in threading.enumerate():
        if thread.name == THREAD:
            await asyncio.to_thread(thread.join, 2.0)
    return not any(thread.name == THREAD for thread in threading.enumerate())


@contextlib.asynccontextmanager
async def heartbeat():
    """Ticks as long as the loop is free."""
    ticks = [0]

    async def beat():
        while True:
            ticks[0] += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(beat())
    try:
        yield ticks
    finally:
        task.cancel()


async def test_the_loop_is_free_while_an_answer_is_awaited_and_while_it_comes():
    slow = Reply(legacy_stream(["a", "b", "c", "d"]), headers=JSON, delay_s=0.2, pause_s=0.1)
    with WireServer(slow) as wire:
        provider, ticks_at = LEGACY.provider(wire.url), [0]
        async with heartbeat() as ticks:
            stream = provider.stream(LEGACY.request())
            ticks_at += [ticks[0] async for event in stream if isinstance(event, TextDelta)]
        await provider.aclose()
    assert len(ticks_at) == 5
    assert ticks_at[-1] > 10  # a loop that waits for the network does not tick at all


async def test_deltas_come_one_by_one_and_not_at_the_end():
    with WireServer(Reply(broken_off(LEGACY), headers=JSON, end="hang")) as wire:
        provider, seen = LEGACY.provider(wire.url), []
        async with aclosing(provider.stream(LEGACY.request())) as stream:
            async for event in stream:
                seen.append(event)
                if texts(seen) == "Hello":
                    break
        await provider.aclose()


@pytest.mark.parametrize("silence", [Reply(delay_s=30), Reply(broken_off(LEGACY), end="hang")])
async def test_a_cancelled_answer_leaves_no_thread_behind(silence):
    with WireServer(silence) as wire:
        provider = LEGACY.provider(wire.url)
        reading = asyncio.create_task(collect(provider.stream(LEGACY.request()), []))
        assert await asyncio.to_thread(wire.wait_for, lambda server: server.requests)
        await asyncio.sleep(0.2)  # until the thread waits for the network; nothing tells of it
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert await threads_end()
        await provider.aclose()


async def test_answers_and_errors_leave_no_thread_behind():
    with WireServer([reply(*ELEMENTS), json_reply(500, {}), Reply((), end="drop")]) as wire:
        await LEGACY.answer(wire.url)
        await failure(LEGACY, wire.url)
        await failure(LEGACY, wire.url)
        assert await threads_end()


class Counted(tuple):
    """Chunks that know how many were taken."""

    def __iter__(self):
        self.taken = 0
        for chunk in super().__iter__():
            self.taken += 1
            yield chunk


async def test_slow_reader_slows_the_network_and_loses_nothing():
    pieces = [f"{number:06}" * 20_000 for number in range(400)]
    chunks = Counted(legacy_stream(pieces))
    with WireServer(Reply(chunks, headers=JSON)) as wire:
        provider, seen = LEGACY.provider(wire.url), []
        stream = provider.stream(LEGACY.request())
        while not texts(seen):
            seen.append(await anext(stream))
        taken = -1
        while taken != chunks.taken:
            taken = chunks.taken
            await asyncio.sleep(0.3)
        assert taken < len(pieces)
        await collect(stream, seen)
        await provider.aclose()
    assert texts(seen) == "".join(pieces)


async def test_closing_the_provider_ends_active_calls():
    with WireServer(Reply(broken_off(LEGACY), headers=JSON, end="hang")) as wire:
        provider, seen = LEGACY.provider(wire.url), []
        reading = asyncio.create_task(collect(provider.stream(LEGACY.request()), seen))
        while texts(seen) != "Hello":  # noqa: ASYNC110 - the reader is what is under test
            await asyncio.sleep(0.001)
        await provider.aclose()
        with pytest.raises(errors.StreamInterruptedError):
            await reading
        assert await threads_end()


async def test_late_abandon_does_not_touch_the_next_answer(monkeypatch):
    with WireServer([reply(*ELEMENTS), reply(*ELEMENTS, pause_s=0.2)]) as wire:
        monkeypatch.setenv("HTTP_PROXY", wire.url)  # the way to a host that is not this machine
        provider = LEGACY.provider("http://models.example")
        first, second = (provider.stream(LEGACY.request()) for _ in range(2))
        while not isinstance(await anext(first), Finish):
            pass  # it has ended on the wire, and is not left
        assert await threads_end()
        seen = [await anext(second), await anext(second)]
        await first.aclose()
        await collect(second, seen)
        await provider.aclose()
        assert wire.connections == 1
    assert texts(seen) == "Grü👋"


# TLS.


@pytest.fixture
def secure(tmp_path):
    """A self-signed certificate for this machine: its file, and a server's context."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loopback")])
    now = datetime.datetime.now(datetime.UTC)
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(here, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    public, private = tmp_path / "cert.pem", tmp_path / "key.pem"
    public.write_bytes(certificate.public_bytes(encoding))
    private.write_bytes(key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return public, context


@contextlib.asynccontextmanager
async def secure_server(context, left, *, whole):
    """An answer over TLS, or its first element and then silence; ``left`` is set at the end."""

    async def answer(reader, writer):
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await reader.readuntil(b"\r\n\r\n")
            body = array(*ELEMENTS)
            writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + body[0])
            await writer.drain()
            if whole:
                writer.write(body[1])
                writer.close()
                return
            while await reader.read(1_000):
                pass
        left.set()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context) as server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_ssl_cert_file_sets_trusted_certificates(secure, monkeypatch):
    file, context = secure
    async with secure_server(context, asyncio.Event(), whole=True) as url:
        error, _ = await failure(LEGACY, url)
        assert "SSL_CERT_FILE" in str(error)
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        assert texts(await LEGACY.answer(url)) == "Grü👋"


async def test_cancelling_closes_a_tls_connection(secure, monkeypatch):
    file, context = secure
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    left = asyncio.Event()
    async with secure_server(context, left, whole=False) as url:
        provider = LEGACY.provider(url)
        async with aclosing(provider.stream(LEGACY.request())) as stream:
            async for event in stream:
                if isinstance(event, TextDelta):
                    break
        async with asyncio.timeout(60):
            await left.wait()
        assert await threads_end()
        await provider.aclose()

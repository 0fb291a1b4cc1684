"""Odd and hostile bodies: callers get the same bytes as without a recording, the log a right row.

Recorded, and replayed from the recording without the server.
"""

import asyncio
import gzip
import json
import threading
import time
import zlib

import aiohttp
import brotli
import httpx
import httpx2
import pytest
import zstandard

import llm_playground as lp
from llm_playground.capture import received
from llm_playground.recording import kernel, numbers
from tests.capture.hostile_replies import CASES, LIMIT_BYTES, STREAM
from tests.capture.transports import CALLS, HEADERS, TRANSPORTS
from tests.capture.wire import OUT, TEXT, answer
from tests.providers.server import Reply, WireRequest, WireServer

PATH = "/v1/chat/completions"
BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Say hello."}]}


def streamed(library):
    """Read the bytes as they come, not decoded."""

    def send(url, body):
        with (
            library.Client(trust_env=False, verify=False) as client,
            client.stream("POST", url, content=body, headers=HEADERS) as response,
        ):
            return response.status_code, list(response.headers.items()), list(response.iter_raw())

    return send


def streamed_by_async(library):
    async def send(url, body):
        async with (
            library.AsyncClient(trust_env=False, verify=False) as client,
            client.stream("POST", url, content=body, headers=HEADERS) as response,
        ):
            return response.status_code, [piece async for piece in response.aiter_bytes()]

    return lambda url, body: asyncio.run(send(url, body))


SENDERS = {
    **TRANSPORTS,
    "httpx-stream": streamed(httpx),
    "httpx2-stream": streamed(httpx2),
    "httpx-async-stream": streamed_by_async(httpx),
    "httpx2-async-stream": streamed_by_async(httpx2),
}


@pytest.fixture(autouse=True)
def small_limit(monkeypatch):
    monkeypatch.setattr(received, "MAX_KEPT_BYTES", LIMIT_BYTES)


def outcome(sender, server, body, path=PATH):
    """What the caller gets: status and bytes, or its exception; and what reached the server."""
    before = len(server.requests)
    try:
        found = sender(server.url + path, body)
    except (httpx.HTTPError, httpx2.HTTPError, aiohttp.ClientError) as error:
        found = type(error), str(error)
    sent = [(one.path, dict(one.headers), one.body) for one in server.requests[before:]]
    return found, sent


def joined(found):
    """Chunks joined: the borders between them depend on time."""
    return tuple(
        b"".join(one) if isinstance(one, list) and one and isinstance(one[0], bytes) else one
        for one in found
    )


def rows():
    found = lp.sql("SELECT * FROM runs ORDER BY started_at")
    return [row.dropna().to_dict() for _, row in found.iterrows()]


@pytest.mark.parametrize("name", CASES)
def test_the_caller_gets_the_same_bytes_and_the_log_a_right_row(home, name, caplog):
    case = CASES[name]
    body = json.dumps({**BODY, "stream": True, **case.fields}).encode()
    with WireServer(case.reply) as server:
        for sender, send in SENDERS.items():
            plain, wire = outcome(send, server, body)
            with lp.record():
                recorded, same_wire = outcome(send, server, body)
            assert joined(recorded) == joined(plain), sender
            assert same_wire == wire, sender
    found = rows()

    assert len(found) == len(SENDERS)
    for sender, row in zip(SENDERS, found, strict=True):
        assert row["status"] == case.status, (sender, row)
        assert row.get("error_type", "").startswith(case.error), (sender, row)
        assert row.get("response_text", "") == (case.text or ""), (sender, row)
        if case.tokens is not None:
            assert row["output_tokens"] == case.tokens
    assert len(caplog.records) <= len(SENDERS)


@pytest.mark.parametrize("wire_format", CALLS)
def test_each_wire_format_is_read_compressed_and_cut_anywhere(home, wire_format):
    path, body = CALLS[wire_format]
    content = {**body({"role": "user", "content": "Hi."}), "stream": True}
    path = path.replace(":generateContent", ":streamGenerateContent?alt=sse")
    asked = json.dumps(content).encode()
    plain = b"".join(answer(WireRequest("POST", path, {}, asked, 0.0)).chunks)
    packed = gzip.compress(plain.replace(b"\n", b"\r\n"), mtime=0)
    headers = {"content-type": "text/event-stream", "content-encoding": "gzip"}
    reply = Reply([bytes([byte]) for byte in packed], headers=headers)
    with WireServer(reply) as server, lp.record():
        outcome(SENDERS["httpx2"], server, asked, path)
        outcome(SENDERS["aiohttp"], server, asked, path)

    assert [(row["response_text"], row["output_tokens"]) for row in rows()] == [(TEXT, OUT)] * 2


@pytest.mark.parametrize(
    ("transport", "wire_format"),
    [*((transport, "openai") for transport in TRANSPORTS), *(("httpx2", each) for each in CALLS)],
)
def test_an_answer_too_long_to_keep_has_unknown_tokens(home, transport, wire_format):
    path, body = CALLS[wire_format]
    asked = json.dumps(body({"role": "user", "content": "Hi."})).encode()
    long = b'{"text": "' + b"x" * LIMIT_BYTES + b'"}'
    reply = Reply((long,), headers={"content-type": "application/json"})
    lp.set_budget(10)
    with WireServer(reply) as server, lp.record():
        status, content = TRANSPORTS[transport](server.url + path, asked)
    lp.set_budget(None)
    [row] = rows()

    assert (status, content) == (200, long)
    assert "is not in the log: it is longer than 1,048,576 bytes." in row["error_message"]
    assert not {"input_tokens", "output_tokens", "cost_usd"} & row.keys()
    assert row["at_least_usd"] > 0  # its input


@pytest.mark.parametrize("encoding", [None, "gzip", "br", "zstd"])
def test_the_time_to_the_first_text_is_that_of_its_bytes(home, encoding, monkeypatch):
    later_s, clock = [0.0], time.perf_counter
    monkeypatch.setattr(time, "perf_counter", lambda: clock() + later_s[0])
    monkeypatch.setattr(received, "now", time.perf_counter)
    first, rest = first_and_rest(encoding, STREAM[:2], STREAM[2:])
    held, headers = threading.Event(), {"content-type": "text/event-stream"}
    headers |= {"content-encoding": encoding} if encoding else {}

    asked = json.dumps({**BODY, "stream": True})
    with (
        WireServer(Reply((first, held, rest), headers=headers)) as server,
        lp.record(),
        httpx2.Client(trust_env=False) as client,
        client.stream("POST", server.url + PATH, content=asked) as response,
    ):
        pieces = response.iter_raw()
        next(pieces)
        later_s[0] = 60.0  # before the other bytes come
        held.set()
        list(pieces)
    [row] = rows()

    assert row["response_text"] == TEXT
    assert row["response_time_ms"] - row["ttft_ms"] >= 60_000
    assert row["ttft_ms"] < 60_000


def first_and_rest(encoding, first, rest):
    """Two pieces of a body; the first can be decoded without the second."""
    before, after = b"".join(first), b"".join(rest)
    if encoding is None:
        return before, after
    if encoding == "br":
        packing = brotli.Compressor()
        return (
            packing.process(before) + packing.flush(),
            packing.process(after) + packing.finish(),
        )
    if encoding == "zstd":
        packing = zstandard.ZstdCompressor().compressobj()
        begun = packing.compress(before) + packing.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
        return begun, packing.compress(after) + packing.flush()
    packing = zlib.compressobj(9, zlib.DEFLATED, 31)
    begun = packing.compress(before) + packing.flush(zlib.Z_SYNC_FLUSH)
    return begun, packing.compress(after) + packing.flush()


def pieces_of(body):
    yield body[:9]
    yield body[9:]


async def async_pieces_of(body):
    for piece in pieces_of(body):
        yield piece


async def sent_by_aiohttp(url, headers, body):
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=async_pieces_of(body), headers=headers) as response,
    ):
        return await response.read()


async def sent_by_async_httpx(url, headers, body):
    async with httpx2.AsyncClient(trust_env=False) as client:
        return (await client.post(url, content=async_pieces_of(body), headers=headers)).content


def sent_by_httpx(url, headers, body):
    with httpx.Client(trust_env=False) as client:
        return client.post(url, content=pieces_of(body), headers=headers).content


def test_a_request_that_is_a_stream_is_sent_unrecorded_with_one_warning(home, caplog):
    body = json.dumps(BODY).encode()
    headers = {"content-length": str(len(body))}
    with WireServer(answer) as server:
        asked = server.url + PATH, headers, body
        with lp.record():
            contents = [sent_by_httpx(*asked) for _ in range(3)]
            assert len(caplog.records) == 1
            contents.append(asyncio.run(sent_by_async_httpx(*asked)))
            contents.append(asyncio.run(sent_by_aiohttp(*asked)))

    assert [one.body for one in server.requests] == [body] * 5
    assert all(TEXT in json.loads(one)["choices"][0]["message"]["content"] for one in contents)
    assert rows() == []
    assert len(caplog.records) == len({record.getMessage() for record in caplog.records})


@pytest.mark.parametrize("name", CASES)
def test_a_replay_gives_the_recorded_bytes_or_an_error_of_the_vendor(recording, name, tmp_path):
    case, send = CASES[name], SENDERS["httpx"]
    body = json.dumps({**BODY, "stream": True, **case.fields}).encode()
    with WireServer(case.reply) as server, lp.record():
        recorded, _ = outcome(send, server, body)
    lp.runs()  # what has ended is counted
    numbers.reset()
    kernel.forget_use()
    lp.configure(mode="replay", log=str(tmp_path / "other.duckdb"))
    with lp.record():
        status, content = send(server.url + PATH, body)

    if case.status == "failed":
        assert status >= 400
        assert json.loads(content)["error"]["message"]
    elif name == "no UTF-8":  # a recording is a text
        assert (status, "w�rld" in content.decode()) == (200, True)
    else:
        assert (status, content) == recorded

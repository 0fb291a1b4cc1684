"""Gemini over its retired SDK keeps every promise of the other way, though it blocks a thread."""

import asyncio
import contextlib
import datetime
import gzip
import ipaddress
import itertools
import json
import ssl
import subprocess
import sys
import threading
from contextlib import aclosing
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from llm_playground import errors
from llm_playground.providers import connect
from llm_playground.providers.base import Endpoint
from llm_playground.providers.gemini_legacy import GeminiLegacyProvider
from llm_playground.providers.sse import MAX_EVENT_BYTES
from llm_playground.types import Finish, TextDelta
from tests.wire import (
    test_answers,
    test_breaks,
    test_connections,
    test_contract,
    test_faults,
    test_requests,
)
from tests.wire.failing import broken_off, collect, failure, failure_from
from tests.wire.fault_matrix import FAULTS, complaint, outcome_of
from tests.wire.formats import gemini_event
from tests.wire.legacy_format import FINISH_REASONS, JSON, array, legacy_element, legacy_stream
from tests.wire.server import Reply, WireServer, json_reply
from tests.wire.vendors import GEMINI, KEY

THREAD = "llm_playground exchange"

# The same provider, spoken the other way: what tests know by its name holds here too.
LEGACY = replace(
    GEMINI,
    build=GeminiLegacyProvider,
    stream=legacy_stream,
    fault=lambda status: json.dumps(
        {"error": {"code": status, "message": "Sorry.", "status": "UNAVAILABLE"}}
    ).encode(),
    last_word=b'"finishReason": 1',
)


@pytest.fixture
def vendor():
    return LEGACY


# What is promised of every provider and has nothing to do with server-sent events.
SHARED = {
    test_contract: (
        "test_a_whole_stream_is_a_completed_run_that_knows_its_usage_and_cost",
        "test_reasoning_is_kept_apart",
        "test_events_come_in_order_and_the_last_is_one_finish",
        "test_a_run_that_broke_after_its_first_delta_is_priced_by_estimate",
        "test_leaving_early_closes_the_connection",
        "test_a_cancelled_run_closes_the_connection_and_keeps_its_text",
        "test_what_the_provider_says_of_itself_comes_first",
        "test_many_at_once_do_not_mix",
    ),
    test_answers: (
        "test_an_answer_is_its_deltas_and_one_finish",
        "test_the_framing_of_the_response_does_not_matter",
        "test_a_stream_cut_at_every_byte_gives_the_same_answer",
        "test_usage_nobody_told_is_unknown",
        "test_a_fault_after_the_providers_finish_changes_nothing",
        "test_an_empty_answer_that_finishes_is_an_answer",
    ),
    test_breaks: (
        "test_a_refused_connection_names_the_address",
        "test_a_name_nobody_knows_is_said_so",
        "test_no_secure_connection_is_said_so",
    ),
    test_connections: (
        "test_closing_the_generator_hangs_up",
        "test_cancelling_the_reader_hangs_up",
        "test_cancelling_before_the_response_hangs_up",
        "test_answers_in_turn_share_a_connection",
        "test_a_server_at_home_that_closes_after_each_answer_loses_none",
        "test_a_connection_the_server_closed_meanwhile_is_not_used_again",
        "test_a_hundred_and_fifty_answers_run_at_once",
        "test_answers_at_once_do_not_mix",
        "test_loopback_never_goes_through_a_proxy",
        "test_vendors_are_reached_through_the_environments_proxy",
        "test_an_answer_comes_through_a_proxy_as_without",
        "test_no_proxy_is_honoured",
    ),
    test_faults: (
        "test_each_status_is_one_class_and_one_line",
        "test_an_error_without_json_is_an_error_all_the_same",
        "test_only_what_may_be_better_next_time_is_retryable",
        "test_the_sdk_never_sends_twice_on_its_own",
        "test_a_redirect_does_not_carry_the_key_elsewhere",
        "test_a_refused_key_is_named_by_its_source_and_its_end",
        "test_how_long_to_wait_is_told_in_seconds",
        "test_an_error_object_before_any_text_is_what_its_status_would_be",
        "test_an_error_object_after_text_keeps_the_text",
        "test_an_answer_that_breaks_off_is_never_taken_for_whole",
        "test_an_event_cut_in_the_middle_is_no_text",
        "test_nothing_at_all_may_be_tried_again",
        "test_a_server_that_hangs_up_before_answering_is_no_time_out",
        "test_a_server_that_does_not_speak_http_is_unavailable",
        "test_a_page_instead_of_a_stream_is_said_so",
        "test_an_error_in_json_instead_of_a_stream_is_that_error",
        "test_a_whole_answer_instead_of_a_stream_is_said_so",
        "test_a_line_without_end_does_not_fill_the_memory",
        "test_the_key_is_in_no_error_however_it_is_looked_at",
        "test_the_key_is_in_no_repr_of_provider_or_endpoint",
    ),
    test_requests: (
        "test_the_body_builder_tells_exactly_what_the_sdk_sends",
        "test_the_key_goes_into_one_header_and_nowhere_else",
        "test_what_is_set_is_sent_under_the_vendors_name",
        "test_turns_and_system_prompt_have_the_vendors_form",
        "test_text_is_sent_byte_for_byte",
        "test_extra_is_added_to_the_body_unread",
        "test_zero_is_sent_where_it_means_something",
    ),
}
globals().update(
    {name: getattr(module, name) for module, names in SHARED.items() for name in names}
)


# Their rows are made of an event stream's lines and of its events' order.
OTHERS_FAULTS = {"malformed SSE line", "finish twice"}


@pytest.mark.parametrize(
    "fault", [fault for fault in FAULTS if fault.name not in OTHERS_FAULTS], ids=lambda f: f.name
)
async def test_a_fault_is_what_the_table_says(fault):
    assert complaint(fault, await outcome_of(fault, LEGACY)) == ""


def reply(*elements, **options):
    return Reply(array(*elements), headers=JSON, **options)


def texts(events):
    return "".join(event.text for event in events if isinstance(event, TextDelta))


# The request.


async def test_the_retired_sdk_sends_what_gemini_is_sent_otherwise():
    request = await test_requests.sent(LEGACY)
    assert (request.method, request.path) == (
        "POST",
        "/v1beta/models/gemini-2.5-flash:streamGenerateContent?%24alt=json%3Benum-encoding%3Dint",
    )
    assert request.json == test_requests.NOTHING_SET["gemini"][1]
    assert request.headers["x-goog-api-client"].startswith("genai-py/")


async def test_a_tuned_model_has_its_own_place():
    with WireServer(reply(*ELEMENTS)) as wire:
        await asked(wire, "gemini:tunedModels/mine")
    assert wire.requests[0].path.startswith("/v1beta/tunedModels/mine:stream")


@pytest.mark.parametrize("name", ["a/../b?c", "a?b", "models/a/b", "a#b", "a%2Fb", "files/a"])
async def test_a_model_name_that_cannot_be_addressed_is_rejected_and_nothing_is_sent(name):
    with WireServer(reply(*ELEMENTS)) as wire:
        with pytest.raises(errors.RequestRejectedError, match="no name of a Gemini model"):
            await asked(wire, f"gemini:{name}")
        assert wire.requests == []


async def asked(wire, model):
    provider = LEGACY.provider(wire.url)
    try:
        await collect(provider.stream(replace(LEGACY.request(), model=model)), [])
    finally:
        await provider.aclose()


async def test_half_a_character_in_a_prompt_is_sent_as_the_other_way_sends_it():
    request = await test_requests.sent(LEGACY, ("user", "half \ud83d"))
    assert rb"half \ud83d" in request.body


async def test_endpoints_at_once_keep_their_keys_apart():
    with WireServer(reply(*ELEMENTS)) as one, WireServer(reply(*ELEMENTS)) as other:
        servers = {KEY: one, KEY + "-other": other}
        providers = [
            GeminiLegacyProvider(Endpoint("gemini", key, wire.url)) for key, wire in servers.items()
        ]
        streams = [collect(p.stream(LEGACY.request()), []) for p in providers * 5]
        await asyncio.gather(*streams)
        for provider in providers:
            await provider.aclose()
    for key, wire in servers.items():
        assert {request.headers["x-goog-api-key"] for request in wire.requests} == {key}
        assert len(wire.requests) == 5


async def test_a_password_in_netrc_is_not_sent_along(monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("default login me password planted-word\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with WireServer(reply(*ELEMENTS)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        await LEGACY.answer("http://models.example")
    assert "authorization" not in proxy.requests[0].headers


async def test_settings_of_the_environment_do_not_redirect_the_sdk(monkeypatch):
    monkeypatch.setenv("GEMINI_API_KEY", "another-key")
    monkeypatch.setenv("GOOGLE_API_KEY", "another-key")
    monkeypatch.setenv("GOOGLE_CLOUD_UNIVERSE_DOMAIN", "elsewhere.example")
    monkeypatch.setenv("GOOGLE_API_USE_MTLS_ENDPOINT", "always")
    request = await test_requests.sent(LEGACY)
    assert request.headers["x-goog-api-key"] == KEY


# The answer.

ELEMENTS = [
    legacy_element({"candidates": [{"content": {"parts": [{"text": "Grü"}]}}]}),
    legacy_element({"candidates": [{"content": {"parts": [{"text": "👋"}]}, "finishReason": 1}]}),
]


async def outcome(vendor, stream):
    """What comes of a stream: its events, or its error."""
    with WireServer(Reply(stream)) as wire:
        try:
            return await vendor.answer(wire.url)
        except errors.LLMError as error:
            return type(error), str(error), vars(error)


def rated(category, probability):
    return {"category": category, "probability": probability, "blocked": True}


SAFETY = [
    ({"promptFeedback": {"blockReason": 1}}, {"promptFeedback": {"blockReason": "SAFETY"}}),
    (
        {"promptFeedback": {"blockReason": 4, "safetyRatings": [rated(10, 4)]}},
        {
            "promptFeedback": {
                "blockReason": "PROHIBITED_CONTENT",
                "safetyRatings": [rated("HARM_CATEGORY_DANGEROUS_CONTENT", "HIGH")],
            }
        },
    ),
    (
        {"candidates": [{"finishReason": 3, "safetyRatings": [rated(7, 3)]}]},
        {
            "candidates": [
                {
                    "finishReason": "SAFETY",
                    "safetyRatings": [rated("HARM_CATEGORY_HARASSMENT", "MEDIUM")],
                }
            ]
        },
    ),
    *(
        ({"candidates": [{"finishReason": n}]}, {"candidates": [{"finishReason": name}]})
        for name, n in FINISH_REASONS.items()
    ),
]


@pytest.mark.parametrize(("numbers", "names"), SAFETY, ids=str)
async def test_safety_and_finish_reasons_mean_the_same_in_numbers_in_names_and_the_other_way(
    numbers, names
):
    other_way = await outcome(GEMINI, (gemini_event(names),))
    assert same(await outcome(LEGACY, array(legacy_element(numbers))), other_way)
    assert same(await outcome(LEGACY, array(legacy_element(names))), other_way)


def same(outcome, other):
    """Equal but for the JSON that an error quotes."""
    plain = [
        [{**part, "detail": None} if isinstance(part, dict) else part for part in one]
        for one in (outcome, other)
    ]
    return plain[0] == plain[1]


async def test_a_number_of_next_year_is_another_reason_and_breaks_nothing():
    element = {"candidates": [{"finishReason": 99, "safetyRatings": [rated(99, 99)]}]}
    with WireServer(reply(ELEMENTS[0], legacy_element(element))) as wire:
        events = await LEGACY.answer(wire.url)
    assert texts(events) == "Grü"
    assert events[-1].finish_reason == "other"


async def test_what_a_model_says_to_a_tool_is_not_read_as_safety():
    call = {"name": "sort", "args": {"category": 10, "finishReason": 3, "candidates": [{}]}}
    value = {"candidates": [{"content": {"parts": [{"functionCall": call}]}}]}
    finish = {"candidates": [{"finishReason": "STOP"}]}
    other_way = await outcome(GEMINI, (gemini_event(value), gemini_event(finish)))
    ours = await outcome(LEGACY, array(legacy_element(value), legacy_element(finish)))
    assert same(ours, other_way)


async def test_an_element_is_told_as_soon_as_it_is_complete():
    [first, *_] = array(*ELEMENTS)
    with WireServer(Reply((first.rstrip(b",\r\n"),), headers=JSON, end="hang")) as wire:
        provider = LEGACY.provider(wire.url)
        async with aclosing(provider.stream(LEGACY.request())) as stream:
            async for event in stream:
                if isinstance(event, TextDelta):
                    break
        await provider.aclose()
    assert event == TextDelta("Grü")


ODD = {
    "one line": json.dumps(ELEMENTS).encode(),
    "escapes": json.dumps(ELEMENTS, ensure_ascii=True).encode(),
    "blanks around": b"\r\n \t" + b"".join(array(*ELEMENTS)) + b"\n\n",
    "byte order mark": b"\xef\xbb\xbf" + json.dumps(ELEMENTS).encode(),
    "no end": b"".join(array(*ELEMENTS)).rstrip(b"\n]"),
    "elements of other kinds": json.dumps(
        [1, "][}{", [2, {}], None, {}, {"candidates": 5}, *ELEMENTS]
    ).encode(),
}


@pytest.mark.parametrize("written", ODD)
async def test_however_the_array_is_written_the_answer_is_the_same(written):
    recording = ODD[written]
    byte_by_byte = [recording[place : place + 1] for place in range(len(recording))]
    for chunks in ([recording], byte_by_byte):
        with WireServer(Reply(chunks, headers=JSON)) as wire:
            events = await LEGACY.answer(wire.url)
        assert texts(events) == "Grü👋"
        assert events[-1].finish_reason == "stop"


@pytest.mark.parametrize("text", ['"', "\\", '\\"', "}]", "[{", '"}]\n,[{"', "\\\\", "\u2028"])
async def test_text_that_looks_like_json_is_text(text):
    stream = legacy_stream([text, text])
    with WireServer(Reply(stream, headers=JSON)) as wire:
        assert texts(await LEGACY.answer(wire.url)) == text + text


async def test_a_compressed_answer_is_read():
    packed = gzip.compress(b"".join(array(*ELEMENTS)))
    halves = (packed[:40], packed[40:])
    with WireServer(Reply(halves, headers=JSON | {"content-encoding": "gzip"})) as wire:
        assert texts(await LEGACY.answer(wire.url)) == "Grü👋"


# What breaks.


@pytest.mark.parametrize("end", ["done", "drop"])
async def test_an_answer_cut_at_any_byte_is_never_taken_for_whole(end):
    recording = b"".join(array(*ELEMENTS))
    whole = recording.rstrip(b"\n]")
    first = recording.index(b"\n,") + 1
    replies = [
        Reply((recording[:place],), headers=JSON, end=end) for place in range(len(recording))
    ]
    with WireServer(replies) as wire:
        provider = LEGACY.provider(wire.url)
        for place in range(len(recording)):
            events = []
            if place >= len(whole):  # all was said but the bracket
                await collect(provider.stream(LEGACY.request()), events)
                assert isinstance(events[-1], Finish)
                continue
            with pytest.raises(errors.ProviderError) as caught:
                await collect(provider.stream(LEGACY.request()), events)
            told = place >= first - 1
            kind = errors.StreamInterruptedError if told else errors.ProviderUnavailableError
            assert (type(caught.value), texts(events)) == (kind, "Grü" if told else "")
        await provider.aclose()


async def test_an_empty_array_is_an_empty_answer():
    for empty in (b"[]", b"[\n]\n", b" [ "):
        error, _ = await failure_from(LEGACY, Reply((empty,), headers=JSON))
        assert type(error) is errors.ProviderUnavailableError
        assert "empty answer" in str(error)


ERROR = {
    "error": {
        "code": 429,
        "message": "Slow down.",
        "status": "RESOURCE_EXHAUSTED",
        "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "20s"}],
    }
}


@pytest.mark.parametrize("status", [200, 429])
async def test_an_error_in_an_array_is_that_error(status):
    error, _ = await failure_from(LEGACY, reply(ERROR, status=status))
    assert type(error) is errors.RateLimitError
    assert error.retry_after == 20.0
    assert "Slow down" in str(error)


async def test_an_error_as_a_later_element_keeps_the_text():
    error, events = await failure_from(LEGACY, reply(ELEMENTS[0], ERROR))
    assert type(error) is errors.StreamInterruptedError
    assert "Slow down" in str(error)
    assert texts(events) == "Grü"


async def test_an_answer_that_finishes_twice_is_one_answer():
    with WireServer(
        reply(*ELEMENTS, legacy_element({"candidates": [{"finishReason": 1}]}))
    ) as wire:
        events = await LEGACY.answer(wire.url)
    assert [type(event) for event in events].count(Finish) == 1
    assert texts(events) == "Grü👋"


async def test_an_element_without_end_does_not_fill_the_memory():
    millions = [b"x" * 1_000_000] * (MAX_EVENT_BYTES // 1_000_000 + 1)
    error, _ = await failure_from(LEGACY, Reply([b'[{"candidates": "', *millions], headers=JSON))
    assert type(error) is errors.ProviderError
    assert "more than 16,777,216 bytes" in error.detail


async def test_a_body_that_is_not_what_its_encoding_says_is_a_broken_connection():
    broken = Reply((b"no gzip",), headers=JSON | {"content-encoding": "gzip"})
    error, _ = await failure_from(LEGACY, broken)
    assert type(error) is errors.ProviderUnavailableError


async def test_an_address_that_never_answers_is_a_time_out_of_the_connection():
    with test_breaks.socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = full.getsockname()
        waiting = [test_breaks.socket.socket() for _ in range(3)]
        for connection in waiting:  # the queue of a listener that never accepts
            connection.setblocking(False)
            connection.connect_ex(address)
        endpoint = Endpoint("gemini", KEY, f"http://127.0.0.1:{address[1]}", 0.3)
        impatient = replace(LEGACY, build=lambda _: GeminiLegacyProvider(endpoint))
        error, _ = await failure(impatient, None)
        for connection in waiting:
            connection.close()
    assert type(error) is errors.ProviderTimeoutError
    assert "could not be reached within 0.3 s" in str(error)


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
    ticked = [later - earlier for earlier, later in itertools.pairwise(ticks_at)]
    assert len(ticked) == 4
    assert min(ticked) > 10  # a loop that waits for the network does not tick at all


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


async def test_who_reads_slowly_slows_the_network_and_loses_nothing():
    pieces = [f"{number:06}" * 2_000 for number in range(400)]
    with WireServer(Reply(legacy_stream(pieces), headers=JSON)) as wire:
        provider, seen = LEGACY.provider(wire.url), []
        async for event in provider.stream(LEGACY.request()):
            seen.append(event)
            if len(seen) < 20:
                await asyncio.sleep(0.005)
        await provider.aclose()
    assert texts(seen) == "".join(pieces)


async def test_closing_the_provider_ends_what_is_under_way():
    with WireServer(Reply(broken_off(LEGACY), headers=JSON, end="hang")) as wire:
        provider, seen = LEGACY.provider(wire.url), []
        reading = asyncio.create_task(collect(provider.stream(LEGACY.request()), seen))
        while texts(seen) != "Hello":  # noqa: ASYNC110 - the reader is what is under test
            await asyncio.sleep(0.001)
        await provider.aclose()
        with pytest.raises(errors.StreamInterruptedError):
            await reading
        assert await threads_end()


async def test_giving_up_late_does_not_touch_the_next_answer_on_the_same_connection(monkeypatch):
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
    """A certificate for this machine that nobody else trusts: its file, and a server's context."""
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


async def test_who_is_trusted_is_said_in_the_variable_that_the_error_names(secure, monkeypatch):
    file, context = secure
    async with secure_server(context, asyncio.Event(), whole=True) as url:
        error, _ = await failure(LEGACY, url)
        assert "SSL_CERT_FILE" in str(error)
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        assert texts(await LEGACY.answer(url)) == "Grü👋"


async def test_a_cancelled_answer_hangs_up_under_tls_too(secure, monkeypatch):
    file, context = secure
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    left = asyncio.Event()
    async with secure_server(context, left, whole=False) as url:
        provider = LEGACY.provider(url)
        async with aclosing(provider.stream(LEGACY.request())) as stream:
            async for event in stream:
                if isinstance(event, TextDelta):
                    break
        async with asyncio.timeout(1.0):
            await left.wait()
        assert await threads_end()
        await provider.aclose()


# Configuration.


async def test_without_the_library_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setenv("GOOGLE_GEMINI_API_KEY", "AIza" + "planted" * 5)
    monkeypatch.setitem(sys.modules, "google.generativeai", None)
    monkeypatch.delitem(sys.modules, "llm_playground.providers.gemini_legacy")
    with pytest.raises(errors.ConfigError, match=r"pip install .*gemini-legacy") as caught:
        await connect("gemini-legacy:gemini-2.5-flash", lambda _: None)
    assert "google.generativeai" in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_by_its_name_gemini_legacy_goes_where_gemini_goes(monkeypatch):
    with WireServer(reply(*ELEMENTS)) as wire:
        monkeypatch.setenv("GOOGLE_GEMINI_API_KEY", "AIza" + "planted" * 5)
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", wire.url)
        provider = await connect("gemini-legacy:gemini-2.5-flash", lambda _: None)
        request = replace(LEGACY.request(), model="gemini-legacy:gemini-2.5-flash")
        events = [event async for event in provider.stream(request)]
        await provider.aclose()
    assert texts(events) == "Grü👋"


@pytest.mark.parametrize("base_url", ["models.example", "ftp://models.example", "http://me:pw@x"])
def test_a_base_url_nothing_can_be_sent_to_is_refused(base_url):
    with pytest.raises(errors.ConfigError, match="base URL of Gemini"):
        LEGACY.provider(base_url)


def test_an_api_version_the_sdk_does_not_speak_is_refused(monkeypatch):
    monkeypatch.setenv("GOOGLE_GEMINI_API_VERSION", "v1")
    with pytest.raises(errors.ConfigError, match="speaks v1beta"):
        LEGACY.provider(None)


def test_a_setting_the_sdk_refuses_is_one_line(monkeypatch):
    monkeypatch.setenv("GOOGLE_API_USE_CLIENT_CERTIFICATE", "perhaps")
    with pytest.raises(errors.ConfigError, match="GOOGLE_API_USE_CLIENT_CERTIFICATE"):
        LEGACY.provider(None)


def test_the_sdks_farewell_does_not_reach_the_user_and_other_warnings_do():
    code = (
        "import warnings, llm_playground.providers.gemini_legacy\n"
        "warnings.warn('planted', FutureWarning)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", code],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    warned = [line for line in done.stderr.splitlines() if "FutureWarning" in line]
    assert len(warned) == 1
    assert "planted" in warned[0]

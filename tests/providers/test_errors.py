"""Error responses become one error class with a one-line message without the key."""

import asyncio
import gzip
import json
import socket
import traceback
import tracemalloc
from dataclasses import replace

import pytest

from llm_playground import config, errors
from llm_playground.events import TextDelta
from llm_playground.providers.sse import MAX_EVENT_BYTES
from tests.providers.failures import broken_off, collect, failure, failure_from
from tests.providers.server import Reply, WireServer, json_reply
from tests.providers.vendors import ANTHROPIC, GEMINI, KEY, OPENAI

KEY_VARIABLE = {
    "openai": "OPENAI_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
    "gemini": "GOOGLE_GEMINI_API_KEY",
}
LABEL = {"openai": "OpenAI", "anthropic": "Anthropic", "gemini": "Gemini"}


STATUSES = {
    301: errors.RequestRejectedError,
    400: errors.RequestRejectedError,
    401: errors.AuthenticationError,
    402: errors.RequestRejectedError,
    403: errors.AuthenticationError,
    404: errors.RequestRejectedError,
    408: errors.ProviderTimeoutError,
    409: errors.RequestRejectedError,
    413: errors.RequestRejectedError,
    422: errors.RequestRejectedError,
    429: errors.RateLimitError,
    500: errors.ProviderUnavailableError,
    502: errors.ProviderUnavailableError,
    503: errors.ProviderUnavailableError,
    504: errors.ProviderUnavailableError,
    529: errors.ProviderUnavailableError,
}


@pytest.mark.parametrize("status", STATUSES)
async def test_each_status_is_one_class_and_one_line(vendor, status):
    said = {"error": {"message": "Not today.\nReally not.", "type": "x", "code": None}}
    headers = {"x-request-id": "req_9", "location": "http://127.0.0.1:9/"}
    error, events = await failure_from(vendor, json_reply(status, said, headers))
    assert type(error) is STATUSES[status]
    assert (error.status_code, error.request_id) == (status, "req_9")
    assert (error.provider, error.model) == (vendor.name, vendor.model)
    assert str(error).startswith(LABEL[vendor.name])
    assert str(status) in str(error)
    assert "\n" not in str(error)
    assert "Not today." in error.detail
    assert events == []


@pytest.mark.parametrize("body", [b"", b"<html>Bad gateway</html>", b"\xff\xfe", b"[1]", b'"no"'])
async def test_error_without_json(vendor, body):
    reply = Reply((body,), status=502, headers={"content-type": "text/html"}, framing="length")
    error, _ = await failure_from(vendor, reply)
    assert type(error) is errors.ProviderUnavailableError
    assert error.status_code == 502


async def test_which_errors_are_retryable(vendor):
    retryable = set()
    for status in STATUSES:
        error, _ = await failure_from(vendor, json_reply(status, {"error": {"message": "No"}}))
        if error.retryable:
            retryable.add(status)
    assert retryable == {408, 429, 500, 502, 503, 504, 529}


async def test_the_sdk_never_sends_twice_on_its_own(vendor):
    with WireServer(json_reply(503, {"error": {"message": "No"}}, {"retry-after": "0"})) as wire:
        await failure(vendor, wire.url)
        assert len(wire.requests) == 1


async def test_a_redirect_does_not_carry_the_key_elsewhere(vendor):
    with WireServer(Reply(vendor.stream(["A"]))) as elsewhere:
        for status in (301, 302, 307, 308):
            reply = Reply((), status=status, headers={"location": elsewhere.url}, framing="length")
            error, _ = await failure_from(vendor, reply)
            assert error.status_code == status
        assert elsewhere.requests == []


async def test_a_refused_key_is_named_by_its_source_and_its_end(vendor, monkeypatch, tmp_path):
    variable, label = KEY_VARIABLE[vendor.name], LABEL[vendor.name]
    address = config.rows()[vendor.name].base_url_variable
    advice = f"Set another with %llm keys set {vendor.name}, or check {address}."
    with WireServer(json_reply(401, {"error": {"message": "No"}})) as wire:
        start = f"{label} at {wire.url.removeprefix('http://')} refused the key (401)."
        monkeypatch.setenv(variable, KEY)
        error, _ = await failure(vendor, wire.url)
        assert str(error) == f"{start} It came from the environment and ends in …7Qa. {advice}"
        monkeypatch.delenv(variable)
        (tmp_path / ".env").write_text(f"{variable}={KEY}\n")
        error, _ = await failure(vendor, wire.url)
        assert str(error) == f"{start} It came from .env and ends in …7Qa. {advice}"


async def test_geminis_bad_key_400_is_an_authentication_error():
    said = {"error": {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT"}}
    error, _ = await failure_from(GEMINI, json_reply(400, said))
    assert type(error) is errors.AuthenticationError
    assert "refused the key" in str(error)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "1e309"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "Mon, 01 Jan 0001 00:00:00 +9999"}, None),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, None),
        ({"retry-after-ms": "0", "retry-after": "1"}, 1.0),
        ({}, None),
    ],
)
@pytest.mark.parametrize("status", [429, 503, 529])
async def test_retry_after_is_in_seconds(vendor, status, headers, seconds):
    error, _ = await failure_from(vendor, json_reply(status, {"error": {"message": "No"}}, headers))
    assert error.retry_after == seconds
    advice = "in a moment" if seconds is None else f"in {seconds:g} s"
    assert f"Run again {advice}." in str(error)


async def test_long_wait_has_a_readable_unit():
    for seconds, words in ((100, "100 s"), (600, "10 min"), (7_200, "2 h"), (4e9, "46,296 days")):
        said = json_reply(429, {"error": {"message": "No"}}, {"retry-after": f"{seconds:g}"})
        error, _ = await failure_from(OPENAI, said)
        assert str(error).endswith(f"Run again in {words}.")


async def test_deeply_nested_error_is_read(vendor):
    body = b'{"error":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    error, _ = await failure_from(vendor, Reply((body,), status=400, framing="length"))
    assert type(error) is errors.RequestRejectedError


@pytest.mark.parametrize("status", [302, 500])
async def test_compression_bomb_is_not_unpacked(vendor, status):
    said = b'{"error": {"message": "' + b"A" * 1_000 + b" " * 60_000_000
    packed = gzip.compress(said, 9)
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    reply = Reply((packed,), status=status, headers=headers, framing="length")
    with WireServer([json_reply(status, {}), reply]) as wire:
        await failure(vendor, wire.url)  # loads what is loaded on first use
        tracemalloc.start()
        try:
            error, _ = await failure(vendor, wire.url)
            peak_bytes = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert error.status_code == status
    assert "AAAA" in error.detail
    assert peak_bytes < 10_000_000


async def test_compressed_error_is_read(vendor):
    body = gzip.compress(json.dumps({"error": {"message": "Not today."}}).encode())
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    reply = Reply((body,), status=400, headers=headers, framing="length")
    error, _ = await failure_from(vendor, reply)
    assert "Not today" in str(error)


@pytest.mark.parametrize("fault", [500, 529])
async def test_an_error_after_the_answer_is_complete_changes_nothing(vendor, fault):
    *events, last = vendor.stream(["A"])
    place = next(i for i, event in enumerate((*events, last)) if vendor.last_word in event) + 1
    all_events = [*events, last]
    with WireServer(Reply([*all_events[:place], vendor.fault(fault)])) as wire:
        answer = await vendor.answer(wire.url)
    assert answer[0] == TextDelta("A")
    assert answer[-1].finish_reason == "stop"


async def test_reads_retry_delay_from_googles_body():
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "20s"}]
    said = {"error": {"code": 429, "message": "Quota", "details": details}}
    error, _ = await failure_from(GEMINI, json_reply(429, said))
    assert error.retry_after == 20.0
    assert "20 s" in str(error)


USED_UP = [
    (OPENAI, {"message": "You exceeded your current quota.", "code": "insufficient_quota"}),
    (OPENAI, {"message": "Billing hard limit.", "code": "billing_hard_limit_reached"}),
    (
        GEMINI,
        {
            "code": 429,
            "message": "You exceeded your current quota.",
            "status": "RESOURCE_EXHAUSTED",
            "details": [
                {
                    "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                    "violations": [
                        {"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}
                    ],
                }
            ],
        },
    ),
]


@pytest.mark.parametrize(("vendor", "said"), USED_UP, ids=str)
async def test_used_up_quota_is_not_retried(vendor, said):
    error, _ = await failure_from(vendor, json_reply(429, {"error": said}))
    assert type(error) is errors.RateLimitError
    assert not error.retryable
    assert "quota is used up" in str(error)
    again, _ = await failure_from(vendor, json_reply(429, {"error": {"message": "Slow down."}}))
    assert again.retryable  # the next error is another one


async def test_missing_vision_is_not_retried():
    said = {"code": 500, "message": "image input is not supported - hint: ...", "type": "server"}
    error, _ = await failure_from(OPENAI, json_reply(500, {"error": said}))
    assert type(error) is errors.RequestRejectedError
    assert not error.retryable
    assert str(error) == "gpt-4o does not take images. Choose a model with vision."


TOO_LONG = [
    (OPENAI, 400, {"message": "Too many.", "code": "context_length_exceeded"}),
    (OPENAI, 400, {"message": "This model's maximum context length is 8192 tokens."}),
    (OPENAI, 400, {"message": "x", "type": "exceed_context_size_error", "code": 400}),
    (ANTHROPIC, 400, {"message": "prompt is too long: 210000 tokens > 200000 maximum"}),
    (ANTHROPIC, 400, {"message": "input length and `max_tokens` exceed context limit: 1 + 2 > 2"}),
    (GEMINI, 400, {"message": "The input token count (9) exceeds the maximum number of tokens"}),
]


@pytest.mark.parametrize(("vendor", "status", "said"), TOO_LONG, ids=str)
async def test_too_long_prompt_has_its_own_error(vendor, status, said):
    error, _ = await failure_from(vendor, json_reply(status, {"error": said}))
    assert type(error) is errors.ContextLengthError
    assert "too long for" in str(error)


# In mid-stream.


async def test_an_error_object_before_any_text_is_what_its_status_would_be(vendor):
    for status, kind in ((429, errors.RateLimitError), (500, errors.ProviderUnavailableError)):
        error, events = await failure_from(vendor, Reply((vendor.fault(status),)))
        assert type(error) is kind
        assert error.status_code == status
        assert events == []


async def test_overloaded_inside_a_stream_is_unavailable():
    error, _ = await failure_from(ANTHROPIC, Reply((ANTHROPIC.fault(529),)))
    assert type(error) is errors.ProviderUnavailableError
    assert "overloaded (529): Sorry" in str(error)


async def test_an_error_object_after_text_keeps_the_text(vendor):
    error, events = await failure_from(vendor, Reply(broken_off(vendor, vendor.fault(500))))
    assert type(error) is errors.StreamInterruptedError
    assert error.status_code == 500
    assert "Sorry" in str(error)
    assert "text so far is kept" in str(error)
    assert events == [TextDelta("Hel"), TextDelta("lo")]


@pytest.mark.parametrize("end", ["done", "drop", "reset"])
@pytest.mark.parametrize("framing", ["chunked", "close"])
async def test_broken_answer_is_never_complete(vendor, end, framing):
    reply = Reply(broken_off(vendor), framing=framing, end=end, pause_s=0.02)
    error, events = await failure_from(vendor, reply)
    assert type(error) is errors.StreamInterruptedError
    assert "text so far is kept" in str(error)
    assert events == [TextDelta("Hel"), TextDelta("lo")]
    assert not error.retryable


async def test_incomplete_event_is_no_text(vendor):
    last = broken_off(vendor)[-1]
    reply = Reply((*broken_off(vendor)[:-1], last[: len(last) // 2]))
    error, _ = await failure_from(vendor, reply)
    assert type(error) is errors.StreamInterruptedError


@pytest.mark.parametrize("end", ["done", "drop", "reset"])
async def test_nothing_at_all_may_be_tried_again(vendor, end):
    error, events = await failure_from(vendor, Reply((), end=end))
    assert type(error) is errors.ProviderUnavailableError
    assert error.retryable
    assert events == []


async def test_reset_before_headers_is_not_a_timeout(vendor):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        accepting = asyncio.create_task(_hang_up(listening))
        error, _ = await failure(vendor, f"http://127.0.0.1:{listening.getsockname()[1]}")
        await accepting
    assert type(error) is errors.ProviderUnavailableError


async def _hang_up(listening):
    listening.setblocking(False)
    loop = asyncio.get_running_loop()
    connection, _ = await loop.sock_accept(listening)
    await loop.sock_recv(connection, 100)
    connection.close()


async def test_a_server_that_does_not_speak_http_is_unavailable(vendor):
    async def garbage(reader, writer):
        await reader.readuntil(b"\r\n")
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(garbage, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        error, _ = await failure(vendor, f"http://127.0.0.1:{port}")
    assert type(error) is errors.ProviderUnavailableError


async def test_page_instead_of_stream_is_reported(vendor):
    page = Reply((b"<html><body>Log in: </body></html>",), headers={"content-type": "text/html"})
    error, _ = await failure_from(vendor, page)
    assert type(error) is errors.ProviderError
    assert "sent text/html instead of a stream" in str(error)
    assert "Log in" in error.detail


async def test_an_error_in_json_instead_of_a_stream_is_that_error(vendor):
    said = {"error": {"code": 429, "message": "Slow down.", "status": "RESOURCE_EXHAUSTED"}}
    error, _ = await failure_from(vendor, json_reply(200, said))
    assert type(error) is errors.RateLimitError
    assert "Slow down" in str(error)


async def test_plain_json_instead_of_stream_is_reported(vendor):
    error, _ = await failure_from(vendor, json_reply(200, {"choices": [], "candidates": []}))
    assert "sent application/json instead of a stream" in str(error)


async def test_endless_line_does_not_fill_memory(vendor):
    reply = Reply([b"data: ", *[b"x" * 1_000_000] * (MAX_EVENT_BYTES // 1_000_000 + 1)])
    error, _ = await failure_from(vendor, reply)
    assert type(error) is errors.ProviderError
    assert f"more than {MAX_EVENT_BYTES:,} bytes" in error.detail


async def test_a_model_name_gemini_cannot_address_is_rejected_not_raised_raw():
    with WireServer(Reply(GEMINI.stream(["A"]))) as wire:
        provider = GEMINI.provider(wire.url)
        strange = GEMINI.request()
        strange = type(strange)("gemini:a/../b?c", strange.messages)
        with pytest.raises(errors.InvalidParameterError):
            await collect(provider.stream(strange), [])
        await provider.aclose()
        assert wire.requests == []


async def test_lone_surrogate_in_a_prompt_is_sent_or_refused(vendor):
    with WireServer(Reply(vendor.stream(["A"]))) as wire:
        provider = vendor.provider(wire.url)
        request = vendor.request(("user", "half \ud83d"))
        if vendor is GEMINI:  # its SDK writes JSON in ASCII
            await collect(provider.stream(request), [])
        else:
            with pytest.raises(errors.RequestRejectedError, match="cannot be sent"):
                await collect(provider.stream(request), [])
        await provider.aclose()
        assert len(wire.requests) == (1 if vendor is GEMINI else 0)


# The key.

ECHO = {"error": {"message": f"Incorrect key {KEY} in {{Authorization: Bearer {KEY}}}", "code": 1}}
ECHOES = {
    "a refusal": json_reply(401, ECHO),
    "a rejection": json_reply(400, ECHO, {"x-request-id": "req_1"}),
    "a page": Reply((f"<p>{KEY}</p>".encode(),), headers={"content-type": "text/html"}),
    "a long page": Reply((b"x" * 1_990 + KEY.encode(),), headers={"content-type": "text/html"}),
    "a gateway": Reply((KEY.encode(),), status=502, framing="length"),
    "inside a stream": Reply((b"data: " + json.dumps(ECHO).encode() + b"\n\n",)),
    "nothing": Reply((), end="drop"),
}


@pytest.mark.parametrize("echo", ECHOES)
async def test_key_is_in_no_error(vendor, echo, caplog):
    caplog.set_level("DEBUG")
    error, _ = await failure_from(vendor, ECHOES[echo])
    looks = [
        str(error),
        repr(error),
        repr(error.__dict__),
        error.detail or "",
        "".join(traceback.format_exception(error)),
        "".join(error._render_traceback_()),
        caplog.text,
    ]
    assert all(KEY not in look for look in looks)
    assert len(error.detail or "") <= 2_000


async def test_key_is_in_no_repr(vendor):
    provider = vendor.provider(None)
    assert KEY not in repr(provider)
    assert KEY not in repr(provider._endpoint)
    await provider.aclose()


async def test_model_name_with_fragment_is_not_sent():
    with WireServer(Reply(())) as wire:
        provider = GEMINI.provider(wire.url)
        request = replace(GEMINI.request(), model="gemini:a#b")
        with pytest.raises(errors.InvalidParameterError, match="a#b"):
            await collect(provider.stream(request), [])
        await provider.aclose()
        assert wire.requests == []

"""Calls of other libraries in the modes ``record`` and ``replay``."""

import json

import pytest

import llm_playground as lp
from llm_playground.recording import kernel, numbers
from tests.capture.transports import CALLS, TRANSPORTS, post
from tests.capture.wire import KEY, TEXT, answer
from tests.providers import formats
from tests.providers.server import Reply, WireServer, json_reply

GEMINI_STREAM = "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"


def replay(tmp_path):
    """As a new kernel with an empty log, which has the recording only."""
    lp.runs()  # what has ended is counted
    numbers.reset()
    kernel.forget_use()
    lp.configure(mode="replay", log=str(tmp_path / "other.duckdb"))


def calls(server):
    """Each wire format, whole and streamed, once; what came."""
    found = {}
    for wire_format in CALLS:
        found[wire_format] = post("httpx2", server, wire_format=wire_format)
        if wire_format != "gemini":
            streamed = post(
                "httpx2-async", server, wire_format=wire_format, text="Again.", stream=True
            )
            found[f"{wire_format} streamed"] = streamed
    body = {"contents": [{"role": "user", "parts": [{"text": "Again."}]}]}
    url = server.url + GEMINI_STREAM
    found["gemini streamed"] = TRANSPORTS["aiohttp"](url, json.dumps(body).encode())
    return found


def test_a_recording_gives_the_same_bytes_without_key_and_network(recording, tmp_path):
    with WireServer(answer) as server, lp.record():
        recorded = calls(server)
    written = recording.read_text()
    replay(tmp_path)
    with lp.record():
        replayed = calls(server)  # nothing listens any more

    assert len(recorded) == 8
    assert {status for status, _ in recorded.values()} == {200}
    assert replayed == recorded
    assert KEY not in written
    assert list(lp.runs()["cached"]) == [True] * 8
    assert recording.read_text() == written


def test_the_other_form_of_a_recorded_answer_says_the_same(recording, tmp_path):
    with WireServer(answer) as server, lp.record():
        post("httpx2", server)
        replay(tmp_path)
        status, body = post("httpx", server, stream=True)

    assert status == 200
    chunks = [
        json.loads(line[6:]) for line in body.decode().splitlines() if line.startswith("data: {")
    ]
    pieces = [one["choices"][0]["delta"].get("content") or "" for one in chunks if one["choices"]]
    assert "".join(pieces) == TEXT


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_miss_is_explained(recording, tmp_path, transport):
    with WireServer(answer) as server, lp.record():
        post(transport, server, "Say hello.", temperature=0.5)
        replay(tmp_path)
        sent = len(server.requests)
        status, body = post(transport, server, "Say hello.", temperature=0.7)
        assert len(server.requests) == sent

    message = json.loads(body)["error"]["message"]
    assert status == 404
    assert "Closest in calls.yaml: openai:gpt-4o; same model; temperature 0.5 → 0.7." in message


@pytest.mark.parametrize("in_pieces", [True, False])
def test_a_key_in_an_answer_is_in_no_recording(recording, in_pieces):
    key = "gsk" + "_" + "a1B2" * 8
    whole = {"choices": [{"message": {"content": f"It is {key}."}, "finish_reason": "stop"}]}
    pieces = formats.openai_stream([key[:9], key[9:], " it is."])
    reply = Reply(pieces) if in_pieces else json_reply(200, whole)
    with WireServer(reply) as server, lp.record():
        _, body = post("httpx2", server, stream=in_pieces)

    written = recording.read_text()
    assert key[9:] in body.decode()
    assert key[9:] not in written
    assert "[redacted]" in written


def test_a_failure_is_recorded_as_one(recording, tmp_path):
    error = {"error": {"message": "Slow down.", "type": "rate_limit"}}
    with WireServer(json_reply(429, error)) as server, lp.record():
        assert post("httpx2", server)[0] == 429
        replay(tmp_path)
        status, body = post("httpx2", server)

    assert status == 429
    assert "Slow down." in body.decode()


def test_where_nothing_can_be_recorded_nothing_is_sent(home, tmp_path):
    lp.configure(mode="record", recording=str(tmp_path / "calls.yaml"), privacy="metrics")
    with WireServer(answer) as server, lp.record():
        status, body = post("httpx2", server)
        assert not server.requests
    lp.configure(mode="live")

    assert status == 404
    assert "No answer can be recorded" in body.decode()

"""What may go wrong, or be odd, in a recorded call: the caller's call is never broken."""

import asyncio
import gzip
import importlib
import json
import os
import subprocess
import sys
import threading

import aiohttp
import httpx2
import pytest

import llm_playground as lp
from llm_playground import _runtime, capture, provenance
from llm_playground.capture import aiohttp_sessions, answers, clients, handling, recognition
from llm_playground.capture.received import Received
from tests.capture.transports import TRANSPORTS
from tests.capture.transports import post as send
from tests.capture.wire import KEY, TEXT, answer
from tests.providers import formats
from tests.providers.server import Reply, WireServer, json_reply

BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Say hello."}]}
HEADERS = {"authorization": f"Bearer {KEY}"}
STREAM = formats.openai_stream(["Hello", " you"])


@pytest.fixture
def open_server(home):
    servers = []

    def start(script):
        servers.append(WireServer(script).__enter__())
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def post(url, body=BODY, **options):
    with httpx2.Client(trust_env=False) as client:
        return client.post(f"{url}/v1/chat/completions", json=body, headers=HEADERS, **options)


def rows():
    found = lp.sql("SELECT * FROM runs ORDER BY started_at")
    return [row.dropna().to_dict() for _, row in found.iterrows()]


@pytest.mark.parametrize(
    ("reply", "status", "error"),
    [
        (json_reply(401, {"error": {"message": f"Wrong key {KEY}."}}), "failed", "Authentication"),
        (json_reply(429, {"error": {"message": "Slow down."}}), "failed", "RateLimit"),
        (json_reply(500, {"error": {"message": "Sorry."}}), "failed", "ProviderUnavailable"),
        (Reply(STREAM[:3], end="reset"), "failed", "StreamInterrupted"),
        (Reply((), head=False, end="reset"), "failed", "ProviderUnavailable"),
        (Reply((b"<html>",), headers={"content-type": "text/html"}), "failed", "Provider"),
        (Reply(STREAM), "completed", None),
        (
            Reply(
                (gzip.compress(b"".join(STREAM)),),
                headers={"content-type": "text/event-stream", "content-encoding": "gzip"},
            ),
            "completed",
            None,
        ),
    ],
)
def test_the_row_has_what_became_of_the_call(open_server, reply, status, error):
    server = open_server(reply)
    with lp.record():
        try:
            received = post(server.url, {**BODY, "stream": True})
        except httpx2.HTTPError as raised:
            received = raised
    [row] = rows()

    assert row["status"] == status
    assert row.get("error_type", "").startswith(error or "")
    assert isinstance(received, httpx2.Response) is (reply.end == "done")
    if status == "completed":
        assert row["response_text"] == "Hello you"
    assert KEY not in json.dumps(row, default=str)


def test_an_abandoned_stream_is_cancelled_and_keeps_its_text(open_server):
    server = open_server(Reply((*STREAM[:3],), end="hang"))
    with lp.record(), httpx2.Client(trust_env=False) as client:
        sent = client.stream(
            "POST", f"{server.url}/v1/chat/completions", json={**BODY, "stream": True}
        )
        with sent as response:
            pieces = response.iter_raw()
            while b"you" not in next(pieces):
                pass
    [row] = rows()

    assert (row["status"], row["response_text"]) == ("cancelled", "Hello you")


def test_a_cancelled_task_leaves_a_cancelled_row(open_server):
    server = open_server(Reply((), head=False, end="hang"))

    async def cancelled():
        async with httpx2.AsyncClient(trust_env=False) as client:
            sending = asyncio.ensure_future(
                client.post(f"{server.url}/v1/chat/completions", json=BODY)
            )
            await asyncio.to_thread(server.wait_for, lambda one: one.requests)
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending

    with lp.record():
        asyncio.run(cancelled())

    assert [row["status"] for row in rows()] == ["cancelled"]


def test_only_calls_of_models_of_other_libraries_are_recorded(open_server, monkeypatch):
    server = open_server(answer)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
    with lp.record():
        assert lp.ask("Say hello.", "openai:gpt-4o").text == TEXT
        with httpx2.Client(trust_env=False) as client:
            client.post(f"{server.url}/v1/embeddings", json={"model": "m", "input": "a"})
    post(server.url)

    assert [row["source"] for row in rows()] == ["api"]


def test_recordings_nest_and_put_back_what_they_changed(open_server):
    server = open_server(answer)
    before = httpx2.Client.send, httpx2.AsyncClient.send
    with lp.record(tags="outer"), lp.record(tags=["inner"]) as inner:
        post(server.url)
        inner.stop()
        inner.stop()
        post(server.url)
    post(server.url)

    tags = [json.loads(row["tags"]) for row in rows()]
    assert tags == [["outer", "inner"], ["outer"]]
    assert (httpx2.Client.send, httpx2.AsyncClient.send) == before


def test_a_call_under_way_when_the_recording_stops_is_recorded_to_its_end(open_server):
    server = open_server(Reply(STREAM))
    recording = lp.record()
    with httpx2.Client(trust_env=False) as client:
        sent = client.stream(
            "POST", f"{server.url}/v1/chat/completions", json={**BODY, "stream": True}
        )
        with sent as response:
            recording.stop()
            response.read()

    assert [row["status"] for row in rows()] == ["completed"]


def test_what_hooks_of_the_client_have_read_is_recorded(open_server):
    server = open_server(answer)
    hooks = {"response": [lambda response: response.read()]}
    with lp.record(), httpx2.Client(trust_env=False, event_hooks=hooks) as client:
        received = client.post(f"{server.url}/v1/chat/completions", json=BODY)

    assert received.json()["choices"][0]["message"]["content"] == TEXT
    assert [row["response_text"] for row in rows()] == [TEXT]


@pytest.mark.parametrize("transport", ["httpx", "httpx2-async", "aiohttp"])
@pytest.mark.parametrize(
    ("of", "name", "logged"),
    [
        (recognition, "target_of", None),
        (recognition, "library", None),
        (provenance, "cell_id", None),
        (handling, "begin", None),
        (handling, "call_of", None),
        (handling, "enforcer", None),
        (Received, "keep", "kept"),
        (Received, "decoded", "read"),
        (answers.streaming, "stream_events", "read"),
    ],
)
def test_a_failure_of_the_recording_breaks_no_call(
    open_server, monkeypatch, caplog, transport, of, name, logged
):
    server = open_server(answer)

    def broken(*_arguments):
        raise MemoryError("planted")

    with monkeypatch.context() as patch, lp.record():
        patch.setattr(of, name, broken)
        found = [send(transport, server) for _ in range(2)]
        handling.flush()

    assert [status for status, _ in found] == [200, 200]
    assert all(TEXT in json.loads(body)["choices"][0]["message"]["content"] for _, body in found)
    assert len([record for record in caplog.records if "planted" in record.getMessage()]) == 1
    assert [row["error_message"] for row in rows()] == [
        f"The answer of OpenAI is not in the log: it could not be {logged} (MemoryError). "
        "Its caller has received it."
    ] * (2 if logged else 0)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_response_of_another_make_reaches_the_caller(open_server, monkeypatch, caplog, transport):
    server = open_server(answer)

    def broken(*_arguments):
        raise AttributeError("planted")

    for of, name in (
        (clients, "_sync_tee"),
        (clients, "_async_tee"),
        (aiohttp_sessions, "_teeing"),
    ):
        monkeypatch.setattr(of, name, broken)
    monkeypatch.setattr(aiohttp.StreamReader, "is_eof", lambda _reader: False)
    with lp.record():
        found = [send(transport, server) for _ in range(2)]

    assert [status for status, _ in found] == [200, 200]
    assert ["planted" in record.getMessage() for record in caplog.records] == [True]
    assert ["could not be kept" in row["error_message"] for row in rows()] == [True, True]


def test_a_reloaded_module_does_not_record_twice(open_server):
    server = open_server(answer)
    send = httpx2.Client.send
    with lp.record():
        importlib.reload(capture.clients)
        capture.clients.start(capture.clients.Settings())
        post(server.url)
        capture.clients.stop(capture.clients.Settings())

    assert len(rows()) == 1
    assert httpx2.Client.send is send


def test_a_call_on_the_background_loop_does_not_wait_for_itself(open_server):
    server = open_server(answer)

    async def blocking():
        return post(server.url)

    async def awaiting():
        async with httpx2.AsyncClient(trust_env=False) as client:
            return await client.post(f"{server.url}/v1/chat/completions", json=BODY)

    with lp.record():
        statuses = [_runtime.run(work()).status_code for work in (blocking, awaiting)]
        lp.set_budget(1)
        refused, sent = (_runtime.run(work()) for work in (blocking, awaiting))
        lp.set_budget(None)

    assert statuses == [200, 200]
    assert (refused.status_code, sent.status_code) == (402, 200)
    assert "async client" in refused.json()["error"]["message"]
    assert [row["status"] for row in rows()] == ["completed"] * 3


def test_a_call_that_nothing_may_stop_waits_for_nothing(open_server):
    server = open_server(answer)
    is_held, release, held = threading.Event(), threading.Event(), []

    def hold():
        is_held.set()
        held.append(release.wait(30))

    with lp.record():
        post(server.url)
        assert len(rows()) == 1
        post(server.url)  # it has the budgets read: there is none
        _runtime.loop().call_soon_threadsafe(hold)
        is_held.wait()
        try:
            assert post(server.url).status_code == 200
        finally:
            release.set()
        _runtime.run(asyncio.sleep(0))
        assert held == [True]
        assert [row["status"] for row in rows()] == ["completed"] * 3  # while it is recording


def test_a_forked_child_leaves_its_parents_call_alone(open_server):
    server = open_server(Reply(STREAM))
    with lp.record(), httpx2.Client(trust_env=False) as client:
        sent = client.stream(
            "POST", f"{server.url}/v1/chat/completions", json={**BODY, "stream": True}
        )
        with sent as response:
            child = os.fork()
            if not child:
                os._exit(0 if response.stream.exchange.end() is None else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            response.read()

    assert [row["status"] for row in rows()] == ["completed"]


def test_an_override_sends_past_a_budget_and_is_in_the_audit_log(open_server):
    server = open_server(answer)
    lp.set_budget("0.000001")
    with lp.record():
        refused = post(server.url)
    with lp.record(override="a demonstration"):
        assert post(server.url).status_code == 200
    lp.set_budget(None)

    assert refused.status_code == 402
    assert 'lp.record(override="reason")' in refused.json()["error"]["message"]
    assert "override_budget" in set(lp.audit()["action"])
    with pytest.raises(lp.InvalidParameterError, match="override takes the reason"):
        lp.record(override=" ")


def test_a_library_that_is_imported_later_is_recorded(home):
    code = """if True:
        import sys
        import llm_playground as lp
        from tests.capture.wire import answer
        from tests.providers.server import WireServer
        recording = lp.record()
        assert "httpx" not in sys.modules
        import httpx
        with WireServer(answer) as server, httpx.Client(trust_env=False) as client:
            body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi."}]}
            client.post(f"{server.url}/v1/chat/completions", json=body)
        recording.stop()
        print(*lp.sql("SELECT status FROM runs")["status"])
    """
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )

    assert done.stdout.split() == ["completed"], done.stderr

"""Answers in the background: no break of a connection or of a process loses or repeats one."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

import pytest

import llm_playground as lp
from llm_playground import _runtime, provenance
from llm_playground.budgeting import alarm
from llm_playground.budgeting.enforcer import enforcer
from llm_playground.catalog import estimates
from llm_playground.codegen import find_request
from llm_playground.providers import openai_responses_stream
from llm_playground.runlog import open_log
from tests.providers.responses_format import (
    RESPONSE_ID,
    SETTINGS,
    events,
    message_item,
    reasoning_item,
    response,
    sse,
)
from tests.providers.runner import Runner
from tests.providers.server import Reply, WireServer, json_reply
from tests.providers.vendors import RESPONSES

TEXT = "Grüße 👋 from far away."
PIECES = ["Grü", "ße 👋", " from far", " away."]
EVENTS = events(
    [(reasoning_item("Hm."), ["Hm."]), (message_item(TEXT), PIECES)], background=True, store=True
)
MODEL = RESPONSES.model
IN_BACKGROUND = {"extra": {"background": True}}
LIMIT_S = 240


class Vendor:
    """A server that makes one answer in the background.

    ``first`` are the bytes that the request gets before its connection breaks. ``allowed`` says
    whether an attempt to read on, by its number, is let through.
    """

    def __init__(self, first, allowed=lambda _number: True, hold=None):
        self.first, self.allowed, self.hold = first, allowed, hold
        self.created, self.read, self.stopped = 0, [], 0

    def __call__(self, request):
        path = urlsplit(request.path)
        if request.method == "POST" and path.path.endswith("/cancel"):
            self.stopped += 1
            return json_reply(200, response("cancelled", background=True))
        if request.method == "POST":
            self.created += 1
            end = "drop" if self.hold is None else "hang"
            return Reply((self.first,), end=end)
        query = {name: values[0] for name, values in parse_qs(path.query).items()}
        assert (path.path, query["stream"]) == (f"/v1/responses/{RESPONSE_ID}", "true")
        self.read.append(query.get("starting_after"))
        if not self.allowed(len(self.read)):
            return Reply(end="reset", head=False)
        after = int(query.get("starting_after", -1))
        rest = [sse(event) for event in EVENTS if event["sequence_number"] > after]
        return Reply(tuple(rest))


def beginning(share):
    """The first part of the stream, cut at any byte."""
    whole = b"".join(map(sse, EVENTS))
    return whole[: int(len(whole) * share)]


FIRST_EVENT = len(sse(EVENTS[0]))


@pytest.fixture
def no_waits(monkeypatch):
    monkeypatch.setattr(openai_responses_stream, "_WAITS_S", (0.0,) * 3)


@pytest.fixture
def ask(home, monkeypatch, no_waits):
    """Asks a vendor in the background."""
    monkeypatch.setenv("GATEWAY_API_KEY", "planted-" + "key-" * 4)
    servers = []

    def start(vendor):
        server = WireServer(vendor).__enter__()
        servers.append(server)
        lp.configure(endpoints={"gateway": {"base_url": f"{server.url}/v1"}})
        return lp.ask("Hi", MODEL, **IN_BACKGROUND)

    yield start
    for server in servers:
        server.close()


async def test_a_stream_cut_anywhere_is_read_to_its_end_and_paid_once(home, no_waits):
    whole = b"".join(map(sse, EVENTS))
    places = range(FIRST_EVENT, len(whole), 41)  # no event has such a period

    async def run_of(place):
        vendor = Vendor(whole[:place])
        with WireServer(vendor) as server:
            async with Runner(RESPONSES, f"{server.url}/v1") as asker:
                return vendor, await asker.run("Hi", **IN_BACKGROUND)

    for start in range(0, len(places), 20):
        found = await asyncio.gather(*map(run_of, places[start : start + 20]))
        for vendor, run in found:
            assert (run.status, run.text, run.reasoning) == ("completed", TEXT, "Hm."), run.error
            assert (vendor.created, len(run.attempts)) == (1, 1)
            assert run.usage_source == "provider"


def test_it_is_read_on_after_the_last_event_that_came(ask):
    vendor = Vendor(beginning(0.6), allowed=lambda number: number > 1)

    run = ask(vendor)

    assert (run.status, run.text) == ("completed", TEXT)
    seen = beginning(0.6).count(b"\n\n")
    assert vendor.read == [str(seen - 1)] * 2
    assert run.attempts[0].response_id == RESPONSE_ID


def test_what_cannot_be_read_now_is_resumed_later_and_counted_once(ask):
    is_back = threading.Event()
    vendor = Vendor(beginning(0.6), allowed=lambda _number: is_back.is_set())

    with pytest.raises(lp.StreamInterruptedError, match=r"lp\.resume\(") as caught:
        ask(vendor)
    broken = caught.value.run
    assert (broken.status, broken.usage_source) == ("interrupted", "estimated")
    assert TEXT.startswith(broken.text)

    is_back.set()
    run = lp.resume(broken)
    asked = len(vendor.read)

    assert (run.id, run.status, run.text) == (broken.id, "completed", TEXT)
    assert (vendor.created, run.usage_source) == (1, "provider")
    [row] = lp.runs().to_dict("records")
    assert (row["run_id"], row["status"], row["response_text"]) == (run.id, "completed", TEXT)
    assert row["cost_usd"] == pytest.approx(float(run.cost_usd))
    assert run.cost_usd == Decimal(11 * 1 + 5 * 2) / 10**6
    assert lp.resume(run.id).text == TEXT  # nothing is asked any more
    assert len(vendor.read) == asked


def test_an_answer_that_the_provider_no_longer_has_says_so(ask):
    vendor = Vendor(beginning(0.6), allowed=lambda _number: False)
    with pytest.raises(lp.StreamInterruptedError) as caught:
        ask(vendor)
    broken = caught.value.run

    gone = json_reply(404, {"error": {"message": "Response not found.", "code": None}})
    with WireServer(gone) as server:
        lp.configure(endpoints={"gateway": {"base_url": f"{server.url}/v1"}})
        with pytest.raises(lp.RequestRejectedError, match="no longer has the answer"):
            lp.resume("last")

    [row] = lp.runs().to_dict("records")
    assert (row["status"], row["response_text"]) == ("failed", broken.text)
    assert row["cost_usd"] == pytest.approx(float(broken.cost_usd))


def test_why_an_answer_cannot_be_resumed_now_is_said(ask):
    with pytest.raises(lp.StreamInterruptedError):
        ask(Vendor(beginning(0.6), allowed=lambda _number: False))

    with WireServer(refusing(503)) as server:  # its port refuses connections once it is closed
        lp.configure(endpoints={"gateway": {"base_url": f"{server.url}/v1"}})
    with pytest.raises(lp.StreamInterruptedError) as caught:
        lp.resume()

    host = server.url.removeprefix("http://")
    assert re.search(
        rf'lp\.resume\(".*"\) gets it\. .*: {host} refuses connections\.$', str(caught.value)
    )


def refusing(status):
    error = {"error": {"message": "Not now.", "type": "server_error", "code": None}}
    return json_reply(status, error)


@pytest.mark.parametrize("status", [401, 503])
def test_an_answer_that_only_cannot_be_read_is_neither_asked_for_again_nor_given_up(ask, status):
    is_back = threading.Event()
    vendor = Vendor(sse(EVENTS[0]))
    lp.configure(retry={"attempts": 3, "first_wait_s": 0.01})

    def answer(request):
        return vendor(request) if request.method == "POST" or is_back.is_set() else refusing(status)

    with pytest.raises(lp.StreamInterruptedError, match=rf"lp\.resume\(.*{status}"):
        ask(answer)
    with pytest.raises(lp.StreamInterruptedError, match=r"lp\.resume\("):
        lp.resume()
    assert (vendor.created, list(lp.runs().status)) == (1, ["interrupted"])

    is_back.set()
    assert (lp.resume().text, vendor.created) == (TEXT, 1)
    assert list(lp.runs().status) == ["completed"]


def test_a_resumed_answer_that_fails_takes_back_nothing(ask):
    failed = {"type": "response.failed", "response": response("failed")}
    is_back = threading.Event()

    class Failing(Vendor):
        def __call__(self, request):
            if request.method == "GET" and is_back.is_set():
                return Reply((*map(sse, EVENTS[:-8]), sse(failed)))
            return super().__call__(request)

    with pytest.raises(lp.StreamInterruptedError) as caught:
        ask(Failing(beginning(0.9), allowed=lambda _number: False))
    broken = caught.value.run

    is_back.set()
    with pytest.raises(lp.LLMError) as caught:
        lp.resume()
    run = caught.value.run

    assert (run.status, run.text, run.cost_usd) == ("failed", broken.text, broken.cost_usd)
    [row] = lp.runs().to_dict("records")
    assert (row["status"], row["response_text"]) == ("failed", broken.text)
    assert row["cost_usd"] == pytest.approx(float(broken.cost_usd))


@pytest.mark.parametrize("by", ["this process", "another process"])
def test_a_budget_counts_what_a_resumed_answer_cost(ask, by):
    is_back = threading.Event()
    vendor = Vendor(beginning(0.6), allowed=lambda _number: is_back.is_set())
    lp.set_budget(1)
    with pytest.raises(lp.StreamInterruptedError):
        ask(vendor)

    if by == "this process":
        lp.configure(**DEAR)
        is_back.set()
        lp.resume()
        lp.configure(**SETTINGS)
    else:
        log = open_log()
        log.change(lambda session: session.execute("UPDATE results SET cost_usd = 1.1"))
        make_round()

    with pytest.raises(lp.BudgetExceededError):
        lp.ask("Hi", MODEL)
    assert lp.budgets().spent_usd[0] == pytest.approx(1.1, abs=0.001)


def make_round():
    async def next_round():
        await enforcer(open_log()).release_unused()

    _runtime.run(next_round())


DEAR = {"prices": {"gateway:*": {"input_usd_per_mtok": 10**5, "output_usd_per_mtok": 1}}}


def test_a_budget_counts_no_more_than_a_resumed_answer_cost(ask):
    is_back = threading.Event()
    vendor = Vendor(beginning(0.6), allowed=lambda _number: is_back.is_set())
    lp.set_budget(100)
    lp.configure(**DEAR, confirm_above_usd=None)
    with pytest.raises(lp.StreamInterruptedError) as caught:
        ask(vendor)
    make_round()
    assert lp.budgets().spent_usd[0] == pytest.approx(float(caught.value.run.cost_usd))

    lp.configure(prices=SETTINGS["prices"])
    is_back.set()
    run = lp.resume()
    for _ in range(3):  # each compares with the row that the one before it wrote
        make_round()

    assert run.cost_usd < caught.value.run.cost_usd
    assert lp.budgets().spent_usd[0] == pytest.approx(float(run.cost_usd))


def test_a_resumed_answer_costs_its_failed_attempts_too(ask):
    is_back = threading.Event()
    vendor = Vendor(beginning(0.6), allowed=lambda _number: is_back.is_set())
    failures = [refusing(500), refusing(429)]
    lp.configure(retry={"attempts": 3, "first_wait_s": 0.01})

    def answer(request):
        return failures.pop() if failures else vendor(request)

    with pytest.raises(lp.StreamInterruptedError) as caught:
        ask(answer)
    for _ in range(2):  # what only reads the answer costs nothing
        with pytest.raises(lp.StreamInterruptedError):
            lp.resume()
    is_back.set()
    run = lp.resume()

    assert [one.billed for one in caught.value.run.attempts] == [False, True, None]
    sent = estimates.estimate_usage(find_request(run).request, "").input_tokens
    assert run.cost_usd == Decimal(sent + 11 * 1 + 5 * 2) / 10**6
    [row] = lp.runs().to_dict("records")
    assert row["cost_usd"] == pytest.approx(float(run.cost_usd))


def test_a_resumed_answer_raises_the_alarm_of_its_budget(ask):
    is_back = threading.Event()
    vendor = Vendor(beginning(0.6), allowed=lambda _number: is_back.is_set())
    alarms = []
    lp.configure(on_budget=alarms.append)
    lp.set_budget(1)
    with pytest.raises(lp.StreamInterruptedError):
        ask(vendor)

    lp.configure(**DEAR)
    is_back.set()
    lp.resume()

    assert alarm._caller.flush(LIMIT_S)
    assert [one.event for one in alarms] == ["100%"]


def test_a_run_of_another_user_is_not_resumed(ask, monkeypatch):
    vendor = Vendor(beginning(0.6), allowed=lambda _number: False)
    with pytest.raises(lp.StreamInterruptedError) as caught:
        ask(vendor)
    asked = len(vendor.read)
    monkeypatch.setattr(provenance, "username", lambda: "someone-else")

    with pytest.raises(lp.ConfigError, match="the key that gets its answer"):
        lp.resume(caught.value.run)

    assert (len(vendor.read), list(lp.runs().status)) == (asked, ["interrupted"])


def test_a_failure_of_the_answer_itself_is_no_break(ask):
    error = {"code": "server_error", "message": "Sorry."}
    failed = {"type": "response.failed", "response": response("failed", error=error)}
    lp.configure(retry=1)
    vendor = Vendor(sse(EVENTS[0]) + sse(failed))

    with pytest.raises(lp.ProviderUnavailableError, match="Sorry") as caught:
        ask(vendor)

    assert (caught.value.run.status, vendor.read) == ("failed", [])


def test_an_answer_that_is_blocked_after_text_has_ended(ask):
    error = {"code": "content_policy_violation", "message": "It was flagged."}
    blocked = response("failed", background=True, error=error)
    event = {"type": "response.failed", "sequence_number": 99, "response": blocked}
    stream = b"".join(map(sse, [*EVENTS[:-4], event]))

    with pytest.raises(lp.ContentBlockedError) as caught:
        ask(Vendor(stream))

    assert caught.value.run.status == "blocked"
    assert "resume" not in str(caught.value)


def test_only_runs_in_the_background_can_be_resumed(ask):
    with pytest.raises(lp.InvalidParameterError, match="no interrupted run"):
        lp.resume()
    with pytest.raises(lp.InvalidParameterError, match="no run with the id"):
        lp.resume("r1")
    with pytest.raises(lp.InvalidParameterError, match="takes a run"):
        lp.resume(5)


async def test_stop_stops_it_at_the_provider_too(home, no_waits):
    vendor = Vendor(beginning(0.6), hold=True)
    with WireServer(vendor) as server:
        async with Runner(RESPONSES, f"{server.url}/v1") as asker:
            arrived = asyncio.Event()
            loop = asyncio.get_running_loop()

            def seen(event):
                if isinstance(event, lp.TextDelta):
                    loop.call_soon_threadsafe(arrived.set)

            task = asyncio.create_task(asker.run("Hi", seen, **IN_BACKGROUND))
            await arrived.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(server.wait_for, lambda _server: vendor.stopped)

    assert (vendor.created, vendor.stopped, vendor.read) == (1, 1, [])


_ASK = """
import llm_playground as lp, sys
lp.configure(endpoints={"gateway": {"base_url": sys.argv[1], "wire_format": "openai-responses",
                                    "key_variable": "GATEWAY_API_KEY"}},
             prices={"gateway:*": {"input_usd_per_mtok": 1, "output_usd_per_mtok": 2}})
lp.ask("Hi", "gateway:gpt-4o", extra={"background": True})
"""


@pytest.mark.parametrize("share", [FIRST_EVENT / len(beginning(1)), 0.6], ids=["queued", "text"])
def test_a_new_process_gets_the_answer_of_one_that_was_killed(home, monkeypatch, share):
    monkeypatch.setenv("GATEWAY_API_KEY", "planted-" + "key-" * 4)
    vendor = Vendor(beginning(share), hold=True)
    with WireServer(vendor) as server:
        base_url = f"{server.url}/v1"
        asking = subprocess.Popen([sys.executable, "-c", _ASK, base_url], env=os.environ)
        try:
            wait_for_response_id(home)
        finally:
            asking.send_signal(signal.SIGKILL)
            asking.wait(LIMIT_S)
        lp.configure(endpoints={"gateway": {"base_url": base_url}})
        [row] = lp.runs().to_dict("records")
        assert row["status"] == "interrupted"
        run = lp.resume()

    assert (run.id, run.status, run.text) == (row["run_id"], "completed", TEXT)
    assert (vendor.created, vendor.read) == (1, [None])
    [row] = lp.runs().to_dict("records")
    assert (row["status"], row["usage_source"]) == ("completed", "provider")
    assert lp.costs(by="model").cost_usd[0] == pytest.approx(21e-6)


def wait_for_response_id(home):
    """Until the id of the response is in the journal of the process."""
    found = threading.Event()
    for _ in range(LIMIT_S * 10):
        for journal in home.glob("*.journal/*.jsonl"):
            if any(is_in_background(line) for line in journal.read_bytes().splitlines()):
                return
        found.wait(0.1)
    raise AssertionError("the process did not record the response's id")


def is_in_background(line):
    try:
        attempts = (json.loads(line).get("result") or {}).get("attempts") or []
    except ValueError:  # written at this moment
        return False
    return any(attempt.get("response_id") for attempt in attempts)

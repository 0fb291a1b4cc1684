"""A Run in a panel: Retry now ends the wait before an attempt; totals; failing requests."""

import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

import llm_playground as lp
from llm_playground import _runtime, footer
from llm_playground.types import Parameters, Run, Usage
from llm_playground.widget import session
from llm_playground.widget.requests import REQUESTS, reply
from llm_playground.widget.session import busy_ms, counted
from tests.exporting.shelf import run as make_run
from tests.providers.formats import openai_stream
from tests.providers.server import Reply, json_reply
from tests.widget import panels
from tests.widget.panels import until

served = panels.served

HEADERS = {
    "retry-after": "50",
    "x-ratelimit-limit-requests": "9",
    "x-ratelimit-remaining-requests": "0",
    "x-ratelimit-reset-requests": "50s",
}
LIMITED = json_reply(429, {"error": {"message": "Slow down."}}, HEADERS)
ANSWER = Reply(openai_stream(["Hello"]))


def pane(pg, number=1):
    _, everything = pg.answers.changes_and_snapshot()
    return everything[number - 1]


def retry_now(pg, number=1):
    pg._handle_custom_msg({"type": "retry_now", "number": number}, [])


def test_retry_now_begins_the_attempt_and_records_the_real_wait(served):
    pg, server = served([LIMITED, ANSWER])
    pg.run()
    until(lambda: pane(pg)["waits"])
    assert "Next try in 5" in pane(pg)["status"]
    assert pane(pg)["footer"] == "nothing billed yet"

    retry_now(pg)

    assert pg.results.status.tolist() == ["completed"]
    assert len(server.requests) == 2
    waited_ms = pg.answers.run_of(1).attempts[1].wait_ms
    assert 0 < waited_ms < 20_000
    assert pane(pg)["waits"] is False


def test_retry_now_applies_to_one_answer(served):
    pg, server = served([LIMITED, LIMITED, ANSWER], n=2)
    pg.run()
    until(lambda: pane(pg, 1)["waits"] and pane(pg, 2)["waits"])

    retry_now(pg, 2)

    until(lambda: pg.answers.run_of(2))
    assert pg.answers.run_of(2).text == "Hello"
    assert pane(pg, 1)["waits"] is True
    pg.stop()
    assert len(server.requests) == 3


def test_retry_now_at_each_wait(served):
    pg, _ = served([LIMITED, LIMITED, ANSWER])
    pg.run()

    for attempt in (2, 3):
        until(lambda wanted=attempt: pg.answers.pending_attempt(1) == wanted)
        retry_now(pg)

    assert pg.results.status.tolist() == ["completed"]
    assert len(pg.answers.run_of(1).attempts) == 3


def test_retry_now_without_a_wait_does_nothing(served):
    pg, server = served([ANSWER])
    pg.run()
    assert pg.results.status.tolist() == ["completed"]

    retry_now(pg)
    retry_now(pg, 7)

    assert pg.results.response_text.tolist() == ["Hello"]
    assert len(server.requests) == 1


def test_wait_that_ended_by_itself_cannot_be_skipped(served):
    short = json_reply(429, {"error": {"message": "Slow down."}}, {"retry-after": "1"})
    pg, _ = served([short, Reply((), end="hang")])
    pg.run()

    until(lambda: pane(pg)["status"].endswith("Trying again, 2 of 5."))

    assert pane(pg)["waits"] is False
    pg.stop()


AT = datetime(2026, 11, 23, tzinfo=UTC)


def ended(begin_s, took_s, status="completed", **more):
    times = {"response_time_ms": took_s and took_s * 1000, "queue_ms": None}
    started_at = AT + timedelta(seconds=begin_s)
    return make_run(started_at=started_at, status=status, **(times | more))


@pytest.mark.parametrize(
    ("runs", "expected_s"),
    [
        ([], None),
        ([ended(0, None, "failed")], None),  # nothing was sent
        ([ended(0, 2), ended(1, 3)], 4),
        ([ended(0, 2), ended(600, 1)], 3),  # made again ten minutes later
        ([ended(0, 5), ended(1, 1)], 5),
        ([ended(0, 1, queue_ms=2000)], 3),
        ([ended(0, 9, cached=True), ended(0, 1)], 1),
    ],
)
def test_the_time_of_a_run_is_that_of_its_last_tries(runs, expected_s):
    assert busy_ms(runs) == (None if expected_s is None else pytest.approx(expected_s * 1000))


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        (["completed"], "1 answer"),
        (["failed"], "1 failed"),
        (["completed", "failed", "cancelled", "completed"], "3 answers, 1 failed"),
        (["over_budget", "blocked", "failed", "failed"], "1 not sent, 1 blocked, 2 failed"),
    ],
)
def test_what_failed_is_no_answer(statuses, expected):
    assert counted([ended(0, 1, status) for status in statuses]) == expected


def test_results_wait_for_a_retry_that_begins_at_that_moment(home):
    panel = lp.Playground(models=["local"], prompt="Say hello.", max_tokens=2)
    panel.run()
    (before,) = panel.results.run_id

    class Retried(threading.Event):
        """Set until somebody has waited for it; then an answer is retried."""

        def wait(self, timeout=None):
            done = super().wait(timeout)
            if panel._ended is self:
                panel._ended = threading.Event()
                panel._on_retry({"number": 1})
            return done

    panel._ended = Retried()
    panel._ended.set()

    assert panel.results.run_id.tolist() != [before]
    assert len(panel.results) == 1
    panel.close()


def test_request_that_raises_gets_a_reply(home, monkeypatch):
    panel = lp.Playground(models=["local"])
    monkeypatch.setitem(REQUESTS, "text", lambda *_: 1 / 0)

    answer = reply(panel, {"id": "7", "name": "text", "arguments": {}})

    assert answer == {
        "type": "reply",
        "id": "7",
        "error": "This cannot be shown (ZeroDivisionError).",
    }


def test_panel_without_a_run_closes_without_the_background_loop(home, monkeypatch):
    pg = lp.Playground("unused", prompt="Say hello.")
    monkeypatch.setattr(_runtime, "loop", lambda: pytest.fail("the loop cannot be made at exit"))

    pg.close()


ABOUT = {"cost_usd": Decimal("0.001"), "usage_source": "estimated"}
LEAST = {"cost_usd": None, "at_least_usd": Decimal("0.0003")}
SURE = {"cost_usd": Decimal("0.002"), "usage_source": "provider"}
UNKNOWN = {"cost_usd": None}
TOTALS = {
    "$0.0020": [SURE],
    "about $0.0030": [SURE, ABOUT],
    "at least $0.0023": [SURE, LEAST],
    "at least about $0.0033 and 1 unpriced": [SURE, ABOUT, LEAST, UNKNOWN],
    "$0.0020 and 2 unpriced": [SURE, UNKNOWN, UNKNOWN],
    "price unknown": [UNKNOWN],
}


def runs_of(figures):
    began, known = datetime(2026, 3, 1, tzinfo=UTC), {"status": "interrupted", "usage": Usage(1, 1)}
    return [
        Run("r", "e", "p", 1, "a:b", "a", began, Parameters(), **known, **one) for one in figures
    ]


@pytest.mark.parametrize("total", TOTALS)
def test_a_total_says_what_is_estimated_and_what_is_a_part(total):
    runs = runs_of(TOTALS[total])

    assert footer.total_cost(runs) == total


def test_costs_so_far_hold_what_is_known_of_a_killed_run():
    runs = dict(enumerate(runs_of([SURE, LEAST]), 1))

    assert session.RunCost([]).so_far(runs, {}) == "at least $0.0023 so far"

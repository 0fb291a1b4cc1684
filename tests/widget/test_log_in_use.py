"""Views do not wait for the run log: answers end and others go on, whatever it does."""

import threading

import pytest

import llm_playground as lp
from llm_playground import widget
from llm_playground.runlog import open_log
from llm_playground.types import Usage
from llm_playground.widget.cost_context import cost_contexts, log_readers
from llm_playground.widget.price import calls_to_send
from tests.providers.formats import openai_stream
from tests.providers.server import Reply
from tests.runlog.actors import prompt, record
from tests.runlog.holding import held
from tests.widget import panels
from tests.widget.panels import until

served = panels.served

MODEL = "openai:gpt-4o"
CUT_OFF = Reply(openai_stream(["Once upon"], finish_reason="length"))
# 400 bytes are at most 192 tokens without a history, and 448 if each byte was a token so far.
PROMPT = "the " * 100
PLAIN, LEARNED = "Retry with 16 · at most $352.00", "Retry with 16 · at most $608.00"


@pytest.fixture(autouse=True)
def a_dollar_a_token(home, monkeypatch):
    """Prices at which a cent shows, and nothing known of another test's log."""
    rates = {"input_usd_per_mtok": 1_000_000, "output_usd_per_mtok": 10_000_000}
    lp.configure(prices={"openai:*": rates}, confirm_above_usd=None)
    cost_contexts.clear()


@pytest.fixture
def changes(monkeypatch):
    """The changes of answers that were sent to views."""
    panes = []

    def send(_panel, content):
        if content["type"] == "events":
            panes.extend(content["panes"])

    monkeypatch.setattr(lp.Playground, "send", send)
    return panes


def labels(changes):
    return [pane["actions"][0]["label"] for pane in changes if pane.get("actions")]


def log_with_history():
    """A log with 20 runs of the model, whose tokens are bytes."""
    log = open_log()
    for number in range(20):
        text = f"{number}".ljust(400, "x")
        record(log, prompt(text, model=MODEL), usage=Usage(400, 8))
    log.drain()
    return log


def test_retry_price_follows_once_the_log_is_read(served, changes, monkeypatch):
    log_with_history()
    may_read = threading.Event()
    refresh = cost_contexts.refresh
    monkeypatch.setattr(cost_contexts, "refresh", lambda m: may_read.wait(60) and refresh(m))
    pg, _ = served([CUT_OFF], max_tokens=8)
    pg.prompt = PROMPT

    pg.run()
    assert pg.results.finish_reason.tolist() == ["length"]
    until(lambda: not pg.running)
    assert labels(changes) == [PLAIN]

    may_read.set()
    until(lambda: len(labels(changes)) == 2)
    assert labels(changes)[1] == LEARNED
    assert changes[-1]["footer"] == changes[-2]["footer"]
    assert pg.problem == ""


def test_answer_ends_while_another_program_reads_the_log(served, changes):
    log = log_with_history()
    pg, _ = served([CUT_OFF], max_tokens=8)
    pg.prompt = PROMPT

    with held(log.path):
        pg.run()
        assert pg.results.finish_reason.tolist() == ["length"]
        until(lambda: labels(changes)[-1:] == [LEARNED])

    assert pg.problem == ""


def test_answer_ends_while_the_log_cannot_be_read(served, changes):
    log = open_log()
    log.path.parent.mkdir(exist_ok=True)
    log.path.write_bytes(b"no database" * 100)
    log.journals.mkdir(exist_ok=True)
    (log.journals / "budgets.json").write_text("[]")  # there were none when it was last read
    pg, _ = served([CUT_OFF], max_tokens=8)
    pg.prompt = PROMPT

    pg.run()
    assert pg.results.finish_reason.tolist() == ["length"]
    until(lambda: not pg.running)
    log_readers.submit(lambda: None).result(60)

    assert labels(changes) == [PLAIN]
    assert pg.problem == ""


def test_run_that_waits_for_the_log_delays_no_view(served, changes, monkeypatch):
    pressed, go_on, make_calls = threading.Event(), threading.Event(), calls_to_send

    def slow(request, *arguments):
        if request.view:
            pressed.set()
            assert go_on.wait(60)
        return make_calls(request, *arguments)

    monkeypatch.setattr(widget, "calls_to_send", slow)
    waits, _ = served([CUT_OFF], max_tokens=8)
    other, _ = served([CUT_OFF], max_tokens=8)
    waits._handle_custom_msg({"type": "run", "form": {}, "view": "v"}, [])
    assert pressed.wait(60)

    other.run()
    until(lambda: labels(changes))
    until(lambda: not other.running)
    assert not waits.running

    waits.run()  # a later press that is ready sooner goes first
    go_on.set()
    assert len(waits.results) == 1

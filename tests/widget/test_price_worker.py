"""How soon the price beside Run follows: the form, a change of settings, a reading of the log."""

# ruff: noqa: RUF001 - the multiplication sign is what people read
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

import llm_playground as lp
from llm_playground.budgeting.status import CostContext, budget_statuses
from llm_playground.catalog.estimates import History
from llm_playground.widget import cost_context, price_worker
from llm_playground.widget.cost_context import cost_contexts
from llm_playground.widget.form import Form
from llm_playground.widget.price_worker import LatestOnly, preview_for_form
from tests.budgeting.client import MODEL, answer
from tests.widget.panels import until
from tests.widget.priced_panels import SOON_S, shows
from tests.widget.priced_panels import fresh as fresh
from tests.widget.priced_panels import panel as panel
from tests.widget.priced_panels import serve as serve


def test_preview_follows_the_form(panel):
    pg, _ = panel()
    shows(pg, "1 call · about $0.0050, at most $0.0050")

    pg.iterations = 4

    shows(pg, "4 calls · about $0.0200, at most $0.0200")
    pg.models = []
    shows(pg, "No model chosen")


def test_usual_form_is_priced_as_fast_as_a_person_types(serve):
    serve(answer())
    given = {"models": ["openai:any", "openai:gpt-4o"], "iterations": 3}
    preview_for_form(Form("warm up", **given), {})
    took = []

    for number in range(20):  # as while typing: each time another prompt
        began = time.thread_time()
        preview_for_form(
            Form(f"Summarise {{{{article}}}}. {'word ' * number}", **given), {"article": "x" * 5000}
        )
        took.append(time.thread_time() - began)

    assert sorted(took)[10] < 0.1  # of this thread's CPU; each takes 1 ms


def test_typing_into_a_form_of_3000_calls_is_not_delayed(panel):
    pg, _ = panel(models=[MODEL, "openai:gpt-4o", "anthropic:claude-haiku-4-5"])
    pg.cases = [{"a": f"{number} " * (number % 300)} for number in range(1000)]

    before, go_on = pg.price, threading.Event()
    price_worker._prices.submit(go_on.wait, SOON_S)
    for number in range(30):
        pg.prompt = f"{{{{a}}}} {number}"

    after = pg.price
    go_on.set()
    assert after == before, "typing waited for the price"
    until(lambda: pg.price["text"].startswith("3 models × 1,000 cases = 3,000 calls"))


def test_newest_request_wins_and_older_work_is_outdated():
    began, release, done = threading.Event(), threading.Event(), []
    given = ["first"]

    def work(wanted):
        now = given[0]
        began.set()
        assert release.wait(SOON_S)
        done.append((now, wanted()))

    with ThreadPoolExecutor(1) as thread:
        newest = LatestOnly(work, thread)
        newest.request()
        assert began.wait(SOON_S)
        for given[0] in ("second", "third", "fourth"):
            newest.request()
        release.set()
        until(lambda: len(done) == 2)

    assert done == [("first", False), ("fourth", True)]


def test_failing_work_does_not_stop_later_work(caplog):
    done = threading.Event()
    works = iter([lambda: 1 / 0, done.set])

    with ThreadPoolExecutor(1) as thread:
        newest = LatestOnly(lambda _wanted: next(works)(), thread)
        newest.request()
        until(lambda: "background update of the playground failed" in caplog.text)
        newest.request()
        assert done.wait(SOON_S)


def test_reading_budgets_of_no_log_creates_none(home):
    assert cost_contexts.refresh([MODEL]) is False
    assert cost_contexts.current() == CostContext()
    assert not home.exists()


def test_budgets_of_one_log_do_not_apply_to_another(panel, tmp_path):
    panel()
    lp.set_budget(1, period="total")
    cost_contexts.expire_budgets()
    cost_contexts.refresh([])
    assert cost_contexts.current().statuses[0].remaining_usd == Decimal(1)

    lp.configure(log=tmp_path / "other.duckdb")

    assert cost_contexts.current().statuses == ()


def test_read_during_a_change_of_log_is_discarded(home, serve, monkeypatch):
    serve(answer())
    lp.set_budget(1, period="total")

    def read_slowly():
        found = budget_statuses()
        lp.configure(log=home / "other.duckdb")
        return found

    monkeypatch.setattr(cost_context, "budget_statuses", read_slowly)

    assert cost_contexts.refresh([]) is False
    assert cost_contexts.current() == CostContext()

    lp.configure(log=home / "runs.duckdb")

    assert cost_contexts.current() == CostContext()
    assert cost_contexts.is_stale([])


@pytest.mark.parametrize(
    "change",
    [
        lambda: lp.set_budget("0.001"),
        lambda: lp.configure(prices={MODEL: {"input_usd_per_mtok": 0, "output_usd_per_mtok": 9e3}}),
    ],
    ids=["set_budget", "configure"],
)
def test_every_open_panel_follows_a_change_without_a_cell(panel, change):
    panels = [panel()[0], panel(prompt="ho")[0]]
    before = [pg.price for pg in panels]

    change()

    for pg, price in zip(panels, before, strict=True):
        until(lambda pg=pg, price=price: pg.price != price)


def test_a_panel_follows_a_reading_that_another_one_began(home, monkeypatch):
    published = []
    monkeypatch.setattr(price_worker, "_visible", [])
    workers = [
        price_worker.PriceWorker(lambda: Form("hi", models=[MODEL]), dict, published.append)
        for _ in range(2)
    ]
    price_worker._visible.extend(workers)
    for worker in workers:
        worker._context = CostContext()
    read = CostContext(histories={MODEL: History()})
    monkeypatch.setattr(cost_contexts, "refresh", lambda _models: True)
    monkeypatch.setattr(cost_contexts, "current", lambda: read)

    workers[0]._read_log(lambda: True)

    until(lambda: len(published) == 2)

"""Which runs a report is about."""

from datetime import UTC, date, datetime, timedelta, timezone

import pandas as pd
import pytest

from llm_playground import reports
from llm_playground.errors import InvalidParameterError
from llm_playground.reports import quality, run_rows, spending
from llm_playground.runlog import open_log
from tests.reports.conftest import ENGINES
from tests.reports.shelf import NEW_YEAR, add


@pytest.fixture(scope="module", params=ENGINES)
def shelf(request, new_url):
    """Three runs in three days, unlike each other in everything one can filter by; their URL."""
    url = new_url(request.param)
    log = open_log(url)
    second, third = (NEW_YEAR + timedelta(days=days) for days in (1, 2))
    about = {"question": "About whales", "notebook": "work/one.ipynb", "tags": ("x", "y")}
    add(log, text="1", model="local:smollm2-135m-instruct", **about)
    add(log, text="2", at=second, user="bob", status="failed", notebook="two.ipynb")
    add(log, text="3", at=third, model="openai:gpt-x2", status="cancelled")
    log.drain()
    yield url
    log.close()


@pytest.fixture
def filled(shelf, monkeypatch):
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", shelf)


def texts(**filters):
    return list(run_rows.runs(**filters).response_text)


@pytest.mark.parametrize(
    ("model", "found"),
    [
        ("local", ["1"]),
        ("gpt-x", ["2"]),
        ("openai:gpt-x", ["2"]),
        ("gpt-*", ["2", "3"]),
        ("openai:*", ["2", "3"]),
        ("*x", ["2"]),
        (["local", "gpt-x2"], ["1", "3"]),
        ("gpt", []),
        ("gpt_x", []),
        ("%", []),
    ],
)
def test_a_model_is_found_as_people_write_it(filled, model, found):
    assert sorted(texts(model=model)) == found


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"user": "bob"}, ["2"]),
        ({"status": "failed"}, ["2"]),
        ({"status": ["failed", "completed"]}, ["1", "2"]),
        ({"tag": "x"}, ["1"]),
        ({"tag": "nope"}, []),
        ({"notebook": "one.ipynb"}, ["1"]),
        ({"notebook": "work/one.ipynb"}, ["1"]),
        ({"notebook": "*.ipynb"}, ["1", "2"]),
        ({"notebook": "ne.ipynb"}, []),
        ({"search": "WHALES"}, ["1"]),
        ({"search": "100%"}, []),
        ({"user": "bob", "tag": "x"}, []),
        ({"since": "2026-01-02"}, ["2", "3"]),
        ({"since": date(2026, 1, 2)}, ["2", "3"]),
        ({"since": datetime(2026, 1, 2)}, ["2", "3"]),
        ({"since": "2026-01-02T00:00:01"}, ["3"]),
        ({"until": "2026-01-02"}, ["1", "2"]),
        ({"until": date(2026, 1, 2)}, ["1", "2"]),
        ({"until": datetime(2026, 1, 2, tzinfo=UTC)}, ["1"]),
        ({"since": datetime(2026, 1, 2, 1, tzinfo=timezone(timedelta(hours=1)))}, ["2", "3"]),
        ({"since": pd.Timestamp("2026-01-03", tz="UTC")}, ["3"]),
        ({"since": "2026-01", "until": "2026-01"}, ["1", "2", "3"]),
        ({"since": "2026-02"}, []),
        ({"until": "2025-12"}, []),
        ({"until": "9999-12-31"}, ["1", "2", "3"]),
        ({"user": "bob' OR true --"}, []),
    ],
)
def test_filters_select_and_include_the_last_day_or_month(filled, filters, found):
    assert sorted(texts(**filters)) == found


@pytest.mark.parametrize(
    ("report", "message"),
    [
        (lambda: spending.costs(by="week"), "month, day, model, provider"),
        (lambda: quality.latency(by=("model", "nope")), "'nope'"),
        (lambda: spending.costs(by="month", tz="Mars/Olympus"), "time zone"),
        (lambda: run_rows.runs(since="yesterday"), "'yesterday'"),
        (lambda: run_rows.runs(until=20260101), "20260101"),
        (lambda: run_rows.runs(since="2026-13"), "2026-13"),
        (lambda: run_rows.runs(status="done"), "completed"),
        (lambda: run_rows.runs(limit=-1), "limit"),
        (lambda: run_rows.runs(limit=True), "limit"),
        (lambda: run_rows.runs(modle="x"), "'modle'"),
        (lambda: spending.costs(users="x"), "'users'"),
        (lambda: spending.costs(5), "month, day, model"),
        (lambda: spending.costs([5]), "month, day, model"),
        (lambda: spending.costs(by=None), "month, day, model"),
        (lambda: run_rows.runs(model=5), "model is 5"),
        (lambda: run_rows.runs(model=["local", None]), "model is None"),
        (lambda: run_rows.runs(user=b"ada"), "user is"),
        (lambda: run_rows.runs(search="a\0b"), "search is"),
        (lambda: run_rows.runs(tag="\ud800"), "tag is"),
        (lambda: run_rows.runs(since=pd.NaT), "NaT"),
        (lambda: run_rows.runs(status=5), "status is 5"),
        (lambda: run_rows.runs(limit="5"), "limit"),
        (lambda: reports.sql(5), "query is 5"),
        (lambda: reports.sql("SELECT 1", 5), "params is 5"),
    ],
)
def test_invalid_arguments_are_errors_in_one_line(filled, report, message):
    with pytest.raises(InvalidParameterError) as error:
        report()
    assert message in str(error.value)
    assert "\n" not in str(error.value)

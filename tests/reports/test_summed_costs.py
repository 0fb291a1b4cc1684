"""Costs of months that PostgreSQL has summed up: the same figures, read from the summary."""

from datetime import timedelta
from decimal import Decimal

import pandas as pd
import pytest

from llm_playground.reports import spending
from llm_playground.runlog import open_log
from tests.reports.shelf import NEW_YEAR, add

ASKED = [
    {},
    {"by": ()},
    {"by": "month"},
    {"by": ["user", "notebook"]},
    {"by": ["status", "provider"]},
    {"model": "gpt-*"},
    {"user": "bob", "by": "month"},
    {"notebook": "n.ipynb"},
    {"status": ["failed", "completed"]},
    {"since": "2026-02", "until": "2026-03"},
    # not in the summary
    {"since": "2026-01-15"},
    {"by": "day"},
    {"by": "tag"},
    {"tag": "x"},
    {"by": "month", "tz": "Europe/Berlin"},
]


@pytest.fixture(scope="module")
def summed(new_url):
    """A log whose first two months are summed up and whose third is not."""
    url = new_url("postgres")
    log = open_log(url)
    fill(log, months=(0, 1))
    log.drain()
    age(log)
    log.migrate()
    fill(log, months=(2,))
    log.drain()
    yield url
    log.close()


@pytest.fixture
def counted(summed, monkeypatch):
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", summed)
    return open_log(summed)


def fill(log, months):
    for month in months:
        at = NEW_YEAR + timedelta(days=31 * month + 2, hours=month)
        add(log, at=at, cost_usd=Decimal(1), notebook="n.ipynb", tags=("x",))
        add(log, at=at, cost_usd=Decimal(2), user="bob", model="openai:gpt-y")
        unpriced = {"cost_usd": None, "at_least_usd": Decimal("0.5")}
        add(log, at=at, **unpriced, status="failed", user="bob", usage_source="estimated")


def age(log):
    """As if it had been recorded an hour ago."""
    log.change(
        lambda session: session.execute(
            "UPDATE results SET recorded_at = now() - INTERVAL '1 hour'"
        )
    )


@pytest.mark.parametrize("asked", ASKED, ids=str)
def test_the_figures_are_the_same(counted, monkeypatch, asked):
    assert counted.summed_until().isoformat() == "2026-03-01T00:00:00+00:00"
    found = spending.costs(**asked)
    monkeypatch.setattr(type(counted), "summed_until", lambda _log: None)
    pd.testing.assert_frame_equal(found, spending.costs(**asked))
    assert len(found)


def test_summed_months_are_not_counted_again(new_url, monkeypatch):
    """Seen by taking their runs away behind the summary's back."""
    url = new_url("postgres")
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", url)
    log = open_log(url)
    fill(log, months=(0,))
    log.drain()
    age(log)
    log.migrate()
    for statement in ("ALTER TABLE results DISABLE TRIGGER USER", "DELETE FROM results"):
        log.change(lambda session, statement=statement: session.execute(statement))
    assert spending.costs(by="month").runs.tolist() == [3]
    assert spending.costs(by="day").empty
    log.close()

"""Which prompts, notebooks and users use a model that ends soon."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

import llm_playground as lp
from llm_playground import config
from llm_playground.catalog import models
from llm_playground.catalog.listing import ListedModel, Listing
from llm_playground.reports.retiring import ending
from tests.reports.shelf import add

NOW = datetime.now(UTC)
SOON, LATER, PAST = (NOW + timedelta(days=days) for days in (30, 200, -20))
COLUMNS = [
    *("model", "retires_at", "days_left", "runs", "monthly_usd", "prompts", "notebooks", "users"),
    "last_used_at",
]


@pytest.fixture(autouse=True)
def mine(monkeypatch):
    """An endpoint whose live list says when models end; no other is asked."""
    config.configure(endpoints={"mine": "http://127.0.0.1:9/v1"})
    row = config.rows()["mine"]
    ends = {"soon": SOON, "later": LATER, "past": PAST, "stays": None}
    listed = tuple(ListedModel(name, retires_at=at) for name, at in ends.items())
    live = models._LiveListing(models._endpoint(row), Listing(listed), float("inf"))
    monkeypatch.setattr(models, "_listed_rows", list)
    monkeypatch.setitem(models._live, "mine", live)


def test_an_empty_log_has_no_rows_but_the_columns(log):
    frame = lp.retiring()

    assert frame.empty
    assert list(frame.columns) == COLUMNS
    assert list(lp.retiring(by="user").columns) == [COLUMNS[0], "user", *COLUMNS[1:]]


def test_what_uses_a_model_that_ends_is_listed_with_its_cost(log):
    one, old = Decimal("0.5"), NOW - timedelta(days=40)
    of_ada = {"user": "ada", "notebook": "a.ipynb", "at": NOW - timedelta(days=2)}
    add(log, model="mine:soon", question="Why?\nWhy?", cost_usd=one, **of_ada)
    add(log, model="mine:soon", question="How?", user="bob", at=NOW, cost_usd=one * 2)
    add(log, model="mine:soon", question="How?", user="bob", at=old, cost_usd=one * 100)
    add(log, model="mine:past", question="When?", user="cyd", at=old, cost_usd=one)
    add(log, model="mine:later", at=NOW)
    add(log, model="mine:stays", at=NOW)
    add(log, model="mine:soon", question="Reused?", at=NOW, cached=True)

    past, soon = ending(90, ["model"], {}, NOW).itertuples(index=False)

    assert (past.model, past.days_left, past.runs, past.monthly_usd) == ("mine:past", -20, 1, 0)
    assert (soon.model, soon.retires_at, soon.days_left, soon.runs) == ("mine:soon", SOON, 30, 3)
    assert soon.monthly_usd == pytest.approx(1.5)
    assert (soon.prompts, soon.notebooks) == (["How?", "Why? Why?"], ["a.ipynb"])
    assert (soon.users, soon.last_used_at) == (["ada", "bob"], NOW)
    assert lp.retiring(300).model.tolist() == ["mine:past", "mine:soon", "mine:later"]
    assert lp.retiring(0).model.tolist() == ["mine:past"]
    assert lp.retiring(user="ada").runs.tolist() == [1]
    by_user = lp.retiring(by="user", model="soon")
    assert by_user[["user", "runs"]].values.tolist() == [["ada", 1], ["bob", 2]]


def test_an_unknown_price_is_no_cost_of_zero(log):
    add(log, model="mine:soon", at=NOW, cost_usd=None)

    assert lp.retiring().monthly_usd.isna().tolist() == [True]


def test_the_names_of_all_arguments_are_offered():
    with pytest.raises(lp.InvalidParameterError, match="Available: within_days, by, model, prov"):
        lp.retiring(days=400)


@pytest.mark.parametrize("days", [-1, 1.5, True, "90"])
def test_what_is_no_number_of_days_is_refused(log, days):
    with pytest.raises(lp.InvalidParameterError, match="within_days"):
        lp.retiring(days)

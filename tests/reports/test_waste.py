"""What was paid for nothing, what was asked twice, and who uses how much."""

from datetime import timedelta
from decimal import Decimal

import pandas as pd
import pytest

from llm_playground.errors import RateLimitError
from llm_playground.reports import quality, run_rows, spending
from llm_playground.types import Attempt
from tests.reports.shelf import NEW_YEAR, add, add_row


def test_waste_is_of_one_kind_and_adds_up(log):
    cents = {name: Decimal(n) / 100 for n, name in enumerate(("cut", "stop", "block", "fail"), 1)}
    add(log, finish_reason="length", cost_usd=cents["cut"])
    add(log, status="cancelled", finish_reason="length", cost_usd=cents["stop"])
    add(log, status="blocked", cost_usd=cents["block"])
    add(log, status="failed", cost_usd=cents["fail"])
    add(log, cost_usd=Decimal(1))
    [row] = quality.waste().itertuples()
    assert (row.truncated_runs, row.truncated_usd) == (1, pytest.approx(0.01))
    assert (row.cancelled_runs, row.cancelled_usd) == (1, pytest.approx(0.02))
    assert (row.blocked_runs, row.blocked_usd) == (1, pytest.approx(0.03))
    assert (row.failed_runs, row.failed_usd) == (1, pytest.approx(0.04))
    assert (row.runs, row.cost_usd, row.wasted_usd) == (5, 1.10, pytest.approx(0.10))


def test_attempts_after_the_first_are_retries(log):
    attempts = [Attempt(number, 0, 1) for number in (1, 2, 3)]
    add(log, attempts=attempts)
    add(log, attempts=attempts[:1])
    add(log, attempts=[])
    add_row(log, model="openai:gpt-x", started_at=NEW_YEAR)
    assert quality.waste().retries.tolist() == [2]


def test_what_re_use_saved_is_no_waste(log):
    add(log, cached=True, cost_usd=Decimal(0), saved_usd=Decimal("0.25"))
    [row] = quality.waste().itertuples()
    assert (row.reused_runs, row.saved_usd, row.wasted_usd) == (1, 0.25, 0)


def test_an_unknown_price_makes_no_waste_of_zero(log):
    add(log, status="cancelled", cost_usd=None)
    [row] = quality.waste().itertuples()
    assert pd.isna(row.cancelled_usd)
    assert pd.isna(row.wasted_usd)
    assert row.failed_usd == 0


def test_waste_of_an_empty_log_is_an_empty_frame(log):
    assert len(quality.waste()) == 0
    assert list(quality.waste())[:4] == ["model", "runs", "cost_usd", "wasted_usd"]


def test_eighty_characters_show_the_figure_that_a_report_is_about(log):
    for _ in range(2):
        error = RateLimitError("Too fast.")
        add(log, question="Again?", status="failed", error=error, cost_usd=Decimal("0.012"))
    shown = {
        quality.waste: "wasted_",  # names may take two lines
        quality.failures: "message",
        run_rows.duplicates: "repeated_",
    }
    for report, name in shown.items():
        assert name in repr(report()).partition("\n0 ")[0], name


def test_duplicates_are_requests_sent_again(log):
    for day, text in enumerate(("a", "b", "b")):
        cost = Decimal(day + 1)
        add(log, question="Again?", text=text, cost_usd=cost, at=NEW_YEAR + timedelta(days=day))
    add(log, question="Again?", cached=True)
    add(log, question="Once?")
    [row] = run_rows.duplicates().itertuples()
    assert (row.user_prompt, row.model, len(row.prompt_hash)) == ("Again?", "openai:gpt-x", 64)
    assert (row.runs, row.executions, row.answers) == (3, 3, 2)
    assert (row.cost_usd, row.repeated_usd) == (6, 5)
    assert row.last_at - row.first_at == timedelta(days=2)


def test_duplicates_are_filtered_and_sorted_by_cost(log):
    for question, cost, user in (("Cheap?", 1, "ada"), ("Dear?", 9, "ada"), ("Bob's?", 5, "bob")):
        for _ in range(2):
            add(log, question=question, cost_usd=Decimal(cost), user=user)
    assert run_rows.duplicates().user_prompt.tolist() == ["Dear?", "Bob's?", "Cheap?"]
    assert run_rows.duplicates(user="bob").user_prompt.tolist() == ["Bob's?"]
    assert run_rows.duplicates(search="cheap").user_prompt.tolist() == ["Cheap?"]


def test_bare_rows_of_another_program_can_be_duplicates(log):
    for _ in range(2):
        add_row(log, model="theirs:m", prompt_hash="f" * 64, started_at=NEW_YEAR)
        add_row(log, model="theirs:m", started_at=NEW_YEAR)
    [row] = run_rows.duplicates().itertuples()
    assert (row.prompt_hash, row.runs) == ("f" * 64, 2)
    assert pd.isna(row.user_prompt)


def test_usage_is_grouped_by_user_notebook_or_tag(log):
    add(log, user="ada", notebook="a.ipynb", tags=("x", "y"), cost_usd=Decimal(1))
    add(log, user="ada", notebook="b.ipynb", tags=("x",), question="Other?", model="local:m")
    add(log, user="bob", notebook="b.ipynb", cost_usd=Decimal(2), status="failed")
    users = spending.usage_by("user")
    assert users.user.tolist() == ["bob", "ada"]  # the highest cost first
    assert users.runs.tolist() == [1, 2]
    assert users.prompts.tolist() == users.models.tolist() == [1, 2]
    assert users.failed_runs.tolist() == [1, 0]
    assert spending.usage_by("notebook").runs.tolist() == [2, 1]
    tags = spending.usage_by("tag")
    assert {None if pd.isna(tag) else tag for tag in tags.tag} == {"x", "y", None}

"""What went wrong, and how often."""

from datetime import timedelta

import pandas as pd
import pytest

from llm_playground.errors import ProviderTimeoutError, RateLimitError
from llm_playground.reports import quality
from tests.reports.shelf import NEW_YEAR, add, add_row

COLUMNS = ["status", "error_type", "runs", "last_message", "rate", "first_at", "last_at"]
COLUMNS += ["last_run_id"]
LIMIT, SLOW = RateLimitError("Too fast."), ProviderTimeoutError("Too slow.")


def test_failures_are_counted_by_kind_with_their_share(log):
    for _ in range(6):
        add(log)
    for day in range(3):
        add(log, status="failed", error=LIMIT, at=NEW_YEAR + timedelta(days=day))
    add(log, status="blocked")
    frame = quality.failures()
    assert list(frame) == ["model", *COLUMNS]
    assert frame.status.tolist() == ["failed", "blocked"]
    assert frame.runs.tolist() == [3, 1]
    assert frame.rate.tolist() == [pytest.approx(0.3), pytest.approx(0.1)]
    assert frame.error_type[0] == "RateLimitError"
    assert pd.isna(frame.error_type[1])


def test_the_last_failure_of_a_kind_is_shown(log):
    add(log, status="failed", error=RateLimitError("Old."), at=NEW_YEAR - timedelta(days=1))
    last = add(log, status="failed", error=LIMIT)
    [row] = quality.failures().itertuples()
    assert (row.last_message, row.last_run_id) == ("Too fast.", last.id)
    assert (row.first_at, row.last_at) == (NEW_YEAR - timedelta(days=1), NEW_YEAR)


def test_what_was_stopped_or_came_out_of_the_log_is_no_failure(log):
    add(log, status="cancelled")
    add(log, status="failed", cached=True)
    add(log)
    assert len(quality.failures()) == 0
    assert list(quality.failures(by=())) == COLUMNS


def test_failures_are_grouped_by_what_is_named(log):
    add(log, user="bob", status="failed", error=SLOW)
    add(log, user="ada", status="failed", error=SLOW, tags=("x",))
    add(log, user="ada", status="interrupted")
    add(log, user="ada")
    frame = quality.failures(by=["user", "status"])
    assert list(frame)[:3] == ["user", "status", "error_type"]
    assert dict(zip(frame.user + " " + frame.status, frame.rate, strict=True)) == {
        "ada failed": pytest.approx(1 / 3),
        "ada interrupted": pytest.approx(1 / 3),
        "bob failed": 1.0,
    }
    assert quality.failures(by="status").runs.tolist() == [2, 1]
    assert quality.failures(by="tag", tag="x").rate.tolist() == [1.0]


def test_a_bare_row_of_another_program_fails_too(log):
    add_row(log, model="theirs:m", status="failed", error_type="Oops", started_at=NEW_YEAR)
    assert quality.failures(by=("month", "user")).error_type.tolist() == ["Oops"]

"""What the month will have cost when it ends."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from llm_playground.errors import InvalidParameterError
from llm_playground.reports import spending
from tests.reports.shelf import add, add_row

COLUMNS = ["month", "spent_usd", "daily_usd", "days_left", "expected_usd", "low_usd", "high_usd"]
MARCH = datetime(2026, 3, 1, 12, tzinfo=UTC)


def a_dollar_each_day(log, days, since=MARCH, **known):
    for number in range(days):
        add(log, at=since + timedelta(days=number), cost_usd=Decimal(1), **known)


def test_steady_days_go_on_to_the_months_end(log):
    a_dollar_each_day(log, 10)
    [row] = spending.forecast(at="2026-03-11").itertuples(index=False)
    assert list(row._fields) == COLUMNS
    assert tuple(row) == ("2026-03", 10.0, 1.0, 21.0, 31.0, 31.0, 31.0)


def test_days_without_runs_count_and_make_it_less_sure(log):
    for day in (1, 3, 5, 7, 9):
        add(log, at=MARCH.replace(day=day), cost_usd=Decimal(2))
    [row] = spending.forecast(at="2026-03-11").itertuples()
    assert row.daily_usd == 1.0
    assert row.expected_usd == pytest.approx(10 + 21)
    assert 10 < row.low_usd < row.expected_usd < row.high_usd


def test_weekends_are_expected_to_be_weekends(log):
    monday = datetime(2026, 2, 2, 12, tzinfo=UTC)
    for day in range(28):
        if (monday + timedelta(days=day)).weekday() < 5:
            add(log, at=monday + timedelta(days=day), cost_usd=Decimal(1))
    [row] = spending.forecast(at="2026-03-01").itertuples()
    assert row.spent_usd == 0
    assert row.expected_usd == 22  # the working days of March 2026


def test_today_counts_for_its_rest(log):
    a_dollar_each_day(log, 10)
    at = datetime(2026, 3, 31, 18, tzinfo=UTC)
    a_dollar_each_day(log, 20, since=MARCH + timedelta(days=10))
    [row] = spending.forecast(at=at).itertuples()
    assert (row.days_left, row.spent_usd) == (0.25, 30.0)
    assert row.expected_usd == pytest.approx(30.25)


def test_a_first_day_is_taken_for_what_it_is(log):
    add(log, at=MARCH.replace(hour=3), cost_usd=Decimal(1))
    [row] = spending.forecast(at=MARCH).itertuples()
    assert row.daily_usd == 2.0
    assert row.expected_usd == pytest.approx(1 + 0.5 * 2 + 30 * 2)
    assert row.low_usd >= row.spent_usd


def test_forecasts_are_grouped_filtered_and_know_zones(log):
    a_dollar_each_day(log, 10, user="ada")
    a_dollar_each_day(log, 5, user="bob", model="local:m")
    add_row(log, model="theirs:m", cost_usd=Decimal(3), started_at=MARCH)
    frame = spending.forecast(by="user", at="2026-03-11")
    assert list(frame) == ["user", *COLUMNS]
    spent = dict(zip(frame.user.fillna("?"), frame.spent_usd, strict=True))
    assert spent == {"ada": 10.0, "bob": 5.0, "?": 3.0}
    assert spending.forecast(model="local", at="2026-03-11").empty
    assert spending.forecast(model="m", user="bob", at="2026-03-11").spent_usd.tolist() == [5.0]
    late = datetime(2026, 3, 31, 23, tzinfo=UTC)
    assert spending.forecast(at=late, tz="Europe/Berlin").month.tolist() == ["2026-04"]


@pytest.mark.parametrize(
    ("given", "says"),
    [({"since": "2026-01"}, "at="), ({"by": "day"}, "no day"), ({"at": "soon"}, "at is 'soon'")],
)
def test_what_a_forecast_cannot_take_is_said(log, given, says):
    with pytest.raises(InvalidParameterError, match=says):
        spending.forecast(**given)

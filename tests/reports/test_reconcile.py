"""Our costs against the provider's own report. The reports have the columns of real exports."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest

from llm_playground.errors import InvalidParameterError
from llm_playground.reports import reconciliation
from tests.reports.shelf import add, add_row

COLUMNS = ["day", "model", "theirs_usd", "ours_usd", "difference_usd", "runs", "unpriced_runs"]
COLUMNS += ["estimated_runs", "reason"]
MARCH = datetime(2026, 3, 1, 12, tzinfo=UTC)
EXPORTS = Path(__file__).with_name("exports")


@pytest.fixture
def export(tmp_path):
    def write(text, name="report.csv"):
        (tmp_path / name).write_text(text, "utf-8")
        return tmp_path / name

    return write


def reasons(frame):
    return dict(zip(frame.day + " " + frame.model, frame.reason, strict=True))


def test_openais_costs_export_is_compared_by_day_and_model(log):
    add(log, model="openai:gpt-x", response_model="gpt-x-2026-01-15", at=MARCH, cost_usd=Decimal(2))
    frame = reconciliation.reconcile(EXPORTS / "openai-costs.csv", "openai", "2026-03")
    assert list(frame) == COLUMNS
    assert reasons(frame) == {
        "2026-03-01 openai:gpt-x": "agrees",
        "2026-03-02 openai:gpt-y": "not through us",
    }
    assert frame.theirs_usd.tolist() == [2.0, 3.0]
    assert frame.difference_usd.tolist() == [0.0, 3.0]
    assert frame.runs.tolist() == [1, 0]


def test_openais_costs_api_gives_the_same(log, export):
    amount = {"value": "2.0", "currency": "usd"}
    result = {"object": "organization.costs.result", "amount": amount, "line_item": "gpt-x, input"}
    page = {
        "object": "page",
        "data": [
            {"object": "bucket", "start_time": 1772323200, "results": [result]},
            {"object": "bucket", "start_time": 1772409600, "results": []},
        ],
    }
    add(log, model="openai:gpt-x", at=MARCH, cost_usd=Decimal(2))
    path = export(json.dumps(page), "costs.json")
    for report in (page, [page], str(path), path):
        frame = reconciliation.reconcile(report, "openai", "2026-03")
        assert reasons(frame) == {"2026-03-01 openai:gpt-x": "agrees"}


def test_a_report_without_models_is_compared_by_day(log):
    report = pd.DataFrame(
        {"start_time": [1772323200], "amount_value": [3.0], "line_item": [float("nan")]}
    )
    add(log, model="openai:gpt-x", at=MARCH, cost_usd=Decimal(1))
    add(log, model="openai:gpt-y", at=MARCH, cost_usd=Decimal(2))
    [row] = reconciliation.reconcile(report, "openai", "2026-03").itertuples()
    assert (row.model, row.runs, row.ours_usd, row.reason) == (None, 2, 3.0, "agrees")


def test_anthropics_export_names_models_as_people_do(log):
    model = "anthropic:claude-haiku-4-5"
    add(log, model=model, response_model="claude-haiku-4-5-20251001", at=MARCH, cost_usd=Decimal(1))
    frame = reconciliation.reconcile(EXPORTS / "anthropic-cost.csv", "anthropic", "2026-03")
    assert reasons(frame) == {f"2026-03-01 {model}": "agrees"}


def test_anthropics_cost_api_counts_in_cents(log):
    result = {"amount": "100.0", "currency": "USD", "model": "claude-haiku-4-5-20251001"}
    page = {"data": [{"starting_at": "2026-03-01T00:00:00Z", "results": [result]}]}
    add(log, model="anthropic:claude-haiku-4-5", at=MARCH, cost_usd=Decimal(1))
    frame = reconciliation.reconcile(page, "anthropic", "2026-03")
    assert (frame.theirs_usd[0], frame.reason[0]) == (1.0, "agrees")


def test_googles_report_has_days_of_pacific_time_and_other_services(log):
    early = datetime(2026, 3, 2, 7, 30, tzinfo=UTC)  # 23:30 of the day before in California
    add(log, model="gemini:gemini-2.5-flash", at=early, cost_usd=Decimal("1000.5"))
    frame = reconciliation.reconcile(EXPORTS / "google-reports.csv", "gemini", "2026-03")
    assert reasons(frame) == {"2026-03-01 gemini:gemini-2.5-flash": "agrees"}


def test_googles_cost_table_is_compared_by_month(log):
    for day in (2, 20):
        at = MARCH.replace(day=day)
        model = "gemini:gemini-2.5-flash-preview-09-2025"
        add(log, model=model, at=at, cost_usd=Decimal("1.125"))
    frame = reconciliation.reconcile(EXPORTS / "google-cost-table.csv", "gemini", "2026-03")
    assert frame.day.tolist() == ["2026-03"]
    assert (frame.runs[0], frame.reason[0]) == (2, "agrees")


def test_the_export_to_bigquery_is_known_too(log):
    row = {"usage_start_time": "2026-03-01 20:00:00 UTC", "cost": 1.0, "currency": "USD"}
    row["sku"] = {"description": "Generate content input token count gemini 2.5 pro"}
    add(log, model="gemini:gemini-2.5-pro", at=MARCH.replace(hour=20), cost_usd=Decimal(1))
    assert reconciliation.reconcile([row], "gemini", "2026-03").reason.tolist() == ["agrees"]


def own_report(**usd):
    rows = [{"day": "2026-03-01", "model": name, "cost_usd": cost} for name, cost in usd.items()]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("theirs", "known", "reason"),
    [
        (1.0, {"cost_usd": None}, "unpriced"),
        (1.0, {"cost_usd": Decimal("0.5"), "usage_source": "estimated"}, "estimated"),
        (0.5, {"cost_usd": Decimal(1), "usage_source": "estimated"}, "estimated"),
        (1.0, {"cost_usd": Decimal("0.5")}, "partly not through us"),
        (0.5, {"cost_usd": Decimal(1)}, "more than they count"),
        (1.0, {"cost_usd": Decimal("0.996")}, "agrees"),
        (0.0, {"cost_usd": Decimal("0.004")}, "agrees"),
    ],
)
def test_a_difference_has_a_reason(log, theirs, known, reason):
    add(log, model="openrouter:m", at=MARCH, **known)
    frame = reconciliation.reconcile(own_report(m=theirs), "openrouter", "2026-03")
    assert frame.reason.tolist() == [reason]


def test_unknown_costs_are_not_zero(log):
    add(log, model="openrouter:m", at=MARCH, cost_usd=None)
    [row] = reconciliation.reconcile(own_report(m=1.0), "openrouter", "2026-03").itertuples()
    assert pd.isna(row.ours_usd)
    assert row.difference_usd == 1.0


def test_runs_missing_in_the_report_are_listed(log):
    add(log, model="openrouter:other", at=MARCH, cost_usd=Decimal(1))
    add(log, model="openrouter:m", cached=True, at=MARCH, cost_usd=Decimal(0))
    add(log, model="openai:gpt-x", at=MARCH, cost_usd=Decimal(5))
    frame = reconciliation.reconcile(own_report(m=2.0), "openrouter", "2026-03")
    assert reasons(frame) == {
        "2026-03-01 openrouter:m": "not through us",
        "2026-03-01 openrouter:other": "not in the report",
    }


def test_a_bare_row_of_another_program_counts(log):
    add_row(log, model="openrouter:m", cost_usd=Decimal(2), started_at=MARCH)
    assert (
        reconciliation.reconcile(own_report(m=2.0), "openrouter", "2026-03").reason[0] == "agrees"
    )


@pytest.mark.parametrize(
    ("report", "provider", "month", "says"),
    [
        (pd.DataFrame({"spent": [1]}), "openai", "2026-03", "start_time_iso.*has spent"),
        (pd.DataFrame(), "openai", "2026-03", "has nothing"),
        (own_report(m=1.0), "openai", "2026-04", "goes from 2026-03-01 to 2026-03-01"),
        (own_report(m="much"), "openai", "2026-03", "the amount 'much'"),
        (own_report(m=1.0), "unknown", "2026-03", "provider is 'unknown'"),
        (own_report(m=1.0), "openai", "March", "month is 'March'"),
        (own_report(m=1.0), "openai", 3, "month is 3"),
        (5, "openai", "2026-03", "not int"),
        ("/no/such/file.csv", "openai", "2026-03", "cannot be read"),
        ([{"day": "some day", "cost_usd": 1}], "openai", "2026-03", "the day 'some day'"),
        (
            [{"date": "2026-03-01", "cost_usd": 1, "currency": "eur"}],
            "openai",
            "2026-03",
            "EUR; costs here are in USD",
        ),
    ],
)
def test_an_invalid_report_is_an_error_in_one_line(log, report, provider, month, says):
    with pytest.raises(InvalidParameterError, match=says) as error:
        reconciliation.reconcile(report, provider, month)
    assert "\n" not in str(error.value)


def test_a_file_without_a_report_is_an_error(log, export):
    with pytest.raises(InvalidParameterError, match="is not valid JSON"):
        reconciliation.reconcile(export("{", "x.json"), "openai", "2026-03")
    with pytest.raises(InvalidParameterError, match="has nothing"):
        reconciliation.reconcile(export(""), "openai", "2026-03")

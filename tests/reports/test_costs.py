"""What runs cost."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pandas as pd
import pytest

from llm_playground.reports import quality, run_rows, spending
from llm_playground.runlog import open_log
from llm_playground.types import Usage
from tests.reports.shelf import NEW_YEAR, add, add_row

COSTS = ["runs", "input_tokens", "output_tokens", "cost_usd", "at_least_usd"]
COSTS += ["unpriced_runs", "estimated_runs", "estimated_usd"]


def test_an_empty_log_gives_empty_frames_with_the_right_columns(log):
    assert list(spending.costs().columns) == ["month", "model", *COSTS]
    assert len(spending.costs()) == len(quality.latency()) == len(run_rows.runs()) == 0
    assert len(spending.costs(by=())) == 0
    assert pd.api.types.is_integer_dtype(spending.costs().runs.dtype)
    assert pd.api.types.is_float_dtype(spending.costs().cost_usd.dtype)
    assert run_rows.runs().started_at.dt.tz is not None


def test_costs_add_up_and_the_unknown_is_never_zero(log):
    add(log, cost_usd=Decimal("0.10"), usage=Usage(10, 20))
    add(log, cost_usd=Decimal("0.20"), usage=Usage(1, 2), usage_source="estimated")
    add(log, cost_usd=None, usage=None)
    add(log, model="ownserver:m", cost_usd=None)
    add(log, model="local:m", cost_usd=Decimal(0))
    frame = spending.costs().set_index("model")
    priced = frame.loc["openai:gpt-x"]
    assert (priced.month, priced.runs, priced.input_tokens, priced.output_tokens) == (
        "2026-01",
        3,
        11,
        22,
    )
    assert priced.cost_usd == pytest.approx(0.30)
    assert (priced.unpriced_runs, priced.estimated_runs) == (1, 1)
    assert pd.isna(frame.loc["ownserver:m"].cost_usd)
    assert frame.loc["ownserver:m"].unpriced_runs == 1
    assert frame.loc["local:m"].cost_usd == 0
    assert frame.loc["local:m"].unpriced_runs == 0


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        ("month", {"2025-12": 1, "2026-01": 2}),
        ("day", {"2025-12-31": 1, "2026-01-01": 2}),
        ("model", {"openai:gpt-x": 2, "local:m": 1}),
        ("provider", {"openai": 2, "local": 1}),
        ("user", {"ada": 2, "bob": 1}),
        ("notebook", {"n.ipynb": 1, None: 2}),
        ("tag", {"x": 2, "y": 1, None: 1}),
        ("status", {"completed": 2, "failed": 1}),
        ("tier", {"flex": 2, None: 1}),
    ],
)
def test_costs_are_grouped_by_what_is_named(log, by, groups):
    flex = Usage(1, 2, service_tier="flex")
    add(log, at=NEW_YEAR - timedelta(hours=1), tags=("x", "y"), usage=flex)
    add(log, user="bob", notebook="n.ipynb", tags=("x",), usage=flex)
    add(log, model="local:m", status="failed")
    frame = spending.costs(by=by)
    assert list(frame.columns) == [by, *COSTS]
    names = [None if pd.isna(name) else name for name in frame[by]]
    assert dict(zip(names, frame.runs, strict=True)) == groups


def test_several_names_group_together_in_their_order(log):
    add(log)
    add(log, user="bob")
    frame = spending.costs(by=["user", "month"])
    assert list(frame.columns)[:2] == ["user", "month"]
    assert frame.user.tolist() == ["ada", "bob"]


def test_no_name_gives_the_total(log):
    add(log, cost_usd=Decimal("0.1"))
    add(log, model="local:m", cost_usd=Decimal("0.2"))
    frame = spending.costs(by=())
    assert list(frame.columns) == COSTS
    assert frame.cost_usd[0] == pytest.approx(0.3)


def test_months_are_utc_unless_a_zone_is_named(log):
    add(log, at=datetime(2025, 12, 31, 23, 30, tzinfo=UTC))
    assert spending.costs(by="month").month.tolist() == ["2025-12"]
    assert spending.costs(by="month", tz="Europe/Berlin").month.tolist() == ["2026-01"]


def test_filters_hold_for_costs_and_latency_too(log):
    add(log, user="bob")
    add(log)
    assert spending.costs(by="model", user="bob").runs.tolist() == [1]
    assert quality.latency(user="bob").runs.tolist() == [1]


def test_a_bare_row_of_another_program_counts(log):
    row = {"model": "theirs:m", "provider": "theirs", "cost_usd": Decimal("0.5")}
    add_row(log, **row, status="completed", started_at=NEW_YEAR)
    add_row(log, **row, started_at=NEW_YEAR, response_time_ms=50.0)
    for by in ("month", "model", "provider", "user", "notebook", "tag", "status", "day"):
        frame = spending.costs(by=by)
        assert (frame.runs.sum(), frame.cost_usd.sum()) == (2, 1.0)
    assert quality.latency().runs.tolist() == [2]
    assert quality.latency().p50_ms.tolist() == [50]


@pytest.mark.parametrize("report", [spending.costs, quality.latency, quality.waste])
def test_what_needs_no_more_reads_results_alone(tmp_path, monkeypatch, report):
    """Seen by taking the other tables away."""
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", str(tmp_path / "runs.duckdb"))
    log = open_log(str(tmp_path / "runs.duckdb"))
    add(log)
    log.drain()
    for kind, name in (("VIEW", "runs"), ("TABLE", "executions"), ("TABLE", "prompts")):
        log.change(lambda session, what=f"{kind} {name}": session.execute(f"DROP {what}"))
    frame = report(by=("month", "model"), model="gpt-x", since="2026-01", status="completed")
    assert frame.runs.tolist() == [1]
    log.close()

"""Generated runs for trying reports."""

import json

import pandas as pd
import pytest

import llm_playground as lp
from llm_playground.errors import InvalidParameterError, RunLogError
from llm_playground.reports import quality, run_rows, savings, spending
from llm_playground.runlog import open_log


@pytest.fixture
def empty(tmp_path, monkeypatch):
    """A log without runs."""
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", str(tmp_path / "runs.duckdb"))
    log = open_log(str(tmp_path / "runs.duckdb"))
    yield log
    log.close()


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A log with demo runs, for those who only read."""
    with pytest.MonkeyPatch.context() as patch:
        path = str(tmp_path_factory.mktemp("demo") / "runs.duckdb")
        patch.setenv("LLM_PLAYGROUND_LOG", path)
        assert lp.demo_runs(3000) == 3000
        yield path
    open_log(path).close()


@pytest.fixture
def demo(filled, monkeypatch):
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", filled)


def test_every_report_has_something_to_show(demo):
    frames = {
        "costs": spending.costs(),
        "latency": quality.latency(),
        "failures": quality.failures(),
        "usage_by": spending.usage_by("notebook"),
        "waste": quality.waste(),
        "duplicates": run_rows.duplicates(),
        "what_if": savings.what_if("local"),
        "forecast": spending.forecast(),
        "prompt_cache": savings.prompt_cache(),
    }
    assert {name for name, frame in frames.items() if frame.empty} == set()
    assert frames["costs"].runs.sum() == 3000
    assert frames["costs"].month.nunique() >= 3
    assert frames["waste"].saved_usd.sum() > 0
    assert frames["waste"].truncated_runs.sum() > 0
    assert frames["prompt_cache"].missed_usd.iloc[0] > 0


def test_demo_runs_are_in_the_audit_log(empty):
    lp.demo_runs(2)
    [entry] = lp.audit(action="demo_runs").to_dict("records")
    assert json.loads(entry["detail"]) == {"runs": 2}


def test_demo_runs_say_what_they_are(demo):
    runs = run_rows.runs(limit=50)
    assert set(runs.source) == {"demo"}
    assert len(run_rows.runs(tag="demo")) == 3000
    assert (runs.started_at <= pd.Timestamp.now("UTC")).all()


def test_only_an_empty_log_is_filled(empty):
    lp.demo_runs(3)
    with pytest.raises(RunLogError, match="3 runs already"):
        lp.demo_runs(3)
    assert len(run_rows.runs()) == 3


@pytest.mark.parametrize("n", [0, -1, True, "5", 2.5, None, 10**9])
def test_what_is_no_number_of_runs_is_said(empty, n):
    with pytest.raises(InvalidParameterError, match="number of runs"):
        lp.demo_runs(n)


def test_the_runs_are_the_same_each_time_but_for_their_dates(tmp_path, monkeypatch):
    sums = []
    for name in ("one", "two"):
        monkeypatch.setenv("LLM_PLAYGROUND_LOG", str(tmp_path / f"{name}.duckdb"))
        lp.demo_runs(200)
        frame = spending.costs(by="model")
        sums.append((frame.model.tolist(), frame.output_tokens.tolist()))
        open_log().close()
    assert sums[0] == sums[1]

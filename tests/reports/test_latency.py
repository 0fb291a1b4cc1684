"""How fast answers came."""

import pandas as pd
import pytest

from llm_playground.reports import quality
from llm_playground.types import Usage
from tests.reports.shelf import add

LATENCY = ["runs", "p50_ms", "p95_ms", "p99_ms", "ttft_p50_ms", "ttft_p95_ms"]
LATENCY += ["tokens_per_second", "error_rate"]


def test_latency_is_over_completed_runs_and_errors_over_all(log):
    for ms in range(1, 101):
        add(log, response_time_ms=float(ms), ttft_ms=float(ms) / 2, usage=Usage(1, ms))
    add(log, status="failed", response_time_ms=99_999.0)
    add(log, cached=True, response_time_ms=0.0)
    frame = quality.latency()
    assert list(frame.columns) == ["model", *LATENCY]
    row = frame.iloc[0]
    times = pd.Series(range(1, 101), dtype=float)
    assert row.runs == 101
    assert row.p50_ms == pytest.approx(times.quantile(0.50))
    assert row.p95_ms == pytest.approx(times.quantile(0.95))
    assert row.p99_ms == pytest.approx(times.quantile(0.99))
    assert row.ttft_p50_ms == pytest.approx(times.quantile(0.50) / 2)
    assert row.ttft_p95_ms == pytest.approx(times.quantile(0.95) / 2)
    assert row.tokens_per_second == pytest.approx(2_000)
    assert row.error_rate == pytest.approx(1 / 101)


def test_runs_that_never_answered_have_no_latency(log):
    add(log, status="failed", ttft_ms=None, response_time_ms=None)
    row = quality.latency().iloc[0]
    assert pd.isna(row.p50_ms)
    assert pd.isna(row.tokens_per_second)
    assert row.error_rate == 1.0

"""How fast answers came."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Unpack

from llm_playground.reports.filters import Filters
from llm_playground.reports.groups import STATUS, STATUS_OF_R, By, grouped

if TYPE_CHECKING:
    import pandas as pd


def _percentile(share: float, of: str, where: str = "true") -> str:
    return (
        f"percentile_cont({share}) WITHIN GROUP (ORDER BY {of}) "
        f"FILTER (WHERE {STATUS} = 'completed' AND {where})"
    )


_SPEED = "output_tokens * 1000::FLOAT8 / nullif(response_time_ms - ttft_ms, 0)"
_FIGURES = f"""
    count(*) AS runs,
    {_percentile(0.50, "response_time_ms")} AS p50_ms,
    {_percentile(0.95, "response_time_ms")} AS p95_ms,
    {_percentile(0.99, "response_time_ms")} AS p99_ms,
    {_percentile(0.50, "ttft_ms")} AS ttft_p50_ms,
    {_percentile(0.95, "ttft_ms")} AS ttft_p95_ms,
    {_percentile(0.50, _SPEED, "response_time_ms > ttft_ms")} AS tokens_per_second,
    count(*) FILTER (WHERE status = 'failed')::FLOAT8 / count(*) AS error_rate
"""
SENT = f"NOT coalesce(r.cached, false) AND {STATUS_OF_R} NOT IN ('running', 'over_budget')"


def latency(
    by: By | Sequence[By] = ("model",),
    *,
    tz: str = "UTC",
    **filters: Unpack[Filters],
) -> pd.DataFrame:
    """How fast answers came, in ms: percentiles over completed runs, median tokens per second.

    ``runs`` counts those that were sent and have ended, re-used answers left out;
    ``error_rate`` is the share of them that failed.

    Args:
        by: month, day, model, provider, user, notebook, tag, status; one or several.
        tz: The time zone whose months and days count.
        **filters: See :class:`Filters`.

    Raises:
        InvalidParameterError: ``by``, ``tz`` or a filter cannot be understood.
        RunLogError: The log cannot be read.
    """
    return grouped(_FIGURES, by, filters, which=SENT, tz=tz)

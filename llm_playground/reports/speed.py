"""How fast answers came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Unpack

from llm_playground.reports.filters import Filters
from llm_playground.reports.groups import STATUS, STATUS_OF_R, By, grouped

if TYPE_CHECKING:
    import pandas as pd


def _percentiles(of: str, names: Mapping[float, str], where: str = "true") -> str:
    """Percentiles over completed runs, asked for together: alone each would sort anew."""
    together = (
        f"percentile_cont(ARRAY[{', '.join(map(str, names))}]) WITHIN GROUP (ORDER BY {of}) "
        f"FILTER (WHERE {STATUS} = 'completed' AND {where})"
    )
    places = enumerate(names.values(), start=1)
    return ", ".join(f"({together})[{place}] AS {name}" for place, name in places)


_SPEED = "output_tokens * 1000::FLOAT8 / nullif(response_time_ms - ttft_ms, 0)"
_FIGURES = f"""
    count(*) AS runs,
    {_percentiles("response_time_ms", {0.50: "p50_ms", 0.95: "p95_ms", 0.99: "p99_ms"})},
    {_percentiles("ttft_ms", {0.50: "ttft_p50_ms", 0.95: "ttft_p95_ms"})},
    {_percentiles(_SPEED, {0.50: "tokens_per_second"}, "response_time_ms > ttft_ms")},
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

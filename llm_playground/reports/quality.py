"""How fast answers were, which runs failed, and what was spent without a complete answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Unpack

from llm_playground._validation import checks_arguments
from llm_playground.reports.query import (
    SENT,
    STATUS,
    By,
    Filters,
    check_filters,
    grouped,
    is_time,
    names_of,
    report,
)
from llm_playground.runlog import open_log
from llm_playground.runlog.store import Dialect

if TYPE_CHECKING:
    import pandas as pd


def _percentiles(of: str, names: Mapping[float, str], where: str = "true") -> str:
    """Percentiles over completed runs, in one expression so that the engine sorts once."""
    together = (
        f"percentile_cont(ARRAY[{', '.join(map(str, names))}]) WITHIN GROUP (ORDER BY {of}) "
        f"FILTER (WHERE {STATUS} = 'completed' AND {is_time(of)} AND {where})"
    )
    indexes = enumerate(names.values(), start=1)
    return ", ".join(f"({together})[{index}] AS {name}" for index, name in indexes)


_SPEED = "(output_tokens * 1000::FLOAT8 / nullif(response_time_ms - ttft_ms, 0))"
_LATENCY = f"""
    count(*) AS runs,
    {_percentiles("response_time_ms", {0.50: "p50_ms", 0.95: "p95_ms", 0.99: "p99_ms"})},
    {_percentiles("ttft_ms", {0.50: "ttft_p50_ms", 0.95: "ttft_p95_ms"})},
    {_percentiles(_SPEED, {0.50: "tokens_per_second"}, "response_time_ms > ttft_ms")},
    count(*) FILTER (WHERE status = 'failed')::FLOAT8 / count(*) AS error_rate
"""
_IS_FAILURE = f"{STATUS} IN ('failed', 'blocked', 'interrupted', 'over_budget')"
_LAST = f"ORDER BY started_at DESC NULLS LAST, id DESC) FILTER (WHERE {_IS_FAILURE})"
_FAILURES = f"""
SELECT {{shown}}wrong AS status, error AS error_type, runs, last_message, rate, first_at, last_at,
    last_run_id
FROM (
    SELECT {{columns}}CASE WHEN {_IS_FAILURE} THEN status END AS wrong,
        CASE WHEN {_IS_FAILURE} THEN error_type END AS error,
        count(*) AS runs,
        count(*)::FLOAT8 / (sum(count(*)) OVER (PARTITION BY {{columns}}true))::FLOAT8 AS rate,
        min(started_at) AS first_at, max(started_at) AS last_at,
        (array_agg(error_message {_LAST})[1] AS last_message,
        (array_agg(id {_LAST})[1] AS last_run_id
    FROM ({{runs}}) AS chosen
    GROUP BY {{columns}}wrong, error
) AS counted
WHERE wrong IS NOT NULL
ORDER BY runs DESC, {{order}}wrong COLLATE "C", error COLLATE "C" NULLS LAST
"""  # noqa: S608 - names of columns
# By the start of its columns' names; each run is of one kind at most.
WASTE_KINDS = {
    "cancelled": f"{STATUS} IN ('cancelled', 'interrupted')",
    "truncated": f"{STATUS} = 'completed' AND finish_reason = 'length'",
    "blocked": f"{STATUS} = 'blocked'",
    "failed": f"{STATUS} = 'failed'",
}
ATTEMPTS: dict[Dialect, str] = {
    "duckdb": "json_array_length(attempts)::BIGINT",
    "postgres": "CASE WHEN jsonb_typeof(attempts) = 'array' THEN jsonb_array_length(attempts) END",
}


@checks_arguments("latency")
def latency(
    by: By | Sequence[By] = ("model",),
    *,
    tz: str = "UTC",
    **filters: Unpack[Filters],
) -> pd.DataFrame:
    """Response times in ms: percentiles over completed runs.

    Columns: those of ``by``, ``runs`` (sent and ended; re-used answers are left out), ``p50_ms``,
    ``p95_ms``, ``p99_ms``, ``ttft_p50_ms``, ``ttft_p95_ms`` (time to first token),
    ``tokens_per_second`` (median) and ``error_rate`` (the share of ``runs`` that failed).

    Args:
        by: month, day, model, provider, user, notebook, tag, tier, status; one or several.
        tz: The time zone of months and days.
        **filters: See :class:`Filters`.

    Raises:
        InvalidParameterError: ``by``, ``tz`` or a filter is invalid.
        RunLogError: The log cannot be read.
    """
    check_filters(filters, latency)
    return grouped(_LATENCY, by, filters, which=SENT, tz=tz)


@checks_arguments("failures")
def failures(
    by: By | Sequence[By] = ("model",),
    *,
    tz: str = "UTC",
    **filters: Unpack[Filters],
) -> pd.DataFrame:
    """Runs that failed, were blocked, interrupted or over a budget, the most frequent first.

    Columns: those of ``by``, ``status``, ``error_type``, ``runs``, ``last_message``, ``rate``
    (their share of all runs of the group), ``first_at``, ``last_at`` and ``last_run_id``.

    Args:
        by: month, day, model, provider, user, notebook, tag, tier; one or several.
        tz: The time zone of months and days.
        **filters: See :class:`Filters`.

    Raises:
        InvalidParameterError: ``by``, ``tz`` or a filter is invalid.
        RunLogError: The log cannot be read.
    """
    check_filters(filters, failures)
    names = [name for name in names_of(by) if name != "status"]  # which is a column already
    return report(_FAILURES, names, filters, which="NOT coalesce(r.cached, false)", tz=tz)


@checks_arguments("waste")
def waste(
    by: By | Sequence[By] = ("model",),
    *,
    tz: str = "UTC",
    **filters: Unpack[Filters],
) -> pd.DataFrame:
    """What was spent on answers that were cancelled, cut off, blocked or failed, and on retries.

    Columns: those of ``by``, ``runs``, ``cost_usd``; ``wasted_usd``, the sum of ``cancelled_usd``
    (interrupted ones too), ``truncated_usd`` (cut off at ``max_tokens``), ``blocked_usd`` and
    ``failed_usd``, each also with its ``_runs``; ``retries`` (attempts after the first);
    ``saved_usd``, the cost that the ``reused_runs`` saved. An amount is NaN where there are such
    runs and none of their prices is known.

    Args:
        by: month, day, model, provider, user, notebook, tag, tier, status; one or several.
        tz: The time zone of months and days.
        **filters: See :class:`Filters`.

    Raises:
        InvalidParameterError: ``by``, ``tz`` or a filter is invalid.
        RunLogError: The log cannot be read.
    """
    check_filters(filters, waste)
    return grouped(_waste_figures(ATTEMPTS[open_log().dialect]), by, filters, tz=tz)


def _waste_figures(attempts: str) -> str:
    any_kind = " OR ".join(f"({which})" for which in WASTE_KINDS.values())
    columns = {
        "runs": "count(*)",
        "cost_usd": "sum(cost_usd)::FLOAT8",
        "wasted_usd": _sum("cost_usd", any_kind),
    }
    columns |= {f"{kind}_usd": _sum("cost_usd", which) for kind, which in WASTE_KINDS.items()}
    columns |= {
        f"{kind}_runs": f"count(*) FILTER (WHERE {which})" for kind, which in WASTE_KINDS.items()
    }
    columns |= {
        "retries": f"coalesce(sum(greatest({attempts} - 1, 0)), 0)::BIGINT",
        "saved_usd": _sum("saved_usd", "cached"),
        "reused_runs": "count(*) FILTER (WHERE cached)",
    }
    return ", ".join(f"{sql} AS {name}" for name, sql in columns.items())


def _sum(amount: str, which: str) -> str:
    """A sum that is 0 where no run matches, and NULL where none of the matching has an amount."""
    return (
        f"(CASE WHEN count(*) FILTER (WHERE {which}) = 0 THEN 0 "
        f"ELSE sum({amount}) FILTER (WHERE {which}) END)::FLOAT8"
    )

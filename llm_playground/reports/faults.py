"""What went wrong, and how often."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Unpack

from llm_playground.reports.filters import Filters, condition
from llm_playground.reports.groups import STATUS, By, chosen, keys_of
from llm_playground.runlog import open_log

if TYPE_CHECKING:
    import pandas as pd

_WRONG = f"{STATUS} IN ('failed', 'blocked', 'interrupted', 'over_budget')"
_LAST = f"ORDER BY started_at DESC NULLS LAST, id DESC) FILTER (WHERE {_WRONG})"
_REPORT = f"""
SELECT {{shown}}wrong AS status, error AS error_type, runs, rate, first_at, last_at,
    last_message, last_run_id
FROM (
    SELECT {{columns}}CASE WHEN {_WRONG} THEN status END AS wrong,
        CASE WHEN {_WRONG} THEN error_type END AS error,
        count(*) AS runs,
        count(*)::FLOAT8 / (sum(count(*)) OVER ({{partition}}))::FLOAT8 AS rate,
        min(started_at) AS first_at, max(started_at) AS last_at,
        (array_agg(error_message {_LAST})[1] AS last_message,
        (array_agg(id {_LAST})[1] AS last_run_id
    FROM ({{chosen}}) AS chosen
    GROUP BY {{columns}}wrong, error
) AS counted
WHERE wrong IS NOT NULL
ORDER BY runs DESC, {{order}}wrong COLLATE "C", error COLLATE "C" NULLS LAST
"""  # noqa: S608 - constants of this module


def failures(
    by: By | Sequence[By] = ("model",),
    *,
    tz: str = "UTC",
    **filters: Unpack[Filters],
) -> pd.DataFrame:
    """Runs that failed, were blocked, interrupted or over a budget, the most frequent first.

    The ``by`` columns, ``status``, ``error_type``, ``runs``, ``rate`` (their share of all runs of
    the group), ``first_at``, ``last_at``, ``last_message`` and ``last_run_id``.

    Args:
        by: month, day, model, provider, user, notebook, tag; one or several.
        tz: The time zone whose months and days count.
        **filters: See :class:`Filters`.

    Raises:
        InvalidParameterError: ``by``, ``tz`` or a filter cannot be understood.
        RunLogError: The log cannot be read.
    """
    log = open_log()
    keys, where = keys_of(_without_status(by), tz, log.dialect), condition(filters, log.dialect)
    query = _REPORT.format(
        shown=keys.shown,
        columns=f"{keys.columns}, " if keys.columns else "",
        partition=f"PARTITION BY {keys.columns}" if keys.columns else "",
        order=f"{keys.order}, " if keys.order else "",
        chosen=chosen(keys, where, "NOT coalesce(r.cached, false)"),
    )
    return log.frame(query, {**keys.values, **where.values})


def _without_status(by: By | Sequence[By]) -> Sequence[By]:
    """Status is a column of its own already."""
    names: Sequence[By] = [by] if isinstance(by, str) else by
    return [name for name in names if name != "status"] if isinstance(names, Sequence) else names

"""What was paid, or tried, for nothing; and what re-use saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Unpack

from llm_playground.reports.filters import Filters
from llm_playground.reports.groups import STATUS, By, grouped
from llm_playground.runlog import Dialect, open_log

if TYPE_CHECKING:
    import pandas as pd

# Each run is of one kind at most.
_KINDS = {
    "cancelled": f"{STATUS} IN ('cancelled', 'interrupted')",
    "truncated": f"{STATUS} = 'completed' AND finish_reason = 'length'",
    "blocked": f"{STATUS} = 'blocked'",
    "failed": f"{STATUS} = 'failed'",
}
_ATTEMPTS: dict[Dialect, str] = {
    "duckdb": "json_array_length(attempts)::BIGINT",
    "postgres": "CASE WHEN jsonb_typeof(attempts) = 'array' THEN jsonb_array_length(attempts) END",
}


def waste(
    by: By | Sequence[By] = ("model",),
    *,
    tz: str = "UTC",
    **filters: Unpack[Filters],
) -> pd.DataFrame:
    """What brought nothing whole: retries, and answers stopped, cut off, blocked or failed.

    The ``by`` columns, ``runs``, ``cost_usd``; ``retries`` (attempts after the first);
    ``cancelled_runs`` (interrupted ones too), ``truncated_runs`` (cut off at ``max_tokens``),
    ``blocked_runs``, ``failed_runs``, each with its ``_usd``; ``wasted_usd``, their sum;
    ``reused_runs`` and ``saved_usd``, what answers out of the log did not cost again. An amount is
    NaN where there are such runs and nobody knows the price of any.

    Args:
        by: month, day, model, provider, user, notebook, tag, status; one or several.
        tz: The time zone whose months and days count.
        **filters: See :class:`Filters`.

    Raises:
        InvalidParameterError: ``by``, ``tz`` or a filter cannot be understood.
        RunLogError: The log cannot be read.
    """
    return grouped(_figures(_ATTEMPTS[open_log().dialect]), by, filters, tz=tz)


def _figures(attempts: str) -> str:
    any_kind = " OR ".join(f"({which})" for which in _KINDS.values())
    columns: Mapping[str, str] = {
        "runs": "count(*)",
        "cost_usd": "sum(cost_usd)::FLOAT8",
        "retries": f"coalesce(sum(greatest({attempts} - 1, 0)), 0)::BIGINT",
        **{
            name: sql
            for kind, which in _KINDS.items()
            for name, sql in {
                f"{kind}_runs": f"count(*) FILTER (WHERE {which})",
                f"{kind}_usd": _sum("cost_usd", which),
            }.items()
        },
        "wasted_usd": _sum("cost_usd", any_kind),
        "reused_runs": "count(*) FILTER (WHERE cached)",
        "saved_usd": _sum("saved_usd", "cached"),
    }
    return ", ".join(f"{sql} AS {name}" for name, sql in columns.items())


def _sum(of: str, which: str) -> str:
    """A sum that is 0 where there is nothing to sum up, and NULL where nothing is known."""
    return (
        f"(CASE WHEN count(*) FILTER (WHERE {which}) = 0 THEN 0 "
        f"ELSE sum({of}) FILTER (WHERE {which}) END)::FLOAT8"
    )

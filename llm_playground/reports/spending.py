"""What runs cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Unpack

from llm_playground.reports import moments
from llm_playground.reports.filters import Filters, condition
from llm_playground.reports.groups import STATUS, By, chosen, grouped, keys_of
from llm_playground.runlog import open_log

if TYPE_CHECKING:
    import pandas as pd

# Runs that ended after something was used, without a price that anybody knows. A CASE in a CASE:
# nearly all runs have a cost, and DuckDB would look at every status first.
UNPRICED_RUNS = f"""count(CASE WHEN cost_usd IS NULL THEN
        CASE WHEN {STATUS} NOT IN ('running', 'over_budget')
            AND (usage_source IS DISTINCT FROM 'none' OR {STATUS} = 'completed') THEN 1 END
    END)"""
FIGURES = f"""
    count(*) AS runs,
    sum(input_tokens)::BIGINT AS input_tokens,
    sum(output_tokens)::BIGINT AS output_tokens,
    sum(cost_usd)::FLOAT8 AS cost_usd,
    {UNPRICED_RUNS} AS unpriced_runs,
    count(*) FILTER (WHERE usage_source = 'estimated') AS estimated_runs
"""
# The table `monthly_costs` in the words of the tables it sums up: one row for many runs.
_SUMMED = """
    (SELECT *, (month || '-01')::TIMESTAMP AT TIME ZONE 'UTC' AS started_at FROM monthly_costs) AS r
    CROSS JOIN LATERAL (SELECT r.username, r.notebook) AS e
"""
_SUMMED_BY = {"month", "model", "provider", "user", "notebook", "status"}
_SUMMED_FILTERS = {"model", "user", "notebook", "status", "since", "until"}
_FIGURES_OF_SUMS = """
    sum(runs)::BIGINT AS runs, sum(input_tokens)::BIGINT AS input_tokens,
    sum(output_tokens)::BIGINT AS output_tokens, sum(cost_usd)::FLOAT8 AS cost_usd,
    sum(unpriced_runs)::BIGINT AS unpriced_runs, sum(estimated_runs)::BIGINT AS estimated_runs
"""
_SUMS = f"""
SELECT {{shown}}{_FIGURES_OF_SUMS} FROM (
    SELECT {{columns}}{_FIGURES_OF_SUMS} FROM ({{summed}}) AS summed GROUP BY {{group}}
    UNION ALL
    SELECT {{columns}}{FIGURES} FROM ({{later}}) AS later GROUP BY {{group}}
) AS both_parts
GROUP BY {{group}} HAVING sum(runs) > 0 ORDER BY {{order}}
"""  # noqa: S608 - constants of this module


def costs(
    by: By | Sequence[By] = ("month", "model"),
    *,
    tz: str = "UTC",
    **filters: Unpack[Filters],
) -> pd.DataFrame:
    """What runs cost: the ``by`` columns, runs, tokens, ``cost_usd``, and how sure that is.

    ``cost_usd`` is NaN where no run's price is known, never 0. ``unpriced_runs`` ended without a
    known price; ``estimated_runs`` have tokens counted here, not by the provider. On PostgreSQL,
    months that are summed up are not counted again.

    Args:
        by: month, day, model, provider, user, notebook, tag, status; one or several.
        tz: The time zone whose months and days count, for example ``"Europe/Berlin"``.
        **filters: See :class:`Filters`.

    Raises:
        InvalidParameterError: ``by``, ``tz`` or a filter cannot be understood.
        RunLogError: The log cannot be read.
    """
    log = open_log()
    sums = log.dialect == "postgres" and _may_be_summed(by, tz, filters)
    until = log.summed_until() if sums else None
    if until is None:
        return grouped(FIGURES, by, filters, tz=tz)
    keys, where = keys_of(by, tz, log.dialect), condition(filters, log.dialect)
    query = _SUMS.format(
        shown=keys.shown,
        columns=f"{keys.columns}, " if keys.columns else "",
        group=keys.columns or "()",
        order=keys.order or "1",
        summed=f"SELECT {keys.inner}r.* FROM {_SUMMED} WHERE {where.sql} "  # noqa: S608 - constants
        "AND r.started_at < $summed_until::TIMESTAMPTZ",
        later=chosen(keys, where, "(r.started_at < $summed_until::TIMESTAMPTZ) IS NOT TRUE"),
    )
    return log.frame(query, {**keys.values, **where.values, "summed_until": until})


def _may_be_summed(by: object, tz: str, filters: Filters) -> bool:
    """Whether whole months of the summary can tell: its columns, its months."""
    names = {by} if isinstance(by, str) else set(by) if isinstance(by, (list, tuple)) else {""}
    given = {name for name, value in filters.items() if value is not None}
    starts = [filters[name] for name in ("since", "until") if name in given]
    return (
        names <= _SUMMED_BY
        and given <= _SUMMED_FILTERS
        and tz == "UTC"
        and all(moments.is_month(when) for when in starts)
    )

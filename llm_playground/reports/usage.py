"""Who uses what, and how much."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from llm_playground.reports.filters import Filters
from llm_playground.reports.groups import By, grouped
from llm_playground.reports.spending import UNPRICED_RUNS

if TYPE_CHECKING:
    import pandas as pd

_FIGURES = f"""
    count(*) AS runs,
    count(DISTINCT prompt_hash) AS prompts,
    count(DISTINCT model) AS models,
    sum(input_tokens)::BIGINT AS input_tokens,
    sum(output_tokens)::BIGINT AS output_tokens,
    sum(cost_usd)::FLOAT8 AS cost_usd,
    {UNPRICED_RUNS} AS unpriced_runs,
    count(*) FILTER (WHERE status = 'failed') AS failed_runs,
    min(started_at) AS first_at,
    max(started_at) AS last_at
"""


def usage_by(
    who: By = "user",
    *,
    tz: str = "UTC",
    **filters: Unpack[Filters],
) -> pd.DataFrame:
    """Who, or which notebook or tag, uses how much: those that cost most first.

    A column named as ``who``, then ``runs``, ``prompts`` and ``models`` (different ones), tokens,
    ``cost_usd`` (NaN where no price is known), ``unpriced_runs``, ``failed_runs``, ``first_at``,
    ``last_at``. A run counts once under each of its tags.

    Args:
        who: user, notebook, tag, or any other name that ``costs(by=)`` takes.
        tz: The time zone whose months and days count.
        **filters: See :class:`Filters`.

    Raises:
        InvalidParameterError: ``who`` or a filter cannot be understood.
        RunLogError: The log cannot be read.
    """
    order = "sum(cost_usd) DESC NULLS LAST, count(*) DESC, 1"
    return grouped(_FIGURES, who, filters, tz=tz, order=order)

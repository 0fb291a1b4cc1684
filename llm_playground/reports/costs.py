"""What runs cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Unpack

from llm_playground.reports.filters import Filters
from llm_playground.reports.groups import STATUS, By, grouped

if TYPE_CHECKING:
    import pandas as pd

# A run that ended after something was used, without a price that anybody knows.
UNPRICED = f"""cost_usd IS NULL AND {STATUS} NOT IN ('running', 'over_budget')
        AND (usage_source IS DISTINCT FROM 'none' OR {STATUS} = 'completed')"""
FIGURES = f"""
    count(*) AS runs,
    sum(input_tokens)::BIGINT AS input_tokens,
    sum(output_tokens)::BIGINT AS output_tokens,
    sum(cost_usd)::FLOAT8 AS cost_usd,
    count(*) FILTER (WHERE {UNPRICED}) AS unpriced_runs,
    count(*) FILTER (WHERE usage_source = 'estimated') AS estimated_runs
"""


def costs(
    by: By | Sequence[By] = ("month", "model"),
    *,
    tz: str = "UTC",
    **filters: Unpack[Filters],
) -> pd.DataFrame:
    """What runs cost: the ``by`` columns, runs, tokens, ``cost_usd``, and how sure that is.

    ``cost_usd`` is NaN where no run's price is known, never 0. ``unpriced_runs`` ended without a
    known price; ``estimated_runs`` have tokens counted here, not by the provider.

    Args:
        by: month, day, model, provider, user, notebook, tag, status; one or several.
        tz: The time zone whose months and days count, for example ``"Europe/Berlin"``.
        **filters: See :class:`Filters`.

    Raises:
        InvalidParameterError: ``by``, ``tz`` or a filter cannot be understood.
        RunLogError: The log cannot be read.
    """
    return grouped(FIGURES, by, filters, tz=tz)

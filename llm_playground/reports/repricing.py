"""What past runs would have cost on another model."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Unpack

from llm_playground.capabilities import resolve_model
from llm_playground.errors import InvalidParameterError
from llm_playground.reports.filters import Filters, condition
from llm_playground.reports.groups import STATUS, By, chosen, keys_of
from llm_playground.reports.speed import SENT
from llm_playground.reports.tariff import Tariff
from llm_playground.runlog import open_log
from llm_playground.types import Usage

if TYPE_CHECKING:
    import pandas as pd

# Within a tier, the price of sums of tokens is the sum of their runs' prices. Tier -1: the counts
# are unknown or contradict each other, so nobody knows.
_SUMS = f"""
SELECT {{shown}}tier, cost_usd IS NOT NULL AS priced, count(*) AS runs,
    count(*) FILTER (WHERE tier = -1
        AND (usage_source IS DISTINCT FROM 'none' OR {STATUS} = 'completed')) AS unknown_runs,
    sum(input_tokens)::BIGINT AS input_tokens, sum(output_tokens)::BIGINT AS output_tokens,
    sum(cache_read_tokens)::BIGINT AS cache_read_tokens,
    sum(cache_write_tokens)::BIGINT AS cache_write_tokens, sum(cost_usd)::FLOAT8 AS cost_usd
FROM (
    SELECT *, CASE
        WHEN input_tokens + output_tokens IS NULL
            OR coalesce(cache_read_tokens, 0) + coalesce(cache_write_tokens, 0) > input_tokens
            OR least(input_tokens, output_tokens, cache_read_tokens, cache_write_tokens) < 0
        THEN -1 ELSE {{tier}} END AS tier
    FROM ({{chosen}}) AS chosen
) AS told
GROUP BY {{columns}}tier, cost_usd IS NOT NULL
ORDER BY {{order}}tier
"""  # noqa: S608 - constants of this module
_AMOUNTS = ("runs", "input_tokens", "output_tokens")
_USD = ("cost_usd", "what_if_usd", "difference_usd")


def what_if(
    other: str = "",
    /,
    by: By | Sequence[By] = ("model",),
    *,
    tz: str = "UTC",
    **filters: Unpack[Filters],
) -> pd.DataFrame:
    """What runs of the past would cost on another model, at its prices of today, tiers included.

    The ``by`` columns, ``runs`` (sent and ended), ``input_tokens``, ``output_tokens``,
    ``cost_usd`` (what they cost, where known), ``what_if_usd``, ``difference_usd`` (over the runs
    where both are known) and ``unknown_runs`` (their tokens are unknown or contradict each other,
    so they are in no amount). The same tokens are assumed, cached ones too; another model counts
    and caches differently.

    Args:
        other: The other model, ``provider:name`` or a bare name. (``model=`` chooses runs.)
        by: month, day, model, provider, user, notebook, tag, status; one or several.
        tz: The time zone whose months and days count.
        **filters: See :class:`Filters`.

    Raises:
        UnknownModelError: The name resolves to no model.
        InvalidParameterError: Nobody knows its price, or ``by``, ``tz`` or a filter cannot be
            understood.
        RunLogError: The log cannot be read.

    Example:
        >>> float(what_if("local", by="month", since="2026-01").what_if_usd.sum())
        0.0
    """
    if not other:
        raise InvalidParameterError('what_if takes the other model first: what_if("claude-...").')
    tariff = Tariff.of(resolve_model(other), datetime.now(UTC))
    log = open_log()
    keys, where = keys_of(by, tz, log.dialect), condition(filters, log.dialect)
    query = _SUMS.format(
        shown=keys.shown,
        columns=f"{keys.columns}, " if keys.columns else "",
        order=f"{keys.order}, " if keys.order else "",
        tier=tariff.tier("input_tokens"),
        chosen=chosen(keys, where, SENT),
    )
    sums = log.frame(query, {**keys.values, **where.values})
    return _together(_priced(sums, tariff), list(keys.names))


def _priced(sums: pd.DataFrame, tariff: Tariff) -> pd.DataFrame:
    """With ``what_if_usd``, and what of the cost can be compared with it."""
    import pandas as pd

    what_if_usd = pd.Series([_price(row, tariff) for row in sums.itertuples()], dtype="float64")
    known = what_if_usd.notna()
    return sums.assign(
        what_if_usd=what_if_usd,
        difference_usd=(what_if_usd - sums.cost_usd).where(known & sums.priced.astype(bool)),
    )


def _price(row: Any, tariff: Tariff) -> float | None:  # noqa: ANN401 - a row of a frame
    from pandas import isna

    if row.tier < 0:
        return None
    counts = (row.input_tokens, row.output_tokens, row.cache_read_tokens, row.cache_write_tokens)
    usage = Usage(*(0 if isna(count) else int(count) for count in counts))
    return float(tariff.tiers[row.tier].price(row.runs, usage))


def _together(priced: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """One row for each group; an amount is NaN where none of its parts is known."""
    import pandas as pd

    columns = [*_AMOUNTS, *_USD, "unknown_runs"]
    least = {**dict.fromkeys(columns, 0), **dict.fromkeys(_USD, 1)}
    if not names:
        sums = {name: priced[name].sum(min_count=least[name]) for name in columns}
        return pd.DataFrame([sums] if len(priced) else [], columns=columns)
    groups = priced.groupby(names, dropna=False, sort=False)
    together = pd.DataFrame({name: groups[name].sum(min_count=least[name]) for name in columns})
    return together.reset_index()[[*names, *columns]]

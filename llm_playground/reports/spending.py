"""What runs cost: by group, by who made them, and what the month is expected to cost."""

from __future__ import annotations

import math
from calendar import monthrange
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Unpack

from llm_playground._validation import checks_arguments
from llm_playground.errors import InvalidParameterError
from llm_playground.reports import moments, query
from llm_playground.reports.moments import When
from llm_playground.reports.query import STATUS, By, Filters, check_filters, grouped
from llm_playground.runlog import open_log

if TYPE_CHECKING:
    import pandas as pd


# Runs that ended, used tokens and have no known price.
IS_UNPRICED = f"""cost_usd IS NULL AND {STATUS} NOT IN ('running', 'over_budget')
    AND (usage_source IS DISTINCT FROM 'none' OR {STATUS} = 'completed')"""
# The number of these. Two nested CASEs, since nearly all runs have
# a cost: in a single one, DuckDB evaluates every status first.
_UNPRICED_RUNS = f"""count(CASE WHEN cost_usd IS NULL THEN
        CASE WHEN {STATUS} NOT IN ('running', 'over_budget')
            AND (usage_source IS DISTINCT FROM 'none' OR {STATUS} = 'completed') THEN 1 END
    END)"""
_SUMS = f"""
    {query.summed("input_tokens")} AS input_tokens,
    {query.summed("output_tokens")} AS output_tokens,
    sum(cost_usd)::FLOAT8 AS cost_usd,
    sum(at_least_usd)::FLOAT8 AS at_least_usd
"""
FIGURES = f"""
    count(*) AS runs, {_SUMS},
    {_UNPRICED_RUNS} AS unpriced_runs,
    count(*) FILTER (WHERE usage_source = 'estimated') AS estimated_runs,
    (sum(cost_usd) FILTER (WHERE usage_source = 'estimated'))::FLOAT8 AS estimated_usd
"""
# `monthly_costs`, one row for many runs, with the columns that filters and groups refer to.
_SUMMED = """
    (SELECT *, (month || '-01')::TIMESTAMP AT TIME ZONE 'UTC' AS started_at FROM monthly_costs) AS r
    CROSS JOIN LATERAL (SELECT r.username, r.notebook) AS e
"""
_SUMMED_BY = {"month", "model", "provider", "user", "notebook", "status"}
_SUMMED_FILTERS = {"model", "provider", "user", "notebook", "status", "since", "until"}
_FIGURES_OF_SUMS = f"""
    sum(runs)::BIGINT AS runs, {_SUMS},
    sum(unpriced_runs)::BIGINT AS unpriced_runs, sum(estimated_runs)::BIGINT AS estimated_runs,
    sum(estimated_usd)::FLOAT8 AS estimated_usd
"""
_COSTS_WITH_SUMS = f"""
SELECT {{shown}}{_FIGURES_OF_SUMS} FROM (
    SELECT {{columns}}{_FIGURES_OF_SUMS} FROM (
        SELECT {{inner}}r.* FROM {_SUMMED}
        WHERE {{where}} AND r.started_at < $summed_until::TIMESTAMPTZ
    ) AS summed GROUP BY {{group}}
    UNION ALL
    SELECT {{columns}}{FIGURES} FROM ({{runs}}) AS later GROUP BY {{group}}
) AS both_parts
GROUP BY {{group}} HAVING sum(runs) > 0 ORDER BY {{order_or_1}}
"""  # noqa: S608 - names of columns
_USAGE = f"""
    count(*) AS runs,
    count(DISTINCT prompt_hash) AS prompts,
    count(DISTINCT model) AS models, {_SUMS},
    {_UNPRICED_RUNS} AS unpriced_runs,
    count(*) FILTER (WHERE status = 'failed') AS failed_runs,
    min(started_at) AS first_at,
    max(started_at) AS last_at
"""
_FORECAST_COLUMNS = (
    *("month", "spent_usd", "daily_usd", "days_left"),
    *("expected_usd", "low_usd", "high_usd"),
)
_WEEKS = 8
_FEWEST_DAYS_FOR_WEEKDAYS = 14
_Z80 = 1.2816  # the 80 % interval of a normal distribution, in standard deviations

Days = Mapping[date, float]


@checks_arguments("costs")
def costs(
    by: By | Sequence[By] = ("month", "model"),
    *,
    tz: str = "UTC",
    **filters: Unpack[Filters],
) -> pd.DataFrame:
    """What runs cost, in US dollars.

    Columns: those of ``by``, ``runs``, ``input_tokens``, ``output_tokens``, ``cost_usd`` (NaN where
    no run's price is known, never 0), ``at_least_usd`` (what is known of the other runs' cost, not
    part of ``cost_usd``), ``unpriced_runs`` (ended without a known price), ``estimated_runs``
    (tokens estimated here because the provider reported none, or its answer broke off, such as at
    the death of a kernel) and ``estimated_usd`` (their part of ``cost_usd``). On PostgreSQL, months
    in the table ``monthly_costs`` are read from there.

    Args:
        by: month, day, model, provider, user, notebook, tag, tier, status; one or several.
        tz: The time zone of months and days, for example ``"Europe/Berlin"``.
        **filters: See :class:`Filters`.

    Raises:
        InvalidParameterError: ``by``, ``tz`` or a filter is invalid.
        RunLogError: The log cannot be read.
    """
    check_filters(filters, costs)
    log = open_log()
    summable = log.dialect == "postgres" and _is_in_sums(by, tz, filters)
    until = log.summed_until() if summable else None
    if until is None:
        return grouped(FIGURES, by, filters, tz=tz)
    later = "(r.started_at < $summed_until::TIMESTAMPTZ) IS NOT TRUE"
    return query.report(
        _COSTS_WITH_SUMS, by, filters, which=later, tz=tz, values={"summed_until": until}
    )


def _is_in_sums(by: object, tz: str, filters: Filters) -> bool:
    """Whether ``monthly_costs`` has the columns of the report, and whole months are asked for."""
    names = {by} if isinstance(by, str) else set(by) if isinstance(by, (list, tuple)) else {""}
    used = {name for name, value in filters.items() if value is not None}
    limits = [filters[name] for name in ("since", "until") if name in used]
    return (
        names <= _SUMMED_BY
        and used <= _SUMMED_FILTERS
        and tz == "UTC"
        and all(moments.is_month(when) for when in limits)
    )


@checks_arguments("usage_by")
def usage_by(
    who: By = "user",
    *,
    tz: str = "UTC",
    **filters: Unpack[Filters],
) -> pd.DataFrame:
    """Usage by user, notebook or tag; the highest cost first.

    Columns: one with the name ``who``, ``runs``, ``prompts`` and ``models`` (different ones),
    ``input_tokens``, ``output_tokens``, ``cost_usd`` (NaN where no price is known),
    ``at_least_usd`` (known of the cost of runs without a known price), ``unpriced_runs``,
    ``failed_runs``, ``first_at``, ``last_at``. A run counts once under each of its tags.

    Args:
        who: user, notebook, tag, or any other name that ``costs(by=)`` takes.
        tz: The time zone of months and days.
        **filters: See :class:`Filters`.

    Raises:
        InvalidParameterError: ``who`` or a filter is invalid.
        RunLogError: The log cannot be read.
    """
    check_filters(filters, usage_by)
    order = "sum(cost_usd) DESC NULLS LAST, count(*) DESC, 1"
    return grouped(_USAGE, who, filters, tz=tz, order=order)


@checks_arguments("forecast")
def forecast(
    by: By | Sequence[By] = (),
    *,
    at: When | None = None,
    tz: str = "UTC",
    **filters: Unpack[Filters],
) -> pd.DataFrame:
    """The expected cost of the current month, from the days of the last eight weeks.

    Columns: those of ``by``, ``month``, ``spent_usd`` so far, ``daily_usd`` (the mean of the days
    before today since the first run, of at most eight weeks), ``days_left`` (the rest of today
    included), ``expected_usd``, and ``low_usd`` and ``high_usd``, an 80 % interval that assumes
    days like those of the past. Once there are two weeks of data, a day is expected to cost the
    mean of its weekday. Runs of unknown price are in no amount.

    Args:
        by: model, provider, user, notebook, tag, tier, status; one or several; none for the total.
        at: The time of the forecast instead of now. A past time shows how good forecasts were.
        tz: The time zone of months and days.
        **filters: See :class:`Filters`.

    Raises:
        InvalidParameterError: ``by``, ``at``, ``tz`` or a filter is invalid.
        RunLogError: The log cannot be read.
    """
    check_filters(filters, forecast)
    from llm_playground.frames import Frame  # pandas is imported on first use

    if filters.get("since") is not None or filters.get("until") is not None:
        raise InvalidParameterError("A forecast takes at=, not since= or until=.")
    now = datetime.now(UTC) if at is None else moments.span("at", at)[0]
    now = now.astimezone(moments.time_zone(tz))
    names = query.names_of(by)
    if {"month", "day"} & set(names):
        raise InvalidParameterError("A forecast is for one month: by takes no month and no day.")
    figures = "sum(cost_usd)::FLOAT8 AS cost_usd"
    past = Filters(**filters, since=forecast_begin(now), until=now)
    days = grouped(figures, [*names, "day"], past, tz=tz).to_dict("records")
    return Frame(
        [(*key, *forecast_of(costs_of, now)) for key, costs_of in _by_group(days, names)],
        columns=[*names, *_FORECAST_COLUMNS],
    )


def _by_group(
    rows: Iterable[Mapping[Any, Any]], names: Sequence[str]
) -> Iterable[tuple[tuple[object, ...], Days]]:
    """The cost of each day by group, in the order of the groups' first rows."""
    groups: dict[tuple[object, ...], dict[date, float]] = {}
    for row in rows:
        key = tuple(None if row[name] != row[name] else row[name] for name in names)  # NaN
        cost = 0.0 if math.isnan(row["cost_usd"]) else row["cost_usd"]
        groups.setdefault(key, {})[date.fromisoformat(row["day"])] = cost
    return groups.items()


def forecast_begin(now: datetime) -> datetime:
    """The first moment whose costs a forecast at ``now`` uses, in the time zone of ``now``."""
    first = min(now.date() - timedelta(weeks=_WEEKS), now.date().replace(day=1))
    return datetime.combine(first, datetime.min.time(), now.tzinfo)


def forecast_of(
    costs_of: Days, now: datetime
) -> tuple[str, float, float, float, float, float, float]:
    """The figures of one group: all columns of :func:`forecast` but those of ``by``."""
    today = now.date()
    spent = sum(cost for day, cost in costs_of.items() if day >= today.replace(day=1))
    past = _past(costs_of, today)
    elapsed = (now.hour * 3600 + now.minute * 60 + now.second) / 86_400  # of today
    mean = sum(past.values()) / len(past) if past else spent / max(elapsed, 1 / 24)
    last = today.replace(day=monthrange(today.year, today.month)[1])
    ahead = [today + timedelta(days=n) for n in range(1, (last - today).days + 1)]
    days_left = len(ahead) + 1 - elapsed
    rest_of_today = (1 - elapsed) * _expected(today, past, mean)
    expected = spent + sum(_expected(day, past, mean) for day in ahead) + rest_of_today
    spread = _Z80 * _deviation(past, mean) * math.sqrt(days_left)
    low, high = max(spent, expected - spread), expected + spread
    return f"{today:%Y-%m}", spent, mean, days_left, expected, low, high


def _past(costs_of: Days, today: date) -> Days:
    """All days before today since the first with a cost, of eight weeks at most."""
    before = [day for day in costs_of if day < today]
    if not before:
        return {}
    first = max(min(before), today - timedelta(weeks=_WEEKS))
    days = (first + timedelta(days=n) for n in range((today - first).days))
    return {day: costs_of.get(day, 0.0) for day in days}


def _expected(day: date, past: Days, mean: float) -> float:
    """The mean of the day's weekday; the mean of all days until there are two of each weekday."""
    same = [cost for other, cost in past.items() if other.weekday() == day.weekday()]
    return sum(same) / len(same) if len(past) >= _FEWEST_DAYS_FOR_WEEKDAYS else mean


def _deviation(past: Days, mean: float) -> float:
    """The standard deviation of the days from their expected cost."""
    if len(past) < 2:  # unknown: assume it is as large as the mean
        return mean
    squares = [(cost - _expected(day, past, mean)) ** 2 for day, cost in past.items()]
    return math.sqrt(sum(squares) / (len(squares) - 1))

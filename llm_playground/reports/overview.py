"""The figures of an overview of the log, in few passes over it.

Amounts and counts are those of :func:`~llm_playground.reports.spending.costs`: each is computed by
the same SQL, grouped by day and model, and by user and notebook.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from llm_playground.reports import moments, query, spending
from llm_playground.reports.query import SENT, STATUS, By, Filters
from llm_playground.runlog import open_log
from llm_playground.runlog.store import ReadSession

Row = Mapping[str, Any]

COSTS = (
    *("runs", "input_tokens", "output_tokens", "cost_usd", "at_least_usd"),
    *("unpriced_runs", "estimated_runs", "estimated_usd", "sent_runs", "failed_runs"),
)
_IS_SENT = SENT.replace("r.", "")
_GROUPS = f"""
SELECT {{shown}}{spending.FIGURES},
    count(*) FILTER (WHERE {_IS_SENT}) AS sent_runs,
    count(*) FILTER (WHERE {_IS_SENT} AND {STATUS} = 'failed') AS failed_runs
FROM ({{runs}}) AS chosen GROUP BY {{group}} HAVING count(*) > 0 ORDER BY {{order_or_1}}
"""  # noqa: S608 - constants
# DuckDB compares hashes in half of the time that it takes for the names.
_PLACE = "(SELECT *, hash(username, notebook) AS place FROM executions)"
_BY_PLACE = f"""
SELECT any_value(user_) AS "user", any_value(notebook_) AS "notebook", {spending.FIGURES},
    count(*) FILTER (WHERE {_IS_SENT}) AS sent_runs,
    count(*) FILTER (WHERE {_IS_SENT} AND {STATUS} = 'failed') AS failed_runs
FROM (SELECT {{inner}}e.place, r.* {{from_runs}}) AS chosen
GROUP BY place ORDER BY 1 COLLATE "C" NULLS LAST, 2 COLLATE "C" NULLS LAST
"""  # noqa: S608 - constants
_TIMES = f"""
SELECT (together)[1], (together)[2] FROM (
    SELECT percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY r.response_time_ms)
        FILTER (WHERE coalesce(r.status, 'completed') = 'completed'
            AND {query.is_time("r.response_time_ms")}) AS together
    {{from_runs}}
) AS times
"""  # noqa: S608 - constants
_SPENT = "SELECT {shown}sum(cost_usd)::FLOAT8 FROM ({runs}) AS chosen GROUP BY {group}"
_FORECAST = (
    *("month", "spent_usd", "daily_usd", "days_left"),
    *("expected_usd", "low_usd", "high_usd"),
)
# One pass over each table.
_RESULT_VALUES = """
SELECT model, provider, coalesce(status, 'completed') FROM results GROUP BY 1, 2, 3
"""
_EXECUTION_VALUES = "SELECT username, notebook, tags::TEXT FROM executions GROUP BY 1, 2, 3"
_LOG_SIZE = """
SELECT count(*), count(*) FILTER (WHERE status = 'running'), max(started_at) FROM results
"""
_IS_DEMO = "SELECT count(*) FROM executions WHERE source = 'demo'"


@dataclass(frozen=True, slots=True)
class Overview:
    """What an overview shows of some runs; rows have the columns :data:`COSTS`."""

    by_day_and_model: Sequence[Row]  # also with `day` and `model`
    p50_ms: float | None
    p95_ms: float | None


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the current month costs."""

    spent_on: Mapping[date, float]  # the cost of each day that the forecast uses
    forecast: Row | None  # the columns of `forecast()`; None without any cost


@dataclass(frozen=True, slots=True)
class Values:
    """The values that occur in the log, in order, and whether any run is generated."""

    models: Sequence[str]
    providers: Sequence[str]
    statuses: Sequence[str]
    users: Sequence[str]
    notebooks: Sequence[str]
    tags: Sequence[str]
    demo_runs: int


def overview(filters: Filters, tz: str = "UTC") -> Overview:
    """The figures of the runs that fit ``filters``.

    Raises:
        InvalidParameterError: ``tz`` or a filter is invalid.
        RunLogError: The log cannot be read.
    """
    rows = _rows(_GROUPS, ["day", "model"], filters, tz=tz)
    [(p50_ms, p95_ms)] = _rows(_TIMES, [], filters, which=SENT)
    return Overview(_named(rows, "day", "model"), p50_ms, p95_ms)


def by_user_and_notebook(filters: Filters) -> Sequence[Row]:
    """The columns :data:`COSTS` of each ``user`` and ``notebook``.

    Raises:
        InvalidParameterError: A filter is invalid.
        RunLogError: The log cannot be read.
    """
    by: Sequence[By] = ["user", "notebook"]
    if open_log().dialect == "duckdb":
        return _named(_rows(_BY_PLACE, by, filters, executions=_PLACE), *by)
    return _named(_rows(_GROUPS, by, filters), *by)


def outlook(filters: Filters, now: datetime, tz: str = "UTC") -> Outlook:
    """The forecast as of ``now`` for the runs that fit ``filters``, whatever their dates.

    Raises:
        InvalidParameterError: ``tz`` or a filter is invalid.
        RunLogError: The log cannot be read.
    """
    local_now = now.astimezone(moments.time_zone(tz))
    past: Filters = {**filters, "since": spending.forecast_begin(local_now), "until": local_now}
    days = {
        date.fromisoformat(day): spent or 0.0
        for day, spent in _rows(_SPENT, ["day"], past, tz=tz)
        if day is not None
    }
    return Outlook(days, _forecast(days, local_now) if any(days.values()) else None)


def _rows(
    template: str,
    by: Sequence[By],
    filters: Filters,
    *,
    which: str = "true",
    tz: str = "UTC",
    executions: str = "executions",
) -> list[tuple[Any, ...]]:
    log = open_log()
    found = query.statement(
        template, by, filters, dialect=log.dialect, which=which, tz=tz, executions=executions
    )
    return log.read(lambda session: session.rows(found.sql, found.values), which="all")


def _named(rows: Sequence[Sequence[Any]], *names: str) -> list[Row]:
    return [dict(zip((*names, *COSTS), row, strict=True)) for row in rows]


def _forecast(days: Mapping[date, float], now: datetime) -> Row:
    return dict(zip(_FORECAST, spending.forecast_of(days, now), strict=True))


def merged(rows: Sequence[Row], name: str) -> list[Row]:
    """The rows summed up by one of their names, the highest cost first."""
    groups: dict[object, list[Row]] = {}
    for row in rows:
        groups.setdefault(row[name], []).append(row)
    sums: list[Row] = [{name: value, **total(group)} for value, group in groups.items()]
    return sorted(sums, key=lambda row: (-(row["cost_usd"] or 0), -row["runs"]))


def total(rows: Sequence[Row]) -> Row:
    """The sum of rows. An amount is None where it is known in none of them, a count is 0."""
    sums: dict[str, Any] = {column: None if column.endswith("_usd") else 0 for column in COSTS}
    for row in rows:
        for column in COSTS:
            if row[column] is not None:
                sums[column] = (sums[column] or 0) + row[column]
    return sums


def values() -> Values:
    """The values of filters that occur in the log.

    Raises:
        RunLogError: The log cannot be read.
    """

    def read(session: ReadSession) -> Values:
        results = session.rows(_RESULT_VALUES)
        executions = session.rows(_EXECUTION_VALUES)
        tags = {tag for text in {row[2] for row in executions} for tag in _tags(text)}
        models, providers, statuses = (
            _occurring(row[place] for row in results) for place in range(3)
        )
        users, notebooks = (_occurring(row[place] for row in executions) for place in range(2))
        demo_runs = session.rows(_IS_DEMO)[0][0]
        return Values(models, providers, statuses, users, notebooks, sorted(tags), demo_runs)

    return open_log().read(read, which="all")


def _occurring(found: Any) -> list[str]:  # noqa: ANN401 - an iterable of a database's values
    return sorted({value for value in found if value is not None})


def _tags(text: str | None) -> list[str]:
    """The tags in a JSON column; none in what another program wrote."""
    try:
        tags = json.loads(text) if text else None
    except ValueError:
        return []
    return [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []


def log_state() -> object:
    """A value that differs after each change of the log's runs, once they are drained.

    Raises:
        RunLogError: The log cannot be read.
    """
    log = open_log()
    size = log.read(lambda session: session.rows(_LOG_SIZE)[0], which="all")
    if log.path is None:
        return log.place, size
    status = log.path.stat()
    return log.place, size, status.st_mtime_ns, status.st_size

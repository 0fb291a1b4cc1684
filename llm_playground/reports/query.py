"""Which runs a report is about, how they are grouped, and the one way a report is computed.

A report is a public function with a template of SQL, given to :func:`report` (or, where aggregates
per group are all it needs, to :func:`grouped`). Figures are computed in the database and come back
as a pandas frame. A report reads the narrowest tables: those that need no user, notebook, tag or
text read ``results`` alone. Rows that another program inserted into ``results`` only are included.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Literal, TypedDict, get_args

from llm_playground._validation import closest, one_of, repr_of
from llm_playground.config.endpoints import LOCAL_MODEL
from llm_playground.errors import InvalidParameterError
from llm_playground.reports.moments import When, limits, time_zone
from llm_playground.runlog import open_log
from llm_playground.runlog.store import Dialect
from llm_playground.types import Status

if TYPE_CHECKING:
    import pandas as pd

# Figures that another program may have written: NaN, infinite and negative times are unknown, and
# sums of counts end where the type of their columns does.
MAX_MS = 1e15


def is_time(column: str) -> str:
    """The condition that a time, or a rate, is a possible one."""
    return f"{column} BETWEEN 0 AND {MAX_MS:.0f}::FLOAT8"


def summed(column: str) -> str:
    """The sum of a column of counts."""
    most = 9223372036854775807
    return (
        f"(CASE WHEN sum({column}) > {most} THEN {most} WHEN sum({column}) < -{most} THEN -{most} "
        f"ELSE sum({column}) END)::BIGINT"
    )


By = Literal["month", "day", "model", "provider", "user", "notebook", "tag", "tier", "status"]

# Rows of other programs may have no status: those calls completed.
STATUS = "coalesce(status, 'completed')"
# Over `r`: runs that were sent to a provider and have ended; re-used answers were not sent.
SENT = (
    "NOT coalesce(r.cached, false) "
    "AND coalesce(r.status, 'completed') NOT IN ('running', 'over_budget')"
)

_ENGINES: tuple[Dialect, ...] = get_args(Dialect)
_JOINS = {
    "e": "LEFT JOIN {executions} e ON e.id = r.execution_id",
    "p": "LEFT JOIN prompts p ON p.id = e.prompt_id",
}
_COLUMN_OF = {
    "model": "r.model",
    "provider": "r.provider",
    "status": "r.status",
    "tier": "r.service_tier",
    "user": "e.username",
    "notebook": "e.notebook",
}
# A run counts once under each of its tags.
_TAG: dict[Dialect, str] = {
    "duckdb": "unnest(CASE WHEN json_array_length(e.tags) > 0 "
    "THEN CAST(e.tags AS VARCHAR[]) ELSE [NULL] END)",
    "postgres": "jsonb_array_elements_text(CASE WHEN jsonb_typeof(e.tags) = 'array' "
    "AND e.tags <> '[]' THEN e.tags ELSE '[null]' END)",
}
_LOCAL_TIME = "r.started_at AT TIME ZONE $tz::TEXT"
# DuckDB's time zones are slow, even UTC: this is five times as fast.
_UTC: dict[Dialect, str] = {
    "duckdb": "make_timestamp(epoch_us(r.started_at))",
    "postgres": "r.started_at AT TIME ZONE 'UTC'",
}
# Formatted after grouping: once for each group instead of once for each run.
_SHOWN: dict[Dialect, Mapping[str, str]] = {
    "duckdb": {"month": "strftime(month_, '%Y-%m')", "day": "strftime(day_, '%Y-%m-%d')"},
    "postgres": {"month": "to_char(month_, 'YYYY-MM')", "day": "to_char(day_, 'YYYY-MM-DD')"},
}
_SEARCHED = "lower(concat_ws(chr(10), p.system_prompt, p.user_prompt, r.response_text))"
# Of each filter's value: the tables it reads beside `r`, and its condition for each engine.
_CONDITIONS: dict[str, tuple[str, Mapping[Dialect, str]]] = {
    "models": (
        "",
        {
            "duckdb": r"list_bool_or([r.model LIKE m ESCAPE '\' FOR m IN $models])",
            "postgres": "r.model LIKE ANY($models)",
        },
    ),
    "provider": ("", dict.fromkeys(_ENGINES, "r.provider = $provider")),
    "since": ("", dict.fromkeys(_ENGINES, "r.started_at >= $since::TIMESTAMPTZ")),
    "until": ("", dict.fromkeys(_ENGINES, "r.started_at < $until::TIMESTAMPTZ")),
    "statuses": (
        "",
        {"duckdb": "list_contains($statuses, r.status)", "postgres": "r.status = ANY($statuses)"},
    ),
    "user": ("e", dict.fromkeys(_ENGINES, "e.username = $user")),
    "notebook": (
        "e",
        dict.fromkeys(_ENGINES, r"('/' || e.notebook) LIKE ('%/' || $notebook::TEXT) ESCAPE '\'"),
    ),
    "tag": (
        "e",
        {
            "duckdb": "json_contains(e.tags, to_json($tag::VARCHAR))",
            "postgres": "e.tags @> to_jsonb($tag::TEXT)",
        },
    ),
    "search": (
        "ep",
        {
            "duckdb": f"contains({_SEARCHED}, $search)",
            "postgres": f"strpos({_SEARCHED}, $search) > 0",
        },
    ),
}


class Filters(TypedDict, total=False):
    """The filters that every report takes by name. None filters nothing.

    Args:
        model: ``"local"``, ``provider:name``, or a bare name of any provider; ``*`` stands for
            any text. Several are alternatives.
        provider: The provider's name, such as ``"openai"``.
        user: Who ran it.
        since: The first moment: a datetime, a date, or either in ISO form, or ``"2026-03"``.
            Without a zone, UTC.
        until: The moment before which runs started; a date or month is included to its end.
        status: One status or several.
        tag: A tag of the execution.
        notebook: The notebook's path or file name; ``*`` stands for any text.
        search: Text in prompts or answer, in any case.
    """

    model: str | Sequence[str] | None
    provider: str | None
    user: str | None
    since: When | None
    until: When | None
    status: Status | Sequence[Status] | None
    tag: str | None
    notebook: str | None
    search: str | None


@dataclass(frozen=True, slots=True)
class Condition:
    """A WHERE clause over the tables ``r`` (results), ``e`` (executions) and ``p`` (prompts)."""

    sql: str  # with `$name` for values
    values: Mapping[str, object]
    tables: frozenset[str]  # those it reads beside `r`


@dataclass(frozen=True, slots=True)
class Grouping:
    """What a report groups runs by, as SQL of one engine."""

    inner: str  # the columns of a subquery over `r` and `e`, each followed by a comma
    shown: str  # the same columns as the report shows them, each followed by a comma
    columns: Sequence[str]  # the names of the subquery's columns
    order: Sequence[str]  # the same for ORDER BY
    tables: frozenset[str]  # those they read beside `r`
    values: Mapping[str, object]  # of their parameters


def grouped(
    figures: str,
    by: By | Sequence[By],
    filters: Filters,
    *,
    which: str = "true",
    tz: str = "UTC",
    order: str | None = None,
) -> pd.DataFrame:
    """A frame of ``figures`` over runs, one row for each group.

    ``figures`` are aggregates over the columns of ``results``, in SQL of both engines; ``which`` is
    a further condition on ``results r``; the rows are ordered by ``order`` instead of ``by``.
    """
    template = (
        f"SELECT {{shown}}{figures} FROM ({{runs}}) AS chosen "  # noqa: S608 - constants
        f"GROUP BY {{group}} HAVING count(*) > 0 ORDER BY {order or '{order_or_1}'}"
    )
    return report(template, by, filters, which=which, tz=tz)


@dataclass(frozen=True, slots=True)
class Statement:
    """One SELECT with the values of its ``$name``."""

    sql: str
    values: Mapping[str, object]


def report(
    template: str,
    by: By | Sequence[By] = (),
    filters: Filters | None = None,
    *,
    which: str = "true",
    tz: str = "UTC",
    tables: frozenset[str] = frozenset(),
    executions: str = "executions",
    values: Mapping[str, object] | None = None,
    **fields: str,
) -> pd.DataFrame:
    """The frame of a report's SQL; the arguments are those of :func:`statement`.

    Raises:
        InvalidParameterError: ``by``, ``tz`` or a filter is invalid.
        RunLogError: The log cannot be read.
    """
    from llm_playground.frames import Frame  # pandas is imported on first use

    log = open_log()
    found = statement(
        template,
        by,
        filters,
        dialect=log.dialect,
        which=which,
        tz=tz,
        tables=tables,
        executions=executions,
        values=values,
        **fields,
    )
    return Frame(log.frame(found.sql, found.values))


def statement(
    template: str,
    by: By | Sequence[By] = (),
    filters: Filters | None = None,
    *,
    dialect: Dialect,
    which: str = "true",
    tz: str = "UTC",
    tables: frozenset[str] = frozenset(),
    executions: str = "executions",
    values: Mapping[str, object] | None = None,
    **fields: str,
) -> Statement:
    """A report's SQL for one engine.

    Args:
        template: The SQL, with any of these fields: ``{runs}``, a subquery with the columns of
            ``results`` and those of ``by``; ``{from_runs}``, its part from FROM on, over ``r``,
            ``e`` and ``p``; ``{where}``, its condition; ``{inner}``, the columns of ``by`` in it;
            ``{shown}``, the same as the report shows them; ``{columns}``, their names;
            ``{order}``, the same for ORDER BY. Of the last four each column has a comma behind.
            ``{group}`` and ``{order_or_1}`` are whole lists for GROUP BY and ORDER BY.
        by: One name or several of :data:`By`.
        filters: Which runs.
        dialect: The engine.
        which: A further condition on ``results r``.
        tz: The time zone of months and days.
        tables: Tables that the template reads beside ``r``: ``"e"``, ``"p"``.
        executions: What is joined as ``e``, with the columns of ``executions`` and others.
        values: Values for further ``$name`` in the template.
        **fields: SQL for further fields of the template.

    Raises:
        InvalidParameterError: ``by``, ``tz`` or a filter is invalid.
    """
    keys, where = grouping(by, tz, dialect), condition(filters or {}, dialect)
    needed = joined(keys.tables | where.tables | tables, executions=executions)
    from_runs = f"FROM {needed} WHERE {where.sql} AND {which}"
    sql = template.format(
        runs=f"SELECT {keys.inner}r.* {from_runs}",
        from_runs=from_runs,
        where=where.sql,
        inner=keys.inner,
        shown=keys.shown,
        columns="".join(f"{column}, " for column in keys.columns),
        order="".join(f"{column}, " for column in keys.order),
        group=", ".join(keys.columns) or "()",
        order_or_1=", ".join(keys.order) or "1",
        **fields,
    )
    return Statement(sql, {**keys.values, **where.values, **(values or {})})


def joined(
    tables: frozenset[str] | set[str], first: str = "results r", executions: str = "executions"
) -> str:
    """``results`` joined with those of ``executions e`` and ``prompts p`` that are needed.

    ``first`` may be another table or subquery that has the alias ``r``, ``executions`` one without.

    >>> joined({"e"})
    'results r LEFT JOIN executions e ON e.id = r.execution_id'
    """
    needed = tables | {"e"} if "p" in tables else tables
    joins = [join for name, join in _JOINS.items() if name in needed]
    return " ".join([first, *joins]).format(executions=executions)


def limit_clause(limit: object) -> str:
    """The LIMIT of a SELECT; empty for None."""
    if limit is None:
        return ""
    if isinstance(limit, bool) or not isinstance(limit, Integral) or not 0 <= int(limit) < 2**63:
        raise InvalidParameterError(
            f"limit is {repr_of(limit)}; it takes a whole number of at least 0."
        )
    return f"LIMIT {int(limit)}"


def names_of(by: By | Sequence[By]) -> list[By]:
    """The names in ``by``, each once.

    Raises:
        InvalidParameterError: One of them is none of :data:`By`.
    """
    listed = by if isinstance(by, (list, tuple)) else [by]
    for name in listed:
        if not (isinstance(name, str) and name in get_args(By)):
            one_of("by", name, get_args(By))
    return list(dict.fromkeys(listed))


def grouping(by: By | Sequence[By], tz: str, dialect: Dialect) -> Grouping:
    """The columns that ``by`` names, for one engine."""
    names, zone = names_of(by), time_zone(tz).key
    moment = _UTC[dialect] if zone == "UTC" else _LOCAL_TIME
    sql_of = {
        "month": f"date_trunc('month', {moment})",
        "day": f"({moment})::DATE",
        "tag": _TAG[dialect],
        **_COLUMN_OF,
    }
    times = {"month", "day"} & set(names)
    return Grouping(
        inner="".join(f"{sql_of[name]} AS {name}_, " for name in names),
        shown="".join(f'{_SHOWN[dialect].get(name, f"{name}_")} AS "{name}", ' for name in names),
        columns=[f"{name}_" for name in names],
        order=[
            f"{name}_ NULLS LAST" if name in times else f'{name}_ COLLATE "C" NULLS LAST'
            for name in names
        ],
        tables=frozenset("e" if {"user", "notebook", "tag"} & set(names) else ""),
        values={"tz": zone} if times and zone != "UTC" else {},
    )


def condition(filters: Filters, dialect: Dialect) -> Condition:
    """The WHERE clause of ``filters`` on one engine.

    Raises:
        InvalidParameterError: A filter is unknown or its value is invalid.
    """
    values = _filter_values(filters)
    parts = [_CONDITIONS[name] for name in values]
    return Condition(
        sql=" AND ".join(["true", *(sql[dialect] for _, sql in parts)]),
        values=values,
        tables=frozenset(table for tables, _ in parts for table in tables),
    )


def check_filters(
    filters: Mapping[str, object], report: Callable[..., object] | None = None
) -> None:
    """Refuse names that are no filters; the message may suggest arguments of ``report`` too.

    Raises:
        InvalidParameterError: A name is unknown.
    """
    for name in filters:
        if name not in Filters.__annotations__:
            own = inspect.signature(report).parameters.values() if report is not None else ()
            names = [one.name for one in own if one.kind is not one.VAR_KEYWORD]
            suggestion = closest(name, [*names, *Filters.__annotations__])
            raise InvalidParameterError(f"{name!r} is not a filter. {suggestion}")


def _filter_values(filters: Filters) -> dict[str, object]:
    """The values of the filters that are set, by their names in :data:`_CONDITIONS`."""
    check_filters(filters)
    notebook, search = _text(filters, "notebook"), _text(filters, "search")
    values: dict[str, object] = {
        "models": [like for name in _texts(filters, "model") for like in _model_patterns(name)],
        "provider": _text(filters, "provider"),
        "user": _text(filters, "user"),
        **limits(filters.get("since"), filters.get("until")),
        "statuses": _texts(filters, "status"),
        "tag": _text(filters, "tag"),
        "notebook": None if notebook is None else _like(notebook),
        "search": None if search is None else search.lower(),
    }
    for status in _texts(filters, "status"):
        if status not in get_args(Status):
            statuses = ", ".join(get_args(Status))
            raise InvalidParameterError(f"status is {status!r}; it takes {statuses}.")
    return {name: value for name, value in values.items() if value not in (None, [])}


def _text(filters: Filters, name: str) -> str | None:
    value: object = dict(filters).get(name)
    return None if value is None else _checked_text(name, value)


def _texts(filters: Filters, name: str) -> list[str]:
    value: object = dict(filters).get(name)
    if value is None:
        return []
    if isinstance(value, str) or not isinstance(value, Iterable):
        return [_checked_text(name, value)]
    return [_checked_text(name, each) for each in value]


def _checked_text(name: str, value: object) -> str:
    """Text that a database takes: without NUL and without unpaired surrogates."""
    try:
        if isinstance(value, str) and "\0" not in value:
            value.encode()
            return value
    except UnicodeEncodeError:
        pass
    raise InvalidParameterError(f"{name} is {repr_of(value)}; it takes text.")


def _model_patterns(name: str) -> list[str]:
    """LIKE patterns over ``provider:name`` for a model's name as users write it.

    >>> _model_patterns("gpt-*")
    ['gpt-%', '%:gpt-%']
    """
    if name == "local":
        return [_like(LOCAL_MODEL)]
    return [_like(name)] if ":" in name else [_like(name), _like(f"*:{name}")]


def _like(text: str) -> str:
    r"""A LIKE pattern with ``*`` for any text and every other character for itself.

    >>> _like("50%_*")
    '50\\%\\_%'
    """
    return re.sub(r"([%_\\])", r"\\\1", text).replace("*", "%")

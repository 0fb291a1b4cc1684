"""Figures over runs, grouped by what is named, from the narrowest tables that know it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from llm_playground.errors import InvalidParameterError
from llm_playground.reports import moments
from llm_playground.reports.filters import Condition, Filters, condition
from llm_playground.runlog import Dialect, open_log

if TYPE_CHECKING:
    import pandas as pd

By = Literal["month", "day", "model", "provider", "user", "notebook", "tag", "status"]

# What another program left out: a row without a status is of a call that ended well.
STATUS = "coalesce(status, 'completed')"
STATUS_OF_R = "coalesce(r.status, 'completed')"

_JOINS = {
    "e": "LEFT JOIN executions e ON e.id = r.execution_id",
    "p": "LEFT JOIN prompts p ON p.id = e.prompt_id",
}
_PLAIN = {"model": "r.model", "provider": "r.provider", "status": "r.status"}
_OF_EXECUTION = {"user": "e.username", "notebook": "e.notebook"}
# A run counts once under each of its tags.
_TAG: dict[Dialect, str] = {
    "duckdb": "unnest(CASE WHEN json_array_length(e.tags) > 0 "
    "THEN CAST(e.tags AS VARCHAR[]) ELSE [NULL] END)",
    "postgres": "jsonb_array_elements_text(CASE WHEN jsonb_typeof(e.tags) = 'array' "
    "AND e.tags <> '[]' THEN e.tags ELSE '[null]' END)",
}
_LOCAL_TIME = "r.started_at AT TIME ZONE $tz::TEXT"
# Five times as fast: DuckDB's time zones are slow, even UTC.
_UTC: dict[Dialect, str] = {
    "duckdb": "make_timestamp(epoch_us(r.started_at))",
    "postgres": "r.started_at AT TIME ZONE 'UTC'",
}
# Formatted after grouping: once for a group, not for every run.
_SHOWN: dict[Dialect, Mapping[str, str]] = {
    "duckdb": {"month": "strftime(month_, '%Y-%m')", "day": "strftime(day_, '%Y-%m-%d')"},
    "postgres": {"month": "to_char(month_, 'YYYY-MM')", "day": "to_char(day_, 'YYYY-MM-DD')"},
}


@dataclass(frozen=True, slots=True)
class Keys:
    """What a frame is grouped by, for one engine.

    Args:
        names: The columns' names.
        inner: They as columns of a subquery over ``r`` and ``e``, each followed by a comma.
        shown: They as the frame has them, each followed by a comma.
        columns: Their names in between, as in GROUP BY.
        order: The same, as in ORDER BY.
        tables: What they read beside ``r``.
        values: What they bind.
    """

    names: Sequence[str]
    inner: str
    shown: str
    columns: str
    order: str
    tables: frozenset[str]
    values: Mapping[str, object]


def grouped(
    figures: str,
    by: By | Sequence[By],
    filters: Filters,
    *,
    which: str = "true",
    tz: str = "UTC",
    order: str | None = None,
) -> pd.DataFrame:
    """A frame of ``figures`` over runs, grouped by ``by``.

    Args:
        figures: Aggregates over the columns of ``results``, in SQL that both engines read.
        by: The names of :data:`By`, one or several.
        filters: See :class:`Filters`.
        which: A condition on ``results`` that always holds.
        tz: The time zone whose months and days count.
        order: What orders the groups instead of ``by``.

    Raises:
        InvalidParameterError: ``by``, ``tz`` or a filter cannot be understood.
        RunLogError: The log cannot be read.
    """
    log = open_log()
    keys, where = keys_of(by, tz, log.dialect), condition(filters, log.dialect)
    return log.frame(
        f"SELECT {keys.shown}{figures} "  # noqa: S608 - all parts are constants, values are bound
        f"FROM ({chosen(keys, where, which)}) AS chosen "
        f"GROUP BY {keys.columns or '()'} HAVING count(*) > 0 "
        f"ORDER BY {order or keys.order or '1'}",
        {**keys.values, **where.values},
    )


def chosen(keys: Keys, where: Condition, which: str, columns: str = "r.*") -> str:
    """The runs of a report: their keys and the columns of ``results``."""
    return (
        f"SELECT {keys.inner}{columns} FROM {tables(keys.tables | where.tables)} "  # noqa: S608 - constants
        f"WHERE {where.sql} AND {which}"
    )


def tables(names: frozenset[str] | set[str], first: str = "results r") -> str:
    """``results`` with what else is needed, never more. ``first`` may stand for it, as ``r``.

    >>> tables({"e"})
    'results r LEFT JOIN executions e ON e.id = r.execution_id'
    """
    needed = names | {"e"} if "p" in names else names
    return " ".join([first, *(join for name, join in _JOINS.items() if name in needed)])


def keys_of(by: By | Sequence[By], tz: str, dialect: Dialect) -> Keys:
    """What ``by`` means on one engine.

    Raises:
        InvalidParameterError: ``by`` or ``tz`` cannot be understood.
    """
    names, zone = _names(by), moments.zone(tz)
    moment = _UTC[dialect] if zone == "UTC" else _LOCAL_TIME
    known = {
        "month": f"date_trunc('month', {moment})",
        "day": f"({moment})::DATE",
        "tag": _TAG[dialect],
        **_PLAIN,
        **_OF_EXECUTION,
    }
    in_time = {"month", "day"} & set(names)
    return Keys(
        names=names,
        inner="".join(f"{known[name]} AS {name}_, " for name in names),
        shown="".join(f'{_SHOWN[dialect].get(name, f"{name}_")} AS "{name}", ' for name in names),
        columns=", ".join(f"{name}_" for name in names),
        order=", ".join(
            f"{name}_ NULLS LAST" if name in in_time else f'{name}_ COLLATE "C" NULLS LAST'
            for name in names
        ),
        tables=frozenset("e" if {"user", "notebook", "tag"} & set(names) else ""),
        values={"tz": zone} if in_time and zone != "UTC" else {},
    )


def _names(by: object) -> list[str]:
    names = [by] if isinstance(by, str) else by
    if not isinstance(names, Sequence):
        raise InvalidParameterError(f"by is {by!r}; it takes {', '.join(get_args(By))}.")
    for name in names:
        if name not in get_args(By):
            raise InvalidParameterError(f"by is {name!r}; it takes {', '.join(get_args(By))}.")
    return list(dict.fromkeys(names))

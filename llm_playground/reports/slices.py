"""The runs behind one figure of a report: those of a model, of a day, of a kind of failure, ..."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, cast

from llm_playground._validation import one_of
from llm_playground.reports.moments import time_zone
from llm_playground.reports.quality import ATTEMPTS, WASTE_KINDS
from llm_playground.reports.query import SENT, STATUS, Filters, condition, joined
from llm_playground.reports.spending import IS_UNPRICED
from llm_playground.runlog import open_log
from llm_playground.runlog.rows import RUN_COLUMNS, selected
from llm_playground.runlog.store import ReadSession

_IS = "IS NOT DISTINCT FROM $slice::TEXT"
_IS_OTHER = "NOT coalesce({} = ANY($shown::TEXT[]), $has_none::BOOLEAN)"
_IN_DAYS = "r.started_at >= $first::TIMESTAMPTZ AND r.started_at < $end::TIMESTAMPTZ"
_OF_RESULTS = {
    "all": "true",
    "days": _IN_DAYS,
    "whenever": _IN_DAYS,
    "undated": "r.started_at IS NULL",
    "model": f"r.model {_IS}",
    "prompt": f"r.prompt_hash {_IS}",
    "failure": f"concat_ws(' ', r.status, r.error_type) {_IS} AND NOT coalesce(r.cached, false)",
    "other_model": _IS_OTHER.format("r.model"),
    "other_prompt": _IS_OTHER.format("r.prompt_hash"),
    "sent": SENT,
    "completed": f"{SENT} AND {STATUS} = 'completed'",
    "retried": "{attempts} > 1",
    "failed": f"{SENT} AND {STATUS} = 'failed'",
    "unpriced": IS_UNPRICED,
    **{name: which for name, which in WASTE_KINDS.items() if name != "failed"},
}
_OF_EXECUTIONS = {
    "user": f"e.username {_IS}",
    "notebook": f"e.notebook {_IS}",
    "other_user": _IS_OTHER.format("e.username"),
    "other_notebook": _IS_OTHER.format("e.notebook"),
}
NAMES = (*_OF_RESULTS, *_OF_EXECUTIONS)
_SHOWN = (
    *("run_id", "started_at", "model", "status", "cost_usd", "response_time_ms"),
    *("input_tokens", "output_tokens", "username", "notebook", "error_type", "cached"),
)
_COLUMNS = {name: RUN_COLUMNS[name] for name in _SHOWN} | {
    "user_prompt": f"left({RUN_COLUMNS['user_prompt']}, 200)"
}
_NEWEST_FIRST = "ORDER BY r.started_at DESC NULLS LAST, r.id DESC"

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Slice:
    """One of :data:`NAMES` and its value.

    ``days`` has the first and the last day as ``2026-11-02/2026-11-08``, and so has ``whenever``,
    for which other dates of the filters do not count; ``model``, ``user``, ``notebook`` and
    ``prompt`` (a hash) have the value, None for runs without one; ``other_model`` and the like have
    a JSON list of the values that are left out; ``failure`` has a status and a type of error with a
    space between. Others have no value.
    """

    name: str = "all"
    value: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Some runs of a slice, newest first, and figures of all of them."""

    rows: Sequence[Row]  # the columns of `runs` that a table shows
    runs: int
    cost_usd: float | None


def page(of: Slice, filters: Filters, *, tz: str = "UTC", limit: int = 50, offset: int = 0) -> Page:
    """One page of the runs of a slice that fit ``filters``.

    Raises:
        InvalidParameterError: The slice, ``tz`` or a filter is invalid.
        RunLogError: The log cannot be read.
    """
    if of.name not in NAMES:
        one_of("slice", of.name, NAMES)
    log = open_log()
    if of.name == "whenever":
        kept = {name: value for name, value in filters.items() if name not in {"since", "until"}}
        filters = cast("Filters", kept)
    where = condition(filters, log.dialect)
    which = _OF_RESULTS.get(of.name, "true").replace("{attempts}", ATTEMPTS[log.dialect])
    inner = f"(SELECT r.* FROM results r WHERE {which}) AS r"  # noqa: S608 - constants
    outer = _OF_EXECUTIONS.get(of.name)
    tables = joined(where.tables | ({"e"} if outer else set()), inner)
    found = f"FROM {tables} WHERE {where.sql} AND {outer or 'true'}"
    newest = f"SELECT r.* {found} {_NEWEST_FIRST} LIMIT {int(limit)} OFFSET {int(offset)}"
    rows_sql = (
        f"WITH r AS MATERIALIZED ({newest}) SELECT {selected(_COLUMNS)} "  # noqa: S608 - constants
        f"FROM {joined({'e', 'p'}, 'r')} {_NEWEST_FIRST}"
    )
    values = {**where.values, **_values(of, tz)}

    def read(session: ReadSession) -> Page:
        [(runs, cost_usd)] = session.rows(
            f"SELECT count(*), sum(cost_usd)::FLOAT8 {found}",
            values,
        )
        rows = session.rows(rows_sql, values)
        return Page([dict(zip(_COLUMNS, row, strict=True)) for row in rows], runs, cost_usd)

    return log.read(read, which="all")


def _values(of: Slice, tz: str) -> Mapping[str, object]:
    """The values of a slice's condition."""
    if of.name.startswith("other_"):
        shown = json.loads(of.value or "[]")
        texts = [value for value in shown if value is not None]
        return {"shown": texts, "has_none": None in shown}
    if of.name in {"days", "whenever"}:
        first, _, last = str(of.value).partition("/")
        zone, end = time_zone(tz), date.fromisoformat(last or first)
        moments = (
            datetime.combine(date.fromisoformat(first), time(), zone),
            datetime.combine(end + timedelta(days=1), time(), zone)
            if end < date.max
            else datetime.combine(end, time.max, zone),
        )
        return {"first": moments[0].isoformat(), "end": moments[1].isoformat()}
    sql = _OF_RESULTS.get(of.name) or _OF_EXECUTIONS[of.name]
    return {"slice": of.value} if "$slice" in sql else {}

"""Runs grouped by what sent them: one press of Run, one ``%%llm``, one ``lp.compare``.

The log has no column for that. Calls that are sent together have executions with the same start, in
the same process, cell and notebook: see :func:`llm_playground.calls.started_together`. A row whose
execution is missing, or began after it, is a group of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Unpack

from llm_playground.errors import InvalidParameterError
from llm_playground.inputs import Inputs, inputs_from_json
from llm_playground.reports import run_rows
from llm_playground.reports.query import Filters, check_filters, condition, joined
from llm_playground.runlog import open_log, rows
from llm_playground.runlog.reading import json_value
from llm_playground.runlog.rows import Row

# How many of the newest runs are read first; a Run may have a thousand answers.
_FIRST_ROWS = 1_000
_IS_FIRST = "e.started_at <= r.started_at"
_ASKED_AT = f"CASE WHEN {_IS_FIRST} THEN e.started_at ELSE r.started_at END"
_KEY = (
    f"CASE WHEN {_IS_FIRST} THEN concat_ws(' ', e.process, e.source, e.username, e.notebook, "
    "e.cell_id) ELSE r.id END"
)
_GROUP = f"{_ASKED_AT} AS asked_at, {_KEY} AS group_key"
_IDS = "SELECT unnest(CAST({} AS VARCHAR[]))"
_NEWEST = f"""
WITH r AS MATERIALIZED (
    SELECT r.id, r.started_at, r.execution_id FROM {{tables}}
    WHERE r.started_at IS NOT NULL AND {{where}}
    ORDER BY r.started_at DESC, r.id DESC LIMIT {{limit}}
), found AS (SELECT r.id, r.started_at, {_GROUP} FROM {joined({"e"}, "r")})
SELECT asked_at, group_key, (array_agg(id ORDER BY started_at, id))[1] AS run_id,
    count(*) AS runs, min(started_at) AS first_at
FROM found GROUP BY asked_at, group_key ORDER BY asked_at DESC, group_key COLLATE "C" DESC
"""  # noqa: S608 - constants, and conditions of constants
# The runs of a group are no older than the group.
_FIGURES = f"""
SELECT asked_at, group_key, model, status, cached, price_source, parameters, count(*) AS runs,
    max(iterations) AS iterations, sum(cost_usd) AS cost_usd, min(started_at) AS first_at,
    sum(at_least_usd) FILTER (WHERE cost_usd IS NULL AND at_least_usd > 0) AS at_least_usd,
    count(*) FILTER (WHERE usage_source = 'estimated' AND cost_usd > 0) AS estimated,
    count(*) FILTER (WHERE cost_usd IS NULL AND usage_source IS DISTINCT FROM 'none'
        AND coalesce(at_least_usd, 0) = 0
        AND coalesce(input_tokens, output_tokens) IS NOT NULL) AS unpriced
FROM (
    SELECT r.model, coalesce(r.status, 'completed') AS status, coalesce(r.cached, false) AS cached,
        r.price_source, r.cost_usd, r.at_least_usd, r.usage_source, r.input_tokens,
        r.output_tokens, r.started_at, e.iterations, CAST(p.parameters AS VARCHAR) AS parameters,
        {_GROUP}
    FROM {joined({"e", "p"})} WHERE r.started_at >= CAST($oldest AS TIMESTAMPTZ)
) AS grouped
WHERE asked_at IN (SELECT CAST(moment AS TIMESTAMPTZ) FROM ({_IDS.format("$asked")} AS moment) AS a)
GROUP BY asked_at, group_key, model, status, cached, price_source, parameters ORDER BY first_at
"""  # noqa: S608 - constants
_TEXT_COLUMNS = {
    **{name: rows.RUN_COLUMNS[name] for name in ("run_id", "user_prompt", "system_prompt")},
    "response_text": rows.RUN_COLUMNS["response_text"],
    **{name: rows.RUN_COLUMNS[name] for name in ("error_message", "source", "compressed")},
    "inputs": rows.RUN_COLUMNS["inputs"],
    **rows.PACKED,
}
_TEXTS = f"""
SELECT {rows.selected(_TEXT_COLUMNS)} FROM {joined({"e", "p"})}
WHERE r.id IN ({_IDS.format("$ids")})
"""  # noqa: S608 - constants
_MEMBERS = f"""
WITH one AS (SELECT {_GROUP} FROM {joined({"e"})} WHERE r.id = $run)
SELECT r.id, r.execution_id, r.model, r.iteration_number, r.started_at
FROM {joined({"e"})}, one
WHERE r.started_at >= one.asked_at AND {_ASKED_AT} = one.asked_at AND {_KEY} = one.group_key
ORDER BY r.started_at, r.id
"""  # noqa: S608 - constants


@dataclass(frozen=True, slots=True)
class RunGroup:
    """Runs that were sent together.

    ``run_id`` is one of them, by which :func:`members` finds all: the first, or the first that
    matched the search. ``prompt`` and ``answer`` are those of this run; the answer of a failed one
    is its error. ``template`` is the prompt as it was written, if it has cases, else empty.
    ``system`` and ``inputs`` are of this run too; ``system`` is None if no text is stored.
    ``parameters`` are all that were sent, each once.
    ``cost_usd`` is what is known of the costs, None if nothing is.
    """

    asked_at: datetime
    key: str
    run_id: str
    models: Mapping[str, int]  # the number of answers by model, in the order of the models
    statuses: Mapping[str, int]
    cost_usd: Decimal | None
    at_least_usd: Decimal | None  # what is known of the costs that are not known
    is_estimated: bool  # whether a cost is
    unpriced: int  # how many runs have tokens and no price, nor a part of one
    is_free: bool
    reused: int  # how many answers come from the log
    source: str
    prompt: str
    answer: str
    is_compressed: bool
    template: str = ""
    system: str | None = None
    inputs: Inputs | None = None
    parameters: Sequence[Mapping[str, Any]] = ()
    iterations: int = 1

    @property
    def position(self) -> tuple[datetime, str]:
        """The place in the list, newest first."""
        return self.asked_at, self.key


def newest(
    *,
    limit: int,
    before: tuple[datetime, str] | None = None,
    among: Sequence[str] | None = None,
    search_compressed: bool = False,
    **filters: Unpack[Filters],
) -> list[RunGroup]:
    """The newest groups with a run that matches, the newest first.

    Args:
        limit: The highest number of groups.
        before: The position of a group; only older ones are returned.
        among: The ids of the runs to look among; None for all.
        search_compressed: Whether ``search`` includes compressed texts; each is decompressed.
        **filters: See :class:`~llm_playground.reports.query.Filters`.

    Raises:
        InvalidParameterError: A filter is unknown or its value is invalid.
        RunLogError: The log cannot be read.
    """
    check_filters(filters, newest)
    if search_compressed and filters.get("search"):
        matching = run_rows.newest(search_compressed=True, **filters)
        ids = {str(row["run_id"]) for row in matching}
        among = list(ids if among is None else ids.intersection(among))
        filters["search"] = None
    number = _FIRST_ROWS
    while True:
        found = _found(number, before, among, filters)
        is_all = sum(row["runs"] for row in found) < number
        if not is_all:  # older runs may belong to groups that are as old as the oldest run found
            oldest = min(row["first_at"] for row in found)
            found = [row for row in found if row["asked_at"] > oldest]
        older = [row for row in found if before is None or _position(row) < before]
        if is_all or len(older) >= limit:
            return _groups(older[:limit])
        number *= 8


def members(run_id: str) -> list[str]:
    """The ids of all runs of a run's group: by model, then in the order in which they were planned.

    Raises:
        InvalidParameterError: The log has no such run.
        RunLogError: The log cannot be read.
    """
    found = open_log().rows(_MEMBERS, {"run": run_id})
    if not found:
        raise InvalidParameterError("The log no longer has this run. Reload the list.")
    models = list(dict.fromkeys(row["model"] for row in found))
    executions = list(dict.fromkeys(row["execution_id"] for row in found))

    def place(row: Row) -> tuple[int, int, int]:
        by_model, by_execution = models.index(row["model"]), executions.index(row["execution_id"])
        return by_model, by_execution, row["iteration_number"] or 1

    return [row["id"] for row in sorted(found, key=place)]


def _found(
    number: int,
    before: tuple[datetime, str] | None,
    among: Sequence[str] | None,
    filters: Filters,
) -> list[Row]:
    """The groups of the newest ``number`` runs that match."""
    log = open_log()
    where = condition(filters, log.dialect)
    parts, values = [where.sql], dict(where.values)
    if before is not None:
        parts.append(f"{_ASKED_AT} <= CAST($before AS TIMESTAMPTZ)")
        values["before"] = before[0].isoformat()
    if among is not None:
        parts.append(f"r.id IN ({_IDS.format('$among')})")
        values["among"] = list(among)
    tables = joined(where.tables if before is None else {"e", *where.tables})
    sql = _NEWEST.format(tables=tables, where=" AND ".join(parts), limit=number)
    return log.rows(sql, values)


def _position(row: Row) -> tuple[datetime, str]:
    return row["asked_at"], row["group_key"]


def _groups(found: Sequence[Row]) -> list[RunGroup]:
    """The figures and texts of groups."""
    if not found:
        return []
    log = open_log()
    moments = sorted({row["asked_at"] for row in found})
    asked = {"oldest": moments[0].isoformat(), "asked": [one.isoformat() for one in moments]}
    figures: dict[tuple[datetime, str], list[Row]] = {}
    for row in log.rows(_FIGURES, asked):
        figures.setdefault(_position(row), []).append(row)
    texts = {
        row["run_id"]: rows.unpacked_row(row)
        for row in log.rows(_TEXTS, {"ids": [row["run_id"] for row in found]})
    }
    return [
        _group(row, figures[_position(row)], texts[row["run_id"]])
        for row in found
        if _position(row) in figures and row["run_id"] in texts  # else they were purged meanwhile
    ]


def _group(found: Row, figures: Sequence[Row], texts: Row) -> RunGroup:
    models: dict[str, int] = {}
    statuses: dict[str, int] = {}
    for row in figures:
        models[row["model"] or ""] = models.get(row["model"] or "", 0) + row["runs"]
        statuses[row["status"]] = statuses.get(row["status"], 0) + row["runs"]
    inputs = inputs_from_json(texts["inputs"])
    sent = [row["parameters"] for row in figures]
    costs: list[Any] = [row["cost_usd"] for row in figures if row["cost_usd"] is not None]
    least: list[Any] = [row["at_least_usd"] for row in figures if row["at_least_usd"] is not None]
    return RunGroup(
        asked_at=found["asked_at"],
        key=found["group_key"],
        run_id=found["run_id"],
        models=models,
        statuses=statuses,
        cost_usd=sum(costs, Decimal(0)) if costs else None,
        at_least_usd=sum(least, Decimal(0)) if least else None,
        is_estimated=any(row["estimated"] for row in figures),
        unpriced=sum(row["unpriced"] for row in figures),
        is_free=all(row["price_source"] == "free" for row in figures),
        reused=sum(row["runs"] for row in figures if row["cached"]),
        source=texts["source"] or "",
        prompt=texts["user_prompt"] or "",
        answer=texts["response_text"] or texts["error_message"] or "",
        is_compressed=bool(texts["compressed"]),
        template="" if inputs is None or inputs.case is None else inputs.prompt or "",
        system=None if texts["user_prompt"] is None else texts["system_prompt"] or "",
        inputs=inputs,
        parameters=[json_value(text) or {} for text in dict.fromkeys(sent)],
        iterations=max(row["iterations"] or 1 for row in figures),
    )

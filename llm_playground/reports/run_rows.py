"""Runs as rows: the newest runs, requests sent more than once, ratings, and the audit log."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from numbers import Real
from typing import TYPE_CHECKING, Any, Unpack

from llm_playground import _validation, ids, provenance
from llm_playground._validation import checks_arguments
from llm_playground.errors import InvalidParameterError
from llm_playground.inputs import inputs_from_json
from llm_playground.redaction import redact
from llm_playground.reports import moments, query
from llm_playground.reports.moments import When
from llm_playground.reports.query import Filters, check_filters, condition, joined, limit_clause
from llm_playground.runlog import open_log, rows, schema
from llm_playground.runlog.input_columns import input_columns, parameter_names
from llm_playground.runlog.store import Dialect
from llm_playground.types import Run

if TYPE_CHECKING:
    import pandas as pd

    from llm_playground.frames import Frame

_COMPRESSED = rows.RUN_COLUMNS["compressed"]
# The columns of the view `runs` over its tables: through the view, a million rows are joined before
# the newest 100 of them are taken.
_COLUMNS = rows.selected(rows.RUN_COLUMNS | rows.PACKED)
# The order of the frame's columns: what a person looks for first, ids last.
_FIRST = (
    *("started_at", "model", "user_prompt", "response_text", "status", "cost_usd"),
    *("response_time_ms", "ttft_ms", "input_tokens", "output_tokens", "rating", "error_message"),
    *("username", "notebook", "tags", "system_prompt", "parameters", "inputs"),
)
_LAST = ("prompt_hash", "cell_id", "git_commit", "run_id", "execution_id", "prompt_id")
_ORDER = [
    *_FIRST,
    *(name for name in rows.RUN_COLUMNS if name not in (*_FIRST, *_LAST)),
    *_LAST,
]
_RATINGS = f"LEFT JOIN ({schema.RATINGS}) s ON s.result_id = r.id"
_SEARCHED_COLUMNS = ("system_prompt", "user_prompt", "response_text")
_NEWEST_FIRST = "ORDER BY r.started_at DESC NULLS LAST, r.id DESC"
_WAS_SENT = "NOT coalesce(r.cached, false) AND r.prompt_hash IS NOT NULL"
# One pass over the results; texts of prompts are read for those that were found only.
_DUPLICATES = """
WITH found AS (
    SELECT prompt_hash, max(model) AS model, count(*) AS runs,
        count(DISTINCT execution_id) AS executions,
        count(DISTINCT response_text) AS answers,
        sum(cost_usd)::FLOAT8 AS cost_usd,
        (sum(cost_usd) FILTER (WHERE number > 1))::FLOAT8 AS repeated_usd,
        min(started_at) AS first_at, max(started_at) AS last_at
    FROM (
        SELECT r.*, row_number() OVER (
            PARTITION BY r.prompt_hash ORDER BY r.started_at NULLS LAST, r.id) AS number
        {from_runs}
    ) AS numbered
    GROUP BY prompt_hash HAVING count(*) > 1
)
SELECT found.prompt_hash, model, texts.user_prompt, runs, repeated_usd, cost_usd, executions,
    answers, first_at, last_at
FROM found LEFT JOIN (
    SELECT prompt_hash, min(user_prompt) AS user_prompt FROM prompts
    WHERE prompt_hash IN (SELECT prompt_hash FROM found) GROUP BY prompt_hash
) AS texts ON texts.prompt_hash = found.prompt_hash
ORDER BY repeated_usd DESC NULLS LAST, runs DESC, found.prompt_hash
"""
# First the prompts that are shown are found: all figures of each prompt would take twice as long.
_TOP_PROMPTS = f"""
WITH most AS MATERIALIZED (
    SELECT r.prompt_hash {{from_runs}} AND r.prompt_hash IS NOT NULL GROUP BY r.prompt_hash
    ORDER BY sum(r.cost_usd) DESC NULLS LAST, count(*) DESC, r.prompt_hash COLLATE "C" {{limit}}
), found AS (
    SELECT r.prompt_hash, max(r.model) AS model, count(*) AS runs,
        {query.summed("r.input_tokens")} AS input_tokens,
        {query.summed("r.output_tokens")} AS output_tokens,
        sum(r.cost_usd)::FLOAT8 AS cost_usd, max(r.started_at) AS last_at
    {{from_runs}} AND r.prompt_hash IN (SELECT prompt_hash FROM most) GROUP BY r.prompt_hash
)
SELECT found.prompt_hash, model, texts.user_prompt, runs, input_tokens, output_tokens, cost_usd,
    last_at
FROM found LEFT JOIN (
    SELECT prompt_hash, min(user_prompt) AS user_prompt FROM prompts
    WHERE prompt_hash IN (SELECT prompt_hash FROM found) GROUP BY prompt_hash
) AS texts ON texts.prompt_hash = found.prompt_hash
ORDER BY cost_usd DESC NULLS LAST, runs DESC, found.prompt_hash COLLATE "C"
"""  # noqa: S608 - names of columns
_INSERT_RATING = """
INSERT INTO ratings (id, result_id, username, score, note, blind, created_at)
VALUES ($id, $run, $username, $score, $note, false, $at)
"""
_AUDIT_CONDITIONS = {
    "action": "action = $action",
    "user": "username = $user",
    "since": "created_at >= $since::TIMESTAMPTZ",
    "until": "created_at < $until::TIMESTAMPTZ",
}


@checks_arguments("runs")
def runs(
    *,
    limit: int | None = None,
    search_compressed: bool = False,
    expand: bool = False,
    **filters: Unpack[Filters],
) -> pd.DataFrame:
    """Runs, newest first: the columns of the view ``runs``, compressed texts included.

    ``started_at`` is in UTC; the repr shows local times, amounts and the beginnings of texts.

    Args:
        limit: The highest number of rows.
        expand: Whether the JSON columns ``inputs`` and ``parameters`` become columns of their own,
            at the end: ``case``, the columns of its row, the values of ``{{name}}``, and each
            parameter, as in ``pg.results``; a name that is taken gets the prefix ``input_``.
        search_compressed: Whether ``search`` includes compressed texts. That takes longer: each is
            decompressed.
        **filters: See :class:`Filters`.

    Raises:
        InvalidParameterError: A filter is unknown or its value is invalid.
        RunLogError: The log cannot be read.

    Example:
        >>> len(runs(model="local", since="2026-01-01", limit=0))
        0
    """
    from llm_playground.frames import Frame  # pandas is imported on first use

    check_filters(filters, runs)
    log = open_log()
    sql, values, text = _newest(log.dialect, limit, filters, search_compressed)
    frame = rows.unpacked(log.frame(sql, values))[_ORDER]
    if text is not None:
        searched = frame[list(_SEARCHED_COLUMNS)].astype(object).fillna("").to_dict("records")
        matching = [_contains(row, text) for row in searched]
        frame = frame[matching].iloc[:limit].reset_index(drop=True)
    return _expanded(frame) if expand else Frame(frame)


def _expanded(frame: pd.DataFrame) -> Frame:
    """The frame of runs with its inputs and parameters in columns of their own."""
    from llm_playground.frames import Frame, column  # pandas is imported on first use

    parameters = [_parameters(value) for value in frame["parameters"]]
    filled = input_columns(list(map(inputs_from_json, frame["inputs"])))
    names = parameter_names(parameters)
    added = {name: [each.get(name) for each in parameters] for name in names} | filled
    columns = {name: column(values) for name, values in added.items()}
    return Frame({**{name: frame[name] for name in frame.columns}, **columns})


def _parameters(value: object) -> dict[str, Any]:
    """The parameters in a JSON column; empty for what another program wrote."""
    try:
        found = json.loads(value) if isinstance(value, str) else None
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {}


def newest(
    *, limit: int | None = None, search_compressed: bool = False, **filters: Unpack[Filters]
) -> list[rows.Row]:
    """As :func:`runs`, as dictionaries and without pandas."""
    check_filters(filters, newest)
    log = open_log()
    sql, values, text = _newest(log.dialect, limit, filters, search_compressed)
    found = [rows.unpacked_row(row) for row in log.rows(sql, values)]
    return [row for row in found if text is None or _contains(row, text)][:limit]


def _newest(
    dialect: Dialect, limit: int | None, filters: Filters, search_compressed: bool
) -> tuple[str, Mapping[str, object], str | None]:
    """The query, its values, and the text in lower case that its rows have yet to be searched for.

    The database cannot search compressed texts: then the query selects all rows that may match.
    """
    where, limiting = condition(filters, dialect), limit_clause(limit)
    text = str(where.values["search"]) if search_compressed and "search" in where.values else None
    if text is not None:
        others: Filters = {**filters}
        others.pop("search", None)
        other_filters = condition(others, dialect).sql
        where = replace(where, sql=f"({where.sql}) OR {other_filters} AND ({_COMPRESSED})")
        limiting = ""
    matching = (
        f"SELECT r.* FROM {joined(where.tables)} WHERE {where.sql} {_NEWEST_FIRST} {limiting}"  # noqa: S608 - all parts are constants, values are bound
    )
    sql = (
        f"WITH r AS MATERIALIZED ({matching}) "  # noqa: S608 - as above
        f"SELECT {_COLUMNS} FROM {joined({'e', 'p'}, 'r')} {_RATINGS} {_NEWEST_FIRST}"
    )
    return sql, where.values, text


def _contains(row: Mapping[Any, Any], text: str) -> bool:
    """Whether the prompts or the answer contain a text that is in lower case."""
    return text in "\n".join(row[column] or "" for column in _SEARCHED_COLUMNS).lower()


@checks_arguments("duplicates")
def duplicates(**filters: Unpack[Filters]) -> pd.DataFrame:
    """Requests that were sent more than once, by ``prompt_hash``; the most expensive first.

    Columns: ``prompt_hash``, ``model``, ``user_prompt``, ``runs``, ``repeated_usd`` (all runs but
    the first), ``cost_usd``, ``executions`` (one call with ``n=5`` is one execution), ``answers``
    (different texts), ``first_at``, ``last_at``. Re-used answers were not sent and are left out.

    Args:
        **filters: See :class:`Filters`.

    Raises:
        InvalidParameterError: A filter is unknown or its value is invalid.
        RunLogError: The log cannot be read.
    """
    return query.report(_DUPLICATES, (), filters, which=_WAS_SENT)


@checks_arguments("top_prompts")
def top_prompts(*, limit: int = 10, **filters: Unpack[Filters]) -> pd.DataFrame:
    """The requests that cost the most in total, by ``prompt_hash``.

    Columns: ``prompt_hash``, ``model``, ``user_prompt``, ``runs``, ``input_tokens``,
    ``output_tokens``, ``cost_usd`` (NaN where no price is known) and ``last_at``.

    Args:
        limit: The highest number of rows.
        **filters: See :class:`Filters`.

    Raises:
        InvalidParameterError: ``limit`` or a filter is invalid.
        RunLogError: The log cannot be read.
    """
    check_filters(filters, top_prompts)
    return query.report(_TOP_PROMPTS, (), filters, limit=limit_clause(limit))


@checks_arguments("rate")
def rate(run: Run | str, score: float, note: str | None = None) -> None:
    """Rate an answer. ``lp.runs().rating`` is the mean of each rater's latest score.

    Args:
        run: A run, or its id.
        score: Any number, on a scale of your choice: 1 to 5, 0 or 1, percent.
        note: A reason to keep with it.

    Raises:
        InvalidParameterError: The score is not a number, or the run is not in the log.
        RunLogError: The log cannot be written.

    Example:
        >>> import llm_playground as lp
        >>> run = lp.ask("Say hello.", max_tokens=8)
        >>> lp.rate(run, 4, note="short and kind")
        >>> float(lp.runs(limit=1).rating[0])
        4.0
    """
    if isinstance(score, bool) or not isinstance(score, Real) or not _validation.is_finite(score):
        raise InvalidParameterError(f"score is {_validation.short_repr(score)}; it takes a number.")
    comment = _text("note", note)
    values = {
        "id": ids.new_id(),
        "run": _run_id(run),
        "username": provenance.username(),
        "score": float(score),
        "note": None if comment is None else redact(comment),
        "at": datetime.now(UTC),
    }
    log = open_log()
    if log.frame("SELECT 1 FROM results WHERE id = $run", {"run": values["run"]}).empty:
        raise InvalidParameterError(f"No run in {log.place} has the id {values['run']}.")
    log.change(lambda session: session.execute(_INSERT_RATING, values))


def _run_id(run: object) -> str:
    if isinstance(run, Run):
        return run.id
    if isinstance(run, str) and run:
        return run
    raise InvalidParameterError(f"rate takes a run or its id; got {_validation.short_repr(run)}.")


@checks_arguments("audit")
def audit(
    *,
    action: str | None = None,
    user: str | None = None,
    since: When | None = None,
    until: When | None = None,
    limit: int | None = None,
) -> pd.DataFrame:
    """The audit log, newest first: actions that change what others can see, spend or find.

    Recorded are keys that are set and removed, budgets and their overrides, purges, exports,
    backups, and settings of log, privacy, prices, endpoints and secret guard. Entries are written
    to this process's journal and drained from there, as runs are.

    Args:
        action: Such as ``"purge"``, ``"set_budget"``, ``"configure"``.
        user: Who did it.
        since: The first moment, as for ``lp.runs``.
        until: The end; a date or month is included to its end.
        limit: The highest number of rows.

    Returns:
        ``created_at``, ``username``, ``action``, ``target``, ``detail`` (JSON), ``notebook``,
        ``id``.

    Raises:
        InvalidParameterError: A filter is invalid.
        RunLogError: The log cannot be read.

    Example:
        >>> len(audit(action="purge", limit=0))
        0
    """
    from llm_playground.frames import Frame  # pandas is imported on first use

    values = {
        "action": _text("action", action),
        "user": _text("user", user),
        **moments.limits(since, until),
    }
    present = {name: value for name, value in values.items() if value is not None}
    where = " AND ".join(["true", *(_AUDIT_CONDITIONS[name] for name in present)])
    found = open_log().frame(
        "SELECT created_at, username, action, target, detail, notebook, id FROM audit_log "  # noqa: S608 - conditions are constants, values are bound
        f"WHERE {where} ORDER BY created_at DESC, id DESC {limit_clause(limit)}",
        present,
    )
    return Frame(found)


def _text(name: str, value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise InvalidParameterError(f"{name} takes text; got {_validation.short_repr(value)}.")
    return value

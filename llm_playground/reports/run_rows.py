"""Runs as a frame."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Unpack

from llm_playground.reports.filters import Condition, Filters, bound, condition
from llm_playground.reports.groups import tables
from llm_playground.runlog import RunLog, open_log, schema, texts

if TYPE_CHECKING:
    import pandas as pd

# The columns of the view `runs`, over the tables themselves: through the view, the newest 100 of a
# million are found only after a million are joined.
_COMPRESSED = "r.texts_gz IS NOT NULL OR p.texts_gz IS NOT NULL"
_COLUMNS = f"""
    r.id AS run_id, r.execution_id, e.prompt_id, r.prompt_hash, r.started_at,
    e.username, e.notebook, e.cell_id, e.git_commit, e.tags, e.source,
    r.provider, r.model, r.response_model, p.system_prompt, p.user_prompt, p.parameters,
    r.response_text, r.reasoning_text, r.status, r.finish_reason,
    r.input_tokens, r.output_tokens, r.cache_read_tokens, r.cache_write_tokens,
    r.reasoning_tokens, r.usage_source, r.cost_usd, r.price_source,
    r.ttft_ms, r.response_time_ms, r.queue_ms, r.attempts, r.error_type, r.error_message,
    r.iteration_number, coalesce(r.cached, false) AS cached, s.rating,
    r.saved_usd, e.git_dirty, e.variables,
    {_COMPRESSED} AS compressed
"""
_PACKED = "".join(f", {column} AS {name}" for name, column in texts.PACKED.items())
_RATINGS = f"LEFT JOIN ({schema.RATINGS}) s ON s.result_id = r.id"
_SEARCHED = ("system_prompt", "user_prompt", "response_text")
_NEWEST_FIRST = "ORDER BY r.started_at DESC NULLS LAST, r.id DESC"


def runs(
    *, limit: int | None = None, search_compressed: bool = False, **filters: Unpack[Filters]
) -> pd.DataFrame:
    """Runs, newest first: the columns of the view ``runs``, compressed texts included.

    Args:
        limit: The most rows to give.
        search_compressed: Whether ``search`` looks into compressed texts too, which takes longer:
            each is unpacked.
        **filters: See :class:`Filters`.

    Raises:
        InvalidParameterError: A filter is unknown or cannot be understood.
        RunLogError: The log cannot be read.

    Example:
        >>> len(runs(model="local", since="2026-01-01", limit=0))
        0
    """
    log = open_log()
    where, most = condition(filters, log.dialect), bound(limit)
    if not (search_compressed and "search" in where.values):
        return _found(log, where, most)
    others = condition(_but_search(filters), log.dialect).sql
    more = f"({where.sql}) OR {others} AND ({_COMPRESSED})"
    frame = _found(log, replace(where, sql=more), "")
    mentioned = frame[_mentions(frame, str(where.values["search"]))]
    return mentioned.iloc[:limit].reset_index(drop=True)


def _found(log: RunLog, where: Condition, most: str) -> pd.DataFrame:
    found = f"SELECT r.* FROM {tables(where.tables)} WHERE {where.sql} {_NEWEST_FIRST} {most}"  # noqa: S608 - all parts are constants, values are bound
    return texts.unpacked(
        log.frame(
            f"WITH r AS MATERIALIZED ({found}) "  # noqa: S608 - as above
            f"SELECT {_COLUMNS}{_PACKED} FROM {tables({'e', 'p'}, 'r')} {_RATINGS} {_NEWEST_FIRST}",
            where.values,
        )
    )


def _but_search(filters: Filters) -> Filters:
    others: Filters = {**filters}
    others.pop("search", None)
    return others


def _mentions(frame: pd.DataFrame, searched: str) -> pd.Series[bool]:
    """In which rows a lower-cased text is."""
    together = frame[_SEARCHED[0]].fillna("")
    for column in _SEARCHED[1:]:
        together = together + "\n" + frame[column].fillna("")
    return together.str.lower().str.contains(searched, regex=False)

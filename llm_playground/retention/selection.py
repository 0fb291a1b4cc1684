"""Which runs are purged, with the executions and prompts that only they use, and their texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from llm_playground.reports.query import Condition, Filters, condition
from llm_playground.runlog.store import Dialect, Session

Keep = Literal["compressed", "metrics", "nothing"]

_NOT_ELSEWHERE = {
    "duckdb": "NOT list_contains($elsewhere, r.id)",
    "postgres": "r.id <> ALL($elsewhere)",
}
_TEMPORARY = {
    "purge_runs": "id VARCHAR, execution_id VARCHAR",
    "purge_executions": "id VARCHAR, prompt_id VARCHAR",
    "purge_prompts": "id VARCHAR",
}
_COUNT_MATCHING = (
    "SELECT count(*) FROM results r LEFT JOIN executions e ON e.id = r.execution_id WHERE {where}"
)
_SELECT_RUNS = """
INSERT INTO purge_runs SELECT r.id, r.execution_id
FROM results r LEFT JOIN executions e ON e.id = r.execution_id
WHERE r.status IS DISTINCT FROM 'running' AND {where}
"""
# Executions all of whose runs are selected.
_SELECT_EXECUTIONS = """
INSERT INTO purge_executions SELECT e.id, e.prompt_id
FROM executions e JOIN (
    SELECT r.execution_id FROM results r LEFT JOIN purge_runs x ON x.id = r.id
    WHERE r.execution_id IN (SELECT execution_id FROM purge_runs)
    GROUP BY r.execution_id HAVING count(*) = count(x.id)
) AS whole ON whole.execution_id = e.id
"""
# Prompts all of whose executions are selected, and that are not saved under a name.
_SELECT_PROMPTS = """
INSERT INTO purge_prompts SELECT e.prompt_id
FROM executions e LEFT JOIN purge_executions x ON x.id = e.id
WHERE e.prompt_id IN (SELECT prompt_id FROM purge_executions)
  AND e.prompt_id NOT IN (SELECT prompt_id FROM prompt_versions WHERE prompt_id IS NOT NULL)
GROUP BY e.prompt_id HAVING count(*) = count(x.id)
"""
# Not compressed, so that SQL finds the hashes of used attachments: prompts with these in the text
# only, as of another program or an earlier version, and answers with pictures.
_UNSELECT = (
    "DELETE FROM purge_prompts WHERE id IN (SELECT id FROM prompts"
    " WHERE attachments IS NULL AND CAST(messages AS VARCHAR) LIKE '%\"sha256\"%')",
    "DELETE FROM purge_runs WHERE id IN"
    " (SELECT id FROM results WHERE CAST(parts AS VARCHAR) LIKE '%\"sha256\"%')",
)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which runs are purged, and what of them stays. A filter of None matches all runs."""

    dialect: Dialect
    keep: Keep
    before: datetime | None  # runs that began before this moment
    user: str | None
    tag: str | None  # of the execution
    run: str | None  # its id
    # Runs in the journals of other processes, which would restore them: not purged.
    elsewhere: Sequence[str] = ()

    def where(self) -> Condition:
        """The condition on ``r`` (results) and ``e`` (executions)."""
        filters: Filters = {"user": self.user, "tag": self.tag, "until": self.before}
        found = condition(filters, self.dialect)
        if self.run is None:
            return found
        values = {**found.values, "run": self.run}
        return Condition(f"{found.sql} AND r.id = $run", values, found.tables)


@contextmanager
def selected(session: Session, selection: Selection) -> Iterator[int]:
    """Fill the tables ``purge_runs``, ``purge_executions`` and ``purge_prompts`` for a block.

    Yields how many matching runs are left out: they are still running, or another process's journal
    would restore them.
    """
    where = selection.where()
    for table, columns in _TEMPORARY.items():
        session.execute(f"CREATE TEMP TABLE {table} ({columns})")
    [(matching,)] = session.rows(_COUNT_MATCHING.format(where=where.sql), where.values)
    sql, values = where.sql, dict(where.values)
    if selection.elsewhere:
        sql = f"{sql} AND {_NOT_ELSEWHERE[selection.dialect]}"
        values["elsewhere"] = list(selection.elsewhere)
    found = session.execute(_SELECT_RUNS.format(where=sql), values)
    session.execute(_SELECT_EXECUTIONS)
    session.execute(_SELECT_PROMPTS)
    for statement in _UNSELECT if selection.keep == "compressed" else ():
        session.execute(statement)
    yield int(matching) - found
    for table in _TEMPORARY:
        session.execute(f"DROP TABLE {table}")


# The columns with texts, by table alias. A text that is compressed already counts when removed.
COMPRESSED = {
    "r": ("response_text", "reasoning_text", "tool_calls", "parts", "sources", "error_detail"),
    "p": ("system_prompt", "user_prompt", "messages"),
}
_REMOVED = {
    "r": (*COMPRESSED["r"], "stop_sequence", "error_message", "texts_gz"),
    "p": (*COMPRESSED["p"], "texts_gz"),
}
_TEXT_BYTES = {
    "duckdb": "coalesce(strlen(CAST({} AS VARCHAR)), 0)",
    "postgres": "coalesce(octet_length(CAST({} AS TEXT)), 0)",
}
_PACKED_BYTES = "coalesce(octet_length({}), 0)"
# The runs that lose the text of their prompt.
_PROMPT_GOES = {
    "compressed": "e.prompt_id IN (SELECT id FROM purge_prompts)",
    "metrics": "e.id IN (SELECT id FROM purge_executions)",
    "nothing": "true",
}
_COUNT_RUNS = """
SELECT count(*) FILTER (WHERE {every} OR texts > 0 OR prompt), sum(texts), sum(bytes) FROM (
    SELECT {texts} AS texts, {bytes} AS bytes, coalesce({goes} AND {prompt_texts} > 0, false)
        AS prompt
    FROM purge_runs x JOIN results r ON r.id = x.id
    LEFT JOIN executions e ON e.id = r.execution_id LEFT JOIN prompts p ON p.id = e.prompt_id
) AS found
"""
_COUNT_PROMPTS = """
SELECT sum({texts}), sum({bytes}) FROM prompts p WHERE p.id IN (SELECT id FROM purge_prompts)
"""


@dataclass(frozen=True, slots=True)
class Survey:
    """What a purge changes."""

    runs: int  # that lose something
    texts: int  # the number of their answers, prompts, tool calls and errors
    bytes: int  # the size of these texts
    left: int  # matching runs that are not purged now


def survey(session: Session, selection: Selection) -> Survey:
    """Count what a purge would change; nothing is changed."""
    keep, dialect = selection.keep, selection.dialect
    columns = COMPRESSED if keep == "compressed" else _REMOVED
    texts, size = count_and_size("r", columns["r"], dialect)
    prompt_texts, prompt_size = count_and_size("p", columns["p"], dialect)
    count_runs = _COUNT_RUNS.format(
        every="true" if keep == "nothing" else "false",
        goes=_PROMPT_GOES[keep],
        prompt_texts=prompt_texts,
        texts=texts,
        bytes=size,
    )
    count_prompts = _COUNT_PROMPTS.format(texts=prompt_texts, bytes=prompt_size)
    with selected(session, selection) as left:
        [(runs, *of_runs)] = session.rows(count_runs)
        [of_prompts] = session.rows(count_prompts)
    total, total_bytes = (
        int(a or 0) + int(b or 0) for a, b in zip(of_runs, of_prompts, strict=True)
    )
    return Survey(int(runs), total, total_bytes, left)


def count_and_size(table: str, columns: Sequence[str], dialect: Dialect) -> tuple[str, str]:
    """SQL for the number of texts in some columns that are not empty, and their size in bytes."""
    forms = [_PACKED_BYTES if name.endswith("_gz") else _TEXT_BYTES[dialect] for name in columns]
    sizes = [form.format(f"{table}.{name}") for form, name in zip(forms, columns, strict=True)]
    counts = [f"CASE WHEN {size} > 0 THEN 1 ELSE 0 END" for size in sizes]
    return f"({' + '.join(counts)})", f"({' + '.join(sizes)})"

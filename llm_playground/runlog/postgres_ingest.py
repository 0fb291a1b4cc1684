"""Ingests journals into the tables on PostgreSQL: the server gets their text and parses the JSON.

One statement ingests several journals. A loop over runs in Python would hold the interpreter lock,
and recording would wait for it. The rules are those of the SQL in ``duckdb_ingest``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from llm_playground.runlog.duckdb_ingest import UPDATES
from llm_playground.runlog.rows import (
    AUDIT_COLUMNS,
    EXECUTION_COLUMNS,
    PROMPT_COLUMNS,
    RESULT_COLUMNS,
)
from llm_playground.runlog.store import Batch

if TYPE_CHECKING:
    import psycopg


_GROUP_BYTES = 16 << 20
_GROUP_FILES = 50
_TRIES = 3
# An escaped character in JSON; PostgreSQL's texts cannot contain NUL.
_ESCAPED = re.compile(r"\\(u0000|.)", re.DOTALL)


class _Content(NamedTuple):
    text: str
    dead: bool


def ingest(connection: psycopg.Connection[Any], batch: Batch) -> None:
    """Insert the journals' rows into the tables, a few journals per transaction.

    Lines that the server cannot parse are skipped, such as an incomplete last one.
    """
    from psycopg import errors

    for group in _groups(batch):
        try:
            _write(connection, group)
        except errors.DataError:
            _write(connection, [_readable(connection, content) for content in group])


def _write(connection: psycopg.Connection[Any], group: Sequence[_Content]) -> None:
    from psycopg import errors

    statement, values = _WRITE.format(files=_files(group)), _values(group)
    for left in reversed(range(_TRIES)):
        try:
            with connection.transaction():
                connection.execute("SET LOCAL TimeZone = 'UTC'")
                connection.execute(statement, values)
        except (errors.DeadlockDetected, errors.SerializationFailure):
            if not left:
                raise
        else:
            return


def _readable(connection: psycopg.Connection[Any], content: _Content) -> _Content:
    """A journal without the lines that the server cannot parse."""
    from psycopg import errors

    def is_readable(lines: Sequence[str]) -> bool:
        part = [_Content("\n".join(lines), content.dead)]
        try:
            with connection.transaction():
                connection.execute(_READ.format(files=_files(part)), _values(part))
        except errors.DataError:
            return False
        return True

    return _Content("\n".join(_good_lines(content.text.split("\n"), is_readable)), content.dead)


def _good_lines(lines: Sequence[str], good: Callable[[Sequence[str]], bool]) -> list[str]:
    """The lines without bad ones, found by bisection: a few checks for one bad line.

    >>> _good_lines(["a", "!", "b"], lambda lines: "!" not in lines)
    ['a', 'b']
    """
    if good(lines):
        return list(lines)
    if len(lines) == 1:
        return []
    middle = len(lines) // 2
    return _good_lines(lines[:middle], good) + _good_lines(lines[middle:], good)


def _groups(batch: Batch) -> Iterator[list[_Content]]:
    group: list[_Content] = []
    size = 0
    for path in batch.files:
        content = _Content(_text(path), path in batch.dead)
        if group and (size + len(content.text) > _GROUP_BYTES or len(group) == _GROUP_FILES):
            yield group
            group, size = [], 0
        group.append(content)
        size += len(content.text)
    if group:
        yield group


def _text(path: Path) -> str:
    """A journal's text; empty if its owner has just removed it."""
    try:
        return storable(path.read_bytes().decode("utf-8", "replace"))
    except FileNotFoundError:
        return ""


def storable(text: str) -> str:
    r"""JSON text without NUL, which PostgreSQL cannot store.

    >>> storable(r'{"a": "\u0000"}')
    '{"a": "\\ufffd"}'
    """
    if "\\u0000" in text:
        text = _ESCAPED.sub(lambda found: "\\ufffd" if found[1] == "u0000" else found[0], text)
    return text.replace("\0", "")


def _files(group: Sequence[_Content]) -> str:
    """Placeholders for journals: number, text, and whether the owner has ended."""
    return ", ".join(f"({n}, %(text{n})s::TEXT, %(dead{n})s::BOOLEAN)" for n in range(len(group)))


def _values(group: Sequence[_Content]) -> Mapping[str, object]:
    texts = {f"text{n}": content.text for n, content in enumerate(group)}
    return texts | {f"dead{n}": content.dead for n, content in enumerate(group)}


def _names(columns: Mapping[str, str], **replaced: str) -> str:
    return ", ".join(
        f"{replaced[name]} AS {name}" if name in replaced else name for name in columns
    )


_PARSED = """
WITH journal AS MATERIALIZED (
    SELECT file, dead, line::JSONB AS line
    FROM (VALUES {files}) AS f (file, content, dead),
         unnest(string_to_array(content, E'\\n')) AS l (line)
    WHERE line LIKE '{{%%'
), read_prompts AS (
    SELECT p.* FROM journal, jsonb_populate_record(NULL::prompts, line->'prompt') AS p
    WHERE p.id IS NOT NULL
), read_executions AS (
    SELECT e.*, dead FROM journal, jsonb_populate_record(NULL::executions, line->'execution') AS e
    WHERE e.id IS NOT NULL
), read_results AS (
    SELECT r.*, dead FROM journal, jsonb_populate_record(NULL::results, line->'result') AS r
    WHERE r.id IS NOT NULL AND r.started_at IS NOT NULL
), read_audit AS (
    SELECT a.* FROM journal, jsonb_populate_record(NULL::audit_log, line->'audit') AS a
    WHERE a.id IS NOT NULL
), pieces AS (
    SELECT DISTINCT file, (line->>'n')::BIGINT AS n, p.id, p."text"
    FROM journal, jsonb_to_recordset(line->'pieces') AS p (id VARCHAR, "text" VARCHAR)
    WHERE line->'pieces' IS NOT NULL
)
"""

_READ = f"""{_PARSED}
SELECT (SELECT count(row_to_json(t)) FROM read_prompts t),
       (SELECT count(row_to_json(t)) FROM read_executions t),
       (SELECT count(row_to_json(t)) FROM read_results t),
       (SELECT count(row_to_json(t)) FROM read_audit t),
       (SELECT count(n) + count("text") FROM pieces)
"""  # noqa: S608 - names of columns

_STATUS = "CASE WHEN all_dead AND status = 'running' THEN 'interrupted' ELSE status END"
_TEXT = "CASE WHEN status = 'running' THEN coalesce(so_far, '') ELSE response_text END"

# Rows go in by the order of their ids, so that two writers cannot wait for each other.
_WRITE = f"""{_PARSED}
, written_prompts AS (
    INSERT INTO prompts ({_names(PROMPT_COLUMNS)})
    SELECT DISTINCT ON (id) {_names(PROMPT_COLUMNS)} FROM read_prompts ORDER BY id
    ON CONFLICT (id) DO NOTHING
), written_audit AS (
    INSERT INTO audit_log ({_names(AUDIT_COLUMNS)})
    SELECT DISTINCT ON (id) {_names(AUDIT_COLUMNS)} FROM read_audit ORDER BY id
    ON CONFLICT DO NOTHING  -- no column: members who may only insert cannot read it
), best_executions AS (
    SELECT DISTINCT ON (id) *, bool_and(dead) OVER (PARTITION BY id) AS all_dead
    FROM read_executions ORDER BY id, status = 'running'
), written_executions AS (
    INSERT INTO executions ({_names(EXECUTION_COLUMNS)})
    SELECT {_names(EXECUTION_COLUMNS, status=_STATUS)} FROM best_executions ORDER BY id
    ON CONFLICT (id) DO UPDATE SET status = excluded.status, completed_at = excluded.completed_at
    WHERE executions.status = 'running' AND excluded.status <> 'running'
       OR executions.status = 'interrupted' AND excluded.completed_at IS NOT NULL
), best_results AS (
    SELECT DISTINCT ON (id) *, bool_and(dead) OVER (PARTITION BY id) AS all_dead
    FROM read_results ORDER BY id, status = 'running'
), copies AS (
    SELECT id, string_agg("text", '' ORDER BY n) AS so_far FROM pieces GROUP BY id, file
), texts AS (
    SELECT DISTINCT ON (id) id AS text_id, so_far FROM copies ORDER BY id, length(so_far) DESC
)
INSERT INTO results ({_names(RESULT_COLUMNS)})
SELECT {_names(RESULT_COLUMNS, status=_STATUS, response_text=_TEXT)}
FROM best_results LEFT JOIN texts ON text_id = id ORDER BY id
ON CONFLICT (id, started_at) DO UPDATE SET {UPDATES}, recorded_at = now()
WHERE results.status = 'running'
      AND (excluded.status <> 'running'
           OR length(excluded.response_text) > coalesce(length(results.response_text), 0))
   OR results.status = 'interrupted' AND excluded.status NOT IN ('running', 'interrupted')
"""  # noqa: S608 - names of columns

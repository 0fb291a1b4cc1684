"""Ingests journals into the tables on PostgreSQL: the server gets their text and parses the JSON.

One statement ingests several journals. A loop over runs in Python would hold the interpreter lock,
and recording would wait for it. The rules are those of the SQL in ``duckdb_ingest``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from llm_playground.runlog import refusals
from llm_playground.runlog.duckdb_ingest import UPDATES
from llm_playground.runlog.postgres_admin import DRAIN_MS, LOCK_WAIT_MS
from llm_playground.runlog.refusals import Content, Refused
from llm_playground.runlog.rows import (
    AUDIT_COLUMNS,
    DEFINITION_COLUMNS,
    EXECUTION_COLUMNS,
    PROMPT_COLUMNS,
    RESULT_COLUMNS,
)
from llm_playground.runlog.store import Batch, NotWritableError, RefusedRow

if TYPE_CHECKING:
    import psycopg


_GROUP_BYTES = 16 << 20
_GROUP_FILES = 50
_TRIES = 3
# Classes of SQLSTATE that concern no row: connections, transactions, resources, locks,
# operators, the system, the server itself. Triggers may raise any other one.
_NOT_ABOUT_ROWS = {"08", "25", "40", "53", "55", "57", "58", "F0", "XX"}
_NOT_WRITABLE = (
    "The run log cannot be written ({reason}). New runs are kept on this machine; what is in the "
    "log can be read."
)
_WRITING = (
    f"SET LOCAL TimeZone = 'UTC'; SET LOCAL lock_timeout = {LOCK_WAIT_MS}; "
    f"SET LOCAL statement_timeout = {DRAIN_MS}"
).encode()
_MAY_WRITE = "SELECT has_any_column_privilege('results', 'INSERT')"
# An escaped character in JSON; PostgreSQL's texts cannot contain NUL.
_ESCAPED = re.compile(r"\\(u0000|.)", re.DOTALL)


class _Content(NamedTuple):
    text: str
    dead: bool


def ingest(connection: psycopg.Connection[Any], batch: Batch) -> list[RefusedRow]:
    """Insert the journals' rows into the tables, a few journals per transaction.

    Returns:
        The rows that the server refuses.

    Raises:
        NotWritableError: The server or this user's role takes no runs.
    """
    refused: list[RefusedRow] = []
    for files, group in _groups(batch):
        try:
            _write(connection, _parts_of(group), group)
        except Refused:

            def write(part: str, contents: Sequence[Content]) -> None:
                _write(connection, [part], [_content(content) for content in contents])

            refused += refusals.isolated(Batch(files, batch.dead), write)
    return refused


def _content(content: Content) -> _Content:
    lines = (json.dumps(record, ensure_ascii=False) for record in content.records)
    return _Content(storable("\n".join(lines)), content.dead)


def _parts_of(group: Sequence[_Content]) -> list[str]:
    """The parts that occur in journals; a user may lack the right to insert others."""
    return [part for part in _INSERTS if any(f'"{part}":' in content.text for content in group)]


def _write(
    connection: psycopg.Connection[Any], parts: Sequence[str], group: Sequence[_Content]
) -> None:
    """Insert the rows of these parts in one transaction.

    Raises:
        Refused: The server refuses a row, or all rows of a part.
        NotWritableError: It takes no rows at all.
    """
    import psycopg
    from psycopg import errors

    inserts = "".join(_INSERTS[part] for part in parts)
    statement, values = f"{_PARSED.format(files=_files(group))}{inserts} SELECT", _values(group)
    for left in reversed(range(_TRIES)):
        try:
            with connection.transaction():
                connection.execute(_WRITING)
                connection.execute(statement.encode(), values)
        except (errors.DeadlockDetected, errors.SerializationFailure):
            if not left:
                raise
        except psycopg.Error as error:
            _explain(connection, error)
            raise
        else:
            return


def _explain(connection: psycopg.Connection[Any], error: psycopg.Error) -> None:
    """Raise NotWritableError or Refused if the server gives such a reason."""
    from psycopg import errors

    reason = re.sub(r"\s+", " ", error.diag.message_primary or "").strip()
    if isinstance(error, errors.ReadOnlySqlTransaction):
        reason = "its transactions are read-only, as on a standby server"
    if isinstance(error, (errors.ReadOnlySqlTransaction, errors.DiskFull)):
        raise NotWritableError(_NOT_WRITABLE.format(reason=reason)) from error
    if error.sqlstate is None or error.sqlstate[:2] in _NOT_ABOUT_ROWS:
        return
    is_denied = isinstance(error, errors.InsufficientPrivilege) and reason.startswith("permission")
    if is_denied:
        row = connection.execute(_MAY_WRITE).fetchone()
        if row is not None and not row[0]:
            raise NotWritableError(_NOT_WRITABLE.format(reason=reason)) from error
    raise Refused(reason, every_row=is_denied) from error


def _groups(batch: Batch) -> Iterator[tuple[list[Path], list[_Content]]]:
    files: list[Path] = []
    group: list[_Content] = []
    size = 0
    for path in batch.files:
        content = _Content(_text(path), path in batch.dead)
        if group and (size + len(content.text) > _GROUP_BYTES or len(group) == _GROUP_FILES):
            yield files, group
            files, group, size = [], [], 0
        files.append(path)
        group.append(content)
        size += len(content.text)
    if group:
        yield files, group


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
)"""

_STATUS = "CASE WHEN all_dead AND status = 'running' THEN 'interrupted' ELSE status END"
_TEXT = "CASE WHEN status = 'running' THEN coalesce(so_far, '') ELSE response_text END"


def _new_rows(table: str, part: str, columns: Mapping[str, str]) -> str:
    """The insertion of rows that never change, from a part of the lines."""
    return f""", read_{table} AS (
    SELECT r.* FROM journal, jsonb_populate_record(NULL::{table}, line->'{part}') AS r
    WHERE r.id IS NOT NULL
), written_{table} AS (
    INSERT INTO {table} ({_names(columns)})
    SELECT DISTINCT ON (id) {_names(columns)} FROM read_{table} ORDER BY id
    ON CONFLICT (id) DO NOTHING
)"""  # noqa: S608 - names of columns


# By the part of a line. Rows go in by the order of their ids, so that two writers cannot wait for
# each other.
_INSERTS = {
    "audit": f""", read_audit AS (
    SELECT a.* FROM journal, jsonb_populate_record(NULL::audit_log, line->'audit') AS a
    WHERE a.id IS NOT NULL
), written_audit AS (
    INSERT INTO audit_log ({_names(AUDIT_COLUMNS)})
    SELECT DISTINCT ON (id) {_names(AUDIT_COLUMNS)} FROM read_audit ORDER BY id
    ON CONFLICT DO NOTHING  -- no column: members who may only insert cannot read it
)""",  # noqa: S608 - names of columns
    "definition": _new_rows("definitions", "definition", DEFINITION_COLUMNS),
    "prompt": _new_rows("prompts", "prompt", PROMPT_COLUMNS),
    "execution": f""", read_executions AS (
    SELECT e.*, dead FROM journal, jsonb_populate_record(NULL::executions, line->'execution') AS e
    WHERE e.id IS NOT NULL
), best_executions AS (
    SELECT DISTINCT ON (id) *, bool_and(dead) OVER (PARTITION BY id) AS all_dead
    FROM read_executions ORDER BY id, status = 'running'
), written_executions AS (
    INSERT INTO executions ({_names(EXECUTION_COLUMNS)})
    SELECT {_names(EXECUTION_COLUMNS, status=_STATUS)} FROM best_executions ORDER BY id
    ON CONFLICT (id) DO UPDATE SET status = excluded.status, completed_at = excluded.completed_at
    WHERE executions.status = 'running' AND excluded.status <> 'running'
       OR executions.status = 'interrupted' AND excluded.completed_at IS NOT NULL
)""",  # noqa: S608 - names of columns
    "result": f""", read_results AS (
    SELECT r.*, dead FROM journal, jsonb_populate_record(NULL::results, line->'result') AS r
    WHERE r.id IS NOT NULL
), best_results AS (
    SELECT DISTINCT ON (id) *, bool_and(dead) OVER (PARTITION BY id) AS all_dead
    FROM read_results ORDER BY id, status = 'running', status = 'interrupted',
        CASE jsonb_typeof(attempts) WHEN 'array' THEN jsonb_array_length(attempts) END DESC
        NULLS LAST,
        response_model IS NOT NULL OR usage_source IS NOT DISTINCT FROM 'provider' DESC,
        output_tokens DESC NULLS LAST
), pieces AS (
    SELECT DISTINCT file, (line->>'n')::BIGINT AS n, p.id, p."text"
    FROM journal, jsonb_to_recordset(line->'pieces') AS p (id VARCHAR, "text" VARCHAR)
    WHERE line->'pieces' IS NOT NULL
), copies AS (
    SELECT id, string_agg("text", '' ORDER BY n) AS so_far FROM pieces GROUP BY id, file
), texts AS (
    SELECT DISTINCT ON (id) id AS text_id, so_far FROM copies ORDER BY id, length(so_far) DESC
), written_results AS (
    INSERT INTO results ({_names(RESULT_COLUMNS)})
    SELECT {_names(RESULT_COLUMNS, status=_STATUS, response_text=_TEXT)}
    FROM best_results LEFT JOIN texts ON text_id = id ORDER BY id
    ON CONFLICT (id, started_at) DO UPDATE SET {UPDATES}, recorded_at = now()
    WHERE results.status = 'running'
          AND (excluded.status <> 'running'
               OR length(excluded.response_text) > coalesce(length(results.response_text), 0))
       OR results.status = 'interrupted' AND excluded.status NOT IN ('running', 'interrupted')
)""",  # noqa: S608 - names of columns
}

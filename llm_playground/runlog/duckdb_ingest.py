"""Ingests journals into the tables: one statement per table over all files, idempotent by id.

DuckDB parses the JSON lines itself (``read_json``) without Python's interpreter lock, so recording
is not delayed. If a line or a row is refused, :mod:`llm_playground.runlog.refusals` isolates it.
"""

from __future__ import annotations

import glob
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from llm_playground.runlog import journal, refusals
from llm_playground.runlog.refusals import Content, Refused
from llm_playground.runlog.rows import (
    AUDIT_COLUMNS,
    DEFINITION_COLUMNS,
    EXECUTION_COLUMNS,
    PROMPT_COLUMNS,
    RESULT_COLUMNS,
)
from llm_playground.runlog.store import Batch, RefusedRow, quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


# No line is longer than its file; that of a live process may grow while it is read. DuckDB
# allocates buffers of twice this size.
_LONGEST_LINE_BYTES = 4 << 20
_TRIES = 5
_SPACE = re.compile(r"\s+")


def _struct(columns: Mapping[str, str]) -> str:
    return "STRUCT(" + ", ".join(f"{name} {kind}" for name, kind in columns.items()) + ")"


_ROWS = {
    "definition": DEFINITION_COLUMNS,
    "prompt": PROMPT_COLUMNS,
    "execution": EXECUTION_COLUMNS,
    "result": RESULT_COLUMNS,
    "audit": AUDIT_COLUMNS,
}
_LINE = {
    "n": "BIGINT",
    **{part: _struct(columns) for part, columns in _ROWS.items()},
    "pieces": 'STRUCT(id VARCHAR, "text" VARCHAR)[]',
}
_COLUMNS = "{" + ", ".join(f"{name}: '{kind}'" for name, kind in _LINE.items()) + "}"
# The same for `from_json`.
_SHAPE = json.dumps({"n": "BIGINT", **_ROWS, "pieces": [{"id": "VARCHAR", "text": "VARCHAR"}]})

# Read once; every table below is filled from here. `dead`: the journal's owner has ended.
_READ = """
CREATE OR REPLACE TEMP TABLE journal AS
SELECT *, parse_filename(filename) IN ({dead}) AS dead
FROM read_json([{files}], format='newline_delimited', filename=true,
               maximum_object_size={longest}, columns={columns})
"""
# The same from lines that are passed as values.
_TAKE = f"""
CREATE OR REPLACE TEMP TABLE journal AS
SELECT unnest(from_json_strict(line, {quoted(_SHAPE)})), filename, dead
FROM (SELECT unnest($lines) AS line, unnest($files) AS filename, unnest($dead) AS dead)
"""  # noqa: S608 - a constant

# For `definitions`, `prompts` and `audit_log`, whose rows never change.
_NEW_ROWS = """
INSERT INTO {table} BY NAME
SELECT DISTINCT ON ({row}.id) unnest({row}) FROM journal WHERE {row}.id IS NOT NULL
ON CONFLICT (id) DO NOTHING
"""

# A finished record wins over a started one; without one, a dead owner's execution is interrupted.
_EXECUTIONS = """
INSERT INTO executions BY NAME
WITH best AS (
    SELECT execution.id AS id,
           arg_min(execution, (execution.status IS NOT DISTINCT FROM 'running')::INTEGER) AS row,
           bool_and(dead) AS dead
    FROM journal WHERE execution.id IS NOT NULL GROUP BY execution.id
), rows AS (SELECT unnest(row), dead FROM best)
SELECT * EXCLUDE (dead)
       REPLACE (CASE WHEN dead AND status = 'running' THEN 'interrupted' ELSE status END AS status)
FROM rows
ON CONFLICT (id) DO UPDATE SET status = excluded.status, completed_at = excluded.completed_at
WHERE executions.status = 'running' AND excluded.status <> 'running'
   OR executions.status = 'interrupted' AND excluded.completed_at IS NOT NULL
"""

# Each journal has the whole text of its running runs, so the longest of several copies is used. Of
# rows of a running run, the one with the most attempts is the latest; of those with as many, the
# one with what the provider has reported of the answer, and of these the one with the most output.
# An interrupted run may have been resumed: another end of it is later.
_RESULTS = """
INSERT INTO results BY NAME
WITH best AS (
    SELECT result.id AS id,
           arg_min(result, CASE WHEN result.status IS NOT DISTINCT FROM 'running'
                           THEN 1000000 - 2 * coalesce(json_array_length(result.attempts), 0)
                                - {is_reported}::INTEGER
                                - least(coalesce(result.output_tokens, 0), 1e9) / 1e10
                           WHEN result.status IS NOT DISTINCT FROM 'interrupted' THEN 1
                           ELSE 0 END) AS row,
           bool_and(dead) AS dead
    FROM journal WHERE result.id IS NOT NULL GROUP BY result.id
), pieces AS (
    SELECT DISTINCT filename, n, unnest(pieces, recursive := true)
    FROM journal WHERE pieces IS NOT NULL
), copies AS (
    SELECT id, string_agg("text", '' ORDER BY n) AS so_far FROM pieces GROUP BY id, filename
), texts AS (
    SELECT id AS text_id, arg_max(so_far, length(so_far)) AS so_far FROM copies GROUP BY id
), rows AS (
    SELECT unnest(row), dead, so_far FROM best LEFT JOIN texts ON text_id = best.id
)
SELECT * EXCLUDE (dead, so_far) REPLACE (
    CASE WHEN status <> 'running' THEN status WHEN dead THEN 'interrupted' ELSE 'running' END
        AS status,
    CASE WHEN status = 'running' THEN coalesce(so_far, '') ELSE response_text END AS response_text)
FROM rows
ON CONFLICT (id) DO UPDATE SET {updates}
WHERE results.status = 'running'
   OR results.status = 'interrupted' AND excluded.status NOT IN ('running', 'interrupted')
"""
_IS_REPORTED = """(result.response_model IS NOT NULL
                                    OR result.usage_source IS NOT DISTINCT FROM 'provider')"""
_FIXED = ("id", "execution_id", "iteration_number", "prompt_hash", "started_at")
# The texts of an interrupted run may have been compressed before its answer was resumed.
UPDATES = ", ".join(
    [f"{name} = excluded.{name}" for name in RESULT_COLUMNS if name not in _FIXED]
    + ["texts_gz = NULL"]
)
_INSERTS = {
    "audit": _NEW_ROWS.format(table="audit_log", row="audit"),
    "definition": _NEW_ROWS.format(table="definitions", row="definition"),
    "prompt": _NEW_ROWS.format(table="prompts", row="prompt"),
    "execution": _EXECUTIONS,
    "result": _RESULTS.format(updates=UPDATES, is_reported=_IS_REPORTED),
}
_IDS = """
SELECT DISTINCT result.id
FROM read_json([{files}], format='newline_delimited', ignore_errors=true,
               maximum_object_size={longest}, columns={{result: 'STRUCT(id VARCHAR)'}})
WHERE result.id IS NOT NULL
"""


def ingest(connection: DuckDBPyConnection, batch: Batch) -> list[RefusedRow]:
    """Insert the journals' rows into the tables; the rows that are refused."""
    try:
        with _refusable():
            connection.execute(_READ.format(columns=_COLUMNS, **_files_of(batch)))
            _write(connection, _INSERTS)
    except Refused:

        def write(part: str, contents: Sequence[Content]) -> None:
            with _refusable():
                _take(connection, contents)
                _write(connection, [part])

        return refusals.isolated(batch, write)
    return []


@contextmanager
def _refusable() -> Iterator[None]:
    """Raise Refused for DuckDB's errors about values, constraints and columns."""
    import duckdb

    try:
        yield
    except (
        duckdb.DataError,
        duckdb.IntegrityError,
        duckdb.ProgrammingError,
        duckdb.NotSupportedError,
    ) as error:
        raise Refused(_SPACE.sub(" ", str(error).split("\n\nLINE ", 1)[0]).strip()) from error


def _files_of(batch: Batch) -> dict[str, object]:
    """The values of a statement that reads journals."""
    longest = max((journal.size(path) for path in batch.files), default=0) + 1
    return {
        # read_json takes unescaped characters for patterns.
        "files": ", ".join(quoted(glob.escape(str(path))) for path in batch.files),
        "dead": ", ".join(quoted(path.name) for path in batch.dead) or "''",
        "longest": max(_LONGEST_LINE_BYTES, longest),
    }


def _take(connection: DuckDBPyConnection, contents: Sequence[Content]) -> None:
    """Read lines of journals into the temporary table ``journal``, with all their columns."""
    lines, files, dead = [], [], []
    for content in contents:
        for record in content.records:
            rows = {
                part: {name: record[part].get(name) for name in columns} if part in record else None
                for part, columns in _ROWS.items()
            }
            others = {name: record.get(name) for name in ("n", "pieces")}
            lines.append(json.dumps(others | rows, ensure_ascii=False))
            files.append(str(content.file))
            dead.append(content.dead)
    connection.execute(_TAKE, {"lines": lines, "files": files, "dead": dead})


def _write(connection: DuckDBPyConnection, parts: Collection[str]) -> None:
    """Insert what was read into the tables, in one transaction."""
    connection.begin()
    try:
        for part in parts:
            connection.execute(_INSERTS[part])
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def ids(files: Sequence[Path]) -> list[str]:
    """Ids of the runs in journals, without using the log's database."""
    import duckdb

    for _ in range(_TRIES):
        existing = [path for path in files if path.exists()]
        if not existing:
            break
        with duckdb.connect() as connection:
            try:
                found = connection.execute(_IDS.format(**_files_of(Batch(existing, ()))))
            except duckdb.IOException:  # an owner ingested one at this moment
                continue
            return [row[0] for row in found.fetchall()]
    return []

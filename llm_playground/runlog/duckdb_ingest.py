"""Ingests journals into the tables: one statement per table over all files, idempotent by id.

DuckDB parses the JSON lines itself (``read_json``) without Python's interpreter lock, so recording
is not delayed. Invalid lines are skipped, such as an incomplete last one.
"""

from __future__ import annotations

import glob
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from llm_playground.runlog.rows import (
    AUDIT_COLUMNS,
    EXECUTION_COLUMNS,
    PROMPT_COLUMNS,
    RESULT_COLUMNS,
)
from llm_playground.runlog.store import Batch, quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


# No line is longer than its file; that of a live process may grow while it is read. DuckDB
# allocates buffers of twice this size.
_LONGEST_LINE_BYTES = 4 << 20
_TRIES = 5


def _struct(columns: Mapping[str, str]) -> str:
    return "STRUCT(" + ", ".join(f"{name} {kind}" for name, kind in columns.items()) + ")"


_LINE = {
    "n": "BIGINT",
    "prompt": _struct(PROMPT_COLUMNS),
    "execution": _struct(EXECUTION_COLUMNS),
    "result": _struct(RESULT_COLUMNS),
    "audit": _struct(AUDIT_COLUMNS),
    "pieces": 'STRUCT(id VARCHAR, "text" VARCHAR)[]',
}
_COLUMNS = "{" + ", ".join(f"{name}: '{kind}'" for name, kind in _LINE.items()) + "}"

# Read once; every table below is filled from here. `dead`: the journal's owner has ended.
_READ = """
CREATE OR REPLACE TEMP TABLE journal AS
SELECT *, parse_filename(filename) IN ({dead}) AS dead
FROM read_json([{files}], format='newline_delimited', ignore_errors=true, filename=true,
               maximum_object_size={longest}, columns={columns})
"""

# For `prompts` and `audit_log`, whose rows never change.
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

# Each journal has the whole text of its running runs, so the longest of several copies is used.
_RESULTS = """
INSERT INTO results BY NAME
WITH best AS (
    SELECT result.id AS id,
           arg_min(result, (result.status IS NOT DISTINCT FROM 'running')::INTEGER) AS row,
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
_FIXED = ("id", "execution_id", "iteration_number", "prompt_hash", "started_at")
UPDATES = ", ".join(f"{name} = excluded.{name}" for name in RESULT_COLUMNS if name not in _FIXED)
_IDS = "SELECT DISTINCT result.id FROM journal WHERE result.id IS NOT NULL"
_COUNT_NEW = """
SELECT count(DISTINCT result.id) FROM journal
WHERE result.id NOT IN (SELECT id FROM results WHERE status <> 'running')
"""


def read(connection: DuckDBPyConnection, batch: Batch) -> None:
    """Read journals into the connection's temporary table ``journal``."""
    longest = max((path.stat().st_size for path in batch.files if path.exists()), default=0) + 1
    connection.execute(
        _READ.format(
            # read_json takes unescaped characters for patterns.
            files=", ".join(quoted(glob.escape(str(path))) for path in batch.files),
            dead=", ".join(quoted(path.name) for path in batch.dead) or "''",
            longest=max(_LONGEST_LINE_BYTES, longest),
            columns=_COLUMNS,
        )
    )


def write(connection: DuckDBPyConnection) -> None:
    """Insert what was read into the tables, in one transaction."""
    connection.begin()
    connection.execute(_NEW_ROWS.format(table="prompts", row="prompt"))
    connection.execute(_NEW_ROWS.format(table="audit_log", row="audit"))
    connection.execute(_EXECUTIONS)
    connection.execute(_RESULTS.format(updates=UPDATES))
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
                read(connection, Batch(existing, ()))
            except duckdb.IOException:  # an owner ingested one at this moment
                continue
            return [row[0] for row in connection.execute(_IDS).fetchall()]
    return []


def count_new(connection: DuckDBPyConnection) -> int:
    """The number of runs read whose end is not in the tables yet."""
    row = connection.execute(_COUNT_NEW).fetchone()
    return int(row[0]) if row else 0

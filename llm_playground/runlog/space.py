"""Giving space back that removed texts took: neither engine does so by itself."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_playground.runlog.placeholders import quoted

if TYPE_CHECKING:
    import psycopg
    from duckdb import DuckDBPyConnection

# A table of which so much is dead is written anew; less is left to be used again.
_WORTH_IT = 0.2
_LOCK_WAIT = "10s"

_WORN = """
SELECT c.oid::regclass::TEXT, s.n_dead_tup > $1 * (s.n_live_tup + s.n_dead_tup)
FROM pg_class c JOIN pg_stat_user_tables s ON s.relid = c.oid
WHERE s.n_dead_tup > 0 AND c.relkind = 'r' AND pg_has_role(c.relowner, 'MEMBER') AND (
    c.oid IN (SELECT relid FROM pg_partition_tree('results') WHERE isleaf)
    OR c.oid IN (to_regclass('prompts'), to_regclass('executions'), to_regclass('ratings')))
"""


def copy_over(connection: DuckDBPyConnection, path: Path) -> Path:
    """Write what a DuckDB file holds into a new one beside it, without gaps; where it is.

    Raises:
        duckdb.Error: It cannot be written, such as for want of room. Nothing is left of it.
    """
    copy = path.with_name(f"{path.name}.compact")
    copy.unlink(missing_ok=True)
    try:
        connection.execute(f"ATTACH {quoted(str(copy))} AS compacted")
        row = connection.execute("SELECT current_database()").fetchone()
        name = str(row[0] if row else path.stem).replace('"', '""')
        connection.execute(f'COPY FROM DATABASE "{name}" TO compacted')
        connection.execute("DETACH compacted")
    except BaseException:
        with suppress(OSError):
            copy.unlink(missing_ok=True)
        raise
    return copy


def put_in_place(copy: Path, path: Path) -> None:
    """Make the copy the file: whole, or as before.

    Raises:
        OSError: It cannot be done; the file is as before.
    """
    shutil.copymode(path, copy)
    with copy.open("rb+") as file:
        os.fsync(file.fileno())
    copy.replace(path)


def vacuum(connection: psycopg.Connection[Any]) -> int:
    """Write worn tables of a PostgreSQL log anew; how many bytes less the database takes.

    Whoever wants such a table waits meanwhile.

    Raises:
        psycopg.Error: The server refuses.
    """
    from psycopg import errors

    before = _size(connection)
    connection.execute("SELECT pg_stat_force_next_flush()")
    worn = connection.execute(_WORN.replace("$1", str(_WORTH_IT)).encode()).fetchall()
    connection.execute(f"SET lock_timeout = '{_LOCK_WAIT}'".encode())
    try:
        for table, very in worn:
            try:
                connection.execute(f"VACUUM ({'FULL, ' if very else ''}ANALYZE) {table}".encode())
            except errors.LockNotAvailable:  # somebody works there: what is free is used again
                connection.execute(f"VACUUM (ANALYZE, SKIP_LOCKED) {table}".encode())
    finally:
        connection.execute("RESET lock_timeout")
    return before - _size(connection)


def _size(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    return int(row[0]) if row else 0

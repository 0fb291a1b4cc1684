"""Bringing a DuckDB file to the newest tables: by itself, once, after a copy of the file."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from llm_playground.errors import RunLogError
from llm_playground.runlog import schema

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_OURS = {"schema_migrations", "results"}
_TABLES = "SELECT table_name FROM duckdb_tables() WHERE NOT internal AND NOT temporary"


def version_of(connection: DuckDBPyConnection) -> int:
    """The version of the file's tables, 0 when it has none at all.

    Raises:
        RunLogError: A later major wrote it, or it holds something else.
    """
    tables = {row[0] for row in connection.execute(_TABLES).fetchall()}
    if tables >= _OURS:
        version = _number(connection)
        schema.check_major(version)
        return version
    if tables <= {"schema_migrations"} and not (tables and _number(connection)):
        return 0
    named = ", ".join(sorted(tables)[:3])
    raise RunLogError(
        f"This DuckDB file is no run log: it holds {named}. It is left as it is. "
        "Set LLM_PLAYGROUND_LOG to a file of its own."
    )


def _number(connection: DuckDBPyConnection) -> int:
    row = connection.execute(schema.VERSION).fetchone()
    return int(row[0]) if row else 0


def migrate(connection: DuckDBPyConnection, version: int) -> None:
    """Bring the tables from ``version`` to the newest, each step in a transaction."""
    connection.execute(schema.VERSIONS_TABLE)
    for number in range(version + 1, schema.NEWEST + 1):
        connection.begin()
        connection.execute(schema.statements(number, "duckdb"))
        connection.execute("INSERT INTO schema_migrations (version) VALUES (?)", [number])
        connection.commit()


def copy_before(path: Path) -> Path:
    """A copy of the closed file as it is before its next migration, beside it.

    Raises:
        OSError: It cannot be written. Nothing is left half.
    """
    copy = path.with_name(f"{path.name}.before-v{schema.NEWEST}")
    copy_file(path, copy)
    return copy


def copy_file(source: Path, target: Path) -> None:
    """Copy a closed database file; ``target`` is whole or untouched.

    Raises:
        OSError: It cannot be written.
    """
    part = target.with_name(target.name + ".part")
    try:
        with source.open("rb") as old, part.open("wb") as new:
            shutil.copyfileobj(old, new, 1 << 20)
            os.fsync(new.fileno())
        shutil.copymode(source, part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)

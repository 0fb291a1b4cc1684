"""Backup of a PostgreSQL run log to a DuckDB file, and restore from it.

The file is itself a run log, so a backup and a restore move a log from one engine to the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_playground import _files, config
from llm_playground.errors import RunLogError
from llm_playground.runlog import duckdb_file, duckdb_store, schema
from llm_playground.runlog.postgres_ingest import storable
from llm_playground.runlog.store import quoted

if TYPE_CHECKING:
    import psycopg
    from duckdb import DuckDBPyConnection


_PATIENCE_S = 3.0
_LINES = "WITH (FORMAT csv, QUOTE E'\\x01', DELIMITER E'\\x02')"  # a line of JSON as it is
_LEAST_BYTES = 1 << 20

_COLUMNS = "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = $table"
_SERVER_COLUMNS = """
SELECT attname FROM pg_attribute
WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped
"""
# How values of a type are written as JSON that the other engine reads without loss.
_FROM_SERVER = {"DECIMAL": "{}::TEXT", "BLOB": "encode({}, 'hex')"}
_INTO_FILE = {"BLOB": "unhex({})"}
_FROM_FILE = {"DECIMAL": "{}::VARCHAR", "BLOB": "'\\x' || hex({})"}


def to_file(connection: psycopg.Connection[Any], path: Path) -> None:
    """Write all rows of a server to a new DuckDB file."""
    with duckdb_store.explaining(path), _files.making(path) as folder:
        lines, made = folder / "lines.jsonl", folder / "log.duckdb"
        with duckdb_store.writing(made, _PATIENCE_S) as file, connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            connection.execute("SET LOCAL TimeZone = 'UTC'")
            for table in schema.TABLES:
                columns = _shared(connection, file, table)
                if longest := _fetch(connection, table, columns, lines):
                    _load(file, table, columns, lines, longest)
        _files.put_new(made, path)


def from_file(connection: psycopg.Connection[Any], path: Path) -> None:
    """Insert all rows of a DuckDB file into a server's empty tables, in one transaction.

    Raises:
        RunLogError: The file cannot be read, or the tables are not empty.
    """
    place = config.home() / "restored"
    _files.create_folder(place.parent)
    with _files.making(place) as folder:
        lines, copy = folder / "lines.jsonl", folder / "log.duckdb"
        with duckdb_store.explaining(path):
            duckdb_file.copy(path, copy)  # an earlier version is migrated
        with duckdb_store.writing(copy, _PATIENCE_S) as file, connection.transaction():
            _check_empty(connection)
            connection.execute("SET LOCAL TimeZone = 'UTC'")
            connection.execute("CREATE TEMP TABLE restored (line TEXT) ON COMMIT DROP")
            for table in schema.TABLES:
                columns = _shared(connection, file, table)
                _unload(file, table, columns, lines)
                _send(connection, table, columns, lines)


def _check_empty(connection: psycopg.Connection[Any]) -> None:
    for table in schema.TABLES:
        if table == "audit_log":  # keeps its entries, and those of the backup are added
            continue
        if connection.execute(f"SELECT FROM {table} LIMIT 1".encode()).fetchone() is not None:
            raise RunLogError(
                f"The run log is not empty (it has {table}). A backup is only restored into "
                "empty tables: create a new database, migrate it, and restore there."
            )


def _shared(
    connection: psycopg.Connection[Any], file: DuckDBPyConnection, table: str
) -> Mapping[str, str]:
    """The columns that a table has in both databases, with DuckDB's types."""
    on_server = {row[0] for row in connection.execute(_SERVER_COLUMNS, [table]).fetchall()}
    in_file = file.execute(_COLUMNS, {"table": table}).fetchall()
    return {name: kind for name, kind in in_file if name in on_server}


def _written(columns: Mapping[str, str], words: Mapping[str, str]) -> str:
    """The columns for a SELECT, each converted as its type requires."""
    forms = {name: words.get(kind.partition("(")[0], "{}") for name, kind in columns.items()}
    return ", ".join(f"{form.format(name)} AS {name}" for name, form in forms.items())


def _fetch(
    connection: psycopg.Connection[Any], table: str, columns: Mapping[str, str], lines: Path
) -> int:
    """Write a table as lines of JSON; the length of the longest in bytes."""
    rows = f"SELECT row_to_json(t) FROM (SELECT {_written(columns, _FROM_SERVER)} FROM {table}) t"  # noqa: S608 - names of our own tables
    longest = 0
    with (
        lines.open("wb") as out,
        connection.cursor() as cursor,
        cursor.copy(f"COPY ({rows}) TO STDOUT {_LINES}".encode()) as copy,
    ):
        for line in copy:
            longest = max(longest, out.write(line))
    return longest


def _load(
    file: DuckDBPyConnection, table: str, columns: Mapping[str, str], lines: Path, longest: int
) -> None:
    as_read = {name: "VARCHAR" if kind == "BLOB" else kind for name, kind in columns.items()}
    kinds = ", ".join(f"{name}: '{kind}'" for name, kind in as_read.items())
    file.execute(
        f"INSERT INTO {table} BY NAME SELECT {_written(columns, _INTO_FILE)} "  # noqa: S608 - names of our own tables
        f"FROM read_json($lines, format='newline_delimited', columns={{{kinds}}}, "
        f"maximum_object_size={max(longest + 1, _LEAST_BYTES)})",
        {"lines": str(lines)},
    )


def _unload(file: DuckDBPyConnection, table: str, columns: Mapping[str, str], lines: Path) -> None:
    file.execute(
        f"COPY (SELECT {_written(columns, _FROM_FILE)} FROM {table}) "  # noqa: S608 - names of our own tables
        f"TO {quoted(str(lines))} (FORMAT json)"
    )


def _send(
    connection: psycopg.Connection[Any], table: str, columns: Mapping[str, str], lines: Path
) -> None:
    with connection.cursor() as cursor:
        into = f"COPY restored FROM STDIN {_LINES}".encode()
        with lines.open(encoding="utf-8") as found, cursor.copy(into) as copy:
            for line in found:
                copy.write(storable(line))
        names = ", ".join(columns)
        cursor.execute(
            f"INSERT INTO {table} ({names}) SELECT {names} "  # noqa: S608 - names of our own tables
            f"FROM restored, jsonb_populate_record(NULL::{table}, line::JSONB)".encode()
        )
        cursor.execute("TRUNCATE restored")

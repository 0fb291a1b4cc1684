"""A run log on a PostgreSQL server: at most one connection per process, open only while in use.

A connection is opened for each use of the log and closed after it, so that 80 kernels share 50
connections. For the same reason there is no connection pool here: a pooled read takes 0.5 ms
instead of 7 ms, but each kernel would keep a connection. A connection has no state between
transactions, because a pooler on the way may give each of them to another server process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from llm_playground import config
from llm_playground.errors import RunLogError
from llm_playground.runlog import duckdb_ingest, postgres_admin, postgres_ingest, transfer
from llm_playground.runlog.postgres_server import Server
from llm_playground.runlog.store import (
    Batch,
    Dialect,
    RefusedRow,
    Session,
    SqlParams,
    Table,
    Unavailable,
    for_psycopg,
    reads,
)

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd
    import psycopg
    from sqlalchemy import Engine

    from llm_playground.runlog.log import RunLog


_ENDED = "SELECT id FROM results WHERE id = ANY(%s) AND status <> 'running'"
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"

T = TypeVar("T")
Fetch: TypeAlias = "Callable[[psycopg.Connection[Any], str, Mapping[str, object]], T]"


class PostgresStore:
    """The database at a ``postgresql://`` URL; its journals are in the user's data folder."""

    dialect: Dialect = "postgres"
    path: Path | None = None

    def __init__(self, server: Server) -> None:
        self._server = server
        self.place = server.place
        self.folder = config.home() / "journal" / server.key
        self.after_fork()

    def after_fork(self) -> None:
        self._connection: psycopg.Connection[Any] | None = None
        self._until = 0.0
        self._checked = False  # whether the tables' version was checked
        self._partitioned_month = ""  # the month in which partitions were last created

    @contextmanager
    def exclusive(self, wait_s: float) -> Iterator[None]:
        self._until = time.monotonic() + wait_s
        try:
            yield
        finally:
            self._close()

    def awaited(self) -> str:
        return ""

    def unfinished(self) -> bool:
        return False

    @contextmanager
    def writing(self, *, patient: bool = True) -> Iterator[PostgresSession]:  # noqa: ARG002 - for files
        connection = self._open()
        left_ms = max(int((self._until - time.monotonic()) * 1000), 1)  # 0 would be no limit
        lock_wait_ms = min(left_ms, postgres_admin.CHANGE_LOCK_WAIT_MS)
        yield PostgresSession(connection, self._server, lock_wait_ms)
        self._create_partitions(connection)

    @contextmanager
    def reading(self) -> Iterator[PostgresSession]:
        from llm_playground.runlog import postgres_values  # psycopg is imported on first use

        with self._using("be read") as connection, connection.transaction():
            connection.execute(postgres_values.READING)
            yield PostgresSession(connection, self._server)

    @contextmanager
    def opened(self) -> Iterator[None]:
        from llm_playground.runlog import postgres_values  # psycopg is imported on first use

        with self._using("be read") as connection, connection.transaction():
            connection.execute(b"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            connection.execute(postgres_values.READING)
            yield

    def frame(self, sql: str, params: SqlParams) -> pd.DataFrame:
        from llm_playground.runlog import postgres_values  # psycopg is imported on first use

        return self._read(sql, params, postgres_values.frame)

    def select(self, sql: str, params: SqlParams) -> Table:
        from llm_playground.runlog import postgres_values  # psycopg is imported on first use

        return self._read(sql, params, postgres_values.table)

    def engine(self, log: RunLog) -> Engine:
        from llm_playground.runlog import sql_engine  # SQLAlchemy is imported on first use

        def connect() -> psycopg.Connection[Any]:
            log.drain()
            return self._server.connect_reading()

        return sql_engine.postgres_engine(connect)

    def waiting(self, files: Sequence[Path]) -> set[str]:
        found = duckdb_ingest.ids(files)
        with suppress(RunLogError, Unavailable), self._using("be read") as connection:
            ended = connection.execute(_ENDED, [found]).fetchall()
            return set(found) - {row[0] for row in ended}
        return set(found)

    def set_aside(self, wait_s: float) -> Path:  # noqa: ARG002 - for files
        raise RunLogError(
            f"The run log is on {self.place}; only a file can be renamed. Ask its owner."
        )

    def migrate(self) -> int:
        connection = self._connected()
        with self._server.refusing("be migrated"):
            version = postgres_admin.migrate(connection)
        self._checked = True
        return version

    def backup(self, path: Path) -> None:
        with self._using("be copied") as connection:
            transfer.to_file(connection, path)

    def restore(self, path: Path) -> None:
        with self._using("be restored") as connection:
            transfer.from_file(connection, path)

    def compact(self) -> int:
        with self._using("be compacted") as connection:
            return postgres_admin.vacuum(connection)

    def summed_until(self) -> datetime | None:
        with self._using("be read") as connection:
            return postgres_admin.summed_until(connection)

    def _read(self, sql: str, params: SqlParams, fetch: Fetch[T]) -> T:
        if not reads(sql):
            raise RunLogError("The run log takes one SELECT at a time here. Nothing was changed.")
        with self._using("answer this") as connection:
            return fetch(connection, *for_psycopg(sql, params))

    @contextmanager
    def _using(self, what: str) -> Iterator[psycopg.Connection[Any]]:
        """The open connection, whose errors say that the run log cannot do ``what``."""
        connection = self._open()
        with self._server.refusing(what):
            yield connection

    def _open(self) -> psycopg.Connection[Any]:
        """The open connection, after the tables' version was checked once."""
        connection = self._connected()
        if not self._checked:
            with self._server.refusing("be read"):
                postgres_admin.check(connection)
            self._checked = True
        return connection

    def _connected(self) -> psycopg.Connection[Any]:
        if self._connection is None or self._connection.closed:
            self._connection = self._server.connect(self._until)
        return self._connection

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _create_partitions(self, connection: psycopg.Connection[Any]) -> None:
        """Try once a month to create the next months' partitions, if this user owns the tables.

        If others lock the tables for too long, a later process creates them: partitions are created
        months ahead, and until then rows go to the default partition.
        """
        from psycopg.errors import LockNotAvailable  # psycopg is imported on first use

        month = time.strftime("%Y-%m", time.gmtime())
        if self._partitioned_month == month:
            return
        self._partitioned_month = month
        with self._server.refusing("be partitioned"), suppress(LockNotAvailable):
            if postgres_admin.is_owner(connection):
                postgres_admin.create_partitions(connection)


class PostgresSession:
    """Implements :class:`Writer` and :class:`Session`, or only the latter's reading half."""

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        server: Server,
        lock_wait_ms: int = postgres_admin.CHANGE_LOCK_WAIT_MS,
    ) -> None:
        self._connection = connection
        self._server = server
        self._lock_wait_ms = lock_wait_ms

    def ingest(self, batch: Batch) -> list[RefusedRow]:
        with self._server.refusing("be written"):
            return postgres_ingest.ingest(self._connection, batch) if batch.files else []

    def change(self, work: Callable[[Session], T]) -> T:
        with self._server.refusing("be changed"), self._connection.transaction():
            self._connection.execute(
                "SET LOCAL TimeZone = 'UTC'; "
                f"SET LOCAL lock_timeout = {self._lock_wait_ms}".encode()
            )
            return work(self)

    def rows(self, sql: str, params: Mapping[str, object] | None = None) -> list[tuple[Any, ...]]:
        from llm_playground.runlog import postgres_values  # psycopg is imported on first use

        with self._server.refusing("do this"):
            return postgres_values.rows(self._connection, *for_psycopg(sql, params or {}))

    def execute(self, sql: str, params: Mapping[str, object] | None = None) -> int:
        statement, values = for_psycopg(sql, params or {})
        with self._server.refusing("do this"):
            return max(self._connection.execute(statement.encode(), values).rowcount, 0)

    def lock(self, name: str) -> None:
        with self._server.refusing("do this"):
            self._connection.execute(_LOCK, [name])

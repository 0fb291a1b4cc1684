"""A run log on a PostgreSQL server: one connection per process, open only while it is used.

A connection is opened with the first statement of a turn and closed at the turn's end, so that
180 kernels live with 50 connections. It keeps no state from one transaction to the next: a pooler
between may give each to another server process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from llm_playground import config
from llm_playground.errors import RunLogError
from llm_playground.runlog import (
    drain,
    portable,
    postgres_drain,
    postgres_rows,
    postgres_tables,
    space,
)
from llm_playground.runlog.placeholders import for_psycopg, reads
from llm_playground.runlog.server import Server
from llm_playground.runlog.store import Batch, Dialect, Session, SqlParams, Unavailable

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd
    import psycopg

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"
_NONE: Mapping[str, object] = {}

T = TypeVar("T")


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
        """See :meth:`Store.after_fork`."""
        self._connection: psycopg.Connection[Any] | None = None
        self._until = 0.0
        self._checked = False  # that tables are there, of a version that we know
        self._parted: str | None = None  # the month in which an owner looked after partitions

    @contextmanager
    def alone(self, wait_s: float) -> Iterator[None]:
        """See :meth:`Store.alone`. Others go on meanwhile; the connection ends with the turn."""
        self._until = time.monotonic() + wait_s
        try:
            yield
        finally:
            self._close()

    def unfinished(self) -> bool:
        """See :meth:`Store.unfinished`."""
        return False

    @contextmanager
    def writing(self) -> Iterator[PostgresWriter]:
        """See :meth:`Store.writing`."""
        connection = self._open()
        yield PostgresWriter(connection, self._server)
        self._look_after_partitions(connection)

    def frame(self, sql: str, params: SqlParams) -> pd.DataFrame:
        """See :meth:`Store.frame`."""
        if not reads(sql):
            raise RunLogError(
                "The run log is read with one SELECT at a time. This door only reads."
            )
        connection = self._open()
        statement, values = for_psycopg(sql, params)
        with self._server.refusing("answer this"):
            return postgres_rows.frame(connection, statement, values)

    def waiting(self, files: Sequence[Path]) -> int:
        """See :meth:`Store.waiting`."""
        found = drain.ids(files)
        try:
            connection = self._open()
        except (RunLogError, Unavailable):
            return len(found)
        ended = "SELECT count(*) FROM results WHERE id = ANY(%s) AND status <> 'running'"
        with self._server.refusing("be read"):
            row = connection.execute(ended, [found]).fetchone()
        return len(found) - (int(row[0]) if row else 0)

    def set_aside(self, wait_s: float) -> Path:  # noqa: ARG002 - what every store is asked with
        """See :meth:`Store.set_aside`: only a file can be."""
        raise RunLogError(
            f"The run log is on {self.place}; only a file can be moved aside. Ask its owner."
        )

    def migrate(self) -> int:
        """See :meth:`Store.migrate`: only the owner can."""
        connection = self._connected()
        with self._server.refusing("be migrated"):
            version = postgres_tables.migrate(connection)
        self._checked = True
        return version

    def backup(self, path: Path) -> None:
        """See :meth:`Store.backup`."""
        connection = self._open()
        with self._server.refusing("be copied"):
            portable.to_file(connection, path)

    def restore(self, path: Path) -> Path | None:
        """See :meth:`Store.restore`: into empty tables only."""
        connection = self._open()
        with self._server.refusing("be restored"):
            portable.from_file(connection, path)
        return None

    def compact(self) -> int:
        """See :meth:`Store.compact`."""
        connection = self._open()
        with self._server.refusing("be tidied up"):
            return space.vacuum(connection)

    def summed_until(self) -> datetime | None:
        """See :meth:`Store.summed_until`."""
        connection = self._open()
        with self._server.refusing("be read"):
            return postgres_tables.summed_until(connection)

    def _open(self) -> psycopg.Connection[Any]:
        """The connection of this turn, to tables that are there."""
        connection = self._connected()
        if not self._checked:
            with self._server.refusing("be read"):
                postgres_tables.check(connection)
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

    def _look_after_partitions(self, connection: psycopg.Connection[Any]) -> None:
        """Where this user owns the tables, make the next months' partitions, once a month."""
        month = time.strftime("%Y-%m", time.gmtime())
        if self._parted == month:
            return
        self._parted = month
        with self._server.refusing("be parted"):
            if postgres_tables.is_owner(connection):
                postgres_tables.part(connection)


class PostgresWriter:
    """The open connection; see :class:`Writer`."""

    def __init__(self, connection: psycopg.Connection[Any], server: Server) -> None:
        self._connection = connection
        self._server = server

    def bring_in(self, batch: Batch) -> None:
        """See :meth:`Writer.bring_in`."""
        with self._server.refusing("be written"):
            postgres_drain.bring_in(self._connection, batch)

    def change(self, work: Callable[[Session], T]) -> T:
        """See :meth:`Writer.change`."""
        with self._server.refusing("be changed"), self._connection.transaction():
            self._connection.execute("SET LOCAL TimeZone = 'UTC'")
            return work(PostgresSession(self._connection, self._server))


class PostgresSession:
    """One transaction; see :class:`Session`."""

    def __init__(self, connection: psycopg.Connection[Any], server: Server) -> None:
        self._connection = connection
        self._server = server

    def rows(self, sql: str, params: Mapping[str, object] = _NONE) -> list[tuple[Any, ...]]:
        """See :meth:`Session.rows`."""
        with self._server.refusing("do this"):
            return postgres_rows.rows(self._connection, *for_psycopg(sql, params))

    def execute(self, sql: str, params: Mapping[str, object] = _NONE) -> int:
        """See :meth:`Session.execute`."""
        statement, values = for_psycopg(sql, params)
        with self._server.refusing("do this"):
            return max(self._connection.execute(statement.encode(), values).rowcount, 0)

    def lock(self, name: str) -> None:
        """See :meth:`Session.lock`."""
        with self._server.refusing("do this"):
            self._connection.execute(_LOCK, [name])

"""A run log on a PostgreSQL server: at most one connection per process, open only while in use.

A connection is opened for each use of the log and closed after it, so that 180 kernels share 50
connections. For the same reason there is no connection pool here: a pooled read takes 0.5 ms
instead of 7 ms, but each kernel would keep a connection. A connection has no state between
transactions, because a pooler on the way may give each of them to another server process.

psycopg finds the password in the URL, in ``PGPASSWORD``, in ``~/.pgpass`` or in a service file. No
message of this module contains it.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from llm_playground import config
from llm_playground.errors import ConfigError, RunLogError
from llm_playground.runlog import duckdb_ingest, postgres_admin, postgres_ingest, transfer
from llm_playground.runlog.libpq_passwords import remember_passwords
from llm_playground.runlog.store import (
    Batch,
    Dialect,
    LockedError,
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


# Defaults for libpq, unless the URL has others. They detect a server that is gone.
_DEFAULTS = {
    "application_name": "llm_playground",
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
}
_FULL = re.compile(
    r"too many clients|remaining connection slots|too many connections|"
    r"no more connections allowed|query_wait_timeout|server_login_retry|"
    r"Resource temporarily unavailable|the database system is starting up"
)
# Between attempts while all connections are in use, twice as long each time: each attempt costs
# the server a process.
_random = random.Random()  # noqa: S311 - spreads load, guards nothing
_RETRY_S = 0.1
_LONGEST_RETRY_S = 4.0
_UNCLEAR = (
    "The run log's URL is invalid. Write it as postgresql://user@host:5432/database, with special "
    "characters of a password encoded, such as %40 for @."
)

_SAFE = "They are safe on this machine."
_REASONS = (
    (
        r"password authentication failed|no password supplied|empty password",
        "{place} does not accept the password",
        "Correct it in LLM_PLAYGROUND_LOG, PGPASSWORD or ~/.pgpass.",
    ),
    (_FULL.pattern, "{place} takes no more connections now", _SAFE),
    (
        r"role \"?.*\"? does not exist|no pg_hba.conf entry|authentication failed",
        "{place} does not let this user in",
        "Correct the user in LLM_PLAYGROUND_LOG, or ask its owner.",
    ),
    (
        r"database \"?.*\"? does not exist",
        "there is no such database at {place}",
        "Correct its name in LLM_PLAYGROUND_LOG, or ask its owner.",
    ),
    (
        r"could not translate host name|Name or service not known|nodename nor servname|"
        r"failed to resolve host|No address associated",
        "the host of {place} is not known",
        "Correct it in LLM_PLAYGROUND_LOG, or look at the network.",
    ),
    (
        r"SSL|certificate",
        "TLS to {place} fails: {text}",
        "See sslmode and sslrootcert in LLM_PLAYGROUND_LOG.",
    ),
)


@dataclass(frozen=True, slots=True)
class Server:
    """A PostgreSQL database by its URL. Its ``repr`` and ``place`` contain no login."""

    place: str
    key: str
    _conninfo: str = field(repr=False)

    @classmethod
    def at(cls, url: str) -> Server:
        """The server of a ``postgresql://`` URL, completed by environment and service file.

        Raises:
            ConfigError: psycopg is not installed, or the URL is invalid.
        """
        try:
            import psycopg
            from psycopg import pq
            from psycopg.conninfo import conninfo_to_dict, make_conninfo
        except ImportError as error:
            raise ConfigError(
                "A run log on PostgreSQL needs psycopg: pip install 'llm_playground[postgres]'."
            ) from error
        try:
            given = conninfo_to_dict(url)
        except psycopg.Error:  # its message may contain a part of the password
            raise ConfigError(_UNCLEAR) from None
        # The variables of libpq, a service and the login name are among its defaults.
        defaults = {each.keyword.decode(): each.val for each in pq.Conninfo.get_defaults()}
        known = {name: value.decode() for name, value in defaults.items() if value}
        known |= {name: str(value) for name, value in given.items() if value}
        named = [known.get(name, "") for name in ("host", "port", "dbname", "user", "service")]
        host, port, database, user, service = named
        if "@" in host:
            raise ConfigError(_UNCLEAR)
        place = service or f"{host or 'localhost'}:{port}/{database or user}"
        remember_passwords(url, known, f"postgresql://{user}@{place}")
        key = sha256("\n".join(named).encode()).hexdigest()[:16]
        absent = {name: value for name, value in _DEFAULTS.items() if name not in given}
        return cls(f"postgresql://{place}", key, make_conninfo(url, **absent))

    def connect(self, until: float) -> psycopg.Connection[Any]:
        """Open a connection, without state that a pooler would lose.

        While all connections are in use, try again until ``time.monotonic()`` is ``until``.

        Raises:
            Unavailable: It cannot be opened.
        """
        import psycopg

        longest_s = _RETRY_S
        while True:
            try:
                return psycopg.connect(self._conninfo, autocommit=True, prepare_threshold=None)
            except psycopg.OperationalError as error:
                if not _FULL.search(str(error)) or time.monotonic() > until:
                    raise self.unavailable(error) from error
            time.sleep(_random.uniform(longest_s / 2, longest_s))
            longest_s = min(2 * longest_s, _LONGEST_RETRY_S)

    def connect_reading(self) -> psycopg.Connection[Any]:
        """Open a connection whose transactions are read-only; the caller closes it.

        Raises:
            RunLogError: It cannot be opened.
        """
        try:
            connection = self.connect(time.monotonic() + _LONGEST_RETRY_S)
        except Unavailable as error:
            raise RunLogError(
                f"The run log cannot be read: {error.reason}. {error.advice}", detail=error.detail
            ) from error
        # Both: a pooler may lose the setting, and autocommit has no transaction to be read-only.
        connection.execute(
            "SET default_transaction_read_only = on; SET TimeZone = 'UTC'; "
            f"SET lock_timeout = {postgres_admin.LOCK_WAIT_MS}".encode()
        )
        connection.autocommit = False
        connection.read_only = True
        return connection

    def _holder(self) -> str:
        """Which session holds a lock that this process waited for."""
        import psycopg

        with suppress(psycopg.Error, Unavailable), self.connect(time.monotonic()) as connection:
            return postgres_admin.holder(connection)
        return "another session holds a lock"

    def unavailable(self, error: BaseException) -> Unavailable:
        """Why the server cannot be used now, in plain words where the reason is known."""
        text = one_line(error)
        for pattern, message, advice in _REASONS:
            if re.search(pattern, text):
                reason = message.format(place=self.place, text=text)
                return Unavailable(reason, advice, passes=bool(_FULL.search(text)), detail=text)
        return Unavailable(f"{self.place} does not answer", _SAFE, lasts=True, detail=text)

    @contextmanager
    def refusing(self, what: str) -> Iterator[None]:
        """Turn the server's errors about a statement into those of this package.

        Raises:
            RunLogError: The server refused the statement: the run log cannot do ``what``.
            Unavailable: The server is gone.
        """
        import psycopg

        gone = (psycopg.errors.AdminShutdown, psycopg.errors.CrashShutdown)
        try:
            yield
        except (psycopg.Error, UnicodeEncodeError) as error:  # a lone surrogate, before it is sent
            is_broken = isinstance(error, psycopg.OperationalError) and error.sqlstate is None
            if is_broken or isinstance(error, gone):
                raise self.unavailable(error) from error
            if isinstance(error, psycopg.errors.LockNotAvailable):
                raise LockedError(
                    f"The run log cannot {what}: {self._holder()}. Try again when its transaction "
                    "has ended; new runs are kept on this machine."
                ) from error
            raise RunLogError(f"The run log cannot {what}: {one_line(error)}") from error


def one_line(error: BaseException) -> str:
    """The message without the server's quotation of the statement."""
    primary = getattr(getattr(error, "diag", None), "message_primary", None)
    return re.sub(r"\s+", " ", primary or str(error).split("\nLINE ", 1)[0]).strip()


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

"""SQLAlchemy engines that only read the run log, for ``pandas.read_sql`` and other tools.

On DuckDB a connection of the engine keeps no file open: each statement goes through
:meth:`llm_playground.runlog.log.RunLog.select`, which drains the journals, takes the file's lock,
opens the file for reading and closes it again. Other processes go on writing meanwhile, and
duckdb-engine, whose connections hold the file, is not needed. On PostgreSQL the driver is psycopg.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.pool import NullPool

from llm_playground.errors import RunLogError
from llm_playground.runlog.postgres_server import one_line

if TYPE_CHECKING:
    import psycopg
    from sqlalchemy.engine import ExceptionContext
    from sqlalchemy.engine.interfaces import IsolationLevel

Select = Callable[[str, Sequence[object]], tuple[list[str], list[tuple[Any, ...]]]]
_TABLES = """
SELECT table_name FROM information_schema.tables WHERE table_type LIKE ? ORDER BY table_name
"""
_NAME = "duckdb.llm_playground"  # not "duckdb", which is duckdb-engine's


def duckdb_engine(select: Select) -> Engine:
    """An engine whose statements are answered by ``select``: columns and rows of one SELECT."""
    registry.register(_NAME, __name__, "DuckDBDialect")
    url = URL.create(_NAME.replace(".", "+"))
    return create_engine(url, creator=lambda: _Connection(select), poolclass=NullPool)


def postgres_engine(connect: Callable[[], psycopg.Connection[Any]]) -> Engine:
    """An engine on connections that ``connect`` opens."""
    engine = create_engine("postgresql+psycopg://", creator=connect, poolclass=NullPool)

    @event.listens_for(engine, "handle_error")
    def explain(context: ExceptionContext) -> None:
        error = context.original_exception
        raise RunLogError(f"The run log cannot answer this: {one_line(error)}") from error

    return engine


class DuckDBDialect(PGDialect):
    """DuckDB speaks PostgreSQL's SQL, but lacks the system tables that reflection reads there."""

    name = "duckdb"
    driver = "llm_playground"
    default_paramstyle = "qmark"
    supports_statement_cache = True

    @classmethod
    def import_dbapi(cls) -> Any:  # noqa: ANN401 - a module of PEP 249
        # RunLogError is no error of this driver: it reaches the caller as it is, in one line.
        return SimpleNamespace(paramstyle="qmark", Error=type("Error", (Exception,), {}))

    def initialize(self, connection: Connection) -> None:  # noqa: ARG002 - asks no system tables
        self.default_schema_name = "main"
        self.default_isolation_level = "AUTOCOMMIT"
        self.server_version_info = (15,)  # the version whose SQL is written

    def get_isolation_level_values(self, dbapi_conn: object) -> Sequence[IsolationLevel]:  # noqa: ARG002
        return ["AUTOCOMMIT"]

    def set_isolation_level(self, dbapi_connection: object, level: str) -> None:
        """Nothing to set: each statement sees the log in one state."""

    # Their last arguments name a schema, of which there is one.
    def has_table(self, connection: Connection, table_name: str, *_: object, **__: object) -> bool:
        return table_name in _names(connection, "%")

    def get_table_names(self, connection: Connection, *_: object, **__: object) -> list[str]:
        return _names(connection, "BASE TABLE")

    def get_view_names(self, connection: Connection, *_: object, **__: object) -> list[str]:
        return _names(connection, "VIEW")


def _names(connection: Connection, kind: str) -> list[str]:
    return list(connection.exec_driver_sql(_TABLES, (kind,)).scalars())


class _Connection:
    """A connection as PEP 249 describes it. It holds nothing open, so there is nothing to end."""

    def __init__(self, select: Select) -> None:
        self._select = select

    def cursor(self) -> _Cursor:
        return _Cursor(self._select)

    def commit(self) -> None:
        pass

    rollback = close = commit


class _Cursor:
    """A cursor as PEP 249 describes it, on the rows of the last statement."""

    arraysize = 1

    def __init__(self, select: Select) -> None:
        self._select = select
        self.description: list[tuple[str, None, None, None, None, None, None]] = []
        self.rowcount = -1
        self._rows: Iterator[tuple[Any, ...]] = iter(())

    def execute(self, sql: str, params: Sequence[object] = ()) -> None:
        names, rows = self._select(sql, params)
        self.description = [(name, None, None, None, None, None, None) for name in names]
        self.rowcount, self._rows = len(rows), iter(rows)

    def executemany(self, sql: str, params: Sequence[Sequence[object]]) -> None:
        for values in params:
            self.execute(sql, values)

    def fetchone(self) -> tuple[Any, ...] | None:
        return next(self._rows, None)

    def fetchmany(self, size: int | None = None) -> list[tuple[Any, ...]]:
        return list(islice(self._rows, self.arraysize if size is None else size))

    def fetchall(self) -> list[tuple[Any, ...]]:
        return list(self._rows)

    def close(self) -> None:
        self._rows = iter(())

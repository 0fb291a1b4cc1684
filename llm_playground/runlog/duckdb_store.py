"""A run log in a DuckDB file, which is opened only for moments and under the lock file.

DuckDB locks its file per process, and processes that open it in turn lose committed rows unless
something else orders them. That is the lock file ``<file>.lock``.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from llm_playground import _files, config
from llm_playground.errors import RunLogError
from llm_playground.runlog import duckdb_file, duckdb_ingest, schema, store
from llm_playground.runlog.journal import FairFileLock, beside, create_file
from llm_playground.runlog.store import (
    Batch,
    Dialect,
    NotWritableError,
    RefusedRow,
    Session,
    SqlParams,
    Table,
    quoted,
)

if TYPE_CHECKING:
    import pandas as pd
    from duckdb import DuckDBPyConnection
    from sqlalchemy import Engine

    from llm_playground.runlog.log import RunLog


# Batches are small: a second thread would take 10 MB and save no time.
_WRITING = {**duckdb_file.OFFLINE, "threads": "1"}
_READ_ONLY = {
    **duckdb_file.OFFLINE,
    "access_mode": "READ_ONLY",
    "enable_external_access": "false",
    "python_enable_replacements": "false",
}
_RETRY_S = 0.05
_ENDED = """
SELECT id FROM results WHERE id IN (SELECT unnest($ids::VARCHAR[])) AND status <> 'running'
"""
_ZONED = "TIMESTAMP WITH TIME ZONE"


@contextmanager
def writing(path: Path, patience_s: float) -> Iterator[DuckDBPyConnection]:
    """Open the database for a ``with``, with its tables, created or migrated to the newest.

    If a program holds the file without our lock, wait for it for at most ``patience_s``.

    Raises:
        RunLogError: It cannot be opened or written, is damaged, is newer than this package, or is
            not a run log.
    """
    with explaining(path):
        connection = _open(path, _WRITING, patience_s)
        try:
            version = schema.version_of(connection)
            if 0 < version < schema.NEWEST:
                connection.execute("CHECKPOINT")
                _close(connection, path)
                before = beside(path, f".before-v{schema.NEWEST}")
                with duckdb_file.copying(path, before) as copy:
                    _files.put(copy, before)
                connection = _open(path, _WRITING, patience_s)
            connection.execute("SET TimeZone = 'UTC'")
            if version < schema.NEWEST:
                schema.migrate(connection, version)
            yield connection
        finally:
            _close(connection, path)


@contextmanager
def reading(path: Path, patience_s: float) -> Iterator[DuckDBPyConnection]:
    """Like :func:`writing`, but so that SQL can change neither it, nor files, nor settings.

    Older tables are migrated first.
    """
    with explaining(path):
        connection = _open(path, _READ_ONLY, patience_s)
        try:
            if schema.version_of(connection) < schema.NEWEST:
                connection.close()
                with writing(path, patience_s):
                    pass
                connection = _open(path, _READ_ONLY, patience_s)
            connection.execute("SET TimeZone = 'UTC'; SET lock_configuration = true")
            yield connection
        finally:
            connection.close()


def query(
    connection: DuckDBPyConnection,
    sql: str,
    params: SqlParams,
    fetch: Callable[[DuckDBPyConnection], T],
) -> T:
    """What ``fetch`` returns for one SELECT (also DESCRIBE, SHOW, SUMMARIZE, EXPLAIN).

    Raises:
        RunLogError: It is not one statement that reads, or the database refuses it.
    """
    with refusing("answer this"):
        _check_reads(connection, sql)
        bound = dict(params) if isinstance(params, Mapping) else list(params)
        return _interruptible(connection, lambda: fetch(connection.execute(sql, bound or None)))


def _kinds(done: DuckDBPyConnection) -> list[str]:
    return [str(column[1]) for column in done.description or ()]


def _arrays(done: DuckDBPyConnection) -> tuple[Mapping[str, Any], list[str]]:
    """Masked numpy arrays by column, and the columns' types."""
    kinds = _kinds(done)
    return done.fetchnumpy(), kinds


def _table(done: DuckDBPyConnection) -> Table:
    arrays, kinds = _arrays(done)  # with equal names made distinct
    columns = map(_values, arrays.values(), kinds)
    return list(arrays), list(zip(*columns, strict=True))


def _values(column: Any, kind: str) -> list[Any]:  # noqa: ANN401 - any masked numpy array
    values = column.tolist()  # None where masked
    if kind == _ZONED:
        return [  # a time that Python has no datetime for, such as infinity, is a number here
            value.replace(tzinfo=UTC) if isinstance(value, datetime) else None for value in values
        ]
    if kind.startswith("DECIMAL"):
        digits = Decimal(1).scaleb(-int(kind.rstrip(")").rpartition(",")[2]))
        return [None if value is None else Decimal(value).quantize(digits) for value in values]
    return [str(value) if isinstance(value, UUID) else value for value in values]


@contextmanager
def refusing(what: str) -> Iterator[None]:
    """Turn DuckDB's errors about a statement into a RunLogError: the log cannot do ``what``."""
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        raise RunLogError(f"The run log cannot {what}: {_one_line(error)}") from error


def _interruptible(connection: DuckDBPyConnection, work: Callable[[], T]) -> T:
    """Call ``work`` so that Ctrl+C ends it: on the main thread DuckDB misses every other one."""
    main = threading.main_thread()
    if threading.current_thread() is not main or not main.is_alive():  # at exit no thread starts
        return work()
    with ThreadPoolExecutor(1) as executor:
        future = executor.submit(work)
        try:
            return future.result()
        except KeyboardInterrupt:
            connection.interrupt()
            raise


@contextmanager
def explaining(path: Path) -> Iterator[None]:
    """Turn errors of DuckDB and of the system into one that says what to do.

    Raises:
        RunLogError: What happened to the file at ``path``, and what to do.
    """
    import duckdb

    try:
        yield
    except OSError as error:
        raise NotWritableError(not_writable(path, error)) from error
    except RuntimeError as error:  # what DuckDB raises for Ctrl+C
        if str(error) != "Query interrupted":
            raise
        raise KeyboardInterrupt from None
    except duckdb.Error as error:
        text = _one_line(error)
        found = (message for pattern, message in _REASONS if re.search(pattern, text))
        message = next(found, _DAMAGED)
        kind = NotWritableError if message is _NOT_WRITABLE else RunLogError
        raise kind(message.format(path=path, text=text), detail=text) from error


def not_writable(path: Path, error: OSError) -> str:
    """The message for a log that cannot be written."""
    return _NOT_WRITABLE.format(path=path, text=error.strerror or error)


_DAMAGED = (
    "The run log {path} cannot be read ({text}). The file is left as it is, and new runs are kept "
    "in its journal. llm_playground.set_aside_log() renames the file and starts a new one."
)
_NOT_WRITABLE = (
    "The run log {path} cannot be written ({text}). "
    "Set LLM_PLAYGROUND_LOG to a file in a folder you can write; runs go on meanwhile."
)
_REASONS = (
    (
        r"Conflicting lock|Could not set lock",
        "The run log {path} is open in another program ({text}). "
        "Close it there; new runs are kept in the journal.",
    ),
    (
        r"different configuration|Unique file handle conflict",
        "The run log {path} is open in this process through duckdb itself. Close that connection "
        "and use llm_playground.sql() instead; new runs are kept in the journal.",
    ),
    (
        r"(?i)permission denied|read-only file system|not a directory|no such file|no space left|"
        r"quota exceeded|file too large|could not write",
        _NOT_WRITABLE,
    ),
    (
        r"(?i)out of memory",
        "The run log {path} needs more memory than is available ({text}). Runs go on.",
    ),
)


def _open(path: Path, config: duckdb_file.Config, patience_s: float) -> DuckDBPyConnection:
    """Open the file; another program may hold it for ``patience_s``."""
    import duckdb

    folder, until = beside(path, ".journal"), time.monotonic() + patience_s
    if folder.is_dir():  # where a query puts what exceeds the memory
        config = {**config, "temp_directory": str(folder / "spill")}
    while True:
        try:
            # The usual case is found here, in as few calls of the system as possible.
            is_complete = path.is_file() and not os.path.lexists(beside(path, ".wal"))
            if not is_complete:
                duckdb_file.check(path)
            if "access_mode" in config:
                return duckdb.connect(str(path), config=dict(config))
            if not is_complete:
                duckdb_file.prepare(path)
            return _connect(path, config)
        except duckdb.Error as error:
            if "lock on file" not in str(error) or time.monotonic() > until:
                raise
        time.sleep(_RETRY_S)


def _connect(path: Path, config: duckdb_file.Config) -> DuckDBPyConnection:
    """Open the file for changes. DuckDB would create files with the umask's rights."""
    import duckdb

    connection = duckdb.connect(str(path), config=dict(config))
    with suppress(OSError):  # DuckDB reports what it cannot write
        wal, folder = beside(path, ".wal"), beside(path, ".journal")
        os.close(create_file(wal, os.O_WRONLY, folder))
    return connection


def _close(connection: DuckDBPyConnection, path: Path) -> None:
    """Close a connection for changes; DuckDB leaves an empty write-ahead log."""
    connection.close()
    with suppress(OSError):
        wal = beside(path, ".wal")
        if wal.stat().st_size == 0:
            wal.unlink()


def _check_reads(connection: DuckDBPyConnection, sql: str) -> None:
    import duckdb

    statements = connection.extract_statements(sql)
    allowed = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN}
    if len(statements) != 1 or statements[0].type not in allowed:
        found = [statement.type.name for statement in statements]
        raise RunLogError(
            "The run log takes one SELECT at a time here, "
            f"not {' and '.join(found) or 'an empty statement'}. Nothing was changed."
        )


def _one_line(error: BaseException) -> str:
    """The message without DuckDB's quotation of the statement."""
    text = str(error).split("\n\nLINE ", 1)[0]
    return re.sub(r"\s+", " ", text).strip()


_STRANGER_WAIT_S = 3.0
T = TypeVar("T")


class DuckDBStore:
    """The file at ``path``; its journals are in ``<path>.journal``, its lock is ``<path>.lock``."""

    dialect: Dialect = "duckdb"

    def __init__(self, path: Path) -> None:
        self._url = f"duckdb:///{path}"
        self.path = path = path.resolve() if path.is_symlink() else path
        self.place = str(path)
        self.folder = beside(path, ".journal")
        self._wal = beside(path, ".wal")
        self._reset()

    def after_fork(self) -> None:
        self._lock.close_in_child()
        self._reset()

    def _reset(self) -> None:
        self._lock = FairFileLock(beside(self.path, ".lock"))
        self._opened: DuckDBPyConnection | None = None  # for several reads
        self._tidied = False  # whether leftovers of killed processes were removed
        self._until = 0.0

    @contextmanager
    def exclusive(self, wait_s: float) -> Iterator[None]:
        self._until = time.monotonic() + wait_s
        try:
            if (group := config.log_group(self._url)) is not None:
                duckdb_file.share(self.path, group)
            self._lock.acquire(wait_s)
        except TimeoutError as error:
            raise RunLogError(
                f"{self._lock.holder()} has kept the run log {self.path} for {wait_s:.2g} s. "
                "Try again, or close that process."
            ) from error
        except OSError as error:
            raise NotWritableError(not_writable(self.path, error)) from error
        try:
            with suppress(FileNotFoundError):  # a new log
                if not self._tidied or self.path.stat().st_nlink > 1:
                    self._tidied = True
                    duckdb_file.tidy(self.path)
            yield
        finally:
            self._lock.release()

    def awaited(self) -> str:
        return "" if self._lock.is_held() else self._lock.holder()

    def unfinished(self) -> bool:
        return not self.path.exists() or self._wal.exists()

    @contextmanager
    def writing(self, *, patient: bool = True) -> Iterator[DuckDBSession]:
        with writing(self.path, self._patience_s() if patient else 0) as connection:
            yield DuckDBSession(connection, self.path)

    def _patience_s(self) -> float:
        """How long to wait for a program that holds the file without our lock."""
        return min(_STRANGER_WAIT_S, max(self._until - time.monotonic(), 0))

    @contextmanager
    def opened(self) -> Iterator[None]:
        with self._connected() as connection:
            self._opened = connection
            try:
                yield
            finally:
                self._opened = None

    def _connected(self) -> AbstractContextManager[DuckDBPyConnection]:
        if self._opened is not None:
            return nullcontext(self._opened)
        return reading(self.path, self._patience_s())

    @contextmanager
    def reading(self) -> Iterator[DuckDBSession]:
        with self._connected() as connection:
            yield DuckDBSession(connection, self.path)

    def frame(self, sql: str, params: SqlParams) -> pd.DataFrame:
        with self._connected() as connection:
            return store.frame(*query(connection, sql, params, _arrays))

    def select(self, sql: str, params: SqlParams) -> Table:
        with self._connected() as connection:
            return query(connection, sql, params, _table)

    def engine(self, log: RunLog) -> Engine:
        from llm_playground.runlog import sql_engine  # SQLAlchemy is imported on first use

        return sql_engine.duckdb_engine(log.select)

    def waiting(self, files: Sequence[Path]) -> set[str]:
        found = duckdb_ingest.ids(files)
        with suppress(RunLogError), reading(self.path, 0) as connection:
            ended = connection.execute(_ENDED, {"ids": found}).fetchall()
            return set(found) - {row[0] for row in ended}
        return set(found)

    def migrate(self) -> int:
        with writing(self.path, _STRANGER_WAIT_S) as connection:
            return schema.version_of(connection)

    def backup(self, path: Path) -> None:
        with explaining(path), duckdb_file.copying(self.path, path) as copy:
            _files.put_new(copy, path)

    def restore(self, path: Path) -> Path | None:
        with explaining(self.path), _files.making(self.path) as folder:
            copy = folder / "log.duckdb"
            with explaining(path):
                duckdb_file.copy(path, copy)
            with reading(copy, _STRANGER_WAIT_S):
                pass  # checks that it is a run log, and migrates it
            return duckdb_file.replace(copy, self.path)

    def compact(self) -> int:
        with explaining(self.path), _files.making(self.path) as folder:
            copy = folder / "log.duckdb"
            with writing(self.path, _STRANGER_WAIT_S) as connection:
                _compact_copy(connection, copy)
            before = self.path.stat().st_size
            duckdb_file.put(copy, self.path)
        return before - self.path.stat().st_size

    def summed_until(self) -> datetime | None:
        return None

    def set_aside(self, wait_s: float) -> Path:
        if self.path.exists() and not self.path.is_file():
            raise RunLogError(
                f"{self.path} is not a file and stays where it is. "
                "Set LLM_PLAYGROUND_LOG to the path of a file."
            )
        with self.exclusive(wait_s):
            return duckdb_file.start_again(self.path)


class DuckDBSession:
    """Implements :class:`Writer` and :class:`Session`, or only the latter's reading half."""

    def __init__(self, connection: DuckDBPyConnection, path: Path) -> None:
        self._connection = connection
        self._path = path

    def ingest(self, batch: Batch) -> list[RefusedRow]:
        return duckdb_ingest.ingest(self._connection, batch) if batch.files else []

    def change(self, work: Callable[[Session], T]) -> T:
        self._connection.begin()
        try:
            done = work(self)
        except BaseException:
            self._connection.rollback()
            raise
        with explaining(self._path):  # such as a full disk
            self._connection.commit()
        return done

    def rows(self, sql: str, params: Mapping[str, object] | None = None) -> list[tuple[Any, ...]]:
        with refusing("do this"):
            done = self._connection.execute(sql, dict(params or {}) or None)
            # DuckDB's own ``fetchall`` needs ``pytz`` for times with a zone.
            return _table(done)[1] if _ZONED in _kinds(done) else done.fetchall()

    def execute(self, sql: str, params: Mapping[str, object] | None = None) -> int:
        with refusing("do this"):
            done = self._connection.execute(sql, dict(params or {}) or None)
            counts = [column[0] for column in done.description or ()] == ["Count"]
            row = done.fetchone() if counts else None
            return int(row[0]) if row else 0

    def lock(self, name: str) -> None:
        pass  # there is only one transaction at a time


def _compact_copy(connection: DuckDBPyConnection, copy: Path) -> None:
    """Copy the open database to a new, compact file.

    Raises:
        duckdb.Error: It cannot be written, such as on a full disk.
    """
    connection.execute(f"ATTACH {quoted(str(copy))} AS compacted")
    row = connection.execute("SELECT current_database()").fetchone()
    name = str(row[0] if row else "").replace('"', '""')
    connection.execute(f'COPY FROM DATABASE "{name}" TO compacted')
    connection.execute("DETACH compacted")

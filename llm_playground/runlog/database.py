"""The DuckDB file: opened for moments, under a lock of our own, and closed again.

DuckDB locks its file per process, and opening it in turn from several processes loses committed
rows unless something else orders them. That something is the lock file ``<file>.lock``.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from llm_playground.errors import RunLogError
from llm_playground.runlog import frames, migration, schema
from llm_playground.runlog.store import SqlParams

if TYPE_CHECKING:
    import pandas as pd
    from duckdb import DuckDBPyConnection

_OFFLINE = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
# What is brought in is little: a second thread would take 10 MB and save no time.
_WRITING = _OFFLINE | {"threads": "1"}
_READ_ONLY = _OFFLINE | {
    "access_mode": "READ_ONLY",
    "enable_external_access": "false",
    "python_enable_replacements": "false",
}
_RETRY_S = 0.05
_ZONED = "TIMESTAMP WITH TIME ZONE"

T = TypeVar("T")


@contextmanager
def writing(path: Path, patience_s: float) -> Iterator[DuckDBPyConnection]:
    """The database with its tables, made or brought to the newest, open for a ``with``.

    Args:
        path: The file.
        patience_s: How long to wait for a program that holds the file without our lock.

    Raises:
        RunLogError: It cannot be opened or written, is damaged, is newer than this package, or is
            no run log.
    """
    with explaining(path):
        connection = _open(path, _WRITING, patience_s)
        try:
            version = migration.version_of(connection)
            if 0 < version < schema.NEWEST:
                connection.execute("CHECKPOINT")
                connection.close()
                migration.copy_before(path)
                connection = _open(path, _WRITING, patience_s)
            connection.execute("SET TimeZone = 'UTC'")
            if version < schema.NEWEST:
                migration.migrate(connection, version)
            yield connection
        finally:
            connection.close()


@contextmanager
def reading(path: Path, patience_s: float) -> Iterator[DuckDBPyConnection]:
    """The database without any way to write: not to it, not to files, not to settings.

    Tables that are not the newest are brought there first.

    Raises:
        RunLogError: It cannot be opened or read, is damaged, is newer than this package, or is no
            run log.
    """
    with explaining(path):
        connection = _open(path, _READ_ONLY, patience_s)
        try:
            if migration.version_of(connection) < schema.NEWEST:
                connection.close()
                with writing(path, patience_s):
                    pass
                connection = _open(path, _READ_ONLY, patience_s)
            connection.execute("SET TimeZone = 'UTC'; SET lock_configuration = true")
            yield connection
        finally:
            connection.close()


def query(connection: DuckDBPyConnection, sql: str, params: SqlParams) -> pd.DataFrame:
    """The rows of one SELECT (also DESCRIBE, SHOW, SUMMARIZE, EXPLAIN) as a frame.

    Raises:
        RunLogError: It is not one statement that reads, or the database refuses it.
    """
    import duckdb

    try:
        _check_reads(sql)
        bound = dict(params) if isinstance(params, Mapping) else list(params)

        def fetch() -> tuple[Mapping[str, Any], list[str]]:
            cursor = connection.execute(sql, bound or None)
            kinds = [str(column[1]) for column in cursor.description or ()]
            return cursor.fetchnumpy(), kinds

        return frames.frame(*_interruptible(connection, fetch))
    except duckdb.Error as error:
        raise RunLogError(f"The run log cannot answer this: {_one_line(error)}") from error


def rows(done: DuckDBPyConnection) -> list[tuple[Any, ...]]:
    """What a statement gave back, as Python values; times are UTC.

    DuckDB's own ``fetchall`` gives times with a zone only where ``pytz`` is installed.
    """
    kinds = [str(column[1]) for column in done.description or ()]
    if _ZONED not in kinds:
        return done.fetchall()
    columns = zip(done.fetchnumpy().values(), kinds, strict=True)
    return list(zip(*(_values(column, kind) for column, kind in columns), strict=True))


def _values(column: Any, kind: str) -> list[Any]:  # noqa: ANN401 - any masked numpy array
    values = column.tolist()  # None where masked
    if kind == _ZONED:
        return [None if value is None else value.replace(tzinfo=UTC) for value in values]
    if kind.startswith("DECIMAL"):
        digits = Decimal(1).scaleb(-int(kind.rstrip(")").rpartition(",")[2]))
        return [None if value is None else Decimal(value).quantize(digits) for value in values]
    return [str(value) if isinstance(value, UUID) else value for value in values]


def changed(done: DuckDBPyConnection) -> int:
    """How many rows a statement changed; 0 for one that changes none."""
    counts = [column[0] for column in done.description or ()] == ["Count"]
    row = done.fetchone() if counts else None
    return int(row[0]) if row else 0


@contextmanager
def refusing() -> Iterator[None]:
    """A statement that DuckDB refuses, as the one error of this package.

    Raises:
        RunLogError: It was refused.
    """
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        raise RunLogError(f"The run log cannot do this: {_one_line(error)}") from error


def _interruptible(connection: DuckDBPyConnection, work: Callable[[], T]) -> T:
    """What ``work`` returns. On the main thread itself DuckDB misses every other Ctrl+C."""
    main = threading.main_thread()
    if threading.current_thread() is not main or not main.is_alive():  # at exit no thread starts
        return work()
    with ThreadPoolExecutor(1) as elsewhere:
        future = elsewhere.submit(work)
        try:
            return future.result()
        except KeyboardInterrupt:
            connection.interrupt()
            raise


@contextmanager
def explaining(path: Path) -> Iterator[None]:
    """What DuckDB or the system raises, as the one error a person can act on.

    Raises:
        RunLogError: Says what happened to the file at ``path`` and what to do.
    """
    import duckdb

    try:
        yield
    except OSError as error:
        raise RunLogError(not_writable(path, error)) from error
    except RuntimeError as error:  # what DuckDB makes of Ctrl+C while it works
        if str(error) != "Query interrupted":
            raise
        raise KeyboardInterrupt from None
    except duckdb.Error as error:
        text = _one_line(error)
        message = next((said for sign, said in _REASONS if re.search(sign, text)), _DAMAGED)
        raise RunLogError(message.format(path=path, text=text), detail=text) from error


def not_writable(path: Path, error: OSError) -> str:
    """The one line for a log whose place cannot be written."""
    return _NOT_WRITABLE.format(path=path, text=error.strerror or error)


_DAMAGED = (
    "The run log {path} cannot be read ({text}). The file is left as it is and runs go on into "
    "its journal. llm_playground.set_aside_log() moves it aside and starts a new one."
)
_NOT_WRITABLE = (
    "The run log {path} cannot be written ({text}). "
    "Set LLM_PLAYGROUND_LOG to a file in a folder you can write; runs go on meanwhile."
)
_REASONS = (
    (
        r"Conflicting lock|Could not set lock",
        "The run log {path} is open in another program ({text}). "
        "Close it there; runs go on into the journal.",
    ),
    (
        r"different configuration|Unique file handle conflict",
        "The run log {path} is open in this process through duckdb itself. Close that connection "
        "and use llm_playground.sql() instead; runs go on into the journal.",
    ),
    (
        r"(?i)permission denied|read-only file system|not a directory|no such file|no space left|"
        r"quota exceeded|file too large|could not write",
        _NOT_WRITABLE,
    ),
    (
        r"(?i)out of memory",
        "The run log {path} needs more memory than there is ({text}). Runs go on.",
    ),
)


def _open(path: Path, config: Mapping[str, str], patience_s: float) -> DuckDBPyConnection:
    """Open, waiting a little for a program that holds the file without our lock."""
    import duckdb

    until = time.monotonic() + patience_s
    while True:
        try:
            return duckdb.connect(str(path), config=dict(config))
        except duckdb.Error as error:
            if "lock on file" not in str(error) or time.monotonic() > until:
                raise
        time.sleep(_RETRY_S)


def _check_reads(sql: str) -> None:
    import duckdb

    statements = duckdb.extract_statements(sql)
    allowed = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN}
    if len(statements) != 1 or statements[0].type not in allowed:
        found = [statement.type.name for statement in statements]
        raise RunLogError(
            "The run log is read with one SELECT at a time, "
            f"not {' and '.join(found) or 'an empty statement'}. This door only reads."
        )


def _one_line(error: BaseException) -> str:
    """The message up to where DuckDB starts to quote the statement."""
    text = str(error).split("\n\nLINE ", 1)[0]
    return re.sub(r"\s+", " ", text).strip()

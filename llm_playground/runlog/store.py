"""The interface of a database for the run log, and helpers for SQL and data frames.

:class:`Store` is implemented for a DuckDB file and for a PostgreSQL server. Both take SQL with
``$name`` and ``?`` as placeholders and return the same column types.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from llm_playground._files import open_regular
from llm_playground._validation import repr_of
from llm_playground.errors import RunLogError

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd
    from sqlalchemy import Engine

    from llm_playground.runlog.log import RunLog


Dialect = Literal["duckdb", "postgres"]
SqlParams = Sequence[object] | Mapping[str, object]
Table = tuple[list[str], list[tuple[Any, ...]]]  # names of columns, rows
T = TypeVar("T")


class Unavailable(Exception):  # noqa: N818 - a state; the log turns it into an error
    """The database cannot be used now; runs wait in the journals.

    Args:
        reason: What happened, without a full stop.
        advice: A sentence about what to do.
        lasts: Whether the message should include the time of the first failure.
        passes: Whether it usually passes soon, so that the first failures are not reported.
        detail: The technical error message.
    """

    def __init__(
        self,
        reason: str,
        advice: str,
        *,
        lasts: bool = False,
        passes: bool = False,
        detail: str | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.advice = advice
        self.lasts = lasts
        self.passes = passes
        self.detail = detail


class NotWritableError(RunLogError):
    """The database can be read at best: its user, its file or its server does not write."""


class LockedError(NotWritableError):
    """Another session of the server holds a lock for longer than it is waited for."""


class ReadSession(Protocol):
    """Reads the database. Placeholders in SQL are ``$name`` on both engines.

    Methods raise RunLogError if the database rejects the statement.
    """

    def rows(self, sql: str, params: Mapping[str, object] = ...) -> list[tuple[Any, ...]]:
        """The rows of a SELECT or, in a :class:`Session`, of a statement with RETURNING."""


class Session(ReadSession, Protocol):
    """One write transaction."""

    def execute(self, sql: str, params: Mapping[str, object] = ...) -> int:
        """Execute one statement and return the number of changed rows."""

    def lock(self, name: str) -> None:
        """Wait for the lock ``name`` and hold it until the end of the transaction.

        On DuckDB there is only one transaction at a time.
        """


@dataclass(frozen=True, slots=True)
class Batch:
    """Journals to ingest; ``dead`` are those of processes that have ended."""

    files: Sequence[Path]
    dead: Collection[Path]


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that the database refuses: its part of a journal's line, its lines with their journals.

    ``id`` is empty if the row has none.
    """

    part: str
    id: str
    lines: Sequence[tuple[Path, Mapping[str, Any]]]
    reason: str = ""

    def is_running(self) -> bool:
        """Whether its run or execution has not ended in these lines."""
        rows = [line[self.part] for _, line in self.lines if self.part in line]
        return bool(self.id) and all(row.get("status") == "running" for row in rows)


class Writer(Protocol):
    """The database, open for changes."""

    def ingest(self, batch: Batch) -> list[RefusedRow]:
        """Insert the journals' rows into the tables and commit; the rows that are refused.

        Idempotent by id.

        Raises:
            NotWritableError: The database takes no rows at all. The journals must be kept.
            RunLogError: The rows cannot be inserted. The journals must be kept.
        """

    def change(self, work: Callable[[Session], T]) -> T:
        """Return the result of ``work`` in one transaction, rolled back if it raises."""


class Store(Protocol):
    """A database for a run log.

    Methods raise RunLogError if the database or a file cannot be opened, read or written, or if a
    statement is wrong or would write; they raise Unavailable if the database cannot be reached now.
    """

    @property
    def dialect(self) -> Dialect:
        """The engine, for SQL in which the engines differ."""

    @property
    def place(self) -> str:
        """The database's path, or its URL without a password."""

    @property
    def folder(self) -> Path:
        """The folder of this machine's journals for it."""

    @property
    def path(self) -> Path | None:
        """The database file; None for a server."""

    def exclusive(self, wait_s: float) -> AbstractContextManager[None]:
        """Exclusive access among all processes, for databases that need it.

        Raises:
            RunLogError: Another process kept it for ``wait_s``.
            NotWritableError: The lock cannot be written, so that the database can be read at best.
        """

    def awaited(self) -> str:
        """The process that a thread in :meth:`exclusive` waits for; empty if it has access."""

    def unfinished(self) -> bool:
        """Whether the database must be opened for changes even without journals."""

    def writing(self, *, patient: bool = True) -> AbstractContextManager[Writer]:
        """Open the database for changes, with its tables; closed at the end.

        If ``patient``, wait a little for another program that has the file open.
        """

    def reading(self) -> AbstractContextManager[ReadSession]:
        """Open the database read-only; closed at the end.

        Another program may have a DuckDB file open for reading meanwhile.
        """

    def opened(self) -> AbstractContextManager[None]:
        """Have all reads in a ``with`` share one opening and one state of the database."""

    def frame(self, sql: str, params: SqlParams) -> pd.DataFrame:
        """The rows of one SELECT."""

    def select(self, sql: str, params: SqlParams) -> Table:
        """The column names and the rows of one SELECT, as plain Python values."""

    def engine(self, log: RunLog) -> Engine:
        """A read-only SQLAlchemy engine, which drains ``log`` first."""

    def waiting(self, files: Sequence[Path]) -> set[str]:
        """The ids of runs in ``files`` that are not, or not ended, in the database.

        All runs in ``files`` if the database cannot be read.
        """

    def set_aside(self, wait_s: float) -> Path:
        """Rename the database file, even if it is damaged, and return its new path."""

    def migrate(self) -> int:
        """Migrate the tables to the newest version of this package and return that version."""

    def backup(self, path: Path) -> None:
        """Write the whole log to a new DuckDB file at ``path``."""

    def restore(self, path: Path) -> Path | None:
        """Restore the log from a DuckDB file and return the new path of the previous file, if any.

        If the file is not a run log, or the current log cannot be replaced, the log is unchanged.
        """

    def compact(self) -> int:
        """Free unused disk space and return the number of bytes.

        If that fails, the log is unchanged.
        """

    def summed_until(self) -> datetime | None:
        """The start of a month (UTC) before which the table ``monthly_costs`` is up to date.

        None if there is no such table, it was never filled, or this user may not read it.
        """

    def after_fork(self) -> None:
        """Abandon open connections in a forked child, since they belong to the parent."""


# Parts of SQL without placeholders (texts, quoted names, comments, dollar-quoted texts), then the
# placeholders themselves. What is not closed reaches to the end, so that the search is linear.
_TOKENS = re.compile(
    r"""
      (?P<text>   (?i:\be)'(?:[^'\\]|''|\\.)*' | '(?:[^']|'')*' | "(?:[^"]|"")*"
                | --[^\n]* | /\*.*?(?:\*/|\Z)
                | \$(?P<tag>[A-Za-z_]\w*)\$.*?(?:\$(?P=tag)\$|\Z) | \$\$.*?(?:\$\$|\Z) )
    | \$(?P<name>\w+)
    | (?P<mark>\?)
    | (?P<percent>%)
    """,
    re.VERBOSE | re.DOTALL,
)


def for_psycopg(sql: str, params: SqlParams) -> tuple[str, dict[str, object]]:
    """The statement with ``%(name)s`` for each ``$name``, ``$1`` or ``?``, and the values.

    ``?`` is a placeholder only if the values are a sequence; else it is PostgreSQL's operator.

    >>> for_psycopg("SELECT '?', a FROM t WHERE b LIKE '5%' AND c = ?", [1])
    ("SELECT '?', a FROM t WHERE b LIKE '5%%' AND c = %(1)s", {'1': 1})
    >>> for_psycopg("SELECT $a::INT", {"a": 1})
    ('SELECT %(a)s::INT', {'a': 1})
    """
    in_order = not isinstance(params, Mapping)
    values = params.items() if isinstance(params, Mapping) else enumerate(params, start=1)
    numbers = itertools.count(1)

    def replacement(token: re.Match[str]) -> str:
        if token["name"]:
            return f"%({token['name']})s"
        if token["mark"] and in_order:
            return f"%({next(numbers)})s"
        return token[0].replace("%", "%%")

    return _TOKENS.sub(replacement, sql), {str(name): value for name, value in values}


def quoted(text: str) -> str:
    """A text as an SQL literal, for statements without placeholders.

    >>> quoted("it's")
    "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"


def reads(sql: str) -> bool:
    """Whether a statement starts with a keyword of reading statements.

    >>> reads("/* why */ SELECT 1"), reads("COPY results TO '/tmp/x'")
    (True, False)
    """
    bare = re.sub(r"--[^\n]*|/\*.*?(?:\*/|\Z)", " ", sql, flags=re.DOTALL).lstrip(" \t\r\n(")
    return re.match(r"(?i)(select|with|values|table|explain|show)\b", bare) is not None


def frame(columns: Mapping[str, Any], kinds: Sequence[str]) -> pd.DataFrame:
    """A frame with times in UTC with their zone, ids as str, and NULL as NA.

    DuckDB's ``.df()`` warns about times with a zone under pandas 3.1, and needs ``pytz``.

    Args:
        columns: Masked numpy arrays by name.
        kinds: DuckDB's type of each column, in order.
    """
    import pandas as pd

    # By position, since duplicate names were made unique.
    typed = zip(columns.items(), kinds, strict=True)
    return pd.DataFrame({name: _series(values, kind) for (name, values), kind in typed})


def _series(values: Any, kind: str) -> pd.Series[Any]:  # noqa: ANN401 - any numpy array
    import numpy as np
    import pandas as pd

    mask = np.ma.getmaskarray(values)
    plain = np.ma.getdata(values)
    if plain.dtype.kind in "iu":
        wide = plain if plain.dtype == "uint64" else plain.astype("int64")
        return pd.Series(pd.arrays.IntegerArray(wide, mask))
    if plain.dtype.kind == "b":
        return pd.Series(pd.arrays.BooleanArray(plain, mask))
    if plain.dtype.kind == "f":
        return pd.Series(np.where(mask, np.nan, plain))
    if plain.dtype.kind in "mM":
        times = pd.Index(np.where(mask, np.array("NaT", plain.dtype), plain))
        if isinstance(times, pd.DatetimeIndex) and kind == "TIMESTAMP WITH TIME ZONE":
            times = times.tz_localize("UTC")
        return pd.Series(times)
    text = kind in ("VARCHAR", "JSON", "UUID") or kind.startswith("ENUM")
    objects = [
        None if hidden else (str(value) if kind == "UUID" else value)
        for value, hidden in zip(plain, mask, strict=True)
    ]
    return pd.Series(objects, dtype="str" if text else "object")


def backup_target(path: str | Path) -> Path:
    """The absolute path of a new backup.

    Raises:
        RunLogError: Its folder does not exist, or the file does.
    """
    target = _backup_path(path)
    if target.exists() or target.is_symlink():
        raise RunLogError(f"{target} already exists. Choose another path.")
    if not target.parent.is_dir():
        raise RunLogError(f"There is no folder {target.parent}. Create it first.")
    return target


def backup_source(path: str | Path) -> Path:
    """The absolute path of a backup to restore.

    Raises:
        RunLogError: It cannot be read, or is no DuckDB file.
    """
    source = _backup_path(path)
    if not source.exists():
        raise RunLogError(f"There is no file {path}.")
    try:
        with open_regular(source) as file:
            is_database = file.read(12)[8:] == b"DUCK"  # after a checksum
    except OSError as error:
        raise RunLogError(
            f"{path} cannot be read ({error.strerror}). Nothing was changed."
        ) from None
    if not is_database:
        raise RunLogError(f"{path} is not a backup of a run log. Nothing was changed.")
    return source


def _backup_path(path: str | Path) -> Path:
    """An absolute path that the system can look up, whether or not there is a file.

    Raises:
        RunLogError: It is none.
    """
    try:
        target = Path(path).expanduser().absolute()
        os.stat(target)  # noqa: PTH116 - Path.exists hides that a name holds NUL
    except FileNotFoundError:
        return target
    except (TypeError, ValueError, RuntimeError, OSError) as error:
        why = getattr(error, "strerror", None) or error
        raise RunLogError(f"{repr_of(path)} is not the path of a backup: {why}.") from None
    return target

"""A run log in a DuckDB file: every opening under the lock file, closed again at once."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar

from llm_playground.errors import RunLogError
from llm_playground.runlog import database, drain, migration, space
from llm_playground.runlog.store import Batch, Dialect, Session, SqlParams
from llm_playground.runlog.turns import Turns

if TYPE_CHECKING:
    import pandas as pd
    from duckdb import DuckDBPyConnection

_STRANGER_WAIT_S = 3.0
_NONE: Mapping[str, object] = {}

T = TypeVar("T")


class DuckDBStore:
    """The file at ``path``; its journals are in ``<path>.journal``, its lock is ``<path>.lock``."""

    dialect: Dialect = "duckdb"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.place = str(path)
        self.folder = _beside(path, ".journal")
        self._wal = _beside(path, ".wal")
        self.after_fork()

    def after_fork(self) -> None:
        """See :meth:`Store.after_fork`."""
        self._turns = Turns(_beside(self.path, ".lock"))

    @contextmanager
    def alone(self, wait_s: float) -> Iterator[None]:
        """See :meth:`Store.alone`."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._turns.acquire(wait_s)
        except TimeoutError as error:
            raise RunLogError(
                f"Another process has kept the run log {self.path} for {wait_s:g} s. "
                "Try again, or close that process."
            ) from error
        except OSError as error:
            raise RunLogError(database.not_writable(self.path, error)) from error
        try:
            yield
        finally:
            self._turns.release()

    def unfinished(self) -> bool:
        """See :meth:`Store.unfinished`: there is no file yet, or one that was not closed."""
        return not self.path.exists() or self._wal.exists()

    @contextmanager
    def writing(self) -> Iterator[DuckDBWriter]:
        """See :meth:`Store.writing`."""
        with database.writing(self.path, _STRANGER_WAIT_S) as connection:
            yield DuckDBWriter(connection, self.path)

    def frame(self, sql: str, params: SqlParams) -> pd.DataFrame:
        """See :meth:`Store.frame`."""
        with database.reading(self.path, _STRANGER_WAIT_S) as connection:
            return database.query(connection, sql, params)

    def waiting(self, files: Sequence[Path]) -> int:
        """See :meth:`Store.waiting`."""
        try:
            with database.writing(self.path, 0) as connection:
                drain.read(connection, Batch(files, ()))
                return drain.count_new(connection)
        except RunLogError:
            return drain.count(files)

    def migrate(self) -> int:
        """See :meth:`Store.migrate`."""
        with database.writing(self.path, _STRANGER_WAIT_S) as connection:
            return migration.version_of(connection)

    def backup(self, path: Path) -> None:
        """See :meth:`Store.backup`: the file as it is, whatever version wrote it."""
        with database.explaining(path):
            _copy(self.path, path)

    def restore(self, path: Path) -> Path | None:
        """See :meth:`Store.restore`: a copy takes the place of the file, which moves aside."""
        with TemporaryDirectory(dir=self.path.parent) as name:
            copy = Path(name) / "log.duckdb"
            with database.explaining(path):
                _copy(path, copy)
            with database.reading(copy, _STRANGER_WAIT_S):
                pass  # it is a run log, and now of the newest version
            aside = self._set_aside() if self.path.exists() else None
            with database.explaining(self.path):
                copy.replace(self.path)
        return aside

    def compact(self) -> int:
        """See :meth:`Store.compact`: a copy without gaps takes the place of the file."""
        with database.explaining(self.path):
            with database.writing(self.path, _STRANGER_WAIT_S) as connection:
                copy = space.copy_over(connection, self.path)
            before = self.path.stat().st_size
            space.put_in_place(copy, self.path)
        return before - self.path.stat().st_size

    def summed_until(self) -> datetime | None:
        """See :meth:`Store.summed_until`: DuckDB counts as fast without."""
        return None

    def set_aside(self, wait_s: float) -> Path:
        """See :meth:`Store.set_aside`."""
        if self.path.exists() and not self.path.is_file():
            raise RunLogError(
                f"{self.path} is not a file and stays where it is. "
                "Set LLM_PLAYGROUND_LOG to the path of a file."
            )
        with self.alone(wait_s):
            return self._set_aside()

    def _set_aside(self) -> Path:
        aside = _free(_beside(self.path, f".aside-{datetime.now(UTC):%Y%m%dT%H%M%S}"))
        try:
            self.path.rename(aside)
            if self._wal.exists():
                self._wal.rename(_beside(aside, ".wal"))
        except OSError as error:
            raise RunLogError(
                f"{self.path} cannot be moved aside ({error.strerror}). Move it by hand."
            ) from error
        return aside


class DuckDBWriter:
    """The open file; see :class:`Writer`."""

    def __init__(self, connection: DuckDBPyConnection, path: Path) -> None:
        self._connection = connection
        self._path = path

    def bring_in(self, batch: Batch) -> None:
        """See :meth:`Writer.bring_in`."""
        if batch.files:
            drain.read(self._connection, batch)
            drain.write(self._connection)

    def change(self, work: Callable[[Session], T]) -> T:
        """See :meth:`Writer.change`."""
        self._connection.begin()
        try:
            done = work(DuckDBSession(self._connection))
        except BaseException:
            self._connection.rollback()
            raise
        with database.explaining(self._path):  # such as a disk that is full
            self._connection.commit()
        return done


class DuckDBSession:
    """One transaction on the open file; see :class:`Session`."""

    def __init__(self, connection: DuckDBPyConnection) -> None:
        self._connection = connection

    def rows(self, sql: str, params: Mapping[str, object] = _NONE) -> list[tuple[Any, ...]]:
        """See :meth:`Session.rows`."""
        with database.refusing():
            return database.rows(self._connection.execute(sql, dict(params) or None))

    def execute(self, sql: str, params: Mapping[str, object] = _NONE) -> int:
        """See :meth:`Session.execute`."""
        with database.refusing():
            return database.changed(self._connection.execute(sql, dict(params) or None))

    def lock(self, name: str) -> None:
        """See :meth:`Session.lock`."""


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _free(path: Path) -> Path:
    """This place, or one beside it where nothing is: two moves within a second lose nothing."""
    numbered = (_beside(path, f"-{number}") for number in itertools.count(2))
    return next(place for place in itertools.chain([path], numbered) if not place.exists())


def _copy(source: Path, target: Path) -> None:
    """A closed file, with what a program that died wrote beside it."""
    migration.copy_file(source, target)
    if _beside(source, ".wal").exists():
        migration.copy_file(_beside(source, ".wal"), _beside(target, ".wal"))

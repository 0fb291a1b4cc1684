"""The run log as the rest of the package sees it: record, drain, read."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from llm_playground.errors import RunLogError
from llm_playground.runlog import database, drain, journal
from llm_playground.runlog.journal import Journal
from llm_playground.runlog.later import Later
from llm_playground.runlog.recorder import Recorder
from llm_playground.types import Execution, Request, Run

if TYPE_CHECKING:
    import pandas as pd
    from duckdb import DuckDBPyConnection

    from llm_playground.runlog.database import SqlParams

_DRAIN_AFTER_S = 0.8  # a drain takes about 0.08 s: in the database within a second
_WAIT_S = 30.0
_CHECK_WAIT_S = 5.0
_EXIT_WAIT_S = 2.0
_STRANGER_WAIT_S = 3.0
_POLL_S = 0.01

_log = logging.getLogger(__name__)


class RunLog:
    """One run log of this process. Get it from :func:`llm_playground.runlog.open_log`.

    ``started``, ``text``, ``finished`` and ``execution_finished`` never raise; a log that cannot
    be written says so once, in one line, on the logger ``llm_playground.runlog``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._recorder = Recorder(path.with_name(path.name + ".journal"))
        self._reset()

    def _reset(self) -> None:
        self._turn = threading.Lock()
        self._file_lock = FileLock(
            self.path.with_name(self.path.name + ".lock"),
            thread_local=False,
            poll_interval=_POLL_S,
        )
        self._drainer = Later(self._drain_quietly, _DRAIN_AFTER_S, "llm_playground-drain")
        self._failing = False
        self._used = False
        self._closed = False

    def started(self, run: Run, request: Request, execution: Execution) -> None:
        """Record a run, its prompt and its execution, before anything is sent."""
        self._used = True
        self._recorder.started(run, request, execution)

    def text(self, run_id: str, delta: str) -> None:
        """Record new text of a running run: the first at once, later within 50 ms."""
        self._recorder.text(run_id, delta)

    def finished(self, run: Run) -> None:
        """Record how a run ended. It survives this process's death once this returns."""
        self._used = True
        self._recorder.finished(run)
        self._drainer.soon()

    def execution_finished(self, execution_id: str, status: str, completed_at: datetime) -> None:
        """Record how an execution ended."""
        self._recorder.execution_finished(execution_id, status, completed_at)
        self._drainer.soon()

    def frame(self, sql: str, params: SqlParams = ()) -> pd.DataFrame:
        """What one SELECT finds, everything recorded until now included.

        Args:
            sql: One statement that reads tables and views of DESIGN 5.4.
            params: Values for ``?`` in order, or for ``$name`` by name.

        Raises:
            RunLogError: The log cannot be opened, or the statement is wrong or would write.
        """
        return self._frame(sql, params, _WAIT_S)

    def drain(self) -> None:
        """Bring every journal that may be read into the database.

        Raises:
            RunLogError: The database cannot be opened or written. The journals stay.
        """
        with self._alone(_WAIT_S):
            self._drain()

    def waiting(self) -> int:
        """How many runs are in journals and not, or not finished, in the database."""
        import duckdb

        with self._alone(_WAIT_S):
            paths = journal.files(self._recorder.folder)
            if not paths:
                return 0
            try:
                with database.writing(self.path, 0) as connection:
                    drain.read(connection, paths, ())
                    return drain.count_new(connection)
            except RunLogError:  # no database: all of them wait
                with duckdb.connect() as connection:
                    drain.read(connection, paths, ())
                    return drain.count(connection)

    def check(self) -> str:
        """``"ok"``, or one line saying why the log cannot be read or written."""
        try:
            self._frame("SELECT 1", (), _CHECK_WAIT_S)
        except RunLogError as error:
            return str(error)
        return "ok"

    def set_aside(self) -> Path:
        """Move the database file aside, whatever is in it, and start a new one. On request only.

        Returns:
            Where the old file is now. The journals stay, and go into the new file.

        Raises:
            RunLogError: There is no file (but a folder or a device, say), or it cannot be moved.
        """
        if self.path.exists() and not self.path.is_file():
            raise RunLogError(
                f"{self.path} is not a file and stays where it is. "
                "Set LLM_PLAYGROUND_LOG to the path of a file."
            )
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        aside = self.path.with_name(f"{self.path.name}.aside-{stamp}")
        with self._alone(_WAIT_S):
            try:
                self.path.rename(aside)
                wal = self.path.with_name(self.path.name + ".wal")
                if wal.exists():
                    wal.rename(aside.with_name(aside.name + ".wal"))
            except OSError as error:
                raise RunLogError(
                    f"{self.path} cannot be moved aside ({error.strerror}). Move it by hand."
                ) from error
        return aside

    def close(self) -> None:
        """At the interpreter's end: drain once, quickly; what is left, the next reader takes."""
        if self._used and not self._closed:
            with suppress(RunLogError), self._alone(_EXIT_WAIT_S):
                self._drain()
        self._closed = True

    def after_fork(self) -> None:
        """In a child: own journal, own lock, own threads."""
        self._recorder.after_fork()
        self._reset()

    def _frame(self, sql: str, params: SqlParams, wait_s: float) -> pd.DataFrame:
        with self._alone(wait_s):
            self._drain()
            with database.reading(self.path, _STRANGER_WAIT_S) as connection:
                return database.query(connection, sql, params)

    def _drain_quietly(self) -> None:
        """Drain in the background; trouble is told once and the journals wait."""
        if self._closed:
            return
        try:
            self.drain()
            self._failing = False
        except Exception as error:
            if not self._failing and not self._recorder.failing:
                _log.warning("%s", error)
            self._failing = True

    def _drain(self) -> None:
        wal = self.path.with_name(self.path.name + ".wal")
        nothing_waits = not journal.files(self._recorder.folder) and not wal.exists()
        if nothing_waits and self.path.exists():
            return
        with database.writing(self.path, _STRANGER_WAIT_S) as connection:
            self._drain_into(connection)

    def _drain_into(self, connection: DuckDBPyConnection) -> None:
        own = self._recorder.retire()
        mine = set(self._recorder.paths())
        others = [path for path in journal.files(self._recorder.folder) if path not in mine]
        taken = {path: Journal.take_over(path) for path in others}
        dead = [found for found in taken.values() if found is not None]
        living = [path for path, found in taken.items() if found is None]
        readable = [found.path for found in (*own, *dead)] + living
        try:
            if readable:
                drain.read(connection, readable, [found.path for found in dead])
                drain.write(connection)
            connection.close()  # only what is safely in the file may leave the journals
            self._recorder.remove(own)
            for found in dead:
                found.remove()
        finally:
            for found in dead:
                found.close()

    @contextmanager
    def _alone(self, wait_s: float) -> Iterator[None]:
        """The only one to open the database, in this process and among all others."""
        if not self._turn.acquire(timeout=wait_s):
            raise RunLogError(f"The run log {self.path} is busy. Try again in a moment.")
        try:
            with self._locked(wait_s):
                yield
        finally:
            self._turn.release()

    @contextmanager
    def _locked(self, wait_s: float) -> Iterator[None]:
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file_lock.acquire(timeout=wait_s)
        except Timeout as error:
            raise RunLogError(
                f"Another process has kept the run log {self.path} for {wait_s:g} s. "
                "Try again, or close that process."
            ) from error
        except OSError as error:
            raise RunLogError(database.not_writable(self.path, error)) from error
        try:
            yield
        finally:
            self._file_lock.release()

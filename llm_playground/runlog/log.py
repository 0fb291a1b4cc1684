"""The run log as the rest of the package sees it: record, drain, read, change."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from llm_playground.errors import RunLogError
from llm_playground.runlog import journal
from llm_playground.runlog.journal import Journal
from llm_playground.runlog.later import Later
from llm_playground.runlog.recorder import Recorder
from llm_playground.runlog.store import Batch, Dialect, Session, SqlParams, Store, Writer
from llm_playground.types import Execution, Request, Run

if TYPE_CHECKING:
    import pandas as pd

_DRAIN_AFTER_S = 0.8  # a drain takes about 0.08 s: in the database within a second
_WAIT_S = 30.0
_CHECK_WAIT_S = 5.0
_EXIT_WAIT_S = 2.0

_log = logging.getLogger(__name__)

T = TypeVar("T")


class RunLog:
    """One run log of this process. Get it from :func:`llm_playground.runlog.open_log`.

    ``started``, ``text``, ``finished`` and ``execution_finished`` never raise; a log that cannot
    be written says so once, in one line, on the logger ``llm_playground.runlog``.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._recorder = Recorder(store.folder)
        self._reset()

    def _reset(self) -> None:
        self._turn = threading.Lock()
        self._drainer = Later(self._drain_quietly, _DRAIN_AFTER_S, "llm_playground-drain")
        self._failing = False
        self._used = False
        self._closed = False

    @property
    def dialect(self) -> Dialect:
        """``"duckdb"`` or ``"postgres"``, for the few fragments of SQL that must differ."""
        return self._store.dialect

    @property
    def path(self) -> Path | None:
        """The database's file, None where it is a server."""
        return self._store.path

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

    def change(self, work: Callable[[Session], T]) -> T:
        """What ``work`` returns, done in one write transaction on the drained log.

        Committed when ``work`` returns, undone when it raises. On DuckDB nobody else has the file
        meanwhile; on Postgres others go on, so lock what must not change (:meth:`Session.lock`).
        ``work`` is quick and touches nothing but its session: it may hold up everybody else.

        Raises:
            RunLogError: The log cannot be opened or written, or a statement is refused.
        """
        with self._alone(_WAIT_S), self._drained() as writer:
            return writer.change(work)

    def drain(self) -> None:
        """Bring every journal that may be read into the database.

        Raises:
            RunLogError: The database cannot be opened or written. The journals stay.
        """
        with self._alone(_WAIT_S):
            self._drain()

    def waiting(self) -> int:
        """How many runs are in journals and not, or not finished, in the database."""
        with self._alone(_WAIT_S):
            files = journal.files(self._recorder.folder)
            return self._store.waiting(files) if files else 0

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
        with self._turn_of_threads(_WAIT_S):
            return self._store.set_aside(_WAIT_S)

    def close(self) -> None:
        """At the interpreter's end: drain once, quickly; what is left, the next reader takes."""
        if self._used and not self._closed:
            with suppress(RunLogError), self._alone(_EXIT_WAIT_S):
                self._drain()
        self._closed = True

    def after_fork(self) -> None:
        """In a child: own journal, own lock, own threads."""
        self._recorder.after_fork()
        self._store.after_fork()
        self._reset()

    def _frame(self, sql: str, params: SqlParams, wait_s: float) -> pd.DataFrame:
        with self._alone(wait_s):
            self._drain()
            return self._store.frame(sql, params)

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
        if journal.files(self._recorder.folder) or self._store.unfinished():
            with self._drained():
                pass

    @contextmanager
    def _drained(self) -> Iterator[Writer]:
        """The database open for changes, with everything in it that journals told.

        A journal goes only when the database is closed again: then its content is safe there.
        """
        failed: BaseException | None = None
        own = self._recorder.retire()
        with _others(self._recorder) as (dead, living):
            taken = [found.path for found in dead]
            batch = Batch([*(found.path for found in own), *taken, *living], taken)
            with self._store.writing() as writer:
                writer.bring_in(batch)
                try:
                    yield writer
                except BaseException as error:  # the caller's own; what was brought in stays
                    failed = error
            self._recorder.remove(own)
            for found in dead:
                found.remove()
        if failed is not None:
            raise failed

    @contextmanager
    def _alone(self, wait_s: float) -> Iterator[None]:
        """The only one to open the database, in this process and where needed among all others."""
        with self._turn_of_threads(wait_s), self._store.alone(wait_s):
            yield

    @contextmanager
    def _turn_of_threads(self, wait_s: float) -> Iterator[None]:
        if not self._turn.acquire(timeout=wait_s):
            raise RunLogError(f"The run log {self._store.place} is busy. Try again in a moment.")
        try:
            yield
        finally:
            self._turn.release()


@contextmanager
def _others(recorder: Recorder) -> Iterator[tuple[list[Journal], list[Path]]]:
    """Journals of others: those of the dead, taken over, and files that somebody still writes."""
    mine = set(recorder.paths())
    found = [path for path in journal.files(recorder.folder) if path not in mine]
    taken = {path: Journal.take_over(path) for path in found}
    dead = [held for held in taken.values() if held is not None]
    try:
        yield dead, [path for path, held in taken.items() if held is None]
    finally:
        for held in dead:
            held.close()

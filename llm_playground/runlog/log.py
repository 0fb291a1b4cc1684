"""The run log: recording, draining, reading and changing.

Draining ingests journals into the database: those of this process, those of dead processes, which
are taken over, and those of live processes, which are only read.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from llm_playground._lifecycle import complete_records
from llm_playground._runtime import Debouncer
from llm_playground.errors import LLMError, RunLogError
from llm_playground.runlog import duckdb_ingest, interrupted, journal, refusals, store
from llm_playground.runlog.journal import Journal
from llm_playground.runlog.one_thread import DRAIN, OneThread
from llm_playground.runlog.recorder import Recorder
from llm_playground.runlog.refusals import RefusedFile
from llm_playground.runlog.rows import Row
from llm_playground.runlog.store import (
    Batch,
    LockedError,
    NotWritableError,
    ReadSession,
    RefusedRow,
    Session,
    SqlParams,
    Store,
    Table,
    Unavailable,
    Writer,
)
from llm_playground.types import Execution, Request, Run

if TYPE_CHECKING:
    import pandas as pd
    from sqlalchemy import Engine

# Readers ingest the journals of up to this many live processes, to see their runs at once. On a hub
# with more, each process would read all others, so runs are seen once their owner drains.
_MAX_LIVE = 12
_DRAIN_AFTER_S = 0.8  # a drain takes about 0.08 s, so runs are in the database within a second
_WAIT_S = 30.0
_CHECK_WAIT_S = _FORK_WAIT_S = 5.0
_EXIT_WAIT_S = 2.0
_RETRY_S = 1.0  # after the first failure in the background; doubled after each further one
_LONGEST_RETRY_S = 20.0
_random = random.Random()  # noqa: S311 - spreads load; a notebook's seed stays undisturbed
_WARN_AFTER_FAILURES = 4  # of a kind that usually passes
_UNWRITABLE_S = 20.0  # between attempts to write to a read-only server, each without effect

Which = Literal["none", "own", "all"]  # the journals to drain: of this process, or of others too
_log = logging.getLogger(__name__)
T = TypeVar("T")


class RunLog:
    """One run log of this process. Get it from :func:`llm_playground.runlog.open_log`.

    ``started``, ``text`` and the other methods that record never raise. If the log cannot be
    written, the logger ``llm_playground.runlog`` gets one warning.

    The methods that read or change the database raise RunLogError if it cannot be opened, read or
    written, or if a statement is wrong or would write. The journals are kept.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.dialect = store.dialect
        self.path = store.path  # None for a server
        self.place = store.place  # the path, or the URL without a password
        self.journals = store.folder
        self._recorder = Recorder(store.folder)
        self._reset()

    def _reset(self) -> None:
        self._threads = OneThread(self._store)
        self._drainer = Debouncer(self._drain_quietly, _DRAIN_AFTER_S, DRAIN)
        self._failures = 0  # of background drains, in a row
        self._unavailable_since: datetime | None = None
        self._adopted = False  # whether journals of dead processes were taken over once
        self._retries = True  # whether to ingest refused rows again
        self._unwritable_until = 0.0  # until when no drain is tried before a read
        self._reported: set[str] = set()  # problems of which a warning was logged
        self._used = False
        self._closed = False

    def started(self, run: Run, request: Request, execution: Execution) -> None:
        """Record a run, its prompt and its execution, before anything is sent."""
        self._used = True
        self._recorder.started(run, request, execution)

    def resumed(self, run: Run) -> None:
        """Record that the answer of an interrupted run is read, which keeps its row meanwhile."""
        self._recorder.resumed(run)

    def updated(self, run: Run) -> None:
        """Record what is known of a running run, such as its counts, in case this process dies."""
        self._recorder.updated(run)

    def text(self, run_id: str, delta: str) -> None:
        """Record new text of a running run: the first at once, later within 50 ms."""
        self._recorder.text(run_id, delta)

    def finished(self, run: Run) -> None:
        """Record a run's end, which survives a crash of this process once this returns."""
        self._used = True
        self._recorder.finished(run)
        self._drainer.soon()

    def execution_finished(self, execution_id: str, status: str, completed_at: datetime) -> None:
        """Record an execution's end."""
        self._recorder.execution_finished(execution_id, status, completed_at)
        self._drainer.soon()

    def audit(self, row: Row) -> None:
        """Record an entry of ``audit_log``, which survives a crash once this returns."""
        self._used = True
        self._recorder.audit(row)
        self._drainer.soon()

    def frame(self, sql: str, params: SqlParams = ()) -> pd.DataFrame:
        """The rows of one SELECT, with everything recorded until now.

        ``params`` are values for ``?`` in order, or for ``$name`` by name.
        """
        with self._up_to_date():
            return self._store.frame(sql, params)

    def rows(self, sql: str, params: SqlParams = (), *, wait_s: float = _WAIT_S) -> list[Row]:
        """The rows of one SELECT as dictionaries; otherwise like :meth:`frame`.

        Values have the same Python types on both engines: NULL is None, JSON and UUIDs are text,
        times are datetimes in UTC, DECIMAL is Decimal, BLOB is bytes.
        """
        names, rows = self.select(sql, params, wait_s=wait_s)
        return [dict(zip(names, row, strict=True)) for row in rows]

    def select(self, sql: str, params: SqlParams = (), *, wait_s: float = _WAIT_S) -> Table:
        """The column names and the rows of one SELECT; otherwise like :meth:`rows`."""
        with self._up_to_date(wait_s):
            return self._store.select(sql, params)

    def engine(self) -> Engine:
        """A SQLAlchemy engine that only reads the log; see :func:`llm_playground.runlog.engine`."""
        return self._store.engine(self)

    def read(
        self,
        work: Callable[[ReadSession], T],
        *,
        may_lag: bool = False,
        which: Which = "own",
        wait_s: float = _WAIT_S,
    ) -> T:
        """Return the result of ``work``, which reads everything recorded until now.

        Unlike :meth:`change`, it works while another program reads the file, as long as the
        journals are empty: a drain needs exclusive access. With ``may_lag``, ``work`` reads the
        database even if some runs cannot be drained now. Where nothing can be written, it warns.

        Raises:
            RunLogError: Also if others have kept the log for ``wait_s``; the message names them.
        """
        with self._up_to_date(wait_s, which, may_lag=may_lag), self._store.reading() as session:
            return work(session)

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Have this thread's reads in a ``with`` share one opening and one state of the database.

        They are quicker then. Others wait for it to end; nothing may be changed meanwhile.
        """
        with self._up_to_date(), self._store.opened(), self._threads.reading():
            yield

    def change(self, work: Callable[[Session], T], *, wait_s: float = _WAIT_S) -> T:
        """Return the result of ``work``, called in one write transaction on the drained log.

        The transaction is committed when ``work`` returns and rolled back when it raises. On DuckDB
        no other process has the file open meanwhile; on PostgreSQL others continue, so lock what
        must not change (:meth:`Session.lock`). ``work`` must be quick and use only its session.

        Raises:
            RunLogError: Also if others have kept the log for ``wait_s``; the message names them.
        """
        with self._exclusive(wait_s), self._drained("own") as writer:
            return writer.change(work)

    def drain(self, *, wait_s: float = _WAIT_S) -> None:
        """Ingest all journals that may be read."""
        with self._up_to_date(wait_s):
            pass

    def waiting(self) -> int:
        """The number of runs that are not, or not ended, in the database, and of refused rows."""
        with self._exclusive():
            files = journal.files(self.journals)
            waiting = self._store.waiting(files) if files else set()
        rows = {row for file in self.refused() for row in file.rows}
        return len(rows | {("result", run_id) for run_id in waiting})

    def refused(self) -> list[RefusedFile]:
        """The files with rows that the database refused, which the next process tries again."""
        return refusals.read(self.journals)

    def check(self) -> str:
        """``"ok"``, or the reason why the log cannot be read or written, in one line."""
        try:
            with self._exclusive(_CHECK_WAIT_S):
                self._drain("all")
                self._store.frame("SELECT 1", ())
        except RunLogError as error:
            return str(error)
        return self._recorder.failing or "ok"

    def migrate(self) -> int:
        """See :func:`llm_playground.runlog.migrate`."""
        with self._exclusive():
            version = self._store.migrate()
            self._retries = True
            self._drain("all")
        return version

    def backup(self, path: str | Path) -> Path:
        """Write the whole log to a new DuckDB file, which is a run log itself, and return its path.

        A DuckDB log is copied unchanged, even if a newer version of this package wrote it.
        """
        target = store.backup_target(path)
        with self._exclusive():
            with suppress(RunLogError if self.path else NotWritableError):
                self._drain("all")
            self._store.backup(target)
        return target

    def restore(self, path: str | Path) -> Path | None:
        """See :func:`llm_playground.runlog.restore`. Runs in journals are added to the log."""
        source = store.backup_source(path)
        with self._exclusive():
            return self._store.restore(source)

    def compact(self) -> int:
        """Free the disk space of deleted rows and texts, and return the number of bytes.

        A DuckDB file is replaced by a compact copy. On PostgreSQL the tables' owner rewrites tables
        with much dead space, for which other processes wait. If it fails, the log is unchanged.
        """
        with self._up_to_date():
            return self._store.compact()

    def elsewhere(self) -> list[str]:
        """Ids of the runs that other live processes, or this one, would insert again."""
        with self._up_to_date():
            return duckdb_ingest.ids(self._foreign_files()) + self._recorder.running()

    def summed_until(self) -> datetime | None:
        """The start of the month (UTC) from which costs are counted from ``runs``; None for all."""
        with self._up_to_date():
            return self._store.summed_until()

    def set_aside(self) -> Path:
        """See :func:`llm_playground.runlog.set_aside_log`."""
        with self._exclusive_among_threads(_WAIT_S):
            return self._store.set_aside(_WAIT_S)

    def close(self) -> None:
        """Drain once, quickly, at Python's exit; the next reader ingests the rest.

        Daemon threads cannot use the log afterwards: one in DuckDB would abort Python.
        """
        if self._closed:
            return
        self._closed = True
        exclusive = self._exclusive if self._used else self._exclusive_among_threads
        with suppress(LLMError), exclusive(_EXIT_WAIT_S):  # also of a setting that is wrong by now
            if self._used:
                self._drain("own")

    def before_fork(self) -> None:
        """Wait until no thread has the database open, which a child would inherit."""
        self._held_for_fork = self._threads.acquire(_FORK_WAIT_S)

    def after_fork_in_parent(self) -> None:
        """Release the lock of :meth:`before_fork`."""
        if self._held_for_fork:
            self._threads.release()

    def after_fork(self) -> None:
        """Start with a new journal, lock and threads in a forked child."""
        self._recorder.after_fork()
        self._store.after_fork()
        self._reset()

    @contextmanager
    def _up_to_date(
        self, wait_s: float = _WAIT_S, which: Which = "all", *, may_lag: bool = False
    ) -> Iterator[None]:
        """Exclusive access, after journals were ingested if the database can be written."""
        if which != "none":
            complete_records()
        with ExitStack() as stack:
            if self._threads.is_reading():
                yield
                return
            try:
                stack.enter_context(self._exclusive(wait_s))
            except NotWritableError as error:
                self._read_only(error)
                stack.enter_context(self._exclusive_among_threads(wait_s))
            else:
                with suppress(RunLogError) if may_lag else nullcontext():
                    self._drain_if_writable(which, patient=not may_lag)
            yield

    def _drain_if_writable(self, which: Which, *, patient: bool) -> None:
        if time.monotonic() < self._unwritable_until:
            return
        try:
            self._drain(which, patient=patient)
        except NotWritableError as error:
            self._read_only(error)

    def _read_only(self, error: NotWritableError) -> None:
        """Log one warning, and read a server without draining for some time."""
        if self.path is not None and not self.path.exists():  # there is nothing to read
            raise error
        if self.path is None and not isinstance(error, LockedError):
            self._unwritable_until = time.monotonic() + _UNWRITABLE_S
        self._report(str(error))

    def _drain_quietly(self) -> float | None:
        """Drain in the background; after a failure, log one warning and try again later."""
        if self._closed:
            return None
        if not self._threads.acquire(0):  # the one that has it drains too
            return _DRAIN_AFTER_S
        try:
            with self._store.exclusive(_WAIT_S):
                self._drain("own" if self._adopted else "all")
        except Exception as error:
            # DuckDB interrupts statements at exit; the next process ingests the journal.
            if self._closed or not threading.main_thread().is_alive():
                return None
            return self._try_again_after(error)
        finally:
            self._threads.release()
        self._failures = 0
        return None

    def _try_again_after(self, error: Exception) -> float:
        """Seconds until the next attempt, longer each time; logs a warning once."""
        if isinstance(error, NotWritableError):
            self._report(str(error))
            return _random.uniform(_UNWRITABLE_S, 2 * _UNWRITABLE_S)
        self._failures += 1
        usually_passes = isinstance(error, Unavailable) and error.passes
        if (
            self._failures == (_WARN_AFTER_FAILURES if usually_passes else 1)
            and not self._recorder.failing
        ):
            reported = self._waiting_error(error) if isinstance(error, Unavailable) else error
            _log.warning("%s", reported)
        longest_s = min(_RETRY_S * 2**self._failures, _LONGEST_RETRY_S)
        return _random.uniform(longest_s / 2, longest_s)

    def _drain(self, which: Which, *, patient: bool = True) -> None:
        if which == "none" and not self._store.unfinished():
            return
        files = journal.files(self.journals) if which == "all" else self._recorder.paths()
        attachments = self._recorder.attachments
        kept = attachments.waiting() if attachments.folder.exists() else []
        waiting = files or kept or self._store.unfinished()
        if waiting or (self._retries and which == "all" and journal.refused(self.journals)):
            with self._drained(which, patient=patient):
                pass

    @contextmanager
    def _drained(self, which: Which, *, patient: bool = True) -> Iterator[Writer]:
        """The database open for changes after the journals were ingested.

        Journals are deleted after the database is closed: their content is there, or refused.
        """
        failed: BaseException | None = None
        tried = journal.refused(self.journals) if self._retries and which == "all" else []
        with ExitStack() as stack:
            with self._store.writing(patient=patient) as writer:
                # After opening: journals would pile up without a database. Images come first.
                attached = self._recorder.attachments.waiting(only_own=which != "all")
                own = self._recorder.retire()
                taken, live = self._foreign_journals() if which == "all" else ([], [])
                for abandoned in taken:
                    stack.callback(abandoned.close)
                dead = [journal.path for journal in taken]
                files = [*(journal.path for journal in own), *dead, *live]
                refused = writer.ingest(Batch(files, dead))
                again = writer.ingest(Batch(tried, tried)) if tried else []
                self._recorder.attachments.ingest(writer, attached, self.dialect)
                if taken or (which == "all" and not self._adopted):
                    interrupted.price(writer, self.dialect)
                try:
                    yield writer
                except BaseException as error:  # raised below, once the ingested rows are committed
                    failed = error
            self._recorder.attachments.remove(attached)
            if self._keep(refused, [*own, *taken], dead, again, tried):
                self._recorder.remove(own)
                for abandoned in taken:
                    abandoned.remove()
        self._adopted |= which == "all"
        self._retries &= which != "all"
        self._unwritable_until = 0.0
        if failed is not None:
            raise failed

    def _keep(
        self,
        refused: Sequence[RefusedRow],
        journals: Sequence[Journal],
        dead: Sequence[Path],
        again: Sequence[RefusedRow],
        tried: Sequence[Path],
    ) -> bool:
        """Write the refused rows of ``journals`` to files, and those of the files ``tried`` again.

        Returns:
            Whether all are written; the journals must be kept otherwise.
        """
        try:
            if tried:
                refusals.keep_again(again, tried)
            is_new = refused and refusals.keep(refused, [one.path for one in journals], dead)
        except OSError as error:
            self._report(f"{self.journals} cannot be written ({error.strerror}); journals stay.")
            return False
        if is_new:
            self._report(refusals.message(refused, self.place, self.journals))
        return True

    def _report(self, problem: str) -> None:
        """Log a warning, each once, unless nothing can be recorded, which was reported."""
        if problem not in self._reported and not self._recorder.failing:
            self._reported.add(problem)
            _log.warning("%s", problem)

    def _foreign_files(self) -> list[Path]:
        """Paths of the journals of other processes."""
        own = set(self._recorder.paths())
        return [path for path in journal.files(self.journals) if path not in own]

    def _foreign_journals(self) -> tuple[list[Journal], list[Path]]:
        """The journals of dead processes, taken over, and those of live ones if these are few."""
        journals = {path: Journal.take_over(path) for path in self._foreign_files()}
        dead = [journal for journal in journals.values() if journal is not None]
        live = [path for path, journal in journals.items() if journal is None]
        return dead, live if len(live) <= _MAX_LIVE else []

    @contextmanager
    def _exclusive(self, wait_s: float = _WAIT_S) -> Iterator[None]:
        """Exclusive access to the database, in this process and on DuckDB among all processes."""
        until = time.monotonic() + wait_s
        with self._exclusive_among_threads(wait_s):
            try:
                with self._store.exclusive(max(until - time.monotonic(), wait_s / 2)):
                    yield
            except Unavailable as error:
                raise self._waiting_error(error) from error
            self._unavailable_since = None

    def _waiting_error(self, why: Unavailable) -> RunLogError:
        """The error that users see while the database is unavailable."""
        self._unavailable_since = self._unavailable_since or datetime.now(UTC).astimezone()
        since = f" since {self._unavailable_since:%H:%M}" if why.lasts else ""
        count = len(duckdb_ingest.ids(journal.files(self.journals)))
        waiting = "1 run waits" if count == 1 else f"{count:,} runs wait"
        return RunLogError(
            f"{waiting if count else 'New runs will wait'} for the log ({why.reason}{since}). "
            f"{why.advice}",
            detail=why.detail,
        )

    @contextmanager
    def _exclusive_among_threads(self, wait_s: float) -> Iterator[None]:
        with self._threads.exclusive(wait_s):
            if self._closed and threading.current_thread() is not threading.main_thread():
                raise RunLogError("The run log is closed, since Python ends.")
            yield

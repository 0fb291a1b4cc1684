"""The run log as the rest of the package sees it: record, drain, read, change."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from llm_playground.errors import RunLogError
from llm_playground.runlog import drain, journal, others
from llm_playground.runlog.later import Later
from llm_playground.runlog.recorder import Recorder
from llm_playground.runlog.records import Row
from llm_playground.runlog.store import (
    Batch,
    Dialect,
    Session,
    SqlParams,
    Store,
    Unavailable,
    Writer,
)
from llm_playground.types import Execution, Request, Run

if TYPE_CHECKING:
    import pandas as pd

_DRAIN_AFTER_S = 0.8  # a drain takes about 0.08 s: in the database within a second
_WAIT_S = 30.0
_CHECK_WAIT_S = 5.0
_FORK_WAIT_S = 5.0
_EXIT_WAIT_S = 2.0
_BACKGROUND_WAIT_S = 30.0
_RETRY_S = 1.0  # after a first failure in the background, then twice as long each time
_LONGEST_RETRY_S = 20.0
# Of our own: a notebook that seeds the common one gets the numbers it expects.
_chance = random.Random()  # noqa: S311 - so that not all processes come at once
_PATIENCE = 4  # so many failures in a row of what mostly passes are told

# Whose journals are brought in: only this process's own, or also those of others: of the dead,
# to keep, and of the living, to see them at once.
Whose = Literal["own", "everyone's"]

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
        self._failures = 0  # in the background, one after another
        self._unavailable_since: datetime | None = None
        self._adopted = False  # journals of dead processes, at least once
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

    @property
    def place(self) -> str:
        """The database's name for people: a path, or a URL without a password."""
        return self._store.place

    @property
    def journals(self) -> Path:
        """The folder in which runs wait for the database."""
        return self._store.folder

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

    def audit(self, row: Row) -> None:
        """Record an entry of ``audit_log``. It survives this process's death once this returns."""
        self._used = True
        self._recorder.audit(row)
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
        with self._alone(_WAIT_S), self._drained("own") as writer:
            return writer.change(work)

    def drain(self) -> None:
        """Bring every journal that may be read into the database.

        Raises:
            RunLogError: The database cannot be opened or written. The journals stay.
        """
        with self._alone(_WAIT_S):
            self._drain("everyone's")

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
        return self._recorder.failing or "ok"

    def migrate(self) -> int:
        """Bring the tables to the newest version that this package knows.

        A DuckDB file does so by itself. On PostgreSQL only the tables' owner can; this also makes
        the partitions of the next months and sums up ``monthly_costs`` anew.

        Returns:
            The tables' version.

        Raises:
            RunLogError: It is not allowed, or a newer version of this package wrote the log.
        """
        with self._alone(_WAIT_S):
            version = self._store.migrate()
            self._drain("everyone's")
        return version

    def backup(self, path: str | Path) -> Path:
        """Write the whole log into a new DuckDB file, which can be opened as a run log itself.

        A DuckDB log is copied as it is, even when a newer version of this package wrote it.

        Returns:
            The file.

        Raises:
            RunLogError: There is such a file already, or one of both cannot be read or written.
        """
        target = Path(path).expanduser().absolute()
        if target.exists():
            raise RunLogError(f"{target} is there already. Give a path where nothing is.")
        with self._alone(_WAIT_S):
            with suppress(RunLogError) if self.path else nullcontext():
                self._drain("everyone's")
            self._store.backup(target)
        return target

    def restore(self, path: str | Path) -> Path | None:
        """Take everything from a file that :meth:`backup` wrote, or that a migration kept.

        On DuckDB it takes the place of the log's file, which moves aside. On PostgreSQL it goes
        into empty tables. Runs that wait in journals come on top of it.

        Returns:
            Where the file is that was the log before; None where there was none.

        Raises:
            RunLogError: The file is no run log, or what is there cannot be replaced.
        """
        with self._alone(_WAIT_S):
            return self._store.restore(Path(path).expanduser().absolute())

    def compact(self) -> int:
        """Give space back that removed rows and texts took; it takes as much room for a moment.

        A DuckDB file is copied, and the copy takes its place. On PostgreSQL the tables' owner
        writes worn ones anew; whoever wants one waits meanwhile, new runs in their journals.

        Returns:
            How many bytes the database takes less.

        Raises:
            RunLogError: It cannot be done; the log is as before.
        """
        with self._alone(_WAIT_S):
            self._drain("everyone's")
            return self._store.compact()

    def elsewhere(self) -> list[str]:
        """The runs, by id, in journals of other living processes, which bring their rows back.

        Raises:
            RunLogError: The log cannot be drained.
        """
        with self._alone(_WAIT_S):
            self._drain("everyone's")
            return drain.ids(others.files(self._recorder))

    def summed_until(self) -> datetime | None:
        """Before which moment, the first of a month in UTC, ``monthly_costs`` is exact.

        The table (PostgreSQL only) has ``month`` (``2026-03``), ``provider``, ``model``,
        ``username``, ``notebook``, ``status``, and over them ``runs``, ``input_tokens``,
        ``output_tokens``, ``cost_usd``, ``unpriced_runs``, ``estimated_runs``. Later months are
        to be counted from ``runs``. None: all of them.

        Raises:
            RunLogError: The log cannot be read.
        """
        with self._alone(_WAIT_S):
            self._drain("everyone's")
            return self._store.summed_until()

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
                self._drain("own")
        self._closed = True

    def before_fork(self) -> None:
        """Wait until no thread has the database open: a child would get half of its state."""
        self._held_for_fork = self._turn.acquire(timeout=_FORK_WAIT_S)

    def after_fork_in_parent(self) -> None:
        """Go on as before."""
        if self._held_for_fork:
            self._turn.release()

    def after_fork(self) -> None:
        """In a child: own journal, own lock, own threads."""
        self._recorder.after_fork()
        self._store.after_fork()
        self._reset()

    def _frame(self, sql: str, params: SqlParams, wait_s: float) -> pd.DataFrame:
        with self._alone(wait_s):
            self._drain("everyone's")
            return self._store.frame(sql, params)

    def _drain_quietly(self) -> float | None:
        """Drain in the background; trouble is told once, the journals wait, and it tries again."""
        if self._closed:
            return None
        if not self._turn.acquire(blocking=False):  # whoever has it drains, too
            return _DRAIN_AFTER_S
        try:
            with self._store.alone(_BACKGROUND_WAIT_S):
                self._drain("own" if self._adopted else "everyone's")
        except Exception as error:
            return self._try_again_after(error)
        finally:
            self._turn.release()
        self._failures = 0
        return None

    def _try_again_after(self, error: Exception) -> float:
        """Seconds, longer each time; a warning the first time, or when it does not pass."""
        self._failures += 1
        passes = isinstance(error, Unavailable) and error.passes
        if self._failures == (_PATIENCE if passes else 1) and not self._recorder.failing:
            said = self._waits(error) if isinstance(error, Unavailable) else error
            _log.warning("%s", said)
        longest_s = min(_RETRY_S * 2**self._failures, _LONGEST_RETRY_S)
        return _chance.uniform(longest_s / 2, longest_s)

    def _drain(self, whose: Whose) -> None:
        waits = self._recorder.paths() if whose == "own" else journal.files(self._recorder.folder)
        if waits or self._store.unfinished():
            with self._drained(whose):
                pass

    @contextmanager
    def _drained(self, whose: Whose) -> Iterator[Writer]:
        """The database open for changes, with everything in it that journals told.

        A journal goes only when the database is closed again: then its content is safe there.
        """
        failed: BaseException | None = None
        with ExitStack() as held:
            with self._store.writing() as writer:
                own = self._recorder.retire()  # only now: without a database they would pile up
                everyones = others.others(self._recorder)
                found = others.NOBODY if whose == "own" else held.enter_context(everyones)
                dead = [taken.path for taken in found.dead]
                writer.bring_in(Batch([*(mine.path for mine in own), *dead, *found.living], dead))
                try:
                    yield writer
                except BaseException as error:  # the caller's own; what was brought in stays
                    failed = error
            self._recorder.remove(own)
            for taken in found.dead:
                taken.remove()
        self._adopted |= whose == "everyone's"
        if failed is not None:
            raise failed

    @contextmanager
    def _alone(self, wait_s: float) -> Iterator[None]:
        """The only one to open the database, in this process and where needed among all others."""
        with self._turn_of_threads(wait_s):
            try:
                with self._store.alone(wait_s):
                    yield
            except Unavailable as error:
                raise self._waits(error) from error
            self._unavailable_since = None

    def _waits(self, why: Unavailable) -> RunLogError:
        """What a person reads while the database is not there."""
        self._unavailable_since = self._unavailable_since or datetime.now(UTC).astimezone()
        since = f" since {self._unavailable_since:%H:%M}" if why.lasts else ""
        count = drain.count(journal.files(self._recorder.folder))
        waiting = "1 run waits" if count == 1 else f"{count:,} runs wait"
        return RunLogError(
            f"{waiting if count else 'New runs will wait'} for the log ({why.reason}{since}). "
            f"{why.advice}",
            detail=why.detail,
        )

    @contextmanager
    def _turn_of_threads(self, wait_s: float) -> Iterator[None]:
        if not self._turn.acquire(timeout=wait_s):
            raise RunLogError(f"The run log {self._store.place} is busy. Try again in a moment.")
        try:
            yield
        finally:
            self._turn.release()

"""The writing half of the run log: what this process does, into its own journal.

Recording never raises: a run is returned to its user whatever happens to the log. What could not
be written (a full disk) is kept in memory, up to a bound, and goes first with the next write.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from llm_playground import config
from llm_playground.privacy import Privacy
from llm_playground.runlog import discretion, records
from llm_playground.runlog.journal import Journal
from llm_playground.runlog.later import Later
from llm_playground.runlog.partial import Partial
from llm_playground.types import Execution, Request, Run

_TEXT_EVERY_S = 0.05
_UNSAVED_BYTES = 16 << 20
# A journal that waits for its database is followed by a new one: each is brought in at one go.
_JOURNAL_BYTES = 8 << 20
_NOT_LOGGED = (
    "Runs are not being logged: {folder} cannot be written ({why}). Runs go on; "
    "set LLM_PLAYGROUND_LOG to a file in a folder you can write."
)

# A logger, not warnings.warn: a filter may turn a warning into an exception, and recording never
# raises. Without any set-up Python prints the line to stderr.
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Running:
    result: records.Row
    privacy: Privacy
    text: Partial
    begun: bool = False


class Recorder:
    """Writes journals in ``folder``; safe to use from any thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._current: Journal | None = None
        self._retired: list[Journal] = []
        self._known: set[str] = set()  # prompts and executions that the current journal holds
        self._runs: dict[str, _Running] = {}
        self._executions: dict[str, records.Row] = {}
        self._unlogged: set[str] = set()  # runs and executions of which nothing is to be stored
        self._unwritten: set[str] = set()  # runs with text that waits for the next write
        self._unsaved = b""
        self._carried = 0  # bytes of the current journal that an earlier one has too
        self.failing = ""  # what was said of it, until a write succeeds again
        self._order = itertools.count()
        self._flusher = Later(self._flush, _TEXT_EVERY_S, "llm_playground-text")

    def started(self, run: Run, request: Request, execution: Execution) -> None:
        """Record a run before it is sent."""
        with self._never_raising():
            privacy = config.privacy().of(execution.id)
            if privacy.store == "off":
                with self._lock:
                    self._unlogged |= {run.id, execution.id}
                return
            prompt_hash = request.prompt_hash()
            result = discretion.result(records.result_row(run, prompt_hash), privacy)
            prompt = records.prompt_row(run, request, prompt_hash)
            rows = {
                "prompt": discretion.prompt(prompt, privacy),
                "execution": discretion.execution(records.execution_row(execution), privacy),
            }
            with self._lock:
                self._runs[run.id] = _Running(result, privacy, Partial(privacy.redact))
                self._executions.setdefault(execution.id, rows["execution"])
                self._write(self._started_line(result, rows))

    def text(self, run_id: str, delta: str) -> None:
        """Record new text: the first of a run at once, later text every 50 ms at most."""
        try:  # not a context manager: this is done for every delta
            with self._lock:
                running = self._runs.get(run_id)
                if running is None or running.privacy.store != "texts":
                    return
                running.text.add(delta)
                self._unwritten.add(run_id)
                if not running.begun:
                    running.begun = True
                    self._write_text()
                    return
            self._flusher.soon()
        except Exception as error:
            self._warn(error)

    def finished(self, run: Run) -> None:
        """Record a run's end; on disk when this returns."""
        with self._never_raising():
            running = self._runs.get(run.id)
            privacy = running.privacy if running else config.privacy().of(run.execution_id)
            if run.id in self._unlogged or privacy.store == "off":
                self._unlogged.discard(run.id)
                return
            result = records.result_row(run, running.result["prompt_hash"] if running else None)
            line = records.line("finished", result=discretion.result(result, privacy))
            with self._lock:
                self._runs.pop(run.id, None)
                self._unwritten.discard(run.id)
                self._write(line)

    def execution_finished(self, execution_id: str, status: str, completed_at: datetime) -> None:
        """Record an execution's end."""
        with self._never_raising(), self._lock:
            if execution_id in self._unlogged and execution_id not in self._executions:
                self._unlogged.discard(execution_id)
                return
            row = self._executions.pop(execution_id, {"id": execution_id})
            ended = row | {"status": status, "completed_at": completed_at}
            self._write(records.line("execution_finished", execution=ended))

    def audit(self, row: records.Row) -> None:
        """Record an entry of the audit log; on disk when this returns."""
        with self._never_raising():
            line = records.line("audit", audit=row)
            with self._lock:
                self._write(line)

    def retire(self) -> list[Journal]:
        """Start a new journal; give those whose content is to be brought into the database.

        What still runs is carried over, so that each journal tells the whole state of its runs.
        """
        with self._lock:
            self._save_rest()
            self._start_anew()
            return list(self._retired)

    def _start_anew(self) -> None:
        if self._current is not None:
            self._retired.append(self._current)
            self._current = None
            self._known.clear()
            carried = b"".join(self._still_open())
            self._carried = len(carried)
            self._write(carried)

    def remove(self, journals: list[Journal]) -> None:
        """Delete retired journals: everything in them is in the database."""
        for journal in journals:  # without the lock: recording need not wait for the disk
            journal.remove()
        with self._lock:
            self._retired = [journal for journal in self._retired if journal not in journals]

    def paths(self) -> list[Path]:
        """The files of this process, with what could not be written before if it can be now."""
        with self._never_raising(), self._lock:
            self._save_rest()
        with self._lock:
            current = [] if self._current is None else [self._current]
            return [journal.path for journal in (*self._retired, *current)]

    def after_fork(self) -> None:
        """In a child: leave the parent's journals to the parent, and begin with none."""
        for journal in (*self._retired, *([self._current] if self._current else [])):
            journal.close()
        self._reset()

    def _started_line(self, result: records.Row, rows: dict[str, records.Row]) -> bytes:
        fresh = {name: row for name, row in rows.items() if row["id"] not in self._known}
        line = records.line("started", **fresh, result=result)
        self._known.update(row["id"] for row in fresh.values())
        return line

    def _still_open(self) -> Iterator[bytes]:
        for row in self._executions.values():
            yield records.line("started", execution=row)
        for running in self._runs.values():
            yield records.line("started", result=running.result)
        texts = {run_id: running.text.so_far() for run_id, running in self._runs.items()}
        if any(texts.values()):
            yield records.text_line(next(self._order), texts)

    def _flush(self) -> None:
        with self._never_raising(), self._lock:
            self._write_text()

    def _write_text(self) -> None:
        taken = {run_id: self._runs[run_id].text.take() for run_id in self._unwritten}
        self._unwritten.clear()
        pieces = {run_id: text for run_id, text in taken.items() if text}
        if pieces:
            self._write(records.text_line(next(self._order), pieces))

    def _write(self, lines: bytes) -> None:
        """Append to the current journal; what cannot be written waits for the next time."""
        if not lines:
            return
        self._unsaved += lines
        self._save_rest()

    def _save_rest(self) -> None:
        if not self._unsaved:
            return
        try:
            self._journal().append(self._unsaved)
        except OSError as error:
            self._unsaved = self._unsaved[-_UNSAVED_BYTES:]
            self._warn(error)
        else:
            self._unsaved = b""
            self.failing = ""
            self._retire_when_full()

    def _retire_when_full(self) -> None:
        new = 0 if self._current is None else self._current.size - self._carried
        if new > max(_JOURNAL_BYTES, self._carried):
            self._start_anew()

    def _journal(self) -> Journal:
        if self._current is not None and self._current.deleted():
            self._current.close()
            self._current = None
        if self._current is None:
            self._current = Journal.create(self.folder)
        return self._current

    def _warn(self, error: BaseException) -> None:
        if not self.failing:
            why = getattr(error, "strerror", None) or str(error) or type(error).__name__
            self.failing = _NOT_LOGGED.format(folder=self.folder, why=why)
            _log.warning("%s", self.failing)

    @contextmanager
    def _never_raising(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._warn(error)

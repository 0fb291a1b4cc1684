"""Recording of the runs of this process in its journal.

Recording never raises: a run is returned to its user even if the log cannot be written. Bytes that
cannot be written, such as to a full disk, are kept in memory up to a limit and written first next
time.

Before a row is written, the settings of ``lp.configure(privacy=...)`` are applied: texts are left
out, or personal data in them is masked. A prompt stored without its text has another id than the
same prompt with its text, which another user may store; both rows have the prompt's hash.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from llm_playground import config
from llm_playground._runtime import Debouncer
from llm_playground.config.options import Privacy
from llm_playground.parts import Part
from llm_playground.redaction import StreamRedactor, printable
from llm_playground.redaction.pii import Kind, masked_json
from llm_playground.runlog import definitions
from llm_playground.runlog.attachments import Attached, AttachmentFiles
from llm_playground.runlog.journal import Journal
from llm_playground.runlog.rows import (
    Row,
    execution_row,
    journal_line,
    prompt_row,
    result_row,
    text_line,
)
from llm_playground.types import Execution, Request, Run

if TYPE_CHECKING:
    from llm_playground.telemetry import live

# Columns and parameters with texts of users, models or providers.
PROMPT_TEXTS = ("system_prompt", "user_prompt", "messages")
RESULT_TEXTS = (
    "response_text",
    "reasoning_text",
    "tool_calls",
    "parts",
    "sources",
    "stop_sequence",
    "error_message",
    "error_detail",
)
TEXT_PARAMETERS = ("stop", "extra", "headers")
_NEXT_DIGIT = str.maketrans("0123456789abcdef", "123456789abcdef0")


def id_without_text(prompt_id: str) -> str:
    """The id of a prompt's row without text, from that of its row with text.

    >>> id_without_text("0190c7e2-0000-7000-8000-00000000000f")
    '0190c7e2-0000-7000-8000-000000000000'
    """
    return prompt_id[:-1] + prompt_id[-1:].translate(_NEXT_DIGIT)


def private_prompt(row: Row, privacy: Privacy) -> Row:
    """The row of ``prompts`` as the privacy settings allow to store it."""
    if privacy.store == "texts":
        return _masked(row, (*PROMPT_TEXTS, "parameters"), privacy.redact)
    parameters = row["parameters"].items()
    return row | {
        **dict.fromkeys((*PROMPT_TEXTS, "attachments", "tools", "schema_hash")),
        "id": id_without_text(row["id"]),
        "parameters": {name: value for name, value in parameters if name not in TEXT_PARAMETERS},
    }


def private_execution(row: Row, privacy: Privacy) -> Row:
    """The row of ``executions`` as the privacy settings allow to store it.

    Without texts it has neither inputs nor calls of tools nor hashes of variables: short values can
    be guessed from a hash.
    """
    if privacy.store == "texts":
        return _masked(row, ("inputs",), privacy.redact)
    without = dict.fromkeys(("variables", "inputs", "tool_use"))
    return row | without | {"prompt_id": id_without_text(row["prompt_id"])}


def private_result(row: Row, privacy: Privacy) -> Row:
    """The row of ``results`` as the privacy settings allow to store it."""
    if privacy.store == "texts":
        return _masked(row, (*RESULT_TEXTS, "attempts"), privacy.redact)
    attempts = [dict(attempt) for attempt in row["attempts"]]
    for attempt in attempts:
        attempt.pop("reason", None)
    return row | dict.fromkeys(RESULT_TEXTS) | {"attempts": attempts}


def _masked(row: Row, columns: Sequence[str], kinds: Sequence[Kind]) -> Row:
    if not kinds:
        return row
    return row | {name: masked_json(row[name], kinds) for name in columns}


_TEXT_EVERY_S = 0.05
_UNSAVED_BYTES = 16 << 20
# A journal above this size is followed by a new one, since one statement ingests a whole journal.
_JOURNAL_BYTES = 8 << 20
_NOT_LOGGED = (
    "Runs are not being logged: {folder} cannot be written ({why}). Runs go on; "
    "set LLM_PLAYGROUND_LOG to a file in a folder you can write."
)

# A logger instead of warnings.warn: a filter may turn a warning into an exception, and recording
# never raises. Without configuration Python prints the line to stderr.
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Running:
    result: Row
    privacy: Privacy
    text: StreamRedactor
    traced: live.Begun | None = None  # what its span needs, None without telemetry
    written: list[str] = field(default_factory=list)
    begun: bool = False


def _traced(
    rows: dict[str, Row], definitions: Sequence[Row], request: Request
) -> live.Begun | None:
    """What the span of a run needs, if spans are exported as runs end."""
    if config.telemetry() == "off":
        return None
    from llm_playground.telemetry import live  # entered by those who use it only

    return live.begun(rows, definitions, request)


def _attached(parts: Iterable[Part]) -> list[Attached]:
    """The images, recordings and files that have their bytes."""
    return [part for part in parts if isinstance(part, Attached) and part.data is not None]


class Recorder:
    """Writes journals in ``folder``; safe to use from any thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.attachments = AttachmentFiles(folder)
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._current: Journal | None = None
        self._retired: list[Journal] = []
        self._journaled: set[str] = set()  # ids of rows that never change, in the current journal
        self._runs: dict[str, _Running] = {}
        self._executions: dict[str, Row] = {}
        self._unlogged: set[str] = set()  # ids of runs and executions that privacy settings exclude
        self._unwritten: set[str] = set()  # ids of runs with text for the next write
        self._unsaved = b""
        self._copied_bytes = 0  # bytes at its start that were copied from the previous journal
        self.failing = ""  # the warning that was logged, until a write succeeds
        self._order = itertools.count()
        self._flusher = Debouncer(self._flush, _TEXT_EVERY_S, "llm_playground-text")

    def started(self, run: Run, request: Request, execution: Execution) -> None:
        """Record a run before it is sent."""
        with self._never_raising():
            privacy = config.privacy().of(execution.id)
            if privacy.store == "off":
                with self._lock:
                    self._unlogged |= {run.id, execution.id}
                return
            prompt_hash = request.prompt_hash()
            result = private_result(result_row(run, prompt_hash), privacy)
            prompt = prompt_row(run, request, prompt_hash)
            defined: list[Row] = []
            if privacy.store == "texts" and (request.tools or request.schema is not None):
                defined = definitions.rows_of(request, privacy.redact, run.started_at)
                prompt |= definitions.references(defined)
            rows = {
                "prompt": private_prompt(prompt, privacy),
                "execution": private_execution(execution_row(execution, request), privacy),
            }
            traced = _traced(rows, defined, request)
            with self._lock:
                self._runs[run.id] = _Running(
                    result, privacy, StreamRedactor(privacy.redact), traced
                )
                self._executions.setdefault(execution.id, rows["execution"])
                is_new = prompt["id"] not in self._journaled
                self._write(self._definition_lines(defined) + self._started_line(result, rows))
            if is_new:
                self._keep_bytes(request.parts, privacy)

    def resumed(self, run: Run) -> None:
        """Record that the answer of an interrupted run is read.

        Its row stays as it is until the end. No purge removes it meanwhile.
        """
        with self._never_raising():
            privacy = config.privacy().of(run.execution_id)
            if privacy.store == "off":
                return
            result = private_result(result_row(run, None), privacy)
            with self._lock:
                self._runs[run.id] = _Running(result, privacy, StreamRedactor(privacy.redact))
                self._write(journal_line("started", result=result))

    def running(self) -> list[str]:
        """The ids of the runs that have not ended."""
        with self._lock:
            return list(self._runs)

    def updated(self, run: Run) -> None:
        """Record what is known of a running run, in case this process dies.

        It is in the journal when this returns.
        """
        with self._never_raising(), self._lock:
            running = self._runs.get(run.id)
            if running is not None:
                row = result_row(run, running.result["prompt_hash"])
                running.result = private_result(row, running.privacy)
                self._write(journal_line("started", result=running.result))

    def text(self, run_id: str, delta: str) -> None:
        """Record new text: the first of a run at once, later text every 50 ms at most."""
        try:  # no context manager, which would cost time for each delta
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
        """Record a run's end; it is in the journal when this returns."""
        with self._never_raising():
            running = self._runs.get(run.id)
            privacy = running.privacy if running else config.privacy().of(run.execution_id)
            if run.id in self._unlogged or privacy.store == "off":
                self._unlogged.discard(run.id)
                return
            row = result_row(run, running.result["prompt_hash"] if running else None)
            result = private_result(row, privacy)
            line = journal_line("finished", result=result)
            with self._lock:
                self._runs.pop(run.id, None)
                self._unwritten.discard(run.id)
                self._write(line)
            if config.telemetry() != "off":
                from llm_playground.telemetry import live

                live.ended(running.traced if running else None, result)
            if not run.cached:  # a re-used answer has them already
                self._keep_bytes(run.parts, privacy)

    def _keep_bytes(self, parts: Iterable[Part], privacy: Privacy) -> None:
        attached = _attached(parts)
        if attached and privacy.stores_attachments:
            hashed = ((str(part.sha256), part) for part in attached)
            self.attachments.keep(hashed, privacy.image_mb)

    def execution_finished(self, execution_id: str, status: str, completed_at: datetime) -> None:
        """Record an execution's end."""
        with self._never_raising(), self._lock:
            if execution_id in self._unlogged and execution_id not in self._executions:
                self._unlogged.discard(execution_id)
                return
            row = self._executions.pop(execution_id, {"id": execution_id})
            ended = row | {"status": status, "completed_at": completed_at}
            self._write(journal_line("execution_finished", execution=ended))

    def audit(self, row: Row) -> None:
        """Record an entry of the audit log; it is in the journal when this returns."""
        with self._never_raising():
            line = journal_line("audit", audit=row)
            with self._lock:
                self._write(line)

    def retire(self) -> list[Journal]:
        """Start a new journal and return the previous ones, for ingestion.

        Unfinished runs are copied to the new journal, so that each journal has the complete state
        of its runs.
        """
        with self._lock:
            self._write_unsaved()
            self._rotate()
            return list(self._retired)

    def _rotate(self) -> None:
        if self._current is not None:
            self._retired.append(self._current)
            self._current = None
            self._journaled.clear()
            copied = b"".join(self._running_lines())
            self._copied_bytes = len(copied)
            self._write(copied)

    def remove(self, journals: list[Journal]) -> None:
        """Delete retired journals, whose content is in the database."""
        for journal in journals:  # outside the lock, so that recording does not wait for the disk
            journal.remove()
        with self._lock:
            self._retired = [journal for journal in self._retired if journal not in journals]

    def paths(self) -> list[Path]:
        """The journals of this process, after another attempt to write unsaved lines."""
        with self._never_raising(), self._lock:
            self._write_unsaved()
        with self._lock:
            return [journal.path for journal in self._journals()]

    def _journals(self) -> list[Journal]:
        return self._retired if self._current is None else [*self._retired, self._current]

    def after_fork(self) -> None:
        """Close the parent's journals in a forked child, which starts without any."""
        for journal in self._journals():
            journal.close()
        self._reset()

    def _definition_lines(self, rows: Sequence[Row]) -> bytes:
        new_rows = {row["id"]: row for row in rows if row["id"] not in self._journaled}
        self._journaled.update(new_rows)
        return b"".join(journal_line("definition", definition=row) for row in new_rows.values())

    def _started_line(self, result: Row, rows: dict[str, Row]) -> bytes:
        new_rows = {name: row for name, row in rows.items() if row["id"] not in self._journaled}
        line = journal_line("started", **new_rows, result=result)
        self._journaled.update(row["id"] for row in new_rows.values())
        return line

    def _running_lines(self) -> Iterator[bytes]:
        for row in self._executions.values():
            yield journal_line("started", execution=row)
        for running in self._runs.values():
            yield journal_line("started", result=running.result)
        texts = {run_id: "".join(running.written) for run_id, running in self._runs.items()}
        if any(texts.values()):
            yield text_line(next(self._order), texts)

    def _flush(self) -> None:
        with self._never_raising(), self._lock:
            self._write_text()

    def _write_text(self) -> None:
        texts = {run_id: self._runs[run_id].text.take() for run_id in self._unwritten}
        self._unwritten.clear()
        pieces = {run_id: text for run_id, text in texts.items() if text}
        for run_id, text in pieces.items():
            self._runs[run_id].written.append(text)
        if pieces:
            self._write(text_line(next(self._order), pieces))

    def _write(self, lines: bytes) -> None:
        """Append to the current journal, with lines that could not be written before."""
        if lines:
            self._unsaved += lines
            self._write_unsaved()

    def _write_unsaved(self) -> None:
        if not self._unsaved:
            return
        try:
            journal = self._journal()
            journal.append(self._unsaved)
        except OSError as error:
            self._unsaved = self._unsaved[-_UNSAVED_BYTES:]
            self._warn(error)
        else:
            self._unsaved = b""
            self.failing = ""
            if journal.size - self._copied_bytes > max(_JOURNAL_BYTES, self._copied_bytes):
                self._rotate()

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
            _log.warning("%s", printable(self.failing))

    @contextmanager
    def _never_raising(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._warn(error)

"""The answers of an earlier kernel or cell execution: shown again, kept in the notebook, imported.

Executing a cell again shows the last Run's answers and sends nothing. They come from the same
kernel, which may still be streaming them, else from the log, else from the outputs saved in the
notebook file. So a colleague without the log also sees them and may import them. The file may have
been written by anyone, so all of its content is checked.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_playground import config, provenance
from llm_playground._files import read_regular
from llm_playground.errors import InvalidParameterError, LLMError
from llm_playground.exporting.formats import extract_rows
from llm_playground.exporting.row_checks import check_rows
from llm_playground.exporting.rows import Row
from llm_playground.parts import AudioPart, ImagePart
from llm_playground.redaction import redact
from llm_playground.redaction.pii import Kind, masked
from llm_playground.types import Run
from llm_playground.widget import drafts
from llm_playground.widget.answer_labels import AnswerLabel
from llm_playground.widget.drafts import Draft, DraftAnswer
from llm_playground.widget.fallback_output import METADATA
from llm_playground.widget.form import PlannedCall
from llm_playground.widget.stored_runs import StoredRun, session_of, stored_run_of, stored_runs

if TYPE_CHECKING:
    from llm_playground.widget import Playground
    from llm_playground.widget.draft_store import DraftStore
    from llm_playground.widget.fallback_output import FallbackOutput

POLL_INTERVAL_S = 2.0
POLL_TIMEOUT_S = 600.0
MOST_BYTES = 200_000_000
MOST_KEPT_TEXTS = 1_000  # of cases; a draft has a limit too


@dataclass(frozen=True, slots=True)
class NotebookAnswers:
    """What a notebook file keeps of one playground."""

    rows: tuple[Row, ...]  # its runs, checked, as ``lp.import_runs`` takes them
    draft: Draft  # its form, and which of the runs were its last answers

    def stored_runs(self) -> list[StoredRun]:
        """The last answers that can be read, in their order."""
        rows = {row["run_id"]: row for row in self.rows}
        found = [rows[one.run_id] for one in self.draft.answers if one.run_id in rows]
        return [run for row in found for run in _readable(row)]


def _readable(row: Row) -> Iterator[StoredRun]:
    with suppress(InvalidParameterError):
        yield stored_run_of(row)


def find_in_notebook(
    notebook: Path, name: str | None, cell_id: str | None
) -> NotebookAnswers | None:
    """What a notebook file keeps of a playground; None if there is nothing that can be read.

    A playground without a name is identified by its cell.
    """
    try:
        cells = json.loads(read_regular(notebook, MOST_BYTES))["cells"]
        outputs = list(_outputs(cells, name, cell_id))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    for output in reversed(outputs):
        with suppress(LLMError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
            own_draft = drafts.from_json(output["metadata"][METADATA]["draft"])
            draft = replace(own_draft, form=drafts.without_files(own_draft.form))
            return NotebookAnswers(tuple(check_rows(extract_rows(output))), draft)
    return None


def _outputs(
    cells: Sequence[Mapping[str, Any]], name: str | None, cell_id: str | None
) -> Iterator[Mapping[str, Any]]:
    """The outputs with the answers of a playground, in any cell if it has a name."""
    for cell in cells:
        for output in cell.get("outputs", ()):
            owner = output.get("metadata", {}).get(METADATA)
            is_own = isinstance(owner, Mapping) and owner.get("name") == name
            if is_own and (name is not None or cell.get("id") == cell_id):
                yield output


@dataclass(frozen=True, slots=True)
class RestoredAnswers:
    """Answers of an earlier Run."""

    runs: Sequence[StoredRun]  # in the order of the answers
    answers: tuple[DraftAnswer, ...]  # of the Run, also those whose runs are not found
    asked_at: datetime
    notebook: NotebookAnswers | None = None  # what it keeps, if the log does not hold all

    def as_state(self) -> dict[str, Any]:
        """The trait ``saved``."""
        return {
            "count": len(self.runs),
            "wanted": len(self.answers),
            "at": self.asked_at.isoformat(),
            "where": "log" if self.notebook is None else "notebook",
        }

    def is_running(self) -> bool:
        """Whether another kernel is still running one of them."""
        return any(one.run.status == "running" for one in self.runs)


class AnswerRestorer:
    """Restores the answers of a playground, and keeps those of its Runs for the next time.

    The trait ``saved`` of the playground describes restored answers: their number (``count``) of
    those that there were (``wanted``), the start of the Run (``at``, an ISO time) and ``where``
    they come from: ``kernel``, ``log`` or ``notebook``. It is empty once something is sent.
    """

    def __init__(self, panel: Playground, draft_store: DraftStore, output: FallbackOutput) -> None:
        self._panel = panel
        self._draft_store = draft_store
        self._fallback_output = output
        self._notebook, self._cell_id = provenance.notebook(), panel.cell_id
        self._done = threading.Event()
        self._updating_notebook = threading.Lock()
        self._restored: RestoredAnswers | None = None
        self._shown = 0  # the Run number of the restored answers
        self._notebook_rows: Mapping[str, Row] = {}  # of runs that the log may not have, by id

    def start(self) -> None:
        """Show the earlier answers, if there are any; reading them happens in the background."""
        if self._panel.answers.run_number == self._shown:  # else runs were opened by their ids
            older = self._draft_store.previous_playground()
            if older is not None and older.answers.run_number > 0:
                self._panel.take_over(older)
                self._take_over(older.saved_answers)
                self.keep_in_notebook()
            elif self._draft_store.current.answers or self._notebook is not None:
                threading.Thread(target=self._restore, daemon=True).start()
                return
        else:
            self.keep_in_notebook()
        self._done.set()

    def wait(self) -> None:
        """Wait until the earlier answers are shown, or it is known that there are none."""
        self._done.wait()

    def on_run(self, calls: Sequence[PlannedCall]) -> None:
        """Something is sent: these are the answers to restore from now on."""
        answers = [DraftAnswer(one.call.run_id, label) for one, label in _kept_labels(calls)]
        self._draft_store.record_answers(answers, datetime.now(UTC))
        self._restored = None
        self._panel.saved = {}

    def keep_in_notebook(self) -> None:
        """Update the answers in the cell's second output; returns at once."""
        name = "llm_playground-notebook"
        threading.Thread(target=self.keep_in_notebook_now, name=name, daemon=True).start()

    def keep_in_notebook_now(self) -> None:
        """As :meth:`keep_in_notebook`, and wait until it is done."""
        with self._updating_notebook:  # one after the other, each with the newest answers
            if (
                not self._panel.panel_runs.newest.answers.runs()
                or config.privacy().store != "texts"
            ):
                return
            try:
                # The count first: a notebook that is saved with the output then has it too.
                self._panel.saved_count = self._fallback_output.replace(*self.output())
                self._fallback_output.publish()
            except LLMError as error:
                self._panel.problem = f"The answers are not kept in the notebook. {error}"

    def import_runs(self) -> int:
        """Import the notebook's runs into the log and show them from there; how many are new.

        Raises:
            LLMError: They cannot be imported.
        """
        from llm_playground.exporting.formats import FORMAT, VERSION
        from llm_playground.exporting.importing import import_runs  # first use, not import

        restored = self._restored
        if restored is None or restored.notebook is None:
            raise InvalidParameterError("There is nothing to import. Reload the page.")
        runs = list(restored.notebook.rows)
        new = import_runs({"format": FORMAT, "version": VERSION, "runs": runs})
        self._show(replace(restored, notebook=None))
        return new

    def output(self) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """The second output: the answers as a MIME bundle, and the output's metadata.

        Raises:
            InvalidParameterError: A run has a value that its column cannot hold.
        """
        from llm_playground.exporting.notebook_output import mime_bundle  # first use, not import

        panel = self._panel
        kinds = config.privacy().redact
        runs = panel.panel_runs.newest.answers.runs()
        form, rows = asdict(panel.written()), self._rows(runs)
        name = None if panel.name is None else redact(panel.name)
        media = {
            part.sha256: part.data
            for run in runs
            for part in run.parts
            if isinstance(part, (ImagePart, AudioPart)) and part.data and part.sha256
        }
        bundle = mime_bundle(name, _redacted(form, kinds), _redacted(rows, kinds), media=media)
        return bundle, {METADATA: {"name": name, "draft": self._draft_store.as_json()}}

    def _take_over(self, older: AnswerRestorer) -> None:
        """Continue with what an older playground of this kernel has restored."""
        self._restored, self._shown = older._restored, older._shown
        self._notebook_rows = older._notebook_rows
        runs = self._panel.panel_runs
        answers, shown = runs.display.session.answers, runs.shown
        if shown is not None and shown.saved:
            self._panel.saved = dict(shown.saved)
        elif shown is not None and answers.ended():
            count, at = len(answers.initial_states()), shown.record.asked_at.isoformat()
            self._panel.saved = {"count": count, "wanted": count, "where": "kernel", "at": at}

    def _restore(self) -> None:
        try:
            restored = self._find()
            if restored is not None:
                self._show(restored)
        except LLMError as error:
            self._panel.problem = f"The earlier answers cannot be shown. {error}"
        finally:
            self._done.set()
        self._poll()

    def _poll(self) -> None:
        """Update the answers while another kernel is running them, such as one that is ending."""
        until = time.monotonic() + POLL_TIMEOUT_S
        while self._restored and self._restored.is_running() and time.monotonic() < until:
            time.sleep(POLL_INTERVAL_S)
            try:
                restored = self._find()
            except LLMError:
                return
            if restored is not None and self._restored is not None:
                self._show(restored)

    def _find(self) -> RestoredAnswers | None:
        """The last answers as the log has them, else as the notebook keeps them."""
        draft = self._draft_store.current
        stored = stored_runs([answer.run_id for answer in draft.answers])
        # Privacy or a purge may have left only numbers of some runs.
        whole = [one for one in stored if one.messages is not None]
        if whole or self._notebook is None:
            return _restored(draft, whole)
        found = find_in_notebook(Path(self._notebook), self._panel.name, self._cell_id)
        if found is None or not found.draft.answers:  # those of a call with run= stay with it
            return None
        self._draft_store.adopt(found.draft)
        runs = found.stored_runs()
        in_log = {one.run.id for one in stored_runs([one.run.id for one in runs])}
        all_in_log = all(one.run.id in in_log for one in runs)
        return _restored(found.draft, runs, None if all_in_log else found)

    def _show(self, restored: RestoredAnswers) -> None:
        if self._panel.answers.run_number != self._shown:  # something was sent or opened meanwhile
            return
        notebook = restored.notebook
        labels = {answer.run_id: answer.label for answer in restored.answers}
        shown = self._panel.panel_runs.show_stored(
            lambda number, notify: session_of(
                number, restored.runs, notify, labels, cell_id=self._cell_id
            ),
            restored.answers,
            restored.asked_at,
            saved=restored.as_state(),
        )
        if not shown:
            return
        self._restored, self._shown = restored, shown
        if notebook is not None:  # the notebook must go on keeping them
            self._notebook_rows = {row["run_id"]: row for row in notebook.rows}
        if self._draft_store.current.answers != restored.answers:  # known from the notebook only
            self._draft_store.record_answers(restored.answers, restored.asked_at)
        self.keep_in_notebook_now()

    def _rows(self, runs: Sequence[Run]) -> Sequence[Row]:
        """Rows of the log; of runs that it does not have those of the notebook."""
        from llm_playground.exporting.rows import plain_row, plain_rows  # first use, not import

        own = [run for run in runs if run.id not in self._notebook_rows]
        try:
            rows = plain_rows(own) if own else []
        except LLMError:  # the log cannot be read; the runs themselves hold enough
            rows = [plain_row(run) for run in own]
        by_id = {**self._notebook_rows, **{row["run_id"]: row for row in rows}}
        return [by_id[run.id] for run in runs]


def _restored(
    draft: Draft, runs: Sequence[StoredRun], notebook: NotebookAnswers | None = None
) -> RestoredAnswers | None:
    if not runs:
        return None
    asked_at = draft.asked_at or runs[0].run.started_at
    return RestoredAnswers(runs, draft.answers, asked_at, notebook)


def _kept_labels(calls: Sequence[PlannedCall]) -> Iterator[tuple[PlannedCall, AnswerLabel]]:
    """The labels as a draft keeps them: texts of cases as privacy settings have them, if few."""
    privacy = config.privacy()
    with_texts = privacy.store == "texts" and len(calls) <= MOST_KEPT_TEXTS
    for one in calls:
        text = masked(redact(one.label.text), privacy.redact) if with_texts else ""
        yield one, replace(one.label, text=text)


def _redacted(value: Any, kinds: Sequence[Kind]) -> Any:  # noqa: ANN401 - a plain value
    """A plain value without keys, and without personal data of these kinds, in its texts."""
    if isinstance(value, str):
        return masked(redact(value), kinds)
    if isinstance(value, Mapping):
        return {name: _redacted(item, kinds) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_redacted(item, kinds) for item in value]
    return value

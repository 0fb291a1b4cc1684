"""The answers of a playground beyond its life: shown again, kept in the notebook, imported.

Executing a cell again shows the last Run's answers and sends nothing. They come from the same
kernel, which may still be streaming them, else from the log, else from the notebook's own outputs:
so a colleague without the log sees them too, and may import them instead of paying again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_playground import config, provenance
from llm_playground.errors import InvalidParameterError, LLMError
from llm_playground.personal import Kind, masked
from llm_playground.types import Run
from llm_playground.widgets.draft import Answer
from llm_playground.widgets.form import Ordered
from llm_playground.widgets.notice import METADATA

if TYPE_CHECKING:
    from llm_playground.exporting.columns import Row
    from llm_playground.widgets.kept import KeptDraft
    from llm_playground.widgets.notebook_file import Leaf
    from llm_playground.widgets.notice import Beside
    from llm_playground.widgets.playground import Playground
    from llm_playground.widgets.stored import StoredRun

LOOK_AGAIN_S = 2.0
LOOK_FOR_S = 600.0


@dataclass(frozen=True, slots=True)
class Found:
    """Answers of another time.

    Args:
        runs: In the order of the answers.
        labels: What was special about each, by the run's id.
        asked_at: When they were asked for.
        wanted: How many there were.
        leaf: The notebook's own, where the log does not hold them.
    """

    runs: Sequence[StoredRun]
    labels: Mapping[str, str]
    asked_at: datetime
    wanted: int
    leaf: Leaf | None = None

    def is_growing(self) -> bool:
        """Whether another kernel still works at one of them."""
        return any(one.run.status == "running" for one in self.runs)


class Saved:
    """Follows one playground's Runs, and finds those of before.

    What the panel says of answers that were found is its trait ``saved``: how many there are
    (``count``) of how many (``wanted``), from when (``at``, an ISO time), and ``where``:
    ``kernel``, ``log`` or ``notebook``. It is empty once something is sent.
    """

    def __init__(self, panel: Playground, kept: KeptDraft, beside: Beside) -> None:
        self._panel = panel
        self._kept = kept
        self._beside = beside
        self._notebook, self._cell_id = provenance.notebook(), provenance.cell_id()
        self._looked = threading.Event()
        self._keeping = threading.Lock()
        self._found: Found | None = None
        self._shown = 0  # the number that the answers of before have as a Run
        self._rows_there: Mapping[str, Row] = {}  # of the notebook, by the runs' ids

    def look(self) -> None:
        """Show the answers of before, when there are any. What takes long is done aside."""
        if self._panel.sheet.run != self._shown:  # runs were asked for by their ids
            self._looked.set()
            return
        older = self._kept.older()
        if older is not None and older.sheet.run > 0:
            self._panel.take_over(older)
            self._take_over(older.kept_answers)
            self.keep_in_notebook()
            self._looked.set()
        elif self._kept.last.answers or self._notebook is not None:
            threading.Thread(target=self._look_aside, daemon=True).start()
        else:
            self._looked.set()

    def wait(self) -> None:
        """Return once it is known whether there are answers of before."""
        self._looked.wait()

    def begin(self, ordered: Sequence[Ordered]) -> None:
        """Something is sent: these are the answers from now on."""
        answers = [Answer(one.call.run_id, one.label) for one in ordered]
        self._kept.note_answers(answers, datetime.now(UTC))
        self._found = None
        self._panel.saved = {}

    def keep_in_notebook(self) -> None:
        """Bring the second output to what the panel shows; returns at once."""
        name = "llm_playground-notebook"
        threading.Thread(target=self._keep_in_notebook, name=name, daemon=True).start()

    def import_them(self) -> int:
        """Bring the notebook's runs into the log and show them from there.

        Returns:
            How many are new in the log.

        Raises:
            LLMError: They cannot be imported.
        """
        from llm_playground.exporting import import_runs  # first use, not import
        from llm_playground.exporting.as_json import FORMAT, VERSION

        found = self._found
        if found is None or found.leaf is None:
            raise InvalidParameterError("There is nothing to import. Reload the page.")
        document = {"format": FORMAT, "version": VERSION, "runs": list(found.leaf.rows)}
        new = import_runs(document)
        self._show(replace(found, leaf=None))
        return new

    def _take_over(self, older: Saved) -> None:
        """The answers of this kernel's older playground, which may have found them, too."""
        self._found, self._shown = older._found, older._shown
        self._rows_there = older._rows_there
        sheet, found = self._panel.sheet, self._found
        if found is not None and found.leaf is not None:
            self._say(len(found.runs), found.wanted, "notebook", found.asked_at)
        elif sheet.ended():
            count = len(sheet.opening())
            self._say(count, count, "kernel")

    def _look_aside(self) -> None:
        try:
            found = self._find()
            if found is not None:
                self._show(found)
        except LLMError as error:
            self._panel.problem = f"The answers of before cannot be shown. {error}"
        finally:
            self._looked.set()
        self._look_again()

    def _look_again(self) -> None:
        """As long as another kernel works at the answers: it may be the one before, ending."""
        until = time.monotonic() + LOOK_FOR_S
        while self._found and self._found.is_growing() and time.monotonic() < until:
            time.sleep(LOOK_AGAIN_S)
            try:
                found = self._find()
            except LLMError:
                return
            if found is not None and self._found is not None:
                self._show(found)

    def _find(self) -> Found | None:
        return self._find_in_log() or self._find_in_notebook()

    def _find_in_log(self) -> Found | None:
        from llm_playground.widgets.stored import by_id  # reads the log: not on the way to display

        last = self._kept.last
        runs = [one for one in by_id([answer.run_id for answer in last.answers]) if _is_told(one)]
        if not runs:
            return None
        labels = {answer.run_id: answer.label for answer in last.answers}
        asked_at = last.asked_at or runs[0].run.started_at
        return Found(runs, labels, asked_at, len(last.answers))

    def _find_in_notebook(self) -> Found | None:
        from llm_playground.widgets.notebook_file import find  # as above
        from llm_playground.widgets.stored import by_id

        if self._notebook is None:
            return None
        leaf = find(Path(self._notebook), self._panel.name, self._cell_id)
        if leaf is None:
            return None
        self._kept.adopt(leaf.draft)
        answers = leaf.draft.answers
        runs = leaf.stored()
        if not runs:
            return None
        known = {one.run.id for one in by_id([one.run.id for one in runs])}
        asked_at = leaf.draft.asked_at or runs[0].run.started_at
        labels = {answer.run_id: answer.label for answer in answers}
        all_known = all(one.run.id in known for one in runs)
        return Found(runs, labels, asked_at, len(answers), None if all_known else leaf)

    def _show(self, found: Found) -> None:
        from llm_playground.widgets.opening import answered  # the run log: first use, not import

        if self._panel.sheet.run != self._shown:  # something was sent or opened meanwhile
            return
        shown = self._panel.show(
            lambda number, tell: answered(number, found.runs, tell, found.labels)
        )
        if not shown:
            return
        self._found, self._shown = found, shown
        if found.leaf is not None:  # the notebook goes on keeping them
            self._rows_there = {row["run_id"]: row for row in found.leaf.rows}
            self._kept.note_answers(found.leaf.draft.answers, found.asked_at)
        where = "log" if found.leaf is None else "notebook"
        self._say(len(found.runs), found.wanted, where, found.asked_at)
        self._keep_in_notebook()

    def _say(self, count: int, wanted: int, where: str, at: datetime | None = None) -> None:
        when = at or self._kept.last.asked_at
        told = None if when is None else when.isoformat()
        self._panel.saved = {"count": count, "wanted": wanted, "at": told, "where": where}

    def _keep_in_notebook(self) -> None:
        with self._keeping:  # one after the other, each with what holds by then
            if not self._panel.sheet.runs() or config.privacy().store != "texts":
                return
            try:
                self._panel.saved_count = self._beside.show(*self.output())
            except LLMError as error:
                self._panel.problem = f"The answers are not kept in the notebook. {error}"

    def output(self) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """What the notebook keeps: the answers as a MIME bundle, and the output's metadata.

        Raises:
            InvalidParameterError: A run has a value that its column cannot hold.
        """
        from llm_playground.exporting.static import static  # first use, not import

        panel = self._panel
        kinds = config.privacy().redact
        form, rows = asdict(panel.written()), self._rows(panel.sheet.runs())
        bundle = static(panel.name, _without(form, kinds), _without(rows, kinds))
        draft = self._kept.document()
        return bundle, {METADATA: {"name": panel.name, "draft": draft}}

    def _rows(self, runs: Sequence[Run]) -> Sequence[Row]:
        """Rows of the log; of runs that it does not have, the notebook's, which say whose."""
        from llm_playground.exporting.rows import of_run, rows_of  # first use, not import

        own = [run for run in runs if run.id not in self._rows_there]
        try:
            rows = rows_of(own) if own else []
        except LLMError:  # the log cannot be read; what the runs themselves hold is enough
            rows = [of_run(run) for run in own]
        found = {**self._rows_there, **{row["run_id"]: row for row in rows}}
        return [found[run.id] for run in runs]


def import_them(panel: Playground, _given: Mapping[str, Any]) -> int:
    """The reply to a view that asks for it; see :meth:`Saved.import_them`."""
    return panel.kept_answers.import_them()


def copy(panel: Playground, _given: Mapping[str, Any]) -> dict[str, Any]:
    """The reply to a view that has to put the second output into the notebook itself."""
    return {"widget": panel.model_id, **panel.beside.output()}


def _is_told(one: StoredRun) -> bool:
    """Whether there is something to show: privacy or a purge may have left only figures."""
    return one.messages is not None


def _without(value: Any, kinds: Sequence[Kind]) -> Any:  # noqa: ANN401 - a plain value
    """A plain value without personal data of these kinds in its texts."""
    if isinstance(value, str):
        return masked(value, kinds)
    if isinstance(value, Mapping):
        return {name: _without(item, kinds) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without(item, kinds) for item in value]
    return value

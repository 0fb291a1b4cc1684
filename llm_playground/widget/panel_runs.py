"""The Runs of one panel: the one that views show, the newest one, and the earlier ones.

Views show one Run at a time; another may go on meanwhile. Earlier Runs are kept in the kernel's
memory, and after a restart read from the log by what :mod:`.run_records` keeps of them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from llm_playground import _validation
from llm_playground.errors import InvalidParameterError
from llm_playground.formatting import count
from llm_playground.widget import baseline, form_changes, run_records
from llm_playground.widget.answer_labels import NO_LABEL
from llm_playground.widget.drafts import DraftAnswer, Identity
from llm_playground.widget.form import Form, PlannedCall
from llm_playground.widget.run_records import Pin, RunRecord, RunRecords
from llm_playground.widget.session import Notify, RunSession
from llm_playground.widget.traits import FORM

if TYPE_CHECKING:
    from llm_playground.widget import Playground

# Answers of earlier Runs that stay in memory; those of older Runs are read from the log.
MOST_ANSWERS = 2_000
_CASES = "cases"


@dataclass(slots=True, eq=False)
class PanelRun:
    """One Run of the panel.

    ``session`` is None while its answers are only in the log. ``form`` has the values of the
    form's traits, None if they are not known. ``saved`` is the trait of this name while the Run is
    shown.
    """

    record: RunRecord
    session: RunSession | None = None
    form: Mapping[str, Any] | None = None
    saved: Mapping[str, Any] = field(default_factory=dict)

    @property
    def number(self) -> int:
        """The number of the Run in its playground."""
        return self.record.number

    def as_record(self) -> RunRecord:
        """What is kept of it in a file."""
        if self.form is None:
            return self.record
        return replace(self.record, form=run_records.storable_form(self.form))


@dataclass(frozen=True, slots=True)
class Display:
    """The session that views show. ``number`` increases with every change of it."""

    session: RunSession
    number: int


@dataclass(frozen=True, slots=True)
class Shown:
    """The Run and the form of a panel at one moment, to be restored by Undo."""

    run: PanelRun | None
    form: Mapping[str, Any]


def answers_of(calls: Sequence[PlannedCall]) -> tuple[DraftAnswer, ...]:
    """The answers of calls, as files keep them."""
    return tuple(DraftAnswer(one.call.run_id, one.label) for one in calls)


class PanelRuns:
    """Shows the Runs of a panel, and keeps them for the next time.

    The trait ``run_shown`` of the panel has the ``number`` of the Run that is shown (0 for none),
    that of the ``newest``, whether there are ``older`` and ``newer`` ones, ``at`` (an ISO time) and
    ``about`` (what it was asked with), whether it was ``opened`` from elsewhere, and ``running``,
    the number of the Run that is still going on (0 for none). The trait ``changed`` names
    what differs between the form and the one that the shown Run was asked with, with short values
    (``temperature 0.2 → 0.9``), ``changed_in_full`` has the long ones too, and ``changed_values``
    names the values that differ in the notebook.

    Its methods are called with the panel's lock held, unless they read the log.
    """

    def __init__(self, panel: Playground, notify: Notify) -> None:
        self._panel = panel
        self._notify = notify
        self._identity: Identity | None = None
        self._is_loaded = False
        self._runs: list[PanelRun] = []
        self._walking = threading.Lock()
        self._saving = threading.Lock()
        self.publishing = threading.Lock()  # the baseline, in order
        self.shown: PanelRun | None = None
        self._changed_values: tuple[PanelRun | None, list[str]] = None, []
        self.display = Display(RunSession(0, (), notify), 0)
        # The session that sent last; without one, the restored one; else the opened one.
        self.newest = self.display.session

    def start(self, identity: Identity | None) -> None:
        """Keep the Runs from now on under the identity of the panel's draft."""
        self._identity = identity
        self._panel.observe(self._on_form, FORM)
        self._panel.observe(self._on_baseline, "baseline")

    def next_number(self) -> int:
        """The number of the answers that are shown next."""
        return self.display.number + 1

    def begin(self, session: RunSession, form: Mapping[str, Any]) -> None:
        """Show a Run that begins now."""
        self.load()
        self._add(answers_of(session.calls), datetime.now(UTC), session, form)
        self.newest = session
        self.update()
        self.save_soon()

    def on_retry(self, session: RunSession) -> None:
        """An answer of a Run is made again: its run is another one."""
        self.newest = session
        for run in self._runs:
            if run.session is session:
                run.record = replace(run.record, answers=answers_of(session.calls))
                run.saved = {}
        self.update()
        self.save_soon()

    def show_stored(
        self,
        make_session: Callable[[int, Notify], RunSession],
        answers: Sequence[DraftAnswer],
        asked_at: datetime,
        *,
        saved: Mapping[str, Any],
        form: Mapping[str, Any] | None = None,
        is_opened: bool = False,
    ) -> int:
        """Show answers of the log in place of those that are shown; nothing is sent.

        Returns:
            The number of these answers; 0, without a change, while answers are still running.
        """
        self.load()
        with self._panel.lock:
            if self._panel.running:
                return 0
            session = make_session(self.next_number(), self._notify)
            run = self.find([answer.run_id for answer in answers])
            if run is None:
                run = self._add(answers, asked_at, session, form, is_opened=is_opened)
                self.save_soon()
            run.session, run.saved = session, saved
            run.form = form if run.form is None else run.form
            if not (is_opened and self.newest.answers.runs()):
                self.newest = session
            self.show(run, session)
        return session.answers.run_number

    def show(self, run: PanelRun | None, session: RunSession) -> None:
        """Show a Run and its answers; None for an empty session, before the first Run."""
        self.shown = run
        self.display = Display(session, self.next_number())
        self._panel.saved = dict(run.saved) if run is not None else {}
        self.update()
        self._panel.refresh_price()  # compares the values
        self._panel.send_snapshot_soon()

    def go_to(self, number: int) -> None:
        """Show the Run of this number. May read the log, so it is called without the lock.

        Raises:
            InvalidParameterError: There is no such Run, or the log no longer has its answers.
            RunLogError: The log cannot be read.
        """
        with self._walking:
            self.load()
            run = self.at(number)
            session = self.session_of(run)
            with self._panel.lock:
                self.show(run, session)

    def walk(self, step: int) -> None:
        """Show the Run before (-1) or after (1) the shown one, if any; as :meth:`go_to`."""
        self.load()
        numbers = [run.number for run in self._runs]
        at = numbers.index(self.shown.number) if self.shown in self._runs else len(numbers)
        if 0 <= at + step < len(numbers):
            self.go_to(numbers[at + step])

    def at(self, number: int) -> PanelRun:
        """The Run of a number.

        Raises:
            InvalidParameterError: There is no such Run.
        """
        found = next((run for run in self._runs if run.number == number), None)
        if found is None:
            raise InvalidParameterError(f"This playground has no Run {number} any more.")
        return found

    def session_of(self, run: PanelRun) -> RunSession:
        """The answers of a Run, read from the log if they are not in memory.

        Raises:
            InvalidParameterError: The log has none of them.
            RunLogError: The log cannot be read.
        """
        from llm_playground.widget.stored_runs import session_of, stored_runs  # reads the log

        if run.session is not None:
            return run.session
        stored = stored_runs(run.record.run_ids)
        if not stored:
            raise InvalidParameterError(f"The answers of Run {run.number} are not in the log.")
        answers = [answer for answer in run.record.answers if answer.label != NO_LABEL]
        labels = {answer.run_id: answer.label for answer in answers}
        number, cell_id = self.next_number(), self._panel.cell_id
        run.session = session_of(number, stored, self._notify, labels, cell_id=cell_id)
        wanted = len(run.record.answers)
        if len(stored) < wanted:
            at = run.record.asked_at.isoformat()
            run.saved = {"count": len(stored), "wanted": wanted, "at": at, "where": "log"}
        return run.session

    def find(self, run_ids: Sequence[str]) -> PanelRun | None:
        """The Run that has most of these answers; None if none has any."""
        wanted = set(run_ids)
        shared = [(len(wanted.intersection(run.record.run_ids)), run) for run in self._runs]
        most, found = max(shared, key=lambda one: (one[0], one[1].number), default=(0, None))
        return found if most else None

    def run_ids(self) -> list[str]:
        """The ids of the answers of all Runs."""
        self.load()
        return [run_id for run in self._runs for run_id in run.record.run_ids]

    def moment(self) -> Shown:
        """What is shown now."""
        return Shown(self.shown, {name: getattr(self._panel, name) for name in FORM})

    def back_to(self, moment: Shown, *, without: PanelRun | None = None) -> None:
        """Show what was shown before. ``without`` is a Run to remove, one that was opened."""
        if without is not None and without in self._runs:
            self._runs.remove(without)
            self.save_soon()
        if moment.run is None:
            with self._panel.lock:
                self.show(None, RunSession(0, (), self._notify))
        elif moment.run is not self.shown:
            self.go_to(moment.run.number)
        self._panel.set_form(moment.form)

    def take_over(self, older: PanelRuns) -> None:
        """Continue with the Runs of an older playground of this kernel."""
        self._runs, self._is_loaded = list(older._runs), older._is_loaded
        self.shown, self.newest = older.shown, older.newest
        self.display = Display(older.display.session, self.next_number())
        self._panel.baseline = older._panel.baseline
        self.update()

    def update(self) -> None:
        """Set the traits that describe what is shown."""
        run, numbers = self.shown, [one.number for one in self._runs]
        running = [
            one.number
            for one in self._runs
            if one.session is not None and not one.session.answers.ended()
        ]
        number = 0 if run is None else run.number
        self._panel.run_shown = {
            "number": number,
            "newest": numbers[-1] if numbers else 0,
            "older": any(one < number or not number for one in numbers),
            "newer": any(one > number > 0 for one in numbers),
            "at": None if run is None else run.record.asked_at.isoformat(),
            "about": "" if run is None else _about(run),
            "opened": run is not None and run.record.is_opened,
            "running": running[-1] if running else 0,
        }
        self._on_form()

    def load(self) -> None:
        """Read what is kept of earlier Runs, once the panel has an identity."""
        if self._is_loaded or self._identity is None:
            return
        self._is_loaded = True
        records = run_records.read(self._identity)
        made, self._runs = (
            self._runs,
            [PanelRun(record, form=record.form or None) for record in records.runs],
        )
        for run in made:  # opened by the constructor
            kept = self.find(run.record.run_ids)
            if kept is None:
                run.record = replace(run.record, number=self._next_run_number())
                self._runs.append(run)
            else:
                kept.session, kept.form, kept.saved = run.session, run.form, run.saved
                self.shown = kept if self.shown is run else self.shown
        if records.baseline is not None and self._panel.baseline is None:
            pin = records.baseline
            self._panel.baseline = {"run": pin.run, "answer": pin.answer}
        self.update()

    def save_soon(self) -> None:
        """Write the file on a thread of its own."""
        self._in_thread(self._save)

    def _in_thread(self, function: Callable[..., None], *arguments: object) -> None:
        with suppress(RuntimeError):  # Python is ending
            name = "llm_playground-runs"
            threading.Thread(target=function, args=arguments, name=name, daemon=True).start()

    def _save(self) -> None:
        if self._identity is None or not self._is_loaded:
            return
        with self._saving:
            pin = self.pin()
            runs = tuple(run.as_record() for run in list(self._runs))
            run_records.write(self._identity, RunRecords(runs, pin))

    def pin(self) -> Pin | None:
        """The baseline, None if nothing is pinned."""
        value = self._panel.baseline
        return None if value is None else Pin(value["run"], value["answer"])

    def baseline_from(self, value: object) -> dict[str, int] | None:
        """The value of the trait ``baseline`` for the number of an answer that is shown.

        Raises:
            InvalidParameterError: There is no such answer.
        """
        if value is None:
            return None
        pinned = dict.fromkeys(("run", "answer"), 0)
        if isinstance(value, Mapping):
            pinned |= {name: value.get(name) for name in pinned}  # type: ignore[misc] # checked below
        elif self.shown is not None:
            pinned |= {"run": self.shown.number, "answer": value}  # type: ignore[dict-item] # as above
        run = next((one for one in self._runs if one.number == pinned["run"]), None)
        numbers = range(1, 1 + (0 if run is None else len(run.record.answers)))
        if type(pinned["answer"]) is not int or pinned["answer"] not in numbers:
            raise InvalidParameterError(
                "baseline takes the number of an answer that is shown, or None; "
                f"got {_validation.short_repr(value)}."
            )
        return pinned

    def _add(
        self,
        answers: Sequence[DraftAnswer],
        asked_at: datetime,
        session: RunSession,
        form: Mapping[str, Any] | None,
        *,
        is_opened: bool = False,
    ) -> PanelRun:
        number = self._next_run_number()
        record = RunRecord(number, asked_at, tuple(answers), is_opened=is_opened)
        self.shown = PanelRun(record, session, form)
        self.display = Display(session, self.next_number())
        self._runs.append(self.shown)
        self._trim()
        return self.shown

    def _next_run_number(self) -> int:
        return self._runs[-1].number + 1 if self._runs else 1

    def _trim(self) -> None:
        """Drop the oldest Runs, and answers that the log has too; those of the baseline stay."""
        pin = self.pin()
        pinned = None if pin is None else pin.run
        old = self._runs[: -run_records.MOST_RUNS]
        self._runs = [run for run in self._runs if run not in old or run.number == pinned]
        answers = 0
        for run in reversed(self._runs):
            answers += len(run.record.answers)
            if answers > MOST_ANSWERS and run is not self.shown and run.number != pinned:
                run.session = None

    def _on_baseline(self, _change: object) -> None:
        self.save_soon()
        self._in_thread(baseline.publish, self._panel)

    def _on_form(self, _change: object = None) -> None:
        run = self.shown
        asked = None if run is None else run.form
        changes = [] if asked is None else form_changes.differences(asked, self.moment().form)
        changed = [one.words for one in changes]
        in_full = [one.in_full for one in changes]
        if in_full != self._panel.changed_in_full:
            self._panel.changed_in_full = in_full
        if changed != self._panel.changed:
            self._panel.changed = changed
        of_run, names = self._changed_values
        has_cases = any(words.startswith(_CASES) for words in changed)
        values = [name for name in names if of_run is run and not (name == _CASES and has_cases)]
        if values != self._panel.changed_values:
            self._panel.changed_values = values

    def compare_values(self, form: Form, notebook: Mapping[str, object]) -> None:
        """Compare the values of the notebook with those that the shown Run was asked with."""
        run, session = self.shown, self.display.session
        if run is None:
            return
        asked = [one.call.execution.variables for one in session.calls]
        names = form_changes.changed_values(asked, form, notebook)
        with self._panel.lock:
            self._changed_values = run, names
            self._on_form()


def _about(run: PanelRun) -> str:
    """What a Run was asked with: ``gpt-6-luna, claude-haiku-5-5 · temperature 0.2``."""
    if run.form is not None:
        return form_changes.about(run.form)
    return count(len(run.record.answers), "answer")

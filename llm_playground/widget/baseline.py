"""The baseline: the pinned answer, its column, and the difference of each answer to it.

The baseline outlives its Run. Answers are compared with the answers of the pinned one's model in
its Run, its column, row by row: with the one of the same case, and there with the one of the same
parameters and iteration. Where the column has no answer to the same case, and in a Run that has no
other column, they are compared with the pinned answer itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from llm_playground import differences, footer
from llm_playground.errors import InvalidParameterError, LLMError
from llm_playground.evaluation.numbers import number_key, numbers_in
from llm_playground.widget import form_changes
from llm_playground.widget.session import RunSession

if TYPE_CHECKING:
    from llm_playground.widget import Playground
    from llm_playground.widget.panel_runs import PanelRun

Arguments: TypeAlias = Mapping[str, Any]

_NOTHING_PINNED = "No answer is pinned. Press p on one."


@dataclass(frozen=True, slots=True)
class Cell:
    """One answer: its number, its model, its case, the parameters of a sweep and its iteration."""

    number: int
    model: str
    case: str = ""
    parameters: str = ""
    iteration: int = 1


def cells_of(session: RunSession) -> list[Cell]:
    """The answers of a Run. Those that differ in nothing else are iterations."""
    cells: list[Cell] = []
    before: Counter[tuple[str, str, str]] = Counter()
    for number, one in enumerate(session.calls, 1):
        label = one.label
        # The text, since the same case may have another number in another table.
        place = one.call.request.model, label.text or label.case or label.prompt, label.parameters
        before[place] += 1
        cells.append(Cell(number, *place, before[place]))
    return cells


def column_of(pinned: Cell, cells: Sequence[Cell]) -> list[Cell]:
    """The answers of the pinned one's model."""
    return [cell for cell in cells if cell.model == pinned.model]


def counterpart(answer: Cell, pinned: Cell, column: Sequence[Cell]) -> Cell:
    """The answer of the baseline's column that an answer is compared with.

    >>> column = [Cell(1, "a:b", "Oslo"), Cell(2, "a:b", "Rome")]
    >>> counterpart(Cell(7, "c:d", "Rome"), column[0], column).number
    2
    >>> counterpart(Cell(8, "c:d", "Bern"), column[0], column).number
    1
    """
    same_case = [cell for cell in column if cell.case == answer.case]
    if not same_case:
        return pinned

    def distance(cell: Cell) -> tuple[bool, ...]:
        return (
            cell.parameters != answer.parameters,
            cell.parameters != pinned.parameters,
            cell.iteration != answer.iteration,
            cell.iteration != pinned.iteration,
        )

    return min(same_case, key=distance)


def counterparts(
    answers: Sequence[Cell], pinned: Cell, column: Sequence[Cell], *, is_own: bool
) -> dict[int, int]:
    """For the number of each answer that of the baseline's answer; of its own Run if ``is_own``."""
    if not is_own:
        return {cell.number: counterpart(cell, pinned, column).number for cell in answers}
    others = [cell for cell in answers if cell.model != pinned.model]
    if not others:  # one column: all are compared with the pinned answer
        return {cell.number: pinned.number for cell in answers}
    found = {cell.number: counterpart(cell, pinned, column).number for cell in others}
    return found | {cell.number: cell.number for cell in column}


@dataclass(frozen=True, slots=True)
class _Baseline:
    """The pinned answer with the session that has it."""

    session: RunSession
    run: PanelRun
    pinned: Cell
    column: Sequence[Cell]
    is_own: bool  # whether it is in the Run that is shown

    def counterparts(self, shown: RunSession) -> dict[int, int]:
        """As :func:`counterparts`, for the answers of a session."""
        answers = cells_of(shown)
        return counterparts(answers, self.pinned, self.column, is_own=self.is_own)


def _current(panel: Playground, *, reads_log: bool = True) -> _Baseline | None:
    """The baseline; None if nothing is pinned, or its answers are only in the log.

    Raises:
        InvalidParameterError: The log no longer has it.
        RunLogError: The log cannot be read.
    """
    runs = panel.panel_runs
    runs.load()
    pinned_at = runs.pin()
    if pinned_at is None:
        return None
    run = runs.at(pinned_at.run)
    session = runs.session_of(run) if reads_log else run.session
    if session is None:
        return None
    cells = cells_of(session)
    # Answers that the log no longer has are missing in the session: the first stands for them.
    pinned = next((cell for cell in cells if cell.number == pinned_at.answer), cells[0])
    return _Baseline(session, run, pinned, column_of(pinned, cells), run is runs.shown)


def state_of(panel: Playground, *, reads_log: bool = False) -> dict[str, Any] | None:
    """The baseline of the answers that are shown, as ``view/answer_state.js`` describes it.

    None if nothing is pinned. If its answers are in the log only, that is read if ``reads_log``.

    Raises:
        InvalidParameterError: The log no longer has it.
        RunLogError: The log cannot be read.
    """
    found = _current(panel, reads_log=reads_log)
    if found is None:
        return None
    of = found.counterparts(panel.panel_runs.display.session)
    panes: list[dict[str, Any]] = []
    if not found.is_own:
        wanted = {*of.values(), found.pinned.number}
        _, states = found.session.answers.changes_and_snapshot()
        for state in states:
            if state["number"] in wanted:
                # The shown answers have this notice already.
                notices = [one for one in state.get("notices", ()) if one != footer.LOCAL_NOTE]
                panes.append(state | {"notices": notices})
    return {
        "run": found.run.number,
        "answer": found.pinned.number,
        "isOwn": found.is_own,
        "title": f"Run {found.run.number}, {found.pinned.model.partition(':')[2]}",
        "differs": _differs(found, panel.panel_runs.shown),
        "of": [[number, other] for number, other in of.items()],
        "panes": panes,
    }


def _differs(found: _Baseline, shown: PanelRun | None) -> dict[str, str] | None:
    """What differs between the forms of the baseline's Run and of the shown one; None if unknown.

    As :func:`form_changes.as_state`; values of the notebook are named too.
    """
    if found.is_own or shown is None or shown.session is None:
        return None
    if found.run.form is None or shown.form is None:
        return None
    before, after = (
        [one.call.execution.variables for one in session.calls]
        for session in (found.session, shown.session)
    )
    values = form_changes.differing_values(before, after)
    named = [differences.Change(name, f"{name}: another value") for name in values]
    return form_changes.as_state([*form_changes.differences(found.run.form, shown.form), *named])


def publish(panel: Playground) -> None:
    """Send the baseline to the views; it may have to be read from the log."""
    with panel.panel_runs.publishing:  # in order
        number = panel.panel_runs.display.number
        try:
            state = state_of(panel, reads_log=True)
        except LLMError as error:
            panel.problem = f"The baseline cannot be shown. {error}"
            return
        panel.send({"type": "baseline", "run": number, "baseline": state})


def pin(panel: Playground, arguments: Arguments) -> None:
    """Pin the answer ``answer`` of the shown Run as the baseline; None unpins it.

    Raises:
        InvalidParameterError: There is no such answer.
    """
    panel.baseline = arguments.get("answer")


def answer_at(panel: Playground, number: int) -> tuple[RunSession, int]:
    """The session of an answer and its number there; a negative number is one of the baseline's.

    Raises:
        InvalidParameterError: Nothing is pinned.
        RunLogError: The log cannot be read.
    """
    if number >= 0:
        return panel.panel_runs.display.session, number
    found = _current(panel)
    if found is None:
        raise InvalidParameterError(_NOTHING_PINNED)
    return found.session, -number


def difference(panel: Playground, arguments: Arguments) -> dict[str, Any]:
    """The difference of the answer ``answer`` to its baseline, word by word.

    Returns:
        ``parts``, the pieces of :func:`llm_playground.differences.diff`, and ``line``, the
        difference in words.

    Raises:
        InvalidParameterError: Nothing is pinned, or there is no such answer.
        RunLogError: The log cannot be read.
    """
    number, session = arguments["answer"], panel.panel_runs.display.session
    found = _current(panel)
    if found is None:
        raise InvalidParameterError(_NOTHING_PINNED)
    after = session.answers.text(number)
    before = found.session.answers.text(found.counterparts(session)[number])
    parts = differences.diff(before, after)
    return {"parts": parts, "line": difference_line(before, after, parts)}


def difference_line(before: str, after: str, parts: Sequence[differences.DiffPiece]) -> str:
    """The difference of two texts in words, and whether their numbers are the same.

    >>> before, after = "Sales rose 4 % in May.", "Sales grew 4 % in May."
    >>> difference_line(before, after, differences.diff(before, after))
    '1 word differs · same numbers'
    """
    if before.strip() == after.strip():
        return "same text"
    words = differing_words(parts)
    changed = f"{words:,} word{' differs' if words == 1 else 's differ'}" if words else "same words"
    first, second = (number_key(numbers_in(text)) for text in (before, after))
    if not first and not second:
        return changed
    return f"{changed} · {'same numbers' if first == second else 'numbers differ'}"


def differing_words(parts: Sequence[differences.DiffPiece]) -> int:
    """The number of words that differ; a replacement counts as many as its longer side.

    >>> differing_words([("=", "a "), ("-", "b c"), ("+", "d"), ("=", " e"), ("+", " f")])
    3
    """
    total, removed, added = 0, 0, 0
    for kind, text in [*parts, ("=", "")]:
        words = len(differences.words_in(text))
        if kind == "-":
            removed += words
        elif kind == "+":
            added += words
        else:
            total, removed, added = total + max(removed, added), 0, 0
    return total


REQUESTS: Sequence[Callable[[Playground, Arguments], object]] = (pin, difference)

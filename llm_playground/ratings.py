"""Ratings: who found an answer how good. The newest word of each rater counts; all are kept."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from numbers import Real

from llm_playground import _ids, misfit, provenance
from llm_playground.errors import InvalidParameterError
from llm_playground.redact import redact
from llm_playground.runlog import open_log
from llm_playground.types import Run

_INSERT = """
INSERT INTO ratings (id, result_id, username, score, note, blind, created_at)
VALUES ($id, $run, $username, $score, $note, false, $at)
"""


def rate(run: Run | str, score: float, note: str | None = None) -> None:
    """Rate an answer. ``lp.runs().rating`` is the mean over all raters, the newest word of each.

    Args:
        run: A run, or its id.
        score: Any number; what it means is yours: 1 to 5, 0 or 1, percent.
        note: Why, for people.

    Raises:
        InvalidParameterError: The score is no number, or the run is not in the log.
        RunLogError: The log cannot be written.

    Example:
        >>> import llm_playground as lp
        >>> run = lp.ask("Say hello.", max_tokens=8)
        >>> lp.rate(run, 4, note="short and kind")
        >>> float(lp.runs(limit=1).rating[0])
        4.0
    """
    values = {
        "id": _ids.new_id(),
        "run": _id(run),
        "username": provenance.username(),
        "score": _score(score),
        "note": _note(note),
        "at": datetime.now(UTC),
    }
    log = open_log()
    if log.frame("SELECT 1 FROM results WHERE id = $run", {"run": values["run"]}).empty:
        raise InvalidParameterError(f"No run in {log.place} has the id {values['run']}.")
    log.change(lambda session: session.execute(_INSERT, values))


def _id(run: object) -> str:
    if isinstance(run, Run):
        return run.id
    if isinstance(run, str) and run:
        return run
    raise InvalidParameterError(f"A run, or its id, is rated; got {misfit.got(run)}.")


def _score(score: object) -> float:
    if isinstance(score, bool) or not isinstance(score, Real) or not math.isfinite(score):
        raise InvalidParameterError(f"score is {misfit.got(score)}; it takes a number.")
    return float(score)


def _note(note: object) -> str | None:
    if note is None:
        return None
    if not isinstance(note, str):
        raise InvalidParameterError(f"note takes text; got {misfit.got(note)}.")
    return redact(note)

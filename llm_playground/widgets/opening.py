"""Runs of the log opened in the panel: their answers, and the form as it was sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from llm_playground import config, provenance
from llm_playground.call import Call, Tally
from llm_playground.errors import InvalidParameterError, LLMError
from llm_playground.events import ReasoningDelta, RunFinished, TextDelta
from llm_playground.types import Execution, Request, Run
from llm_playground.widgets import stored
from llm_playground.widgets.asking import Asking, Tell
from llm_playground.widgets.dials import TRAIT_OF
from llm_playground.widgets.form import Form, Ordered
from llm_playground.widgets.panel import FORM
from llm_playground.widgets.stored import StoredRun

if TYPE_CHECKING:
    from llm_playground.widgets.playground import Playground
    from llm_playground.widgets.replies import Given

_ELSEWHERE = "Still running in another kernel."
_NO_LABELS: Mapping[str, str] = MappingProxyType({})
# What no run tells: the prompt was filled already, and its pictures are not stored.
_EMPTY: dict[str, Any] = {"images": [], "values": {}, "cases": None}
_before: WeakKeyDictionary[Playground, dict[str, Any]] = WeakKeyDictionary()


def reopen(panel: Playground, given: Given) -> dict[str, Any]:
    """Open the run ``run``; ``note`` says what is missing of it."""
    before = {name: getattr(panel, name) for name in FORM}
    note = open_runs(panel, given["run"])
    _before[panel] = before
    return {"note": note}


def put_back(panel: Playground, _given: Given) -> None:
    """Make the form what it was before the last run was opened."""
    _set(panel, _before.pop(panel, {}))


def open_runs(panel: Playground, runs: object) -> str:
    """Show runs in the panel and fill its form with what they were asked.

    Args:
        panel: The playground.
        runs: As :func:`llm_playground.widgets.stored.named`.

    Returns:
        What is missing, as a line; empty when nothing is.

    Raises:
        InvalidParameterError: There are no such runs, or the panel's own are still running.
        RunLogError: The log cannot be read.
    """
    found = stored.by_id(stored.named(runs))
    if not panel.show(lambda number, tell: answered(number, found, tell)):
        raise InvalidParameterError("Still running. Stop all first.")
    began = min(one.run.started_at for one in found).isoformat()
    panel.saved = {"count": len(found), "wanted": len(found), "at": began, "where": "log"}
    try:
        form = stored.form_of(found)
    except InvalidParameterError as error:
        return str(error)
    fill(panel, form)
    return " ".join(_missing(found, form))


def _missing(found: Sequence[StoredRun], form: Form) -> Iterator[str]:
    if any(one.had_pictures for one in found):
        yield "The prompt had pictures, which are not stored: add them again."
    without = [name for name in form.parameters if name not in TRAIT_OF]
    if without:
        yield f"The panel has no control for {' and '.join(without)}: not in the form."
    if len({one.messages for one in found}) > 1:
        yield "These runs had several prompts: the form has the first."


def fill(panel: Playground, form: Form) -> None:
    """Set every control of the form."""
    values = {
        "prompt": form.prompt,
        "system": form.system,
        "models": list(form.models),
        "iterations": form.iterations,
        **{trait: form.parameters.get(name) for name, trait in TRAIT_OF.items()},
        "turns": list(form.turns),
        **_EMPTY,
        "preset": form.preset,
    }
    _set(panel, values)


def _set(panel: Playground, values: Mapping[str, Any]) -> None:
    """The preset last: it sets others."""
    for name, value in sorted(values.items(), key=lambda item: item[0] == "preset"):
        setattr(panel, name, list(value) if isinstance(value, tuple) else value)


def answered(
    number: int, found: Sequence[StoredRun], tell: Tell, labels: Mapping[str, str] = _NO_LABELS
) -> Asking:
    """A Run whose answers have all ended: those of the past; ``labels`` are by the runs' ids."""
    ordered = [Ordered(_call(one), labels.get(one.run.id, "")) for one in found]
    asking = Asking(number, ordered, tell)
    for place, one in enumerate(found, 1):
        if one.run.text:  # before its reasoning, whose end would be taken for a moment's thought
            asking.sheet.take(place, TextDelta(one.run.text))
        if one.run.reasoning:
            asking.sheet.take(place, ReasoningDelta(one.run.reasoning))
        asking.sheet.take(place, RunFinished(_ended(one.run)))
    return asking


def _ended(run: Run) -> Run:
    """One that another kernel still works at, as far as it is."""
    if run.status != "running":
        return run
    return replace(run, status="interrupted", error=LLMError(_ELSEWHERE, model=run.model))


def _call(one: StoredRun) -> Call:
    """The call that asks for it once more."""
    run = one.run
    execution = Execution(
        id=run.execution_id,
        prompt_id=run.prompt_id,
        iterations=one.iterations,
        source="widget",
        username=provenance.username(),
        started_at=run.started_at,
        notebook=provenance.notebook(),
        cell_id=provenance.cell_id(),
        process=provenance.process(),
    )
    endpoint = config.base_url(run.provider)
    request = Request(run.model, one.messages or (), run.parameters, endpoint=endpoint)
    return Call(run.id, request, execution, run.iteration_number, Tally(1))


def link(panel: Playground, _given: Given) -> str:
    """The code that opens the answers again, on any machine with this log.

    Raises:
        InvalidParameterError: There is nothing to share yet.
    """
    runs = panel.sheet.runs()
    if not runs:
        raise InvalidParameterError("Nothing to share yet: run first.")
    executions = list(dict.fromkeys(run.execution_id for run in runs))
    alone = [run.id for run in runs] if len(runs) == 1 else executions
    named = f'"{alone[0]}"' if len(alone) == 1 else f"[{', '.join(map(_quoted, alone))}]"
    return f"lp.Playground(run={named})"


def _quoted(text: str) -> str:
    return f'"{text}"'

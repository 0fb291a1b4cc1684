"""Earlier Runs on request of a view: those of the log as a list, and those of the panel to walk.

Opening a Run, and restoring the form of the shown one, can be undone once, the last of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import WeakKeyDictionary

from llm_playground import formatting, provenance
from llm_playground._validation import shorten
from llm_playground.errors import InvalidParameterError
from llm_playground.inputs import Inputs
from llm_playground.redaction import redact
from llm_playground.request.templates import escaped
from llm_playground.widget import form_changes, stored_runs
from llm_playground.widget.controls import TRAIT_OF
from llm_playground.widget.form import known_models
from llm_playground.widget.panel_runs import PanelRun, Shown

if TYPE_CHECKING:
    from llm_playground.reports.run_groups import RunGroup
    from llm_playground.widget import Playground

Arguments: TypeAlias = Mapping[str, Any]

PAGE_ROWS = 50
_PROMPT_CHARACTERS = 120
_ANSWER_CHARACTERS = 160
_ONE_ANSWER_CHARACTERS = 240


@dataclass(frozen=True, slots=True)
class _Change:
    """What Undo restores, and the Run that it removes."""

    before: Shown
    opened: PanelRun | None = None


_last_change: WeakKeyDictionary[Playground, _Change] = WeakKeyDictionary()


# The list of the log's Runs


def history(panel: Playground, arguments: Arguments) -> dict[str, Any]:
    """A page of the log's Runs, newest first; one row for each that was sent together.

    The arguments are ``search``, a text in prompts or answers; ``after``, the last row of the page
    before; ``of``, ``panel`` or ``notebook`` for the Runs of one of them; ``compressed``, whether
    to search compressed texts too. The result has ``rows``, ``more`` (whether there is a next page)
    and ``notebook`` (its name; empty where unknown). A row's ``differs`` is what differs from the
    form as it is now (:func:`form_changes.as_state`), None if that is not known.

    Raises:
        RunLogError: The log cannot be read.
    """
    from llm_playground.reports import run_groups

    notebook = provenance.notebook()
    after, of = arguments.get("after"), arguments.get("of")
    search = str(arguments.get("search") or "").encode("utf-8", "replace").decode()
    found = run_groups.newest(
        limit=PAGE_ROWS + 1,
        before=_position(after) if after else None,
        among=panel.panel_runs.run_ids() if of == "panel" else None,
        search_compressed=bool(arguments.get("compressed")),
        search=search.replace("\0", "").strip() or None,
        notebook=notebook if of == "notebook" else None,
    )
    now = panel.panel_runs.moment().form
    return {
        "rows": [
            _run_row(group, search) | {"differs": _differs(panel, group, now)}
            for group in found[:PAGE_ROWS]
        ],
        "more": len(found) > PAGE_ROWS,
        "notebook": notebook.rpartition("/")[2] if notebook else "",
    }


def _position(row: Any) -> tuple[datetime, str]:  # noqa: ANN401 - any JSON value from a view
    """The place of a row in the list."""
    try:
        return datetime.fromisoformat(row["started_at"]).astimezone(UTC), str(row["key"])
    except (TypeError, KeyError, ValueError):
        raise InvalidParameterError("The last row shown is not known. Reload the page.") from None


def _run_row(group: RunGroup, search: str) -> dict[str, Any]:
    # The prompt as it was written stands for all cases; a search shows what it has found.
    prompt = group.prompt if search else group.template or group.prompt
    return {
        "run_id": group.run_id,
        "key": group.key,
        "started_at": group.asked_at.isoformat(),
        "models": dict(group.models),
        "statuses": dict(group.statuses),
        "source": group.source,
        "prompt": _beginning(prompt, _PROMPT_CHARACTERS),
        "answer": _beginning(group.answer, _ANSWER_CHARACTERS),
        "cost": _cost(group),
        "compressed": group.is_compressed,
    }


def _differs(panel: Playground, group: RunGroup, now: Mapping[str, Any]) -> dict[str, str] | None:
    own = panel.panel_runs.find([group.run_id])
    if own is not None and own.form is not None:
        return form_changes.as_state(form_changes.differences(own.form, now))
    found = form_changes.differences(
        _form_of_group(group), {**now, "models": known_models(now["models"])}
    )
    is_whole = group.system is not None
    return form_changes.as_state(found) if found or is_whole else None


def _form_of_group(group: RunGroup) -> dict[str, Any]:
    """What the log has of the form of a Run, without its cases, earlier turns and attachments."""
    values = stored_runs.swept_values(group.parameters)
    form = {
        "models": list(group.models),
        "iterations": group.iterations,
        **{trait: values.get(name) for name, trait in TRAIT_OF.items()},
    }
    if group.system is None:  # privacy settings or a purge left no text
        return form
    as_written = group.inputs or Inputs()
    texts = {
        "system": as_written.system or escaped(group.system),
        "prompt": as_written.prompt or escaped(group.prompt),
    }
    return form | texts


def _cost(group: RunGroup) -> str:
    """``free``, or as :func:`llm_playground.formatting.total_usd`; empty if nothing is known."""
    answers = sum(group.models.values())
    if group.reused == answers:
        return "reused"
    if group.is_free:
        return "free"
    if group.cost_usd is None and group.at_least_usd is None and not group.unpriced:
        return ""
    return formatting.total_usd(
        group.cost_usd or Decimal(0),
        group.at_least_usd or Decimal(0),
        is_estimated=group.is_estimated,
        unpriced=group.unpriced,
    )


def history_answers(_panel: Playground, arguments: Arguments) -> list[dict[str, Any]]:
    """The answers of the Run that ``run`` belongs to, in short.

    Raises:
        InvalidParameterError: The log has no such run.
        RunLogError: The log cannot be read.
    """
    from llm_playground.reports import run_groups

    stored = stored_runs.stored_runs(run_groups.members(str(arguments["run"])))
    prompts = {one.messages for one in stored}
    return [_answer_row(one, alone=len(prompts) == 1) for one in stored]


def _answer_row(one: stored_runs.StoredRun, *, alone: bool) -> dict[str, Any]:
    run = one.run
    question = one.messages[-1].text if one.messages else ""
    cost = "" if run.cost_usd is None else formatting.usd(run.cost_usd)
    text = run.text or str(run.error or "")
    return {
        "run_id": run.id,
        "model": run.model,
        "status": run.status,
        "prompt": "" if alone else _beginning(question, _PROMPT_CHARACTERS),
        "answer": _beginning(text, _ONE_ANSWER_CHARACTERS),
        "cost": "free" if run.price_source == "free" else cost,
    }


def _beginning(text: str, most: int) -> str:
    """The first words on one line, without keys."""
    return shorten(redact(text[: 8 * most]), most)


# Opening, walking, restoring


def reopen(panel: Playground, arguments: Arguments) -> dict[str, Any]:
    """Open the whole Run that ``run`` belongs to, or if ``alone`` this answer only.

    A Run of this panel is shown as it was. ``note`` names what could not be restored.

    Raises:
        InvalidParameterError: The log has no such run, or answers are still running.
        RunLogError: The log cannot be read.
    """
    from llm_playground.reports import run_groups

    run_id = str(arguments["run"])
    runs, before = panel.panel_runs, panel.panel_runs.moment()
    if arguments.get("alone"):
        note = stored_runs.open_runs(panel, run_id)
        _last_change[panel] = _Change(before, runs.shown)
        return {"note": note}
    members = run_groups.members(run_id)
    own = runs.find(members)
    if own is None:
        note = stored_runs.open_runs(panel, members)
        _last_change[panel] = _Change(before, runs.shown)
        return {"note": note}
    runs.go_to(own.number)
    note = _set_form(panel, own)
    _last_change[panel] = _Change(before)
    return {"note": note}


def restore_form(panel: Playground, _arguments: Arguments) -> dict[str, Any]:
    """Set the form as it was for the shown Run; ``note`` names what could not be restored."""
    run = panel.panel_runs.shown
    if run is None:
        raise InvalidParameterError("No Run is shown. Run first.")
    before = panel.panel_runs.moment()
    note = _set_form(panel, run)
    _last_change[panel] = _Change(before)
    return {"note": note}


def _set_form(panel: Playground, run: PanelRun) -> str:
    """Set the form of a Run, from the log if the panel does not know it."""
    if run.form is not None:
        values = dict(run.form)
        if isinstance(values.get("cases"), str) and not values["cases"].isidentifier():
            del values["cases"]  # a table that the kernel no longer has
        panel.set_form(values)
        return ""
    stored = stored_runs.stored_runs(run.record.run_ids)
    if not stored:
        return "The log does not have its form."
    panel.set_form(stored_runs.traits_of(stored_runs.form_of(stored)))
    return ""


def undo(panel: Playground, _arguments: Arguments) -> None:
    """Restore form and answers as they were before :func:`reopen` or :func:`restore_form`."""
    change = _last_change.pop(panel, None)
    if change is not None:
        panel.panel_runs.back_to(change.before, without=change.opened)


def show_run(panel: Playground, arguments: Arguments) -> None:
    """Show the Run ``step`` before (-1) or after (1) the shown one, or that of a ``number``.

    Raises:
        InvalidParameterError: The log no longer has its answers.
        RunLogError: The log cannot be read.
    """
    if "number" in arguments:
        panel.panel_runs.go_to(int(arguments["number"]))
    else:
        panel.panel_runs.walk(-1 if int(arguments["step"]) < 0 else 1)


REQUESTS: Sequence[Callable[[Playground, Arguments], object]] = (
    history,
    history_answers,
    reopen,
    restore_form,
    undo,
    show_run,
)

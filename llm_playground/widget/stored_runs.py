"""Runs of the log in the panel: found by id, shown as answers, with the form that sent them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from llm_playground import _validation, provenance
from llm_playground.errors import InvalidParameterError, LLMError
from llm_playground.events import PartAdded, ReasoningDelta, RunFinished, TextDelta
from llm_playground.execution import Call, Tally
from llm_playground.ids import short_id
from llm_playground.inputs import Inputs, inputs_from_json
from llm_playground.providers.left_out import left_out
from llm_playground.providers.wire_formats import at_endpoint, older_version
from llm_playground.rendering import answers
from llm_playground.request.messages import stored_conversation
from llm_playground.request.parameters import parameters_from
from llm_playground.request.schemas import restored
from llm_playground.runlog import attachments, definitions, open_log
from llm_playground.runlog.attachments import Attachment
from llm_playground.runlog.reading import json_value, messages_of, run_of
from llm_playground.runlog.rows import TOKEN_COLUMNS, unpacked_row
from llm_playground.types import Execution, Message, Request, Run, Schema, Tool
from llm_playground.widget.answer_labels import AnswerLabel, labels_of_requests
from llm_playground.widget.controls import TRAIT_OF
from llm_playground.widget.drafts import DraftAnswer
from llm_playground.widget.form import Form, PlannedCall, form_from_sent
from llm_playground.widget.session import Notify, RunSession

if TYPE_CHECKING:
    from llm_playground.widget import Playground

SHORTEST_PREFIX = 6
_MOST_RUNS = 1_000
# What rows of other programs raise.
_UNREADABLE = (
    AttributeError, TypeError, ValueError, LookupError, ArithmeticError, RecursionError,
)  # fmt: skip
_TOKEN_COLUMNS = ", ".join(f"r.{name}" for name in TOKEN_COLUMNS)
_BY_ID = f"""
SELECT r.id AS run_id, r.execution_id, e.prompt_id, r.iteration_number, r.model, r.provider,
       r.started_at, r.status, r.response_text, r.reasoning_text, r.response_model,
       r.finish_reason, r.usage_source, r.price_source, r.ttft_ms, r.response_time_ms, r.queue_ms,
       r.error_type, r.error_message, r.error_detail, coalesce(r.cached, false) AS cached,
       {_TOKEN_COLUMNS}, CAST(r.cost_usd AS VARCHAR) AS cost_usd,
       CAST(r.saved_usd AS VARCHAR) AS saved_usd, CAST(r.tool_calls AS VARCHAR) AS tool_calls,
       CAST(r.attempts AS VARCHAR) AS attempts,
       CAST(r.dropped_parameters AS VARCHAR) AS dropped_parameters,
       r.service_tier, CAST(r.billed_units AS VARCHAR) AS billed_units,
       CAST(r.parts AS VARCHAR) AS parts, CAST(r.sources AS VARCHAR) AS sources,
       p.system_prompt, p.user_prompt, CAST(p.messages AS VARCHAR) AS messages,
       CAST(p.attachments AS VARCHAR) AS attachments,
       CAST(p.tools AS VARCHAR) AS tools, p.schema_hash,
       CAST(p.parameters AS VARCHAR) AS parameters, e.iterations,
       CAST(e.inputs AS VARCHAR) AS inputs, CAST(e.variables AS VARCHAR) AS variables,
       r.texts_gz AS _result_gz, p.texts_gz AS _prompt_gz
FROM results r
LEFT JOIN executions e ON e.id = r.execution_id LEFT JOIN prompts p ON p.id = e.prompt_id
WHERE r.id IN (SELECT unnest(CAST($ids AS VARCHAR[])))
"""  # noqa: S608 - names of columns
# Shortest first: an id of which others are extensions is among the three.
_BY_PREFIX = """
SELECT id, kind FROM (
    SELECT id, 'run' AS kind FROM results WHERE starts_with(id, $prefix)
    UNION SELECT execution_id, 'execution' FROM results WHERE starts_with(execution_id, $prefix)
) AS found ORDER BY length(id) LIMIT 3
"""
_OF_EXECUTION = f"""
SELECT id FROM results WHERE execution_id = $id ORDER BY iteration_number, started_at, id
LIMIT {_MOST_RUNS}
"""  # noqa: S608 - a number


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run of the log with its request."""

    run: Run
    # Without images and files that the log does not hold; None if the text is not stored.
    messages: tuple[Message, ...] | None
    iterations: int = 1
    lacks_attachments: bool = False
    tools: tuple[Tool, ...] = ()  # without their functions
    schema: Schema | None = None
    inputs: Inputs | None = None
    variables: Mapping[str, str] = field(default_factory=dict)  # hashes of the values by name


def resolve_run_ids(runs: object) -> list[str]:
    """The ids of runs: a run's id or an execution's, or the beginning of one; a run; or several.

    Raises:
        InvalidParameterError: It is none of these, or the log has no such run, or several.
        RunLogError: The log cannot be read.
    """
    several = [runs] if isinstance(runs, (str, Run)) else runs
    if not isinstance(several, Iterable) or not all(isinstance(r, (str, Run)) for r in several):
        raise InvalidParameterError(
            "run takes a run, its id or an execution's id, or several; "
            f"got {_validation.short_repr(runs)}."
        )
    ids = [i for r in several for i in _ids_of(r.id if isinstance(r, Run) else r)]
    if not ids:
        raise InvalidParameterError("run is empty: name a run by its id. lp.runs() lists all.")
    return list(dict.fromkeys(ids))[:_MOST_RUNS]


def _ids_of(text: str) -> list[str]:
    prefix = text.strip()
    if len(prefix) < SHORTEST_PREFIX or "%" in prefix:
        raise InvalidParameterError(
            f"{_validation.short_repr(text)} is too short to name a run: give at least "
            f"{SHORTEST_PREFIX} characters of its id. lp.runs() lists all."
        )
    found = open_log().rows(_BY_PREFIX, {"prefix": prefix})
    if not found:
        raise InvalidParameterError(
            f"No run of this log has the id {_validation.short_repr(text)}. lp.runs() lists all; "
            "lp.import_runs(...) imports runs of another log."
        )
    exact = [row for row in found if row["id"] == prefix]
    if len(found) > 1 and not exact:
        raise InvalidParameterError(
            f"Several runs have an id that begins with {_validation.short_repr(text)}. "
            f"Give more characters, such as {short_id(str(found[0]['id']))}."
        )
    row = (exact or found)[0]
    if row["kind"] == "run":
        return [row["id"]]
    return [one["id"] for one in open_log().rows(_OF_EXECUTION, {"id": row["id"]})]


def stored_runs(ids: Sequence[str]) -> list[StoredRun]:
    """Runs by their ids, in this order, without those that the log does not hold.

    Raises:
        RunLogError: The log cannot be read.
        InvalidParameterError: A run has a value of another program that no run can have.
    """
    if not ids:
        return []
    rows = [unpacked_row(row) for row in open_log().rows(_BY_ID, {"ids": list(ids)})]
    hashes = (sha256 for row in rows for sha256 in (*_hashes(row), *_answer_hashes(row)))
    attached = attachments.find(open_log(), hashes)
    defined = definitions.find(open_log(), (one for r in rows for one in definitions.hashes_in(r)))
    found = {row["run_id"]: stored_run_of(row, attached, defined) for row in rows}
    return [found[run_id] for run_id in ids if run_id in found]


def _hashes(row: Mapping[str, Any]) -> list[str]:
    """The hashes in a row's messages, empty for a row that no prompt can have."""
    try:
        return attachments.hashes_in(messages_of(row) or ())
    except (ValueError, TypeError, KeyError, AttributeError):
        return []


def _answer_hashes(row: Mapping[str, Any]) -> list[str]:
    """The hashes of the pictures and recordings in a row's answer."""
    try:
        parts = json_value(row.get("parts")) or ()
        return attachments.hashes_in([{"content": parts}])
    except (ValueError, TypeError):
        return []


def stored_run_of(
    row: Mapping[str, Any],
    attached: Mapping[str, Attachment] = MappingProxyType({}),
    defined: Mapping[str, Tool | Schema] = MappingProxyType({}),
) -> StoredRun:
    """A run from its row, as :func:`~llm_playground.runlog.reading.run_of`, with what it names.

    Raises:
        InvalidParameterError: The row has a value of another program that no run can have.
    """
    stored = {sha256 for sha256, one in attached.items() if one.data is not None}
    missing = {*_hashes(row), *(json_value(row.get("attachments")) or ())} - stored
    try:
        run = run_of(row, parameters_from(json_value(row["parameters"]) or {}))
        run = replace(run, api_version=None if run.cached else _version_of(run))
        run = replace(run, parts=attachments.parts_found(run.parts, attached))
        iterations = int(row.get("iterations") or 1)
        tools, schema = definitions.tools_of(row, defined), definitions.schema_of(row, defined)
        schema = None if schema is None else restored(schema)
        messages = _messages(row, attached)
        if messages is not None and not run.cached:
            run = replace(run, left_out=left_out(Request(run.model, messages, run.parameters)))
        return StoredRun(
            run,
            messages,
            iterations,
            bool(missing),
            tools,
            schema,
            inputs_from_json(row.get("inputs")),
            dict(json_value(row.get("variables")) or {}),
        )
    except _UNREADABLE as error:
        name = _validation.short_repr(row["run_id"])
        raise InvalidParameterError(f"The run {name} cannot be read ({error}).") from None


def _version_of(run: Run) -> str | None:
    """The older version of the provider's API that a run was sent with, see ``Run``."""
    request = Request(run.model, (), run.parameters)
    return older_version(request.as_sent(run.dropped_parameters))


def _messages(
    row: Mapping[str, Any], attached: Mapping[str, Attachment]
) -> tuple[Message, ...] | None:
    try:
        known = attachments.with_bytes(messages_of(row) or (), attached)
        turns = [_without_hashes(turn) for turn in known]
        return stored_conversation(turns)
    except (InvalidParameterError, ValueError, TypeError, KeyError):
        return None


def _without_hashes(turn: Mapping[str, Any]) -> dict[str, Any]:
    content = turn["content"]
    if isinstance(content, list):
        content = [p for p in content if not isinstance(p, Mapping) or "sha256" not in p]
    return {"role": turn["role"], "content": content}


def open_runs(panel: Playground, runs: object) -> str:
    """Show runs in the panel and fill its form with their request.

    Returns:
        One line with what could not be restored, empty if everything was.

    Raises:
        InvalidParameterError: There are no such runs, or the panel's answers are still running.
        RunLogError: The log cannot be read.
    """
    stored = stored_runs(resolve_run_ids(runs))
    try:
        form, problem = form_of(stored), ""
    except InvalidParameterError as error:
        form, problem = None, str(error)
    values = None if form is None else traits_of(form)
    count, started_at = len(stored), min(one.run.started_at for one in stored)
    saved = {"count": count, "wanted": count, "at": started_at.isoformat(), "where": "log"}
    if not panel.panel_runs.show_stored(
        lambda number, notify: session_of(number, stored, notify, cell_id=panel.cell_id),
        [DraftAnswer(one.run.id) for one in stored],
        started_at,
        saved=saved,
        form=values,
        is_opened=True,
    ):
        raise InvalidParameterError("Still running. Stop all first.")
    if form is None or values is None:
        return problem
    panel.set_form(values)
    return " ".join(_not_restored(stored, form))


def traits_of(form: Form) -> dict[str, Any]:
    """The traits of a panel whose form is that of a sent request."""
    return {
        "prompt": form.prompt,
        "system": form.system,
        "models": list(form.models),
        "iterations": form.iterations,
        **{trait: form.parameters.get(name) for name, trait in TRAIT_OF.items()},
        "turns": list(form.turns),
        "images": list(form.images),
        "files": list(form.files),
        # No run has these: its prompt is filled already.
        "values": {},
        "cases": None,
        "preset": form.preset,
    }


def form_of(stored: Sequence[StoredRun]) -> Form:
    """The form that sends the same requests; parameters that differ among the runs are a sweep.

    The prompt is the one that was sent, in which ``{{name}}`` is filled already.

    Raises:
        InvalidParameterError: The text of the prompt is not stored.
    """
    messages = stored[0].messages
    if messages is None:
        raise InvalidParameterError(
            "The text of this run's prompt is not stored (privacy, or a purge): only its answer "
            "is shown."
        )
    return replace(
        form_from_sent(messages),
        models=list(dict.fromkeys(one.run.model for one in stored)),
        parameters=swept_values([one.run.parameters.as_dict() for one in stored]),
        iterations=max(one.iterations for one in stored),
    )


def swept_values(all_parameters: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The value of each parameter, or the list of its values if the runs differ in it.

    >>> swept_values([{"seed": 1, "top_p": 0}, {"seed": 1, "top_p": 1}])
    {'seed': 1, 'top_p': [0, 1]}
    """
    swept: dict[str, Any] = {}
    for parameters in all_parameters:
        for name, value in parameters.items():
            values = swept.setdefault(name, [])
            plain = list(value) if isinstance(value, tuple) else value
            if plain not in values:
                values.append(plain)
    return {name: values if len(values) > 1 else values[0] for name, values in swept.items()}


def _not_restored(stored: Sequence[StoredRun], form: Form) -> Iterator[str]:
    if any(one.lacks_attachments for one in stored):
        yield "The prompt had images or files that are not stored: add them again."
    without_control = [name for name in form.parameters if name not in TRAIT_OF]
    if without_control:
        yield f"The panel has no control for {' and '.join(without_control)}: not in the form."
    if len({one.messages for one in stored}) > 1:
        yield "These runs have different prompts: the form has the first."


def session_of(
    number: int,
    stored: Sequence[StoredRun],
    notify: Notify,
    labels: Mapping[str, AnswerLabel] = MappingProxyType({}),
    *,
    cell_id: str | None,
) -> RunSession:
    """A session whose answers are stored runs and have all ended.

    ``labels`` has the label of each run by its id, those of one form. Other runs get labels by
    what differs among them.
    """
    derived = labels_of_requests([(one.messages, one.run.parameters) for one in stored])
    calls = [
        PlannedCall(_call_of(one, cell_id), labels.get(one.run.id, label))
        for one, label in zip(stored, derived, strict=True)
    ]
    session = RunSession(number, calls, notify)
    for place, one in enumerate(stored, 1):
        run = one.run
        if run.status == "running":  # another kernel has not ended it
            error = LLMError("Still running in another kernel.", model=run.model)
            run = replace(run, status="interrupted", error=error)
        # Text before reasoning: its end would otherwise show as a thinking time.
        for item in answers.items(run):
            event = TextDelta(item) if isinstance(item, str) else PartAdded(item)
            session.answers.apply(place, event)
        if run.reasoning:
            session.answers.apply(place, ReasoningDelta(run.reasoning))
        session.answers.apply(place, RunFinished(run))
        session.refresh_actions(place)
    return session


def _call_of(one: StoredRun, cell_id: str | None) -> Call:
    """The call that sends the request of a run again."""
    run = one.run
    execution = Execution(
        id=run.execution_id,
        prompt_id=run.prompt_id,
        iterations=one.iterations,
        source="widget",
        username=provenance.username(),
        started_at=run.started_at,
        notebook=provenance.notebook(),
        cell_id=cell_id,
        process=provenance.process(),
        variables=one.variables,
        inputs=one.inputs,
    )
    request = Request(run.model, one.messages or (), run.parameters, one.tools, one.schema)
    request = at_endpoint(request)
    return Call(run.id, request, execution, run.iteration_number, Tally(1))

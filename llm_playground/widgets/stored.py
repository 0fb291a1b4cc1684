"""Runs of the past out of the log, as the runs they were, and the form that asks for the same."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from llm_playground import errors, misfit
from llm_playground.conversation import conversation
from llm_playground.errors import InvalidParameterError, LLMError
from llm_playground.parameters import parameters_from
from llm_playground.runlog import open_log, texts
from llm_playground.saved_prompt import Prompt
from llm_playground.types import Attempt, Message, Parameters, Run, ToolCall, Usage
from llm_playground.widgets.bringing import brought_by
from llm_playground.widgets.form import Form

SHORTEST_PREFIX = 6
_MOST_FOUND = 1_000
_USAGE = tuple(field.name for field in fields(Usage))
_SELECT = f"""
SELECT r.id AS run_id, r.execution_id, e.prompt_id, r.iteration_number, r.model, r.provider,
       r.started_at, r.status, r.response_text, r.reasoning_text, r.response_model,
       r.finish_reason, r.usage_source, r.price_source, r.ttft_ms, r.response_time_ms, r.queue_ms,
       r.error_type, r.error_message, r.error_detail, coalesce(r.cached, false) AS cached,
       {", ".join(f"r.{name}" for name in _USAGE)}, CAST(r.cost_usd AS VARCHAR) AS cost_usd,
       CAST(r.saved_usd AS VARCHAR) AS saved_usd, CAST(r.tool_calls AS VARCHAR) AS tool_calls,
       CAST(r.attempts AS VARCHAR) AS attempts,
       CAST(r.dropped_parameters AS VARCHAR) AS dropped_parameters,
       p.system_prompt, p.user_prompt, CAST(p.messages AS VARCHAR) AS messages,
       CAST(p.parameters AS VARCHAR) AS parameters, e.iterations,
       r.texts_gz AS _result_gz, p.texts_gz AS _prompt_gz
FROM results r
LEFT JOIN executions e ON e.id = r.execution_id LEFT JOIN prompts p ON p.id = e.prompt_id
"""  # noqa: S608 - names of columns
_BY_ID = f"{_SELECT} WHERE r.id IN (SELECT unnest(CAST($ids AS VARCHAR[])))"
# The shortest first: an id that others begin with is among them.
_NAMED = """
SELECT id, kind FROM (
    SELECT id, 'run' AS kind FROM results WHERE starts_with(id, $begin)
    UNION SELECT execution_id, 'execution' FROM results WHERE starts_with(execution_id, $begin)
) AS found ORDER BY length(id) LIMIT 3
"""
_OF_EXECUTION = """
SELECT id FROM results WHERE execution_id = $id ORDER BY iteration_number, started_at, id LIMIT 1000
"""


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run of the log with what it was asked.

    Args:
        run: The run.
        messages: Without the pictures, which the log does not hold; None where nothing is stored.
        iterations: How often it was asked.
        had_pictures: Whether pictures were sent with it.
    """

    run: Run
    messages: tuple[Message, ...] | None
    iterations: int = 1
    had_pictures: bool = False


def named(ids: object) -> list[str]:
    """The ids of the runs that are meant.

    Args:
        ids: A run's id or an execution's, or the beginning of one of at least
            :data:`SHORTEST_PREFIX` characters; a :class:`~llm_playground.types.Run`; or several.

    Raises:
        InvalidParameterError: It is none of these; the log has none such, or several.
        RunLogError: The log cannot be read.
    """
    given = [ids] if isinstance(ids, (str, Run)) else ids
    if not isinstance(given, Iterable) or not all(isinstance(one, (str, Run)) for one in given):
        raise InvalidParameterError(
            f"run takes a run, its id or an execution's id, or several; got {misfit.got(ids)}."
        )
    found = [run_id for one in given for run_id in _named(one.id if isinstance(one, Run) else one)]
    if not found:
        raise InvalidParameterError("run is empty: name a run by its id. lp.runs() lists all.")
    return list(dict.fromkeys(found))[:_MOST_FOUND]


def by_id(ids: Sequence[str]) -> list[StoredRun]:
    """Runs by their ids, in this order; those that the log does not hold are left out.

    Raises:
        RunLogError: The log cannot be read.
    """
    if not ids:
        return []
    frame = texts.unpacked(open_log().frame(_BY_ID, {"ids": list(ids)}))
    rows: list[Any] = frame.astype(object).where(frame.notna(), None).to_dict("records")
    found = {row["run_id"]: of_row(row) for row in rows}
    return [found[run_id] for run_id in ids if run_id in found]


def of_row(row: Mapping[str, Any]) -> StoredRun:
    """A run from its row: the columns of :data:`_SELECT`, JSON and amounts as text.

    Raises:
        InvalidParameterError: Another program wrote into it what no run has.
    """
    had_pictures = '"sha256"' in (row["messages"] or "")
    try:
        return StoredRun(_run(row), _messages(row), int(row["iterations"] or 1), had_pictures)
    except (AttributeError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        name = misfit.got(row["run_id"])
        raise InvalidParameterError(f"The run {name} is not as a run is ({error}).") from None


def form_of(stored: Sequence[StoredRun]) -> Form:
    """The form that asks for the same: what differs among the runs in parameters is a sweep.

    The prompt is the one that was sent: what ``{{name}}`` stood for is in it.

    Raises:
        InvalidParameterError: What was asked is not stored.
    """
    first = stored[0]
    if first.messages is None:
        raise InvalidParameterError(
            "The text of this run's prompt is not stored (privacy, or a purge): only its answer "
            "is shown."
        )
    return replace(
        brought_by(Prompt(first.messages)),
        models=list(dict.fromkeys(one.run.model for one in stored)),
        parameters=_together([one.run.parameters for one in stored]),
        iterations=max(one.iterations for one in stored),
    )


def _named(text: str) -> list[str]:
    wanted = text.strip()
    if len(wanted) < SHORTEST_PREFIX or "%" in wanted:
        raise InvalidParameterError(
            f"{misfit.got(text)} is too short to name a run: give at least {SHORTEST_PREFIX} "
            "characters of its id. lp.runs() lists all."
        )
    found = open_log().frame(_NAMED, {"begin": wanted})
    if found.empty:
        raise InvalidParameterError(
            f"No run of this log has the id {misfit.got(text)}. lp.runs() lists all; a run of "
            "another log comes with lp.import_runs(...)."
        )
    exact = found[found.id == wanted]
    if len(found) > 1 and exact.empty:
        raise InvalidParameterError(
            f"Several runs have an id that begins with {misfit.got(text)}. Give more of it."
        )
    row = (found if exact.empty else exact).iloc[0]
    if row.kind == "run":
        return [str(row.id)]
    return [str(one) for one in open_log().frame(_OF_EXECUTION, {"id": row.id}).id]


def _run(row: Mapping[str, Any]) -> Run:
    counts = {name: None if row[name] is None else int(row[name]) for name in _USAGE}
    return Run(
        id=row["run_id"],
        execution_id=row["execution_id"] or "",
        prompt_id=row["prompt_id"] or "",
        iteration_number=int(row["iteration_number"] or 1),
        model=row["model"] or "",
        provider=row["provider"] or "",
        started_at=_moment(row["started_at"]),
        parameters=parameters_from(_json(row["parameters"]) or {}),
        status=row["status"] or "completed",
        text=row["response_text"] or "",
        reasoning=row["reasoning_text"] or "",
        tool_calls=tuple(map(_call, _json(row["tool_calls"]) or ())),
        response_model=row["response_model"],
        finish_reason=row["finish_reason"],
        usage=Usage(**counts) if any(n is not None for n in counts.values()) else None,
        usage_source=row["usage_source"] or "none",
        cost_usd=_decimal(row["cost_usd"]),
        price_source=row["price_source"],
        ttft_ms=row["ttft_ms"],
        response_time_ms=row["response_time_ms"],
        queue_ms=row["queue_ms"],
        attempts=[_attempt(one) for one in _json(row["attempts"]) or ()],
        error=_error(row),
        cached=bool(row["cached"]),
        saved_usd=_decimal(row["saved_usd"]),
        dropped_parameters=tuple(_json(row["dropped_parameters"]) or ()),
    )


def _messages(row: Mapping[str, Any]) -> tuple[Message, ...] | None:
    """What was asked, without pictures: the log has only their hashes."""
    try:
        if row["messages"] is None:
            return conversation(row["user_prompt"], system=row["system_prompt"])
        turns = [_without_pictures(turn) for turn in json.loads(row["messages"])]
        return conversation(None, messages=turns)
    except (InvalidParameterError, ValueError, TypeError, KeyError):
        return None


def _without_pictures(turn: Mapping[str, Any]) -> dict[str, Any]:
    content = turn["content"]
    if isinstance(content, list):
        content = [part for part in content if "sha256" not in part]
    return {"role": turn["role"], "content": content}


def _together(asked: Sequence[Parameters]) -> dict[str, Any]:
    """Each parameter's value, or the list of its values where the runs differ in it."""
    together: dict[str, Any] = {}
    for parameters in asked:
        for name, value in parameters.as_dict().items():
            together.setdefault(name, [])
            plain = list(value) if isinstance(value, tuple) else value
            if plain not in together[name]:
                together[name].append(plain)
    return {name: values if len(values) > 1 else values[0] for name, values in together.items()}


def _error(row: Mapping[str, Any]) -> LLMError | None:
    if not row["error_type"] and not row["error_message"]:
        return None
    kind = getattr(errors, str(row["error_type"]), LLMError)
    if not (isinstance(kind, type) and issubclass(kind, LLMError)):
        kind = LLMError
    return kind(str(row["error_message"] or row["error_type"]), detail=row["error_detail"])


def _call(value: Mapping[str, Any]) -> ToolCall:
    arguments = value.get("arguments")
    written = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return ToolCall(str(value.get("id", "")), str(value.get("name", "")), written)


def _attempt(value: Mapping[str, Any]) -> Attempt:
    return Attempt(**{name: value[name] for name in Attempt.__slots__ if name in value})


def _json(text: str | None) -> Any:  # noqa: ANN401 - a JSON value is any of six types
    return None if text is None else json.loads(text)


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _moment(value: Any) -> datetime:  # noqa: ANN401 - pandas' own kind of time, or Python's
    moment: datetime = value.to_pydatetime() if hasattr(value, "to_pydatetime") else value
    return moment

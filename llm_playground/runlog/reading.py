"""Rows of the log as runs and messages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeGuard

from llm_playground import errors
from llm_playground.errors import LLMError
from llm_playground.parts import Source, ToolCall, part_of_json
from llm_playground.runlog.rows import TOKEN_COLUMNS, plain_parts
from llm_playground.types import Attempt, Parameters, Run, Usage


def run_of(row: Mapping[str, Any], parameters: Parameters | None = None) -> Run:
    """The run of a row.

    Args:
        row: Columns of the view ``runs``, and ``tool_calls``, ``error_detail`` and
            ``dropped_parameters`` of the table ``results``; what is missing or None is unknown.
            JSON is text or JSON values, amounts are text or numbers, the time is a datetime or
            ISO 8601 text.
        parameters: The parameters, checked; those of the row's JSON object if None.

    Raises:
        AttributeError, TypeError, ValueError, ArithmeticError, RecursionError: A value is none
            that a run can have: another program wrote it.

    >>> run_of({"run_id": "r1", "model": "local:tiny", "response_text": "Hi."}).text
    'Hi.'
    """
    get = row.get
    text, reasoning = get("response_text") or "", get("reasoning_text") or ""
    calls = tuple(map(_tool_call_of, json_value(get("tool_calls")) or ()))
    parts = json_value(get("parts"))
    return Run(
        id=row["run_id"],
        execution_id=get("execution_id") or "",
        prompt_id=get("prompt_id") or "",
        iteration_number=int(get("iteration_number") or 1),
        model=get("model") or "",
        provider=get("provider") or "",
        started_at=_moment(get("started_at")),
        parameters=_parameters(row) if parameters is None else parameters,
        status=get("status") or "completed",
        text=text,
        reasoning=reasoning,
        tool_calls=calls,
        parts=plain_parts(text, reasoning, calls)
        if parts is None
        else tuple(map(part_of_json, parts)),
        sources=tuple(map(_source_of, json_value(get("sources")) or ())),
        stop_sequence=get("stop_sequence"),
        response_model=get("response_model"),
        finish_reason=get("finish_reason"),
        usage=_usage(row),
        usage_source=get("usage_source") or "none",
        cost_usd=_amount(get("cost_usd")),
        at_least_usd=_amount(get("at_least_usd")),
        price_source=get("price_source"),
        ttft_ms=get("ttft_ms"),
        response_time_ms=get("response_time_ms"),
        queue_ms=get("queue_ms"),
        attempts=[
            Attempt(**{name: value for name, value in attempt.items() if name in Attempt.__slots__})
            for attempt in json_value(get("attempts")) or ()
        ],
        error=_error(row),
        cached=bool(get("cached")),
        saved_usd=_amount(get("saved_usd")),
        dropped_parameters=tuple(json_value(get("dropped_parameters")) or ()),
    )


def messages_of(row: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """The messages of a prompt's row, as :func:`llm_playground.types.messages_as_json` writes them.

    Rows that other programs insert may only have ``user_prompt`` and ``system_prompt``, or no list
    of messages in ``messages``. None if the text is not stored.

    >>> messages_of({"messages": None, "user_prompt": "Hi.", "system_prompt": None})
    [{'role': 'user', 'content': 'Hi.'}]
    """
    stored = json_value(row.get("messages"))
    if are_messages(stored):
        return stored
    if row["user_prompt"] is None:
        return None
    system, user = row["system_prompt"], {"role": "user", "content": row["user_prompt"]}
    return [user] if system is None else [{"role": "system", "content": system}, user]


def are_messages(value: object) -> TypeGuard[list[dict[str, Any]]]:
    """Whether a JSON value is a list of messages, each with a role, and a text or parts.

    >>> are_messages([{"role": "user", "content": "Hi."}]), are_messages([{"role": "user"}])
    (True, False)
    """
    return isinstance(value, list) and all(map(_is_message, value))


def _is_message(value: object) -> bool:
    if not isinstance(value, Mapping) or not isinstance(value.get("role"), str):
        return False
    content = value.get("content")
    if isinstance(content, list):
        return all(isinstance(part, Mapping) for part in content)
    return isinstance(content, str)


def json_value(value: Any) -> Any:  # noqa: ANN401 - a JSON value is any of six types
    """The value of a JSON column, which is text in rows of the database.

    >>> json_value('{"seed": 1}'), json_value({"seed": 1}), json_value(None)
    ({'seed': 1}, {'seed': 1}, None)
    """
    return json.loads(value) if isinstance(value, str) else value


def _parameters(row: Mapping[str, Any]) -> Parameters:
    values = dict(json_value(row.get("parameters")) or {})
    if "stop" in values:
        stop = values["stop"]
        values["stop"] = (stop,) if isinstance(stop, str) else tuple(stop)
    return Parameters(**values)


def _moment(value: Any) -> datetime:  # noqa: ANN401 - text, or a datetime of Python or pandas
    if value is None:
        return datetime.fromtimestamp(0, UTC)
    if isinstance(value, str):
        return datetime.fromisoformat(value)
    moment: datetime = value.to_pydatetime() if hasattr(value, "to_pydatetime") else value
    return moment


def _amount(value: object) -> Decimal | None:
    return None if value is None else Decimal(str(value))


def _usage(row: Mapping[str, Any]) -> Usage | None:
    counts = {name: row.get(name) for name in TOKEN_COLUMNS}
    units = json_value(row.get("billed_units")) or {}
    if all(count is None for count in counts.values()) and not units:
        return None
    tokens = {name: None if count is None else int(count) for name, count in counts.items()}
    return replace(
        Usage(**tokens),  # type: ignore[arg-type]  # the names are those of token counts
        service_tier=row.get("service_tier"),
        billed_units={str(unit): int(count) for unit, count in units.items()},
        reported_cost_usd=(
            _amount(row.get("cost_usd")) if row.get("price_source") == "provider" else None
        ),
    )


def _tool_call_of(value: Mapping[str, Any]) -> ToolCall:
    arguments = value.get("arguments")
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return ToolCall(str(value.get("id", "")), str(value.get("name", "")), text)


def _source_of(value: Mapping[str, Any]) -> Source:
    return Source(
        value.get("title"), value.get("url"), value.get("quote"), tuple(value.get("cited_at") or ())
    )


def _error(row: Mapping[str, Any]) -> LLMError | None:
    name, message = row.get("error_type"), row.get("error_message")
    if not name and not message:
        return None
    kind = getattr(errors, str(name), LLMError)
    if not (isinstance(kind, type) and issubclass(kind, LLMError)):
        kind = LLMError
    return kind(str(message or name), detail=row.get("error_detail"))

"""Runs as rows and rows as runs, for the journals, the database and everything that reads it.

:func:`row_of` and :func:`run_of` use the column names of the view ``runs``; :func:`prompt_row`,
:func:`execution_row` and :func:`result_row` those of the tables.

A journal has one JSON object per line: a ``kind`` for human readers and any of ``prompt``,
``execution``, ``result``, ``definition``, ``audit`` (rows) and ``pieces`` (new text of running
runs, ordered by ``n``). Every string passes :func:`llm_playground.redaction.redact` before it is
written.

Compressed texts are zlib bytes in the column ``texts_gz``, packed row by row so that each row can
be deleted for good. The text columns themselves are NULL then; readers unpack them here.
"""

from __future__ import annotations

import json
import math
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from llm_playground.parts import (
    AnswerPart,
    ReasoningPart,
    Source,
    TextPart,
    ToolCall,
    part_as_json,
)
from llm_playground.redaction import redact
from llm_playground.types import (
    Attempt,
    Execution,
    Request,
    Run,
    Usage,
    messages_as_json,
)

if TYPE_CHECKING:
    import pandas as pd


Row = dict[str, Any]
TOKEN_COLUMNS = tuple(one.name for one in fields(Usage) if one.name.endswith("_tokens"))

PROMPT_COLUMNS: dict[str, str] = {
    "id": "VARCHAR",
    "created_at": "TIMESTAMPTZ",
    "system_prompt": "VARCHAR",
    "user_prompt": "VARCHAR",
    "messages": "JSON",
    "parameters": "JSON",
    "selected_model": "VARCHAR",
    "prompt_hash": "VARCHAR",
    "attachments": "JSON",
    "tools": "JSON",
    "schema_hash": "VARCHAR",
}
DEFINITION_COLUMNS: dict[str, str] = {
    "id": "VARCHAR",
    "kind": "VARCHAR",
    "name": "VARCHAR",
    "content": "VARCHAR",
    "created_at": "TIMESTAMPTZ",
}
EXECUTION_COLUMNS: dict[str, str] = {
    "id": "VARCHAR",
    "prompt_id": "VARCHAR",
    "iterations": "INTEGER",
    "status": "VARCHAR",
    "started_at": "TIMESTAMPTZ",
    "completed_at": "TIMESTAMPTZ",
    "source": "VARCHAR",
    "username": "VARCHAR",
    "notebook": "VARCHAR",
    "cell_id": "VARCHAR",
    "git_commit": "VARCHAR",
    "tags": "JSON",
    "process": "VARCHAR",
    "git_dirty": "BOOLEAN",
    "variables": "JSON",
    "inputs": "JSON",
    "tool_use": "JSON",
    "wire_format": "VARCHAR",
    "base_url": "VARCHAR",
}
RESULT_COLUMNS: dict[str, str] = {
    "id": "VARCHAR",
    "execution_id": "VARCHAR",
    "iteration_number": "INTEGER",
    "prompt_hash": "VARCHAR",
    "provider": "VARCHAR",
    "model": "VARCHAR",
    "response_model": "VARCHAR",
    "response_text": "VARCHAR",
    "reasoning_text": "VARCHAR",
    "tool_calls": "JSON",
    "tokens_used": "JSON",
    **dict.fromkeys(TOKEN_COLUMNS, "BIGINT"),
    "usage_source": "VARCHAR",
    "cost_usd": "DECIMAL(18, 12)",
    "price_source": "VARCHAR",
    "ttft_ms": "DOUBLE",
    "response_time_ms": "DOUBLE",
    "queue_ms": "DOUBLE",
    "attempts": "JSON",
    "status": "VARCHAR",
    "finish_reason": "VARCHAR",
    "error_type": "VARCHAR",
    "error_message": "VARCHAR",
    "cached": "BOOLEAN",
    "started_at": "TIMESTAMPTZ",
    "error_detail": "VARCHAR",
    "dropped_parameters": "JSON",
    "saved_usd": "DECIMAL(18, 12)",
    "service_tier": "VARCHAR",
    "billed_units": "JSON",
    "parts": "JSON",
    "sources": "JSON",
    "stop_sequence": "VARCHAR",
    "at_least_usd": "DECIMAL(18, 12)",
}
RATING_COLUMNS: dict[str, str] = {
    "id": "VARCHAR",
    "result_id": "VARCHAR",
    "against_result_id": "VARCHAR",
    "username": "VARCHAR",
    "score": "DOUBLE",
    "note": "VARCHAR",
    "blind": "BOOLEAN",
    "created_at": "TIMESTAMPTZ",
}

AUDIT_COLUMNS: dict[str, str] = {
    "id": "VARCHAR",
    "created_at": "TIMESTAMPTZ",
    "username": "VARCHAR",
    "action": "VARCHAR",
    "target": "VARCHAR",
    "detail": "JSON",
    "notebook": "VARCHAR",
}


def _of(table: str, *columns: str) -> dict[str, str]:
    return {name: f"{table}.{name}" for name in columns}


# The columns of the view `runs`, in its order: what each is of `results` r, `executions` e,
# `prompts` p and the mean ratings s. A migration may only append here, see `schema`.
RUN_COLUMNS: dict[str, str] = {
    "run_id": "r.id",
    **_of("r", "execution_id"),
    **_of("e", "prompt_id"),
    **_of("r", "prompt_hash", "started_at"),
    **_of("e", "username", "notebook", "cell_id", "git_commit", "tags", "source"),
    **_of("r", "provider", "model", "response_model"),
    **_of("p", "system_prompt", "user_prompt", "parameters"),
    **_of("r", "response_text", "reasoning_text", "status", "finish_reason"),
    **_of("r", *TOKEN_COLUMNS, "usage_source", "cost_usd", "price_source"),
    **_of("r", "ttft_ms", "response_time_ms", "queue_ms", "attempts"),
    **_of("r", "error_type", "error_message", "iteration_number"),
    "cached": "coalesce(r.cached, false)",
    **_of("s", "rating"),
    **_of("r", "saved_usd"),
    **_of("e", "git_dirty", "variables"),
    "compressed": "r.texts_gz IS NOT NULL OR p.texts_gz IS NOT NULL",
    **_of("p", "attachments"),
    **_of("r", "service_tier", "billed_units", "parts", "sources", "stop_sequence", "at_least_usd"),
    **_of("e", "inputs"),
}
_TYPES = {**PROMPT_COLUMNS, **EXECUTION_COLUMNS, **RESULT_COLUMNS}
_TYPES |= {"run_id": "VARCHAR", "rating": "DOUBLE", "compressed": "BOOLEAN"}
RUN_TYPES = {name: _TYPES[name] for name in RUN_COLUMNS}


def selected(columns: Mapping[str, str]) -> str:
    """Columns as the list of a SELECT.

    >>> selected({"run_id": "r.id", "rating": "s.rating"})
    'r.id AS run_id, s.rating AS rating'
    """
    return ", ".join(f"{expression} AS {name}" for name, expression in columns.items())


def prompt_row(run: Run, request: Request, prompt_hash: str) -> Row:
    """The row of ``prompts`` for a run's request."""
    messages = messages_as_json(request.messages)
    parts = (part for message in messages for part in message["content"])
    return {
        "id": run.prompt_id,
        "created_at": run.started_at,
        "system_prompt": request.system,
        "user_prompt": request.user_prompt,
        "messages": messages,
        "parameters": request.parameters.with_effect().as_dict(),
        "selected_model": request.model,
        "prompt_hash": prompt_hash,
        "attachments": [part["sha256"] for part in parts if "sha256" in part] or None,
        "tools": None,  # these two are those of ``definitions.references``
        "schema_hash": None,
    }


def execution_row(execution: Execution, request: Request) -> Row:
    """The row of ``executions`` for a running execution of a request."""
    converted = {
        "status": "running",
        "completed_at": None,
        "git_dirty": None,  # git would run filters of the repository to find it
        "tags": list(execution.tags),
        "variables": dict(execution.variables) or None,
        "inputs": None if execution.inputs is None else execution.inputs.as_json(),
        "tool_use": None if execution.tool_use is None else execution.tool_use.as_json(),
        "wire_format": request.wire_format,
        "base_url": request.endpoint,
    }
    return _row(execution, EXECUTION_COLUMNS, converted)


def result_row(run: Run, prompt_hash: str | None) -> Row:
    """The row of ``results`` for a run in its present state."""
    usage, error = run.usage or Usage(), run.error
    converted = {
        "prompt_hash": prompt_hash,
        "response_text": run.text,
        "reasoning_text": run.reasoning or None,
        "tool_calls": [_tool_call(call) for call in run.tool_calls] or None,
        "tokens_used": tokens_used(run.usage),
        **{name: getattr(usage, name) for name in TOKEN_COLUMNS},
        **{
            name: None if (amount := getattr(run, name)) is None else f"{amount:f}"
            for name in ("cost_usd", "at_least_usd", "saved_usd")
        },
        "attempts": [_attempt(attempt) for attempt in run.attempts],
        "error_type": None if error is None else type(error).__name__,
        "error_message": None if error is None else str(error),
        "error_detail": None if error is None else error.detail,
        "dropped_parameters": list(run.dropped_parameters),
        "billed_units": dict(usage.billed_units) or None,
        "parts": _parts(run),
        "sources": [_source(source) for source in run.sources] or None,
    }
    return _row(run, RESULT_COLUMNS, converted)


def _row(value: Execution | Run, columns: Iterable[str], converted: Row) -> Row:
    """The attributes named as the columns, or what they are converted to."""
    return {
        name: converted[name] if name in converted else getattr(value, name) for name in columns
    }


def row_of(run: Run) -> Row:
    """What a run itself holds, by the columns of the view ``runs``; absent are other columns.

    JSON columns are JSON values, amounts text with all their digits, ``started_at`` a datetime.
    """
    result = result_row(run, None)
    known = {"run_id": run.id, "prompt_id": run.prompt_id, "parameters": run.parameters.as_dict()}
    return {name: result[name] for name in RUN_COLUMNS if name in result} | known


def plain_parts(text: str, reasoning: str, calls: tuple[ToolCall, ...]) -> tuple[AnswerPart, ...]:
    """The parts of an answer that has no others: reasoning, text, tool calls."""
    before = (ReasoningPart(reasoning),) if reasoning else ()
    return (*before, *((TextPart(text),) if text else ()), *calls)


def _parts(run: Run) -> list[Row] | None:
    """The parts as JSON; None where the other columns have them all."""
    if run.parts == plain_parts(run.text, run.reasoning, run.tool_calls):
        return None
    return [part_as_json(part) for part in run.parts] or None


def _source(source: Source) -> Row:
    values = {name: getattr(source, name) for name in Source.__slots__}
    return {name: value for name, value in values.items() if value not in (None, ())}


def journal_line(kind: str, **content: object) -> bytes:
    r"""One journal line, redacted, ending in a newline.

    >>> journal_line("finished", result={"id": "r1"})
    b'{"kind":"finished","result":{"id":"r1"}}\n'
    """
    record = {"kind": kind} | content
    try:
        text = _JSON.encode(record)
        encoded = text.encode()
    except (TypeError, ValueError):  # a value that JSON or UTF-8 cannot represent
        return _encode(clean_json(record))
    # One search over the whole line: one per text would cost more than the rest of recording.
    plain = _ESCAPE.sub(_unescaped, text) if "\\" in text else text
    return encoded + b"\n" if redact(plain) == plain else _encode(clean_json(record))


def text_line(n: int, pieces: Mapping[str, str]) -> bytes:
    """The line for new text by run id; ``pieces`` are redacted already."""
    new = [{"id": run_id, "text": _encodable(text)} for run_id, text in pieces.items()]
    return _encode({"kind": "text", "n": n, "pieces": new})


def _encode(record: Row) -> bytes:
    return _JSON.encode(record).encode() + b"\n"


def tokens_used(usage: Usage | None) -> dict[str, int] | None:
    """The counts as JSON, by the names of the column ``tokens_used``.

    >>> tokens_used(Usage(10, 5))
    {'input': 10, 'output': 5, 'total': 15}
    """
    if usage is None:
        return None
    counts = {
        "input": usage.input_tokens,
        "output": usage.output_tokens,
        "total": usage.total_tokens,
        "cache_read": usage.cache_read_tokens,
        "cache_write": usage.cache_write_tokens,
        "reasoning": usage.reasoning_tokens,
    }
    return {name: count for name, count in counts.items() if count is not None}


def _tool_call(call: ToolCall) -> Row:
    """A call with its arguments as a JSON object, or as the model's text if that is invalid."""
    try:
        arguments: object = call.arguments
    except (ValueError, RecursionError):
        arguments = call.arguments_json
    return {"id": call.id, "name": call.name, "arguments": arguments}


def _attempt(attempt: Attempt) -> dict[str, object]:
    values = {name: getattr(attempt, name) for name in Attempt.__slots__}
    return {name: value for name, value in values.items() if value is not None}


def clean_text(text: str) -> str:
    """Text without API keys; lone surrogates become ``?``, because UTF-8 cannot encode them."""
    return _encodable(redact(text))


def clean_json(value: object) -> Any:  # noqa: ANN401 - a JSON value is any of six types
    """A JSON value without API keys, NaN, infinities and lone surrogates."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, str):  # before the abstract classes, whose checks take longer
        return clean_text(str(value))
    if isinstance(value, (float, Decimal)):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {clean_text(str(name)): clean_json(item) for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        return [clean_json(item) for item in value]
    return clean_text(str(value))


def _isoformat(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(type(value).__name__)


_JSON = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_isoformat
)
_ESCAPE = re.compile(r"\\(?:u[0-9a-f]{4}|.)")
_ESCAPED = {
    r"\"": '"',
    r"\\": "\\",
    r"\n": "\n",
    r"\r": "\r",
    r"\t": "\t",
    r"\b": "\b",
    r"\f": "\f",
}


def _unescaped(escape: re.Match[str]) -> str:
    return _ESCAPED.get(escape[0]) or chr(int(escape[0][2:], 16))


def _encodable(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


# The packed texts of an answer and of its prompt, by the names that queries select them under.
PACKED = {"_result_gz": "r.texts_gz", "_prompt_gz": "p.texts_gz"}


def pack(texts: Mapping[str, str | None]) -> bytes:
    """Texts by column, as the bytes of ``texts_gz``; None is left out.

    >>> unpack(pack({"response_text": "hello", "reasoning_text": None}))
    {'response_text': 'hello'}
    """
    known = {name: text for name, text in texts.items() if text is not None}
    return zlib.compress(json.dumps(known, ensure_ascii=False).encode(), level=9)


def unpack(packed: bytes) -> dict[str, str]:
    """The texts by column.

    Raises:
        ValueError: These are not bytes of :func:`pack`.
    """
    try:
        texts = json.loads(zlib.decompress(packed))
    except zlib.error as error:
        raise ValueError(str(error)) from None
    return dict(texts)


def unpacked_row(row: Row) -> Row:
    """The row with its packed texts in their columns and without the columns of :data:`PACKED`."""
    packed = [row[name] for name in PACKED if row.get(name) is not None]
    texts = {name: text for one in packed for name, text in unpack(bytes(one)).items()}
    found = row | {name: text for name, text in texts.items() if name in row}
    return {name: value for name, value in found.items() if name not in PACKED}


def unpacked(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with its packed texts in their columns and without those of :data:`PACKED`."""
    for column in PACKED:
        known = frame[column].notna()
        for index, packed in frame.loc[known, column].items():
            for name, text in unpack(bytes(packed)).items():
                if name in frame.columns:
                    frame.loc[index, name] = text
    return frame.drop(columns=list(PACKED))

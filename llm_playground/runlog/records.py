"""What a journal holds: one JSON object per line, made of rows as the tables have them.

A line has a ``kind`` for people and any of ``prompt``, ``execution``, ``result``, ``audit`` (rows)
and ``pieces`` (new text of running runs, ``n`` orders them) for the drain. Keys never get this
far: every string passes :func:`llm_playground.redact.redact` on its way into a line.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from llm_playground.redact import redact
from llm_playground.types import (
    Attempt,
    Execution,
    Request,
    Run,
    ToolCall,
    Usage,
    messages_as_json,
)

Row = dict[str, Any]

PROMPT_COLUMNS: dict[str, str] = {
    "id": "VARCHAR",
    "created_at": "TIMESTAMPTZ",
    "system_prompt": "VARCHAR",
    "user_prompt": "VARCHAR",
    "messages": "JSON",
    "parameters": "JSON",
    "selected_model": "VARCHAR",
    "prompt_hash": "VARCHAR",
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
    "input_tokens": "BIGINT",
    "output_tokens": "BIGINT",
    "cache_read_tokens": "BIGINT",
    "cache_write_tokens": "BIGINT",
    "reasoning_tokens": "BIGINT",
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


def prompt_row(run: Run, request: Request, prompt_hash: str) -> Row:
    """The row of ``prompts`` for what a run sends."""
    return {
        "id": run.prompt_id,
        "created_at": run.started_at,
        "system_prompt": request.system,
        "user_prompt": request.user_prompt,
        "messages": messages_as_json(request.messages),
        "parameters": request.parameters.as_dict(),
        "selected_model": request.model,
        "prompt_hash": prompt_hash,
    }


def execution_row(execution: Execution) -> Row:
    """The row of ``executions`` while it runs."""
    return {
        "id": execution.id,
        "prompt_id": execution.prompt_id,
        "iterations": execution.iterations,
        "status": "running",
        "started_at": execution.started_at,
        "completed_at": None,
        "source": execution.source,
        "username": execution.username,
        "notebook": execution.notebook,
        "cell_id": execution.cell_id,
        "git_commit": execution.git_commit,
        "tags": list(execution.tags),
        "process": execution.process,
        "git_dirty": execution.git_dirty,
        "variables": dict(execution.variables) or None,
    }


def result_row(run: Run, prompt_hash: str | None) -> Row:
    """The row of ``results`` for a run as it stands."""
    usage = run.usage or Usage()
    return {
        "id": run.id,
        "execution_id": run.execution_id,
        "iteration_number": run.iteration_number,
        "prompt_hash": prompt_hash,
        "provider": run.provider,
        "model": run.model,
        "response_model": run.response_model,
        "response_text": run.text,
        "reasoning_text": run.reasoning or None,
        "tool_calls": [_tool_call(call) for call in run.tool_calls] or None,
        "tokens_used": _tokens_used(run.usage),
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_tokens": usage.cache_read_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "usage_source": run.usage_source,
        "cost_usd": None if run.cost_usd is None else f"{run.cost_usd:f}",
        "price_source": run.price_source,
        "ttft_ms": run.ttft_ms,
        "response_time_ms": run.response_time_ms,
        "queue_ms": run.queue_ms,
        "attempts": [_attempt(attempt) for attempt in run.attempts],
        "status": run.status,
        "finish_reason": run.finish_reason,
        "error_type": None if run.error is None else type(run.error).__name__,
        "error_message": None if run.error is None else str(run.error),
        "cached": run.cached,
        "started_at": run.started_at,
        "error_detail": None if run.error is None else run.error.detail,
        "dropped_parameters": list(run.dropped_parameters),
        "saved_usd": None if run.saved_usd is None else f"{run.saved_usd:f}",
    }


def line(kind: str, **content: object) -> bytes:
    r"""One journal line, redacted, ending in a newline.

    >>> line("finished", result={"id": "r1"})
    b'{"kind":"finished","result":{"id":"r1"}}\n'
    """
    record = {"kind": kind} | content
    try:
        text = _JSON.encode(record)
        encoded = text.encode()
    except (TypeError, ValueError):  # something that JSON or UTF-8 has no place for
        return _encode(_clean(record))
    # One search over all: one for each text would cost more than the rest of a call's log.
    said = _ESCAPE.sub(_unescaped, text) if "\\" in text else text
    return encoded + b"\n" if redact(said) == said else _encode(_clean(record))


def text_line(n: int, pieces: Mapping[str, str]) -> bytes:
    """The line for new text by run id; ``pieces`` are redacted already."""
    held = [{"id": run_id, "text": _unicode(text)} for run_id, text in pieces.items()]
    return _encode({"kind": "text", "n": n, "pieces": held})


def _encode(record: Row) -> bytes:
    return _JSON.encode(record).encode() + b"\n"


def _tokens_used(usage: Usage | None) -> dict[str, int] | None:
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
    """A call with its arguments as JSON, or as the text that the model wrote where it is none."""
    try:
        arguments: object = call.arguments
    except (ValueError, RecursionError):
        arguments = call.arguments_json
    return {"id": call.id, "name": call.name, "arguments": arguments}


def _attempt(attempt: Attempt) -> dict[str, object]:
    values = {name: getattr(attempt, name) for name in Attempt.__slots__}
    return {name: value for name, value in values.items() if value is not None}


def _clean(value: object) -> Any:  # noqa: ANN401 - a JSON value is any of six types
    """A JSON value without keys, without NaN, and without what UTF-8 cannot carry."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, str):
        return _unicode(redact(value))
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {redact(str(name)): _clean(item) for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        return [_clean(item) for item in value]
    return _unicode(redact(str(value)))


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
    """The character that JSON writes so."""
    return _ESCAPED.get(escape[0]) or chr(int(escape[0][2:], 16))


def _unicode(text: str) -> str:
    """Lone surrogates become ``?``: one would cost the whole line."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()

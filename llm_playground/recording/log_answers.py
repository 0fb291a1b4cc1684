"""Answers of the log: the k-th identical request gets the k-th stored answer of the same user.

``Restart & Run All`` costs nothing, and a loop of ten calls stays ten answers. Requests are
identical if their :meth:`llm_playground.types.Request.prompt_hash` is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from llm_playground import config, provenance
from llm_playground.recording import numbers
from llm_playground.recording.entries import JSON, StoredAnswer
from llm_playground.runlog import open_log
from llm_playground.runlog.attachments import parts_with_bytes
from llm_playground.runlog.journal import patience_s
from llm_playground.runlog.reading import json_value, messages_of, run_of
from llm_playground.runlog.rows import unpacked_row
from llm_playground.types import Execution, Request, Run

# Without the call's own execution, of which other iterations may have ended already.
_FROM = """
FROM results r LEFT JOIN executions e ON e.id = r.execution_id
WHERE r.prompt_hash = $hash AND r.status = 'completed' AND NOT coalesce(r.cached, false)
  AND (r.response_text IS NOT NULL OR r.texts_gz IS NOT NULL)
  AND (e.username = $username OR $everyone)
  AND r.execution_id IS DISTINCT FROM $execution
"""
_COUNT = f"SELECT count(*) AS answers {_FROM}"
_STORED = f"""
SELECT r.response_text, r.reasoning_text, CAST(r.tool_calls AS VARCHAR) AS tool_calls,
       r.response_model, r.finish_reason, r.input_tokens, r.output_tokens, r.cache_read_tokens,
       r.cache_write_tokens, r.reasoning_tokens, CAST(r.cost_usd AS VARCHAR) AS cost_usd,
       r.service_tier, CAST(r.billed_units AS VARCHAR) AS billed_units,
       CAST(r.parts AS VARCHAR) AS parts, CAST(r.sources AS VARCHAR) AS sources,
       r.stop_sequence,
       r.status, r.texts_gz AS _result_gz, r.id AS run_id
{_FROM}
ORDER BY coalesce(e.started_at, r.started_at), r.execution_id, r.iteration_number,
         r.started_at, r.id
LIMIT 1 OFFSET $skipped
"""
_ASKED = """
SELECT p.selected_model, CAST(p.parameters AS VARCHAR) AS parameters, p.system_prompt,
       p.user_prompt, CAST(p.messages AS VARCHAR) AS messages, p.texts_gz AS _prompt_gz
FROM prompts p JOIN (
  SELECT prompt_id, max(started_at) AS asked_at FROM executions
  WHERE status IN ('completed', 'partial') AND (username = $username OR $everyone)
  GROUP BY prompt_id
) e ON e.prompt_id = p.id
WHERE p.selected_model IS NOT NULL AND p.prompt_hash IS DISTINCT FROM $hash
ORDER BY p.selected_model = $model DESC, e.asked_at DESC NULLS LAST, p.id DESC LIMIT 200
"""


@dataclass(frozen=True, slots=True)
class _Pending:
    execution_id: str
    answer: asyncio.Future[StoredAnswer | None]


# By loop, hash and iteration number, which identical requests that are under way have in common.
_pending: dict[tuple[asyncio.AbstractEventLoop, str, int], _Pending] = {}


async def stored_or_sent(
    request: Request,
    execution: Execution,
    iteration_number: int,
    send: Callable[[], Awaitable[Run]],
) -> StoredAnswer | Run:
    """The stored answer for a request, or the run of sending it.

    Of two identical requests of different executions that are under way at once, one is sent and
    the other gets its answer. Iterations of one execution stay different answers.

    ``send`` sends it, or raises that it must not be.

    Raises:
        RunLogError: The log cannot be read, or another process has kept it for a second.
    """
    loop = asyncio.get_running_loop()
    key = loop, request.prompt_hash(), iteration_number
    while (pending := _pending.get(key)) and pending.execution_id != execution.id:
        stored = await asyncio.shield(pending.answer)
        if stored is not None:
            return stored
    nth = numbers.of_iteration(request.prompt_hash(), execution, iteration_number)
    answer = loop.create_future()
    mine = _pending.setdefault(key, _Pending(execution.id, answer))
    try:
        found = await _find(request, execution, nth) or await send()
        answer.set_result(_as_stored(found))
    finally:
        if mine.answer is answer:
            del _pending[key]
        if not answer.done():
            answer.set_result(None)
    return found


def _as_stored(found: StoredAnswer | Run) -> StoredAnswer | None:
    """The answer as an identical request gets it; None unless it was completed."""
    if isinstance(found, StoredAnswer):
        return found
    return StoredAnswer(found) if found.status == "completed" else None


async def _find(request: Request, execution: Execution, nth: int) -> StoredAnswer | None:
    values = {
        "hash": request.prompt_hash(),
        "username": execution.username,
        "everyone": config.settings().reuse_from == "everyone",
        "skipped": nth - 1,
        "execution": execution.id,
    }
    return await asyncio.to_thread(_read, request, values)


def _read(request: Request, values: Mapping[str, object]) -> StoredAnswer | None:
    log = open_log()
    # A suspended kernel or a long query of another one may keep the log; a call then fails soon,
    # since sending it would cost what re-use saves.
    found = log.rows(_STORED, values, wait_s=patience_s())
    if not found:
        return None
    run = run_of(unpacked_row(found[0]), request.parameters)
    return StoredAnswer(replace(run, parts=parts_with_bytes(log, run.parts)))


def number_of(request: Request) -> int:
    """How many answers to a request the log has for this user.

    Raises:
        RunLogError: The log cannot be read.
    """
    values = {
        "hash": request.prompt_hash(),
        "username": provenance.username(),
        "everyone": config.settings().reuse_from == "everyone",
        "execution": "",
    }
    [row] = open_log().rows(_COUNT, values, wait_s=patience_s())
    return int(row["answers"])


def asked_before(request: Request) -> list[JSON]:
    """The newest other described requests of this user with an answer, those to its model first.

    Raises:
        RunLogError: The log cannot be read.
    """
    values = {
        "hash": request.prompt_hash(),
        "model": request.model,
        "username": provenance.username(),
        "everyone": config.settings().reuse_from == "everyone",
    }
    found = open_log().rows(_ASKED, values, wait_s=patience_s())
    return [_described(unpacked_row(row)) for row in found]


def _described(row: Mapping[str, Any]) -> JSON:
    """A prompt's row as ``entries.described`` describes its request, without tools and schema."""
    turns = messages_of(row) or []
    return {
        "model": row["selected_model"],
        "parameters": json_value(row["parameters"]) or {},
        "messages": [{str(turn.get("role")): _text_of(turn.get("content"))} for turn in turns],
    }


def _text_of(content: object) -> object:
    """The text of a turn that has nothing else."""
    if isinstance(content, list) and all(
        isinstance(part, Mapping) and part.get("type") == "text" for part in content
    ):
        return "".join(str(part.get("text")) for part in content)
    return content

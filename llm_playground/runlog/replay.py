"""Answers from the log instead of from a provider.

The k-th identical request of this kernel gets the k-th stored answer of the same user:
``Restart & Run All`` costs nothing, the same cell run twice sends again, and a loop of ten calls
stays ten answers. Requests are identical if their
:meth:`llm_playground.types.Request.prompt_hash` is.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from llm_playground import config
from llm_playground.errors import ConfigError
from llm_playground.parts import AnswerPart, Source, ToolCall
from llm_playground.runlog import open_log
from llm_playground.runlog.attachments import parts_with_bytes
from llm_playground.runlog.journal import patience_s
from llm_playground.runlog.reading import run_of
from llm_playground.runlog.rows import unpacked_row
from llm_playground.types import Execution, FinishReason, Request, Run, Usage

_STORED = """
SELECT r.response_text, r.reasoning_text, CAST(r.tool_calls AS VARCHAR) AS tool_calls,
       r.response_model, r.finish_reason, r.input_tokens, r.output_tokens, r.cache_read_tokens,
       r.cache_write_tokens, r.reasoning_tokens, CAST(r.cost_usd AS VARCHAR) AS cost_usd,
       r.service_tier, CAST(r.billed_units AS VARCHAR) AS billed_units,
       CAST(r.parts AS VARCHAR) AS parts, CAST(r.sources AS VARCHAR) AS sources,
       r.stop_sequence,
       r.status, r.texts_gz AS _result_gz, r.id AS run_id
FROM results r LEFT JOIN executions e ON e.id = r.execution_id
WHERE r.prompt_hash = $hash AND r.status = 'completed' AND NOT coalesce(r.cached, false)
  AND (r.response_text IS NOT NULL OR r.texts_gz IS NOT NULL)
  AND (e.username = $username OR $everyone)
ORDER BY r.started_at, r.id LIMIT 1 OFFSET $skipped
"""


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An answer that an identical request reuses. ``cost_usd`` is None if its cost is unknown."""

    text: str
    reasoning: str
    tool_calls: tuple[ToolCall, ...]
    parts: tuple[AnswerPart, ...]
    sources: tuple[Source, ...]
    stop_sequence: str | None
    response_model: str | None
    finish_reason: FinishReason | None
    usage: Usage | None
    cost_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class _Pending:
    execution_id: str
    answer: asyncio.Future[StoredAnswer | None]


_counts: Counter[str] = Counter()
# By loop, hash and iteration number, which identical requests that are under way have in common.
_pending: dict[tuple[asyncio.AbstractEventLoop, str, int], _Pending] = {}


def count_request(request: Request) -> int:
    """Count a request of this kernel; how often it was made, this time included."""
    prompt_hash = request.prompt_hash()
    _counts[prompt_hash] += 1
    return _counts[prompt_hash]


def reset() -> None:
    """Forget the requests of this kernel, as a restart does."""
    _counts.clear()


async def stored_or_sent(
    request: Request,
    execution: Execution,
    iteration_number: int,
    send: Callable[[], Awaitable[Run]],
) -> StoredAnswer | Run:
    """The stored answer for a request, or the run of sending it.

    Of two identical requests of different executions that are under way at once, one is sent and
    the other gets its answer. Iterations of one execution stay different answers.

    Raises:
        ConfigError: Mode ``replay`` and no answer is stored, or ``reuse`` and privacy stores none.
        RunLogError: The log cannot be read, or another process has kept it for a second.
    """
    if config.mode() == "reuse" and config.privacy().store != "texts":
        raise ConfigError(
            f'No answer can be re-used: privacy is "{config.privacy().store}", so none is stored. '
            'lp.configure(mode="live") sends without storing.'
        )
    loop = asyncio.get_running_loop()
    key = loop, request.prompt_hash(), iteration_number
    while (pending := _pending.get(key)) and pending.execution_id != execution.id:
        stored = await asyncio.shield(pending.answer)
        if stored is not None:
            return stored
    nth, answer = count_request(request), loop.create_future()
    mine = _pending.setdefault(key, _Pending(execution.id, answer))
    try:
        found = await _find(request, execution, nth) or await _sent(request, send)
        answer.set_result(_as_stored(found))
    finally:
        if mine.answer is answer:
            del _pending[key]
        if not answer.done():
            answer.set_result(None)
    return found


async def _sent(request: Request, send: Callable[[], Awaitable[Run]]) -> Run:
    if config.mode() == "replay":
        raise ConfigError(
            f"No answer is stored for this prompt to {request.model}, and replay never sends. "
            'Run it once with lp.configure(mode="live").',
            model=request.model,
        )
    return await send()


def _as_stored(found: StoredAnswer | Run) -> StoredAnswer | None:
    """The answer as an identical request gets it; None unless it was completed."""
    if isinstance(found, StoredAnswer):
        return found
    if found.status != "completed":
        return None
    return StoredAnswer(
        text=found.text,
        reasoning=found.reasoning,
        tool_calls=found.tool_calls,
        parts=found.parts,
        sources=found.sources,
        stop_sequence=found.stop_sequence,
        response_model=found.response_model,
        finish_reason=found.finish_reason,
        usage=found.usage,
        cost_usd=found.cost_usd,
    )


async def _find(request: Request, execution: Execution, nth: int) -> StoredAnswer | None:
    values = {
        "hash": request.prompt_hash(),
        "username": execution.username,
        "everyone": config.settings().reuse_from == "everyone",
        "skipped": nth - 1,
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
    return _as_stored(replace(run, parts=parts_with_bytes(log, run.parts)))

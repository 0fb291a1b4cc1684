"""Answers out of the log instead of from a provider.

The k-th identical request that this kernel makes meets the k-th stored answer of the same user:
``Restart & Run All`` pays nothing, the same cell run twice sends again, and a loop of ten asks
stays ten answers. What is identical, :meth:`llm_playground.types.Request.prompt_hash` says.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from llm_playground import config
from llm_playground.errors import ConfigError
from llm_playground.runlog import open_log, texts
from llm_playground.types import Execution, Request, Run, Stored, ToolCall, Usage

_STORED = """
SELECT r.response_text, r.reasoning_text, CAST(r.tool_calls AS VARCHAR) AS tool_calls,
       r.response_model, r.finish_reason, r.input_tokens, r.output_tokens, r.cache_read_tokens,
       r.cache_write_tokens, r.reasoning_tokens, CAST(r.cost_usd AS VARCHAR) AS cost_usd,
       r.texts_gz
FROM results r LEFT JOIN executions e ON e.id = r.execution_id
WHERE r.prompt_hash = $hash AND r.status = 'completed' AND NOT coalesce(r.cached, false)
  AND (r.response_text IS NOT NULL OR r.texts_gz IS NOT NULL)
  AND (e.username = $username OR $everyone)
ORDER BY r.started_at, r.id LIMIT 1 OFFSET $skipped
"""
_COUNTS = ("input", "output", "cache_read", "cache_write", "reasoning")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where identical requests meet: they may be under way at once on one loop."""

    loop: asyncio.AbstractEventLoop
    prompt_hash: str
    iteration_number: int


@dataclass(frozen=True, slots=True)
class _UnderWay:
    execution_id: str
    answer: asyncio.Future[Stored | None]


_asked: Counter[str] = Counter()
_under_way: dict[_Place, _UnderWay] = {}


def note(request: Request) -> int:
    """Note that this kernel makes a request; how often it has, this time included."""
    prompt_hash = request.prompt_hash()
    _asked[prompt_hash] += 1
    return _asked[prompt_hash]


async def stored_or_sent(
    request: Request,
    execution: Execution,
    iteration_number: int,
    send: Callable[[], Awaitable[Run]],
) -> Stored | Run:
    """The stored answer that a request meets, or the run that sending it makes.

    Of two identical requests of different executions that are under way at once one is sent, and
    the other gets its answer. Iterations of one execution stay different answers.

    Args:
        request: What is asked.
        execution: Who asks.
        iteration_number: Which of its iterations this is.
        send: Sends it.

    Raises:
        ConfigError: In replay, nothing is stored for it; in re-use, privacy stores no answers.
        RunLogError: The log cannot be read.
    """
    if config.mode() == "reuse" and config.privacy().store != "texts":
        raise ConfigError(
            f'Nothing can be re-used later: privacy is "{config.privacy().store}", and no answer '
            'is stored. lp.configure(mode="live") sends without storing.'
        )
    loop = asyncio.get_running_loop()
    place = _Place(loop, request.prompt_hash(), iteration_number)
    while (twin := _under_way.get(place)) and twin.execution_id != execution.id:
        met = await asyncio.shield(twin.answer)
        if met is not None:
            return met
    nth, answer = note(request), loop.create_future()
    mine = _under_way.setdefault(place, _UnderWay(execution.id, answer))
    try:
        found = await _find(request, execution, nth) or await _sent(request, send)
        answer.set_result(_as_stored(found))
    finally:
        if mine.answer is answer:
            del _under_way[place]
        if not answer.done():
            answer.set_result(None)
    return found


async def _sent(request: Request, send: Callable[[], Awaitable[Run]]) -> Run:
    if config.mode() == "replay":
        raise ConfigError(
            f"Nothing is stored for this prompt to {request.model}, and replay never sends. "
            'Run it once with lp.configure(mode="live").',
            model=request.model,
        )
    return await send()


def _as_stored(found: Stored | Run) -> Stored | None:
    """What a twin may have of it: only an answer that was completed."""
    if isinstance(found, Stored):
        return found
    if found.status != "completed":
        return None
    return Stored(
        text=found.text,
        reasoning=found.reasoning,
        tool_calls=found.tool_calls,
        response_model=found.response_model,
        finish_reason=found.finish_reason,
        usage=found.usage,
        saved_usd=found.cost_usd,
    )


async def _find(request: Request, execution: Execution, nth: int) -> Stored | None:
    values = {
        "hash": request.prompt_hash(),
        "username": execution.username,
        "everyone": config.reuse_from() == "everyone",
        "skipped": nth - 1,
    }
    rows = await asyncio.to_thread(open_log().frame, _STORED, values)
    if rows.empty:
        return None
    return _from_row(dict(rows.astype(object).where(rows.notna(), None).iloc[0]))


def _from_row(row: Mapping[str, Any]) -> Stored:
    known = {name: value for name, value in row.items() if value is not None}
    known |= texts.unpack(bytes(known.pop("texts_gz"))) if "texts_gz" in known else {}
    counts = {f"{name}_tokens": known.get(f"{name}_tokens") for name in _COUNTS}
    usage = Usage(**{name: None if n is None else int(n) for name, n in counts.items()})
    calls = json.loads(known.get("tool_calls", "[]"))
    cost = known.get("cost_usd")
    return Stored(
        text=known.get("response_text", ""),
        reasoning=known.get("reasoning_text", ""),
        tool_calls=tuple(
            ToolCall(call["id"], call["name"], json.dumps(call["arguments"])) for call in calls
        ),
        response_model=known.get("response_model"),
        finish_reason=known.get("finish_reason"),
        usage=None if usage == Usage() else usage,
        saved_usd=None if cost is None else Decimal(cost),
    )

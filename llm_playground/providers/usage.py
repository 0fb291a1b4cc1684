"""What each wire format says of the tokens and other units of an answer, as a :class:`Usage`.

Counts are inclusive: cached input is part of input, reasoning is part of output. A part larger than
its whole was counted separately, and is added. Invalid counts are unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from llm_playground.types import Usage

MAX_COUNT = 2**53  # larger JSON numbers are not exact


def of_chat_completions(value: object) -> Usage | None:
    """Usage from Chat Completions, whose counts are inclusive.

    Fields: https://platform.openai.com/docs/api-reference/chat/object#chat/object-usage. DeepSeek
    and Moonshot AI have their own names for cached input; xAI counts reasoning separately, as its
    total shows.

    >>> of_chat_completions({"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11})
    ... # doctest: +ELLIPSIS
    Usage(input_tokens=9, output_tokens=2, ...)
    """
    usage = fields(value)
    prompt = fields(usage.get("prompt_tokens_details"))
    completion = fields(usage.get("completion_tokens_details"))
    input_tokens = _count(usage, "prompt_tokens")
    output_tokens = _count(usage, "completion_tokens")
    reasoning = _count(completion, "reasoning_tokens")
    if input_tokens is not None and output_tokens is not None and reasoning:
        total = input_tokens + output_tokens + reasoning
        output_tokens += reasoning if _count(usage, "total_tokens") == total else 0
    places = (
        (prompt, "cached_tokens"),
        (usage, "prompt_cache_hit_tokens"),
        (usage, "cached_tokens"),
    )
    counts = (_count(*place) for place in places)
    return _usage(
        input_tokens,
        output_tokens,
        read=next((count for count in counts if count is not None), None),
        write=_count(prompt, "cache_write_tokens"),
        reasoning=reasoning,
    )


def of_responses(value: object, calls: Mapping[str, int]) -> Usage | None:
    """Usage of a response of OpenAI's Responses API, whose counts are inclusive.

    ``calls`` are the calls of OpenAI's own tools in the answer, by unit. Searches and the tokens of
    pictures are those of ``tool_usage``, which counts what is billed, where the response has it.
    Fields: ``openai/types/responses/response_usage.py`` and ``ToolUsage`` of ``response.py`` in the
    openai SDK 3.

    >>> of_responses({"usage": {"input_tokens": 9, "output_tokens": 2}}, {"web_searches": 1})
    ... # doctest: +ELLIPSIS
    Usage(input_tokens=9, output_tokens=2, ..., billed_units={'web_searches': 1}, ...)
    """
    response = fields(value)
    counts = fields(response.get("usage"))
    prompt = fields(counts.get("input_tokens_details"))
    writes = fields(prompt.get("cache_write_tokens_details"))
    tools = fields(response.get("tool_usage"))
    pictures = fields(tools.get("image_gen"))
    searches = _count(fields(tools.get("web_search")), "num_requests")
    units: dict[str, int | None] = {
        **calls,
        "web_searches": calls.get("web_searches") if searches is None else searches,
        "cache_write_12h_tokens": _count(writes, "ttl_12h_tokens"),
        "image_generation_input_tokens": _count(pictures, "input_tokens"),
        "image_generation_output_tokens": _count(pictures, "output_tokens"),
    }
    if units["image_generation_output_tokens"]:
        units["image_generations"] = None  # they are billed by these tokens
    usage = _usage(
        _count(counts, "input_tokens"),
        _count(counts, "output_tokens"),
        read=_count(prompt, "cached_tokens"),
        write=_count(prompt, "cache_write_tokens"),
        reasoning=_count(fields(counts.get("output_tokens_details")), "reasoning_tokens"),
    )
    billed = {unit: count for unit, count in units.items() if count}
    if usage is None and not billed:
        return None
    tier = response.get("service_tier")
    return replace(
        usage or Usage(),
        service_tier=tier if isinstance(tier, str) else None,
        billed_units=billed,
    )


def of_messages(value: object) -> Usage | None:
    """Usage from Messages, whose ``input_tokens`` exclude cached input.

    Fields: https://docs.claude.com/en/api/messages#response-usage. For a stream, the counts of
    ``message_start`` updated with the cumulative ones of ``message_delta``.

    >>> of_messages({"input_tokens": 3, "cache_read_input_tokens": 6, "output_tokens": 2})
    ... # doctest: +ELLIPSIS
    Usage(input_tokens=9, output_tokens=2, cache_read_tokens=6, ...)
    """
    usage = fields(value)
    read, write = _count(usage, "cache_read_input_tokens"), _cache_writes(usage)
    uncached = _count(usage, "input_tokens")
    return _usage(
        None if uncached is None else uncached + (read or 0) + (write or 0),
        _count(usage, "output_tokens"),
        read=read,
        write=write,
        reasoning=_count(fields(usage.get("output_tokens_details")), "thinking_tokens"),
    )


def of_generate_content(value: object) -> Usage | None:
    """Usage from Gemini's ``usageMetadata``, which counts thoughts and tool results separately.

    Fields: https://ai.google.dev/api/generate-content#UsageMetadata. Zeros are left out of it.

    >>> of_generate_content({"promptTokenCount": 9, "thoughtsTokenCount": 2})
    ... # doctest: +ELLIPSIS
    Usage(input_tokens=9, output_tokens=2, ..., reasoning_tokens=2)
    """
    usage = fields(value)
    if not usage:
        return None
    thoughts = _count(usage, "thoughtsTokenCount")
    return _usage(
        (_count(usage, "promptTokenCount") or 0) + (_count(usage, "toolUsePromptTokenCount") or 0),
        (_count(usage, "candidatesTokenCount") or 0) + (thoughts or 0),
        read=_count(usage, "cachedContentTokenCount"),
        write=None,
        reasoning=thoughts,
    )


def _cache_writes(usage: Mapping[str, Any]) -> int | None:
    """Tokens written to the cache, which are given as a sum or by the cache's lifetime."""
    total = _count(usage, "cache_creation_input_tokens")
    if total is not None:
        return total
    by_lifetime = fields(usage.get("cache_creation"))
    names = ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")
    counts = [count for name in names if (count := _count(by_lifetime, name)) is not None]
    return sum(counts) if counts else None


def _usage(
    input_tokens: int | None,
    output_tokens: int | None,
    *,
    read: int | None,
    write: int | None,
    reasoning: int | None,
) -> Usage | None:
    cached = (read or 0) + (write or 0)
    if input_tokens is not None and cached > input_tokens:
        input_tokens += cached
    if output_tokens is not None and (reasoning or 0) > output_tokens:
        output_tokens += reasoning or 0
    usage = Usage(input_tokens, output_tokens, read, write, reasoning)
    return None if usage == Usage() else usage


def fields(value: object) -> Mapping[str, Any]:
    """A JSON object's fields; none for another value."""
    return value if isinstance(value, Mapping) else {}


def _count(usage: Mapping[str, Any], name: str) -> int | None:
    value = usage.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return int(value) if 0 <= value < MAX_COUNT else None

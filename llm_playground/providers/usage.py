"""Token counts of the three wire formats as one: inclusive, no part more than its whole.

Cached input is part of input, reasoning is part of output. A part that is larger than its whole
was counted apart by whoever sent it, and is added. What is no count is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llm_playground.types import Usage

_MOST = 2**53  # beyond it JSON's numbers are no counts


def of_chat_completions(said: object) -> Usage | None:
    """``usage`` of Chat Completions, inclusive as it comes.

    Fields: https://platform.openai.com/docs/api-reference/chat/object#chat/object-usage. DeepSeek
    and Moonshot name cached input in their own way; xAI counts reasoning apart, as its total shows.

    >>> of_chat_completions({"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11})
    ... # doctest: +ELLIPSIS
    Usage(input_tokens=9, output_tokens=2, ...)
    """
    usage = _fields(said)
    prompt = _fields(usage.get("prompt_tokens_details"))
    completion = _fields(usage.get("completion_tokens_details"))
    input_tokens = _count(usage, "prompt_tokens")
    output_tokens = _count(usage, "completion_tokens")
    reasoning = _count(completion, "reasoning_tokens")
    if input_tokens is not None and output_tokens is not None and reasoning:
        apart = input_tokens + output_tokens + reasoning
        output_tokens += reasoning if _count(usage, "total_tokens") == apart else 0
    return _usage(
        input_tokens,
        output_tokens,
        read=_first(
            _count(prompt, "cached_tokens"),
            _count(usage, "prompt_cache_hit_tokens"),
            _count(usage, "cached_tokens"),
        ),
        write=_count(prompt, "cache_write_tokens"),
        reasoning=reasoning,
    )


def of_messages(said: object) -> Usage | None:
    """``usage`` of Messages, which counts cached input apart from ``input_tokens``.

    Fields: https://docs.claude.com/en/api/messages#response-usage. Of a stream, the counts of
    ``message_start`` and the later, cumulative ones of ``message_delta`` as one mapping.

    >>> of_messages({"input_tokens": 3, "cache_read_input_tokens": 6, "output_tokens": 2})
    ... # doctest: +ELLIPSIS
    Usage(input_tokens=9, output_tokens=2, cache_read_tokens=6, ...)
    """
    usage = _fields(said)
    read, write = _count(usage, "cache_read_input_tokens"), _cache_writes(usage)
    uncached = _count(usage, "input_tokens")
    return _usage(
        None if uncached is None else uncached + (read or 0) + (write or 0),
        _count(usage, "output_tokens"),
        read=read,
        write=write,
        reasoning=_count(_fields(usage.get("output_tokens_details")), "thinking_tokens"),
    )


def of_generate_content(said: object) -> Usage | None:
    """``usageMetadata`` of Gemini, which counts thoughts and tools' results apart.

    Fields: https://ai.google.dev/api/generate-content#UsageMetadata. Zeros are absent.

    >>> of_generate_content({"promptTokenCount": 9, "thoughtsTokenCount": 2})
    ... # doctest: +ELLIPSIS
    Usage(input_tokens=9, output_tokens=2, ..., reasoning_tokens=2)
    """
    usage = _fields(said)
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
    """Told as a sum, or by how long the cache lives."""
    told = _count(usage, "cache_creation_input_tokens")
    if told is not None:
        return told
    lives = _fields(usage.get("cache_creation"))
    parts = (_count(lives, "ephemeral_5m_input_tokens"), _count(lives, "ephemeral_1h_input_tokens"))
    return sum(part or 0 for part in parts) if any(part is not None for part in parts) else None


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


def _fields(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _count(fields: Mapping[str, Any], name: str) -> int | None:
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < _MOST:
        return None
    return int(value)


def _first(*counts: int | None) -> int | None:
    return next((count for count in counts if count is not None), None)

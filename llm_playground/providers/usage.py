"""Token counts and other billed units of an answer in each wire format, as a :class:`Usage`.

Counts are inclusive: cached input is part of input, reasoning is part of output. Whether a vendor
counted such a part inside or apart, the total decides; without a total, a part larger than its
whole was counted apart, and is added. Invalid counts are unknown.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from itertools import chain, combinations
from typing import Any

from llm_playground.providers.billed_units import (
    count,
    of_cached_details,
    of_calls,
    of_details,
    of_modalities,
    stated_usd,
)
from llm_playground.providers.contents import fields, records
from llm_playground.types import Usage

# The names of models of Gemini that bill a grounded answer once; later ones bill each search.
# https://ai.google.dev/gemini-api/docs/pricing
_BILLED_ONCE = ("gemini-1", "gemini-2")


def merged(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a usage object, updated by those of a later one in the same stream.

    Counts are cumulative, so the latest holds; a zero or null after a count is a placeholder.

    >>> merged({"input_tokens": 9, "output_tokens": 1}, {"input_tokens": 0, "output_tokens": 5})
    {'input_tokens': 9, 'output_tokens': 5}
    """
    joined = dict(earlier)
    for name, value in later.items():
        before = joined.get(name)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            joined[name] = merged(before, value)
        elif value or not before:
            joined[name] = value
    return joined


def of_chat_completions(value: object) -> Usage | None:
    """Usage from Chat Completions.

    Fields: https://platform.openai.com/docs/api-reference/chat/object#chat/object-usage. DeepSeek
    and Moonshot AI have their own names for cached input; Perplexity's research models count
    citations and reasoning apart from output (https://docs.perplexity.ai/getting-started/pricing).
    ``service_tier`` and Vercel's ``gateway`` are not part of the object; the reader adds them.

    >>> of_chat_completions({"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11})
    ... # doctest: +ELLIPSIS
    Usage(input_tokens=9, output_tokens=2, ...)
    """
    usage = fields(value)
    prompt = fields(usage.get("prompt_tokens_details"))
    completion = fields(usage.get("completion_tokens_details"))
    citations = count(usage, "citation_tokens")
    reasoning = count(completion, "reasoning_tokens")
    if citations and not reasoning:
        reasoning = count(usage, "reasoning_tokens")
    units = _chat_units(usage, prompt, completion)
    output_tokens = count(usage, "completion_tokens")
    if citations and output_tokens is not None:
        units["citation_tokens"] = citations
        output_tokens += citations + (reasoning or 0)
    return _usage(
        count(usage, "prompt_tokens"),
        output_tokens,
        read=_first(
            (prompt, "cached_tokens"),
            (usage, "prompt_cache_hit_tokens"),
            (usage, "cached_tokens"),
            (usage, "cache_read_input_tokens"),
        ),
        write=_first(
            (prompt, "cache_write_tokens"),
            (prompt, "cache_creation_tokens"),
            (usage, "cache_creation_input_tokens"),
        ),
        reasoning=reasoning,
        total=count(usage, "total_tokens"),
        tier=usage.get("service_tier"),
        units=units,
        cost=stated_usd(usage),
    )


def _chat_units(
    usage: Mapping[str, Any], prompt: Mapping[str, Any], completion: Mapping[str, Any]
) -> dict[str, int]:
    tools = (usage.get("server_tool_use"), usage.get("server_side_tool_usage_details"))
    lifetimes = fields(prompt.get("cache_creation_token_details"))  # LiteLLM's, of Anthropic
    hour = count(lifetimes, "ephemeral_1h_input_tokens")
    return {
        **of_details(prompt, "input"),
        **of_details(completion, "output"),
        **of_cached_details(prompt.get("cached_tokens_details")),
        **of_calls(usage, *tools),
        **({"cache_write_1h_tokens": hour} if hour else {}),
    }


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
    completion = fields(counts.get("output_tokens_details"))
    writes = fields(prompt.get("cache_write_tokens_details"))
    tools = fields(response.get("tool_usage"))
    pictures = fields(tools.get("image_gen"))
    searches = count(fields(tools.get("web_search")), "num_requests")
    units: dict[str, int | None] = {
        **of_details(prompt, "input"),
        **of_details(completion, "output"),
        **calls,
        "web_searches": calls.get("web_searches") if searches is None else searches,
        "cache_write_12h_tokens": count(writes, "ttl_12h_tokens"),
        "image_generation_input_tokens": count(pictures, "input_tokens"),
        "image_generation_output_tokens": count(pictures, "output_tokens"),
    }
    if units["image_generation_output_tokens"]:
        units["image_generations"] = None  # they are billed by these tokens
    billed = {unit: number for unit, number in units.items() if number}
    if not counts and not billed:
        return None
    return _usage(
        count(counts, "input_tokens"),
        count(counts, "output_tokens"),
        read=count(prompt, "cached_tokens"),
        write=count(prompt, "cache_write_tokens"),
        reasoning=count(completion, "reasoning_tokens"),
        total=count(counts, "total_tokens"),
        tier=response.get("service_tier"),
        units=billed,
        cost=stated_usd(counts),
    )


def of_messages(value: object) -> Usage | None:
    """Usage from Messages, whose ``input_tokens`` exclude cached input.

    Fields: https://docs.claude.com/en/api/messages#response-usage and the SDK's ``BetaUsage``. For
    a stream, the counts of ``message_start`` updated with those of ``message_delta``. The counts
    of a compaction are not part of the others, so they are added; those of an advisor, which is
    another model, are units.

    >>> of_messages({"input_tokens": 3, "cache_read_input_tokens": 6, "output_tokens": 2})
    ... # doctest: +ELLIPSIS
    Usage(input_tokens=9, output_tokens=2, cache_read_tokens=6, ...)
    """
    usage = fields(value)
    entries = records(usage.get("iterations"))
    own = [usage, *(entry for entry in entries if entry.get("type") == "compaction")]
    reads = [count(one, "cache_read_input_tokens") for one in own]
    writes = [_cache_writes(one) for one in own]
    uncached, read, write = count(usage, "input_tokens"), _sum(reads), _sum(writes)
    if uncached is not None:
        uncached = _sum([count(one, "input_tokens") for one in own])
    output_tokens = count(usage, "output_tokens")
    if output_tokens is not None:
        output_tokens = _sum([count(one, "output_tokens") for one in own])
    hours = [count(fields(one.get("cache_creation")), "ephemeral_1h_input_tokens") for one in own]
    units = of_calls(usage.get("server_tool_use")) | _advice(entries)
    if hour := _sum(hours):
        units["cache_write_1h_tokens"] = hour
    if usage.get("inference_geo") == "us" and uncached is not None:
        units["us_inference_tokens"] = uncached + (read or 0) + (write or 0) + (output_tokens or 0)
    return _usage(
        None if uncached is None else uncached + (read or 0) + (write or 0),
        output_tokens,
        read=read,
        write=write,
        reasoning=count(fields(usage.get("output_tokens_details")), "thinking_tokens"),
        tier="fast" if usage.get("speed") == "fast" else usage.get("service_tier"),
        units=units,
        cost=stated_usd(usage),
    )


def of_generate_content(
    value: object, searches: Collection[str] = (), model: str | None = None
) -> Usage | None:
    """Usage from Gemini's ``usageMetadata``, which counts thoughts and tool results apart.

    Fields: https://ai.google.dev/api/generate-content#UsageMetadata. Zeros are left out of it.
    ``searches`` are the queries of the grounded answer, ``model`` is the one that answered.

    >>> of_generate_content({"promptTokenCount": 9, "thoughtsTokenCount": 2})
    ... # doctest: +ELLIPSIS
    Usage(input_tokens=9, output_tokens=2, ..., reasoning_tokens=2, ...)
    """
    usage = fields(value)
    if not usage:
        return None
    apart = {
        name: number
        for name in ("thoughtsTokenCount", "toolUsePromptTokenCount")
        if (number := count(usage, name))
    }
    sent = count(usage, "promptTokenCount") or 0
    received = count(usage, "candidatesTokenCount") or 0
    beside = _beside(sent + received, apart, count(usage, "totalTokenCount"))
    apart = apart if beside is None else {name: apart[name] for name in beside}
    units = of_modalities(usage.get("promptTokensDetails"), "input")
    for name, number in of_modalities(usage.get("toolUsePromptTokensDetails"), "input").items():
        units[name] = units.get(name, 0) + number
    units |= of_modalities(usage.get("candidatesTokensDetails"), "output")
    units |= of_modalities(usage.get("cacheTokensDetails"), "cache_read")
    if searches:
        is_once = bool(model) and str(model).startswith(_BILLED_ONCE)
        units["web_searches"] = 1 if is_once else len(searches)
    return _usage(
        sent + apart.get("toolUsePromptTokenCount", 0),
        received + apart.get("thoughtsTokenCount", 0),
        read=count(usage, "cachedContentTokenCount"),
        write=None,
        reasoning=count(usage, "thoughtsTokenCount"),
        total=None if beside is None else count(usage, "totalTokenCount"),
        tier=usage.get("serviceTier") or usage.get("trafficType"),
        units=units,
    )


def _cache_writes(usage: Mapping[str, Any]) -> int | None:
    """Tokens written to the cache, which are given as a sum or by the cache's lifetime."""
    total = count(usage, "cache_creation_input_tokens")
    by_lifetime = fields(usage.get("cache_creation"))
    names = ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")
    return total or _sum([count(by_lifetime, name) for name in names] + [total])


def _advice(entries: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """The tokens of an advisor by the names of Messages, as units.

    https://platform.claude.com/docs/en/agents-and-tools/tool-use/advisor-tool
    """
    units: dict[str, int] = {}
    for entry in entries:
        if entry.get("type") == "advisor_message":
            for name in entry:
                if name.endswith("_tokens") and (number := count(entry, name)):
                    units[f"advisor_{name}"] = units.get(f"advisor_{name}", 0) + number
    return units


def _sum(counts: list[int | None]) -> int | None:
    known = [number for number in counts if number is not None]
    return sum(known) if known else None


def _first(*places: tuple[Mapping[str, Any], str]) -> int | None:
    """The first count that is given; a count above zero before a zero."""
    counts = [number for place in places if (number := count(*place)) is not None]
    return next((number for number in counts if number), counts[0] if counts else None)


def _beside(whole: int, parts: Mapping[str, int], total: int | None) -> Collection[str] | None:
    """The names of the parts that a total has beside the whole; None if it fits none of them."""
    names = tuple(parts)
    some = chain.from_iterable(combinations(names, number) for number in range(len(names) + 1))
    for chosen in some:
        if whole + sum(parts[name] for name in chosen) == total:
            return chosen
    return None


def _usage(
    input_tokens: int | None,
    output_tokens: int | None,
    *,
    read: int | None,
    write: int | None,
    reasoning: int | None,
    total: int | None = None,
    tier: object = None,
    units: Mapping[str, int] | None = None,
    cost: Decimal | None = None,
) -> Usage | None:
    parts = {"cached": (read or 0) + (write or 0), "reasoning": reasoning or 0}
    wholes = {"cached": input_tokens, "reasoning": output_tokens}
    known = [whole for whole in wholes.values() if whole is not None]
    beside = _beside(sum(known), parts, total) if len(known) == len(wholes) else None
    if beside is None:
        beside = [name for name, whole in wholes.items() if parts[name] > (whole or 0)]
    if input_tokens is not None:
        input_tokens += parts["cached"] if "cached" in beside else 0
        read = None if read is None else min(read, input_tokens)  # no part exceeds its whole
        write = None if write is None else min(write, input_tokens - (read or 0))
    if output_tokens is not None:
        output_tokens += parts["reasoning"] if "reasoning" in beside else 0
        reasoning = None if reasoning is None else min(reasoning, output_tokens)
    usage = Usage(
        input_tokens,
        output_tokens,
        read,
        write,
        reasoning,
        service_tier=tier if isinstance(tier, str) and tier else None,
        billed_units=dict(units or {}),
        reported_cost_usd=cost,
    )
    return None if usage == Usage() else usage

"""Units of an answer that have a price of their own, and the cost that an answer states itself.

Units that several vendors have get one name: ``cache_write_1h_tokens``, ``web_searches``,
``web_fetches``, ``code_executions``, ``file_searches``, ``image_output_tokens``,
``audio_input_tokens``, ``audio_cache_read_tokens`` and so on. A unit that is not known here keeps
its vendor's name. Counts of tokens are parts of input and output, not additions to them.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from llm_playground.providers.contents import fields

MAX_COUNT = 2**53  # larger JSON numbers are not exact

_MOST_USD = Decimal(10**6)
# xAI: one dollar is 10**10 ticks (https://docs.x.ai/developers/cost-tracking).
_TICKS = Decimal(10**10)
# The names of amounts in US dollars: OpenRouter, Vercel, Avian and LiteLLM; DeepInfra.
_COSTS = ("cost", "estimated_cost")
# Calls of tools on the vendor's side, by the name under which some vendor counts them.
_CALLS = {
    "web_search_requests": "web_searches",
    "web_search_calls": "web_searches",
    "num_search_queries": "web_searches",  # Perplexity
    "web_fetch_requests": "web_fetches",
    "code_execution_requests": "code_executions",
    "code_interpreter_calls": "code_executions",
    "code_execution_calls": "code_executions",
    "file_search_calls": "file_searches",
    "x_search_calls": "social_searches",
    "prompt_audio_seconds": "audio_input_seconds",  # Mistral
    "num_sources_used": "num_sources_used",  # xAI's live search
}
# The endings of names in a usage object that count calls rather than describe the answer.
_CALL_ENDINGS = ("_requests", "_searches", "_queries", "_calls", "_executions")
# Counts of details that have the price of text, or fields of their own in a usage.
_NO_UNITS = frozenset({
    "text_tokens", "cached_tokens", "cache_write_tokens", "cache_creation_tokens",
    "cache_read_tokens", "cache_creation_input_tokens", "cache_read_input_tokens",
    "reasoning_tokens", "thinking_tokens", "accepted_prediction_tokens",
    "rejected_prediction_tokens",
})  # fmt: skip
_NO_MODALITY = frozenset({"TEXT", "MODALITY_UNSPECIFIED"})
_TOKENS = "_tokens"


def count(usage: Mapping[str, Any], name: str) -> int | None:
    """A count that is a valid number; None for anything else."""
    value = usage.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return int(value) if 0 <= value < MAX_COUNT else None


def of_details(details: object, direction: str) -> dict[str, int]:
    """The units in a breakdown of tokens of Chat Completions; ``direction`` is input or output.

    >>> of_details({"audio_tokens": 5, "text_tokens": 4, "image_tokens": 0}, "input")
    {'audio_input_tokens': 5}
    """
    given = fields(details)
    return {
        f"{name.removesuffix(_TOKENS)}_{direction}{_TOKENS}": number
        for name in given
        if name.endswith(_TOKENS) and name not in _NO_UNITS and (number := count(given, name))
    }


def of_cached_details(details: object) -> dict[str, int]:
    """The units in a breakdown of cached tokens.

    >>> of_cached_details({"audio_tokens": 5, "text_tokens": 4})
    {'audio_cache_read_tokens': 5}
    """
    return of_details(details, "cache_read")


def of_modalities(details: object, direction: str) -> dict[str, int]:
    """The units in Gemini's list of token counts by modality, summed.

    >>> of_modalities([{"modality": "IMAGE", "tokenCount": 1290}], "output")
    {'image_output_tokens': 1290}
    """
    found: dict[str, int] = {}
    for entry in map(fields, details if isinstance(details, list) else ()):
        modality, number = entry.get("modality"), count(entry, "tokenCount")
        if number and isinstance(modality, str) and modality.upper() not in _NO_MODALITY:
            name = f"{modality.lower()}_{direction}{_TOKENS}"
            found[name] = found.get(name, 0) + number
    return found


def of_calls(*places: object) -> dict[str, int]:
    """The calls of tools on the vendor's side; a tool in several of these objects counts once.

    >>> of_calls({"web_search_requests": 3, "web_fetch_requests": 0}, {"web_search_calls": 3})
    {'web_searches': 3}
    """
    found: dict[str, int] = {}
    for place in map(fields, places):
        for name in place:
            if (name in _CALLS or name.endswith(_CALL_ENDINGS)) and (number := count(place, name)):
                found.setdefault(_CALLS.get(name, name), number)
    return found


def stated_usd(usage: Mapping[str, Any]) -> Decimal | None:
    """The cost of the answer that a usage object of Chat Completions states; None if it does not.

    With a key of the user's own at the vendor behind a router, the router's cost is only its fee:
    the vendor's cost is added (``is_byok``, ``cost_details`` at OpenRouter:
    https://openrouter.ai/docs/use-cases/usage-accounting).

    >>> stated_usd({"cost": 0.0105}), stated_usd({"cost_in_usd_ticks": 37_756_000})
    (Decimal('0.0105'), Decimal('0.0037756'))
    >>> own_key = {"cost": 0.95, "is_byok": True}
    >>> stated_usd(own_key | {"cost_details": {"upstream_inference_cost": 19}})
    Decimal('19.95')
    >>> stated_usd(own_key) is None
    True
    """
    ticks = count(usage, "cost_in_usd_ticks")
    if ticks is not None:
        return ticks / _TICKS
    gateway = fields(usage.get("gateway"))
    stated = [usage.get(name) for name in _COSTS] + [gateway.get("cost")]
    cost = _first_usd(*(fields(one).get("total_cost", one) for one in stated))
    upstream = _usd(fields(usage.get("cost_details")).get("upstream_inference_cost"))
    market = _first_usd(usage.get("market_cost"), gateway.get("marketCost"))
    own_key = usage.get("is_byok")
    if own_key is None and cost is not None and upstream is not None:
        own_key = upstream > cost
    if own_key is True:
        paid = market if upstream is None else upstream
        return None if paid is None else (cost or Decimal(0)) + paid
    # A gateway that charged nothing for a call with the user's own key.
    return market if cost == 0 and market else cost


def _first_usd(*stated: object) -> Decimal | None:
    return next((amount for one in stated if (amount := _usd(one)) is not None), None)


def _usd(value: object) -> Decimal | None:
    """An amount as a number or as text; None for anything else, such as a negative one.

    More than the log can hold is no cost of one answer.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        amount = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and 0 <= amount < _MOST_USD else None

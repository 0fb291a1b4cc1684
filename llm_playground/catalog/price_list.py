"""Prices by genai-prices, in the installed version: nothing is downloaded.

All that was billed is looked up: tokens by kind, calls of tools, and the service tier as the price
context. What is not in the list makes the price unknown; the cost of the rest is then a lower
bound.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING

from llm_playground.types import Usage

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, Provider

# Units of :class:`~llm_playground.types.Usage` by their names in genai-prices (its
# ``data_units``), where these differ.
_NAMES = {
    "file_searches": "storage_searches",
    "citation_tokens": "output_citation_tokens",
    "audio_input_seconds": "input_audio_seconds",
    **{
        f"{modality}_{direction}_tokens": f"{direction}_{modality}_tokens"
        for modality in ("audio", "image", "video")
        for direction in ("input", "output")
    },
    **{
        f"{modality}_cache_read_tokens": f"cache_{modality}_read_tokens"
        for modality in ("audio", "image", "video")
    },
}
# Endings of price keys by those of units.
_PRICE_KEYS = {"_tokens": "_mtok", "_seconds": "_hours"}
# Parts of the input that cost what text does, unless the list has a rate of their own.
_AS_TEXT = frozenset({
    "image_input_tokens", "image_cache_read_tokens", "video_input_tokens",
    "video_cache_read_tokens", "document_input_tokens", "document_cache_read_tokens",
    "file_input_tokens",
})  # fmt: skip
# Google has one price for all input, except where the list has another for audio.
_AS_TEXT_AT = {"google": frozenset({"audio_input_tokens", "audio_cache_read_tokens"})}
# Calls that cost nothing beside their tokens:
# https://platform.claude.com/docs/en/agents-and-tools/tool-use/web-fetch-tool#usage-and-pricing
_FREE_CALLS = {"anthropic": frozenset({"web_fetches"})}
# Multiplies all token rates: inference in the US only, from Claude 4.6 on.
# https://platform.claude.com/docs/en/about-claude/pricing#data-residency-pricing
_MULTIPLIERS = {("anthropic", "us_inference_tokens"): Decimal("1.1")}

# All vendors' names of the tier at the list's standard prices.
_STANDARD = frozenset({
    "", "auto", "default", "standard", "standard_only", "on_demand", "ondemand",
    "service_tier_standard", "service_tier_unspecified", "unspecified",
    "traffic_type_unspecified",
})  # fmt: skip
# The names of tiers in genai-prices by those of vendors.
_TIERS = {
    "on_demand_priority": "priority",
    "on_demand_flex": "flex",
    "service_tier_priority": "priority",
    "service_tier_flex": "flex",
}
# What genai-prices calls the kinds of context in which a tier is.
_CONTEXTS = ("service_tier", "speed", "processing")
# Tiers at a discount of half or less on all vendors' lists; other tiers do not cost less than
# standard. They bound a price from below where the list does not have them.
_DISCOUNTS = {"flex": Decimal("0.5"), "batch": Decimal("0.5"), "on_demand_offpeak": Decimal(0)}

# What distinguishes names of one model: dates, revisions, aliases.
_REVISION = re.compile(
    r"(?:[-@:_.](?:\d{3,8}|\d{4}-\d\d-\d\d|\d\d-\d{2,4}|v\d+|latest|preview|exp|experimental|beta"
    r"|ga|instruct|chat|it|turbo|fp8|fp16|bf16|free))*"
)


@dataclass(frozen=True, slots=True)
class Listed:
    """A cost in US dollars by the list: exact, or a lower bound where something has no price."""

    cost_usd: Decimal | None
    at_least_usd: Decimal | None


UNLISTED = Listed(None, None)


def same_model(asked: str, answered: str) -> bool:
    """Whether two names of a vendor are of one model, up to dates, revisions and a prefix.

    >>> same_model("gpt-4o", "gpt-4o-2024-08-06"), same_model("gpt-4o", "gpt-4o-mini")
    (True, False)
    """
    first, second = (name.casefold().rpartition("/")[2] for name in (asked, answered))
    short, long = sorted((first, second), key=len)
    return long.startswith(short) and _REVISION.fullmatch(long[len(short) :]) is not None


def answering_model(priced_as: str, asked: str, answered: str | None) -> str | None:
    """The name by which an answer is priced; None if what answered is another, unlisted model.

    That is the model that answered if it is listed; else the one asked if both are the same up to
    date and revision, or if the name given is of no vendor's model, as proxies and deployments
    may give.
    """
    if not answered or answered == asked or find(priced_as, answered) is not None:
        return answered or asked
    is_model = "/" in answered or _is_of_a_vendor(answered)
    return None if is_model and not same_model(asked, answered) else asked


@lru_cache(maxsize=8192)
def find(priced_as: str, name: str) -> ModelInfo | None:
    """A model's entry. Cached: genai-prices tries every model of the provider each time."""
    found = _find(priced_as, name)
    return None if found is None else found[1]


def _find(priced_as: str, name: str) -> tuple[Provider, ModelInfo] | None:
    from genai_prices import data_snapshot  # first use, not import: 0.3 s

    try:
        return data_snapshot.get_snapshot().find_provider_model(name, None, priced_as, None)
    except LookupError:
        return None


@lru_cache(maxsize=1024)
def _is_of_a_vendor(name: str) -> bool:
    from genai_prices import data_snapshot

    try:
        data_snapshot.get_snapshot().find_provider(name.casefold(), None, None)
    except LookupError:
        return False
    return True


@lru_cache(maxsize=8192)
def cost(priced_as: str, name: str, usage: Usage, at: datetime) -> Listed:
    """What a usage costs. Cached: it takes 0.2 to 0.5 ms, and worst cases repeat."""
    import genai_prices

    found = _find(priced_as, name)
    if found is None or usage.total_tokens is None:
        return UNLISTED
    provider, model = found
    tier = tier_of(usage.service_tier)
    context = _context(provider, model, tier, at)
    rates = model.get_prices(at, context)
    # genai-prices counts missing rates as 0.
    used = ((usage.input_tokens, rates.input_mtok), (usage.output_tokens, rates.output_mtok))
    if any(tokens and rate is None for tokens, rate in used):
        return UNLISTED
    counts, is_exact = _counts(priced_as, usage, rates)
    try:
        price = model.calc_price(
            genai_prices.Usage(**counts),
            provider,
            genai_request_timestamp=at,
            price_context=context,
        )
    except ValueError:  # contradictory counts
        return UNLISTED
    more = _multiplier(priced_as, usage) - 1
    total = price.total_price + more * (price.input_price + price.output_price)
    if tier is not None and context is None:
        return Listed(None, total * _DISCOUNTS.get(tier, Decimal(1)))
    return Listed(total, None) if is_exact else Listed(None, total)


def tier_of(name: str | None) -> str | None:
    """The name of a service tier in genai-prices; None for the standard one.

    >>> tier_of("default"), tier_of("ON_DEMAND_PRIORITY"), tier_of("flex")
    (None, 'priority', 'flex')
    """
    plain = (name or "").casefold()
    return None if plain in _STANDARD else _TIERS.get(plain, plain)


def is_discount(tier: str | None) -> bool:
    """Whether a tier costs less than the standard one."""
    return tier_of(tier) in _DISCOUNTS


def _context(
    provider: Provider, model: ModelInfo, tier: str | None, at: datetime
) -> Mapping[str, str] | None:
    """The price context that selects the rates of a tier; None if the list has none for it."""
    if tier is None or not any(model is one for one in provider.models):
        return None  # genai-prices has no contexts for another provider's models
    for kind in _CONTEXTS:
        for variant in model.price_variants or ():
            is_active = variant.constraint is None or variant.constraint.active(at)
            if is_active and variant.when == {kind: tier}:
                return variant.when
    return None


def _counts(priced_as: str, usage: Usage, rates: ModelPrice) -> tuple[dict[str, int], bool]:
    """The counts by genai-prices' names, and whether that is all of them at the right rates."""
    sent, received = usage.input_tokens or 0, usage.output_tokens or 0
    read = min(usage.cache_read_tokens or 0, sent)
    written = min(usage.cache_write_tokens or 0, sent - read)
    is_exact = read + written == (usage.cache_read_tokens or 0) + (usage.cache_write_tokens or 0)
    counts = {
        "input_tokens": sent,
        "output_tokens": received,
        "cache_read_tokens": read,
        "cache_write_tokens": written,
    }
    if usage.reasoning_tokens and rates.output_reasoning_mtok is not None:
        counts["output_reasoning_tokens"] = min(usage.reasoning_tokens, received)
    for unit, number in usage.billed_units.items():
        name = _NAMES.get(unit, unit)
        if not number or (priced_as, unit) in _MULTIPLIERS:
            continue
        if _rate(rates, name) is not None:
            counts[name] = number
        elif not _is_included(priced_as, unit, rates):
            is_exact = False
    for modality in ("audio", "image", "video"):  # the list needs to know which of it was cached
        whole, cached = f"input_{modality}_tokens", f"cache_{modality}_read_tokens"
        if read and counts.get(whole) and _rate(rates, cached) is not None:
            counts.setdefault(cached, max(0, counts[whole] + read - sent))
    return counts, is_exact


def _rate(rates: ModelPrice, name: str) -> object:
    """The rate of a unit of genai-prices; None if there is none, or no such unit."""
    ending = next((end for end in _PRICE_KEYS if name.endswith(end)), "")
    key = name.removesuffix(ending) + _PRICE_KEYS.get(ending, "_kcount")
    return getattr(rates, key, None)


def _is_included(priced_as: str, unit: str, rates: ModelPrice) -> bool:
    """Whether a unit without a rate of its own costs nothing beside its tokens."""
    return (
        unit in _AS_TEXT
        or unit in _AS_TEXT_AT.get(priced_as, ())
        or unit in _FREE_CALLS.get(priced_as, ())
        # Perplexity's price of a request includes its searches.
        or (unit == "web_searches" and rates.requests_kcount is not None)
    )


def _multiplier(priced_as: str, usage: Usage) -> Decimal:
    factor = Decimal(1)
    for unit in usage.billed_units:
        factor *= _MULTIPLIERS.get((priced_as, unit), 1)
    return factor

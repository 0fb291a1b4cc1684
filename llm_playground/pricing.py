"""What a run costs, from genai-prices at the run's date. Unknown is None, never 0."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from llm_playground.types import Usage

# A provider's name here, as genai-prices calls it.
PRICED_AS = {"openai": "openai", "anthropic": "anthropic", "gemini": "google"}
FREE = frozenset({"local"})


@dataclass(frozen=True, slots=True)
class Price:
    """A cost in US dollars and who says so; both None when nobody knows the price."""

    cost_usd: Decimal | None
    source: str | None


UNKNOWN = Price(None, None)


def price(model: str, usage: Usage | None, at: datetime) -> Price:
    """The cost of one run.

    Args:
        model: ``provider:name``.
        usage: Its tokens, inclusive counts; None when unknown.
        at: When it was sent; prices are dated.

    >>> from datetime import UTC
    >>> price("local:any", Usage(10, 10), datetime.now(UTC))
    Price(cost_usd=Decimal('0'), source='free')
    """
    provider, _, name = model.partition(":")
    if provider in FREE:
        return Price(Decimal(0), "free")
    if usage is None or usage.total_tokens is None or provider not in PRICED_AS:
        return UNKNOWN
    return _listed_price(PRICED_AS[provider], name, usage, at)


def _listed_price(provider: str, name: str, usage: Usage, at: datetime) -> Price:
    import genai_prices  # first use, not import: 0.3 s

    counted = genai_prices.Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
    )
    try:
        found = genai_prices.calc_price(
            counted, name, provider_id=provider, genai_request_timestamp=at
        )
    except (LookupError, ValueError):  # an unknown model, or counts that contradict each other
        return UNKNOWN
    return Price(found.total_price, "genai-prices")

"""What a run costs. Unknown is None, never 0.

The first that knows is believed: the user's own prices (``configure(prices=...)``), endpoints whose
row says free, genai-prices at the run's date. Where a call goes changes no price: a gateway is not
free because it is near. genai-prices' list is the one that is installed; nothing is fetched.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING

from llm_playground import config
from llm_playground.endpoints import Rates
from llm_playground.types import Usage

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice

_MILLION = Decimal(1_000_000)
# OpenRouter's name for what costs nothing; genai-prices lists these models without any price.
# https://openrouter.ai/docs/guides/routing/model-variants/free
_FREE_VARIANT = ("openrouter", ":free")


@dataclass(frozen=True, slots=True)
class Price:
    """A cost in US dollars and who says so; both None when nobody knows the price.

    ``source`` is ``override``, ``free`` or ``genai-prices``.
    """

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
    own = config.rates(model)
    if own is None and is_free(model):
        return Price(Decimal(0), "free")
    if usage is None or usage.total_tokens is None:
        return UNKNOWN
    return _listed_price(model, usage, at) if own is None else _own_price(own, usage)


def rates(model: str, at: datetime) -> Rates | None:
    """US dollars per million tokens at the first tier, None when nobody knows them.

    >>> from datetime import UTC
    >>> rates("ollama:any", datetime.now(UTC)).output_usd_per_mtok
    Decimal('0')
    """
    own = config.rates(model)
    if own is not None:
        return own
    if is_free(model):
        return Rates(Decimal(0), Decimal(0))
    listed = _listed_rates(model, at)
    if listed is None:
        return None
    sent, came = _first_tier(listed.input_mtok), _first_tier(listed.output_mtok)
    if sent is None or came is None:
        return None
    read, written = _first_tier(listed.cache_read_mtok), _first_tier(listed.cache_write_mtok)
    return Rates(sent, came, read, written)


def is_free(model: str) -> bool:
    """Whether a call costs nothing, whatever it uses."""
    provider, _, name = model.partition(":")
    row = config.rows().get(provider)
    if row is None:
        return False
    priced_as, ending = _FREE_VARIANT
    return row.free or (row.priced_as == priced_as and name.endswith(ending))


def _own_price(rates: Rates, usage: Usage) -> Price:
    read, written = usage.cache_read_tokens or 0, usage.cache_write_tokens or 0
    plain = (usage.input_tokens or 0) - read - written
    if plain < 0:  # counts that contradict each other
        return UNKNOWN
    sent, came = rates.input_usd_per_mtok, rates.output_usd_per_mtok
    parts = (
        (plain, sent),
        (read, sent if rates.cache_read_usd_per_mtok is None else rates.cache_read_usd_per_mtok),
        (
            written,
            sent if rates.cache_write_usd_per_mtok is None else rates.cache_write_usd_per_mtok,
        ),
        (usage.output_tokens or 0, came),
    )
    return Price(sum((tokens * each for tokens, each in parts), Decimal(0)) / _MILLION, "override")


def _listed_price(model: str, usage: Usage, at: datetime) -> Price:
    provider, _, name = model.partition(":")
    priced_as = _priced_as(provider)
    if priced_as is None:
        return UNKNOWN
    return _calculated(priced_as, name, usage, at.replace(second=0, microsecond=0))


@lru_cache(maxsize=8192)
def _calculated(priced_as: str, name: str, usage: Usage, at: datetime) -> Price:
    """What genai-prices says: 0.2 to 0.5 ms a time, and worst cases of one prompt come again."""
    import genai_prices  # first use, not import: 0.3 s

    counted = genai_prices.Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
    )
    try:
        found = genai_prices.calc_price(
            counted, name, provider_id=priced_as, genai_request_timestamp=at
        )
    except (LookupError, ValueError):  # an unknown model, or counts that contradict each other
        return UNKNOWN
    if not _covers(found.model_price, usage):
        return UNKNOWN
    return Price(found.total_price, "genai-prices")


def _covers(listed: ModelPrice, usage: Usage) -> bool:
    """Whether what was used has a price: genai-prices counts what it does not list as 0."""
    used = ((usage.input_tokens, listed.input_mtok), (usage.output_tokens, listed.output_mtok))
    return all(rate is not None for tokens, rate in used if tokens)


def _listed_rates(model: str, at: datetime) -> ModelPrice | None:
    found = listed_model(model)
    return None if found is None else found.get_prices(at)


def listed_model(model: str) -> ModelInfo | None:
    """What genai-prices knows of a model, None when nothing."""
    provider, _, name = model.partition(":")
    priced_as = _priced_as(provider)
    return None if priced_as is None else _find(priced_as, name)


@lru_cache(maxsize=8192)
def _find(priced_as: str, name: str) -> ModelInfo | None:
    """Its own look-up tries every model of the provider, and forgets what it did not find."""
    from genai_prices import data_snapshot  # first use, not import: 0.3 s

    try:
        return data_snapshot.get_snapshot().find_provider_model(name, None, priced_as, None)[1]
    except LookupError:
        return None


def _priced_as(provider: str) -> str | None:
    row = config.rows().get(provider)
    return None if row is None else row.priced_as


def _first_tier(listed: object) -> Decimal | None:
    """A Decimal, or the base of tiers."""
    value = getattr(listed, "base", listed)
    return value if isinstance(value, Decimal) else None

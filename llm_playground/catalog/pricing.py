"""Cost of runs and rates of models. Unknown is None, never 0.

Sources in order of precedence: the user's prices (``configure(prices=...)``), endpoints marked as
free, and genai-prices at the run's date, in the installed version; nothing is downloaded. The base
URL does not affect the price: a local gateway is not free.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING

from llm_playground import config
from llm_playground.config.options import Rates
from llm_playground.types import Usage

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo


_log = logging.getLogger(__name__)
_MILLION = Decimal(1_000_000)
# OpenRouter's suffix of free models, which genai-prices lists without a price.
# https://openrouter.ai/docs/guides/routing/model-variants/free
_FREE_VARIANT = ("openrouter", ":free")


@dataclass(frozen=True, slots=True)
class Price:
    """A cost in US dollars and its source; both None if the price is unknown.

    ``source`` is ``override``, ``free`` or ``genai-prices``.
    """

    cost_usd: Decimal | None
    source: str | None


UNKNOWN = Price(None, None)
TOO_LARGE = Price(None, None)  # more than the log can hold; compared by identity


def price(model: str, usage: Usage | None, at: datetime) -> Price:
    """The cost of one run of a model, ``provider:name``, with these tokens as inclusive counts.

    Prices are dated: ``at`` is the time of sending.

    >>> from datetime import UTC
    >>> price("local:any", Usage(10, 10), datetime.now(UTC))
    Price(cost_usd=Decimal('0'), source='free')
    """
    own = config.rates(model)
    if own is None and is_free(model):
        return Price(Decimal(0), "free")
    if usage is None or usage.total_tokens is None:
        return UNKNOWN
    if own is not None:
        return _own_price(own, usage)
    provider, _, name = model.partition(":")
    priced_as = _priced_as(provider)
    if priced_as is None:
        return UNKNOWN
    return _calculated(priced_as, name, usage, at.replace(second=0, microsecond=0))


def run_price(model: str, usage: Usage | None, at: datetime) -> Price:
    """Like :func:`price`, for the log: ``TOO_LARGE``, with a warning, if it cannot hold the cost.

    >>> from datetime import UTC
    >>> run_price("local:any", Usage(10, 10), datetime.now(UTC)).source
    'free'
    """
    found = price(model, usage, at)
    if found.cost_usd is None or storable(found.cost_usd):
        return found
    line = "A call of %s would cost $%.2g by its price and usage, which cannot be: not counted."
    _log.warning(line, model, found.cost_usd)
    return TOO_LARGE


def storable(cost_usd: Decimal) -> bool:
    """Whether the log can hold the cost of a run.

    >>> storable(Decimal("999999.99")), storable(Decimal("NaN")), storable(Decimal(-1))
    (True, False, False)
    """
    return cost_usd.is_finite() and 0 <= cost_usd < _MILLION


def rates(model: str, at: datetime) -> Rates | None:
    """US dollars per million tokens at the first tier; None if unknown.

    >>> from datetime import UTC
    >>> rates("ollama:any", datetime.now(UTC)).output_usd_per_mtok
    Decimal('0')
    """
    own = config.rates(model)
    if own is not None:
        return own
    if is_free(model):
        return Rates(Decimal(0), Decimal(0))
    listed = listed_model(model)
    if listed is None:
        return None
    prices = listed.get_prices(at)
    input_rate, output_rate = _first_tier(prices.input_mtok), _first_tier(prices.output_mtok)
    if input_rate is None or output_rate is None:
        return None
    cache_rates = _first_tier(prices.cache_read_mtok), _first_tier(prices.cache_write_mtok)
    return Rates(input_rate, output_rate, *cache_rates)


def is_free(model: str) -> bool:
    """Whether all calls of a model are free."""
    provider, _, name = model.partition(":")
    row = config.rows().get(provider)
    if row is None:
        return False
    priced_as, suffix = _FREE_VARIANT
    return row.free or (row.priced_as == priced_as and name.endswith(suffix))


def _own_price(rates: Rates, usage: Usage) -> Price:
    read, written = usage.cache_read_tokens or 0, usage.cache_write_tokens or 0
    uncached = (usage.input_tokens or 0) - read - written
    if uncached < 0:  # contradictory counts
        return UNKNOWN
    input_rate, read_rate = rates.input_usd_per_mtok, rates.cache_read_usd_per_mtok
    write_rate = rates.cache_write_usd_per_mtok
    parts = (
        (uncached, input_rate),
        (read, input_rate if read_rate is None else read_rate),
        (written, input_rate if write_rate is None else write_rate),
        (usage.output_tokens or 0, rates.output_usd_per_mtok),
    )
    return Price(sum((tokens * rate for tokens, rate in parts), Decimal(0)) / _MILLION, "override")


@lru_cache(maxsize=8192)
def _calculated(priced_as: str, name: str, usage: Usage, at: datetime) -> Price:
    """The price by genai-prices, cached: it takes 0.2 to 0.5 ms, and worst cases repeat."""
    import genai_prices  # first use, not import: 0.3 s

    counts = genai_prices.Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
    )
    try:
        calculation = genai_prices.calc_price(
            counts, name, provider_id=priced_as, genai_request_timestamp=at
        )
    except (LookupError, ValueError):  # an unknown model or contradictory counts
        return UNKNOWN
    # genai-prices counts missing rates as 0.
    rates = calculation.model_price
    used = ((usage.input_tokens, rates.input_mtok), (usage.output_tokens, rates.output_mtok))
    if any(tokens and rate is None for tokens, rate in used):
        return UNKNOWN
    return Price(calculation.total_price, "genai-prices")


def listed_model(model: str) -> ModelInfo | None:
    """The entry of a model in genai-prices, if any."""
    provider, _, name = model.partition(":")
    priced_as = _priced_as(provider)
    return None if priced_as is None else _find(priced_as, name)


@lru_cache(maxsize=8192)
def _find(priced_as: str, name: str) -> ModelInfo | None:
    """A cached look-up: genai-prices tries every model of the provider each time."""
    from genai_prices import data_snapshot  # first use, not import: 0.3 s

    try:
        return data_snapshot.get_snapshot().find_provider_model(name, None, priced_as, None)[1]
    except LookupError:
        return None


def _priced_as(provider: str) -> str | None:
    row = config.rows().get(provider)
    return None if row is None else row.priced_as


def _first_tier(listed: object) -> Decimal | None:
    """The rate, or the base rate of a tiered price."""
    value = getattr(listed, "base", listed)
    return value if isinstance(value, Decimal) else None

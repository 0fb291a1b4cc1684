"""Cost of runs and rates of models. Unknown is None, never 0.

Sources in order of precedence:

1. the user's prices (``configure(prices=...)``), which hold for all tokens of the model, in any
   tier; calls of tools on the vendor's side make the cost unknown, with a lower bound;
2. the cost that the answer itself states (source ``provider``);
3. endpoints and models marked as free;
4. genai-prices at the run's date, in the installed version: for the model that answered, see
   :func:`~.price_list.answering_model`, with the service tier and all billed units.

The base URL does not affect the price: a local gateway is not free.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from llm_playground import config
from llm_playground.catalog import price_list
from llm_playground.config.options import Rates
from llm_playground.types import Usage

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo


_log = logging.getLogger(__name__)
_MILLION = Decimal(1_000_000)
# What a cache write for an hour costs more than one for five minutes, as a part of its price
# (https://platform.claude.com/docs/en/build-with-claude/prompt-caching#pricing).
_HOUR_MORE = Decimal("0.6")
# OpenRouter's suffix of free models, which genai-prices lists without a price.
# https://openrouter.ai/docs/guides/routing/model-variants/free
_FREE_VARIANT = ("openrouter", ":free")


@dataclass(frozen=True, slots=True)
class Price:
    """A cost in US dollars and its source; both None if the price is unknown.

    ``source`` is ``override``, ``provider``, ``free`` or ``genai-prices``. Where a part of what was
    billed has no known price, ``cost_usd`` is None and ``at_least_usd`` what the rest costs.
    """

    cost_usd: Decimal | None
    source: str | None
    at_least_usd: Decimal | None = None


UNKNOWN = Price(None, None)
TOO_LARGE = Price(None, None)  # more than the log can hold; compared by identity


def price(
    model: str, usage: Usage | None, at: datetime, response_model: str | None = None
) -> Price:
    """The cost of one run of a model, ``provider:name``, with this usage.

    Prices are dated: ``at`` is the time of sending. ``response_model`` is the model that
    answered by the provider's name; None if it is not reported.

    >>> from datetime import UTC
    >>> price("local:any", Usage(10, 10), datetime.now(UTC)).source
    'free'
    """
    own = config.rates(model)
    if own is not None:
        return _own_price(own, usage)
    if usage is not None and usage.reported_cost_usd is not None:
        return Price(usage.reported_cost_usd, "provider")
    if is_free(model, response_model):
        return Price(Decimal(0), "free")
    provider, _, name = model.partition(":")
    priced_as = _priced_as(provider)
    if priced_as is None or usage is None or usage.total_tokens is None:
        return UNKNOWN
    answered = price_list.answering_model(priced_as, name, response_model)
    if answered is None:
        return UNKNOWN
    found = price_list.cost(priced_as, answered, usage, at.replace(second=0, microsecond=0))
    if found == price_list.UNLISTED:
        return UNKNOWN
    return Price(found.cost_usd, "genai-prices", found.at_least_usd)


def run_price(
    model: str, usage: Usage | None, at: datetime, response_model: str | None = None
) -> Price:
    """Like :func:`price`, for the log: ``TOO_LARGE``, with a warning, if it cannot hold the cost.

    It is unknown where the price list fails, since the answer is kept.

    >>> from datetime import UTC
    >>> run_price("local:any", Usage(10, 10), datetime.now(UTC)).source
    'free'
    """
    try:
        found = price(model, usage, at, response_model)
    except Exception:  # genai-prices may raise anything
        return UNKNOWN
    amount = found.at_least_usd if found.cost_usd is None else found.cost_usd
    if amount is None or storable(amount):
        return found
    line = "A call of %s would cost $%.2g by its price and usage, which cannot be: not counted."
    _log.warning(line, model, amount)
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


def is_free(model: str, response_model: str | None = None) -> bool:
    """Whether calls of a model are free: all, or those that this model answered.

    A free variant of OpenRouter may fall back to a model that is not free.
    """
    provider, _, name = model.partition(":")
    row = config.rows().get(provider)
    if row is None or row.free:
        return row is not None
    priced_as, suffix = _FREE_VARIANT
    if row.priced_as != priced_as or not name.endswith(suffix):
        return False
    answered = price_list.answering_model(priced_as, name, response_model)
    return answered is not None and price_list.same_model(name, answered)


def _own_price(rates: Rates, usage: Usage | None) -> Price:
    if usage is None or usage.total_tokens is None:
        return UNKNOWN
    read, written = usage.cache_read_tokens or 0, usage.cache_write_tokens or 0
    uncached = (usage.input_tokens or 0) - read - written
    if uncached < 0:  # contradictory counts
        return UNKNOWN
    input_rate, read_rate = rates.input_usd_per_mtok, rates.cache_read_usd_per_mtok
    write_rate = rates.cache_write_usd_per_mtok
    hour = 0 if write_rate is None else usage.billed_units.get("cache_write_1h_tokens", 0)
    parts = (
        (uncached, input_rate),
        (read, input_rate if read_rate is None else read_rate),
        (written, input_rate if write_rate is None else write_rate),
        (min(hour, written), (write_rate or Decimal(0)) * _HOUR_MORE),
        (usage.output_tokens or 0, rates.output_usd_per_mtok),
    )
    usd = sum((tokens * rate for tokens, rate in parts), Decimal(0)) / _MILLION
    has_calls = any(not unit.endswith("_tokens") for unit in usage.billed_units)
    return Price(None, "override", usd) if has_calls else Price(usd, "override")


def listed_model(model: str) -> ModelInfo | None:
    """The entry of a model in genai-prices, if any."""
    provider, _, name = model.partition(":")
    priced_as = _priced_as(provider)
    return None if priced_as is None else price_list.find(priced_as, name)


def _priced_as(provider: str) -> str | None:
    row = config.rows().get(provider)
    return None if row is None else row.priced_as


def _first_tier(listed: object) -> Decimal | None:
    """The rate, or the base rate of a tiered price."""
    value = getattr(listed, "base", listed)
    return value if isinstance(value, Decimal) else None

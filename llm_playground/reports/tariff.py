"""A model's price for sums of tokens, tier by tier, as exact as run by run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from llm_playground import config, pricing
from llm_playground.errors import InvalidParameterError
from llm_playground.types import Usage


@dataclass(frozen=True, slots=True)
class Rates:
    """US dollars within one tier: ``fixed`` for each run, the others for each token.

    ``cache_read`` and ``cache_write`` are what a token costs more (or less) than other input.
    """

    fixed: Decimal
    input: Decimal
    output: Decimal
    cache_read: Decimal
    cache_write: Decimal

    def price(self, runs: int, usage: Usage) -> Decimal:
        """The cost of so many runs that together used ``usage``."""
        parts = (
            (runs, self.fixed),
            (usage.input_tokens, self.input),
            (usage.output_tokens, self.output),
            (usage.cache_read_tokens, self.cache_read),
            (usage.cache_write_tokens, self.cache_write),
        )
        return sum(((count or 0) * each for count, each in parts), Decimal(0))


@dataclass(frozen=True, slots=True)
class Tariff:
    """What a model costs at a moment.

    Args:
        model: ``provider:name``.
        at: When; prices are dated.
        starts: A run of more input tokens than the n-th of these is of tier n + 1.
        tiers: The rates, tier by tier.
    """

    model: str
    at: datetime
    starts: Sequence[int]
    tiers: Sequence[Rates]

    @classmethod
    def of(cls, model: str, at: datetime) -> Tariff:
        """The tariff of a model.

        Raises:
            InvalidParameterError: Nobody knows its price.
        """
        starts = _starts(model, at)
        return cls(model, at, starts, [_rates(model, at, least + 1) for least in (0, *starts)])

    def tier(self, column: str) -> str:
        """The SQL for a run's tier, from its input tokens.

        >>> Tariff("m", datetime.now(), [200_000], []).tier("input_tokens")
        '0 + (CASE WHEN input_tokens > 200000 THEN 1 ELSE 0 END)'
        """
        steps = [f"(CASE WHEN {column} > {start} THEN 1 ELSE 0 END)" for start in self.starts]
        return " + ".join(["0", *steps])


def _starts(model: str, at: datetime) -> list[int]:
    listed = pricing.listed_model(model)
    if listed is None or config.rates(model) is not None or pricing.is_free(model):
        return []
    rates = vars(listed.get_prices(at)).values()
    return sorted({int(tier.start) for rate in rates for tier in getattr(rate, "tiers", ())})


def _rates(model: str, at: datetime, least: int) -> Rates:
    """Found by asking for the price of single tokens: there is one place that knows prices."""

    def cost(sent: int, came: int = 0, read: int = 0, written: int = 0) -> Decimal:
        found = pricing.price(model, Usage(sent, came, read, written), at).cost_usd
        if found is None:
            raise InvalidParameterError(
                f"Nobody knows the price of {model}. Say it with configure(prices=...)."
            )
        return found

    base = cost(least)
    each = cost(least + 1) - base
    return Rates(
        fixed=base - least * each,
        input=each,
        output=cost(least, came=1) - base,
        cache_read=cost(least, read=1) - base,
        cache_write=cost(least, written=1) - base,
    )

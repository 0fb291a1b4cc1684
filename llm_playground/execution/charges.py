"""What the attempts of a run are charged with.

What a provider has counted holds. What it has not counted, such as the output of an answer that
broke off, is estimated beside it. An attempt that gave nothing counts too where its provider may
bill it: with what the provider had counted, at least with its input.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from llm_playground.catalog import estimates, pricing
from llm_playground.catalog.pricing import Price
from llm_playground.errors import (
    AuthenticationError,
    LLMError,
    ProviderError,
    RateLimitError,
    RequestRejectedError,
)
from llm_playground.events import Finish
from llm_playground.types import Attempt, Request, Run, Usage

# Errors of requests that a provider has not worked on.
_UNBILLED = (AuthenticationError, RateLimitError, RequestRejectedError)


@dataclass(frozen=True, slots=True)
class Charge:
    """What one attempt, or one answer, is charged with.

    ``response_model`` is the model that the provider names. ``is_partial`` is whether the provider
    may have billed more than it had counted and stated when the connection ended.
    """

    usage: Usage | None
    response_model: str | None = None
    is_partial: bool = False

    def price(self, run: Run, request: Request) -> Price:
        """The price, in the tier asked for if that may be dearer and the answer names none."""
        usage, tier = self.usage, estimates.dearer_tier_asked(request)
        if usage is not None and usage.service_tier is None and tier is not None:
            usage = replace(usage, service_tier=tier)  # the answer does not say that it had another
        found = pricing.run_price(run.model, usage, run.started_at, self.response_model)
        if usage is None or not (self.is_partial and found.source == "provider"):
            return found
        listed = replace(usage, reported_cost_usd=None)
        by_list = pricing.run_price(run.model, listed, run.started_at, self.response_model)
        return _larger(found.cost_usd or Decimal(0), by_list)


def _larger(stated_usd: Decimal, by_list: Price) -> Price:
    """The larger of what a part of an answer states that it cost, and the price of the whole."""
    if by_list.cost_usd is None:
        least_usd = max(stated_usd, by_list.at_least_usd or Decimal(0))
        return Price(None, by_list.source or "provider", least_usd or None)
    return by_list if by_list.cost_usd > stated_usd else Price(stated_usd, "provider")


def of_unanswered(error: LLMError | None, request: Request, read: Finish) -> Charge | None:
    """The charge of an attempt that gave nothing; None if its provider does not bill it.

    Args:
        error: How it ended; None if it was stopped.
        request: What it sent.
        read: What was read of its answer.
    """
    counted = read.usage or Usage()
    if not (_has_counts(counted) or _may_be_billed(error)):
        return None
    usage = completed(counted, estimates.estimate_usage(request, ""), has_ended=False)
    return Charge(usage, read.response_model, is_partial=True)


def of_earlier(attempts: Sequence[Attempt], request: Request) -> list[Charge]:
    """The charges of the attempts before the one whose answer is resumed: at least their input.

    Later attempts only read that answer.
    """
    last = max((n for n, one in enumerate(attempts) if one.response_id), default=0)
    usage = estimates.estimate_usage(request, "")
    return [Charge(usage, is_partial=True) for one in attempts[:last] if one.billed]


def _has_counts(usage: Usage) -> bool:
    """Whether a provider has counted anything, or stated a cost."""
    return any(
        (
            usage.input_tokens,
            usage.output_tokens,
            usage.cache_read_tokens,
            usage.cache_write_tokens,
            usage.reasoning_tokens,
            any(usage.billed_units.values()),
            usage.reported_cost_usd,
        )
    )


def _may_be_billed(error: LLMError | None) -> bool:
    if error is None:
        return True
    return isinstance(error, ProviderError) and error.reached and not isinstance(error, _UNBILLED)


def completed(reported: Usage, estimated: Usage, *, has_ended: bool) -> Usage:
    """The reported counts, with estimates of those that are missing, not below their parts.

    The output that was counted before an answer broke off is a lower bound.

    >>> completed(Usage(0, 5), Usage(7, 9), has_ended=False).total_tokens
    16
    """
    cached = (reported.cache_read_tokens or 0) + (reported.cache_write_tokens or 0)
    input_tokens, output_tokens = reported.input_tokens, reported.output_tokens
    units = reported.billed_units
    if not input_tokens:  # zeros in early chunks are placeholders
        input_tokens = max(estimated.input_tokens or 0, cached)
        units = {**estimated.billed_units, **units}
    if output_tokens is None or not has_ended:
        least = max(output_tokens or 0, reported.reasoning_tokens or 0)
        output_tokens = max(estimated.output_tokens or 0, least)
    return replace(
        reported,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        billed_units=units,
        service_tier=reported.service_tier or estimated.service_tier,
    )


def together(usages: Iterable[Usage]) -> Usage:
    """The sum of some usages; the tier is that of the last one that has one.

    >>> together([Usage(1, 2, cache_read_tokens=1), Usage(3, 4)])
    Usage(input_tokens=4, output_tokens=6, cache_read_tokens=1, ...billed_units={}, ...)
    """
    total = Usage()
    for one in usages:
        units = {**total.billed_units}
        for unit, number in one.billed_units.items():
            units[unit] = units.get(unit, 0) + number
        total = Usage(
            _plus(total.input_tokens, one.input_tokens),
            _plus(total.output_tokens, one.output_tokens),
            _plus(total.cache_read_tokens, one.cache_read_tokens),
            _plus(total.cache_write_tokens, one.cache_write_tokens),
            _plus(total.reasoning_tokens, one.reasoning_tokens),
            one.service_tier or total.service_tier,
            units,
        )
    return total


def _plus(first: int | None, second: int | None) -> int | None:
    return second if first is None else first + (second or 0)


def sum_of(prices: Sequence[Price]) -> Price:
    """The sum of some prices, the first of which decides the source.

    >>> sum_of([Price(Decimal(1), "free"), Price(None, None, Decimal(2))])
    Price(cost_usd=None, source='free', at_least_usd=Decimal('3'))
    """
    source = next((price.source for price in prices if price.source), None)
    costs = [price.cost_usd for price in prices if price.cost_usd is not None]
    if len(costs) == len(prices):
        return Price(sum(costs, Decimal(0)), source)
    least_usd = sum(
        (p.at_least_usd or Decimal(0) if p.cost_usd is None else p.cost_usd for p in prices),
        Decimal(0),
    )
    return Price(None, source, least_usd or None)

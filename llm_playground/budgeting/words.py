"""What is said about budgets: one line each, what happened and what to do."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from llm_playground.budgeting.budget import Budget, Span
from llm_playground.footer import usd


def limit(budget: Budget, span: Span) -> str:
    """``$50.00 for November``, and what it is for where it is not for all calls."""
    parts = [usd(budget.limit_usd), _period(budget, span)]
    parts += [f"on {budget.model}"] if budget.model else []
    parts += [f"by {budget.user}"] if budget.user else []
    parts += [f"tagged {budget.tag}"] if budget.tag else []
    return " ".join(parts)


def origin(budget: Budget, span: Span) -> str:
    """Who set it and when it begins anew: ``set by ada, resets 1 Dec UTC``."""
    resets = f", resets {_day(span.end)} UTC" if span.end else ""
    return f"set by {budget.created_by}{resets}"


def refused(budget: Budget, span: Span, worst_usd: Decimal, left_usd: Decimal) -> str:
    """A call that does not fit and will not."""
    return (
        f"Not sent: {_could(worst_usd, left_usd)} of "
        f"{limit(budget, span)} ({origin(budget, span)}). "
        'Lower max_tokens, use a free model, or pass override="reason".'
    )


def warned(budget: Budget, span: Span, worst_usd: Decimal, left_usd: Decimal) -> str:
    """A call that does not fit and is sent all the same."""
    return (
        f"Over budget: {_could(worst_usd, left_usd)} of "
        f"{limit(budget, span)} ({origin(budget, span)}). Sent: this budget only warns."
    )


def waits(budget: Budget, span: Span) -> str:
    """A call that does not fit while others are under way."""
    return f"Waits for calls under way to leave enough of {limit(budget, span)}."


def unpriced(budget: Budget, span: Span, model: str) -> str:
    """A call that is sent though nobody knows its price."""
    return f"The price of {model} is unknown: not counted in {limit(budget, span)}."


def refused_unpriced(budget: Budget, span: Span, model: str) -> str:
    """A call that is not sent because nobody knows its price."""
    return (
        f"Not sent: the price of {model} is unknown, and {limit(budget, span)} "
        f"({origin(budget, span)}) blocks such calls. "
        'Set one with lp.configure(prices={...}), or pass override="reason".'
    )


def unchecked(budget: Budget, span: Span, why: str) -> str:
    """A call that is not sent because its budget cannot be looked at."""
    return f"Not sent: {limit(budget, span)} ({origin(budget, span)}) cannot be checked. {why}"


def _could(worst_usd: Decimal, left_usd: Decimal) -> str:
    """What it could cost and what is left; in full where they would look alike."""
    worst, left = usd(worst_usd), usd(left_usd)
    if worst == left:
        worst, left = f"${worst_usd.normalize():f}", f"${left_usd.normalize():f}"
    return f"could cost up to {worst}, {f'{left} is' if left_usd > 0 else 'nothing is'} left"


def _period(budget: Budget, span: Span) -> str:
    if span.start is None:
        return "in all"
    if budget.period == "day":
        return f"for {_day(span.start)}"
    return f"for {span.start:%B}"


def _day(at: datetime) -> str:
    return f"{at.day} {at:%b}"

"""A budget: how much may be spent, on what, by whom, in which time."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Literal

from llm_playground.capabilities import LOCAL_MODEL

Period = Literal["day", "month", "total"]
Action = Literal["warn", "block"]
UnknownPrice = Decimal | Literal["warn", "block"]


@dataclass(frozen=True, slots=True)
class Span:
    """One day, one month, or all time, in UTC: ``start`` is in it, ``end`` is not.

    Both are None for all time.
    """

    start: datetime | None
    end: datetime | None

    def __contains__(self, at: datetime) -> bool:
        return (self.start is None or at >= self.start) and (self.end is None or at < self.end)


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit in US dollars for all calls that fit; None fits everything.

    Args:
        id: Its row's.
        limit_usd: What the calls of one period may cost together.
        period: The days and months of UTC, or ``total``.
        model: ``provider:name``, a bare name of any provider, or ``local``; ``*`` stands for
            anything.
        user: Who makes the calls.
        tag: A tag the calls carry.
        action: What happens to a call that does not fit.
        unknown_price: What happens to a call whose price nobody knows; an amount is assumed for it.
        created_by: Who set it.
        created_at: When it was first set.
    """

    id: str
    limit_usd: Decimal
    period: Period
    model: str | None
    user: str | None
    tag: str | None
    action: Action
    unknown_price: UnknownPrice
    created_by: str
    created_at: datetime

    @property
    def blocks(self) -> bool:
        """Whether calls that do not fit are held back."""
        return self.action == "block"

    def applies_to(self, model: str, user: str, tags: Collection[str]) -> bool:
        """Whether a call counts.

        Args:
            model: ``provider:name``.
            user: Who makes it.
            tags: Its tags.
        """
        if self.user is not None and self.user != user:
            return False
        if self.tag is not None and self.tag not in tags:
            return False
        return self.model is None or fits(self.model, model)


@lru_cache(maxsize=512)
def fits(pattern: str, model: str) -> bool:
    """Whether a model is what a person's pattern means.

    >>> fits("gpt-*", "openai:gpt-6"), fits("openai:*", "anthropic:x"), fits("gpt-6", "mine:gpt-6")
    (True, False, True)
    """
    return any(_as_regex(full).fullmatch(model) is not None for full in full_patterns(pattern))


def full_patterns(pattern: str) -> tuple[str, ...]:
    """Patterns over ``provider:name`` for what a person writes as a model.

    >>> full_patterns("gpt-*"), full_patterns("openai:*")
    (('gpt-*', '*:gpt-*'), ('openai:*',))
    """
    if pattern == "local":
        return (LOCAL_MODEL,)
    return (pattern,) if ":" in pattern else (pattern, f"*:{pattern}")


def span(period: Period, at: datetime) -> Span:
    """The period that a moment is in.

    >>> span("month", datetime(2026, 12, 31, 23, 59, tzinfo=UTC)).end.isoformat()
    '2027-01-01T00:00:00+00:00'
    """
    if period == "total":
        return Span(None, None)
    midnight = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if period == "day":
        return Span(midnight, midnight + timedelta(days=1))
    first = midnight.replace(day=1)
    return Span(first, (first + timedelta(days=31)).replace(day=1))


@lru_cache(maxsize=512)
def _as_regex(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in pattern.split("*")), re.DOTALL)

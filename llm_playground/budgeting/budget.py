"""A budget, its periods and messages, and the part of it that one process may spend.

An :class:`Allocation` is the part of a budget's period that was granted to this process. It is kept
in memory and mirrored in a row of ``budget_reservations`` that all processes see. The row holds all
that was ever granted to the process. The cost of the process's own runs counts against it, so what
it may still cost is ``granted_usd`` less the cost of those of its runs that are in the log. A call
is therefore never counted twice or missed, however late its row arrives, and most calls need no
database access.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from hashlib import sha256
from typing import Literal

from llm_playground import ids
from llm_playground.config.endpoints import LOCAL_MODEL
from llm_playground.config.policy import Action, BudgetRule, Period, UnknownPrice
from llm_playground.formatting import Sentence, usd
from llm_playground.redaction import printable

AlarmEvent = Literal["blocked", "exceeded", "80%", "100%"]

ZERO = Decimal(0)
# The shares of a limit whose spending raises an alarm, the largest first.
_ALARM_SHARES: dict[AlarmEvent, Decimal] = {"100%": Decimal(1), "80%": Decimal("0.8")}
# An allocation grows by this many calls at once, but by at most this fraction of the remaining
# amount.
BLOCK_CALLS = 16
MAX_BLOCK_CALLS = 4096
_MAX_FRACTION = 4


def clock() -> float:
    """Seconds that no change of the time of day affects, and that go on while the machine sleeps.

    >>> clock() <= clock()
    True
    """
    boot_time = getattr(time, "CLOCK_BOOTTIME", None)  # on Linux; elsewhere without sleep
    return time.monotonic() if boot_time is None else time.clock_gettime(boot_time)


@dataclass(frozen=True, slots=True)
class Span:
    """One day or month in UTC, ``end`` excluded, or all time, with both ends None."""

    start: datetime | None
    end: datetime | None

    def __contains__(self, at: datetime) -> bool:
        return (self.start is None or at >= self.start) and (self.end is None or at < self.end)


@dataclass(frozen=True, slots=True, repr=False)
class Budget(Sentence):
    """A limit in US dollars for all matching calls. A criterion of None matches every call.

    Args:
        id: The primary key of its row.
        limit_usd: What the calls of one period may cost together.
        period: ``day`` or ``month`` (in UTC), or ``total``.
        model: ``provider:name``, a bare name of any provider, or ``local``; ``*`` matches any text.
        user: The user who makes the calls.
        tag: A tag of the calls.
        action: What happens to a call that does not fit.
        unknown_price: What happens to a call of unknown price; an amount is its assumed cost.
        created_by: Who last set it.
        created_at: When it was first set; None for a budget of the administrator's policy.
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
    created_at: datetime | None

    def __repr__(self) -> str:
        period = "in all" if self.period == "total" else f"a {self.period}"
        criteria = {"model": self.model, "user": self.user, "tag": self.tag}
        named = [f"{name} {value}" for name, value in criteria.items() if value is not None]
        which = f" for {', '.join(named)}" if named else ""
        effect = "blocks calls that do not fit" if self.blocks else "warns of calls that do not fit"
        return printable(f"Budget of {usd(self.limit_usd)} {period}{which}: {effect}.")

    @property
    def blocks(self) -> bool:
        """Whether calls that do not fit are not sent."""
        return self.action == "block"

    def applies_to(self, model: str, user: str, tags: Collection[str]) -> bool:
        """Whether a call of this model (``provider:name``), user and tags counts."""
        return (
            self.user in (None, user)
            and (self.tag is None or self.tag in tags)
            and (self.model is None or matches(self.model, model))
        )


def share_reached(spent_usd: Decimal, limit_usd: Decimal) -> AlarmEvent | None:
    """The largest share of a limit that is spent and raises an alarm; None below all.

    >>> share_reached(Decimal(9), Decimal(10)), share_reached(Decimal(7), Decimal(10))
    ('80%', None)
    """
    shares = _ALARM_SHARES.items() if limit_usd > 0 else ()
    return next((event for event, share in shares if spent_usd >= share * limit_usd), None)


@lru_cache(maxsize=8)
def of_policy(rules: tuple[BudgetRule, ...]) -> tuple[Budget, ...]:
    """The budgets of the administrator's policy, which are in no table.

    The same calls and period have the same id with every limit and on every machine; further rules
    for them, such as a lower limit that warns, have ids of their own.
    """
    found: list[Budget] = []
    earlier: Counter[tuple[object, ...]] = Counter()
    for rule in rules:
        scope = (rule.period, rule.model, rule.user, rule.tag)
        key = (*scope, earlier[scope]) if earlier[scope] else scope
        earlier[scope] += 1
        found.append(
            Budget(
                id=ids.id_from_hash(sha256(repr(key).encode()).hexdigest()),
                **{name: getattr(rule, name) for name in BudgetRule.__slots__},
                created_by="the administrator's policy",
                created_at=None,
            )
        )
    return tuple(found)


@lru_cache(maxsize=512)
def matches(pattern: str, model: str) -> bool:
    """Whether a budget's ``model`` pattern matches a ``provider:name``, in any case of letters.

    Some servers, such as Azure's, take a model's name in any case, and so does the price list.

    >>> matches("gpt-*", "openai:gpt-6"), matches("openai:*", "anthropic:x")
    (True, False)
    >>> matches("gpt-6", "mine:GPT-6")
    True
    """
    return any(_as_regex(full).fullmatch(model) is not None for full in full_patterns(pattern))


def full_patterns(pattern: str) -> tuple[str, ...]:
    """Patterns over ``provider:name`` for a budget's ``model``.

    >>> full_patterns("gpt-*"), full_patterns("openai:*")
    (('gpt-*', '*:gpt-*'), ('openai:*',))
    """
    if pattern == "local":
        return (LOCAL_MODEL,)
    return (pattern,) if ":" in pattern else (pattern, f"*:{pattern}")


@lru_cache(maxsize=512)
def _as_regex(pattern: str) -> re.Pattern[str]:
    any_text = ".*".join(re.escape(part) for part in pattern.split("*"))
    return re.compile(any_text, re.DOTALL | re.IGNORECASE)


def period_span(period: Period, at: datetime) -> Span:
    """The day, month or total that contains a moment.

    >>> period_span("month", datetime(2026, 12, 31, 23, 59, tzinfo=UTC)).end.isoformat()
    '2027-01-01T00:00:00+00:00'
    """
    if period == "total":
        return Span(None, None)
    midnight = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if period == "day":
        return Span(midnight, midnight + timedelta(days=1))
    first = midnight.replace(day=1)
    return Span(first, (first + timedelta(days=31)).replace(day=1))


def describe_limit(budget: Budget, span: Span) -> str:
    """``$50.00 for November``, with the criteria of the budget if it has some."""
    parts = [usd(budget.limit_usd), _period_text(budget, span)]
    parts += [f"on {budget.model}"] if budget.model else []
    parts += [f"by {budget.user}"] if budget.user else []
    parts += [f"tagged {budget.tag}"] if budget.tag else []
    return " ".join(parts)


def refused_message(budget: Budget, span: Span, worst_usd: Decimal, remaining_usd: Decimal) -> str:
    """The error of a call that does not fit."""
    return (
        f"Not sent: {_shortfall(worst_usd, remaining_usd)} of {limit_and_origin(budget, span)}. "
        'Lower max_tokens, use a free model, or pass override="reason".'
    )


def exceeded_message(budget: Budget, span: Span, worst_usd: Decimal, remaining_usd: Decimal) -> str:
    """The warning of a call that does not fit and is sent anyway."""
    return (
        f"Over budget: {_shortfall(worst_usd, remaining_usd)} of "
        f"{limit_and_origin(budget, span)}. Sent anyway: this budget only warns."
    )


def unpriced_refusal(budget: Budget, span: Span, model: str, unbounded: str | None = None) -> str:
    """The error of a call that is not sent because its price is unknown.

    ``unbounded`` is the field of ``extra`` whose cost has no bound, if that is why.
    """
    reason = f"the price of {model} is unknown"
    way = 'Set one with lp.configure(prices={...}), or pass override="reason".'
    if unbounded is not None:
        reason = f"what extra[{unbounded!r}] may cost has no bound"
        way = 'Leave it out, or pass override="reason".'
    return f"Not sent: {reason}, and {limit_and_origin(budget, span)} blocks such calls. {way}"


def limit_and_origin(budget: Budget, span: Span) -> str:
    """``$50.00 for November (set by ada, resets 1 Dec UTC)``."""
    resets = f", resets {_day(span.end)} UTC" if span.end else ""
    return f"{describe_limit(budget, span)} (set by {budget.created_by}{resets})"


def _shortfall(worst_usd: Decimal, remaining_usd: Decimal) -> str:
    """What a call could cost and what remains; unrounded if both would look the same."""
    worst, left = usd(worst_usd), usd(remaining_usd)
    if worst == left:
        worst, left = f"${worst_usd.normalize():f}", f"${remaining_usd.normalize():f}"
    return f"could cost up to {worst}, {f'{left} is' if remaining_usd > 0 else 'nothing is'} left"


def _period_text(budget: Budget, span: Span) -> str:
    if span.start is None:
        return "in total"
    return f"for {_day(span.start) if budget.period == 'day' else format(span.start, '%B')}"


def _day(at: datetime) -> str:
    return f"{at.day} {at:%b}"


@dataclass(slots=True)
class Allocation:
    """What one process may spend of a budget in one period."""

    granted_usd: Decimal = ZERO  # all that was ever granted to this process, as in its row
    settled_usd: Decimal = ZERO  # what its ended calls cost
    reserved: dict[str, Decimal] = field(default_factory=dict)  # worst cases by running run's id
    reserved_usd: Decimal = ZERO  # their sum

    @property
    def available_usd(self) -> Decimal:
        """What new calls may reserve. Negative if calls cost more than their worst case."""
        return self.granted_usd - self.settled_usd - self.reserved_usd

    def reserve(self, run_id: str, worst_usd: Decimal) -> None:
        """Reserve a call's worst case. The caller checks that it fits."""
        self.reserved[run_id] = self.reserved.get(run_id, ZERO) + worst_usd
        self.reserved_usd += worst_usd

    def settle(self, run_id: str, cost_usd: Decimal) -> None:
        """Replace an ended call's reservation by its cost."""
        self.reserved_usd -= self.reserved.pop(run_id, ZERO)
        self.settled_usd += cost_usd

    def charge(self, cost_usd: Decimal) -> None:
        """Count the cost of an ended call that had no reservation here."""
        self.granted_usd += cost_usd
        self.settled_usd += cost_usd

    def release_unused(self) -> None:
        """Reduce the grant to what running calls may need."""
        self.granted_usd -= max(self.available_usd, ZERO)


def growth(
    worst_cases: Sequence[Decimal],
    available_usd: Decimal,
    remaining_usd: Decimal,
    block_calls: int,
) -> Decimal:
    """By how much an allocation grows, from 0 to ``remaining_usd``.

    Calls that are about to be sent come first, in order; a call that does not fit is skipped. If
    all fit, the allocation also grows for future calls, up to ``block_calls`` together.
    ``available_usd`` is what the allocation still has, ``remaining_usd`` what the budget has left
    outside all allocations.

    >>> growth([Decimal(1)], Decimal(0), Decimal(100), 16)
    Decimal('16')
    >>> growth([Decimal(1)] * 3, Decimal(0), Decimal(2), 16)
    Decimal('2')
    """
    needed_usd, all_fit = -available_usd, True
    for worst_usd in worst_cases:
        if needed_usd + worst_usd <= remaining_usd:
            needed_usd += worst_usd
        else:
            all_fit = False
    if not all_fit:
        return max(needed_usd, ZERO)
    block_usd = max(worst_cases, default=ZERO) * block_calls
    return max(needed_usd, min(block_usd, remaining_usd / _MAX_FRACTION), ZERO)

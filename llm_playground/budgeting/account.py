"""One budget in one period, as this process sees it."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from llm_playground.budgeting.budget import Budget, Span
from llm_playground.budgeting.ledger import Granted
from llm_playground.budgeting.purse import BLOCK_CALLS, MOST_BLOCK_CALLS, ZERO, Purse
from llm_playground.types import Execution, Run

# Shares that are used up faster than this grow by twice as much the next time.
_SOON_S = 5.0
# What was left this long ago is at most what is left now, unless somebody raised the limit.
_RECENT_S = 1.0


@dataclass(slots=True, eq=False)
class Account:
    """A share and what surrounds it.

    Args:
        id: Its row's.
        budget: Of which budget.
        span: In which period.
        begun_at: When the first call that asked was made.
        purse: The share.
        opened: Whether there is a row.
        good_until: When it expires, on the monotonic clock.
        outside_usd: What all runs that are not this process's cost, as of the last round.
        others_usd: What other processes' shares may still cost, as of the last round.
        beside_usd: What the last round left beside all shares.
        limit_usd: The limit as of the last round.
        seen_at: When the last round was, on the monotonic clock.
        busy_at: When a call last ended, on the monotonic clock.
        in_line: How many calls wait for it.
        line: Entered by the one that is first in line.
        warned: Whether it was said that the budget is exceeded.
    """

    id: str
    budget: Budget
    span: Span
    begun_at: datetime
    purse: Purse = field(default_factory=Purse)
    opened: bool = False
    good_until: float = 0.0
    outside_usd: Decimal = ZERO
    others_usd: Decimal = ZERO
    beside_usd: Decimal = ZERO
    limit_usd: Decimal | None = None
    seen_at: float = -math.inf
    busy_at: float = 0.0
    in_line: int = 0
    line: asyncio.Lock = field(default_factory=asyncio.Lock)
    warned: bool = False
    _block_calls: int = BLOCK_CALLS
    _grown_at: float = 0.0

    @property
    def left_usd(self) -> Decimal:
        """What is left when all calls under way cost nothing, 0 or more."""
        limit = self.budget.limit_usd if self.limit_usd is None else self.limit_usd
        return max(limit - self.outside_usd - self.purse.settled, ZERO)

    def is_hopeless(self, worst_usd: Decimal) -> bool:
        """Whether so much was not left a moment ago, whatever calls under way come to cost."""
        recent = time.monotonic() - self.seen_at < _RECENT_S
        return self.budget.blocks and recent and worst_usd > self.left_usd

    def may_have(self, worst_usd: Decimal) -> bool:
        """Whether a round may find so much: something is beside the shares, or in others'."""
        some = self.others_usd > 0 or self.purse.free + self.beside_usd >= worst_usd
        return some or self.good_until <= time.monotonic()

    def take_in(self, granted: Granted, good_until: float) -> None:
        """What a round found and granted."""
        totals = granted.totals
        if not self.opened:
            self.opened = True
            self.purse.granted = self.purse.settled = totals.own
        self.purse.granted += granted.grown_by
        self.outside_usd = totals.spent - totals.own
        self.others_usd, self.beside_usd = totals.others, granted.beside_usd
        self.limit_usd, self.good_until = granted.limit_usd, good_until
        self.seen_at = time.monotonic()
        if granted.grown_by:
            self._grown_at = self.seen_at

    def calls_ahead(self) -> int:
        """For how many calls to reserve at once."""
        soon = time.monotonic() - self._grown_at < _SOON_S
        doubled = min(self._block_calls * 2, MOST_BLOCK_CALLS)
        self._block_calls = doubled if soon else BLOCK_CALLS
        return self._block_calls

    def charge(self, run: Run) -> Decimal:
        """What an ended run counts with; as :mod:`llm_playground.budgeting.ledger` has it."""
        if run.cost_usd is not None:
            return run.cost_usd
        billed = run.status != "over_budget" and (
            run.usage_source != "none" or run.status == "completed"
        )
        assumed = self.budget.unknown_price
        return assumed if billed and isinstance(assumed, Decimal) else ZERO

    def covers(self, run: Run, execution: Execution) -> bool:
        """Whether a run counts here."""
        fits = self.budget.applies_to(run.model, execution.username, execution.tags)
        return fits and run.started_at in self.span

    def idle(self) -> bool:
        """Whether it has something to give back, and no call under way."""
        return not self.purse.held and not self.in_line and self.purse.free > 0

    def outstanding(self) -> bool:
        """Whether others count something as still to come from here."""
        return self.opened and self.purse.granted > self.purse.settled

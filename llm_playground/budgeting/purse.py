"""What this process may spend of one budget in one period: its share, kept in memory.

The share is a row that all processes see: how much this process was ever granted. What its own
runs cost counts against that, so a row tells at any time what is still to come from here:
``granted`` less the cost of those runs of this process that the log has. A call is therefore never
counted twice and never missed, however late its row comes, and most calls touch no database.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

ZERO = Decimal(0)
# A share grows by this many calls at once, but by no more than this part of what remains.
BLOCK_CALLS = 16
MOST_BLOCK_CALLS = 4096
_LARGEST_PART = 4


@dataclass(slots=True)
class Purse:
    """The share of this process.

    Args:
        granted: All that was ever granted to this process, as its row says.
        settled: What its ended calls cost.
        held: The worst cases of calls under way, by run.
    """

    granted: Decimal = ZERO
    settled: Decimal = ZERO
    held: dict[str, Decimal] = field(default_factory=dict)
    held_usd: Decimal = ZERO

    @property
    def free(self) -> Decimal:
        """What more calls may take. Below 0 when calls cost more than their worst case."""
        return self.granted - self.settled - self.held_usd

    def take(self, run_id: str, worst_usd: Decimal) -> None:
        """Hold a call's worst case; whether it fits is for the caller to see to."""
        self.held[run_id] = worst_usd
        self.held_usd += worst_usd

    def settle(self, run_id: str, cost_usd: Decimal) -> None:
        """A call has ended: what it cost stays spent, the rest is free again."""
        self.held_usd -= self.held.pop(run_id, ZERO)
        self.settled += cost_usd

    def cost(self, cost_usd: Decimal) -> None:
        """A call that was never held here has ended: its cost counts in the log as ours."""
        self.granted += cost_usd
        self.settled += cost_usd

    def give_back(self) -> None:
        """Keep only what calls under way may need."""
        self.granted -= max(self.free, ZERO)


def growth(
    wants: Sequence[Decimal], free: Decimal, remaining: Decimal, block_calls: int
) -> Decimal:
    """By how much a share grows.

    Calls that are about to be sent come first, in order; each that does not fit is left out. Where
    all fit, the share grows on for calls to come.

    Args:
        wants: The worst cases of calls about to be sent, those first that came first.
        free: What the share still has for them.
        remaining: What the budget has left beside all shares.
        block_calls: How many calls to reserve for at once.

    Returns:
        At most ``remaining``, at least 0.

    >>> growth([Decimal(1)], Decimal(0), Decimal(100), 16)
    Decimal('16')
    >>> growth([Decimal(1)] * 3, Decimal(0), Decimal(2), 16)
    Decimal('2')
    """
    needed, missed = -free, False
    for want in wants:
        if needed + want <= remaining:
            needed += want
        else:
            missed = True
    if missed:
        return max(needed, ZERO)
    ahead = min(max(wants, default=ZERO) * block_calls, remaining / _LARGEST_PART)
    return max(needed, ahead, ZERO)

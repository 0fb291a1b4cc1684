"""The reservation of one call, and the accounts of this process that it is made from."""

from __future__ import annotations

import asyncio
import math
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from llm_playground.budgeting.budget import (
    BLOCK_CALLS,
    MAX_BLOCK_CALLS,
    ZERO,
    Allocation,
    Budget,
    Span,
    clock,
    describe_limit,
    exceeded_message,
    limit_and_origin,
    refused_message,
)
from llm_playground.budgeting.cache import KnownBudgets
from llm_playground.budgeting.ledger import Grant
from llm_playground.catalog.estimates import Estimate
from llm_playground.errors import BudgetExceededError, RunLogError
from llm_playground.redaction import printable
from llm_playground.runlog import insert_audit_entry, record
from llm_playground.runlog.store import Session
from llm_playground.types import Execution, Request, Run

if TYPE_CHECKING:
    from llm_playground.budgeting.enforcer import BudgetEnforcer

# An allocation that is used up within this time grows by twice as many calls the next time.
_FAST_S = 5.0
# For this long, the remaining amount is assumed not to have grown: only a raised limit does that.
_RECENT_S = 1.0
_FIRST_POLL_S = 0.1
_LONGEST_POLL_S = 1.0
_POLL_FACTOR = 1.5


class BudgetWarning(UserWarning):
    """A call was sent although it exceeds a budget that only warns, or its price is unknown."""


def warn(message: str) -> None:
    """Emit a BudgetWarning. A filter that raises it has no effect: the run has the message too."""
    with suppress(BudgetWarning):
        # Calls run on the background loop, so there is no line of the user to point to.
        warnings.warn_explicit(printable(message), BudgetWarning, "llm_playground", 1)


@dataclass(slots=True, eq=False)
class Account:
    """This process's allocation of a budget in one period, and what is known about the rest.

    Times are by :func:`clock`, except ``started_at``.
    """

    id: str  # the primary key of the allocation's row
    budget: Budget
    span: Span
    started_at: datetime  # of the first call that needed it
    allocation: Allocation = field(default_factory=Allocation)
    row_usd: Decimal | None = None  # what the row grants; None before there is one
    row_settled_usd: Decimal = ZERO  # what the row records as spent
    expires_at: float = 0.0  # when it must be renewed before another call uses it
    others_spent_usd: Decimal = ZERO  # by the runs of other processes, as of the last round
    others_reserved_usd: Decimal = ZERO  # what other allocations may still cost, as of then
    unallocated_usd: Decimal = ZERO  # what the last round left outside all allocations
    limit_usd: Decimal | None = None  # as of the last round
    updated_at: float = -math.inf  # when the last round was
    last_end_at: float = 0.0  # when a call last ended
    waiting: int = 0  # how many calls wait for it
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)  # of the first call in line
    warned: bool = False  # that the budget is exceeded
    _block_calls: int = BLOCK_CALLS
    _grown_at: float = 0.0

    @property
    def has_row(self) -> bool:
        """Whether other processes see it."""
        return self.row_usd is not None

    @property
    def remaining_usd(self) -> Decimal:
        """What is left if all running calls cost nothing, 0 or more."""
        limit_usd = self.budget.limit_usd if self.limit_usd is None else self.limit_usd
        return max(limit_usd - self.others_spent_usd - self.allocation.settled_usd, ZERO)

    @property
    def spent_usd(self) -> Decimal | None:
        """What runs cost in the period, as of the last round and the calls since; None before."""
        if self.updated_at == -math.inf:
            return None
        return self.others_spent_usd + self.allocation.settled_usd

    def cannot_fit(self, worst_usd: Decimal) -> bool:
        """Whether a call does not fit even if all running calls cost nothing."""
        is_recent = clock() - self.updated_at < _RECENT_S
        return self.budget.blocks and is_recent and worst_usd > self.remaining_usd

    def may_fit(self, worst_usd: Decimal) -> bool:
        """Whether a round could reserve this much: outside the allocations, or in others'."""
        return (
            self.others_reserved_usd > 0
            or self.allocation.available_usd + self.unallocated_usd >= worst_usd
            or self.expires_at <= clock()
        )

    def update(self, grant: Grant, expires_at: float) -> None:
        """Apply the result of a round."""
        totals = grant.totals
        if not self.has_row:
            self.allocation.granted_usd = self.allocation.settled_usd = totals.own_spent_usd
        # A run of this process may cost more now: another process got its interrupted answer.
        # The round compared with the row as it was, which may record more than is counted now.
        counted_usd = max(self.allocation.settled_usd, self.row_settled_usd)
        self.allocation.charge(max(totals.own_spent_usd - counted_usd, ZERO))
        self.row_settled_usd = grant.settled_usd
        self.allocation.granted_usd += grant.growth_usd
        self.row_usd = self.allocation.granted_usd
        self.others_spent_usd = totals.spent_usd - totals.own_spent_usd
        self.others_reserved_usd = totals.others_reserved_usd
        self.unallocated_usd = grant.unallocated_usd
        self.limit_usd, self.expires_at = grant.limit_usd, expires_at
        self.updated_at = clock()
        if grant.growth_usd:
            self._grown_at = self.updated_at

    def next_block_calls(self) -> int:
        """For how many calls to reserve at once in the next round."""
        is_fast = clock() - self._grown_at < _FAST_S
        doubled = min(self._block_calls * 2, MAX_BLOCK_CALLS)
        self._block_calls = doubled if is_fast else BLOCK_CALLS
        return self._block_calls

    def charge_for(self, run: Run) -> Decimal:
        """What an ended run counts with, as in :mod:`llm_playground.budgeting.ledger`."""
        if run.cost_usd is not None:
            return run.cost_usd
        least_usd = run.at_least_usd or ZERO
        is_billed = run.status != "over_budget" and (
            run.usage_source != "none" or run.status == "completed"
        )
        assumed = self.budget.unknown_price
        if not (is_billed and isinstance(assumed, Decimal)):
            return least_usd
        return max(assumed, least_usd)

    def covers(self, run: Run, execution: Execution) -> bool:
        """Whether a run counts in this budget and period."""
        applies = self.budget.applies_to(run.model, execution.username, execution.tags)
        return applies and run.started_at in self.span

    def is_idle(self) -> bool:
        """Whether no call uses it and the row can be brought up to date."""
        return not self.allocation.reserved and not self.waiting and self.is_changed()

    def is_outstanding(self) -> bool:
        """Whether other processes count some of it as still to be spent."""
        return self.row_usd is not None and self.row_usd > self.allocation.settled_usd

    def is_changed(self) -> bool:
        """Whether the row is not as if the process ended now."""
        is_settled = self.allocation.settled_usd == self.row_settled_usd
        return self.has_row and (self.is_outstanding() or not is_settled)

    def change_limit(self, budget: Budget) -> None:
        """The budget was changed: what was granted before is no longer available."""
        self.budget, self.limit_usd = budget, None
        self.expires_at, self.updated_at = 0.0, -math.inf


@dataclass(frozen=True, slots=True)
class Need:
    """The worst case of a call in one account."""

    account: Account
    worst_usd: Decimal


@dataclass(slots=True, eq=False)
class Reservation:
    """The reservation of one call: held before it is sent, settled when it has ended.

    ``needs``, ``estimate`` and ``max_tokens`` follow from the ``known`` budgets, see
    :meth:`BudgetEnforcer.assess`.
    """

    enforcer: BudgetEnforcer
    run: Run  # as it began
    request: Request
    execution: Execution
    override: str | None = None  # why it is sent even if it exceeds budgets; None enforces them
    known: KnownBudgets | None = None  # None before the first assessment
    needs: Sequence[Need] = ()  # empty if no budget applies
    estimate: Estimate | None = None
    max_tokens: int | None = None  # the answer limit to send because a budget applies
    notices: list[str] = field(default_factory=list)  # for the run
    billed_usd: Decimal = ZERO  # what earlier attempts may have cost
    held: bool = False

    async def hold(self, billed_usd: Decimal) -> bool:
        """Hold the worst case; False if it does not fit while other calls are running.

        Budgets that have changed since they were last seen are taken into account.

        Raises:
            BudgetExceededError: It will not fit.
            RunLogError: A blocking budget, or whether there is one, cannot be read.
        """
        if billed_usd != self.billed_usd:
            self.billed_usd, self.held = billed_usd, not self.needs
        await self.enforcer.assess(self)
        if self.held:
            return True
        if not self.enforcer.try_hold(self):
            if self.override is None:
                self._refuse_if_too_large()
                if any(need.account.waiting for need in self.needs):
                    return False
            await self._join_round()
            if not self.held and self.override is not None:
                await self._join_round(forced=True)
        return self._check_held()

    def missing_usd(self, need: Need) -> Decimal:
        """What must still be held for a need, with the attempts that may have been billed."""
        reserved = need.account.allocation.reserved.get(self.run.id, ZERO)
        return need.worst_usd + self.billed_usd - reserved

    def release(self) -> None:
        """Hold nothing any more."""
        for need in self.needs:
            need.account.allocation.settle(self.run.id, ZERO)
        self.held = False

    def hold_unchecked(self, why: str, detail: str | None = None) -> None:
        """Send the call although the budgets cannot be checked, and count it when it has ended.

        Raises:
            RunLogError: A budget blocks, or may block, and there is no override.
        """
        accounts = sorted((n.account for n in self.needs), key=lambda a: not a.budget.blocks)
        account = accounts[0] if accounts else None
        what = (
            f"{limit_and_origin(account.budget, account.span)} cannot be checked."
            if account
            else "whether a budget applies is unknown."
        )
        is_known = self.known is not None and self.known.state != "unknown"
        if account is not None and is_known and not account.budget.blocks:
            self._note(account, f"{what} {why} Sent anyway: this budget only warns.")
        elif self.override is None:
            line = f'Not sent: {what} {why} Or pass override="reason".'
            raise RunLogError(line, detail=detail)
        else:
            target = None if account is None else account.budget.id
            record("override_budget", target, self._detail() | {"why": why})
        self.held = True

    async def wait(self, notify: Callable[[str], None]) -> None:
        """Wait in line until the worst case is held; ``notify`` gets one line about what for.

        Raises:
            BudgetExceededError: It will not fit.
            RunLogError: A blocking budget cannot be read.
        """
        account = self._tightest()
        limit = describe_limit(account.budget, account.span)
        notify(f"Waiting for running calls to leave enough of {limit}.")
        account.waiting += 1
        try:
            async with account.turn:
                await self._wait_first_in_line()
        finally:
            account.waiting -= 1

    def settle(self, run: Run) -> None:
        """Replace the reservation by the cost of the ended run, which is in the log's journal."""
        self.enforcer.settle(self, run)

    def audit(self, session: Session) -> None:
        """Write audit entries for the overridden budgets."""
        for need in self.needs:
            insert_audit_entry(session, "override_budget", need.account.budget.id, self._detail())

    def _detail(self) -> dict[str, object]:
        worst_usd = self.estimate and self.estimate.worst_case_usd
        names = ("reason", "run_id", "model", "worst_case_usd")
        values = (self.override, self.run.id, self.run.model, worst_usd and str(worst_usd))
        return dict(zip(names, values, strict=True))

    async def _wait_first_in_line(self) -> None:
        poll_s, poll_due = _FIRST_POLL_S, False
        while True:
            ended_calls = self.enforcer.ended_calls
            await self.enforcer.assess(self)
            if not self.held and not self.enforcer.try_hold(self, first_in_line=True):
                self._refuse_if_too_large()
                if poll_due or all(n.account.may_fit(self.missing_usd(n)) for n in self.needs):
                    await self._join_round(release_unused=True)
            if self._check_held():
                return
            poll_due = not await self.enforcer.wait_for_end(ended_calls, poll_s)
            poll_s = min(poll_s * _POLL_FACTOR, _LONGEST_POLL_S)

    async def _join_round(self, *, release_unused: bool = False, forced: bool = False) -> None:
        try:
            await self.enforcer.join_round(self, release_unused=release_unused, forced=forced)
        except RunLogError as error:
            self.hold_unchecked(str(error), error.detail)

    def _check_held(self) -> bool:
        """Whether it is held. If it is, warn about exceeded budgets that only warn.

        Raises:
            BudgetExceededError: It is not held and will not fit.
        """
        if not self.held:
            self._refuse_if_too_large()
            return False
        for need in self.needs:
            if not need.account.budget.blocks and need.worst_usd > need.account.remaining_usd:
                self._warn(need)
        return True

    def _refuse_if_too_large(self) -> None:
        """Raise BudgetExceededError if the call cannot fit even if running calls cost nothing."""
        for need in self.needs:
            account = need.account
            worst_usd = need.worst_usd + self.billed_usd
            if account.cannot_fit(worst_usd):
                message = refused_message(
                    account.budget, account.span, worst_usd, account.remaining_usd
                )
                self.enforcer.alarm("blocked", account)
                raise exceeded_error(message, account.budget, self.estimate)

    def _warn(self, need: Need) -> None:
        """Add a notice to the run about a budget that only warns."""
        account = need.account
        self.enforcer.alarm("exceeded", account)
        self._note(
            account,
            exceeded_message(account.budget, account.span, need.worst_usd, account.remaining_usd),
        )

    def _note(self, account: Account, message: str) -> None:
        """Add a notice to the run; also emit a warning, once per period."""
        if message not in self.notices:
            self.notices.append(message)
        if not account.warned:
            account.warned = True
            warn(message)

    def _tightest(self) -> Account:
        """The account to wait for."""
        for need in self.needs:
            account = need.account
            if account.waiting or account.allocation.available_usd < self.missing_usd(need):
                return account
        return self.needs[0].account


def exceeded_error(
    message: str, budget: Budget | None, estimate: Estimate | None
) -> BudgetExceededError:
    """A BudgetExceededError with its budget and estimate."""
    error = BudgetExceededError(message)
    error.budget, error.estimate = budget, estimate
    return error

"""Budgets are enforced here: calls reserve their worst case before they are sent.

There is one enforcer per run log, on the background loop. Most calls reserve from this process's
allocations, in memory. If those do not suffice, one transaction for all calls that wait for it
grows them: a *round*. A call that does not fit while other calls are running waits in line, after
the unused part of the allocation was released, so that two processes never wait for what the other
does not use.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial

from llm_playground import _lifecycle, config, ids, provenance
from llm_playground.budgeting import ledger
from llm_playground.budgeting.alarm import raise_alarm
from llm_playground.budgeting.budget import (
    ZERO,
    AlarmEvent,
    Budget,
    Span,
    clock,
    describe_limit,
    of_policy,
    period_span,
    share_reached,
    unpriced_refusal,
)
from llm_playground.budgeting.cache import BudgetCache, KnownBudgets
from llm_playground.budgeting.liveness import Liveness, Processes
from llm_playground.budgeting.reservation import Account, Need, Reservation, exceeded_error, warn
from llm_playground.catalog import estimates
from llm_playground.catalog.estimates import NO_HISTORY, Estimate, History
from llm_playground.errors import ConfigError, RunLogError
from llm_playground.runlog.journal import patience_s
from llm_playground.runlog.log import RunLog
from llm_playground.runlog.store import ReadSession, Session
from llm_playground.types import Execution, Request, Run

# A process that has not renewed an allocation for this long, such as a suspended one, checks it
# before it sends another call.
EXPIRES_S = 120.0
_RENEW_S = 40.0
# What an allocation has left is released when no call was running for this long.
IDLE_S = 1.0
_HISTORY_S = 300.0
_RETRY_S = 5.0  # until what it should have renewed or released is due again
# How often a waiting call checks whether processes have died that it may be waiting for.
_CHECK_DEAD_S = 2.0

_AccountKey = tuple[str, datetime | None]


@dataclass(frozen=True, slots=True, eq=False)
class _Waiter:
    """A reservation that waits for a round. ``done`` is set after it, held or not."""

    reservation: Reservation
    done: asyncio.Future[None]
    release_unused: bool
    forced: bool


class BudgetEnforcer:
    """The budgets of one run log in this process."""

    def __init__(self, log: RunLog) -> None:
        self._log = log
        self.cache = BudgetCache(log)
        self.liveness = Liveness(log.journals)
        self.ended_calls = 0
        self._call_ended = asyncio.Event()
        self._accounts: dict[_AccountKey, Account] = {}
        self._waiters: list[_Waiter] = []
        self._due: set[Account] = set()  # to be renewed or released
        self._rounds: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._warned: set[str] = set()
        self._histories: dict[str, tuple[History, float]] = {}
        self._checked_dead_at = 0.0

    async def reservation_for(
        self, run: Run, request: Request, execution: Execution, override: str | None
    ) -> Reservation:
        """The reservation that a call needs; nothing is held yet.

        The run's ``started_at`` decides in which periods it counts. ``override`` is why it is sent
        even if it exceeds budgets; None enforces them.

        Raises:
            BudgetExceededError: Its price is unknown, and a budget blocks such calls.
            RunLogError: A blocking budget, or whether there is one, cannot be read.
            ConfigError: A blocking budget cannot count the call because runs are not stored.
        """
        reservation = Reservation(self, run, request, execution, override)
        await self.assess(reservation)
        return reservation

    async def assess(self, reservation: Reservation) -> None:
        """Set what a call must hold by the current budgets. Raises as :meth:`reservation_for`.

        If they have not changed since the last time, nothing changes. Otherwise it holds nothing
        any more, unless no budget applies.
        """
        known = await self.cache.current()
        if rules := config.policy().budgets:
            known = replace(known, budgets=(*of_policy(rules), *known.budgets))
        if reservation.known is known or reservation.known == known:
            return
        self._adopt(known)
        reservation.release()
        reservation.known, reservation.needs, reservation.max_tokens = known, (), None
        run, execution, override = reservation.run, reservation.execution, reservation.override
        budgets = [
            budget
            for budget in known.budgets
            if budget.applies_to(run.model, execution.username, execution.tags)
        ]
        if not budgets and known.state != "unknown":
            reservation.held = True
            return
        blocks = known.state == "unknown" or any(budget.blocks for budget in budgets)
        is_capped = blocks and estimates.limit_of(reservation.request) is None
        max_tokens = config.settings().budget_max_tokens if is_capped else None
        history, _ = self._histories.get(run.model, (NO_HISTORY, 0.0))
        estimate = estimates.of(reservation.request, run.started_at, history, max_tokens)
        reservation.estimate = estimate
        if estimate.worst_case_usd == 0:
            reservation.held = True
            return
        if blocks and override is None and config.privacy().store == "off":
            raise ConfigError(
                'Budgets count logged runs, and privacy is "off". Use privacy="metrics", or '
                'override="reason".'
            )
        reservation.needs, notices = self._needs(budgets, run, estimate, override)
        reservation.notices += [new for new in notices if new not in reservation.notices]
        reservation.max_tokens = max_tokens
        if known.state == "unknown" or (known.state == "remembered" and reservation.needs):
            reservation.hold_unchecked(known.why)
        elif not reservation.needs:
            reservation.held = True

    def _adopt(self, known: KnownBudgets) -> None:
        """Release what earlier limits allowed."""
        if known.state == "unknown":
            return
        current = {budget.id: budget for budget in known.budgets}
        for account in self._accounts.values():
            budget = current.get(account.budget.id, account.budget)
            if budget != account.budget:
                account.change_limit(budget)

    def _needs(
        self, budgets: Iterable[Budget], run: Run, estimate: Estimate, override: str | None
    ) -> tuple[list[Need], list[str]]:
        """What must be held in which accounts, and notices about budgets that do not count it."""
        needs: list[Need] = []
        notices: list[str] = []
        for budget in budgets:
            span = period_span(budget.period, run.started_at)
            worst_usd = estimate.worst_case_usd
            if worst_usd is None and isinstance(budget.unknown_price, Decimal):
                worst_usd = budget.unknown_price
            if worst_usd is not None:
                account = self._account(budget, span, run.started_at)
                needs += [Need(account, worst_usd)] if worst_usd > 0 else []
            elif override is None and (
                budget.unknown_price == "block" or (budget.blocks and estimate.unbounded)
            ):
                self.alarm("blocked", self._account(budget, span, run.started_at))
                refusal = unpriced_refusal(budget, span, run.model, estimate.unbounded)
                raise exceeded_error(refusal, budget, estimate)
            else:
                limit = describe_limit(budget, span)
                message = f"The price of {run.model} is unknown: not counted in {limit}."
                notices.append(message)
                if message not in self._warned:
                    self._warned.add(message)
                    warn(message)
        return needs, notices

    def _account(self, budget: Budget, span: Span, started_at: datetime) -> Account:
        key = (budget.id, span.start)
        account = self._accounts.get(key)
        if account is None:
            account = Account(ids.new_id(), budget, span, started_at)
            self._accounts[key] = account
        return account

    def try_hold(self, reservation: Reservation, *, first_in_line: bool = False) -> bool:
        """Hold a call's worst case if the current allocations suffice."""
        now = clock()
        for need in reservation.needs:
            account = need.account
            missing_usd = reservation.missing_usd(need)
            if account.expires_at <= now or account.allocation.available_usd < missing_usd:
                return False
            if account.waiting and not first_in_line:
                return False
        for need in reservation.needs:
            need.account.allocation.reserve(reservation.run.id, reservation.missing_usd(need))
        reservation.held = True
        self._schedule_rebalance(_RENEW_S)
        return True

    async def join_round(
        self, reservation: Reservation, *, release_unused: bool = False, forced: bool = False
    ) -> None:
        """Wait for a round that tries to hold a reservation; it does not fit now if it is not held.

        ``release_unused`` releases the unused part of allocations that other processes share.
        ``forced`` holds it even if budgets are exceeded, and writes audit entries.

        Raises:
            RunLogError: The log cannot be read or written.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(_Waiter(reservation, done, release_unused, forced))
        self._start_rounds()
        await done

    def settle(self, reservation: Reservation, run: Run) -> None:
        """Count the cost of an ended call, which is in the log's journal, in all its accounts."""
        reserved_in = {need.account for need in reservation.needs}
        for account in self._accounts.values():
            charge_usd = account.charge_for(run)
            if account in reserved_in and run.id in account.allocation.reserved:
                account.allocation.settle(run.id, charge_usd)
            elif charge_usd and account.has_row and account.covers(run, reservation.execution):
                account.allocation.charge(charge_usd)  # the call began before the budget was set
                self._due.add(account)
            account.last_end_at = clock()
            if charge_usd:
                self._alarm_if_reached(account)
        if self._accounts:
            self.ended_calls += 1
            self._call_ended.set()
            self._schedule_rebalance(IDLE_S)

    def recount(self, before: Run, run: Run, execution: Execution) -> None:
        """Count what a resumed run of this process cost, in place of what it cost ``before``."""
        for account in self._accounts.values():
            more_usd = account.charge_for(run) - account.charge_for(before)
            if more_usd and account.has_row and account.covers(run, execution):
                account.allocation.charge(more_usd)
                account.allocation.release_unused()  # so that the next call compares with the limit
                self._due.add(account)
                self._alarm_if_reached(account)
        if self._due:
            self._schedule_rebalance(IDLE_S)

    def _alarm_if_reached(self, account: Account) -> None:
        """Send an alarm if a share of the budget is spent."""
        spent_usd = account.spent_usd
        if spent_usd and (event := share_reached(spent_usd, account.budget.limit_usd)):
            self.alarm(event, account)

    def alarm(self, event: AlarmEvent, account: Account) -> None:
        """Send an alarm to its webhooks and functions, without waiting."""
        raise_alarm(self._log, event, account.budget, account.span, account.spent_usd)

    async def wait_for_end(self, ended_calls: int, timeout_s: float) -> bool:
        """True as soon as more calls than ``ended_calls`` have ended, False after the timeout."""
        if self.ended_calls == ended_calls:
            self._call_ended.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._call_ended.wait(), timeout_s)
        return self.ended_calls > ended_calls

    async def release_unused(self) -> None:
        """Release what no running call needs."""
        self._due |= {account for account in self._accounts.values() if account.is_idle()}
        self._start_rounds()
        if self._rounds is not None:
            await asyncio.shield(self._rounds)

    def close(self) -> None:
        """Free all allocations of this process when it ends. From any thread."""
        accounts = [account for account in self._accounts.values() if account.is_changed()]
        process, dialect = provenance.process(), self._log.dialect

        def work(session: Session) -> None:
            for account in accounts:
                settled_usd = account.allocation.settled_usd
                ledger.settle_allocation(session, account.id, settled_usd)
            ledger.close_allocations(session, dialect, process)

        if accounts:
            try:
                self._log.change(work, wait_s=patience_s())
            except RunLogError:  # another process frees them
                return
        self.liveness.forget([process])

    def _start_rounds(self) -> None:
        if self._rounds is None and (self._waiters or self._due):
            self._rounds = asyncio.create_task(self._run_rounds())

    async def _run_rounds(self) -> None:
        try:
            while self._waiters or self._due:
                waiters, self._waiters = self._waiters, []
                await self._run_round([waiter for waiter in waiters if not waiter.done.done()])
        finally:
            self._rounds = None

    async def _run_round(self, waiters: Sequence[_Waiter]) -> None:
        try:
            is_waiting = any(waiter.release_unused for waiter in waiters)
            processes = await self._find_processes(is_waiting=is_waiting)
            needs = [need for waiter in waiters for need in waiter.reservation.needs]
            accounts = dict.fromkeys([*(need.account for need in needs), *self._due])
            self._due = set()
            requests = [(account, _allocation_request(account, waiters)) for account in accounts]
            models = {waiter.reservation.run.model for waiter in waiters}
            began = clock()
            known = self._histories
            stale = [m for m in models if m not in known or began - known[m][1] > _HISTORY_S]
            overrides = [waiter.reservation for waiter in waiters if waiter.forced]
            work = partial(self._transact, requests, stale, overrides, processes)
            change = partial(self._log.change, work, wait_s=patience_s())
            grants, histories = await asyncio.to_thread(change)
        except Exception as error:  # a bug must not leave calls waiting forever
            reason = f"The budgets cannot be read ({type(error).__name__}: {error})."
            reported = error if isinstance(error, RunLogError) else RunLogError(reason)
            for waiter in waiters:
                if not waiter.done.done():
                    waiter.done.set_exception(reported)
            self._schedule_rebalance(_RETRY_S)
            return
        for account, grant in grants:
            account.update(grant, began + EXPIRES_S)
        self.liveness.forget(processes.dead)
        now = clock()
        self._histories |= {model: (history, now) for model, history in histories.items()}
        for waiter in waiters:
            if not waiter.done.done():
                first_in_line = waiter.release_unused or waiter.forced
                self.try_hold(waiter.reservation, first_in_line=first_in_line)
                waiter.done.set_result(None)

    async def _find_processes(self, *, is_waiting: bool) -> Processes:
        """The other processes. Those known as dead have no journals any more.

        Of calls that wait, those of dead processes may be in the way, also of other machines.
        """
        processes = await asyncio.to_thread(self.liveness.others)
        is_due = is_waiting and time.monotonic() - self._checked_dead_at > _CHECK_DEAD_S
        if not (processes.dead or is_due):
            return processes
        self._checked_dead_at = time.monotonic()
        try:
            await asyncio.to_thread(partial(self._log.drain, wait_s=patience_s()))
        except RunLogError:
            return replace(processes, dead=())
        return processes

    def _transact(
        self,
        requests: Sequence[tuple[Account, ledger.AllocationRequest]],
        models: Sequence[str],
        overrides: Sequence[Reservation],
        processes: Processes,
        session: Session,
    ) -> tuple[list[tuple[Account, ledger.Grant]], dict[str, History]]:
        """The transaction of a round, in another thread. Sorting the budgets avoids deadlocks."""
        dialect = self._log.dialect
        self.liveness.announce()  # before others see what is reserved
        # Others may have started while this process waited for the log. One whose runs are not yet
        # in the log counts as alive.
        found = self.liveness.others()
        alive = {*found.alive, *found.dead} - set(processes.dead)
        ledger.price_interrupted_runs(session, dialect, datetime.now(UTC))
        for dead in processes.dead:
            ledger.close_allocations(session, dialect, dead)
        grants = [
            (account, ledger.grow(session, dialect, request, alive))
            for account, request in sorted(requests, key=lambda pair: pair[1].budget.id)
        ]
        for reservation in overrides:
            reservation.audit(session)
        histories = {model: ledger.read_history(session, dialect, model) for model in models}
        self.cache.read(session)
        return grants, histories

    def _schedule_rebalance(self, delay_s: float) -> None:
        """Rebalance after a delay, unless that is scheduled earlier already."""
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            if self._timer.when() <= loop.time() + delay_s:
                return
            self._timer.cancel()
        self._timer = loop.call_later(delay_s, self._rebalance)

    def _rebalance(self) -> None:
        """Renew allocations in use, release idle ones, drop those of past periods."""
        self._timer = None
        now, today = clock(), datetime.now(UTC)
        for key, account in list(self._accounts.items()):
            if account.allocation.reserved or account.waiting:
                if account.expires_at - now < EXPIRES_S - _RENEW_S:
                    self._due.add(account)
            elif account.is_idle() and now - account.last_end_at >= IDLE_S:
                self._due.add(account)
            elif today not in account.span and not account.is_outstanding():
                del self._accounts[key]
        self._start_rounds()
        if any(a.allocation.reserved or a.waiting for a in self._accounts.values()):
            self._schedule_rebalance(_RENEW_S)
        elif any(a.is_idle() and a not in self._due for a in self._accounts.values()):
            self._schedule_rebalance(IDLE_S)


def _allocation_request(account: Account, waiters: Sequence[_Waiter]) -> ledger.AllocationRequest:
    """What an account requests in a round; what it can release is deducted already."""
    mine = [w for w in waiters if any(n.account is account for n in w.reservation.needs)]
    worst_cases = [
        w.reservation.missing_usd(need)
        for w in mine
        for need in w.reservation.needs
        if need.account is account
    ]
    is_expired = account.expires_at <= clock()
    is_shared = account.others_reserved_usd > 0 and any(w.release_unused for w in mine)
    allocation = account.allocation
    if not mine or is_expired or is_shared:
        allocation.release_unused()
    forced = any(w.forced for w in mine)
    return ledger.AllocationRequest(
        id=account.id,
        budget=account.budget,
        span=account.span,
        started_at=account.started_at,
        granted_usd=allocation.granted_usd if account.has_row else None,
        settled_usd=allocation.settled_usd,
        available_usd=allocation.available_usd if account.has_row else ZERO,
        worst_cases=worst_cases,
        block_calls=0 if forced or not worst_cases else account.next_block_calls(),
        forced=forced or (bool(worst_cases) and not account.budget.blocks),
    )


_enforcers: dict[RunLog, BudgetEnforcer] = {}


def all_budgets(session: ReadSession) -> tuple[Budget, ...]:
    """The budgets of the administrator's policy, and those of the log."""
    return (*of_policy(config.policy().budgets), *ledger.read_budgets(session))


def enforcer(log: RunLog) -> BudgetEnforcer:
    """The enforcer of a run log, one per process. On the background loop."""
    if log not in _enforcers:
        _enforcers[log] = BudgetEnforcer(log)
    return _enforcers[log]


def _close_all() -> None:
    for each in list(_enforcers.values()):
        each.close()


# A forked child must not touch the allocations of its parent.
def _after_fork() -> None:
    for each in _enforcers.values():
        each.liveness.close()
    _enforcers.clear()


_lifecycle.register(at_exit=_close_all, after_fork_in_child=_after_fork)

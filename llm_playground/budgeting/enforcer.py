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
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial

from llm_playground import _lifecycle, _runtime, config, provenance, types
from llm_playground.budgeting import ledger
from llm_playground.budgeting.alarm import raise_alarm
from llm_playground.budgeting.budget import (
    ZERO,
    AlarmEvent,
    Budget,
    Span,
    describe_limit,
    period_span,
    share_reached,
    unpriced_refusal,
)
from llm_playground.budgeting.cache import BudgetCache
from llm_playground.budgeting.reservation import Account, Need, Reservation, exceeded_error, warn
from llm_playground.catalog import estimates
from llm_playground.catalog.estimates import NO_HISTORY, Estimate, History
from llm_playground.errors import ConfigError, RunLogError
from llm_playground.runlog import open_log
from llm_playground.runlog.log import RunLog
from llm_playground.runlog.store import ReadSession, Session
from llm_playground.types import Execution, Request, Run

# The allocations of a crashed process are free after this time; live processes renew theirs.
EXPIRES_S = 120.0
_RENEW_S = 40.0
# What an allocation has left is released when no call was running for this long.
IDLE_S = 1.0
_HISTORY_S = 300.0
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
            ConfigError: A blocking budget cannot count the call because runs are not stored.
        """
        budgets = [
            budget
            for budget in await self.cache.current()
            if budget.applies_to(run.model, execution.username, execution.tags)
        ]
        if not budgets:
            return Reservation(self, run, execution)
        blocks = any(budget.blocks for budget in budgets)
        is_capped = blocks and estimates.limit_of(request) is None
        max_tokens = config.settings().budget_max_tokens if is_capped else None
        history, _ = self._histories.get(run.model, (NO_HISTORY, 0.0))
        estimate = estimates.of(request, run.started_at, history, max_tokens)
        if estimate.worst_case_usd == 0:
            return Reservation(self, run, execution)
        if blocks and override is None and config.privacy().store == "off":
            raise ConfigError(
                'Budgets count logged runs, and privacy is "off". Use privacy="metrics", or '
                'override="reason".'
            )
        needs, notices = self._needs(budgets, run, estimate, override)
        return Reservation(self, run, execution, needs, estimate, max_tokens, override, notices)

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
            account = Account(types.new_id(), budget, span, started_at)
            self._accounts[key] = account
        account.budget = budget
        return account

    def try_hold(self, reservation: Reservation, *, first_in_line: bool = False) -> bool:
        """Hold a call's worst case if the current allocations suffice."""
        now = time.monotonic()
        for need in reservation.needs:
            account = need.account
            if account.expires_at <= now or account.allocation.available_usd < need.worst_usd:
                return False
            if account.waiting and not first_in_line:
                return False
        for need in reservation.needs:
            need.account.allocation.reserve(reservation.run.id, need.worst_usd)
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
        now = time.monotonic()
        for account in self._accounts.values():
            charge_usd = account.charge_for(run)
            if account in reserved_in and run.id in account.allocation.reserved:
                account.allocation.settle(run.id, charge_usd)
            elif charge_usd and account.has_row and account.covers(run, reservation.execution):
                account.allocation.charge(charge_usd)  # the call began before the budget was set
                self._due.add(account)
            account.last_end_at = now
            spent_usd = account.spent_usd if charge_usd else None
            if spent_usd and (event := share_reached(spent_usd, account.budget.limit_usd)):
                self.alarm(event, account)
        if self._accounts:
            self.ended_calls += 1
            self._call_ended.set()
            self._schedule_rebalance(IDLE_S)

    def alarm(self, event: AlarmEvent, account: Account) -> None:
        """Tell the webhooks and functions that want to know; returns at once."""
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
        if any(account.is_outstanding() for account in self._accounts.values()):
            process, now = provenance.process(), datetime.now(UTC)
            with suppress(RunLogError):
                self._log.change(partial(ledger.close_allocations, process=process, now=now))

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
        if any(waiter.release_unused for waiter in waiters):
            await self._drain_dead_processes()
        needs = [need for waiter in waiters for need in waiter.reservation.needs]
        accounts = dict.fromkeys([*(need.account for need in needs), *self._due])
        self._due = set()
        requests = [(account, _allocation_request(account, waiters)) for account in accounts]
        models = {waiter.reservation.run.model for waiter in waiters}
        began, version = time.monotonic(), self.cache.version
        known = self._histories
        stale = [m for m in models if m not in known or began - known[m][1] > _HISTORY_S]
        overrides = [waiter.reservation for waiter in waiters if waiter.forced]
        try:
            work = partial(self._transact, requests, stale, overrides)
            grants, budgets, histories = await asyncio.to_thread(self._log.change, work)
        except Exception as error:  # a bug must not leave calls waiting forever
            reason = f"The budgets cannot be read ({type(error).__name__}: {error})."
            reported = error if isinstance(error, RunLogError) else RunLogError(reason)
            for waiter in waiters:
                if not waiter.done.done():
                    waiter.done.set_exception(reported)
            return
        for account, grant in grants:
            account.update(grant, began + EXPIRES_S)
        now = time.monotonic()
        self._histories |= {model: (history, now) for model, history in histories.items()}
        self.cache.store(budgets, version)
        for waiter in waiters:
            if not waiter.done.done():
                first_in_line = waiter.release_unused or waiter.forced
                self.try_hold(waiter.reservation, first_in_line=first_in_line)
                waiter.done.set_result(None)

    async def _drain_dead_processes(self) -> None:
        """Ingest journals, so that the reservations of dead processes are freed."""
        if time.monotonic() - self._checked_dead_at > _CHECK_DEAD_S:
            self._checked_dead_at = time.monotonic()
            with suppress(RunLogError):
                await asyncio.to_thread(self._log.drain)

    def _transact(
        self,
        requests: Sequence[tuple[Account, ledger.AllocationRequest]],
        models: Sequence[str],
        overrides: Sequence[Reservation],
        session: Session,
    ) -> tuple[list[tuple[Account, ledger.Grant]], tuple[Budget, ...], dict[str, History]]:
        """The transaction of a round, in another thread. Sorting the budgets avoids deadlocks."""
        now = datetime.now(UTC)
        until, dialect = now + timedelta(seconds=EXPIRES_S), self._log.dialect
        ledger.price_interrupted_runs(session, dialect, now)
        grants = [
            (account, ledger.grow(session, dialect, request, now, until))
            for account, request in sorted(requests, key=lambda pair: pair[1].budget.id)
        ]
        for reservation in overrides:
            reservation.audit(session)
        histories = {model: ledger.read_history(session, dialect, model) for model in models}
        return grants, ledger.read_budgets(session), histories

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
        now, today = time.monotonic(), datetime.now(UTC)
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
        need.worst_usd for w in mine for need in w.reservation.needs if need.account is account
    ]
    is_expired = account.expires_at <= time.monotonic()
    is_shared = account.others_reserved_usd > 0 and any(w.release_unused for w in mine)
    allocation = account.allocation
    if not mine or is_expired or is_shared:
        allocation.release_unused()
    forced = any(w.forced for w in mine)
    return ledger.AllocationRequest(
        id=account.id,
        budget=account.budget,
        span=account.span,
        process=provenance.process(),
        started_at=account.started_at,
        granted_usd=allocation.granted_usd if account.has_row else None,
        settled_usd=allocation.settled_usd,
        available_usd=allocation.available_usd if account.has_row else ZERO,
        worst_cases=worst_cases,
        block_calls=0 if forced or not worst_cases else account.next_block_calls(),
        forced=forced or (bool(worst_cases) and not account.budget.blocks),
    )


_enforcers: dict[RunLog, BudgetEnforcer] = {}


def enforcer(log: RunLog) -> BudgetEnforcer:
    """The enforcer of a run log, one per process. On the background loop."""
    if log not in _enforcers:
        _enforcers[log] = BudgetEnforcer(log)
    return _enforcers[log]


def _close_all() -> None:
    for each in list(_enforcers.values()):
        each.close()


# A forked child must not touch the allocations of its parent.
_lifecycle.register(at_exit=_close_all, after_fork_in_child=_enforcers.clear)


@dataclass(frozen=True, slots=True)
class BudgetStatus:
    """One budget in its current period.

    ``remaining_usd`` is the limit less what runs cost and running calls may still cost; negative if
    exceeded.
    """

    budget: Budget
    span: Span
    remaining_usd: Decimal


@dataclass(frozen=True, slots=True)
class CostContext:
    """What the costs of future calls depend on in a run log; empty if nothing was read."""

    statuses: tuple[BudgetStatus, ...] = ()
    histories: Mapping[str, History] = field(default_factory=dict)  # by `provider:name`


def budget_statuses() -> tuple[BudgetStatus, ...]:
    """All current budgets with what they have left. A log without budgets is not opened.

    Raises:
        RunLogError: The log cannot be read.
    """
    log = open_log()

    async def release_if_any() -> bool:
        has_budgets = bool(await enforcer(log).cache.current())
        if has_budgets:
            await enforcer(log).release_unused()
        return has_budgets

    if not _runtime.run(release_if_any()):
        return ()
    return tuple(
        BudgetStatus(budget, span, budget.limit_usd - totals.spent_usd - totals.reserved_usd)
        for budget, span, totals in read_all_totals(log)
    )


def read_all_totals(log: RunLog) -> list[tuple[Budget, Span, ledger.Totals]]:
    """All current budgets with their current periods and totals."""
    process = provenance.process()

    def read(session: ReadSession) -> list[tuple[Budget, Span, ledger.Totals]]:
        now = datetime.now(UTC)  # after the wait for the log
        found = []
        for budget in ledger.read_budgets(session):
            span = period_span(budget.period, now)
            totals = ledger.read_totals(session, log.dialect, budget, span, process, now)
            found.append((budget, span, totals))
        return found

    return ledger.read_priced(log, read)


def histories(models: Sequence[str]) -> dict[str, History]:
    """Statistics of the earlier runs of some models (``provider:name``), empty without a log.

    Raises:
        RunLogError: The log cannot be read.
    """
    log = open_log()
    if not models or (log.path is not None and not log.path.exists()):
        return {}
    return ledger.histories_of(models)

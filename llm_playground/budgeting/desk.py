"""Where calls get their worst case held before they are sent, and settled when they have ended.

One desk per run log, on the background loop. Most calls take from this process's shares, in
memory. Where those do not suffice, one transaction for all calls that ask at once gets more: a
*round*. A call that does not fit while others are under way waits in line, after giving back what
the share had left, so that two processes never wait for each other's leftovers.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial

from llm_playground import _ids, config, estimates, provenance
from llm_playground.budgeting import history, interrupted, ledger, words
from llm_playground.budgeting.account import Account
from llm_playground.budgeting.budget import Budget, Span, span
from llm_playground.budgeting.claim import Claim, Need, warn
from llm_playground.budgeting.known import Known
from llm_playground.budgeting.purse import ZERO
from llm_playground.errors import BudgetExceededError, ConfigError, RunLogError
from llm_playground.estimates import NO_HISTORY, Estimate, History
from llm_playground.runlog import RunLog, Session
from llm_playground.types import Execution, Request, Run

# A crashed process's shares are free after this long; living ones are renewed meanwhile.
EXPIRES_S = 120.0
_RENEW_S = 40.0
# What a share has left goes back when nothing was under way for this long.
IDLE_S = 1.0
_HISTORY_S = 300.0
# How often a waiting call looks whether those it waits for have died.
_LOOK_FOR_DEAD_S = 2.0

Key = tuple[str, datetime | None]


@dataclass(frozen=True, slots=True, eq=False)
class _Ask:
    """A call that waits for a round. ``done`` is set when it was looked at, held or not."""

    claim: Claim
    done: asyncio.Future[None]
    leftovers_back: bool
    forced: bool


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What a round found."""

    granted: Sequence[tuple[Account, ledger.Granted]]
    budgets: tuple[Budget, ...]
    histories: Mapping[str, History]


class Desk:
    """The budgets of one run log, as this process sees them.

    Args:
        log: The run log.
    """

    def __init__(self, log: RunLog) -> None:
        self._log = log
        self.known = Known(log)
        self._accounts: dict[Key, Account] = {}
        self._asks: list[_Ask] = []
        self._due: set[Account] = set()  # to be renewed, or with something to give back
        self._round: asyncio.Task[None] | None = None
        self._tending: asyncio.TimerHandle | None = None
        self.ended = 0
        self._one_ended = asyncio.Event()
        self._warned: set[str] = set()
        self._histories: dict[str, tuple[History, float]] = {}
        self._looked_for_dead_at = 0.0

    async def claim(
        self, run: Run, request: Request, execution: Execution, override: str | None
    ) -> Claim:
        """What a call needs of which budgets; nothing is held yet.

        Args:
            run: As it begins. Its ``started_at`` says in which periods it counts.
            request: What is to be sent.
            execution: Whose it is.
            override: Why it is sent whatever the budgets say; None obeys them.

        Raises:
            BudgetExceededError: Nobody knows its price, and a budget blocks such calls.
        """
        budgets = [
            budget
            for budget in await self.known.now()
            if budget.applies_to(run.model, execution.username, execution.tags)
        ]
        if not budgets:
            return Claim(self, run, execution)
        capped = any(b.blocks for b in budgets) and estimates.limit_of(request) is None
        cap = config.budget_max_tokens() if capped else None
        estimate = estimates.of(request, run.started_at, self.history(run.model), cap)
        if estimate.worst_case_usd == 0:
            return Claim(self, run, execution)
        if config.privacy().store == "off" and override is None and any(b.blocks for b in budgets):
            raise ConfigError(
                'Budgets count what is logged, and privacy is "off". Use privacy="metrics", or '
                'override="reason".'
            )
        needs, notices = self._needs(budgets, run, estimate, override)
        return Claim(self, run, execution, needs, estimate, cap, override, notices)

    def _needs(
        self, budgets: Iterable[Budget], run: Run, estimate: Estimate, override: str | None
    ) -> tuple[tuple[Need, ...], list[str]]:
        needs: list[Need] = []
        notices: list[str] = []
        for budget in budgets:
            where = span(budget.period, run.started_at)
            worst = estimate.worst_case_usd
            if worst is None and isinstance(budget.unknown_price, Decimal):
                worst = budget.unknown_price
            if worst is not None:
                needs += [Need(self._account(budget, where, run.started_at), worst)]
            elif budget.unknown_price == "block" and override is None:
                line = words.refused_unpriced(budget, where, run.model)
                raise _exceeded(line, budget, estimate)
            else:
                notices.append(words.unpriced(budget, where, run.model))
                self._warn_once(notices[-1])
        return tuple(need for need in needs if need.worst_usd > 0), notices

    def _warn_once(self, line: str) -> None:
        if line not in self._warned:
            self._warned.add(line)
            warn(line)

    def history(self, model: str) -> History:
        """What is known of a model's earlier runs."""
        found = self._histories.get(model)
        return NO_HISTORY if found is None else found[0]

    def take(self, claim: Claim, *, first_in_line: bool = False) -> bool:
        """Hold a call's worst case if the shares suffice as they are."""
        now = time.monotonic()
        for need in claim.needs:
            account = need.account
            if account.good_until <= now or account.purse.free < need.worst_usd:
                return False
            if account.in_line and not first_in_line:
                return False
        for need in claim.needs:
            need.account.purse.take(claim.run.id, need.worst_usd)
        claim.held = True
        self._tend_in(_RENEW_S)
        return True

    async def ask(
        self, claim: Claim, *, leftovers_back: bool = False, forced: bool = False
    ) -> None:
        """Have a round look at a call: afterwards it is held, or does not fit now.

        Raises:
            RunLogError: The log cannot be read or written.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asks.append(_Ask(claim, done, leftovers_back, forced))
        self._start_round()
        await done

    def settle(self, claim: Claim, run: Run) -> None:
        """A call has ended and is in the log's journal."""
        mine = {need.account for need in claim.needs}
        for account in self._accounts.values():
            cost = account.charge(run)
            if account in mine and claim.run.id in account.purse.held:
                account.purse.settle(run.id, cost)
            elif cost and account.opened and account.covers(run, claim.execution):
                account.purse.cost(cost)  # it began before there was this budget
                self._due.add(account)
            account.busy_at = time.monotonic()
        if self._accounts:
            self.ended += 1
            self._one_ended.set()
            self._tend_in(IDLE_S)

    async def news(self, ended: int, wait_s: float) -> bool:
        """True when more calls than ``ended`` have ended, False after a while without."""
        if self.ended == ended:
            self._one_ended.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._one_ended.wait(), wait_s)
        return self.ended > ended

    async def give_back(self) -> None:
        """Give back what no call under way needs."""
        self._due |= {account for account in self._accounts.values() if account.idle()}
        self._start_round()
        if self._round is not None:
            await asyncio.shield(self._round)

    def close(self) -> None:
        """The process ends: its shares are free. From any thread."""
        if any(account.outstanding() for account in self._accounts.values()):
            work = partial(ledger.close, process=provenance.process(), now=datetime.now(UTC))
            with suppress(RunLogError):
                self._log.change(work)

    def _account(self, budget: Budget, where: Span, begun_at: datetime) -> Account:
        key = (budget.id, where.start)
        account = self._accounts.get(key)
        if account is None:
            account = Account(_ids.new_id(), budget, where, begun_at)
            self._accounts[key] = account
        account.budget = budget
        return account

    def _start_round(self) -> None:
        if self._round is None and (self._asks or self._due):
            self._round = asyncio.create_task(self._rounds())

    async def _rounds(self) -> None:
        try:
            while self._asks or self._due:
                asks, self._asks = self._asks, []
                await self._one_round([ask for ask in asks if not ask.done.done()])
        finally:
            self._round = None

    async def _one_round(self, asks: Sequence[_Ask]) -> None:
        if any(ask.leftovers_back for ask in asks):
            await self._look_for_dead()
        accounts = {need.account: None for ask in asks for need in ask.claim.needs}
        accounts |= dict.fromkeys(self._due)
        self._due = set()
        shares = [(account, _share(account, asks)) for account in accounts]
        models = [model for model in {a.claim.run.model for a in asks} if self._is_stale(model)]
        overrides = [ask.claim for ask in asks if ask.forced]
        began, changes = time.monotonic(), self.known.changes
        try:
            work = partial(self._work, shares, models, overrides)
            outcome = await asyncio.to_thread(self._log.change, work)
        except RunLogError as error:
            _fail(asks, error)
            return
        except Exception as error:  # a fault of ours must not leave calls waiting for ever
            line = f"The budgets cannot be read ({type(error).__name__}: {error})."
            _fail(asks, RunLogError(line))
            return
        self._apply(outcome, began)
        self.known.take(outcome.budgets, changes)
        for ask in asks:
            if not ask.done.done():
                self.take(ask.claim, first_in_line=ask.leftovers_back or ask.forced)
                ask.done.set_result(None)

    async def _look_for_dead(self) -> None:
        """Bring in journals whose process is gone: what it held is free then."""
        if time.monotonic() - self._looked_for_dead_at > _LOOK_FOR_DEAD_S:
            self._looked_for_dead_at = time.monotonic()
            with suppress(RunLogError):
                await asyncio.to_thread(self._log.drain)

    def _work(
        self,
        shares: Sequence[tuple[Account, ledger.Share]],
        models: Sequence[str],
        overrides: Sequence[Claim],
        session: Session,
    ) -> _Outcome:
        """In another thread, in one transaction; budgets in one order, so that none waits round."""
        now = datetime.now(UTC)
        until, dialect = now + timedelta(seconds=EXPIRES_S), self._log.dialect
        in_order = sorted(shares, key=lambda pair: pair[1].budget.id)
        interrupted.settle(session, dialect, now)
        granted = [(a, ledger.grow(session, dialect, share, now, until)) for a, share in in_order]
        for claim in overrides:
            claim.audit(session)
        histories = {model: history.read(session, dialect, model) for model in models}
        return _Outcome(granted, ledger.read(session), histories)

    def _apply(self, outcome: _Outcome, began: float) -> None:
        for account, granted in outcome.granted:
            account.take_in(granted, began + EXPIRES_S)
        now = time.monotonic()
        self._histories |= {model: (found, now) for model, found in outcome.histories.items()}

    def _is_stale(self, model: str) -> bool:
        found = self._histories.get(model)
        return found is None or time.monotonic() - found[1] > _HISTORY_S

    def _tend_in(self, delay_s: float) -> None:
        """Look after the shares a while from now, or earlier if that is planned already."""
        loop = asyncio.get_running_loop()
        at = loop.time() + delay_s
        if self._tending is not None:
            if self._tending.when() <= at:
                return
            self._tending.cancel()
        self._tending = loop.call_later(delay_s, self._tend)

    def _tend(self) -> None:
        """Renew shares with calls under way, give back what idle ones have, drop past periods."""
        self._tending = None
        now, today = time.monotonic(), datetime.now(UTC)
        for key, account in list(self._accounts.items()):
            if account.purse.held or account.in_line:
                if account.good_until - now < EXPIRES_S - _RENEW_S:
                    self._due.add(account)
            elif account.idle() and now - account.busy_at >= IDLE_S:
                self._due.add(account)
            elif today not in account.span and not account.outstanding():
                del self._accounts[key]
        self._start_round()
        if any(a.purse.held or a.in_line for a in self._accounts.values()):
            self._tend_in(_RENEW_S)
        elif any(a.idle() and a not in self._due for a in self._accounts.values()):
            self._tend_in(IDLE_S)


def _exceeded(line: str, budget: Budget, estimate: Estimate) -> BudgetExceededError:
    error = BudgetExceededError(line)
    error.budget, error.estimate = budget, estimate
    return error


def _share(account: Account, asks: Sequence[_Ask]) -> ledger.Share:
    """What an account asks for in this round; what it gives back is given back here already."""
    mine = [ask for ask in asks if any(n.account is account for n in ask.claim.needs)]
    expired = account.good_until <= time.monotonic()
    wanted_elsewhere = account.others_usd > 0 and any(ask.leftovers_back for ask in mine)
    if not mine or expired or wanted_elsewhere:
        account.purse.give_back()
    wants = [n.worst_usd for ask in mine for n in ask.claim.needs if n.account is account]
    forced = any(ask.forced for ask in mine)
    return ledger.Share(
        id=account.id,
        budget=account.budget,
        span=account.span,
        process=provenance.process(),
        begun_at=account.begun_at,
        granted=account.purse.granted if account.opened else None,
        settled=account.purse.settled,
        free=account.purse.free if account.opened else ZERO,
        wants=wants,
        block_calls=0 if forced or not wants else account.calls_ahead(),
        forced=forced or (bool(wants) and not account.budget.blocks),
    )


def _fail(asks: Iterable[_Ask], error: RunLogError) -> None:
    for ask in asks:
        if not ask.done.done():
            ask.done.set_exception(error)


_desks: dict[RunLog, Desk] = {}


def desk(log: RunLog) -> Desk:
    """The desk of a run log: one per process, whoever asks. On the background loop."""
    if log not in _desks:
        _desks[log] = Desk(log)
    return _desks[log]


def close_all() -> None:
    """The process ends: see :meth:`Desk.close`."""
    for known in list(_desks.values()):
        known.close()


def forget_all() -> None:
    """In a forked child: its parent's shares are the parent's."""
    _desks.clear()

"""What one call needs of budgets: held before it is sent, settled when it has ended."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from llm_playground.budgeting import audit, words
from llm_playground.budgeting.account import Account
from llm_playground.errors import BudgetExceededError, RunLogError
from llm_playground.estimates import Estimate
from llm_playground.runlog import Session
from llm_playground.types import Execution, Run

_FIRST_POLL_S = 0.1
_LONGEST_POLL_S = 1.0
_POLLS_GROW_BY = 1.5


class BudgetWarning(UserWarning):
    """A call was sent though it does not fit a budget that only warns."""


def warn(line: str) -> None:
    """Say something of budgets; a filter may make it an error, yet the run has it anyway."""
    with suppress(BudgetWarning):
        # No file and line: calls run on a loop, nobody's line stands behind this one.
        warnings.warn_explicit(line, BudgetWarning, "llm_playground", 1)


@dataclass(frozen=True, slots=True)
class Need:
    """So much of one budget."""

    account: Account
    worst_usd: Decimal


class Counter(Protocol):
    """Where claims are made."""

    @property
    def ended(self) -> int:
        """How many calls have ended so far."""
        ...

    def take(self, claim: Claim, *, first_in_line: bool = ...) -> bool:
        """Hold a call's worst case if the shares suffice as they are."""
        ...

    async def ask(self, claim: Claim, *, leftovers_back: bool = ..., forced: bool = ...) -> None:
        """Have a round look at a call: afterwards it is held, or does not fit now."""
        ...

    async def news(self, ended: int, wait_s: float) -> bool:
        """True when more calls than ``ended`` have ended, False after a while without."""
        ...

    def settle(self, claim: Claim, run: Run) -> None:
        """A call has ended."""
        ...


class Claim:
    """One call's.

    Args:
        counter: Where it is made.
        run: The call, as it began.
        execution: Whose it is.
        needs: What must be held; empty where no budget applies.
        estimate: What the call would use and cost.
        max_tokens: The limit of the answer that is to be sent because a budget applies.
        override: Why it is sent whatever the budgets say; None obeys them.
        notices: What is to be said on the run.
    """

    def __init__(
        self,
        counter: Counter,
        run: Run,
        execution: Execution,
        needs: Sequence[Need] = (),
        estimate: Estimate | None = None,
        max_tokens: int | None = None,
        override: str | None = None,
        notices: Iterable[str] = (),
    ) -> None:
        self._counter = counter
        self.run = run
        self.execution = execution
        self.needs = needs
        self.max_tokens = max_tokens
        self.notices = list(notices)
        self.held = not needs
        self._estimate = estimate
        self._override = override

    async def hold(self) -> bool:
        """Hold the worst case; False when it does not fit while others are under way.

        Raises:
            BudgetExceededError: It will not fit.
            RunLogError: A budget that blocks cannot be looked at.
        """
        if self.held:
            return True
        if not self._counter.take(self):
            if self._override is None:
                self._refuse_if_hopeless()
                if any(need.account.in_line for need in self.needs):
                    return False
            await self._ask()
            if not self.held and self._override is not None:
                await self._ask(forced=True)
        return self._held_or_hopeless()

    async def wait(self, tell: Callable[[str], None]) -> None:
        """Wait, in order, until the worst case is held.

        Args:
            tell: Gets one line that says what is waited for.

        Raises:
            BudgetExceededError: It will not fit.
            RunLogError: A budget that blocks cannot be looked at.
        """
        account = self._tight()
        tell(words.waits(account.budget, account.span))
        account.in_line += 1
        try:
            async with account.line:
                await self._wait_first_in_line()
        finally:
            account.in_line -= 1

    def settle(self, run: Run) -> None:
        """The call has ended and is in the log's journal."""
        self._counter.settle(self, run)

    def audit(self, session: Session) -> None:
        """Note that the budgets were overridden."""
        detail = {
            "reason": self._override,
            "run_id": self.run.id,
            "model": self.run.model,
            "worst_case_usd": str(max(need.worst_usd for need in self.needs)),
        }
        for need in self.needs:
            audit.note(session, "override_budget", need.account.budget.id, detail)

    async def _wait_first_in_line(self) -> None:
        pause_s, time_to_ask = _FIRST_POLL_S, False
        while True:
            ended = self._counter.ended
            if not self._counter.take(self, first_in_line=True):
                self._refuse_if_hopeless()
                if time_to_ask or all(n.account.may_have(n.worst_usd) for n in self.needs):
                    await self._ask(leftovers_back=True)
            if self._held_or_hopeless():
                return
            time_to_ask = not await self._counter.news(ended, pause_s)
            pause_s = min(pause_s * _POLLS_GROW_BY, _LONGEST_POLL_S)

    async def _ask(self, *, leftovers_back: bool = False, forced: bool = False) -> None:
        try:
            await self._counter.ask(self, leftovers_back=leftovers_back, forced=forced)
        except RunLogError as error:
            blocking = next((n.account for n in self.needs if n.account.budget.blocks), None)
            if blocking is None or self._override is not None:
                self.held = True  # sent without being counted before it has ended
                return
            line = words.unchecked(blocking.budget, blocking.span, str(error))
            raise RunLogError(line, detail=error.detail) from error

    def _held_or_hopeless(self) -> bool:
        """Whether it is held; once it is, budgets that only warn have their say.

        Raises:
            BudgetExceededError: It is not, and will not be.
        """
        if not self.held:
            self._refuse_if_hopeless()
            return False
        for need in self.needs:
            if not need.account.budget.blocks and need.worst_usd > need.account.left_usd:
                self._warn(need)
        return True

    def _refuse_if_hopeless(self) -> None:
        """Refuse what would not fit even if all calls under way cost nothing."""
        for need in self.needs:
            if need.account.is_hopeless(need.worst_usd):
                raise self._exceeded(need)

    def _exceeded(self, need: Need) -> BudgetExceededError:
        budget, left_usd = need.account.budget, need.account.left_usd
        error = BudgetExceededError(
            words.refused(budget, need.account.span, need.worst_usd, left_usd)
        )
        error.budget, error.estimate = budget, self._estimate
        return error

    def _warn(self, need: Need) -> None:
        """On every run; as a warning once a period."""
        account = need.account
        line = words.warned(account.budget, account.span, need.worst_usd, account.left_usd)
        self.notices.append(line)
        if not account.warned:
            account.warned = True
            warn(line)

    def _tight(self) -> Account:
        """The budget that it waits for."""
        for need in self.needs:
            account = need.account
            if account.in_line or account.purse.free < need.worst_usd:
                return account
        return self.needs[0].account

"""What budgets have left, and what future calls may cost, for those who show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

from llm_playground import _runtime, config
from llm_playground.budgeting import ledger
from llm_playground.budgeting.budget import Budget, Span, period_span
from llm_playground.budgeting.enforcer import all_budgets, enforcer
from llm_playground.catalog.estimates import History
from llm_playground.runlog import open_log
from llm_playground.runlog.log import RunLog
from llm_playground.runlog.store import ReadSession


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


def budgets_stamp() -> object:
    """A value that differs after each change of budgets by a process of this machine.

    Raises:
        ConfigError: The log's URL is unusable.
    """
    return enforcer(open_log()).cache.file_stamp()


def budget_statuses() -> tuple[BudgetStatus, ...]:
    """All current budgets with what they have left. A log without budgets is not opened.

    Raises:
        RunLogError: The log cannot be read.
    """
    log = open_log()

    async def release_if_any() -> bool:
        known = await enforcer(log).cache.current()
        has_budgets = bool(known.budgets or config.policy().budgets) or known.state == "unknown"
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
    alive = enforcer(log).liveness.others().alive

    def read(session: ReadSession) -> list[tuple[Budget, Span, ledger.Totals]]:
        now = datetime.now(UTC)  # after the wait for the log
        found = []
        for budget in all_budgets(session):
            span = period_span(budget.period, now)
            totals = ledger.read_totals(session, log.dialect, budget, span, alive)
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

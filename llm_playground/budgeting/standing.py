"""What budgets have left, for who wants to know before anything is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial

from llm_playground import _loop, provenance
from llm_playground.budgeting import history, interrupted, ledger
from llm_playground.budgeting.budget import Budget, Span, span
from llm_playground.budgeting.desk import desk
from llm_playground.estimates import History
from llm_playground.runlog import RunLog, Session, open_log


@dataclass(frozen=True, slots=True)
class Standing:
    """One budget in the period that runs now.

    Args:
        budget: Which.
        span: The period.
        left_usd: What neither runs cost nor calls under way may still cost; below 0 when exceeded.
    """

    budget: Budget
    span: Span
    left_usd: Decimal


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a run log tells of calls to come; all empty where nothing was read.

    Args:
        standings: Every budget that holds.
        histories: What earlier runs of a model tell, by ``provider:name``.
    """

    standings: tuple[Standing, ...] = ()
    histories: Mapping[str, History] = field(default_factory=dict)


def standings() -> tuple[Standing, ...]:
    """Every budget that holds, with what it has left. Opens no log that has no budgets.

    Raises:
        RunLogError: The log cannot be read.
    """
    log = open_log()
    if not _loop.run(_known(log)):
        return ()
    return log.change(partial(_standings, log))


def histories(models: Sequence[str]) -> dict[str, History]:
    """What the earlier runs of some models tell; nothing where there is no log yet.

    Args:
        models: ``provider:name``.

    Raises:
        RunLogError: The log cannot be read.
    """
    log = open_log()
    if not models or (log.path is not None and not log.path.exists()):
        return {}
    return log.change(lambda session: {m: history.read(session, log.dialect, m) for m in models})


async def _known(log: RunLog) -> tuple[Budget, ...]:
    """The budgets; what this process holds and no call needs is given back before they are read."""
    known = await desk(log).known.now()
    if known:
        await desk(log).give_back()
    return known


def _standings(log: RunLog, session: Session) -> tuple[Standing, ...]:
    now = datetime.now(UTC)
    interrupted.settle(session, log.dialect, now)
    return tuple(_standing(log, session, budget, now) for budget in ledger.read(session))


def _standing(log: RunLog, session: Session, budget: Budget, now: datetime) -> Standing:
    where = span(budget.period, now)
    found = ledger.totals(
        session, log.dialect, budget, where, process=provenance.process(), now=now
    )
    return Standing(budget, where, budget.limit_usd - found.spent - found.others - found.mine)

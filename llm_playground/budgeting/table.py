"""Budgets as a frame: what is spent, held and left."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

from llm_playground import _loop, provenance
from llm_playground.budgeting import interrupted, ledger
from llm_playground.budgeting.budget import Budget, Span, span
from llm_playground.budgeting.desk import desk
from llm_playground.runlog import Dialect, RunLog, Session, open_log

if TYPE_CHECKING:
    import pandas as pd

_Line = tuple[Budget, Span, ledger.Totals]


def budgets() -> pd.DataFrame:
    """All budgets, one row each, with what is spent and held in the period that runs now.

    ``spent_usd`` is what runs cost; ``reserved_usd`` is what calls under way, in all processes,
    may still cost; ``remaining_usd`` is what neither took. Costs are in US dollars; ``resets_at``
    is in UTC, NaT where a budget never resets.

    Raises:
        RunLogError: The log cannot be read.

    Example:
        >>> {"limit_usd", "spent_usd", "resets_at"} <= set(budgets())
        True
    """
    import pandas as pd  # first use, not import

    log = open_log()
    _loop.run(_leftovers_back(log))
    lines = log.change(partial(_lines, log.dialect))
    frame = pd.DataFrame([_row(*line) for line in lines], columns=_COLUMNS)
    for name in ("resets_at", "created_at"):
        frame[name] = pd.to_datetime(frame[name], utc=True)
    return frame


async def _leftovers_back(log: RunLog) -> None:
    """What no call of this process needs is not reserved."""
    await desk(log).give_back()


def _lines(dialect: Dialect, session: Session) -> Sequence[_Line]:
    now = datetime.now(UTC)
    interrupted.settle(session, dialect, now)
    lines: list[_Line] = []
    for budget in ledger.read(session):
        where = span(budget.period, now)
        found = ledger.totals(
            session, dialect, budget, where, process=provenance.process(), now=now
        )
        lines.append((budget, where, found))
    return lines


def _row(budget: Budget, where: Span, totals: ledger.Totals) -> tuple[object, ...]:
    reserved = totals.others + totals.mine
    return (
        budget.id,
        budget.period,
        budget.model,
        budget.user,
        budget.tag,
        budget.action,
        str(budget.unknown_price),
        *map(_as_float, (budget.limit_usd, totals.spent, reserved)),
        _as_float(budget.limit_usd - totals.spent - reserved),
        where.end,
        budget.created_by,
        budget.created_at,
    )


def _as_float(amount: Decimal) -> float:
    return float(amount)


_COLUMNS = [
    *("id", "period", "model", "user", "tag", "action", "unknown_price"),
    *("limit_usd", "spent_usd", "reserved_usd", "remaining_usd"),
    *("resets_at", "created_by", "created_at"),
]

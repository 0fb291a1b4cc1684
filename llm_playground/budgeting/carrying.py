"""What is spent stays spent when runs are deleted or another database takes the log's place.

The costs of runs that are gone are in a row of ``budget_reservations`` without a process.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any

from llm_playground import ids
from llm_playground.budgeting import ledger
from llm_playground.budgeting.budget import Budget, Span, period_span
from llm_playground.budgeting.enforcer import all_budgets, enforcer
from llm_playground.errors import RunLogError
from llm_playground.runlog.log import RunLog
from llm_playground.runlog.store import Dialect, ReadSession, Session

_CARRIED = {
    "budgets": f"{ledger.COLUMNS}, removed_at",
    "budget_reservations": "id, budget_id, process, amount_usd, settled_usd, created_at, "
    "expires_at, settled_at",
}
_CARRY_OVER = """
INSERT INTO {table} ({columns}) VALUES ({values})
ON CONFLICT (id) DO UPDATE SET {changes}
"""


@contextmanager
def keeping_spent(session: Session, dialect: Dialect) -> Iterator[None]:
    """Runs that are deleted in the block stay spent in the present periods of all budgets."""
    before = _spent(session, dialect)
    yield
    _keep_spent(session, dialect, before)


def _spent(session: ReadSession, dialect: Dialect) -> list[tuple[Budget, Span, Decimal]]:
    """What is spent and reserved of each budget in its present period."""
    now = datetime.now(UTC)
    spans = [(each, period_span(each.period, now)) for each in all_budgets(session)]
    return [
        (budget, span, _used_usd(ledger.read_totals(session, dialect, budget, span, ())))
        for budget, span in spans
    ]


def _used_usd(totals: ledger.Totals) -> Decimal:
    # An allocation covers what its process has spent, also that of deleted runs.
    return totals.spent_usd + totals.reserved_usd


def _keep_spent(
    session: Session, dialect: Dialect, before: Sequence[tuple[Budget, Span, Decimal]]
) -> None:
    """Count what was spent ``before`` and is not found any more."""
    for budget, span, before_usd in before:
        after = ledger.read_totals(session, dialect, budget, span, ())
        lost_usd = before_usd - _used_usd(after)
        if lost_usd > 0:
            values = {
                "id": ids.new_id(),
                "budget": budget.id,
                "process": None,
                "amount": lost_usd,
                "settled": lost_usd,
                "created": datetime.now(UTC),
            }
            ledger.upsert_allocation(session, dialect, values, is_settled=True)


@dataclass(frozen=True, slots=True)
class _Saved:
    """The budgets of a log and what is spent and reserved of them, to be carried to another."""

    rows: Mapping[str, Sequence[tuple[Any, ...]]]  # by table
    spent: Sequence[tuple[Budget, Span, Decimal]]


def _save(session: ReadSession, dialect: Dialect) -> _Saved:
    """All budgets and reservations of a log."""
    rows = {
        table: session.rows(f"SELECT {columns} FROM {table}")  # noqa: S608 - constants
        for table, columns in _CARRIED.items()
    }
    return _Saved(rows, _spent(session, dialect))


def _carry_over(session: Session, dialect: Dialect, saved: _Saved) -> None:
    """Set the budgets of a log to those of the one that it replaces."""
    for table, columns in _CARRIED.items():
        names = columns.split(", ")
        sql = _CARRY_OVER.format(
            table=table,
            columns=columns,
            values=", ".join(f"${name}" for name in names),
            changes=", ".join(f"{name} = excluded.{name}" for name in names[1:]),
        )
        for row in saved.rows.get(table, ()):
            session.execute(sql, dict(zip(names, row, strict=True)))
    _keep_spent(session, dialect, saved.spent)


def _row_of(budget: Budget) -> tuple[Any, ...]:
    """A row of ``budgets`` as in :class:`_Saved`."""
    names = [{"username": "user"}.get(name, name) for name in ledger.COLUMNS.split(", ")]
    values = {**asdict(budget), "unknown_price": str(budget.unknown_price)}
    return (*(values[name] for name in names), None)


@contextmanager
def keeping_budgets(log: RunLog) -> Iterator[None]:
    """Budgets, and what is spent of them, stay while another database takes the log's place.

    Of a database that cannot be read, the remembered budgets stay.
    """
    cache = enforcer(log).cache
    try:
        saved = log.read(partial(_save, dialect=log.dialect))
    except RunLogError:
        saved = _Saved({"budgets": [_row_of(b) for b in cache.remembered()]}, ())
    yield
    if not saved.rows["budgets"]:
        return

    def work(session: Session) -> None:
        _carry_over(session, log.dialect, saved)
        cache.mark_changing()

    log.change(work)
    cache.refresh()

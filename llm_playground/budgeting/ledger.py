"""Budgets in the run log: the rows that all processes share, and the sums over runs.

A run counts with what it cost; a run that was billed and whose price nobody knows counts with what
its budget assumes, if it assumes anything. Which runs were billed is told as ``unpriced_runs`` of
:func:`llm_playground.costs` has it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, get_args

from llm_playground.budgeting.budget import Budget, Period, Span, UnknownPrice, full_patterns
from llm_playground.budgeting.purse import ZERO, growth
from llm_playground.runlog import Dialect, Session

_COLUMNS = (
    "id, limit_usd, period, model, username, tag, action, unknown_price, created_by, created_at"
)
_BUDGETS = f"SELECT {_COLUMNS} FROM budgets WHERE removed_at IS NULL ORDER BY created_at, id"  # noqa: S608 - a constant
_LIMIT = "SELECT coalesce(limit_usd, 0) FROM budgets WHERE id = $id AND removed_at IS NULL"

_TAGGED: Mapping[Dialect, str] = {
    "duckdb": "json_contains(e.tags, to_json(CAST($tag AS VARCHAR)))",
    "postgres": "e.tags @> to_jsonb(CAST($tag AS VARCHAR))",
}
_ROW_LOCK: Mapping[Dialect, str] = {"duckdb": "", "postgres": " FOR UPDATE"}

# `own`: what the log has of each process's costs; `held`: what of each share is still to come.
# A process with an interrupted execution is dead, and needs its share no more.
_TOTALS = """
WITH charged AS (
    SELECT e.process, {charge} AS usd
    FROM results r LEFT JOIN executions e ON e.id = r.execution_id
    WHERE {condition}
), own AS (
    SELECT process, sum(usd) AS usd FROM charged WHERE process IS NOT NULL GROUP BY process
), held AS (
    SELECT b.process, greatest(b.amount_usd - coalesce(own.usd, 0), 0) AS usd
    FROM budget_reservations b LEFT JOIN own ON own.process = b.process
    WHERE b.budget_id = $budget AND b.settled_at IS NULL AND b.expires_at > $now AND {in_span}
      AND NOT EXISTS (
        SELECT 1 FROM executions x WHERE x.process = b.process AND x.status = 'interrupted')
)
SELECT coalesce((SELECT sum(usd) FROM charged), 0),
       coalesce((SELECT sum(usd) FROM held WHERE process <> $process), 0),
       coalesce((SELECT sum(usd) FROM held WHERE process = $process), 0),
       coalesce((SELECT sum(usd) FROM own WHERE process = $process), 0)
"""
_CHARGE = """CASE WHEN r.cost_usd IS NOT NULL THEN r.cost_usd
    WHEN coalesce(r.status, 'completed') NOT IN ('running', 'over_budget')
        AND (r.usage_source IS DISTINCT FROM 'none'
            OR coalesce(r.status, 'completed') = 'completed')
    THEN CAST($assumed AS DECIMAL(24, 12)) ELSE 0 END"""
_SHARE = """
INSERT INTO budget_reservations
    (id, budget_id, process, amount_usd, settled_usd, created_at, expires_at, settled_at)
VALUES ($id, $budget, $process, CAST($amount AS DECIMAL(24, 12)),
    CAST($settled AS DECIMAL(24, 12)), $created, $expires, NULL)
ON CONFLICT (id) DO UPDATE SET amount_usd = excluded.amount_usd,
    settled_usd = excluded.settled_usd, expires_at = excluded.expires_at
"""
_CLOSE = """
UPDATE budget_reservations SET amount_usd = settled_usd, settled_at = $now
WHERE process = $process AND settled_at IS NULL
"""


@dataclass(frozen=True, slots=True)
class Totals:
    """One budget in one period, as the log has it, in US dollars.

    Args:
        spent: What all runs cost.
        others: What other processes' shares may still cost.
        mine: What this process's share may still cost.
        own: What this process's runs cost, in ``spent`` too.
    """

    spent: Decimal
    others: Decimal
    mine: Decimal
    own: Decimal


@dataclass(frozen=True, slots=True)
class Share:
    """A process's share of a budget in one period, as it asks for more.

    Args:
        id: Its row's.
        budget: Of which budget.
        span: In which period.
        process: Whose.
        begun_at: When the first call that asked was made; in the period.
        granted: All that was granted, less what is given back now; None before there is a row.
        settled: What ended calls cost.
        free: What of it more calls may take.
        wants: The worst cases of calls about to be sent, those first that came first.
        block_calls: How many calls to reserve for at once.
        forced: Grant what is asked for, whatever remains.
    """

    id: str
    budget: Budget
    span: Span
    process: str
    begun_at: datetime
    granted: Decimal | None
    settled: Decimal
    free: Decimal
    wants: Sequence[Decimal]
    block_calls: int
    forced: bool


@dataclass(frozen=True, slots=True)
class Granted:
    """What became of a share. ``limit_usd`` is None when the budget is gone by now.

    Args:
        limit_usd: The budget's limit.
        granted: As in :class:`Share`, with what was granted now.
        grown_by: What was granted now.
        beside_usd: What is left beside all shares.
        totals: As they were before.
    """

    limit_usd: Decimal | None
    granted: Decimal
    grown_by: Decimal
    beside_usd: Decimal
    totals: Totals


def read(session: Session) -> tuple[Budget, ...]:
    """All budgets that hold."""
    return tuple(_budget(*row) for row in session.rows(_BUDGETS))


def totals(
    session: Session, dialect: Dialect, budget: Budget, span: Span, *, process: str, now: datetime
) -> Totals:
    """What is spent and held of a budget in one period."""
    conditions, values = _conditions(budget, dialect)
    in_span, edges = _in_span(span)
    sql = _TOTALS.format(
        charge=_charge(budget),
        condition=" AND ".join([in_span.format(column="r.started_at"), *conditions]),
        in_span=in_span.format(column="b.created_at"),
    )
    said = {"budget": budget.id, "process": process, "now": now}
    if isinstance(budget.unknown_price, Decimal):
        said["assumed"] = budget.unknown_price
    [row] = session.rows(sql, {**said, **values, **edges})
    return Totals(*(Decimal(amount) for amount in row))


def grow(
    session: Session, dialect: Dialect, share: Share, now: datetime, until: datetime
) -> Granted:
    """Grant a share what it asks for, as far as the budget goes, until ``until``.

    The budget's row is locked meanwhile: two processes that ask at once are served in turn.
    """
    budget = share.budget
    found = session.rows(_LIMIT + _ROW_LOCK[dialect], {"id": budget.id})
    counted = totals(session, dialect, budget, share.span, process=share.process, now=now)
    before = counted.own if share.granted is None else share.granted
    limit = Decimal(found[0][0]) if found else None
    remaining = (limit or ZERO) - counted.spent - counted.others - (before - counted.own)
    if share.forced or limit is None:
        grown_by = max(sum(share.wants, ZERO) - share.free, ZERO)
    else:
        grown_by = growth(share.wants, share.free, remaining, share.block_calls)
    values = {
        "id": share.id,
        "budget": budget.id,
        "process": share.process,
        "amount": before + grown_by,
        "settled": counted.own if share.granted is None else share.settled,
        "created": share.begun_at,
        "expires": until,
    }
    session.execute(_SHARE, values)
    return Granted(limit, before + grown_by, grown_by, remaining - grown_by, counted)


def close(session: Session, process: str, now: datetime) -> None:
    """A process ends: what it held is free."""
    session.execute(_CLOSE, {"process": process, "now": now})


def _budget(*row: Any) -> Budget:  # noqa: ANN401 - a row's columns are of several types
    """A budget of its row. What no budget has, from another program's hand, is read strictly."""
    said = dict(zip(_COLUMNS.split(", "), row, strict=True))
    read = {
        "user": said.pop("username"),
        "limit_usd": said["limit_usd"] or ZERO,
        "period": said["period"] if said["period"] in get_args(Period) else "month",
        "action": "warn" if said["action"] == "warn" else "block",
        "unknown_price": _unknown_price(said["unknown_price"] or "warn"),
        "created_by": said["created_by"] or "somebody",
    }
    return Budget(**{**said, **read})


def _unknown_price(said: str) -> UnknownPrice:
    if said == "warn":
        return "warn"
    try:
        amount = Decimal(said)
    except ArithmeticError:
        return "block"
    return amount if amount.is_finite() and amount >= 0 else "block"


def _charge(budget: Budget) -> str:
    if isinstance(budget.unknown_price, Decimal):
        return _CHARGE
    return "coalesce(r.cost_usd, 0)"


def _conditions(budget: Budget, dialect: Dialect) -> tuple[list[str], dict[str, object]]:
    """Which runs count, and the values in it."""
    conditions: list[str] = []
    values: dict[str, object] = {}
    if budget.model is not None:
        likes = {f"m{n}": _like(full) for n, full in enumerate(full_patterns(budget.model))}
        any_of = " OR ".join(f"r.model LIKE ${name} ESCAPE '!'" for name in likes)
        conditions.append(f"({any_of})")
        values |= likes
    if budget.user is not None:
        conditions.append("e.username = $user")
        values["user"] = budget.user
    if budget.tag is not None:
        conditions.append(_TAGGED[dialect])
        values["tag"] = budget.tag
    return conditions, values


def _in_span(span: Span) -> tuple[str, dict[str, object]]:
    """The condition on a ``{column}``, and its values."""
    if span.start is None:
        return "true", {}
    edges: dict[str, object] = {"start": span.start, "end": span.end}
    return "{column} >= $start AND {column} < $end", edges


def _like(pattern: str) -> str:
    """``*`` as ``%``, everything else as it is.

    >>> _like("50%_*!")
    '50!%!_%!!'
    """
    for special in "!%_":
        pattern = pattern.replace(special, f"!{special}")
    return pattern.replace("*", "%")

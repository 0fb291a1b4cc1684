"""SQL of budgets: totals and allocations, statistics of a model, prices of interrupted runs.

A run counts with its cost. A billed run of unknown price counts with what is known of its cost, or
with what its budget assumes if that is more; which runs are billed is decided as for
``unpriced_runs`` of :func:`llm_playground.costs`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar, get_args

from llm_playground import provenance
from llm_playground.budgeting.budget import (
    ZERO,
    Budget,
    Span,
    full_patterns,
    growth,
)
from llm_playground.catalog import estimates, pricing
from llm_playground.catalog.estimates import History
from llm_playground.catalog.pricing import Price
from llm_playground.config.policy import Period, UnknownPrice
from llm_playground.runlog import open_log
from llm_playground.runlog.interrupted import MAX_AGE, UNPRICED
from llm_playground.runlog.log import RunLog
from llm_playground.runlog.reading import run_of
from llm_playground.runlog.rows import TOKEN_COLUMNS, Row, selected, tokens_used
from llm_playground.runlog.store import Dialect, ReadSession, Session
from llm_playground.types import Run, Usage

T = TypeVar("T")

COLUMNS = (
    "id, limit_usd, period, model, username, tag, action, unknown_price, created_by, created_at"
)
_BUDGETS = f"SELECT {COLUMNS} FROM budgets WHERE removed_at IS NULL ORDER BY created_at, id"  # noqa: S608 - a constant
_LIMIT = "SELECT coalesce(limit_usd, 0) FROM budgets WHERE id = $id AND removed_at IS NULL"

_TAGGED: Mapping[Dialect, str] = {
    "duckdb": "json_contains(e.tags, to_json(CAST($tag AS VARCHAR)))",
    "postgres": "e.tags @> to_jsonb(CAST($tag AS VARCHAR))",
}
_ROW_LOCK: Mapping[Dialect, str] = {"duckdb": "", "postgres": " FOR UPDATE"}

_NOW: Mapping[Dialect, str] = {"duckdb": "now()", "postgres": "clock_timestamp()"}
_ALIVE: Mapping[Dialect, str] = {
    "duckdb": "list_contains(CAST($alive AS VARCHAR[]), b.process)",
    "postgres": "b.process = ANY(CAST($alive AS VARCHAR[]))",
}
# The allocation of a process of which nothing is known is free after this time without a renewal,
# by the clock of the database.
_GONE = "INTERVAL '24 hours'"

# `own`: the logged costs of each process; `row`: what its allocation records as spent, which
# stays when runs are deleted, and what is granted to it if it lives. A process with an interrupted
# execution is dead and no longer needs its allocation. An allocation without a process holds the
# costs of deleted runs.
_TOTALS = """
WITH charged AS (
    SELECT e.process, {charge} AS usd
    FROM results r LEFT JOIN executions e ON e.id = r.execution_id
    WHERE {condition}
), own AS (
    SELECT process, sum(usd) AS usd FROM charged WHERE process IS NOT NULL GROUP BY process
), live AS (
    SELECT b.process, b.settled_usd, CASE WHEN b.settled_at IS NULL AND ({alive} OR
        b.expires_at > {now} AND NOT EXISTS (
            SELECT 1 FROM executions x WHERE x.process = b.process AND x.status = 'interrupted')
        ) THEN b.amount_usd END AS amount_usd
    FROM budget_reservations b WHERE b.budget_id = $budget AND {in_span}
), rows_of AS (
    SELECT process, max(settled_usd) AS settled_usd, max(amount_usd) AS amount_usd
    FROM live WHERE process IS NOT NULL GROUP BY process
), held AS (
    SELECT coalesce(own.process, rows_of.process) AS process,
        greatest(coalesce(own.usd, 0), coalesce(rows_of.settled_usd, 0)) AS spent_usd,
        coalesce(rows_of.amount_usd, 0) AS amount_usd
    FROM own FULL JOIN rows_of ON own.process = rows_of.process
)
SELECT coalesce((SELECT sum(usd) FROM charged WHERE process IS NULL), 0)
           + coalesce((SELECT sum(settled_usd) FROM live WHERE process IS NULL), 0)
           + coalesce((SELECT sum(spent_usd) FROM held), 0),
       coalesce((SELECT sum(greatest(amount_usd - spent_usd, 0)) FROM held
                 WHERE process <> $process), 0),
       coalesce((SELECT sum(greatest(amount_usd - spent_usd, 0)) FROM held
                 WHERE process = $process), 0),
       coalesce((SELECT sum(spent_usd) FROM held WHERE process = $process), 0)
"""
_CHARGE = """CASE WHEN r.cost_usd IS NOT NULL THEN r.cost_usd
    WHEN coalesce(r.status, 'completed') NOT IN ('running', 'over_budget')
        AND (r.usage_source IS DISTINCT FROM 'none'
            OR coalesce(r.status, 'completed') = 'completed')
    THEN greatest(CAST($assumed AS DECIMAL(24, 12)), coalesce(r.at_least_usd, 0))
    ELSE coalesce(r.at_least_usd, 0) END"""
_UPSERT_ALLOCATION = """
INSERT INTO budget_reservations
    (id, budget_id, process, amount_usd, settled_usd, created_at, expires_at, settled_at)
VALUES ($id, $budget, $process, CAST($amount AS DECIMAL(24, 12)),
    CAST($settled AS DECIMAL(24, 12)), $created, {expires}, {settled_at})
ON CONFLICT (id) DO UPDATE SET amount_usd = excluded.amount_usd,
    settled_usd = excluded.settled_usd, expires_at = excluded.expires_at,
    settled_at = excluded.settled_at
"""
_SETTLE_ALLOCATION = """
UPDATE budget_reservations SET settled_usd = CAST($settled AS DECIMAL(24, 12)) WHERE id = $id
"""
_CLOSE_ALLOCATIONS = """
UPDATE budget_reservations SET amount_usd = settled_usd, settled_at = {now}
WHERE process = $process AND settled_at IS NULL
"""

# With fewer runs, general figures are more reliable than the model's own.
_MIN_RUNS = 20
_MAX_RUNS = 200
# In a shorter text the tokens of the chat format distort the ratio.
_MIN_BYTES = 400

_BYTES: Mapping[Dialect, str] = {"duckdb": "strlen", "postgres": "octet_length"}
_LENGTH: Mapping[Dialect, str] = {"duckdb": "json_array_length", "postgres": "jsonb_array_length"}
# The earlier turns of a conversation are only in `messages`, so only single prompts give a ratio.
_NEWEST_RUNS = """
WITH newest AS (
    SELECT r.input_tokens, r.output_tokens,
           {bytes}(coalesce(p.system_prompt, '')) + {bytes}(coalesce(p.user_prompt, '')) AS bytes,
           {length}(p.messages) = CASE WHEN p.system_prompt IS NULL THEN 1 ELSE 2 END AS single
    FROM results r
    JOIN executions e ON e.id = r.execution_id JOIN prompts p ON p.id = e.prompt_id
    WHERE r.model = $model AND r.status = 'completed' AND r.usage_source = 'provider'
      AND NOT coalesce(r.cached, false)
    ORDER BY r.started_at DESC LIMIT {limit}
), ratios AS (
    SELECT CAST(bytes AS DOUBLE PRECISION) / input_tokens AS ratio FROM newest
    WHERE single AND bytes >= {min_bytes} AND input_tokens > 0
)
SELECT (SELECT count(*) FROM newest), (SELECT avg(output_tokens) FROM newest),
       (SELECT count(*) FROM ratios), (SELECT avg(ratio) FROM ratios),
       (SELECT percentile_cont(0.05) WITHIN GROUP (ORDER BY ratio) FROM ratios)
"""

_INTERRUPTED = {
    "run_id": "r.id",
    **{
        name: f"r.{name}"
        for name in (
            *("model", "response_model", "started_at", "usage_source", "service_tier"),
            *("at_least_usd", *TOKEN_COLUMNS),
        )
    },
    "attempts": "CAST(r.attempts AS VARCHAR)",
    "billed_units": "CAST(r.billed_units AS VARCHAR)",
    "sent": "{bytes}(coalesce(p.system_prompt, '')) + {bytes}(coalesce(p.user_prompt, ''))",
    "received": "{bytes}(coalesce(r.response_text, '')) + {bytes}(coalesce(r.reasoning_text, ''))",
}
_UNPRICED_INTERRUPTED = f"""
SELECT {selected(_INTERRUPTED)}
FROM results r LEFT JOIN executions e ON e.id = r.execution_id
LEFT JOIN prompts p ON p.id = e.prompt_id
WHERE {UNPRICED}
"""  # noqa: S608 - names of columns
_SET_ESTIMATE = f"""
UPDATE results SET {", ".join(f"{name} = ${name}" for name in TOKEN_COLUMNS)},
    tokens_used = CAST($tokens_used AS JSON), usage_source = 'estimated',
    cost_usd = CAST($cost_usd AS DECIMAL(18, 12)),
    at_least_usd = CAST($at_least_usd AS DECIMAL(18, 12)), price_source = $price_source
WHERE id = $id AND started_at = $at AND status = 'interrupted'
"""  # noqa: S608 - names of columns


@dataclass(frozen=True, slots=True)
class Totals:
    """Logged totals of one budget in one period, in US dollars."""

    spent_usd: Decimal  # what all runs cost
    others_reserved_usd: Decimal  # what the allocations of other processes may still cost
    own_reserved_usd: Decimal  # what the allocation of this process may still cost
    own_spent_usd: Decimal  # what the runs of this process cost; part of `spent_usd`

    @property
    def reserved_usd(self) -> Decimal:
        """What the allocations of all processes may still cost."""
        return self.others_reserved_usd + self.own_reserved_usd


@dataclass(frozen=True, slots=True)
class AllocationRequest:
    """A process's request to grow its allocation of a budget in one period."""

    id: str  # the primary key of the allocation's row
    budget: Budget
    span: Span
    started_at: datetime  # of the first call that needed it; in the period
    granted_usd: Decimal | None  # all, less what is released now; None before there is a row
    settled_usd: Decimal  # what ended calls cost
    available_usd: Decimal  # what new calls may reserve of it
    worst_cases: Sequence[Decimal]  # of the calls about to be sent, the earliest first
    block_calls: int  # for how many calls to reserve at once
    forced: bool  # grant what is requested even if the budget does not allow it


@dataclass(frozen=True, slots=True)
class Grant:
    """The answer to an :class:`AllocationRequest`."""

    limit_usd: Decimal | None  # the budget's limit, None if the budget was removed
    growth_usd: Decimal  # by how much the allocation grew
    settled_usd: Decimal  # what the allocation's row records as spent
    unallocated_usd: Decimal  # what is left outside all allocations
    totals: Totals  # before it grew


def read_budgets(session: ReadSession) -> tuple[Budget, ...]:
    """All current budgets of the log."""
    return tuple(_budget(*row) for row in session.rows(_BUDGETS))


def read_totals(
    session: ReadSession, dialect: Dialect, budget: Budget, span: Span, alive: Collection[str]
) -> Totals:
    """What is spent and reserved of a budget in one period.

    Allocations of the processes ``alive`` do not expire.
    """
    conditions, values = _conditions(budget, dialect)
    in_span, edges = _in_span(span)
    assumes_price = isinstance(budget.unknown_price, Decimal)
    sql = _TOTALS.format(
        charge=_CHARGE if assumes_price else "coalesce(r.cost_usd, r.at_least_usd, 0)",
        condition=" AND ".join([in_span.format(column="r.started_at"), *conditions]),
        in_span=in_span.format(column="b.created_at"),
        alive=_ALIVE[dialect],
        now=_NOW[dialect],
    )
    process = provenance.process()
    values |= edges | {"budget": budget.id, "process": process, "alive": [process, *alive]}
    if assumes_price:
        values["assumed"] = budget.unknown_price
    [row] = session.rows(sql, values)
    return Totals(*(Decimal(amount) for amount in row))


def grow(
    session: Session, dialect: Dialect, request: AllocationRequest, alive: Collection[str]
) -> Grant:
    """Grow an allocation as far as the budget allows, and renew it.

    The budget's row is locked meanwhile, so concurrent requests of two processes are serialized.
    """
    budget = request.budget
    limit_usd = _locked_limit(session, dialect, budget)
    totals = read_totals(session, dialect, budget, request.span, alive)
    own_spent_usd = totals.own_spent_usd
    before_usd = own_spent_usd if request.granted_usd is None else request.granted_usd
    remaining_usd = (limit_usd or ZERO) - totals.spent_usd - totals.others_reserved_usd
    remaining_usd -= before_usd - own_spent_usd
    if request.forced or limit_usd is None:
        growth_usd = max(sum(request.worst_cases, ZERO) - request.available_usd, ZERO)
    else:
        growth_usd = growth(
            request.worst_cases, request.available_usd, remaining_usd, request.block_calls
        )
    settled_usd = own_spent_usd if request.granted_usd is None else request.settled_usd
    values = {
        "id": request.id,
        "budget": budget.id,
        "process": provenance.process(),
        "amount": before_usd + growth_usd,
        "settled": settled_usd,
        "created": request.started_at,
    }
    upsert_allocation(session, dialect, values, is_settled=False)
    return Grant(limit_usd, growth_usd, settled_usd, remaining_usd - growth_usd, totals)


def _locked_limit(session: Session, dialect: Dialect, budget: Budget) -> Decimal | None:
    """The present limit, None if the budget was removed. Others wait until the transaction ends."""
    if budget.created_at is None:  # of the policy
        session.lock(f"budget {budget.id}")
        return budget.limit_usd
    limits = session.rows(_LIMIT + _ROW_LOCK[dialect], {"id": budget.id})
    return Decimal(limits[0][0]) if limits else None


def upsert_allocation(
    session: Session, dialect: Dialect, values: Mapping[str, object], *, is_settled: bool
) -> None:
    """Insert or change a row of ``budget_reservations``, and renew it."""
    now = _NOW[dialect]
    settled_at = now if is_settled else "NULL"
    sql = _UPSERT_ALLOCATION.format(expires=f"{now} + {_GONE}", settled_at=settled_at)
    session.execute(sql, values)


def settle_allocation(session: Session, allocation_id: str, settled_usd: Decimal) -> None:
    """Record what a process that ends has spent."""
    session.execute(_SETTLE_ALLOCATION, {"id": allocation_id, "settled": settled_usd})


def close_allocations(session: Session, dialect: Dialect, process: str) -> None:
    """Free what a process that ends, or has died, had reserved."""
    session.execute(_CLOSE_ALLOCATIONS.format(now=_NOW[dialect]), {"process": process})


def _budget(*row: Any) -> Budget:  # noqa: ANN401 - the columns have several types
    """A budget from its row. Invalid values, written by another program, become strict ones."""
    columns = dict(zip(COLUMNS.split(", "), row, strict=True))
    cleaned = {
        "user": columns.pop("username"),
        "limit_usd": columns["limit_usd"] or ZERO,
        "period": columns["period"] if columns["period"] in get_args(Period) else "month",
        "action": "warn" if columns["action"] == "warn" else "block",
        "unknown_price": _unknown_price(columns["unknown_price"] or "warn"),
        "created_by": columns["created_by"] or "somebody",
    }
    return Budget(**{**columns, **cleaned})


def _unknown_price(text: str) -> UnknownPrice:
    if text == "warn":
        return "warn"
    try:
        amount = Decimal(text)
    except ArithmeticError:
        return "block"
    return amount if amount.is_finite() and amount >= 0 else "block"


def _conditions(budget: Budget, dialect: Dialect) -> tuple[list[str], dict[str, object]]:
    """The SQL conditions on runs that count, and their values."""
    conditions: list[str] = []
    values: dict[str, object] = {}
    if budget.model is not None:
        likes = {f"m{n}": _like(full) for n, full in enumerate(full_patterns(budget.model))}
        any_of = " OR ".join(f"r.model ILIKE ${name} ESCAPE '!'" for name in likes)
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
    """The SQL condition on a ``{column}``, and its values."""
    if span.start is None:
        return "true", {}
    edges: dict[str, object] = {"start": span.start, "end": span.end}
    return "{column} >= $start AND {column} < $end", edges


def _like(pattern: str) -> str:
    """A LIKE pattern, escaped by ``!``: ``*`` becomes ``%``, other text matches itself.

    >>> _like("50%_*!")
    '50!%!_%!!'
    """
    for special in "!%_":
        pattern = pattern.replace(special, f"!{special}")
    return pattern.replace("*", "%")


def read_history(session: ReadSession, dialect: Dialect, model: str) -> History:
    """Statistics of the newest runs of a model (``provider:name``)."""
    words = {"bytes": _BYTES[dialect], "length": _LENGTH[dialect]}
    sql = _NEWEST_RUNS.format(**words, limit=_MAX_RUNS, min_bytes=_MIN_BYTES)
    [(runs, output_tokens, texts, mean_ratio, low_ratio)] = session.rows(sql, {"model": model})
    has_ratios = texts >= _MIN_RUNS
    return History(
        bytes_per_token=float(mean_ratio) if has_ratios else None,
        fewest_bytes_per_token=float(low_ratio) if has_ratios else None,
        output_tokens=(
            float(output_tokens) if runs >= _MIN_RUNS and output_tokens is not None else None
        ),
    )


def histories_of(models: Sequence[str]) -> dict[str, History]:
    """Statistics of the earlier runs of some models, by ``provider:name``.

    They are means over many runs, so the log may lag behind the journals.

    Raises:
        RunLogError: The log cannot be read.
    """
    log = open_log()
    return log.read(
        lambda session: {m: read_history(session, log.dialect, m) for m in models}, may_lag=True
    )


def price_interrupted_runs(session: Session, dialect: Dialect, now: datetime) -> None:
    """Set the usage and cost of interrupted runs.

    What their providers had counted is kept; the rest is estimated from their texts.
    """
    for columns in _unpriced_interrupted(session, dialect, now):
        row = dict(zip(_INTERRUPTED, columns, strict=True))
        run = _interrupted_run(row)
        texts = Usage(estimates.of_bytes(row["sent"]), estimates.of_bytes(row["received"]))
        usage = _interrupted_usage(run, texts)
        price = pricing.run_price(run.model, usage, run.started_at, run.response_model)
        if price is pricing.TOO_LARGE:  # its provider's counts are not possible
            usage = texts
            price = pricing.run_price(run.model, usage, run.started_at, run.response_model)
        price = _interrupted_price(run, price)
        values = {
            "id": run.id,
            "at": row["started_at"],
            **{name: getattr(usage, name) for name in TOKEN_COLUMNS},
            "tokens_used": json.dumps(tokens_used(usage)),
            "cost_usd": price.cost_usd,
            "at_least_usd": price.at_least_usd,
            "price_source": price.source,
        }
        session.execute(_SET_ESTIMATE, values)


def _interrupted_price(run: Run, price: Price) -> Price:
    """The price of a run whose process died, not below the cost that its answer had stated.

    An answer in the background went on: what it has cost in the end is not known.
    """
    stated_usd = run.at_least_usd or ZERO
    if price.cost_usd is None or any(attempt.response_id for attempt in run.attempts):
        known_usd = max(stated_usd, price.cost_usd or price.at_least_usd or ZERO)
        is_free = price.source == "free"
        return price if is_free else Price(None, price.source, known_usd or None)
    return replace(price, cost_usd=max(price.cost_usd, stated_usd))


def _interrupted_run(row: Row) -> Run:
    try:
        return run_of(row)
    except (AttributeError, TypeError, ValueError, ArithmeticError, RecursionError):
        # Another program wrote them.
        return run_of(row | {"billed_units": None, "attempts": None, "at_least_usd": None})


def _interrupted_usage(run: Run, texts: Usage) -> Usage:
    """The usage in the row of a run whose process died, not below what its texts have.

    The output that was counted before the process died is a lower bound.
    """
    usage = run.usage or Usage()
    is_counted = run.usage_source == "provider"
    sent = 0 if is_counted else texts.input_tokens or 0
    received = max(texts.output_tokens or 0, usage.reasoning_tokens or 0)
    return replace(
        usage,
        input_tokens=max(usage.input_tokens or 0, sent),
        output_tokens=max(usage.output_tokens or 0, received),
    )


def read_priced(log: RunLog, work: Callable[[ReadSession], T]) -> T:
    """Run ``work`` on a log in which interrupted runs are priced.

    Usually all are. The log is then only read, without the exclusive access that a change needs.

    Raises:
        RunLogError: The log cannot be read, or cannot be changed although it must.
    """
    now = datetime.now(UTC)

    def read(session: ReadSession) -> tuple[T, bool]:
        return work(session), bool(_unpriced_interrupted(session, log.dialect, now))

    def price_and_read(session: Session) -> T:
        price_interrupted_runs(session, log.dialect, now)
        return work(session)

    result, is_due = log.read(read)
    return log.change(price_and_read) if is_due else result


def _unpriced_interrupted(
    session: ReadSession, dialect: Dialect, now: datetime
) -> list[tuple[Any, ...]]:
    sql = _UNPRICED_INTERRUPTED.format(bytes=_BYTES[dialect])
    return session.rows(sql, {"since": now - MAX_AGE})

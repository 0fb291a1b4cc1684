"""Budgets that all processes sharing a run log obey, and the confirmation of expensive calls.

A call's worst case is reserved before it is sent and replaced by its cost when it has ended. Each
process holds an allocation of every budget it uses (:mod:`.budget`), mirrored in a row of
``budget_reservations`` (:mod:`.ledger`). The engine asks :mod:`.enforcer` for the reservation of
each call (:mod:`.reservation`).

Here are the public functions ``set_budget`` and ``budgets``, and :func:`confirm_worst_case` for
``confirm_above_usd``. Changes of budgets are written to the audit log.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from decimal import Decimal
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from llm_playground import _runtime, _validation, config, formatting, ids, provenance
from llm_playground._validation import checks_arguments
from llm_playground.budgeting import ledger
from llm_playground.budgeting.budget import ZERO, Budget
from llm_playground.budgeting.enforcer import enforcer
from llm_playground.budgeting.reservation import exceeded_error
from llm_playground.budgeting.status import read_all_totals
from llm_playground.catalog import capabilities, estimates
from llm_playground.catalog.estimates import Estimate
from llm_playground.config.policy import Action, BudgetRule, Period, UnknownPrice, budget_rule
from llm_playground.errors import InvalidParameterError
from llm_playground.request import secret_guard
from llm_playground.runlog import insert_audit_entry, open_log
from llm_playground.runlog.log import RunLog
from llm_playground.runlog.store import Session
from llm_playground.types import Request

if TYPE_CHECKING:
    import pandas as pd


_INSERT = """
INSERT INTO budgets (id, limit_usd, period, model, username, tag, action, unknown_price,
    created_by, created_at)
VALUES ($id, CAST($limit_usd AS DECIMAL(24, 12)), $period, $model, $user, $tag, $action,
    $unknown_price, $created_by, $created_at)
"""
_UPDATE = """
UPDATE budgets SET limit_usd = CAST($limit_usd AS DECIMAL(24, 12)), action = $action,
    unknown_price = $unknown_price, created_by = $created_by WHERE id = $id
"""
_REMOVE = "UPDATE budgets SET removed_at = $now WHERE id = $id"
_COLUMNS = [
    *("id", "period", "model", "user", "tag", "action", "unknown_price"),
    *("limit_usd", "spent_usd", "reserved_usd", "remaining_usd"),
    *("resets_at", "created_by", "created_at"),
]
_STEPS = (Decimal(1), Decimal(2), Decimal(5), Decimal(10))


@checks_arguments("set_budget")
def set_budget(
    limit_usd: Decimal | float | str | None,
    *,
    period: Period = "month",
    model: str | None = None,
    user: str | None = None,
    tag: str | None = None,
    action: Action = "block",
    unknown_price: UnknownPrice | float = "warn",
) -> Budget | None:
    """Limit what calls may cost, for everybody who shares this run log.

    There is one budget for each ``period``, ``model``, ``user`` and ``tag``; setting it again
    changes it. If several budgets apply to a call, it must fit in all of them. Free models always
    pass.

    Args:
        limit_usd: US dollars for one period; None removes the budget.
        period: ``day`` or ``month`` (in UTC), or ``total``.
        model: The models that count: ``provider:name`` or a bare name, where ``*`` matches any
            text, as in ``"gpt-*"``; None counts all.
        user: The user whose calls count; None counts all users together.
        tag: A tag that calls must have to count; None counts all.
        action: ``block`` does not send calls that do not fit, ``warn`` sends them with a warning.
        unknown_price: What happens to calls of unknown price: ``warn`` sends them with a warning,
            ``block`` does not send them, an amount in US dollars is the assumed cost of each.

    Returns:
        The budget, None if it was removed.

    Raises:
        InvalidParameterError: An argument is invalid, or there is no such budget to remove.
        UnknownModelError: ``model`` is a bare name of unknown provider.
        RunLogError: The log cannot be written.

    Example:
        >>> import llm_playground as lp
        >>> lp.set_budget(50, period="month").limit_usd
        Decimal('50')
        >>> lp.set_budget(None, period="month")
    """
    given = {"limit_usd": limit_usd, "period": period, "action": action, "model": model}
    given |= {"user": user, "tag": tag, "unknown_price": unknown_price}
    rule = budget_rule(
        {name: value for name, value in given.items() if value is not None}
        | {"limit_usd": 0 if limit_usd is None else limit_usd}
    )
    secret_guard.refuse_keys(model=rule.model, user=rule.user, tag=rule.tag)
    _check_pattern(rule.model)
    budget = Budget(
        id=ids.new_id(),
        **{name: getattr(rule, name) for name in BudgetRule.__slots__},
        created_by=provenance.username(),
        created_at=datetime.now(UTC),
    )
    log = open_log()
    cache, change = enforcer(log).cache, _remove if limit_usd is None else _set

    def work(session: Session) -> Budget | None:
        changed = change(budget, session)
        cache.mark_changing()  # within the transaction, before another process can read
        return changed

    changed = log.change(work)
    cache.refresh()
    return changed


_AUDITED_BEFORE = ("limit_usd", "action", "unknown_price")


def _set(budget: Budget, session: Session) -> Budget:
    before = _existing(session, budget)
    if before is None:
        session.execute(_INSERT, _row(budget))
        insert_audit_entry(session, "set_budget", budget.id, _row(budget))
        return budget
    budget = replace(budget, id=before.id)
    values = _row(budget)
    changed = ("id", "limit_usd", "action", "unknown_price", "created_by")
    session.execute(_UPDATE, {name: values[name] for name in changed})
    old = _row(before)
    detail = {**values, **{f"{name}_before": old[name] for name in _AUDITED_BEFORE}}
    insert_audit_entry(session, "set_budget", budget.id, detail)
    return replace(budget, created_at=before.created_at)


def _remove(budget: Budget, session: Session) -> None:
    before = _existing(session, budget)
    if before is None:
        raise InvalidParameterError(
            "There is no such budget to remove: period, model, user and tag must be as they were "
            "set, and those of the administrator's policy stay. lp.budgets() lists all."
        )
    session.execute(_REMOVE, {"id": before.id, "now": datetime.now(UTC)})
    insert_audit_entry(session, "remove_budget", before.id, _row(before))


def _existing(session: Session, budget: Budget) -> Budget | None:
    """The current budget for the same calls and period."""
    session.lock("budgets")
    same = (each for each in ledger.read_budgets(session) if _scope(each) == _scope(budget))
    return next(same, None)


_scope = attrgetter("period", "model", "user", "tag")


def _row(budget: Budget) -> dict[str, Any]:
    values = asdict(budget)
    del values["unknown_price"]
    return values | {"unknown_price": str(budget.unknown_price)}


def _check_pattern(model: str | None) -> None:
    """Check the ``model`` of a budget. A pattern that matches no model would block nothing."""
    if model is None:
        return
    provider, colon, _ = model.partition(":")
    if not colon:
        if model in config.rows():
            raise InvalidParameterError(
                f"{model!r} is a provider, not a model. Write {model}:* for all its models."
            )
        if "*" not in model:
            capabilities.resolve_model(model)
        return
    if fnmatch.filter(config.rows(), provider):
        return
    suggestion = _validation.closest(
        f"{provider.lower()}:*",
        [f"{each}:*" for each in config.rows()],
        otherwise="Write openai:* for all models of openai.",
    )
    raise InvalidParameterError(
        f"No provider is called {provider!r}, so this budget would block nothing. {suggestion}"
    )


@checks_arguments("budgets")
def budgets() -> pd.DataFrame:
    """All budgets, one row each, with what is spent and reserved in the current period.

    Those of the administrator's policy say so in ``created_by``, and have no ``created_at``.

    ``spent_usd`` is what runs cost; ``reserved_usd`` is what running calls of all processes may
    still cost; ``remaining_usd`` is the rest of the limit. Amounts are in US dollars; ``resets_at``
    is in UTC, NaT if a budget never resets.

    Raises:
        RunLogError: The log cannot be read.

    Example:
        >>> {"limit_usd", "spent_usd", "resets_at"} <= set(budgets())
        True
    """
    import pandas as pd  # first use, not import

    from llm_playground.frames import Frame

    log = open_log()
    _runtime.run(_release_unused(log))
    rows = [
        (
            *(budget.id, budget.period, budget.model, budget.user, budget.tag, budget.action),
            str(budget.unknown_price),
            float(budget.limit_usd),
            float(total.spent_usd),
            float(total.reserved_usd),
            float(budget.limit_usd - total.spent_usd - total.reserved_usd),
            *(span.end, budget.created_by, budget.created_at),
        )
        for budget, span, total in read_all_totals(log)
    ]
    frame = pd.DataFrame(rows, columns=_COLUMNS)
    for name in ("resets_at", "created_at"):
        frame[name] = pd.to_datetime(frame[name], utc=True)
    return Frame(frame)


async def _release_unused(log: RunLog) -> None:
    await enforcer(log).release_unused()


def confirm_worst_case(
    requests: Iterable[Request],
    override: str | None,
    spent_usd: Decimal = ZERO,
    *,
    fresh: bool = False,
) -> None:
    """Refuse calls that could together cost more than ``configure(confirm_above_usd=...)``.

    ``spent_usd`` is what earlier calls for the same answer have cost. Calls of unknown price do not
    count, and in mode ``replay`` only ``fresh`` ones do. An override is written to the audit log.

    Raises:
        BudgetExceededError: They could cost more, and ``override`` (the reason why the calls are
            made nevertheless) is None.
        RunLogError: The override cannot be written to the audit log.
    """
    limit_usd = config.settings().confirm_above_usd
    if limit_usd is None or (config.mode() == "replay" and not fresh):
        return
    each = _worst_cases(requests)
    estimate = estimates.together(each)
    is_bounded = estimate.unbounded is None
    call_usd = estimate.worst_case_usd if is_bounded else estimate.assumed_usd
    worst_usd = (call_usd or ZERO) + spent_usd
    fits = worst_usd <= limit_usd or not call_usd
    if fits and (is_bounded or call_usd is not None):
        return
    if override is not None:
        detail = {"reason": override, "model": estimate.model, "calls": estimate.calls}
        detail["worst_case_usd"] = str(worst_usd)
        open_log().change(
            lambda s: insert_audit_entry(s, "override_confirm_above_usd", None, detail)
        )
        return
    if call_usd is None and not is_bounded:
        message = (
            f"Not sent: what extra[{estimate.unbounded!r}] may cost has no bound that is known "
            'before the call. Pass override="reason", or lp.configure(confirm_above_usd=None).'
        )
        raise exceeded_error(message, None, estimate)
    about = "about " if estimate.assumed or not is_bounded else ""
    advice = "Set max_tokens, pass" if estimate.assumed else "Pass"
    calls = formatting.count(estimate.calls, "call")
    calls += f" after {formatting.usd(spent_usd)}" if spent_usd else ""
    if estimate.assumed:
        most_tokens = max(one.most_output_tokens for one in each if one.assumed)
        calls += f", up to {most_tokens:,} tokens each, as max_tokens is not set"
    message = (
        f"Not sent: could cost up to {about}{formatting.usd(worst_usd)} ({calls}). "
        f'{advice} override="reason", '
        f"or lp.configure(confirm_above_usd={_next_step(worst_usd):f})."
    )
    raise exceeded_error(message, None, estimate)


def _worst_cases(requests: Iterable[Request]) -> list[Estimate]:
    """The estimates of all requests of known price, without statistics of models."""
    every, now = list(requests), datetime.now(UTC)
    distinct = {id(request): request for request in every}  # iterations share a request
    estimated = {key: estimates.of(request, now) for key, request in distinct.items()}
    each = [estimated[id(request)] for request in every]
    return [one for one in each if one.worst_case_usd is not None or one.unbounded is not None]


def _next_step(amount: Decimal) -> Decimal:
    """The first of 1, 2, 5, 10, 20, ... that is not less.

    >>> str(_next_step(Decimal("12.4"))), str(_next_step(Decimal("1.02")))
    ('20', '2')
    """
    power = Decimal(10) ** amount.adjusted()
    return next(step * power for step in _STEPS if step * power >= amount)

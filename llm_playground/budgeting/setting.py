"""Setting and removing budgets; each change is a row of the audit log."""

from __future__ import annotations

import difflib
import fnmatch
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any, cast, get_args

from llm_playground import _ids, capabilities, config, misfit, provenance
from llm_playground.budgeting import audit, ledger
from llm_playground.budgeting.budget import Action, Budget, Period, UnknownPrice
from llm_playground.budgeting.desk import desk
from llm_playground.errors import InvalidParameterError
from llm_playground.estimates import Estimate
from llm_playground.runlog import Session, open_log

# More than the log's columns hold.
_TOO_MUCH = Decimal(10) ** 11
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
    changes it. Several may apply to a call: all must have enough left. Free models always pass.

    Args:
        limit_usd: US dollars for one period; None removes the budget.
        period: ``day``, ``month`` (of UTC), or ``total``: for all time.
        model: Which models count: ``provider:name``, a bare name, ``*`` for anything, as in
            ``"gpt-*"``; None counts all.
        user: Whose calls count; None counts everybody's, together.
        tag: A tag that the calls which count carry.
        action: ``block`` does not send what does not fit, ``warn`` says so and sends it.
        unknown_price: What happens to a call whose price nobody knows: ``warn`` sends it and says
            so, ``block`` does not send it, an amount in US dollars is assumed for each.

    Returns:
        The budget, None when it was removed.

    Raises:
        InvalidParameterError: A value is of the wrong kind, or there is no such budget to remove.
        UnknownModelError: ``model`` is a bare name that no provider is known for.
        RunLogError: The log cannot be written.

    Example:
        >>> import llm_playground as lp
        >>> lp.set_budget(50, period="month").limit_usd
        Decimal('50')
        >>> lp.set_budget(None, period="month")
    """
    limit = None if limit_usd is None else _amount("limit_usd", limit_usd)
    wanted = Budget(
        id=_ids.new_id(),
        limit_usd=limit or Decimal(0),
        period=cast("Period", _one_of("period", period, get_args(Period))),
        model=_pattern(_text("model", model)),
        user=_text("user", user),
        tag=_text("tag", tag),
        action=cast("Action", _one_of("action", action, get_args(Action))),
        unknown_price=_unknown_price(unknown_price),
        created_by=provenance.username(),
        created_at=datetime.now(UTC),
    )
    log = open_log()
    try:
        return log.change(partial(_remove if limit is None else _set, wanted))
    finally:
        desk(log).known.forget()


def note_override(reason: str, estimate: Estimate) -> None:
    """Audit that calls were sent though they could cost more than ``confirm_above_usd``.

    Raises:
        RunLogError: The log cannot be written.
    """
    detail = {"reason": reason, "model": estimate.model, "calls": estimate.calls}
    worst = {"worst_case_usd": str(estimate.worst_case_usd)}
    open_log().change(lambda s: audit.note(s, "override_confirm_above_usd", None, detail | worst))


def _set(wanted: Budget, session: Session) -> Budget:
    before = _same(session, wanted)
    values = _row(wanted) if before is None else _row(wanted) | {"id": before.id}
    if before is None:
        session.execute(_INSERT, values)
    else:
        changed = ("id", "limit_usd", "action", "unknown_price", "created_by")
        session.execute(_UPDATE, {name: values[name] for name in changed})
    was = {} if before is None else {"limit_usd_before": before.limit_usd}
    audit.note(session, "set_budget", str(values["id"]), {**values, **was})
    created_at = wanted.created_at if before is None else before.created_at
    return replace(wanted, id=str(values["id"]), created_at=created_at)


def _remove(wanted: Budget, session: Session) -> None:
    before = _same(session, wanted)
    if before is None:
        raise InvalidParameterError(
            "There is no such budget to remove: period, model, user and tag must be as they were "
            "set. lp.budgets() lists all."
        )
    session.execute(_REMOVE, {"id": before.id, "now": datetime.now(UTC)})
    audit.note(session, "remove_budget", before.id, _row(before))


def _same(session: Session, wanted: Budget) -> Budget | None:
    """The budget for the same calls and period, if there is one."""
    session.lock("budgets")
    for budget in ledger.read(session):
        if _scope(budget) == _scope(wanted):
            return budget
    return None


def _scope(budget: Budget) -> tuple[str | None, ...]:
    return budget.period, budget.model, budget.user, budget.tag


def _row(budget: Budget) -> dict[str, Any]:
    names = ("id", "limit_usd", "period", "model", "user", "tag", "action", "created_by")
    values = {name: getattr(budget, name) for name in (*names, "created_at")}
    return values | {"unknown_price": str(budget.unknown_price)}


def _amount(name: str, value: object) -> Decimal:
    """Exactly what was written: 0.1 is a tenth."""
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        amount = Decimal("NaN")
    if isinstance(value, bool) or not amount.is_finite() or not 0 <= amount < _TOO_MUCH:
        raise InvalidParameterError(
            f"{name} is {misfit.got(value)}; it takes US dollars, 0 or more."
        )
    return amount


def _unknown_price(value: object) -> UnknownPrice:
    if value == "warn" or value == "block":
        return cast("UnknownPrice", value)
    try:
        return _amount("unknown_price", value)
    except InvalidParameterError:
        raise InvalidParameterError(
            f"unknown_price is {misfit.got(value)}; it takes warn, block, or the US dollars to "
            "assume for each call."
        ) from None


def _one_of(name: str, value: object, words: tuple[str, ...]) -> str:
    if value not in words:
        raise InvalidParameterError(f"{name} is {misfit.got(value)}; it takes {', '.join(words)}.")
    return str(value)


def _pattern(model: str | None) -> str | None:
    """A pattern of models, when it can match one: a budget for none would block nothing."""
    if model is None:
        return None
    provider, colon, _ = model.partition(":")
    if colon and fnmatch.filter(config.rows(), provider):
        return model
    if not colon and "*" in model:
        return model
    if not colon and model not in config.rows():
        capabilities.resolve_model(model)
        return model
    [close] = difflib.get_close_matches(provider.lower(), config.rows(), 1) or ["openai"]
    raise InvalidParameterError(
        f"No provider is called {model!r}, so this budget would block nothing. "
        f"Write {close}:* for all its models."
        if colon
        else f"{model!r} is a provider and no model. Write {model}:* for all its models."
    )


def _text(name: str, value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip():
        raise InvalidParameterError(f"{name} is {misfit.got(value)}; it takes text.")
    return value.strip()

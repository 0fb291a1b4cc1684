"""``%llm preset`` and ``%llm budget``: what users of a log share, and how a change is undone."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from llm_playground.budgeting import budgets, set_budget
from llm_playground.budgeting.budget import Budget
from llm_playground.budgeting.status import budget_statuses
from llm_playground.config.policy import budget_rule
from llm_playground.errors import InvalidParameterError
from llm_playground.magics.parameter_options import parameters_of
from llm_playground.redaction import printable, redact

PRESET_ACTS = ("save", "delete")
BUDGET_ACTS = ("set", "remove")
_SCOPE = ("period", "model", "user", "tag")
_DEFAULTS = {"period": "month", "action": "block", "unknown_price": "warn"}

# pandas and the builders of requests are imported on first use, so that %load_ext stays fast.


def preset(
    act: str | None,
    name: str | None,
    *,
    temperature: float | None,
    top_p: float | None,
    max_tokens: int | None,
    param: Sequence[str],
    header: Sequence[str],
) -> object:
    """The frame of presets, or save or delete one; prints how to undo that.

    Raises:
        InvalidParameterError: The name or a parameter is missing or invalid.
        RunLogError: The log cannot be read or written.
        UsageError: A pair is not ``NAME=VALUE``.
    """
    from llm_playground.request import parameters

    chosen = parameters_of(
        {"temperature": temperature, "top_p": top_p, "max_tokens": max_tokens}, param, header
    )
    if act is None:
        if chosen:
            raise InvalidParameterError("To save these: %llm preset save NAME, then the options.")
        return parameters.presets()
    if name is None:
        raise InvalidParameterError(f"%llm preset {act} takes the name of a preset.")
    before = next((one for one in parameters.saved() if one.name == name.strip()), None)
    if act == "save":
        _save_preset(name, chosen)
    elif chosen:
        raise InvalidParameterError("%llm preset delete takes a name only. Nothing was deleted.")
    else:
        parameters.delete_preset(name)
        print(printable(f"The preset {name.strip()} is deleted, for all users of this log."))
    if before is not None:
        values = "".join(f", {key}={value!r}" for key, value in before.parameters.as_dict().items())
        print(printable(redact(f"To undo that: lp.save_preset({before.name!r}{values})")))
    return None


def _save_preset(name: str, chosen: Mapping[str, Any]) -> None:
    from llm_playground.request import parameters

    if not chosen:
        raise InvalidParameterError(
            "Nothing was saved: add the parameters, such as %llm preset save NAME -t 0.2 "
            "--max-tokens 50 --param seed=7."
        )
    parameters.save_preset(name, **chosen)
    word = shlex.quote(name.strip())
    print(printable(f"The preset {name.strip()} is saved. %llm -p {word} ... uses it."))


def budget(
    act: str | None,
    limit: str | None,
    *,
    period: str | None,
    model: str | None,
    user: str | None,
    tag: str | None,
    action: str | None,
    unknown_price: str | None,
) -> object:
    """The frame of budgets and what is left of them, or set or remove one; prints how to undo that.

    The options are as for :func:`llm_playground.set_budget`, None for its defaults.

    Raises:
        InvalidParameterError: An argument is missing or invalid, or there is no such budget.
        RunLogError: The log cannot be read or written.
    """
    given = {"period": period, "model": model, "user": user, "tag": tag, "action": action}
    given["unknown_price"] = unknown_price
    chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if act is None:
        if chosen:
            raise InvalidParameterError("To set a budget: %llm budget set 5, then the options.")
        return budgets().drop(columns=["id", "created_at"])
    if (act == "set") != (limit is not None):
        takes = "a limit in US dollars: %llm budget set 5" if act == "set" else "no limit"
        raise InvalidParameterError(f"%llm budget {act} takes {takes}. Nothing was changed.")
    limit_usd = None if limit is None else limit.strip().removeprefix("$")
    rule = budget_rule({"limit_usd": 0 if limit_usd is None else limit_usd, **chosen})
    scope = [getattr(rule, name) for name in _SCOPE]
    before = next(
        (
            one.budget
            for one in budget_statuses()
            if one.budget.created_at and [getattr(one.budget, name) for name in _SCOPE] == scope
        ),
        None,
    )
    changed = set_budget(limit_usd, **chosen)
    if changed is not None:
        print(f"{changed!r} It counts for everybody who shares this log.")
        undo = "%llm budget remove" + _options(changed, _SCOPE)
    else:
        print(f"Removed: {before!r}")
    if before is not None:
        amount = format(before.limit_usd.normalize(), "f")
        undo = f"%llm budget set {amount}{_options(before, (*_SCOPE, 'action', 'unknown_price'))}"
    print(printable(f"To undo that: {undo}"))
    return None


def _options(one: Budget, names: Sequence[str]) -> str:
    """The options of a budget that are not the defaults, as they are written."""
    values = {name: getattr(one, name) for name in names}
    return "".join(
        f" --{name.replace('_', '-')} {shlex.quote(str(value))}"
        for name, value in values.items()
        if value is not None and value != _DEFAULTS.get(name)
    )

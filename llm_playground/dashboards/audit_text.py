"""Entries of the audit log in words: what was done, and what it changed from and to."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from llm_playground import formatting

_BEFORE = "_before"  # the end of the name of an earlier value
_SCOPE = ("model", "user", "tag")
_OF_BUDGETS = ("set_budget", "remove_budget")
# Values that say nothing to a reader, or are in another column.
_LEFT_OUT = {"id", "created_at", "created_by", "run_id"}


def detail_of(text: object) -> Mapping[str, Any]:
    """The detail of an entry; empty for what another program wrote.

    >>> detail_of('{"runs": 3}'), detail_of("3")
    ({'runs': 3}, {})
    """
    try:
        found = json.loads(text) if isinstance(text, str) else None
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def what(action: str, target: str | None, detail: Mapping[str, Any]) -> str:
    """What was done, and to what.

    >>> what("set_budget", "0197", {"period": "month", "model": "openai:*"})
    'set budget per month · openai:*'
    """
    words = action.replace("_", " ")
    if action in _OF_BUDGETS:
        period = detail.get("period")
        name = f"per {period}" if period in {"day", "month"} else "in total"
        return f"{words} {' · '.join((name, *(str(v) for n in _SCOPE if (v := detail.get(n)))))}"
    return words if action == "override_budget" or not target else f"{words} {target}"


def change(action: str, detail: Mapping[str, Any]) -> str:
    """The values of an entry, each that was changed as ``old → new``.

    >>> change("set_budget", {"limit_usd": "20", "limit_usd_before": "10", "action": "block"})
    'limit $10.00 → $20.00 · action block'
    """
    left_out = _LEFT_OUT | ({"period", *_SCOPE} if action in _OF_BUDGETS else set())
    return " · ".join(_parts(detail, left_out))


def _parts(detail: Mapping[str, Any], left_out: set[str]) -> Iterator[str]:
    for name, value in detail.items():
        if name in left_out or name.endswith(_BEFORE):
            continue
        old = detail.get(f"{name}{_BEFORE}")
        if value is None and old is None:
            continue
        label = name.removesuffix("_usd").replace("_", " ")
        new = _written(name, value)
        was = "" if old is None or _written(name, old) == new else f"{_written(name, old)} → "
        yield f"{label} {was}{new}"


def _written(name: str, value: Any) -> str:  # noqa: ANN401 - a JSON value
    if name.endswith("_usd") and not isinstance(value, (dict, list, bool)):
        try:
            return formatting.usd(Decimal(str(value)))
        except InvalidOperation:
            return str(value)
    if isinstance(value, dict):
        known = (f"{key} {_written(key, each)}" for key, each in value.items() if each is not None)
        return ", ".join(known) or "none"
    if isinstance(value, list):
        return ", ".join(_written("", each) for each in value) or "none"
    return {True: "on", False: "off", None: "none"}.get(value, str(value))

"""The catalog's models as the picker shows them, and what is missing where they cannot be used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from llm_playground import config, credentials
from llm_playground.credentials import KeyStatus
from llm_playground.endpoints import EndpointRow

if TYPE_CHECKING:
    from llm_playground.catalog import Choice

_NEAR = ("127.0.0.1", "localhost", "[::1]")


def offers(choices: Sequence[Choice]) -> list[dict[str, Any]]:
    """Models as JSON for the view; ``choices.js`` says which fields."""
    rows = config.rows()
    return [_offer(choice, rows.get(choice.provider)) for choice in choices]


def unusable(choices: Sequence[Choice]) -> dict[str, dict[str, Any]]:
    """By provider that cannot be used now: ``vendor``, ``line``, ``page`` and ``wants_key``.

    ``line`` says what to do, ``page`` where a key is had. May wait for the keyring.
    """
    rows = config.rows()
    statuses = (one for one in credentials.key_statuses() if one.status != "present")
    keyless = {one.provider: _fix(rows[one.provider], _key_line(one)) for one in statuses}
    reasons = {choice.provider: choice.reason for choice in choices if not choice.available}
    others = {
        name: _fix(rows[name], f"{_vendor(name, rows[name])}: {reason}.")
        for name, reason in reasons.items()
        if name in rows
    }
    return others | keyless


def _offer(choice: Choice, row: EndpointRow | None) -> dict[str, Any]:
    return {
        "model": choice.model,
        "label": choice.label,
        "provider": choice.provider,
        "vendor": _vendor(choice.provider, row),
        "where": _where(row),
        "available": choice.available,
        "reason": "no key" if choice.keyless else choice.reason or "",
        "price": choice.price,
        "context": choice.context,
        "badges": list(choice.badges),
        "about": choice.description,
        "deprecated": choice.deprecated,
    }


def _vendor(provider: str, row: EndpointRow | None) -> str:
    return "Local" if provider == "local" or row is None else row.label


def _where(row: EndpointRow | None) -> str:
    """Where it runs, when that is near; empty for a service."""
    if row is None or not row.base_url:
        return "in this kernel"
    return "on this machine" if any(f"//{name}" in row.base_url for name in _NEAR) else ""


def _fix(row: EndpointRow, line: str) -> dict[str, Any]:
    wants_key = bool(row.key_variables)
    vendor = _vendor(row.name, row)
    return {"vendor": vendor, "line": line, "page": row.key_page or "", "wants_key": wants_key}


def _key_line(status: KeyStatus) -> str:
    label = config.rows()[status.provider].label
    if status.status == "malformed":
        return f"{status.variable} (from {status.source}) is not a key of {label}."
    return f"No key for {label}. Put {status.variable} in .env or the environment."

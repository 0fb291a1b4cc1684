"""The catalog's models as the picker shows them."""

from __future__ import annotations

from typing import Any

from llm_playground import catalog, config
from llm_playground.catalog import Choice, shortened


def offers() -> list[dict[str, Any]]:
    """Every known model, as JSON for the view; ``choices.js`` says which fields.

    Nothing is sent anywhere; the first time takes a few hundred milliseconds.
    """
    labels = {name: row.label for name, row in config.rows().items()} | {"local": "Local"}
    return [_offer(choice, labels.get(choice.provider, "")) for choice in catalog.choices()]


def _offer(choice: Choice, vendor: str) -> dict[str, Any]:
    window = choice.context_window
    return {
        "model": choice.model,
        "label": choice.label,
        "provider": choice.provider,
        "vendor": vendor or choice.provider,
        "available": choice.available,
        "reason": "no key" if choice.keyless else choice.reason or "",
        "price": choice.price,
        "context": "" if window is None else shortened(window),
        "badges": list(choice.badges),
        "about": choice.description,
        "deprecated": choice.deprecated,
    }

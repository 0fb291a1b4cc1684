"""Keys that are not there, and the two ways out of the panel: look again, or type one.

A typed key comes with one question and goes into this kernel's memory; no trait, reply or log ever
holds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llm_playground import config, credentials

if TYPE_CHECKING:
    from llm_playground.widgets.playground import Playground


def look_again(panel: Playground, given: Mapping[str, Any]) -> str:
    """Read ``.env`` and the live lists again; a sentence with what came of it."""
    provider = str(given.get("provider") or "")
    panel.look_up_models()
    if provider in config.rows() and credentials.key_status(provider).status == "present":
        return f"A key for {config.rows()[provider].label} was found."
    return f"There is still no key for {_label(provider)}."


def set_key(panel: Playground, given: Mapping[str, Any]) -> str:
    """Set the key that came with the question for this kernel; a sentence for the person.

    Raises:
        ConfigError: It is none. The message does not repeat it.
    """
    provider = str(given.get("provider") or "")
    credentials.set_key(provider, str(given.get("key") or ""))
    panel.look_up_models()
    return f"The key for {_label(provider)} is set for this kernel."


def _label(provider: str) -> str:
    row = config.rows().get(provider)
    return provider if row is None else row.label

"""Answers that failed because a provider's key is missing or was refused, and how to go on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llm_playground import config
from llm_playground.config import credentials
from llm_playground.errors import AuthenticationError, MissingKeyError
from llm_playground.providers import refused_key_advice
from llm_playground.redaction import printable, redact

if TYPE_CHECKING:
    from llm_playground.types import Run
    from llm_playground.widget import Playground


def key_failure(run: Run) -> dict[str, Any]:
    """What a view needs to have the key of a failed answer entered; empty for other endings.

    Returns:
        ``provider``, ``vendor``, ``page`` (where a key is created, may be empty) and ``line``: what
        is missing or was refused, without advice for cells, since the view has buttons.
    """
    if not isinstance(run.error, (AuthenticationError, MissingKeyError)):
        return {}
    row = config.rows().get(run.error.provider or run.provider)
    if row is None or not row.key_variables:
        return {}
    line = printable(redact(str(run.error))).removesuffix(f" {refused_key_advice(row)}")
    if isinstance(run.error, MissingKeyError) and line.startswith("No key "):
        variable = row.key_variables[0]
        line = f"No key for {row.label}. Put {variable} in .env or the environment."
    return {
        "provider": row.name,
        "vendor": row.label,
        "page": row.key_page or "",
        "line": line,
    }


def is_same_key(panel: Playground, provider: str) -> bool:
    """Whether the provider's key is still one that it has refused in the shown answers."""
    masked = credentials.key_status(provider).masked or "…"
    failed = [run.error for run in panel.answers.runs() if key_failure(run)]
    refused = [e for e in failed if isinstance(e, AuthenticationError) and e.provider == provider]
    return masked != "…" and any(f"ends in {masked}." in str(error) for error in refused)

"""Providers' keys: where they are found, and whether they can be what they should."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from llm_playground import config
from llm_playground.errors import MissingKeyError
from llm_playground.redact import mask, remember

KeyState = Literal["missing", "malformed", "present"]


@dataclass(frozen=True, slots=True)
class KeyStatus:
    """What is known about one provider's key, without the key."""

    provider: str
    variable: str
    source: str | None
    status: KeyState
    masked: str | None


def key(provider: str) -> str:
    """The provider's key.

    Raises:
        MissingKeyError: There is none, or it cannot be one. The message names the variable.
    """
    row = config.rows()[provider]
    status, secret = _look_up(provider)
    if status.status == "present" and secret is not None:
        return secret
    if status.status == "malformed":
        raise MissingKeyError(
            f"{status.variable} (from {status.source}) is not a key of {row.label}: "
            f"one starts with {' or '.join(row.key_prefixes)} and has no spaces. "
            f"Get one at {row.key_page}",
            provider=provider,
        )
    raise MissingKeyError(
        f"No key for {row.label}. Put {row.key_variables[0]} in .env or the environment "
        f"(no restart needed). Get one at {row.key_page}",
        provider=provider,
    )


def with_key() -> list[str]:
    """The providers that want a key."""
    return [name for name, row in config.rows().items() if row.key_variables]


def key_statuses() -> list[KeyStatus]:
    """The state of every provider's key, masked."""
    return [key_status(provider) for provider in with_key()]


def key_status(provider: str) -> KeyStatus:
    """The state of one provider's key, masked."""
    return _look_up(provider)[0]


def _look_up(provider: str) -> tuple[KeyStatus, str | None]:
    row = config.rows()[provider]
    for source, values in config.sources():
        for variable in row.key_variables:
            secret = (values.get(variable) or "").strip()
            if secret:
                remember(secret)
                state: KeyState = "present" if _plausible(provider, secret) else "malformed"
                return KeyStatus(provider, variable, source, state, mask(secret)), secret
    return KeyStatus(provider, row.key_variables[0], None, "missing", None), None


def _plausible(provider: str, secret: str) -> bool:
    """Known prefixes, never the length; a custom base URL may use any key."""
    if not secret.isascii() or any(c.isspace() or not c.isprintable() for c in secret):
        return False
    return config.base_url(provider) is not None or secret.startswith(
        config.rows()[provider].key_prefixes
    )

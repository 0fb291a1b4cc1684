"""Providers' keys: where they are found, and whether they can be what they should.

A key set in this kernel comes first, then the environment, ``.env`` here or above, the keyring.
"""

from __future__ import annotations

import difflib
import getpass
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from llm_playground import config, deeds, vault
from llm_playground.endpoints import BUILT_IN, EndpointRow
from llm_playground.errors import ConfigError, MissingKeyError
from llm_playground.redact import mask, remember

KeyState = Literal["missing", "malformed", "present"]

THIS_KERNEL = "this kernel"
KEYRING = "keyring"

# Headers that the vendors' SDKs read from the environment themselves and send along.
_HEADER_VARIABLES = {"OPENAI_CUSTOM_HEADERS", "ANTHROPIC_CUSTOM_HEADERS"}
_SECRET_HEADER = re.compile(r"auth|key|token|secret|cookie|password", re.IGNORECASE)

_set_here: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class KeyStatus:
    """What is known about one provider's key, without the key."""

    provider: str
    variable: str
    source: str | None
    status: KeyState
    masked: str | None


@dataclass(frozen=True, slots=True)
class _Found:
    source: str
    variable: str
    secret: str = field(repr=False)


def key(provider: str) -> str:
    """The provider's key. May wait for the keyring; on the loop, await :func:`ready` before.

    Raises:
        MissingKeyError: There is none, or it cannot be one. The message names the variable.
    """
    row = config.rows()[provider]
    found = _found(provider)
    if found is None:
        raise MissingKeyError(_missing(row), provider=provider)
    if not _plausible(row, found.secret):
        raise MissingKeyError(
            f"{found.variable} (from {found.source}) is not a key of {row.label}: "
            f"{_what_one_is(row)}.{_page(row)}",
            provider=provider,
        )
    return found.secret


async def ready(provider: str) -> None:
    """Wait until :func:`key` can answer at once, without holding up the loop."""
    if config.rows()[provider].key_variables and next(_places(provider), None) is None:
        await vault.wait_async(*_wanted(provider))


def with_key() -> list[str]:
    """The providers that want a key."""
    return [name for name, row in config.rows().items() if row.key_variables]


def key_statuses() -> list[KeyStatus]:
    """The state of every provider's key, masked."""
    return [key_status(provider) for provider in with_key()]


def key_status(provider: str) -> KeyStatus:
    """The state of one provider's key, masked. May wait for the keyring."""
    row, found = config.rows()[provider], _found(provider)
    if found is None:
        return KeyStatus(provider, row.key_variables[0], None, "missing", None)
    state: KeyState = "present" if _plausible(row, found.secret) else "malformed"
    return KeyStatus(provider, found.variable, found.source, state, mask(found.secret))


def source_of(provider: str, secret: str) -> str | None:
    """Where a key that is in use came from; None when it is there no more. Never waits."""
    places = _places(provider) if provider in config.rows() else ()
    return next((found.source for found in places if found.secret == secret), None)


def set_key(provider: str, key: str | None = None, *, save: bool = False) -> None:
    """Set a provider's key for this kernel; it comes before every other source.

    Args:
        provider: Such as ``"openai"``.
        key: The key; None asks for it, hidden. Written into a cell it would stay in the notebook.
        save: Also keep it in the system's keyring, for later kernels.

    Raises:
        ConfigError: No such provider, it needs no key, what was given is none, or it could not be
            saved; in that last case it is set for this kernel all the same.
    """
    row = _wants_key(provider)
    if key is not None and not isinstance(key, str):
        raise ConfigError(f"Not set: a key is text; got {type(key).__name__}.", provider=provider)
    secret = (_asked(row) if key is None else key).strip()
    remember(secret)
    if not secret:
        raise ConfigError("Nothing was typed, and nothing was set.", provider=provider)
    if not _plausible(row, secret):
        raise ConfigError(
            f"Not set: this is not a key of {row.label}: {_what_one_is(row)}.{_page(row)}",
            provider=provider,
        )
    _set_here[_owner(row)] = secret
    deeds.tell("set_key", row.name)
    if save:
        save_key(provider)


def save_key(provider: str) -> None:
    """Keep the key that was set for this kernel in the system's keyring.

    Raises:
        ConfigError: None was set, or the keyring does not take it.
    """
    owner = _owner(_wants_key(provider))
    if owner not in _set_here:
        raise ConfigError(f"Not saved: run %llm keys set {provider} first.", provider=provider)
    vault.save(owner, _set_here[owner])
    deeds.tell("save_key", provider)


def forget_key(provider: str) -> tuple[str, ...]:
    """Take back what :func:`set_key` set, in this kernel and in the keyring.

    Returns:
        Where there was one: ``"this kernel"``, ``"keyring"``, both or none.

    Raises:
        ConfigError: No such provider, or it needs no key.
    """
    owner = _owner(_wants_key(provider))
    here = _set_here.pop(owner, None) is not None
    kept = vault.forget(owner)
    places = (THIS_KERNEL,) * here + (KEYRING,) * kept
    if places:
        deeds.tell("forget_key", provider, {"from": places})
    return places


def remember_all() -> None:
    """Make every key at hand known for redaction, in use or not. Never waits for the keyring."""
    variables = {name for row in config.rows().values() for name in row.key_variables}
    for _, values in config.sources():
        for variable in variables & values.keys():
            remember(values[variable].strip())
        for variable in _HEADER_VARIABLES & values.keys():
            for secret in _secrets_in(values[variable]):
                remember(secret)


def _secrets_in(headers: str) -> Iterator[str]:
    """The values of those headers that carry a secret by their name."""
    for line in headers.split("\n"):
        name, _, value = line.partition(":")
        if _SECRET_HEADER.search(name):
            yield value.strip().removeprefix("Bearer ")


def _found(provider: str) -> _Found | None:
    found = next(_places(provider), None)
    if found is None:
        vault.wait(*_wanted(provider))
        found = next(_places(provider), None)
    if found is not None:
        remember(found.secret)
    return found


def _places(provider: str) -> Iterator[_Found]:
    """Every place where the key is, as far as one can tell without waiting."""
    row = config.rows()[provider]
    owner = _owner(row)
    if owner in _set_here:
        yield _Found(THIS_KERNEL, row.key_variables[0], _set_here[owner])
    for source, values in config.sources():
        for variable in row.key_variables:
            secret = (values.get(variable) or "").strip()
            if secret:
                yield _Found(source, variable, secret)
    kept = vault.kept(owner)
    if kept:
        yield _Found(KEYRING, row.key_variables[0], kept.strip())


def _wanted(provider: str) -> tuple[str, set[str]]:
    """Under which name the keyring has the key, and under which all others."""
    rows = config.rows()
    return _owner(rows[provider]), {_owner(row) for row in rows.values() if row.key_variables}


def _owner(row: EndpointRow) -> str:
    """Under which provider's name a key is kept: two ways to one service share it."""
    rows = config.rows().values()
    return next(other.name for other in rows if other.key_variables == row.key_variables)


def _wants_key(provider: str) -> EndpointRow:
    rows = config.rows()
    row = rows.get(provider) if isinstance(provider, str) else None
    if row is None:
        close = difflib.get_close_matches(str(provider), rows, n=1)
        hint = f"Did you mean {close[0]}?" if close else f"There are {', '.join(with_key())}."
        raise ConfigError(f"No provider is called {provider!r}. {hint}")
    if not row.key_variables:
        raise ConfigError(f"No key is needed for {row.label}.", provider=provider)
    return row


def _asked(row: EndpointRow) -> str:
    """What a person types where nobody can read it.

    Raises:
        ConfigError: There is nobody to ask, or no way to hide what is typed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", getpass.GetPassWarning)  # it would be shown
        try:
            return getpass.getpass(f"Key of {row.label}: ")
        except (getpass.GetPassWarning, NotImplementedError, EOFError):
            raise ConfigError(
                f"Nobody can be asked for a key here. Put {row.key_variables[0]} in .env or the "
                "environment.",
                provider=row.name,
            ) from None


def _plausible(row: EndpointRow, secret: str) -> bool:
    """Known prefixes, never the length; a custom base URL may use any key."""
    if not secret.isascii() or any(c.isspace() or not c.isprintable() for c in secret):
        return False
    return not row.key_prefixes or _is_moved(row) or secret.startswith(row.key_prefixes)


def _is_moved(row: EndpointRow) -> bool:
    known = BUILT_IN.get(row.name)
    return config.base_url(row.name) is not None or (
        known is not None and known.base_url != row.base_url
    )


def _what_one_is(row: EndpointRow) -> str:
    if not row.key_prefixes or _is_moved(row):
        return "one has no spaces and only plain letters"
    return f"one starts with {' or '.join(row.key_prefixes)} and has no spaces"


def _missing(row: EndpointRow) -> str:
    locked = f" ({vault.trouble()})" if vault.trouble() else ""
    return (
        f"No key for {row.label}. Put {row.key_variables[0]} in .env or the environment "
        f"(no restart needed), or run %llm keys set {row.name}.{locked}{_page(row)}"
    )


def _page(row: EndpointRow) -> str:
    return f" Get one at {row.key_page}" if row.key_page else ""

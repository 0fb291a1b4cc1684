"""API keys of providers: their sources, and whether they look valid.

A key set in this kernel comes first, then the environment, ``.env`` here or above, and the system's
keyring (macOS Keychain, Windows Credential Manager, Secret Service, KWallet).

The keyring is queried on a separate thread, because a locked one shows a dialog and waits for the
user. Its keys stay in memory; missing ones are queried again after half a minute at the
earliest. A missing library or keyring counts as an empty one.
"""

from __future__ import annotations

import asyncio
import base64
import getpass
import itertools
import os
import re
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, TypeVar

from llm_playground import _lifecycle, config
from llm_playground._validation import checks_arguments, closest, repr_of
from llm_playground.config import colab, endpoint_fields, options
from llm_playground.config.endpoint_table import BUILT_IN, EndpointRow
from llm_playground.errors import ConfigError, MissingKeyError, drop_stacks
from llm_playground.installation import INSTALL
from llm_playground.redaction import Secret, mask, remember
from llm_playground.redaction.secrets import url_passwords

SERVICE = "llm_playground"
WAIT_S = 60.0  # for the user to unlock it
_QUERY_AGAIN_AFTER_S = 30.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Query:
    """One query of the keyring."""

    names: frozenset[str]
    done: Future[None] = field(default_factory=Future)
    started_s: float = field(default_factory=time.monotonic)

    @property
    def age_s(self) -> float:
        """Seconds since the query started."""
        return time.monotonic() - self.started_s

    def covers(self, name: str) -> bool:
        """Whether the query includes ``name`` and is running or recent."""
        return name in self.names and (self.age_s < _QUERY_AGAIN_AFTER_S or not self.done.done())

    @property
    def remaining_s(self) -> float:
        """Seconds left to wait for the result."""
        return max(0.0, WAIT_S - self.age_s)


_lock = threading.Lock()
_keys_read: dict[str, str] = {}
_query: _Query | None = None
_error: str | None = None  # of the last query, such as a locked keyring


def _start_query(provider: str) -> _Query:
    """The current query if it covers the provider's key, else a new one for all keys."""
    global _query
    rows = config.rows()
    name = _owner(rows[provider])
    with _lock:
        if _query is None or not _query.covers(name):
            # Colab's page is asked for its token only when that is needed.
            names = {_owner(row) for row in rows.values() if row.key_variables} - {colab.NAME}
            _query = _Query(frozenset({name, *names}))
            _in_background(_run_query, _query)
        return _query


def _run_query(query: _Query) -> None:
    global _error
    _error = None
    try:
        if colab.NAME in query.names and (token := colab.key()):
            remember(token)
            _keys_read[colab.NAME] = token
        import keyring  # an optional extra; takes 0.1 s

        for name in sorted(query.names - _keys_read.keys()):
            secret = keyring.get_password(SERVICE, name)
            if secret:
                remember(secret)
                _keys_read[name] = secret
    except ImportError:
        pass
    except Exception as error:  # backends raise any type: locked, no D-Bus
        _error = _describe(error)
    finally:
        query.done.set_result(None)


def _write(name: str, secret: str) -> None:
    import keyring  # an optional extra

    keyring.set_password(SERVICE, name, secret)
    if keyring.get_password(SERVICE, name) != secret:
        raise LookupError


def _remove(name: str) -> bool:
    import keyring  # an optional extra

    if keyring.get_password(SERVICE, name) is None:
        return False
    keyring.delete_password(SERVICE, name)
    return True


def _run_interruptibly(function: Callable[[], T]) -> T:
    """Run ``function`` on another thread, so that waiting for it can be interrupted."""
    result: Future[T] = Future()

    def run() -> None:
        try:
            result.set_result(function())
        except BaseException as error:
            result.set_exception(error)

    _in_background(run)
    return result.result(WAIT_S)


def _in_background(function: Callable[..., None], *arguments: object) -> None:
    """Run ``function`` on a daemon thread, so that Python can exit while a dialog is open."""
    name = f"{SERVICE}_keyring"
    threading.Thread(target=function, args=arguments, name=name, daemon=True).start()


def _describe(error: Exception) -> str | None:
    """A description of a keyring error without its message; None if there is no keyring."""
    kind = type(error).__name__
    if isinstance(error, TimeoutError):
        return f"the keyring did not answer within {WAIT_S:.0f} s"
    if isinstance(error, LookupError):
        return "the configured keyring stores nothing"
    if kind == "NoKeyringError":
        return None
    return "the keyring is locked" if kind == "KeyringLocked" else f"the keyring failed ({kind})"


def _reset_after_fork() -> None:
    """Drop a running query, whose thread does not exist in a forked child."""
    global _lock, _query
    _lock, _query = threading.Lock(), None


_lifecycle.register(after_fork_in_child=_reset_after_fork)

KeyState = Literal["missing", "malformed", "present"]

THIS_KERNEL = "this kernel"
KEYRING = "keyring"

# Variables with headers that the vendors' SDKs send by themselves, by wire format.
_SENT_BY_SDKS = {
    "openai": ("OPENAI_CUSTOM_HEADERS",),
    "openai-responses": ("OPENAI_CUSTOM_HEADERS",),
    "anthropic": ("ANTHROPIC_CUSTOM_HEADERS",),
    "anthropic-vertex": ("ANTHROPIC_CUSTOM_HEADERS",),
    "anthropic-bedrock": ("ANTHROPIC_CUSTOM_HEADERS",),
}
_HEADER_VARIABLES = (*itertools.chain(*_SENT_BY_SDKS.values()), "GOOGLE_GENAI_DEFAULT_HEADERS")
# Further secrets that the SDKs and libpq read from the environment.
_SECRET_VARIABLES = (
    *("OPENAI_ADMIN_KEY", "OPENAI_WEBHOOK_SECRET", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_AD_TOKEN"),
    *("ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_WEBHOOK_SIGNING_KEY", "ANTHROPIC_IDENTITY_TOKEN"),
    *("ANTHROPIC_AWS_API_KEY", "ANTHROPIC_FOUNDRY_API_KEY", "ANTHROPIC_ENVIRONMENT_KEY"),
    *("ANTHROPIC_WORK_SECRET", "GOOGLE_GENAI_ACCESS_TOKEN", "GOOGLE_GENAI_API_KEY"),
    *("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_BEARER_TOKEN_BEDROCK"),
    *("PGPASSWORD", "PGSSLPASSWORD"),
)
_URL_VARIABLES = (
    "LLM_PLAYGROUND_LOG",
    *(f"{kind}_PROXY" for kind in ("HTTP", "HTTPS", "ALL")),
    *(f"{kind}_proxy" for kind in ("http", "https", "all")),
)
# Values of headers that are no secrets: media types, which occur in many texts.
_MEDIA_TYPE = re.compile(r"[a-z]+/[a-z0-9.+*-]+")

_set_here: dict[str, Secret] = {}
_lifecycle.register_state(globals(), "_set_here", dict)


@dataclass(frozen=True, slots=True)
class KeyStatus:
    """The state of one provider's key, without the key."""

    provider: str
    variable: str
    source: str | None
    status: KeyState
    masked: str | None


@dataclass(frozen=True, slots=True)
class _StoredKey:
    source: str
    variable: str
    secret: Secret = field(repr=False)
    path: str | None = None  # of a ``.env``


def key(provider: str) -> str:
    """The provider's key. May wait for the keyring; on the loop, await :func:`ready` before.

    Raises:
        MissingKeyError: The key is missing or malformed. The message names the variable.
    """
    row = config.rows()[provider]
    stored = _find(provider)
    if stored is None:
        error = f" ({_error})" if _error else ""
        raise MissingKeyError(
            f"No key for {row.label}. Put {row.key_variables[0]} in .env or the environment "
            f"(no restart needed), or run %llm keys set {row.name}.{error}{_page(row)}",
            provider=provider,
        )
    if not _is_plausible(row, stored.secret):
        raise MissingKeyError(
            f"{stored.variable} (from {stored.source}) is not a key of {row.label}: "
            f"{_expected_form(row)}.{_page(row)}",
            provider=provider,
        )
    return stored.secret


async def ready(provider: str) -> None:
    """Wait until :func:`key` does not block, without blocking the loop."""
    if config.rows()[provider].key_variables and next(_stored_keys(provider), None) is None:
        query = _start_query(provider)
        await asyncio.wait([asyncio.wrap_future(query.done)], timeout=query.remaining_s)


def with_key() -> list[str]:
    """The providers that need a key."""
    return [name for name, row in config.rows().items() if row.key_variables]


def key_statuses() -> list[KeyStatus]:
    """The state of every provider's key, masked."""
    return [key_status(provider) for provider in with_key()]


def key_status(provider: str) -> KeyStatus:
    """The state of one provider's key, masked. May wait for the keyring."""
    row, stored = config.rows()[provider], _find(provider)
    if stored is None:
        return KeyStatus(provider, row.key_variables[0], None, "missing", None)
    state: KeyState = "present" if _is_plausible(row, stored.secret) else "malformed"
    return KeyStatus(provider, stored.variable, stored.source, state, mask(stored.secret))


def source_of(provider: str, secret: str) -> str | None:
    """The source of a key in use; None if it was removed. Never waits."""
    stored_keys = _stored_keys(provider) if provider in config.rows() else ()
    return next((stored.source for stored in stored_keys if stored.secret == secret), None)


def key_from_elsewhere(path: str, providers: Iterable[str]) -> str | None:
    """A secret that calls of some providers would use, unless it is from the ``.env`` at ``path``.

    As its variable and source, for a message. Never waits, so not for a keyring.
    """
    rows = config.rows()
    for provider in providers:
        stored = next(_stored_keys(provider), None)
        if stored is not None and stored.path != path:
            the_source = stored.path or f"the {stored.source}".replace("the this", "this")
            return f"{stored.variable} from {the_source}"
        for variable in _SENT_BY_SDKS.get(rows[provider].wire_format, ()):
            if os.environ.get(variable, "").strip():
                return f"{variable} from the environment"
    return None


# Without checks_arguments: a verbose traceback shows the arguments of its wrapper, so the key.
def set_key(provider: str, key: str | None = None, *, save: bool = False) -> None:
    """Set a provider's key for this kernel; it takes precedence over all other sources.

    Args:
        provider: Such as ``"openai"``.
        key: The key; None prompts for it with hidden input. A key in a cell stays in the notebook.
        save: Also save it in the system's keyring, for later kernels.

    Raises:
        ConfigError: The provider is unknown or needs no key, the key is invalid, or it could not be
            saved; in that last case it is still set for this kernel.
    """
    row = _row_with_key(provider)
    if key is not None and not isinstance(key, str):
        raise ConfigError(f"Not set: a key is text; got {type(key).__name__}.", provider=provider)
    key = secret = Secret((_prompt_for_key(row) if key is None else key).strip())
    if not secret:
        raise ConfigError("The key is empty; nothing was set.", provider=provider)
    if not _is_plausible(row, secret):
        # Not remembered: a prompt pasted by mistake could not be sent any more.
        raise ConfigError(
            f"Not set: this is not a key of {row.label}: {_expected_form(row)}.{_page(row)}",
            provider=provider,
        )
    remember(secret)
    _set_here[_owner(row)] = secret
    options.record("set_key", row.name)
    if save:
        save_key(provider)


def save_key(provider: str) -> None:
    """Save the key that was set for this kernel in the system's keyring.

    Raises:
        ConfigError: No key was set, or the keyring does not accept it.
    """
    owner = _owner(_row_with_key(provider))
    if owner not in _set_here:
        raise ConfigError(f"Not saved: run %llm keys set {provider} first.", provider=provider)
    secret = _set_here[owner]
    try:
        _run_interruptibly(lambda: _write(owner, secret))
    except ImportError:
        raise ConfigError(
            f"Not saved: the keyring library is not installed: {INSTALL['keyring']}."
        ) from None
    except Exception as error:  # backends raise any type, and the message may contain the key
        drop_stacks(error)
        raise ConfigError(f"Not saved: {_describe(error) or 'no keyring is available'}.") from None
    _keys_read[owner] = secret
    options.record("save_key", provider)


@checks_arguments("forget_key")
def forget_key(provider: str) -> tuple[str, ...]:
    """Remove a key that :func:`set_key` set, from this kernel and from the keyring.

    Returns:
        Where the key was: ``"this kernel"``, ``"keyring"``, both or neither.

    Raises:
        ConfigError: The provider is unknown or needs no key.
    """
    owner = _owner(_row_with_key(provider))
    was_set = _set_here.pop(owner, None) is not None
    was_saved = False
    _keys_read.pop(owner, None)
    with suppress(Exception):  # no keyring, so no key
        was_saved = _run_interruptibly(lambda: _remove(owner))
    removed_from = (THIS_KERNEL,) * was_set + (KEYRING,) * was_saved
    if removed_from:
        options.record("forget_key", provider, {"from": removed_from})
    return removed_from


def remember_all() -> None:
    """Register all available secrets for redaction, used or not. Never waits for the keyring."""
    for _, values, _ in config.sources():
        for secret in _secrets_in(values):
            remember(secret)
    for secret in url_passwords(config.settings().log or ""):
        remember(secret)


def _secrets_in(values: Mapping[str, str]) -> Iterator[str]:
    rows = config.rows().values()
    keys = {name for row in rows for name in row.key_variables}
    keys |= {name for row in rows if row.headers for name in endpoint_fields.variables(row.headers)}
    yield from (values.get(name, "").strip() for name in (*keys, *_SECRET_VARIABLES))
    for names, parts in ((_HEADER_VARIABLES, _header_values), (_URL_VARIABLES, url_passwords)):
        for value in filter(None, map(values.get, names)):
            yield from parts(value.strip())


@lru_cache(maxsize=8)
def _header_values(headers: str) -> tuple[str, ...]:
    """The values of headers, whole and in parts: ``Bearer x``, ``a=x; b=y``, Basic's ``a:x``."""
    found: dict[str, None] = {}
    for line in headers.splitlines():
        value = line.partition(":")[2].strip()
        parts = re.split(r"[\s;,]+", value)
        named = [part.partition("=")[2] for part in parts]
        found |= dict.fromkeys((value, *parts, *named, *map(_basic_password, parts)))
    return tuple(value for value in found if not _MEDIA_TYPE.fullmatch(value))


def _basic_password(encoded: str) -> str:
    """The password of Basic authentication (RFC 7617); empty for another text."""
    try:
        login = base64.b64decode(encoded, validate=True).decode()
    except ValueError:  # binascii.Error and UnicodeDecodeError too
        return ""
    return login.partition(":")[2]


def _find(provider: str) -> _StoredKey | None:
    stored = next(_stored_keys(provider), None)
    if stored is None:
        query = _start_query(provider)
        with suppress(TimeoutError):  # the keyring was not unlocked in time
            query.done.result(query.remaining_s)
        stored = next(_stored_keys(provider), None)
    if stored is not None:
        remember(stored.secret)
    return stored


def _stored_keys(provider: str) -> Iterator[_StoredKey]:
    """The provider's keys from all sources, in order of precedence; does not query the keyring."""
    row = config.rows()[provider]
    owner = _owner(row)
    if owner in _set_here:
        yield _StoredKey(THIS_KERNEL, row.key_variables[0], _set_here[owner])
    for source, values, path in config.sources():
        for variable in row.key_variables:
            secret = Secret((values.get(variable) or "").strip())
            if secret:
                yield _StoredKey(source, variable, secret, path)
    saved = _keys_read.get(owner)
    if saved:
        source = colab.SOURCE if owner == colab.NAME else KEYRING
        yield _StoredKey(source, row.key_variables[0], Secret(saved.strip()))


def _owner(row: EndpointRow) -> str:
    """The provider under whose name a key is stored; endpoints of one service share it."""
    rows = config.rows().values()
    return next(other.name for other in rows if other.key_variables == row.key_variables)


def _row_with_key(provider: str) -> EndpointRow:
    rows = config.rows()
    row = rows.get(provider) if isinstance(provider, str) else None
    if row is None:
        hint = closest(provider, rows, otherwise=f"Available: {', '.join(with_key())}.")
        raise ConfigError(f"No provider is called {repr_of(provider)}. {hint}")
    if not row.key_variables:
        raise ConfigError(f"No key is needed for {row.label}.", provider=provider)
    return row


def _prompt_for_key(row: EndpointRow) -> str:
    """Read a key from a hidden input."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", getpass.GetPassWarning)  # the input would be visible
        try:
            return getpass.getpass(f"Key of {row.label}: ")
        except (getpass.GetPassWarning, NotImplementedError, EOFError):
            raise ConfigError(
                f"A key cannot be typed in here. Put {row.key_variables[0]} in .env or "
                "the environment.",
                provider=row.name,
            ) from None


def _is_plausible(row: EndpointRow, secret: str) -> bool:
    """Whether a key has a known prefix; a custom base URL may use any key."""
    if not secret.isascii() or any(c.isspace() or not c.isprintable() for c in secret):
        return False
    return not row.key_prefixes or _has_custom_url(row) or secret.startswith(row.key_prefixes)


def _has_custom_url(row: EndpointRow) -> bool:
    known = BUILT_IN.get(row.name)
    return config.base_url(row.name) is not None or (
        known is not None and known.base_url != row.base_url
    )


def _expected_form(row: EndpointRow) -> str:
    if not row.key_prefixes or _has_custom_url(row):
        return "a key has ASCII characters only and no spaces"
    return f"a key starts with {' or '.join(row.key_prefixes)} and has no spaces"


def _page(row: EndpointRow) -> str:
    return f" Get one at {row.key_page}" if row.key_page else ""

"""Settings and keys: the only reader of the environment and of ``.env``."""

from __future__ import annotations

import getpass
import os
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

from llm_playground.errors import ConfigError, MissingKeyError
from llm_playground.redact import mask, remember

KeyState = Literal["missing", "malformed", "present"]


@dataclass(frozen=True, slots=True)
class KeyRule:
    """How one provider's key is found and recognised."""

    variables: tuple[str, ...]
    prefixes: tuple[str, ...]
    base_url_variable: str
    label: str
    key_page: str


KEY_RULES: dict[str, KeyRule] = {
    "openai": KeyRule(
        ("OPENAI_API_KEY",),
        ("sk-",),
        "OPENAI_BASE_URL",
        "OpenAI",
        "https://platform.openai.com/api-keys",
    ),
    "anthropic": KeyRule(
        ("ANTHROPIC_API_KEY",),
        ("sk-ant-",),
        "ANTHROPIC_BASE_URL",
        "Anthropic",
        "https://console.anthropic.com/settings/keys",
    ),
    "gemini": KeyRule(
        ("GOOGLE_GEMINI_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY"),
        ("AIza", "AQ."),
        "GOOGLE_GEMINI_BASE_URL",
        "Gemini",
        "https://aistudio.google.com/apikey",
    ),
}


@dataclass(frozen=True, slots=True)
class KeyStatus:
    """What is known about one provider's key, without the key."""

    provider: str
    variable: str
    source: str | None
    status: KeyState
    masked: str | None


@dataclass(frozen=True, slots=True)
class _Settings:
    log: str | None = None
    model: str | None = None


_settings = _Settings()


def configure(*, log: str | Path | None = None, model: str | None = None) -> None:
    """Set defaults for this kernel. What is not given stays as it was.

    Args:
        log: The run log: a path, ``duckdb:///path``, or ``postgresql://...``.
        model: The model used when a call names none, for example ``"local"``.

    Example:
        >>> configure(model="local")
    """
    global _settings
    given = {"log": None if log is None else str(log), "model": model}
    _settings = replace(_settings, **{k: v for k, v in given.items() if v is not None})


def home() -> Path:
    """The user's data folder: ``LLM_PLAYGROUND_HOME`` or the platform's own place."""
    chosen = read("LLM_PLAYGROUND_HOME")
    if chosen:
        return Path(chosen).expanduser()
    from platformdirs import user_data_path

    return user_data_path("llm_playground", appauthor=False)


def log_url() -> str:
    """Where runs are logged, as ``duckdb:///absolute/path`` or ``postgresql://...``.

    Raises:
        ConfigError: The setting names another kind of database.
    """
    return as_log_url(_settings.log or read("LLM_PLAYGROUND_LOG") or str(home() / "runs.duckdb"))


def as_log_url(place: str) -> str:
    """A path or URL as :func:`log_url` gives it.

    Raises:
        ConfigError: It is another kind of database, or DuckDB has no use for the path.

    >>> as_log_url("/data/runs.duckdb")
    'duckdb:////data/runs.duckdb'
    """
    scheme, separator, rest = place.partition("://")
    if separator and scheme in ("postgresql", "postgres"):
        return place
    if separator and (scheme != "duckdb" or not rest.startswith("/")):
        raise ConfigError(
            f"The run log cannot be {scheme}://. Give a path such as logs/runs.duckdb."
        )
    if "?" in place:  # DuckDB takes what follows for options and looks for its files elsewhere
        raise ConfigError(f"The run log's path has a question mark: {place}. Use one without.")
    path = Path(rest[1:] if separator else place).expanduser()
    return f"duckdb:///{path.absolute()}"


def default_model() -> str:
    """``configure(model=)`` or ``%llm use``, then ``LLM_PLAYGROUND_MODEL``, then ``local``."""
    return _settings.model or read("LLM_PLAYGROUND_MODEL") or "local"


def local_model_path() -> Path | None:
    """The GGUF file that ``LLM_PLAYGROUND_LOCAL_MODEL`` names, None when unset."""
    chosen = read("LLM_PLAYGROUND_LOCAL_MODEL")
    return Path(chosen).expanduser() if chosen else None


def username() -> str:
    """Who runs this. On a hub, the hub's word counts and cannot be overridden."""
    named = read("JUPYTERHUB_USER") or read("LLM_PLAYGROUND_USER")
    if named:
        return named
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no login name in a bare container
        return "unknown"


def notebook() -> str | None:
    """The notebook's path where the Jupyter server told the kernel, else None."""
    return os.environ.get("JPY_SESSION_NAME")


def base_url(provider: str) -> str | None:
    """The base URL set for a provider, None for the vendor's own."""
    rule = KEY_RULES.get(provider)
    return read(rule.base_url_variable) if rule else None


def gemini_api_version() -> str:
    """``GOOGLE_GEMINI_API_VERSION``, else ``v1beta``, which has every feature the docs show."""
    return read("GOOGLE_GEMINI_API_VERSION") or "v1beta"


def key(provider: str) -> str:
    """The provider's key.

    Raises:
        MissingKeyError: There is none, or it cannot be one. The message names the variable.
    """
    rule = KEY_RULES[provider]
    status, secret = _look_up(provider)
    if status.status == "present" and secret is not None:
        return secret
    if status.status == "malformed":
        raise MissingKeyError(
            f"{status.variable} (from {status.source}) is not a key of {rule.label}: "
            f"one starts with {' or '.join(rule.prefixes)} and has no spaces. "
            f"Get one at {rule.key_page}",
            provider=provider,
        )
    raise MissingKeyError(
        f"No key for {rule.label}. Put {rule.variables[0]} in .env or the environment "
        f"(no restart needed). Get one at {rule.key_page}",
        provider=provider,
    )


def key_statuses() -> list[KeyStatus]:
    """The state of every provider's key, masked."""
    return [key_status(provider) for provider in KEY_RULES]


def key_status(provider: str) -> KeyStatus:
    """The state of one provider's key, masked."""
    return _look_up(provider)[0]


def read(variable: str) -> str | None:
    """A variable from the environment, else from ``.env`` here or above; empty counts as unset."""
    return os.environ.get(variable, "").strip() or _dotenv().get(variable, "").strip() or None


def _look_up(provider: str) -> tuple[KeyStatus, str | None]:
    rule = KEY_RULES[provider]
    sources = (("environment", os.environ), (".env", _dotenv()))
    for source, values in sources:
        for variable in rule.variables:
            secret = (values.get(variable) or "").strip()
            if secret:
                remember(secret)
                state: KeyState = "present" if _plausible(provider, secret) else "malformed"
                return KeyStatus(provider, variable, source, state, mask(secret)), secret
    return KeyStatus(provider, rule.variables[0], None, "missing", None), None


def _plausible(provider: str, secret: str) -> bool:
    """Known prefixes, never the length; a custom base URL may use any key."""
    if not secret.isascii() or any(c.isspace() or not c.isprintable() for c in secret):
        return False
    return base_url(provider) is not None or secret.startswith(KEY_RULES[provider].prefixes)


def _dotenv() -> dict[str, str]:
    """The nearest ``.env``, read again whenever it changes."""
    try:
        here = Path.cwd()
    except FileNotFoundError:  # somebody deleted the working folder
        return {}
    for folder in (here, *here.parents):
        path = folder / ".env"
        try:
            changed_ns = path.stat().st_mtime_ns
        except OSError:
            continue
        return _parse_dotenv(path, changed_ns)
    return {}


@lru_cache(maxsize=8)
def _parse_dotenv(path: Path, _changed_ns: int) -> dict[str, str]:
    from dotenv import dotenv_values

    try:
        values = dotenv_values(path, interpolate=False)
    except (OSError, UnicodeDecodeError):
        return {}
    return {name: value for name, value in values.items() if value is not None}

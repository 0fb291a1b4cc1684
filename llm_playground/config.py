"""Settings: the only reader of the environment and of ``.env``."""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from pathlib import Path
from types import EllipsisType
from typing import Any, Literal, cast, get_args

from llm_playground import deeds, naming
from llm_playground import endpoints as table
from llm_playground import policy as policies
from llm_playground._signatures import explaining
from llm_playground.endpoints import EndpointRow, Rates, rates_of
from llm_playground.endpoints.rates import Setting as PriceSetting
from llm_playground.endpoints.rates import changed as prices_changed
from llm_playground.endpoints.settings import Setting as EndpointSetting
from llm_playground.endpoints.settings import changed as endpoints_changed
from llm_playground.errors import ConfigError, InvalidParameterError
from llm_playground.guard_modes import GuardModes
from llm_playground.guard_modes import changed as guard_changed
from llm_playground.policy import Policy
from llm_playground.privacy import Privacy, tightest
from llm_playground.privacy import changed as privacy_changed
from llm_playground.retries import Retry
from llm_playground.retries import changed as retry_changed
from llm_playground.timeouts import Timeouts
from llm_playground.timeouts import changed as timeouts_changed

Mode = Literal["live", "reuse", "replay"]
ReuseFrom = Literal["me", "everyone"]


@dataclass(frozen=True, slots=True)
class _Settings:
    log: str | None = None
    model: str | None = None
    concurrency: int | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)
    retry: Retry = field(default_factory=Retry)
    endpoints: Mapping[str, EndpointRow] = field(default_factory=dict)
    prices: Mapping[str, Rates] = field(default_factory=dict)
    mode: Mode | None = None
    reuse_from: ReuseFrom = "me"
    secret_guard: GuardModes = field(default_factory=GuardModes)
    confirm_above_usd: Decimal | None = Decimal(1)
    budget_max_tokens: int = 4096
    privacy: Privacy = field(default_factory=Privacy)


_settings = _Settings()
_NO_POLICY = Policy()


@explaining("configure")
def configure(
    *,
    log: str | Path | None = None,
    model: str | None = None,
    concurrency: int | None = None,
    timeout_s: float | Mapping[str, float | None] | None = None,
    retry: int | Mapping[str, float] | None = None,
    endpoints: Mapping[str, EndpointSetting] | None = None,
    prices: Mapping[str, PriceSetting] | None = None,
    mode: Mode | None = None,
    reuse_from: ReuseFrom | None = None,
    secret_guard: str | Mapping[str, str] | None = None,
    privacy: str | Mapping[str, Any] | None = None,
    confirm_above_usd: Decimal | float | EllipsisType | None = ...,
    budget_max_tokens: int | None = None,
) -> None:
    """Set defaults for this kernel. What is not given stays as it was.

    Args:
        log: The run log: a path, ``duckdb:///path``, or ``postgresql://...``.
        model: The model used when a call names none, for example ``"local"``.
        concurrency: How many calls may be under way at once, at each provider and in all.
        timeout_s: Seconds for connect, first delta and between deltas; or a mapping of these and
            ``total``, such as ``{"total": 60}``.
        retry: How many attempts a call may take, 1 for no second; or a mapping of ``attempts``,
            ``first_wait_s``, ``max_wait_s``, ``total_s``.
        endpoints: More providers by name: a base URL of something OpenAI-compatible, or a mapping
            with ``base_url``, ``key_variable``, ``label``, ``free``, ``wire_format``,
            ``priced_as``. A known name with other values changes that provider; None takes back
            what was set.
        prices: US dollars per million tokens by ``provider:name`` or ``provider:*``:
            ``input_usd_per_mtok``, ``output_usd_per_mtok``, and where they differ
            ``cache_read_usd_per_mtok``, ``cache_write_usd_per_mtok``. They win over every other
            source; None takes back what was set.
        mode: ``live`` sends every call; ``reuse`` answers the k-th identical request of this
            kernel from the k-th stored answer and sends when there is none; ``replay`` never sends.
        reuse_from: Whose stored answers count on a shared log: ``me`` or ``everyone``.
        secret_guard: What happens when a key, a card number or an e-mail address is about to be
            sent: ``off``, ``warn``, ``block``, or a mapping of ``keys`` (blocked by default),
            ``cards`` (warned of) and ``email`` (off). A key in use here is never sent in a prompt.
        privacy: What is stored: ``texts`` (everything), ``metrics`` (no text, but hash, tokens,
            cost and times), ``off`` (nothing; calls that a budget blocks are then refused, for
            budgets count what is stored); or a mapping of ``store`` (one of these), ``redact`` (a
            list of ``email``, ``phone``, ``card``) and ``sample`` (the share of executions whose
            texts are stored). Keys are never stored.
        confirm_above_usd: What one request for answers, all its calls together, may cost at most
            without ``override="reason"``: 1 US dollar unless set; None asks for none.
        budget_max_tokens: The limit of an answer that is sent where a budget blocks and nobody set
            ``max_tokens``: 4,096 unless set.

    Raises:
        InvalidParameterError: A name is unknown, a value of the wrong kind or out of range.
        UnknownModelError: No provider is known for the model.
        ConfigError: The administrator's policy does not allow it.

    Example:
        >>> configure(model="local")
    """
    global _settings
    given: dict[str, Any] = {
        "log": None if log is None else str(log),
        "concurrency": None if concurrency is None else _count("concurrency", concurrency),
        "budget_max_tokens": (
            None if budget_max_tokens is None else _count("budget_max_tokens", budget_max_tokens)
        ),
        "timeouts": None if timeout_s is None else timeouts_changed(timeouts(), timeout_s),
        "retry": None if retry is None else retry_changed(retry_policy(), retry),
    }
    given["mode"] = None if mode is None else _one_of("mode", mode, Mode)
    given["reuse_from"] = (
        None if reuse_from is None else _one_of("reuse_from", reuse_from, ReuseFrom)
    )
    if secret_guard is not None:
        modes = guard_changed(_settings.secret_guard, secret_guard)
        given["secret_guard"] = policy().allowing_guard(modes, secret_guard)
    if privacy is not None:
        chosen = privacy_changed(_settings.privacy, privacy)
        given["privacy"] = policy().allowing_privacy(chosen, privacy)
    if log is not None:
        as_log_url(str(log))  # raises what would else be raised at the first run
        policy().check_own_log()
    if endpoints is not None:
        given["endpoints"] = endpoints_changed(_settings.endpoints, endpoints, rows())
    named = {**rows(), **given.get("endpoints", {})}
    if model is not None:
        given["model"] = naming.resolved(model, named)
    if prices is not None:
        given["prices"] = prices_changed(_settings.prices, prices, named)
    changed = {name: value for name, value in given.items() if value is not None}
    if confirm_above_usd is not ...:  # here None is a value
        changed["confirm_above_usd"] = _usd_or_none("confirm_above_usd", confirm_above_usd)
    _settings = replace(_settings, **changed)
    said = {"log": log, "privacy": privacy, "prices": prices, "endpoints": endpoints}
    _tell_of(said | {"secret_guard": secret_guard})


def _tell_of(said: Mapping[str, object]) -> None:
    """Tell the audit log what was set here of what it is told of."""
    given = {name: value for name, value in said.items() if value is not None}
    if given:
        deeds.tell("configure", ", ".join(given), given)


def _count(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidParameterError(f"{name} is {value!r}; it takes a whole number above 0.")
    return value


def _usd_or_none(name: str, value: Decimal | float | None) -> Decimal | None:
    if value is None:
        return None
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        amount = Decimal("NaN")
    if isinstance(value, bool) or not amount.is_finite() or amount < 0:
        raise InvalidParameterError(f"{name} is {value!r}; it takes US dollars, or None.")
    return amount


def _one_of(name: str, value: str, words: object) -> str:
    if value not in get_args(words):
        raise InvalidParameterError(f"{name} is {value!r}; it takes {', '.join(get_args(words))}.")
    return value


def mode() -> Mode:
    """``configure(mode=)``, then ``LLM_PLAYGROUND_MODE``, then ``live``.

    Raises:
        InvalidParameterError: The variable holds another word.
    """
    chosen = _settings.mode or read("LLM_PLAYGROUND_MODE") or "live"
    return cast("Mode", _one_of("LLM_PLAYGROUND_MODE", chosen, Mode))


def reuse_from() -> ReuseFrom:
    """Whose stored answers count."""
    return _settings.reuse_from


def secret_guard() -> GuardModes:
    """What happens when a key, a card number or an e-mail address is about to be sent.

    Raises:
        ConfigError: The administrator's policy cannot be used.
    """
    return policy().guard(_settings.secret_guard)


def privacy() -> Privacy:
    """What is stored.

    Raises:
        ConfigError: The administrator's policy cannot be used.
    """
    return tightest(_settings.privacy, policy().privacy)


def policy() -> Policy:
    """What the administrator allows: the file that ``LLM_PLAYGROUND_POLICY`` names, or all.

    Raises:
        ConfigError: The file cannot be read or understood.
    """
    # Not out of .env: that is the user's own file.
    path = os.environ.get("LLM_PLAYGROUND_POLICY", "").strip()
    return policies.read(Path(path).expanduser()) if path else _NO_POLICY


def check_allowed(model: str) -> None:
    """Let a model as ``provider:name`` pass that the administrator allows.

    Raises:
        ConfigError: It is not allowed, or not where its provider's base URL now points.
    """
    policy().check(model, base_url(model.partition(":")[0]))


def confirm_above_usd() -> Decimal | None:
    """What one request for answers may cost at most unasked, None where nothing is asked."""
    return _settings.confirm_above_usd


def budget_max_tokens() -> int:
    """The limit of an answer where a budget blocks and nobody set one."""
    return _settings.budget_max_tokens


def concurrency() -> int | None:
    """``configure(concurrency=)``, None when nobody said."""
    return _settings.concurrency


def timeouts() -> Timeouts:
    """How long a call may take, part by part."""
    return _settings.timeouts


def retry_policy() -> Retry:
    """How failed attempts are repeated."""
    return _settings.retry


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
    own = _settings.log or read("LLM_PLAYGROUND_LOG") or str(home() / "runs.duckdb")
    return as_log_url(policy().log or own)


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
    if "\0" in place:
        raise ConfigError("The run log's path holds a null byte, which no file can. Correct it.")
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
    return _login_name()


@lru_cache(maxsize=1)
def _login_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no login name in a bare container
        return "unknown"


def notebook() -> str | None:
    """The notebook's path where the Jupyter server told the kernel, else None."""
    return os.environ.get("JPY_SESSION_NAME")


def rows() -> dict[str, EndpointRow]:
    """Every provider's row, by name: the built-in ones, those of packages, the user's own."""
    return {**_known_rows(), **_settings.endpoints}


def _known_rows() -> dict[str, EndpointRow]:
    return {**table.BUILT_IN, **table.from_packages()}


def rates(model: str) -> Rates | None:
    """``configure(prices=)`` for a model as ``provider:name``, None where nobody said."""
    return rates_of(model, policy().prices) or rates_of(model, _settings.prices)


def label(provider: str) -> str:
    """A provider's name for people, as within a sentence."""
    row = rows().get(provider)
    return provider if row is None else row.label


def base_url(provider: str) -> str | None:
    """The base URL that the user set for a provider, None where it is in its usual place."""
    own, known = _settings.endpoints.get(provider), _known_rows().get(provider)
    if own is not None and (known is None or own.base_url != known.base_url):
        return own.base_url
    return read(known.base_url_variable) if known and known.base_url_variable else None


def gemini_api_version() -> str:
    """``GOOGLE_GEMINI_API_VERSION``, else ``v1beta``, which has every feature the docs show.

    Raises:
        ConfigError: The variable holds what is no version.
    """
    version = read("GOOGLE_GEMINI_API_VERSION") or "v1beta"
    if not (version.isascii() and version.isalnum()):
        raise ConfigError("GOOGLE_GEMINI_API_VERSION is no version. Set it to v1beta, or unset it.")
    return version


def read(variable: str) -> str | None:
    """A variable from the environment, else from ``.env`` here or above; empty counts as unset."""
    return os.environ.get(variable, "").strip() or _dotenv().get(variable, "").strip() or None


def sources() -> tuple[tuple[str, Mapping[str, str]], ...]:
    """Where a variable may be set, each with its name for people, the first to ask first."""
    return ("environment", os.environ), (".env", _dotenv())


def _dotenv() -> dict[str, str]:
    """Every ``.env`` here and above, the nearest first; each read again whenever it changes."""
    try:
        here = os.getcwd()  # noqa: PTH109 - a dozen look-ups a call: paths as objects cost ten times
    except FileNotFoundError:  # somebody deleted the working folder
        return {}
    values: dict[str, str] = {}
    for path in _dotenv_paths(here):
        try:
            seen = os.stat(path)  # noqa: PTH116 - as above
        except OSError:
            continue
        values |= _parse_dotenv(path, (seen.st_mtime_ns, seen.st_size, seen.st_ino))
    return values


@lru_cache(maxsize=8)
def _dotenv_paths(folder: str) -> tuple[str, ...]:
    here = Path(folder)
    return tuple(str(place / ".env") for place in (*reversed(here.parents), here))


@lru_cache(maxsize=32)
def _parse_dotenv(path: str, _seen: tuple[int, int, int]) -> dict[str, str]:
    from dotenv import dotenv_values

    try:
        values = dotenv_values(path, interpolate=False)
    except (OSError, UnicodeDecodeError):
        return {}
    return {name: value for name, value in values.items() if value is not None}

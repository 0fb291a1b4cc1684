"""Settings: the only reader of the environment and of ``.env``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from functools import lru_cache, partial
from pathlib import Path
from types import EllipsisType
from typing import Any, cast, get_args

from llm_playground import _lifecycle
from llm_playground._validation import checks_arguments, flag, one_of, whole_number
from llm_playground.config import log_location, options, tracing, users
from llm_playground.config.endpoint_table import EndpointRow
from llm_playground.config.endpoints import Setting as EndpointSetting
from llm_playground.config.endpoints import known_rows, merge_endpoints, resolve_model
from llm_playground.config.log_location import as_log_url, log_place
from llm_playground.config.options import (
    GuardModes,
    Mode,
    OpenAIApi,
    Privacy,
    Rates,
    ReuseFrom,
    Settings,
    StopRepetition,
)
from llm_playground.config.options import Setting as PriceSetting
from llm_playground.config.policy import Policy, read_policy
from llm_playground.errors import ConfigError, drop_stacks
from llm_playground.redaction import Secret

_settings = Settings()
_lifecycle.register_state(globals(), "_settings", Settings)
_NO_POLICY = Policy()
_listeners: list[tuple[str, Callable[[], None]]] = []


@checks_arguments("configure")
def configure(
    *,
    log: str | Path | None = None,
    log_group: str | None = None,
    model: str | None = None,
    concurrency: int | None = None,
    timeout_s: float | Mapping[str, float | None] | None = None,
    retry: int | Mapping[str, float] | None = None,
    endpoints: Mapping[str, EndpointSetting] | None = None,
    prices: Mapping[str, PriceSetting] | None = None,
    mode: Mode | None = None,
    reuse_from: ReuseFrom | None = None,
    recording: str | Path | EllipsisType | None = ...,
    replay_timing: bool | None = None,
    secret_guard: str | Mapping[str, str] | None = None,
    privacy: str | Mapping[str, Any] | None = None,
    confirm_above_usd: Decimal | float | EllipsisType | None = ...,
    budget_max_tokens: int | None = None,
    on_budget: Callable[[Any], object] | str | Mapping[str, Any] | EllipsisType | None = ...,
    openai_api: OpenAIApi | EllipsisType | None = ...,
    progress: bool | None = None,
    stop_repetition: StopRepetition | None = None,
    max_value_chars: int | EllipsisType | None = ...,
    telemetry: tracing.Telemetry | None = None,
) -> None:
    """Set defaults for this kernel. Settings whose argument is omitted do not change.

    Args:
        log: The run log: a path, ``duckdb:///path``, or ``postgresql://...``.
        log_group: The group that shares the log's files, in a folder that it can write. Other logs
            stay private.
        model: The model used when a call names none, for example ``"local"``.
        concurrency: Maximum number of simultaneous calls, per provider and in total.
        timeout_s: Seconds for connect, first delta and between deltas; or a mapping of these and
            ``total``, such as ``{"total": 60}``.
        retry: Maximum number of attempts per call, 1 for no retry; or a mapping of ``attempts``,
            ``first_wait_s``, ``max_wait_s``, ``total_s``.
        endpoints: Further providers by name: the base URL of an OpenAI-compatible server, or a
            mapping with ``base_url``, ``key_variable``, ``key_header``, ``headers``, ``query``,
            ``label``, ``free``, ``wire_format``, ``priced_as``; a cloud's ``project``, ``region``.
            The name of a known provider changes that provider; None removes what was set.
        prices: US dollars per million tokens by ``provider:name`` or ``provider:*``:
            ``input_usd_per_mtok``, ``output_usd_per_mtok``, and if they differ
            ``cache_read_usd_per_mtok``, ``cache_write_usd_per_mtok``. They take precedence over
            all other sources; None removes what was set.
        mode: ``live`` sends every call; ``reuse`` answers the k-th identical request of this
            kernel from the k-th stored answer and sends if there is none; ``record`` sends every
            call and keeps its answer in the recording file; ``replay`` answers from that file, else
            from the log, and never sends. Another mode counts from 1. A cell that is executed again
            has its own answers in ``record`` and ``replay``; in ``reuse`` it asks for others.
        reuse_from: The users whose stored answers are used: ``me`` or ``everyone``.
        recording: The recording file, a path that ends in ``.yaml``; None, as at first, for
            ``recordings/NAME.yaml`` beside the notebook or script.
        replay_timing: Whether ``replay`` gives answers at the pace at which they came; at once by
            default.
        secret_guard: The action if a request contains a key, a card number or an e-mail address:
            ``off``, ``warn``, ``block``, or a mapping of ``keys`` (``block`` by default),
            ``cards`` (``warn``) and ``email`` (``off``). A key in use is never sent in a prompt.
        privacy: What is stored: ``texts`` (everything), ``metrics`` (no text, but hash, tokens,
            cost and times), ``off`` (nothing; calls under a blocking budget then fail,
            since budgets count stored runs); or a mapping of ``store`` (one of these), ``redact``
            (a list of ``email``, ``phone``, ``card``), ``sample`` (the share of executions whose
            texts are stored) and ``image_mb`` (the largest image that is stored, 10 at first; of
            larger ones only the hash is). Images are stored with ``texts`` and without
            ``redact`` only. Keys are never stored.
        confirm_above_usd: The most that all calls of one request may cost together without
            ``override="reason"``: 1 US dollar by default; None for no limit.
        budget_max_tokens: ``max_tokens`` of calls under a blocking budget that set none: 4,096 by
            default.
        on_budget: What is called when a budget blocks a call, is exceeded, or is spent to 80 % or
            100 %: a function, also async, that takes a :class:`llm_playground.BudgetAlarm`, or the
            https URL of a webhook; ``{"url": ..., "allow_http": True}`` allows http. Once per
            budget, period and limit; None for nothing.
        openai_api: ``responses`` or ``chat_completions`` for ``openai``. None, as at first:
            Responses at OpenAI's own address, unless a call sets what Responses does not take.
        progress: Whether calls that take longer than a second show a line about it, in notebooks
            and on terminals; True by default.
        stop_repetition: Which answers are stopped when they only repeat themselves: those of the
            embedded model (``local``, the default), ``all``, or none (``off``).
        max_value_chars: The most characters that ``{{name}}`` of a table, an array or another value
            that is no text may have in a prompt: 100,000 by default; None for no limit.
        telemetry: Which OpenTelemetry spans are exported as runs end: ``off`` (none), ``spans``
            (without texts) or ``content`` (with the texts that ``privacy`` lets be stored). They go
            to the application's ``TracerProvider``, else to the collector of ``OTEL_*`` variables.

    Raises:
        InvalidParameterError: A name is unknown, or a value has the wrong type or is out of range.
        UnknownModelError: The model's provider is unknown.
        ConfigError: The administrator's policy does not allow it, or a package is missing.

    Example:
        >>> configure(model="local")
    """
    global _settings
    own, log = _settings, None if log is None else Secret(log_location.log_setting(log))
    readers: dict[str, tuple[Any, Callable[[Any], object]]] = {
        "concurrency": (concurrency, lambda new: whole_number("concurrency", new)),
        "budget_max_tokens": (budget_max_tokens, partial(whole_number, "budget_max_tokens")),
        "timeouts": (timeout_s, lambda new: options.merge_timeouts(own.timeouts, new)),
        "retry": (retry, lambda new: options.merge_retry(own.retry, new)),
        "mode": (mode, lambda new: one_of("mode", new, get_args(Mode))),
        "reuse_from": (reuse_from, lambda new: one_of("reuse_from", new, get_args(ReuseFrom))),
        "secret_guard": (secret_guard, lambda new: policy().merged_guard(own.secret_guard, new)),
        "privacy": (privacy, lambda new: policy().merged_privacy(own.privacy, new)),
        "stop_repetition": (
            stop_repetition,
            lambda new: one_of("stop_repetition", new, get_args(StopRepetition)),
        ),
        "progress": (progress, partial(flag, "progress")),
        "replay_timing": (replay_timing, partial(flag, "replay_timing")),
        "telemetry": (telemetry, tracing.telemetry_setting),
        "log": (log, _own_log),
        "endpoints": (endpoints, lambda new: merge_endpoints(own.endpoints, new, rows())),
    }
    changes: dict[str, Any] = {
        name: read(value) for name, (value, read) in readers.items() if value is not None
    }
    if log_group is not None:
        url = log_url() if log is None else as_log_url(log)
        changes["log_groups"] = {
            **own.log_groups,
            url: log_location.group_for(url, log_group, home()),
        }
    providers = {**rows(), **changes.get("endpoints", {})}
    if model is not None:
        changes["model"] = resolve_model(model, providers)
    if prices is not None:
        changes["prices"] = options.merge_prices(own.prices, prices, providers)
    with_none: dict[str, tuple[Any, Callable[[Any], object]]] = {  # None is a value of these
        "confirm_above_usd": (confirm_above_usd, options.confirm_setting),
        "on_budget": (on_budget, options.on_budget_setting),
        "recording": (recording, options.recording_setting),
        "openai_api": (openai_api, lambda new: one_of("openai_api", new, get_args(OpenAIApi))),
        "max_value_chars": (max_value_chars, partial(whole_number, "max_value_chars")),
    }
    changes |= {
        name: None if value is None else read(value)
        for name, (value, read) in with_none.items()
        if value is not ...
    }
    before = _settings  # another thread may have changed others since `own`
    _settings = replace(before, **changes)
    for setting, listener in _listeners:
        if getattr(_settings, setting) != getattr(before, setting):
            listener()
    audited = {"log": log and log_place(str(log)), "log_group": log_group, "privacy": privacy}
    audited |= {"prices": prices, "endpoints": endpoints, "secret_guard": secret_guard}
    audited["telemetry"] = telemetry
    changed = {name: value for name, value in audited.items() if value is not None}
    if changed:
        options.record("configure", ", ".join(changed), changed)


def _own_log(location: str) -> str:
    _checked_log_url(location)  # so that errors are raised now, not at the first run
    if policy().log is not None:
        raise ConfigError("The run log is set by the administrator's policy.")
    return location


def settings() -> Settings:
    """What :func:`configure` set."""
    return _settings


def mode() -> Mode:
    """``configure(mode=)``, then ``LLM_PLAYGROUND_MODE``, then ``live``.

    Raises:
        InvalidParameterError: The variable has another value.
    """
    if _settings.mode is not None:
        return _settings.mode
    chosen = read("LLM_PLAYGROUND_MODE")
    return cast("Mode", one_of("LLM_PLAYGROUND_MODE", chosen, get_args(Mode))) if chosen else "live"


def telemetry() -> tracing.Telemetry:
    """``configure(telemetry=)``, then ``LLM_PLAYGROUND_TELEMETRY``, then ``off``."""
    # Not from .env: who can write one in a shared folder could have prompts sent elsewhere.
    chosen = os.environ.get("LLM_PLAYGROUND_TELEMETRY", "").strip()
    return _settings.telemetry or tracing.telemetry_of_variable(chosen)


def recording() -> Path | None:
    """``configure(recording=)``, then ``LLM_PLAYGROUND_RECORDING``; None for the notebook's own.

    Raises:
        InvalidParameterError: The variable is not the path of a YAML file.
    """
    chosen = _settings.recording or read("LLM_PLAYGROUND_RECORDING")
    return options.recording_setting(chosen) if chosen else None


def secret_guard() -> GuardModes:
    """The action for keys, card numbers and e-mail addresses in a request.

    Raises:
        ConfigError: The administrator's policy cannot be used.
    """
    rules = policy()
    return _settings.secret_guard if rules is _NO_POLICY else rules.guard(_settings.secret_guard)


def privacy() -> Privacy:
    """What is stored of runs: the stricter of the user's settings and the policy.

    Raises:
        ConfigError: The administrator's policy cannot be used.
    """
    return options.tightest(_settings.privacy, policy().privacy)


def policy(*, or_last: bool = False) -> Policy:
    """The administrator's policy: the file that ``LLM_PLAYGROUND_POLICY`` names, or no rules.

    Raises:
        ConfigError: The file cannot be read or is invalid, and what it held last is not asked for.
    """
    # Not from .env, which users can write.
    path = os.environ.get("LLM_PLAYGROUND_POLICY", "").strip()
    return read_policy(Path(path).expanduser(), or_last=or_last) if path else _NO_POLICY


def check_allowed(model: str) -> None:
    """Check that the administrator allows a model, given as ``provider:name``.

    Raises:
        ConfigError: The model is not allowed, or not at its provider's present base URL.
    """
    rules = policy()
    if rules is not _NO_POLICY:
        rules.check(model, base_url(model.partition(":")[0]))


def is_allowed(model: str) -> bool:
    """Whether :func:`check_allowed` raises nothing."""
    with suppress(ConfigError):
        check_allowed(model)
        return True
    return False


def may_ask(provider: str) -> bool:
    """Whether the administrator allows to send anything to a provider's present base URL.

    Nothing is allowed while the policy cannot be used.
    """
    with suppress(ConfigError):
        rules = policy()
        if rules is _NO_POLICY:
            return True
        at_all = rules.allows_a_model_of(provider)
        return at_all and rules.allows_endpoint(provider, base_url(provider))
    return False


def on_change(setting: str, listener: Callable[[], None]) -> None:
    """Call ``listener`` after :func:`configure` has changed a setting, on the calling thread.

    This is for modules above this one, such as the limiter, which then starts queued calls.
    """
    _listeners.append((setting, listener))


def home() -> Path:
    """The user's data folder: ``LLM_PLAYGROUND_HOME`` or the platform's folder for user data."""
    return log_location.data_folder(read("LLM_PLAYGROUND_HOME"))


def trusted_home() -> Path:
    """:func:`home` without ``.env``, for what the user decided about ``.env`` itself."""
    return log_location.data_folder(os.environ.get("LLM_PLAYGROUND_HOME", "").strip())


def drafts_folder() -> Path:
    """Where the playgrounds of this user save what is typed in them."""
    return home() / "drafts"


def log_group(url: str) -> int | None:
    """The id of the group that shares the files of a run log; None if it is private.

    ``LLM_PLAYGROUND_LOG_GROUP`` applies only to a log that :func:`configure` did not choose.

    Raises:
        ConfigError: There is no such group, or it cannot share this log.
    """
    if url in _settings.log_groups:
        return _settings.log_groups[url]
    # Not from .env, which others may write.
    name = os.environ.get("LLM_PLAYGROUND_LOG_GROUP", "").strip()
    is_given = bool(name) and url == _checked_log_url(_given_log())
    return log_location.group_for(url, name, home()) if is_given else None


def log_url() -> str:
    """The URL of the run log, as ``duckdb:///absolute/path`` or ``postgresql://...``.

    Raises:
        ConfigError: The setting names a database that is not supported.
    """
    own = None if policy().log else _settings.log
    return _checked_log_url(own or _given_log())


def _given_log() -> str:
    """The log of the policy, the environment, or the data folder: what ``configure`` may change."""
    given = policy().log or read("LLM_PLAYGROUND_LOG")
    return Secret(given or home() / "runs.duckdb")


def _checked_log_url(location: str) -> str:
    """:func:`as_log_url` whose errors keep no password.

    Raises:
        ConfigError: The database is not supported, or DuckDB cannot open the path.
    """
    try:
        return as_log_url(location)
    except ConfigError as error:
        drop_stacks(error)  # they have the URL in parts, and so its password
        raise


def default_model() -> str:
    """``configure(model=)`` or ``%llm use``, then ``LLM_PLAYGROUND_MODEL``, then ``local``."""
    return _settings.model or read("LLM_PLAYGROUND_MODEL") or "local"


def local_model_path() -> Path | None:
    """The GGUF file that ``LLM_PLAYGROUND_LOCAL_MODEL`` names; None if it is not set."""
    chosen = read("LLM_PLAYGROUND_LOCAL_MODEL")
    return Path(chosen).expanduser() if chosen else None


def username() -> str:
    """The user's name. On JupyterHub it is the name there, which the kernel cannot override.

    A process that the kernel starts has the environment that the kernel gives it.
    """
    hub_user = users.hub_user_at_start() or os.environ.get("JUPYTERHUB_USER", "").strip()
    return hub_user or read("LLM_PLAYGROUND_USER") or users.login_name()


def notebook() -> str | None:
    """The notebook's path, if the Jupyter server passed it to the kernel."""
    return os.environ.get("JPY_SESSION_NAME")


def rows() -> dict[str, EndpointRow]:
    """All providers by name: built in, Colab's, from packages, from ``configure(endpoints=)``."""
    return {**known_rows(), **_settings.endpoints}


def rates(model: str) -> Rates | None:
    """``configure(prices=)`` for a model as ``provider:name``; None if not set."""
    rules = policy(or_last=True)  # a call that was sent still has its price
    return options.rates_of(model, rules.prices) or options.rates_of(model, _settings.prices)


def label(provider: str) -> str:
    """A provider's display name, for use within a sentence."""
    row = rows().get(provider)
    return provider if row is None else row.label


def base_url(provider: str) -> str | None:
    """The base URL that the user set for a provider; None for its default one.

    One from a ``.env`` may need the user's consent, see ``dotenv.check_settings``.
    """
    own, known = _settings.endpoints.get(provider), known_rows().get(provider)
    if own is not None and (known is None or own.base_url != known.base_url):
        return own.base_url
    return _lookup(known.base_url_variable)[0] if known and known.base_url_variable else None


def gemini_api_version() -> str:
    """``GOOGLE_GEMINI_API_VERSION``, or ``v1beta``, which has all documented features.

    Raises:
        ConfigError: The variable is not a version.
    """
    version = read("GOOGLE_GEMINI_API_VERSION") or "v1beta"
    if not (version.isascii() and version.isalnum()):
        raise ConfigError(
            "GOOGLE_GEMINI_API_VERSION is not a version. Set it to v1beta, or unset it."
        )
    return version


def read(variable: str) -> str | None:
    """A variable from the environment, else from ``.env`` here or above; empty counts as unset.

    Raises:
        ConfigError: It is a setting of a ``.env`` that needs the user's consent.
    """
    value, path = _lookup(variable)
    if value is not None and path is not None:
        from llm_playground.config import dotenv  # needs this module

        dotenv.check(path, variable, value)
    return value


def _lookup(variable: str) -> tuple[str | None, str | None]:
    """The value of a variable, and the ``.env`` that has it."""
    value = os.environ.get(variable, "").strip()
    if value:
        return value, None
    for path, values in dotenv_files():
        value = values.get(variable, "").strip()
        if value:
            return value, path
    return None, None


def sources() -> Iterator[tuple[str, Mapping[str, str], str | None]]:
    """The sources of variables in order of precedence: name, values, and the path of a ``.env``."""
    yield "environment", os.environ, None
    for path, values in dotenv_files():
        yield ".env", values, path


def dotenv_files() -> list[tuple[str, Mapping[str, str]]]:
    """Paths and variables of the ``.env`` files here and above, the nearest first."""
    try:
        here = os.getcwd()  # noqa: PTH109 - called often; Path is ten times slower
    except FileNotFoundError:  # the working folder was deleted
        return []
    files = []
    for path in _dotenv_paths(here):
        try:
            stat = os.stat(path)  # noqa: PTH116 - as above
        except OSError:
            continue
        from llm_playground.config import dotenv  # needs this module

        version = (stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino)
        files.append((path, dotenv.parse(path, version)))
    return files


@lru_cache(maxsize=8)
def _dotenv_paths(folder: str) -> tuple[str, ...]:
    here = Path(folder)
    return tuple(str(parent / ".env") for parent in (here, *here.parents))

"""The settings of :func:`~llm_playground.config.configure` that have several parts or rules.

Each is a frozen value with a ``merge_...`` function, which takes the current value and the argument
of ``configure``. :func:`record` writes the audit log's entries from any layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from llm_playground._validation import (
    check_names,
    closest,
    number,
    one_of,
    short_repr,
    usd,
)
from llm_playground.config.endpoint_table import EndpointRow
from llm_playground.config.tracing import Telemetry
from llm_playground.errors import InvalidParameterError
from llm_playground.redaction.pii import Kind


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Limits of one call in seconds; None is no limit."""

    connect: float | None = 10.0
    first_delta: float | None = 120.0  # from sending; reasoning models are silent for minutes
    between_deltas: float | None = 120.0
    total: float | None = None  # from sending to the end, further attempts included


def merge_timeouts(timeouts: Timeouts, setting: float | Mapping[str, float | None]) -> Timeouts:
    """``timeouts`` changed by ``configure(timeout_s=...)``.

    One number sets connect, first delta and between deltas; a mapping sets the parts it names.

    Raises:
        InvalidParameterError: A name is unknown, or a value is not a positive number.

    >>> merge_timeouts(Timeouts(), {"total": 60}).total
    60.0
    """
    if isinstance(setting, Mapping):
        check_names("timeout_s", setting, Timeouts.__slots__)
        seconds = {name: _seconds(f"timeout_s[{name!r}]", each) for name, each in setting.items()}
    else:
        names = ("connect", "first_delta", "between_deltas")
        seconds = dict.fromkeys(names, _seconds("timeout_s", setting))
    return replace(timeouts, **seconds)


def _seconds(name: str, value: object) -> float | None:
    if value is None:
        return None
    return float(number(name, value, "seconds above 0, or None", lambda seconds: seconds > 0))


GuardMode = Literal["off", "warn", "block"]


@dataclass(frozen=True, slots=True)
class GuardModes:
    """The action for each kind of secret. A key in use is always blocked."""

    keys: GuardMode = "block"  # text that looks like a vendor's key, a token or a private key
    cards: GuardMode = "warn"  # payment card numbers, by their check digit
    email: GuardMode = "off"


def merge_guard_modes(modes: GuardModes, setting: str | Mapping[str, str]) -> GuardModes:
    """``modes`` changed by ``configure(secret_guard=...)``.

    Raises:
        InvalidParameterError: A kind or a mode is unknown.

    >>> merge_guard_modes(GuardModes(), {"email": "warn"})
    GuardModes(keys='block', cards='warn', email='warn')
    """
    kinds = GuardModes.__slots__
    parts: Mapping[str, Any] = (
        setting if isinstance(setting, Mapping) else dict.fromkeys(kinds, setting)
    )
    check_names("secret_guard", parts, kinds)
    for mode in parts.values():
        one_of("secret_guard", mode, get_args(GuardMode))
    return replace(modes, **parts)


Store = Literal["texts", "metrics", "off"]
# From least to most strict.
_STORES: tuple[Store, ...] = get_args(Store)
_KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Privacy:
    """The parts of a run that are stored. Runs in memory are complete; keys are never stored.

    ``metrics`` stores the prompt's hash, tokens, cost and times, but no text of prompts, answers or
    errors; ``off`` stores nothing. Executions outside the sample are stored as ``metrics``, so that
    costs stay complete.
    """

    store: Store = "texts"
    redact: tuple[Kind, ...] = ()  # removed from stored texts
    sample: float = 1.0  # the share of executions, 0 to 1, whose texts are stored
    image_mb: float = 10.0  # the largest image or file that is stored; of others their hash

    @property
    def stores_attachments(self) -> bool:
        """Whether images and files are stored: personal data in them cannot be masked."""
        return self.store == "texts" and not self.redact

    def of(self, execution_id: str) -> Privacy:
        """The settings for one execution; its runs are all in the sample or all not.

        >>> Privacy(sample=0.0).of("0190c7e2-0000-7000-8000-000000000001").store
        'metrics'
        """
        if self.store != "texts" or self.sample >= 1:
            return self
        try:  # the random last bits of the id, as a number from 0 to 1
            share = int(execution_id.replace("-", "")[-8:], 16) / (1 << 32)
        except ValueError:  # an id of another form
            share = 0.0
        return self if share < self.sample else replace(self, store="metrics")


def merge_privacy(privacy: Privacy, setting: str | Mapping[str, Any]) -> Privacy:
    """``privacy`` changed by ``configure(privacy=...)``.

    Raises:
        InvalidParameterError: A name is unknown, or a value is not allowed.

    >>> merge_privacy(Privacy(), {"redact": ["email"]})
    Privacy(store='texts', redact=('email',), sample=1.0, image_mb=10.0)
    """
    parts = setting if isinstance(setting, Mapping) else {"store": setting}
    check_names("privacy", parts, tuple(_PRIVACY_VALUES))
    values: dict[str, Any] = {name: _PRIVACY_VALUES[name](value) for name, value in parts.items()}
    return replace(privacy, **values)


def tightest(one: Privacy, other: Privacy) -> Privacy:
    """The stricter value of each part.

    >>> tightest(Privacy("metrics"), Privacy(redact=("card",)))
    Privacy(store='metrics', redact=('card',), sample=1.0, image_mb=10.0)
    """
    return Privacy(
        store=max(one.store, other.store, key=_STORES.index),
        redact=tuple(kind for kind in _KINDS if kind in (*one.redact, *other.redact)),
        sample=min(one.sample, other.sample),
        image_mb=min(one.image_mb, other.image_mb),
    )


def _redact(value: object) -> tuple[Kind, ...]:
    kinds = [value] if isinstance(value, str) else value
    if not isinstance(kinds, Iterable) or any(kind not in _KINDS for kind in kinds):
        raise InvalidParameterError(
            f"redact takes a list of {', '.join(_KINDS)}; got {short_repr(value)}."
        )
    return tuple(kind for kind in _KINDS if kind in kinds)


_PRIVACY_VALUES: dict[str, Callable[[object], object]] = {
    "store": lambda value: one_of("privacy", value, _STORES),
    "redact": _redact,
    "sample": lambda value: float(number("sample", value, "0 to 1", lambda n: 0 <= n <= 1)),
    "image_mb": lambda value: float(number("image_mb", value, "0 or more", lambda n: n >= 0)),
}


@dataclass(frozen=True, slots=True)
class Rates:
    """US dollars per million tokens; output includes reasoning.

    A rate of the cache is None if it is the same as for other input.
    """

    input_usd_per_mtok: Decimal
    output_usd_per_mtok: Decimal
    cache_read_usd_per_mtok: Decimal | None = None
    cache_write_usd_per_mtok: Decimal | None = None


_RATE_NAMES = tuple(field.name for field in fields(Rates))
_REQUIRED_RATES = _RATE_NAMES[:2]
# A hundred dollars a token, far more than any model costs.
_MAX_RATE = Decimal(100_000_000)
_RATE = "US dollars per million tokens, 0 or more and below 100,000,000"

Setting = Rates | Mapping[str, Decimal | float | str] | None


def merge_prices(
    prices: Mapping[str, Rates], setting: Mapping[str, Setting], providers: Mapping[str, object]
) -> dict[str, Rates]:
    """``prices`` changed by ``configure(prices=...)``; ``providers`` has all providers by name.

    Raises:
        InvalidParameterError: A provider or field is unknown, or a value is not an amount.

    >>> setting = {"mine:*": {"input_usd_per_mtok": 0.1, "output_usd_per_mtok": "2"}}
    >>> merge_prices({}, setting, {"mine": ...})["mine:*"].input_usd_per_mtok
    Decimal('0.1')
    """
    if not isinstance(setting, Mapping):
        raise InvalidParameterError('prices takes {"provider:name": {"input_usd_per_mtok": ...}}.')
    merged = dict(prices)
    for model, rates in setting.items():
        _check_model(model, providers)
        if rates is None:
            merged.pop(model, None)
        else:
            merged[model] = _rates(model, rates)
    return merged


def rates_of(model: str, prices: Mapping[str, Rates]) -> Rates | None:
    """The rates set for a model: its own, or those of the longest matching ``start*``.

    >>> some, other = Rates(Decimal(1), Decimal(1)), Rates(Decimal(2), Decimal(2))
    >>> rates_of("mine:big-2", {"mine:*": some, "mine:big*": other}) is other
    True
    """
    if model in prices:
        return prices[model]
    matching = [key for key in prices if key.endswith("*") and model.startswith(key[:-1])]
    return prices[max(matching, key=len)] if matching else None


def _check_model(model: str, providers: Mapping[str, object]) -> None:
    provider, colon, name = model.partition(":") if isinstance(model, str) else ("", "", "")
    if not colon or not name:
        raise InvalidParameterError(
            f"{model!r} is not a full model name: write provider:name or provider:*."
        )
    if provider not in providers:
        hint = closest(provider, providers, otherwise="configure(endpoints=...) adds one.")
        raise InvalidParameterError(f"{model!r} has no known provider. {hint}")


def _rates(model: str, setting: Rates | Mapping[str, Decimal | float | str]) -> Rates:
    if isinstance(setting, Rates):  # values are not checked yet
        setting = {
            name: value
            for name, value in asdict(setting).items()
            if name in _REQUIRED_RATES or value is not None
        }
    if not isinstance(setting, Mapping) or not set(_REQUIRED_RATES) <= set(setting):
        raise InvalidParameterError(f"The price of {model} takes {' and '.join(_REQUIRED_RATES)}.")
    check_names("A price", setting, _RATE_NAMES)
    return Rates(
        **{name: usd(name, value, _RATE, below=_MAX_RATE) for name, value in setting.items()}
    )


@dataclass(frozen=True, slots=True)
class Retry:
    """How failed attempts are repeated."""

    attempts: int = 5  # including the first
    first_wait_s: float = 1.0  # longest wait before the second attempt; it doubles from there
    max_wait_s: float = 60.0  # if a provider asks for a longer wait, the call fails
    total_s: float = 180.0  # no attempt starts later than this after the first


def merge_retry(retry: Retry, setting: int | Mapping[str, float]) -> Retry:
    """``retry`` changed by ``configure(retry=...)``.

    Raises:
        InvalidParameterError: A name is unknown, there is less than one attempt, or a time is
            negative.

    >>> merge_retry(Retry(), 3).attempts, merge_retry(Retry(), {"max_wait_s": 5}).max_wait_s
    (3, 5.0)
    """
    parts = setting if isinstance(setting, Mapping) else {"attempts": setting}
    check_names("retry", parts, Retry.__slots__)
    values: dict[str, Any] = {}
    for name, value in parts.items():
        if name == "attempts":
            count = number("retry's attempts", value, "1 or more", lambda n: n >= 1 and n % 1 == 0)
            values[name] = int(count)
        else:
            values[name] = float(number(f"retry's {name}", value, "0 or more", lambda n: n >= 0))
    return replace(retry, **values)


@dataclass(frozen=True, slots=True)
class Webhook:
    """An address that alarms are posted to. The URL, which often holds a secret, is not shown."""

    url: str = field(repr=False)
    host: str


OnBudget = Webhook | Callable[[Any], object]


def webhook(name: str, value: object, *, otherwise: str = "") -> Webhook:
    """A webhook from its URL, or from ``{"url": ..., "allow_http": True}``.

    ``otherwise`` is what else the setting ``name`` takes, for the message.

    Raises:
        InvalidParameterError: It is not an https URL, and http is not allowed by name.

    >>> webhook("on_budget", "https://example.org/hook")
    Webhook(host='example.org')
    """
    parts = value if isinstance(value, Mapping) else {"url": value}
    check_names(name, parts, ("url", "allow_http"))
    url, schemes = parts.get("url"), ("https", "http") if parts.get("allow_http") else ("https",)
    try:
        found = urlsplit(url if isinstance(url, str) and url.isascii() else "")
        is_known = found.scheme in schemes and bool(found.hostname) and found.username is None
        is_known &= found.port != 0
    except ValueError:  # "https://[::1", a port that is no number
        is_known = False
    if not is_known or any(not char.isprintable() or char == " " for char in str(url)):
        raise InvalidParameterError(
            f"{name} takes {otherwise}an https:// URL without user and password, or "
            '{"url": "http://...", "allow_http": True} for one that is not encrypted.'
        )
    return Webhook(str(url), str(found.hostname))


def on_budget_setting(value: object) -> OnBudget:
    """The value of ``configure(on_budget=...)``: a function, or a webhook.

    Raises:
        InvalidParameterError: It is neither.
    """
    return value if callable(value) else webhook("on_budget", value, otherwise="a function or ")


Mode = Literal["live", "record", "reuse", "replay"]
ReuseFrom = Literal["me", "everyone"]
OpenAIApi = Literal["responses", "chat_completions"]
StopRepetition = Literal["local", "all", "off"]


@dataclass(frozen=True, slots=True)
class Settings:
    """What ``configure`` set; None if it is not set. See its arguments."""

    log: str | None = field(default=None, repr=False)  # it may have a password
    log_groups: Mapping[str, int] = field(default_factory=dict)  # by the log's URL
    model: str | None = None
    concurrency: int | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)
    retry: Retry = field(default_factory=Retry)
    endpoints: Mapping[str, EndpointRow] = field(default_factory=dict)
    prices: Mapping[str, Rates] = field(default_factory=dict)
    mode: Mode | None = None
    reuse_from: ReuseFrom = "me"
    recording: Path | None = None
    replay_timing: bool = False
    secret_guard: GuardModes = field(default_factory=GuardModes)
    confirm_above_usd: Decimal | None = Decimal(1)
    budget_max_tokens: int = 4096
    privacy: Privacy = field(default_factory=Privacy)
    on_budget: OnBudget | None = None
    openai_api: OpenAIApi | None = None
    progress: bool = True
    stop_repetition: StopRepetition = "local"
    max_value_chars: int | None = 100_000
    telemetry: Telemetry | None = None


def recording_setting(value: object) -> Path:
    """``configure(recording=...)``, checked: an absolute path.

    Raises:
        InvalidParameterError: It is no path of a YAML file.

    >>> recording_setting("/srv/answers.yaml").as_posix()
    '/srv/answers.yaml'
    """
    is_path = isinstance(value, (str, Path)) and bool(str(value).strip()) and "\0" not in str(value)
    if not is_path or Path(str(value)).suffix not in (".yaml", ".yml"):
        raise InvalidParameterError(
            "recording takes the path of a .yaml file, such as recordings/report.yaml; got "
            f"{short_repr(value)}."
        )
    try:
        return Path(str(value)).expanduser().absolute()
    except RuntimeError as error:  # no such user's home
        raise InvalidParameterError(f"recording is no path: {error}.") from None


def confirm_setting(setting: object) -> Decimal:
    """``configure(confirm_above_usd=...)``, checked.

    Raises:
        InvalidParameterError: It is not an amount.

    >>> confirm_setting(2)
    Decimal('2')
    """
    return usd("confirm_above_usd", setting, "US dollars, or None")


def record(
    action: str, target: str | None = None, detail: Mapping[str, object] | None = None
) -> None:
    """Write an audit entry; see :func:`llm_playground.runlog.record`."""
    # The run log is a package above this one and is imported on first use.
    import_module("llm_playground.runlog").record(action, target, detail)

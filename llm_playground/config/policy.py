"""The administrator's policy: a TOML file that ``LLM_PLAYGROUND_POLICY`` names.

Users may only tighten its rules. A file that cannot be read or has an unknown rule stops every
call, so that no rule is ignored silently. ::

    models = ["local:*", "openai:gpt-*"]
    endpoints = ["local", "openai", "https://llm.example.org/v1"]
    headers = ["anthropic-beta", "x-title"]
    log = "postgresql://logs.example.org/llm"
    privacy = { store = "metrics" }
    secret_guard = { cards = "block", email = "warn" }
    prices = { "openai:gpt-4o" = { input_usd_per_mtok = 2.5, output_usd_per_mtok = 10 } }
    budget_webhook = "https://hooks.example.org/budgets"
    budgets = [{ limit_usd = 50, period = "month" }, { limit_usd = 2, user = "ada" }]
"""

from __future__ import annotations

import math
import os
import re
import stat
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

from llm_playground import _lifecycle, _validation
from llm_playground._files import read_regular
from llm_playground.config import endpoint_table, options
from llm_playground.config.options import GuardMode, GuardModes, Privacy, Rates, Webhook
from llm_playground.errors import ConfigError, InvalidParameterError

_MODES = get_args(GuardMode)  # from least to most strict
_LEAST_STRICT = GuardModes(keys="off", cards="off", email="off")
_ALL_STORED = Privacy(image_mb=math.inf)
MAX_BYTES = 1_000_000


Period = Literal["day", "month", "total"]
Action = Literal["warn", "block"]
UnknownPrice = Decimal | Literal["warn", "block"]
# The columns of the log hold less than this.
_TOO_LARGE_USD = Decimal(10) ** 11


@dataclass(frozen=True, slots=True)
class BudgetRule:
    """A budget by the arguments of :func:`llm_playground.set_budget`."""

    limit_usd: Decimal
    period: Period = "month"
    model: str | None = None
    user: str | None = None
    tag: str | None = None
    action: Action = "block"
    unknown_price: UnknownPrice = "warn"


def budget_rule(arguments: Mapping[str, object]) -> BudgetRule:
    """A rule from arguments of ``set_budget``, without ``None`` for those that are not given.

    Raises:
        InvalidParameterError: A name is unknown, a value is invalid, or the limit is missing.

    >>> budget_rule({"limit_usd": "0.5", "user": "ada"}).period
    'month'
    """
    _validation.check_names("A budget", arguments, tuple(_BUDGET_READERS))
    if "limit_usd" not in arguments:
        raise InvalidParameterError("A budget takes limit_usd.")
    values = {name: _BUDGET_READERS[name](name, value) for name, value in arguments.items()}
    return BudgetRule(**values)


def _model_pattern(name: str, value: object) -> str:
    pattern = ":".join(part.strip() for part in _validation.text(name, value).split(":"))
    if set(pattern) & set("?[]"):  # of other kinds of patterns; no model has them in its name
        raise InvalidParameterError(
            f"{name} is {_validation.short_repr(value)}; it takes a name, where * matches any text."
        )
    if pattern in endpoint_table.BUILT_IN and pattern != "local":
        raise InvalidParameterError(
            f"{pattern!r} is a provider, not a model. Write {pattern}:* for all its models."
        )
    return pattern


def _unknown_price(name: str, value: object) -> UnknownPrice:
    if value == "warn" or value == "block":
        return value
    takes = "warn, block, or the US dollars to assume for each call"
    return _validation.usd(name, value, takes, below=_TOO_LARGE_USD)


_BUDGET_READERS: dict[str, Callable[[str, object], Any]] = {
    "limit_usd": lambda name, value: _validation.usd(name, value, below=_TOO_LARGE_USD),
    "period": lambda name, value: _validation.one_of(name, value, get_args(Period)),
    "model": _model_pattern,
    "user": _validation.text,
    "tag": _validation.text,
    "action": lambda name, value: _validation.one_of(name, value, get_args(Action)),
    "unknown_price": _unknown_price,
}


@dataclass(frozen=True, slots=True)
class Policy:
    """An administrator's rules; the default allows everything.

    Args:
        models: Patterns of allowed models: ``provider:name`` or a name alone, ``*`` for anything
            on one side of the colon. None allows all.
        endpoints: Providers that are allowed at their default URL, and URLs (with all paths below
            them) that are allowed for any provider. URLs are compared by scheme, host, port and
            path; one with a user name, a query, ``%`` or ``..`` is never allowed. None allows all.
        headers: Names of HTTP headers that calls and endpoints may set, ``*`` for anything: some
            gateways choose models and servers by headers. None allows all.
        log: The path or URL of the run log.
        privacy: The least strict privacy that is allowed.
        secret_guard: The least strict modes that are allowed.
        prices: Rates as for ``configure(prices=)``, over which they take precedence.
        budget_webhook: Where alarms of budgets are posted, besides what users set.
        budgets: Budgets that apply in addition to those of the log.
    """

    models: tuple[str, ...] | None = None
    endpoints: tuple[str, ...] | None = None
    headers: tuple[str, ...] | None = None
    log: str | None = None
    privacy: Privacy = _ALL_STORED
    secret_guard: GuardModes = _LEAST_STRICT
    prices: Mapping[str, Rates] = field(default_factory=dict)
    budget_webhook: Webhook | None = None
    budgets: tuple[BudgetRule, ...] = ()

    def check(self, model: str, base_url: str | None) -> None:
        """Check that a model is allowed at a base URL, None for the default one.

        Raises:
            ConfigError: The model or its base URL is not allowed.

        >>> Policy(models=("gpt-*",)).check("openai:gpt-4o", None)
        """
        provider, _, name = model.partition(":")
        if self.models is not None and not any(_matches(provider, name, p) for p in self.models):
            allowed = ", ".join(self.models) or "none"
            raise ConfigError(
                f"{model} is not allowed here. The administrator allows {allowed}.", model=model
            )
        if not self.allows_endpoint(provider, base_url):
            known = base_url is not None and _place(base_url) is not None
            where = f"{provider} at {base_url}" if known else provider
            where += " at this base URL" if base_url is not None and not known else ""
            allowed = ", ".join(self.endpoints or ()) or "none"
            raise ConfigError(
                f"{where} is not allowed here. The administrator allows {allowed}.", model=model
            )

    def check_headers(self, names: Iterable[str]) -> None:
        """Check that headers, with names in lower case, may be set.

        Raises:
            ConfigError: One must not.
        """
        allowed = None if self.headers is None else [each.lower() for each in self.headers]
        for name in names if allowed is not None else ():
            if not any(fnmatchcase(name, pattern) for pattern in allowed or ()):
                raise ConfigError(
                    f"The header {name} is not allowed here. "
                    f"The administrator allows {', '.join(allowed or ()) or 'none'}."
                )

    def allows_endpoint(self, provider: str, base_url: str | None) -> bool:
        """Whether a provider may be asked at a base URL, None for the default one.

        >>> policy = Policy(endpoints=("https://llm.example.org/v1",))
        >>> policy.allows_endpoint("openai", "https://LLM.example.org:443/v1/team")
        True
        >>> policy.allows_endpoint("openai", "https://llm.example.org@example.com/v1")
        False
        """
        if self.endpoints is None:
            return True
        if base_url is None:
            return provider in self.endpoints
        place = _place(base_url.replace("{model}", "model"))  # a name that is one segment
        allowed = (_place(each) for each in self.endpoints)
        return place is not None and any(each is not None and each.has(place) for each in allowed)

    def allows_a_model_of(self, provider: str) -> bool:
        """Whether the patterns allow any model of a provider."""
        patterns = ("*",) if self.models is None else self.models
        providers = ("local" if each == "local" else each.rpartition(":")[0] for each in patterns)
        return any(fnmatchcase(provider, each or "*") for each in providers)

    def merged_privacy(self, own: Privacy, setting: str | Mapping[str, Any]) -> Privacy:
        """The user's ``own`` privacy changed by ``configure(privacy=...)``.

        Raises:
            InvalidParameterError: The ``setting`` is invalid.
            ConfigError: It stores more than is allowed, or turns off a log that the policy sets.
        """
        chosen = options.merge_privacy(own, setting)
        strict, least = options.tightest(chosen, self.privacy), self.privacy
        named = set(setting) if isinstance(setting, Mapping) else {"store"}
        if any(getattr(strict, name) != getattr(chosen, name) for name in named - {"redact"}):
            files = f", images and files up to {least.image_mb:g} MB"
            raise ConfigError(
                f"The administrator's policy stores no more than {least.store}"
                f"{'' if least.sample >= 1 else f', of {least.sample:.0%}'}"
                f"{files if least.image_mb < math.inf else ''}."
            )
        if chosen.store == "off" and self.log is not None:
            raise ConfigError(
                "The administrator's policy requires a log, so privacy cannot be off."
            )
        return chosen

    def merged_guard(self, own: GuardModes, setting: str | Mapping[str, str]) -> GuardModes:
        """The user's ``own`` modes changed by ``configure(secret_guard=...)``.

        Raises:
            InvalidParameterError: The ``setting`` is invalid.
            ConfigError: A mode in it is less strict than is allowed.
        """
        chosen = options.merge_guard_modes(own, setting)
        strict = asdict(self.guard(chosen))
        for kind in setting if isinstance(setting, Mapping) else strict:
            if strict[kind] != getattr(chosen, kind):
                raise ConfigError(
                    f"The administrator's policy requires secret_guard {kind} at {strict[kind]}."
                )
        return chosen

    def guard(self, chosen: GuardModes) -> GuardModes:
        """The stricter of the user's and the administrator's mode for each kind."""
        least = asdict(self.secret_guard)
        strict = {
            kind: max(mode, least[kind], key=_MODES.index) for kind, mode in asdict(chosen).items()
        }
        return GuardModes(**strict)


_last: dict[Path, Policy] = {}
_lifecycle.register_state(globals(), "_last", dict)


def read_policy(path: Path, *, or_last: bool = False) -> Policy:
    """The policy in a file, which is read again after changes.

    ``or_last`` is for calls that were sent: if the file cannot be used any more, what it held last
    applies.

    Raises:
        ConfigError: The file cannot be read, everybody can write it, or it has an unknown or
            invalid rule.
    """
    try:
        found = path.stat()
        rules = _read(path, found.st_mode, (found.st_mtime_ns, found.st_size, found.st_ino))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, InvalidParameterError) as error:
        if or_last:
            return _last.get(path) or Policy()
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(
            f"The administrator's policy {path} cannot be used ({reason}). "
            "No calls are sent until it is corrected."
        ) from None
    _last[path] = rules
    return rules


@lru_cache(maxsize=4)
def _read(path: Path, mode: int, _version: tuple[int, int, int]) -> Policy:
    if os.name == "posix" and stat.S_ISREG(mode) and mode & stat.S_IWOTH:
        raise InvalidParameterError("every user of this machine can write it; run chmod o-w")
    rules = tomllib.loads(read_regular(path, MAX_BYTES).decode())
    _validation.check_names("A policy", rules, tuple(_READERS))
    return Policy(**{name: _READERS[name](name, value) for name, value in rules.items()})


def _matches(provider: str, name: str, pattern: str) -> bool:
    if pattern == "local":
        return provider == "local"
    of_provider, colon, of_name = pattern.partition(":")
    if not colon:
        return fnmatchcase(name, pattern)
    return fnmatchcase(provider, of_provider) and fnmatchcase(name, of_name)


# Without what HTTP clients and servers read in more than one way: user names, queries, escapes,
# backslashes, spaces and letters outside ASCII.
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(?P<port>\d{1,9}))?"
    r"(?P<path>(?:/[\w.~!$&'()*+,;=:-]+)*)/?",
    re.IGNORECASE | re.ASCII,
)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a base URL leads."""

    scheme: str
    host: str
    port: int
    path: tuple[str, ...]

    def has(self, other: _Place) -> bool:
        """Whether the other place is this one or below it."""
        below = _Place(other.scheme, other.host, other.port, other.path[: len(self.path)])
        return below == self


def _place(url: str) -> _Place | None:
    """The place of a URL; None if a client could read it as another one."""
    match = _URL.fullmatch(url)
    path = tuple(match["path"].split("/")[1:]) if match else ()
    if match is None or any(set(segment) == {"."} for segment in path):
        return None
    scheme = match["scheme"].lower()
    port = int(match["port"] or {"http": 80, "https": 443}[scheme])
    return _Place(scheme, match["host"].lower().removesuffix("."), port, path)


def _endpoints(name: str, value: object) -> tuple[str, ...]:
    texts = _texts(name, value)
    odd = next((each for each in texts if "/" in each and _place(each) is None), None)
    if odd is not None:
        raise InvalidParameterError(
            f"{name} has {_validation.short_repr(odd)}; write a URL as https://host/path."
        )
    return texts


_ITEMS = {
    "models": 'models, such as ["local", "openai:gpt-*"]',
    "endpoints": 'base URLs, such as ["http://10.0.0.5:8000/v1"]',
    "headers": 'names, such as ["anthropic-beta"]',
}


def _texts(name: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InvalidParameterError(f"{name} takes a list of {_ITEMS[name]}.")
    return tuple(value)


def _prices(_name: str, value: Any) -> Mapping[str, Rates]:  # noqa: ANN401 - checked by merge_prices
    models = value if isinstance(value, dict) else {}
    return options.merge_prices({}, value, {model.partition(":")[0]: ... for model in models})


def _budgets(name: str, value: object) -> tuple[BudgetRule, ...]:
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise InvalidParameterError(f"{name} takes a list of tables, each with limit_usd.")
    return tuple(map(budget_rule, value))


_READERS: dict[str, Callable[[str, Any], Any]] = {
    "models": _texts,
    "endpoints": _endpoints,
    "headers": _texts,
    "log": _validation.text,
    "privacy": lambda _name, value: options.merge_privacy(_ALL_STORED, value),
    "secret_guard": lambda _name, value: options.merge_guard_modes(_LEAST_STRICT, value),
    "prices": _prices,
    "budget_webhook": options.webhook,
    "budgets": _budgets,
}

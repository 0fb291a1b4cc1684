"""The administrator's policy: a TOML file that ``LLM_PLAYGROUND_POLICY`` names.

Users may only tighten its rules. A file that cannot be read or has an unknown rule stops every
call, so that no rule is ignored silently. ::

    models = ["local:*", "openai:gpt-*"]
    endpoints = ["local", "openai", "https://llm.example.org/v1"]
    log = "postgresql://logs.example.org/llm"
    privacy = { store = "metrics" }
    secret_guard = { cards = "block", email = "warn" }
    prices = { "openai:gpt-4o" = { input_usd_per_mtok = 2.5, output_usd_per_mtok = 10 } }
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args

from llm_playground import _validation
from llm_playground._reading import read_regular
from llm_playground.config import options
from llm_playground.config.options import GuardModes, Mode, Privacy, Rates
from llm_playground.errors import ConfigError, InvalidParameterError

_MODES = get_args(Mode)  # from least to most strict
_LEAST_STRICT = GuardModes(keys="off", cards="off", email="off")
_ALL_STORED = Privacy(image_mb=math.inf)
MAX_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Policy:
    """An administrator's rules; the default allows everything.

    Args:
        models: Patterns of allowed models: ``provider:name`` or a name alone, ``*`` for anything.
            None allows all.
        endpoints: Providers that are allowed at their default URL, and URLs (with all paths below
            them) that are allowed for any provider. None allows all.
        log: The path or URL of the run log.
        privacy: The least strict privacy that is allowed.
        secret_guard: The least strict modes that are allowed.
        prices: Rates as for ``configure(prices=)``, over which they take precedence.
    """

    models: tuple[str, ...] | None = None
    endpoints: tuple[str, ...] | None = None
    log: str | None = None
    privacy: Privacy = _ALL_STORED
    secret_guard: GuardModes = _LEAST_STRICT
    prices: Mapping[str, Rates] = field(default_factory=dict)

    def check(self, model: str, base_url: str | None) -> None:
        """Check that a model is allowed at a base URL, None for the default one.

        Raises:
            ConfigError: The model or its base URL is not allowed.

        >>> Policy(models=("gpt-*",)).check("openai:gpt-4o", None)
        """
        provider, _, name = model.partition(":")
        if self.models is not None and not any(_matches(model, name, p) for p in self.models):
            allowed = ", ".join(self.models) or "none"
            raise ConfigError(
                f"{model} is not allowed here. The administrator allows {allowed}.", model=model
            )
        if self.endpoints is not None and not self._allows(provider, base_url):
            where = provider if base_url is None else f"{provider} at {base_url}"
            allowed = ", ".join(self.endpoints) or "none"
            raise ConfigError(
                f"{where} is not allowed here. The administrator allows {allowed}.", model=model
            )

    def _allows(self, provider: str, base_url: str | None) -> bool:
        allowed = self.endpoints or ()
        if base_url is None:
            return provider in allowed
        url = base_url.rstrip("/") + "/"
        return any(url.startswith(each.rstrip("/") + "/") for each in allowed)

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
            raise ConfigError(
                f"The administrator's policy stores no more than {least.store}"
                f"{'' if least.sample >= 1 else f', of {least.sample:.0%}'}"
                f"{f', images up to {least.image_mb:g} MB' if least.image_mb < math.inf else ''}."
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


def read_policy(path: Path) -> Policy:
    """The policy in a file, which is read again after changes.

    Raises:
        ConfigError: The file cannot be read, or has an unknown or invalid rule.
    """
    try:
        stat = path.stat()
        return _read(path, (stat.st_mtime_ns, stat.st_size, stat.st_ino))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, InvalidParameterError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(
            f"The administrator's policy {path} cannot be used ({reason}). "
            "No calls are sent until it is corrected."
        ) from None


@lru_cache(maxsize=4)
def _read(path: Path, _version: tuple[int, int, int]) -> Policy:
    rules = tomllib.loads(read_regular(path, MAX_BYTES).decode())
    _validation.check_names("A policy", rules, tuple(_READERS))
    return Policy(**{name: _READERS[name](name, value) for name, value in rules.items()})


def _matches(model: str, name: str, pattern: str) -> bool:
    if pattern == "local":
        return model.startswith("local:")
    return fnmatchcase(model if ":" in pattern else name, pattern)


def _texts(name: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InvalidParameterError(f"{name} takes a list of texts.")
    return tuple(value)


def _prices(_name: str, value: Any) -> Mapping[str, Rates]:  # noqa: ANN401 - checked by merge_prices
    models = value if isinstance(value, dict) else {}
    return options.merge_prices({}, value, {model.partition(":")[0]: ... for model in models})


_READERS: dict[str, Callable[[str, Any], Any]] = {
    "models": _texts,
    "endpoints": _texts,
    "log": _validation.text,
    "privacy": lambda _name, value: options.merge_privacy(_ALL_STORED, value),
    "secret_guard": lambda _name, value: options.merge_guard_modes(_LEAST_STRICT, value),
    "prices": _prices,
}

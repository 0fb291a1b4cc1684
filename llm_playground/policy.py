"""What an administrator allows: a TOML file that ``LLM_PLAYGROUND_POLICY`` names.

Users may only tighten what it says. A file that cannot be read, or that says something unknown,
stops every call: a rule must never be passed over in silence. ::

    models = ["local:*", "openai:gpt-*"]
    endpoints = ["local", "openai", "https://llm.example.org/v1"]
    log = "postgresql://logs.example.org/llm"
    privacy = { store = "metrics" }
    secret_guard = { cards = "block", email = "warn" }
    prices = { "openai:gpt-4o" = { input_usd_per_mtok = 2.5, output_usd_per_mtok = 10 } }
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args

from llm_playground import guard_modes, privacy
from llm_playground.endpoints import Rates, rates
from llm_playground.errors import ConfigError, InvalidParameterError
from llm_playground.guard_modes import GuardModes, Mode
from llm_playground.privacy import Privacy

_MODES = get_args(Mode)  # from the loosest to the tightest
_LOOSEST = GuardModes(keys="off", cards="off", email="off")
_ALL_STORED = Privacy()


@dataclass(frozen=True, slots=True)
class Policy:
    """An administrator's rules; the default rules out nothing.

    Args:
        models: Patterns of models that may be asked: ``provider:name`` or a bare name, ``*`` for
            anything. None allows all.
        endpoints: Providers that may be asked at their usual address, and addresses (with all
            below them) that anyone may be asked at. None allows all.
        log: Where runs are logged.
        privacy: The loosest that is allowed.
        secret_guard: The loosest that is allowed.
        prices: As ``configure(prices=)`` takes them; they win over it.
    """

    models: tuple[str, ...] | None = None
    endpoints: tuple[str, ...] | None = None
    log: str | None = None
    privacy: Privacy = _ALL_STORED
    secret_guard: GuardModes = _LOOSEST
    prices: Mapping[str, Rates] = field(default_factory=dict)

    def check(self, model: str, base_url: str | None) -> None:
        """Let a model pass that may be asked at an address, None for its usual one.

        Raises:
            ConfigError: It may not.

        >>> Policy(models=("gpt-*",)).check("openai:gpt-4o", None)
        """
        provider, _, name = model.partition(":")
        if self.models is not None and not any(_fits(model, name, p) for p in self.models):
            allowed = ", ".join(self.models) or "none"
            raise ConfigError(
                f"{model} may not be used here. The administrator allows {allowed}.", model=model
            )
        if self.endpoints is not None and not self._allows(provider, base_url):
            where = provider if base_url is None else f"{provider} at {base_url}"
            allowed = ", ".join(self.endpoints) or "none"
            raise ConfigError(
                f"{where} may not be used here. The administrator allows {allowed}.", model=model
            )

    def _allows(self, provider: str, base_url: str | None) -> bool:
        places = self.endpoints or ()
        if base_url is None:
            return provider in places
        address = base_url.rstrip("/") + "/"
        return any(address.startswith(place.rstrip("/") + "/") for place in places)

    def allowing_privacy(self, chosen: Privacy, said: str | Mapping[str, Any]) -> Privacy:
        """What a user chose to store, where that is allowed.

        Raises:
            ConfigError: What was ``said`` stores more than is allowed, or turns off a log that is
                prescribed.
        """
        strict, least = privacy.tightest(chosen, self.privacy), self.privacy
        named = set(said) if isinstance(said, Mapping) else {"store"}
        if any(getattr(strict, name) != getattr(chosen, name) for name in named - {"redact"}):
            raise ConfigError(
                f"The administrator's policy stores no more than {least.store}"
                f"{'' if least.sample >= 1 else f', of {least.sample:.0%}'}."
            )
        if chosen.store == "off" and self.log is not None:
            raise ConfigError("The administrator's policy keeps a log: privacy cannot be off.")
        return chosen

    def allowing_guard(self, chosen: GuardModes, said: str | Mapping[str, str]) -> GuardModes:
        """What a user chose for the secret guard, where that is allowed.

        Raises:
            ConfigError: A kind that was ``said`` is looser than is allowed.
        """
        strict = asdict(self.guard(chosen))
        for kind in said if isinstance(said, Mapping) else strict:
            if strict[kind] != getattr(chosen, kind):
                raise ConfigError(
                    f"The administrator's policy wants secret_guard {kind} at {strict[kind]}."
                )
        return chosen

    def check_own_log(self) -> None:
        """Let a user set a log where none is prescribed.

        Raises:
            ConfigError: One is.
        """
        if self.log is not None:
            raise ConfigError("The run log is set by the administrator's policy.")

    def guard(self, chosen: GuardModes) -> GuardModes:
        """The stricter of what a user chose and what the administrator asks for, kind by kind."""
        least = asdict(self.secret_guard)
        strict = {
            kind: max(mode, least[kind], key=_MODES.index) for kind, mode in asdict(chosen).items()
        }
        return GuardModes(**strict)


def read(path: Path) -> Policy:
    """The policy in a file; read again when it changes.

    Raises:
        ConfigError: It cannot be read, or says something that is not known.
    """
    try:
        seen = path.stat()
        return _read(path, (seen.st_mtime_ns, seen.st_size, seen.st_ino))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, InvalidParameterError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise ConfigError(
            f"The administrator's policy {path} cannot be used ({why}). "
            "Nothing is sent until it is mended."
        ) from None


@lru_cache(maxsize=4)
def _read(path: Path, _seen: tuple[int, int, int]) -> Policy:
    said = tomllib.loads(path.read_text("utf-8"))
    unknown = next((name for name in said if name not in _READERS), None)
    if unknown is not None:
        raise InvalidParameterError(f"{unknown!r} is not known; there are {', '.join(_READERS)}")
    return Policy(**{name: _READERS[name](name, value) for name, value in said.items()})


def _fits(model: str, name: str, pattern: str) -> bool:
    if pattern == "local":
        return model.startswith("local:")
    return fnmatchcase(model if ":" in pattern else name, pattern)


def _texts(name: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InvalidParameterError(f"{name} takes a list of texts")
    return tuple(value)


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InvalidParameterError(f"{name} takes text")
    return value.strip()


def _prices(_name: str, value: Any) -> Mapping[str, Rates]:  # noqa: ANN401 - checked there
    named = value if isinstance(value, dict) else {}
    return rates.changed({}, value, {model.partition(":")[0]: ... for model in named})


_READERS: dict[str, Callable[[str, Any], Any]] = {
    "models": _texts,
    "endpoints": _texts,
    "log": _text,
    "privacy": lambda _name, value: privacy.changed(_ALL_STORED, value),
    "secret_guard": lambda _name, value: guard_modes.changed(_LOOSEST, value),
    "prices": _prices,
}

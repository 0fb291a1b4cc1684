"""What may be asked of which provider: ranges, presets, and how a model's name is resolved."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

from llm_playground.errors import InvalidParameterError, UnknownModelError
from llm_playground.types import Parameters

LOCAL_MODEL = "local:smollm2-135m-instruct"
MAX_ITERATIONS = 1_000

PRESETS: dict[str, Parameters] = {
    "precise": Parameters(temperature=0.2),
    "balanced": Parameters(temperature=0.7),
    "creative": Parameters(temperature=1.0),
}

# A bare name is resolved by how it starts.
PREFIXES: dict[str, str] = {
    "gpt-": "openai",
    "chatgpt-": "openai",
    "o1": "openai",
    "o3": "openai",
    "o4": "openai",
    "claude-": "anthropic",
    "gemini-": "gemini",
}
PROVIDERS = ("openai", "anthropic", "gemini", "local")


@dataclass(frozen=True, slots=True)
class Range:
    """The values a parameter may take, bounds included; ``top`` None is no upper bound."""

    bottom: float
    top: float | None
    integer: bool = False

    def __str__(self) -> str:
        kind = "a whole number" if self.integer else "a number"
        if self.top is None:
            return f"{kind} of at least {self.bottom:g}"
        return f"{kind} from {self.bottom:g} to {self.top:g}"


_COMMON: dict[str, Range] = {
    "temperature": Range(0, 2),
    "top_p": Range(0, 1),
    "top_k": Range(1, None, integer=True),
    "max_tokens": Range(1, None, integer=True),
    "seed": Range(-(2**63), 2**63 - 1, integer=True),
    "presence_penalty": Range(-2, 2),
    "frequency_penalty": Range(-2, 2),
}
_NARROWER: dict[str, dict[str, Range]] = {"anthropic": {"temperature": Range(0, 1)}}
# Known parameters that a provider has no place for: left out, and said on the run.
_UNSUPPORTED: dict[str, frozenset[str]] = {
    "openai": frozenset({"top_k"}),
    "anthropic": frozenset({"seed", "presence_penalty", "frequency_penalty"}),
}
# Which values a parameter that is no number takes, in code and in words.
_KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "stop": (lambda value: isinstance(value, str) or _are_texts(value), "text or a list of texts"),
    "reasoning_effort": (lambda value: isinstance(value, str), 'a word such as "low"'),
    "extra": (lambda value: isinstance(value, Mapping), "a dictionary"),
}
_NAMES = tuple(field.name for field in fields(Parameters))


def ranges(provider: str) -> dict[str, Range]:
    """The numeric parameters' ranges at one provider.

    >>> str(ranges("anthropic")["temperature"])
    'a number from 0 to 1'
    """
    return _COMMON | _NARROWER.get(provider, {})


def resolve_model(name: str, known: Sequence[str] = ()) -> str:
    """``provider:name`` for what a person typed.

    Args:
        name: ``"local"``, a bare name such as ``"gpt-6"``, or ``"provider:anything"``.
        known: Full names to suggest from when this one cannot be resolved.

    Raises:
        UnknownModelError: Unknown prefix, or a bare name that none resolves; with close matches.

    >>> resolve_model("local"), resolve_model("claude-x")
    ('local:smollm2-135m-instruct', 'anthropic:claude-x')
    """
    name = name.strip() if isinstance(name, str) else ""
    provider, colon, model = name.partition(":")
    if provider == "local" and not model:
        return LOCAL_MODEL
    if colon and provider in PROVIDERS and model:
        return name
    if not colon:
        for prefix, owner in PREFIXES.items():
            if name.startswith(prefix):
                return f"{owner}:{name}"
    raise UnknownModelError(_unknown_model(name, known))


def _unknown_model(name: str, known: Sequence[str]) -> str:
    bare = {full.partition(":")[2]: full for full in known}
    close = difflib.get_close_matches(name.rpartition(":")[2], bare, n=3, cutoff=0.4)
    hint = (
        f"Closest: {', '.join(bare[match] for match in close)}."
        if close
        else f"Write it as provider:name with one of {', '.join(PROVIDERS)}."
    )
    return f"No provider is known for the model {name!r}. {hint} %llm models lists all."


def preset(name: str) -> Parameters:
    """The parameters a preset sets.

    Raises:
        InvalidParameterError: No preset has this name.

    >>> preset("precise").as_dict()
    {'temperature': 0.2}
    """
    if not isinstance(name, str) or name not in PRESETS:
        raise InvalidParameterError(
            f"No preset is called {name!r}. There are {', '.join(PRESETS)}."
        )
    return PRESETS[name]


def parameters_from(values: Mapping[str, Any], preset_name: str | None = None) -> Parameters:
    """Parameters from a preset and what was said beside it; what was said wins.

    Raises:
        InvalidParameterError: A name is no parameter (the message gives the closest), or a value
            that is no number is of the wrong kind.

    >>> parameters_from({"top_p": 0.5}, "precise").as_dict()
    {'temperature': 0.2, 'top_p': 0.5}
    """
    for name in values:
        if name not in _NAMES:
            close = difflib.get_close_matches(name, _NAMES, n=1)
            hint = f"Did you mean {close[0]}?" if close else f"There are {', '.join(_NAMES)}."
            raise InvalidParameterError(f"{name!r} is not a parameter. {hint}")
    base = preset(preset_name).as_dict() if preset_name else {}
    said = {name: _as_sent(name, value) for name, value in values.items() if value is not None}
    return Parameters(**(base | said))


def _as_sent(name: str, value: Any) -> Any:  # noqa: ANN401 - a parameter is of one of five types
    if name in _KINDS:
        fits, words = _KINDS[name]
        if not fits(value):
            raise InvalidParameterError(f"{name} is {value!r}; it takes {words}.")
    if name == "stop":
        return (value,) if isinstance(value, str) else tuple(value)
    if name not in _COMMON:
        return value
    number = _plain_number(value)
    if isinstance(number, float) and number.is_integer() and _COMMON[name].integer:
        return int(number)  # a slider's 5.0, which providers refuse
    return number


def _plain_number(value: Any) -> Any:  # noqa: ANN401 - what is no number stays what it is
    """Numbers of numpy, pandas and decimal as Python's own, which can be sent."""
    if isinstance(value, bool):
        return value
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, (Real, Decimal)) else value


def _are_texts(value: object) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value)


def check_parameters(provider: str, parameters: Parameters) -> None:
    """Refuse what the provider would refuse, before anything is sent.

    Raises:
        InvalidParameterError: A value is of the wrong kind or out of range.
    """
    for name, allowed in ranges(provider).items():
        value = getattr(parameters, name)
        if value is not None and not _fits(value, allowed):
            raise InvalidParameterError(
                f"{name} is {value!r}; {provider} takes {allowed}.", provider=provider
            )


def without_unsupported(
    provider: str, parameters: Parameters
) -> tuple[Parameters, tuple[str, ...]]:
    """What can be sent to a provider, and the names of what was set and cannot.

    >>> without_unsupported("anthropic", Parameters(seed=1, top_p=0.5))[1]
    ('seed',)
    """
    unsupported = _UNSUPPORTED.get(provider, frozenset())
    dropped = tuple(name for name in parameters.as_dict() if name in unsupported)
    unset: dict[str, Any] = dict.fromkeys(dropped)
    return replace(parameters, **unset), dropped


def check_iterations(iterations: int) -> int:
    """``iterations`` when it is a whole number from 1 to 1,000.

    Raises:
        InvalidParameterError: It is not.
    """
    iterations = _plain_number(iterations)
    if not _fits(iterations, Range(1, MAX_ITERATIONS, integer=True)):
        raise InvalidParameterError(
            f"iterations is {iterations!r}; it takes a whole number from 1 to {MAX_ITERATIONS:,}."
        )
    return int(iterations)


def _fits(value: object, allowed: Range) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return False
    if allowed.integer and not float(value).is_integer():
        return False
    return value >= allowed.bottom and (allowed.top is None or value <= allowed.top)

"""Sampling settings as a person gives them: presets, names and kinds, made into Parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

from llm_playground._signatures import closest
from llm_playground.errors import InvalidParameterError
from llm_playground.types import DEEPEST, Parameters, nested_too_deeply

MAX_ITERATIONS = 1_000
PRESETS: dict[str, Parameters] = {
    "precise": Parameters(temperature=0.2),
    "balanced": Parameters(temperature=0.7),
    "creative": Parameters(temperature=1.0),
}
# Which values a parameter that is no number takes, in code and in words.
_KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "stop": (lambda value: isinstance(value, str) or _are_texts(value), "text or a list of texts"),
    "reasoning_effort": (lambda value: isinstance(value, str), 'a word such as "low"'),
    "extra": (lambda value: isinstance(value, Mapping), "a dictionary"),
}
# What other verbs take, and people look for here.
_ELSEWHERE: dict[str, str] = {
    "n": "For several answers use lp.compare(..., n=3).",
    "iterations": "For several answers use lp.compare(..., n=3).",
    "models": "For several models use lp.compare(...).",
    "timeout": "Set it with lp.configure(timeout_s=...).",
    "timeout_s": "Set it with lp.configure(timeout_s=...).",
    "retry": "Set it with lp.configure(retry=...).",
    "retries": "Set it with lp.configure(retry=...).",
    "stream": "For the answer as it comes use lp.stream(...).",
}
_WHOLE = frozenset({"top_k", "max_tokens", "seed", "logprobs"})
_NAMES = tuple(field.name for field in fields(Parameters))


def preset(name: str) -> Parameters:
    """The parameters a preset sets: one of the three, or one that is saved in the run log.

    Raises:
        InvalidParameterError: No preset has this name.
        RunLogError: It is none of the three, and the log cannot be read.

    >>> preset("precise").as_dict()
    {'temperature': 0.2}
    """
    if isinstance(name, str) and name in PRESETS:
        return PRESETS[name]
    from llm_playground import saved_presets  # the run log: only for what is none of the three

    return saved_presets.find(name).parameters


def parameters_from(values: Mapping[str, Any], preset_name: str | None = None) -> Parameters:
    """Parameters from a preset and what was said beside it; what was said wins.

    Raises:
        InvalidParameterError: A name is no parameter (the message gives the closest), or a value
            that is no number is of the wrong kind.

    >>> parameters_from({"top_p": 0.5}, "precise").as_dict()
    {'temperature': 0.2, 'top_p': 0.5}
    """
    _check_names(values)
    base = preset(preset_name).as_dict() if preset_name else {}
    said = {name: _as_sent(name, value) for name, value in values.items() if value is not None}
    return Parameters(**(base | said))


def check_names(given: Iterable[str], verb: Callable[..., object]) -> None:
    """Refuse what is neither an argument of a verb nor a parameter.

    Raises:
        InvalidParameterError: The message gives the closest of both, or whose argument it is.

    >>> def ask(prompt, *, images=None, **parameters): ...
    >>> check_names(["image"], ask)
    Traceback (most recent call last):
    llm_playground.errors.InvalidParameterError: 'image' is not a parameter. Did you mean images?
    """
    names = list(given)
    if not all(name in _NAMES for name in names):  # reading the signature costs more than a look
        arguments = inspect.signature(verb).parameters.values()
        _check_names(names, [one.name for one in arguments if one.kind is not one.VAR_KEYWORD])


def _check_names(given: Iterable[str], beside: Sequence[str] = ()) -> None:
    unknown = next((name for name in given if name not in _NAMES), None)
    if unknown is not None:
        hint = _ELSEWHERE.get(unknown) or closest(unknown, _NAMES, beside)
        raise InvalidParameterError(f"{unknown!r} is not a parameter. {hint}")


def _as_sent(name: str, value: Any) -> Any:  # noqa: ANN401 - a parameter is of one of five types
    if name in _KINDS:
        fits, words = _KINDS[name]
        if not fits(value):
            raise InvalidParameterError(f"{name} is {value!r}; it takes {words}.")
    if name == "extra" and nested_too_deeply(value):
        raise InvalidParameterError(f"extra is nested more than {DEEPEST} deep; that is not sent.")
    if name == "stop":
        return (value,) if isinstance(value, str) else tuple(value)
    number = _plain_number(value)
    if isinstance(number, float) and number.is_integer() and name in _WHOLE:
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


def iterations_from(n: int, parameters: dict[str, Any]) -> int:
    """``n``, or what ``parameters`` call ``iterations``, which is then taken out of them.

    Raises:
        InvalidParameterError: It is no whole number from 1 to 1,000; named as it was given.
    """
    name = "iterations" if "iterations" in parameters else "n"
    return check_iterations(parameters.pop("iterations", n), name)


def check_iterations(iterations: int, name: str = "iterations") -> int:
    """``iterations`` when it is a whole number from 1 to 1,000.

    Raises:
        InvalidParameterError: It is not.
    """
    iterations = _plain_number(iterations)
    whole = isinstance(iterations, (int, float)) and not isinstance(iterations, bool)
    if not whole or iterations % 1 or not 1 <= iterations <= MAX_ITERATIONS:
        raise InvalidParameterError(
            f"{name} is {iterations!r}; it takes a whole number from 1 to {MAX_ITERATIONS:,}."
        )
    return int(iterations)

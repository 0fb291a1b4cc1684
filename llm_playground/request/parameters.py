"""Sampling parameters from keyword arguments and presets, built in and saved.

Saved presets are shared by all users of a run log. The latest row for a name wins. Nothing is
deleted: a removed preset is a newer row without parameters.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from llm_playground import _validation, http_headers, provenance
from llm_playground._validation import (
    DEEPEST,
    checks_arguments,
    closest,
    nested_too_deeply,
    repr_of,
)
from llm_playground.errors import InvalidParameterError
from llm_playground.redaction import redact
from llm_playground.request import secret_guard
from llm_playground.runlog import open_log
from llm_playground.runlog.store import Session
from llm_playground.types import Parameters

if TYPE_CHECKING:
    import pandas as pd


MAX_ITERATIONS = 1_000
PRESETS: dict[str, Parameters] = {
    "precise": Parameters(temperature=0.2),
    "balanced": Parameters(temperature=0.7),
    "creative": Parameters(temperature=1.0),
}
# Non-numeric parameters: a check of the value and a description of valid values.
_KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "stop": (
        lambda value: (
            isinstance(value, str)
            or (isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value))
        ),
        "text or a list of texts",
    ),
    "reasoning_effort": (lambda value: isinstance(value, str), 'a word such as "low"'),
    "extra": (lambda value: isinstance(value, Mapping), "a dictionary"),
    "headers": (lambda value: isinstance(value, Mapping), 'a dictionary, {"name": "value"}'),
}
# Hints for names that are not parameters of one call.
_ELSEWHERE: dict[str, str] = {
    "n": "For several answers use lp.compare(..., n=3).",
    "iterations": "For several answers use lp.compare(..., n=3).",
    "models": "For several models use lp.compare(...).",
    "timeout": "Set it with lp.configure(timeout_s=...).",
    "timeout_s": "Set it with lp.configure(timeout_s=...).",
    "retry": "Set it with lp.configure(retry=...).",
    "retries": "Set it with lp.configure(retry=...).",
    "service_tier": 'Write extra={"service_tier": ...}.',
    "stream": "For the answer as it comes use lp.stream(...).",
}
_WHOLE = frozenset({"top_k", "max_tokens", "seed", "logprobs"})
_NAMES = tuple(field.name for field in fields(Parameters))
# The parameters as arguments of ``ask`` and the others; ``headers`` is an argument of its own.
ARGUMENTS = tuple(name for name in _NAMES if name != "headers")


def preset(name: str) -> Parameters:
    """The parameters of a built-in preset, or of one saved in the run log.

    Raises:
        InvalidParameterError: No preset has this name.
        RunLogError: The preset is not built in, and the log cannot be read.

    >>> preset("precise").as_dict()
    {'temperature': 0.2}
    """
    if isinstance(name, str) and name in PRESETS:
        return PRESETS[name]
    return find(name).parameters


def parameters_from(values: Mapping[str, Any], preset_name: str | None = None) -> Parameters:
    """Parameters from values and a preset; values take precedence.

    Raises:
        InvalidParameterError: A name is unknown (the message suggests one), or a value that is not
            a number has the wrong type.

    >>> parameters_from({"top_p": 0.5}, "precise").as_dict()
    {'temperature': 0.2, 'top_p': 0.5}
    """
    _check_names(values)
    wanted = "" if preset_name is None else preset_name
    base = {} if isinstance(wanted, str) and not wanted else preset(wanted).as_dict()
    own = {name: _as_sent(name, value) for name, value in values.items() if value is not None}
    return Parameters(**(base | own))


def unknown_name(name: str, arguments: Sequence[str] = ()) -> str:
    """The message about a name that is no parameter, nor one of the ``arguments`` of a function.

    >>> unknown_name("image", ["images"]), unknown_name("temprature")[-25:]
    ("'image' is not a parameter. Did you mean images?", 'Did you mean temperature?')
    """
    hint = _ELSEWHERE.get(name) or closest(name, _NAMES, arguments)
    return f"{name!r} is not a parameter. {hint}"


def set_parameters(arguments: dict[str, Any]) -> dict[str, Any]:
    """The parameters that are set, removed from the arguments of a function.

    >>> arguments = {"prompt": "Hi", "temperature": 0, "top_p": None}
    >>> set_parameters(arguments), arguments
    ({'temperature': 0}, {'prompt': 'Hi'})
    """
    given = {name: arguments.pop(name) for name in ARGUMENTS if name in arguments}
    return {name: value for name, value in given.items() if value is not None}


def _check_names(names: Iterable[str]) -> None:
    unknown = next((name for name in names if name not in _NAMES), None)
    if unknown is not None:
        raise InvalidParameterError(unknown_name(unknown))


def _as_sent(name: str, value: Any) -> Any:  # noqa: ANN401 - a parameter is of one of five types
    if name in _KINDS:
        is_valid, expected = _KINDS[name]
        if not is_valid(value):
            raise InvalidParameterError(f"{name} is {repr_of(value)}; it takes {expected}.")
    if name == "extra":
        return _as_json(value)
    if name == "headers":
        return http_headers.of_call(value)
    if name == "stop":
        return (value,) if isinstance(value, str) else tuple(value)
    number = _plain_number(value)
    if isinstance(number, float) and number.is_integer() and name in _WHOLE:
        return int(number)  # a slider's 5.0, which providers reject
    return number


def _as_json(extra: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of ``extra`` as JSON will carry it, which no later change of the original reaches."""
    if nested_too_deeply(extra):
        raise InvalidParameterError(f"extra is nested more than {DEEPEST} levels deep.")
    copied: dict[str, Any] = {}
    for name, value in extra.items():
        try:
            copied |= json.loads(json.dumps({name: value}, allow_nan=False))
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidParameterError(
                f"extra[{name!r}] cannot be sent as JSON: {_validation.shorten(str(error), 120)}."
            ) from None
    return copied


def _plain_number(value: Any) -> Any:  # noqa: ANN401 - other values are returned unchanged
    """Numbers of numpy, pandas and decimal as int or float, which JSON can encode."""
    if isinstance(value, bool):
        return value
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, (Real, Decimal)) else value


def iterations_from(n: int, iterations: int | None) -> int:
    """``n``, or ``iterations`` if it is given, as a checked number.

    Raises:
        InvalidParameterError: It is not a whole number from 1 to 1,000.
    """
    return check_iterations(n, "n") if iterations is None else check_iterations(iterations)


def check_iterations(iterations: int, name: str = "iterations") -> int:
    """``iterations`` as an int.

    Raises:
        InvalidParameterError: It is not a whole number from 1 to 1,000.
    """
    iterations = _plain_number(iterations)
    whole = isinstance(iterations, (int, float)) and not isinstance(iterations, bool)
    if not whole or iterations % 1 or not 1 <= iterations <= MAX_ITERATIONS:
        raise InvalidParameterError(
            f"{name} is {repr_of(iterations)}; "
            f"it takes a whole number from 1 to {MAX_ITERATIONS:,}."
        )
    return int(iterations)


_LONGEST_NAME = 40
_NEWEST = "SELECT max(created_at) FROM presets WHERE name = $name"
_SAVE = """
INSERT INTO presets (username, name, parameters, created_at)
VALUES ($username, $name, CAST($parameters AS JSON), $at)
ON CONFLICT (username, name) DO UPDATE
SET parameters = excluded.parameters, created_at = excluded.created_at
"""
_LIST = """
SELECT name, CAST(parameters AS VARCHAR) AS parameters, username, created_at FROM (
    SELECT DISTINCT ON (name) name, parameters, username, created_at FROM presets
    ORDER BY name, created_at DESC, username
) AS newest WHERE parameters IS NOT NULL ORDER BY name
"""


@dataclass(frozen=True, slots=True)
class SavedPreset:
    """A preset of the log, with the user and time of its last change."""

    name: str
    parameters: Parameters
    username: str | None
    created_at: datetime


@checks_arguments("save_preset", unknown_name)
def save_preset(
    name: str,
    *,
    temperature: float | None = None,
    top_p: float | None = None,
    top_k: int | None = None,
    max_tokens: int | None = None,
    stop: str | Sequence[str] | None = None,
    seed: int | None = None,
    presence_penalty: float | None = None,
    frequency_penalty: float | None = None,
    reasoning_effort: str | None = None,
    logprobs: int | None = None,
    extra: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Save parameters under a name for ``preset=``, for all users of the run log.

    Args:
        name: Any text of up to 40 characters; not one of precise, balanced, creative.
        temperature: As for :func:`llm_playground.ask`, and so are the others; at least one is set.
        top_p: As ``temperature``.
        top_k: As ``temperature``.
        max_tokens: As ``temperature``.
        stop: As ``temperature``.
        seed: As ``temperature``.
        presence_penalty: As ``temperature``.
        frequency_penalty: As ``temperature``.
        reasoning_effort: As ``temperature``.
        logprobs: As ``temperature``.
        extra: As ``temperature``.
        headers: As ``temperature``.

    Raises:
        InvalidParameterError: The name is invalid, or a parameter has the wrong type.
        RunLogError: The log cannot be written.

    Example:
        >>> import llm_playground as lp
        >>> lp.save_preset("terse", temperature=0, max_tokens=8)
        >>> lp.ask("Say hello.", preset="terse").parameters.max_tokens
        8
    """
    values = dict(locals())  # a copy: a debugger adds this variable to the original
    checked_name = _checked(values.pop("name"))
    secret_guard.refuse_keys(name=checked_name)
    chosen = parameters_from(_single(values)).as_dict()
    if not chosen:
        raise InvalidParameterError("Nothing to save: every parameter is auto. Set one first.")
    try:
        written = json.dumps(chosen, allow_nan=False)
    except ValueError:
        raise InvalidParameterError("A preset's numbers must be finite.") from None
    _save(checked_name, redact(written))


@checks_arguments("delete_preset")
def delete_preset(name: str) -> None:
    """Delete a saved preset for all users of the run log.

    Raises:
        InvalidParameterError: No preset is saved under this name.
        RunLogError: The log cannot be written.
    """
    _save(find(name).name, None)


@checks_arguments("presets")
def presets() -> pd.DataFrame:
    """All presets: precise, balanced and creative, then those saved in the log, by name.

    Returns:
        name, parameters (a dictionary), username and created_at (who saved it and when).

    Raises:
        RunLogError: The log cannot be read.
    """
    import pandas as pd  # first use, not import

    from llm_playground.frames import Frame

    built_in = [(name, preset.as_dict(), None, pd.NaT) for name, preset in PRESETS.items()]
    own = [(one.name, one.parameters.as_dict(), one.username, one.created_at) for one in saved()]
    frame = Frame(
        [*built_in, *own], columns=["name", "parameters", "username", "created_at"], dtype=object
    )
    return frame.assign(created_at=pd.to_datetime(frame["created_at"], utc=True))


def saved() -> list[SavedPreset]:
    """The presets of the log by name. Invalid rows of other programs are skipped.

    Raises:
        RunLogError: The log cannot be read.
    """
    rows = open_log().frame(_LIST)
    presets = (_read(dict(row)) for _, row in rows.iterrows())
    return [each for each in presets if each is not None]


def find(name: str) -> SavedPreset:
    """The preset saved under a name.

    Raises:
        InvalidParameterError: No such preset is saved; the message suggests a name.
        RunLogError: The log cannot be read.
    """
    own = {one.name: one for one in saved()}
    if not isinstance(name, str) or name.strip() not in own:
        hint = closest(name, [*PRESETS, *own])
        raise InvalidParameterError(f"No preset is called {_validation.short_repr(name)}. {hint}")
    return own[name.strip()]


def _save(name: str, parameters: str | None) -> None:
    """Insert a row that is newer than all existing ones, even if clocks disagree."""
    values = {"name": name, "username": provenance.username(), "parameters": parameters}

    def save(session: Session) -> None:
        session.lock("presets")
        [[newest]] = session.rows(_NEWEST, {"name": name})
        now = datetime.now(UTC)
        at = now if newest is None else max(now, newest + timedelta(microseconds=1))
        session.execute(_SAVE, {**values, "at": at})

    open_log().change(save)


def _checked(name: object) -> str:
    wanted = name.strip() if isinstance(name, str) else ""
    if not wanted or len(wanted) > _LONGEST_NAME or not wanted.isprintable():
        raise InvalidParameterError(
            f"A preset name is text of up to {_LONGEST_NAME} characters; "
            f"got {_validation.short_repr(name)}."
        )
    if wanted.lower() in PRESETS:
        raise InvalidParameterError(f"{wanted!r} is a built-in preset. Use another name.")
    return wanted


def _single(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Check that no parameter is a sweep."""
    for name, value in parameters.items():
        is_sweep = isinstance(value, (list, tuple)) and (
            name != "stop" or any(isinstance(one, (list, tuple)) for one in value)
        )
        if is_sweep:
            raise InvalidParameterError(
                f"{name} is a list of values; a preset has one value of each parameter."
            )
    return parameters


def _read(row: Mapping[str, Any]) -> SavedPreset | None:
    try:
        parameters = parameters_from(json.loads(row["parameters"]))
        name = _checked(row["name"])
    except (TypeError, ValueError, AttributeError, InvalidParameterError):
        return None
    return SavedPreset(name, parameters, row["username"], row["created_at"].to_pydatetime())

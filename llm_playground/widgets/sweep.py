"""Lists of values for one or two parameters: a sweep asks once per value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from llm_playground import capabilities
from llm_playground.errors import InvalidParameterError
from llm_playground.parameters import parameters_from

MOST_SWEPT = 2
MOST_VALUES = 50


def listed(value: object) -> object:
    """A series, an array or a range as a list, for a trait; every other value as it is.

    >>> listed(range(3)), listed(0.5), listed("low")
    ([0, 1, 2], 0.5, 'low')
    """
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        return value
    as_list = getattr(value, "tolist", None)  # numpy and pandas: Python's own numbers
    return as_list() if callable(as_list) else list(value)


def is_swept(name: str, value: object) -> bool:
    """Whether a parameter's value is a list of values; of ``stop`` that is a list of lists."""
    if not isinstance(value, (list, tuple)) or not value:
        return False
    return name != "stop" or all(isinstance(one, (list, tuple)) for one in value)


def swept(parameters: Mapping[str, Any]) -> dict[str, Sequence[Any]]:
    """The parameters that are lists of values.

    Raises:
        InvalidParameterError: They are more than two, or one has more than 50 values.

    >>> swept({"temperature": [0, 1], "top_p": 0.5, "stop": ["END"]})
    {'temperature': [0, 1]}
    """
    found = {name: value for name, value in parameters.items() if is_swept(name, value)}
    if len(found) > MOST_SWEPT:
        raise InvalidParameterError(
            f"{', '.join(found)} are all lists; a sweep goes over one or two parameters."
        )
    for name, values in found.items():
        if len(values) > MOST_VALUES:
            raise InvalidParameterError(
                f"{name} has more than {MOST_VALUES} values. Take fewer, or a larger step."
            )
    return found


def check(models: Sequence[str], parameters: Mapping[str, Any], preset: str | None) -> None:
    """Refuse what no model takes, each value of a sweep on its own.

    Args:
        models: ``provider:name``.
        parameters: By name; a list is a sweep.
        preset: One of the presets, or None.

    Raises:
        InvalidParameterError: A value is of the wrong kind or out of range, or a sweep too large.
    """
    lists = swept(parameters)
    single = {name: value for name, value in parameters.items() if name not in lists}
    ways = [{name: value} for name, values in lists.items() for value in values]
    for way in [{}, *ways]:
        chosen = parameters_from({**single, **way}, preset)
        for model in models:
            capabilities.check_parameters(model, chosen)

"""The parameters of a request from the options of a line, ``--param`` and ``--header`` included."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from llm_playground.magics.options import usage_error


def parameters_of(
    values: Mapping[str, object], param: Sequence[str], header: Sequence[str]
) -> dict[str, Any]:
    """The parameters that are set: ``values`` by name, and pairs ``NAME=VALUE``.

    Numbers in pairs become numbers, ``extra`` is JSON, and each ``stop`` is one more text.

    Raises:
        UsageError: A pair is none, or its JSON is invalid.

    >>> parameters_of({"temperature": 0.2, "top_p": None}, ["seed=7", "stop=a", "stop=b"], [])
    {'seed': 7, 'stop': ['a', 'b'], 'temperature': 0.2}
    """
    parameters: dict[str, Any] = {}
    for name, value in _pairs("--param", param):
        if name == "stop":
            parameters[name] = [*parameters.get(name, ()), value]
        else:
            read = _extra if name == "extra" else _number_or_text
            parameters[name.replace("-", "_")] = read(value)
    if header:
        parameters["headers"] = dict(_pairs("--header", header))
    return parameters | {name: value for name, value in values.items() if value is not None}


def _pairs(option: str, pairs: Sequence[str]) -> Iterator[tuple[str, str]]:
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name and equals):
            raise usage_error(f"{option} takes NAME=VALUE, not {pair!r}.")
        yield name, value


def json_value(takes: str, text: str) -> object:
    """A JSON value of a line; ``takes`` is how it is written, for the message.

    Raises:
        UsageError: It is not JSON.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise usage_error(f"{takes}. The JSON is invalid: {error}. Nothing was sent.") from None


def _extra(text: str) -> object:
    written = """--param 'extra={"user": "x"}'"""
    return json_value(f"extra takes a JSON object, quoted: {written}", text)


def _number_or_text(value: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value

"""The JSON of an answer: the whole text, or that of its only fenced code block with JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Iterator
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NoReturn

from llm_playground._validation import DEEPEST, nested_too_deeply

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")

MISSING: Final = object()
"""What :func:`value_at` returns where there is no value."""


def json_in(text: str) -> Any:  # noqa: ANN401 - a JSON value is any of six types
    r"""The JSON value of an answer; its numbers are :class:`~decimal.Decimal`, as written.

    Raises:
        ValueError: The text is not JSON; the message is one line with the reason.

    >>> json_in('{"total": 1.10}'), json_in("Here it is:\n```json\n[1, true]\n```\nDone.")
    ({'total': Decimal('1.10')}, [Decimal('1'), True])
    """
    try:
        return _read(text)
    except ValueError as error:
        found = []
        for block in _fenced(text):
            try:
                found.append(_read(block))
            except ValueError:
                continue
        if len(found) == 1:
            return found[0]
        if found:
            raise ValueError(f"{len(found)} code blocks with JSON, expected one") from None
        raise ValueError(f"not JSON: {error}") from None


def canonical(value: Any) -> Hashable:  # noqa: ANN401 - a JSON value is any of six types
    """What is equal for the same JSON values, whatever the order of their names; 1 is 1.0.

    ``value`` is nested at most :data:`~llm_playground._validation.DEEPEST` levels deep.

    >>> canonical(json_in('{"a": 1, "b": []}')) == canonical(json_in('{"b": [], "a": 1.0}'))
    True
    >>> canonical(json_in("[1]")) == canonical(json_in("[true]"))
    False
    """
    if isinstance(value, dict):
        return "object", frozenset((name, canonical(inner)) for name, inner in value.items())
    if isinstance(value, list):
        return "list", tuple(canonical(inner) for inner in value)
    return type(value).__name__, value  # as True == 1 in Python


def value_at(value: Any, path: str) -> Any:  # noqa: ANN401 - a JSON value is any of six types
    """The value at a dotted path, such as ``items.0.price``; :data:`MISSING` if there is none.

    The last name may have dots itself.

    >>> value_at({"items": [{"a.b": 1}]}, "items.0.a.b")
    1
    """
    while not (isinstance(value, dict) and path in value):
        name, dot, path = path.partition(".")
        if isinstance(value, list) and name.isascii() and name.isdigit() and len(name) < 10:
            value = value[int(name)] if int(name) < len(value) else MISSING
        else:
            value = value.get(name, MISSING) if isinstance(value, dict) else MISSING
        if value is MISSING or not dot:
            return value
    return value[path]


def _read(text: str) -> Any:  # noqa: ANN401 - a JSON value is any of six types
    try:
        value = json.loads(
            text.strip(), parse_int=Decimal, parse_float=Decimal, parse_constant=_reject
        )
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg}, line {error.lineno}, column {error.colno}") from None
    except InvalidOperation:
        raise ValueError("a number is out of range") from None
    except RecursionError:
        raise ValueError(f"nested more than {DEEPEST} levels deep") from None
    if nested_too_deeply(value):
        raise ValueError(f"nested more than {DEEPEST} levels deep")
    return value


def _fenced(text: str) -> Iterator[str]:
    """The contents of the fenced code blocks that are closed, line by line as in CommonMark."""
    fence, inside = "", list[str]()
    for line in text.split("\n"):
        found = _FENCE.match(line)
        if not fence:
            fence, inside = (found[1] if found else ""), []
        elif found and found[1].startswith(fence) and not line[found.end() :].strip():
            yield "\n".join(inside)
            fence = ""
        else:
            inside.append(line)


def _reject(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")

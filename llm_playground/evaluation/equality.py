"""When two answers are the same: the rules of ``same_if=``, and letters for groups of answers.

A rule has a key function: two answers are the same if their keys are equal. An answer that a rule
does not fit, such as prose under ``json``, has its text as key, and equals no answer that fits.
"""

from __future__ import annotations

import inspect
import string
import unicodedata
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from llm_playground._validation import short_repr, shorten
from llm_playground.errors import InvalidParameterError
from llm_playground.evaluation import json_answers
from llm_playground.evaluation.numbers import number_key, numbers_in

RULES: Mapping[str, str] = {
    "text": "exact",
    "loose": "ignoring case, spaces and punctuation",
    "json": "same JSON",
    "json:FIELD": "same field",
    "numbers": "same numbers",
}
"""The rules by name, with their labels; in ``json:FIELD`` stands the name of a field."""

_FIELD, _FUNCTION = "json:", "function:"
_DROPPED = frozenset({"Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sk"})  # punctuation, accents alone
_MARKDOWN = frozenset("|~")  # symbols of mathematics by their category
_VARIATIONS = frozenset("\ufe0e\ufe0f")  # whether an emoji has colours


@dataclass(frozen=True, slots=True)
class Field:
    """The rule "same field": the value at a dotted path, such as ``total`` or ``items.0.price``."""

    path: str


@dataclass(frozen=True, slots=True)
class TextKey:
    """The key of an answer that a rule does not fit: its text. ``reason`` is one line for people.

    >>> TextKey("hi", "not JSON") == TextKey("hi", ""), TextKey("hi", "") == "hi"
    (True, False)
    """

    text: str
    reason: str = field(compare=False)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule by which two answers count as the same.

    Attributes:
        name: What :func:`rule` reads again, unless it is a function.
        label: What people read after "Same if:".
        key: The key of an answer's text. It raises nothing, and is never None.
    """

    name: str
    label: str
    key: Callable[[str], Hashable]


def rule(value: object) -> Rule:
    """The rule of ``same_if=``: a name of :data:`RULES`, a :class:`Field`, or a function.

    A function takes the text of one answer and returns what has to be equal. Where it raises, the
    answer has a :class:`TextKey`.

    Raises:
        InvalidParameterError: It is none of these; the message names the choices.

    >>> key = rule("loose").key
    >>> key("It is 1,200.5!") == key("it is: 1200.5"), key("1.5") == key("15")
    (True, False)
    >>> rule(Field("total")).name, rule("json:total").label
    ('json:total', 'same field: total')
    """
    if isinstance(value, Rule):
        return value
    if isinstance(value, Field):
        value = _FIELD + value.path
    if callable(value):
        return _of_function(value)
    if isinstance(value, str) and value in _KEYS:
        return Rule(value, RULES[value], _KEYS[value])
    if isinstance(value, str) and value.startswith(_FIELD) and value != _FIELD:
        path = value.removeprefix(_FIELD)
        label = f"{RULES['json:FIELD']}: {shorten(path)}"
        return Rule(value, label, partial(_field_key, path=path))
    if isinstance(value, str) and value.startswith(_FUNCTION):
        raise InvalidParameterError(
            f"The function {value.removeprefix(_FUNCTION)} of same_if= is not stored. "
            "Pass it again."
        )
    raise InvalidParameterError(
        f"same_if={short_repr(value)} is no rule. Use {', '.join(map(repr, RULES))} "
        "(with the name of a field for FIELD), or a function of the text of one answer."
    )


def letters(keys: Iterable[Hashable]) -> list[str | None]:
    """A letter for each answer: equal keys have the same, and the first answer has A.

    After Z follow AA, AB and so on. A key of None is that of no answer and has no letter.

    >>> letters(["Oslo", "Rome", None, "Oslo"])
    ['A', 'B', None, 'A']
    """
    named: dict[Hashable, str] = {}
    return [None if key is None else named.setdefault(key, _letter(len(named))) for key in keys]


def _letter(number: int) -> str:
    text = ""
    while number >= 0:
        number, at = divmod(number, 26)
        text = string.ascii_uppercase[at] + text
        number -= 1
    return text


def _text_key(text: str) -> Hashable:
    return text


def _loose_key(text: str) -> Hashable:
    """Letters, digits and symbols of all scripts; numbers keep their minus signs and points.

    Numbers are set apart, since "1, 2" is no 12. An answer of punctuation alone is its own key.
    """
    pieces, end = list[str](), 0
    for number in numbers_in(text):
        percent = "%" if number.is_percent else ""
        pieces += [_letters_of(text[end : number.start]), f" {number.plain}{percent} "]
        end = number.end
    return "".join([*pieces, _letters_of(text[end:])]) or text.strip()


def _letters_of(text: str) -> str:
    if text.isascii() and text.isalpha():
        return text.lower()
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    dropped = {ord(char): None for char in set(plain) if _is_dropped(char)}
    return plain.translate(dropped)


def _is_dropped(char: str) -> bool:
    kind = unicodedata.category(char)
    return kind in _DROPPED or kind[0] in "CZ" or char in _MARKDOWN or char in _VARIATIONS


def _json_key(text: str) -> Hashable:
    try:
        return "json", json_answers.canonical(json_answers.json_in(text))
    except ValueError as error:
        return TextKey(text, str(error))


def _field_key(text: str, path: str) -> Hashable:
    try:
        value = json_answers.value_at(json_answers.json_in(text), path)
    except ValueError as error:
        return TextKey(text, str(error))
    if value is json_answers.MISSING:
        return TextKey(text, f"no field {shorten(path)}")
    return "field", json_answers.canonical(value)


def _numbers_key(text: str) -> Hashable:
    """The numbers of a text; an answer without any is its text, as it has nothing to compare."""
    return number_key(numbers_in(text)) or TextKey(text, "no numbers")


_KEYS: Mapping[str, Callable[[str], Hashable]] = {
    "text": _text_key,
    "loose": _loose_key,
    "json": _json_key,
    "numbers": _numbers_key,
}


def _of_function(function: Callable[..., Any]) -> Rule:
    name = shorten(str(getattr(function, "__name__", type(function).__name__)))
    try:
        inspect.signature(function).bind("")
        takes_text = not inspect.iscoroutinefunction(function)
    except ValueError:  # some built-in functions have no signature
        takes_text = True
    except TypeError:
        takes_text = False
    if not takes_text:
        raise InvalidParameterError(
            f"The function {name} of same_if= must take the text of one answer alone, return what "
            "has to be equal, and not be async."
        )
    return Rule(f"{_FUNCTION}{name}", f"same {name}", partial(_function_key, function=function))


def _function_key(text: str, function: Callable[[str], Any]) -> Hashable:
    try:
        return "value", _hashable(function(text))
    except Exception as error:  # functions of users may raise anything
        return TextKey(text, shorten(f"{type(error).__name__}: {error}", 160))


def _hashable(value: Any) -> Hashable:  # noqa: ANN401 - what a user's function returns
    """A value, with tuples and frozen sets in place of lists, dicts and sets."""
    if isinstance(value, dict):
        return "dict", frozenset((name, _hashable(inner)) for name, inner in value.items())
    if isinstance(value, list | tuple):
        return type(value).__name__, tuple(map(_hashable, value))
    frozen: Hashable = frozenset(value) if isinstance(value, set) else value
    hash(frozen)
    return frozen

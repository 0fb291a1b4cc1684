r"""``{{name}}`` templates: which braces are variables, which are text, and how values get in.

Between double braces, a name takes the value of a variable. What reads as an expression, such as
``{{user.name}}``, ``{{row['x']}}``, ``{{ user-name }}``, ``{{f(x)}}`` or ``{{first name}}``, is
refused with a line that says what to write instead. Everything else is text of another language and
is sent as it is: ``{{"a": 1}}``, ``{{color: red}}``, ``{{#if x}}``, ``{{1}}``, ``{{1, 2}}``.

A backslash before the braces sends a name or an expression as it is: ``\{{name}}`` becomes
``{{name}}``. Directly before such braces, two backslashes stand for one; all other backslashes of a
text stay.
"""

from __future__ import annotations

import hashlib
import keyword
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from llm_playground import _validation
from llm_playground.errors import InvalidParameterError, TemplateError
from llm_playground.parts import Part, TextPart
from llm_playground.request.messages import Turn
from llm_playground.request.secret_guard import Written
from llm_playground.request.values import text_of
from llm_playground.types import Message, Run

_MAX_SHOWN_CHARS = 100  # of what stands between the braces, in an error message
_MAX_EXPRESSION_CHARS = 200  # between the braces; what is longer is text
_BRACES = re.compile(r"(?<!\\)(\\*+)\{\{([^{}]++)\}\}")
_NAME = r"[^\W\d]\w*+"
_INNER = r"[^(){}\[\]\n]*+"
_CALL = rf"\({_INNER}(?:[(\[]{_INNER}[)\]]{_INNER})*+\)"
_INDEX = rf"\[{_INNER}(?:[(\[]{_INNER}[)\]]{_INNER})*+\]"
_TERM = rf"(?:{_NAME}(?:\s*+(?:\.\s*+\w++|{_INDEX}|{_CALL}))*+|\d[\w.]*+)"
_WORDS = re.compile(rf"{_NAME}(?: {_NAME}){{1,2}}")
_FORMAT = r"(?:![rsa])?+(?::[.,<>^][\w.,<>^%+-]*+)?+"  # as in an f-string
_EXPRESSION = re.compile(rf"{_TERM}(?:\s*+(?:[-+*/%|]|\*\*|//)\s*+{_TERM})*+{_FORMAT}")
_NUMBER = re.compile(r"\d[\w.]*+")
_PLAIN_NAME = re.compile(_NAME)


@dataclass(frozen=True, slots=True)
class ValueSource:
    """Where the values of variables come from, in the words of messages."""

    missing: str
    assignment: str  # how a value gets the name ``{name}``
    raw: str = ""  # how all braces of a prompt are sent as they are


_RUN_CELL = "Run the cell that defines it"
NOTEBOOK = ValueSource(f"{_RUN_CELL}, or type a value.", "{name} = {value}")
MAGIC = ValueSource(f"{_RUN_CELL}.", "{name} = {value}", "the option --raw")
ARGUMENT = ValueSource("Add it to variables=.", 'variables={{"{name}": {value}}}')
# By what makes a call.
SOURCES = {"api": ARGUMENT, "magic": MAGIC, "widget": NOTEBOOK}


def names(text: str) -> list[str]:
    r"""The distinct variables of a template, in order.

    >>> names("{{a}} and {{ b }} and {{a}} but not {c} or \\{{d}}")
    ['a', 'b']
    """
    return list(dict.fromkeys(content for kind, content in _open(text) if kind == "name"))


def fill(text: str, variables: Mapping[str, object], source: ValueSource = NOTEBOOK) -> str:
    r"""``text`` with each ``{{name}}`` replaced by the text of its value, not recursively.

    Raises:
        TemplateError: A name has no value, its value has no text, or an expression stands between
            the braces; the message says what to write.

    >>> fill("{{n}} points, {not this}, \\{{this}} as it is", {"n": 3})
    '3 points, {not this}, {{this}} as it is'
    """
    if "{{" not in text:
        return text
    return _replaced(text, texts_of(text, variables, source))


def texts_of(
    text: str, variables: Mapping[str, object], source: ValueSource = NOTEBOOK
) -> dict[str, Written]:
    """The text of each value that a template uses, by name.

    Raises:
        TemplateError: As :func:`fill`.
    """
    found: dict[str, Written] = {}
    for kind, content in _open(text):
        if kind == "expression":
            raise TemplateError(_expression_message(content, source))
        if content not in variables:
            raise TemplateError(_missing_message(content, source))
        if content not in found:
            value = variables[content]
            written = value if isinstance(value, Written) else None
            found[content] = written or Written(text_of(content, value), value)
    return found


def escaped(text: str, is_variable: Callable[[int], bool] = lambda _at: False) -> str:
    r"""A template that :func:`fill` makes the text of, whatever braces it has.

    ``is_variable`` gets the place of two opening braces; where it is true, they stay a variable.

    >>> escaped("Hello {{name}}, {not this}")
    'Hello \\{{name}}, {not this}'
    """

    def with_backslash(match: re.Match[str]) -> str:
        if _kind(match[2]) is None:
            return match[0]
        escape = "" if is_variable(match.start(2) - 2) else "\\"
        return f"{match[1] * 2}{escape}{{{{{match[2]}}}}}"

    return _BRACES.sub(with_backslash, text)


def unescaped(text: str, braces: str = "{{") -> str:
    r"""The text of a template, with its variables unfilled; ``braces`` opens what is no variable.

    >>> unescaped("Hello \\{{name}} and {{b}}")
    'Hello {{name}} and {{b}}'
    """

    def without_backslash(match: re.Match[str]) -> str:
        if _kind(match[2]) is None:
            return match[0]
        opening = braces if len(match[1]) % 2 else "{{"
        return f"{match[1][: len(match[1]) // 2]}{opening}{match[2]}}}}}"

    return _BRACES.sub(without_backslash, text)


def as_template(turn: Turn) -> Turn:
    """A turn in which the braces of an answer, which were not written as variables, are text."""
    if not isinstance(turn, Run):
        return turn
    parts = turn.parts or (TextPart(turn.text),)
    return Message("assistant", tuple(_edited(part, escaped) for part in parts))


def filled(
    turns: Iterable[Message], variables: Mapping[str, object], source: ValueSource = NOTEBOOK
) -> tuple[Message, ...]:
    """The messages with every ``{{name}}`` in their texts replaced.

    Raises:
        TemplateError: As :func:`fill`.

    >>> filled([Message("user", (TextPart("Say {{n}}."),))], {"n": 3})[0].text
    'Say 3.'
    """
    return tuple(edited_message(turn, lambda text: fill(text, variables, source)) for turn in turns)


def values_of(
    turns: Iterable[Message], variables: Mapping[str, object], source: ValueSource = NOTEBOOK
) -> dict[str, Written]:
    """The texts of the values that messages use, by name, each made once.

    Raises:
        InvalidParameterError: ``variables`` is not a mapping.
        TemplateError: As :func:`fill`.
    """
    if not isinstance(variables, Mapping):
        raise InvalidParameterError(
            "variables takes a dictionary of names and values; got "
            f"{type(variables).__name__} {_validation.short_repr(variables)}."
        )
    joined = "\n".join(
        part.text for turn in turns for part in turn.content if isinstance(part, TextPart)
    )
    return texts_of(joined, variables, source)


def hashes_of(texts: Mapping[str, str]) -> dict[str, str]:
    """SHA-256 in hex of each text, by its name.

    >>> list(hashes_of({"n": "3"}))
    ['n']
    """
    return {
        name: hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
        for name, text in texts.items()
    }


def edited_message(message: Message, edit: Callable[[str], str]) -> Message:
    """A message with each of its texts edited."""
    return replace(message, content=tuple(_edited(part, edit) for part in message.content))


def _edited(part: Part, edit: Callable[[str], str]) -> Part:
    return TextPart(edit(part.text)) if isinstance(part, TextPart) else part


def _kind(content: str) -> Literal["name", "expression"] | None:
    """What stands between double braces; None for text of another language."""
    inner = content.strip()
    if _PLAIN_NAME.fullmatch(inner):
        return "name"
    if len(inner) > _MAX_EXPRESSION_CHARS or _NUMBER.fullmatch(inner):
        return None
    is_expression = _EXPRESSION.fullmatch(inner) or _WORDS.fullmatch(inner)
    return "expression" if is_expression else None


def _open(text: str) -> Iterator[tuple[Literal["name", "expression"], str]]:
    """The names and expressions that are not escaped, in order."""
    for match in _BRACES.finditer(text):
        kind = _kind(match[2])
        if kind is not None and len(match[1]) % 2 == 0:
            yield kind, match[2].strip()


def _replaced(text: str, texts: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        if _kind(match[2]) is None:
            return match[0]
        backslashes = match[1][: len(match[1]) // 2]
        is_text = len(match[1]) % 2 == 1
        braces = f"{{{{{match[2]}}}}}"
        return backslashes + (braces if is_text else texts[match[2].strip()])

    return _BRACES.sub(value, text)


def _missing_message(name: str, source: ValueSource) -> str:
    shown = _shown(name)
    return f"{{{{{shown}}}}} is not defined. {source.missing} {_as_it_is(shown, source)}"


def _expression_message(expression: str, source: ValueSource) -> str:
    shown = _shown(expression)
    name = _variable_name(expression)
    is_code = not _WORDS.fullmatch(expression) and not any(mark in expression for mark in "|:!")
    has_hyphen_only = re.fullmatch(rf"{_NAME}(?:-{_NAME})+", expression) is not None
    value = shown if is_code and not has_hyphen_only else "..."
    assignment = source.assignment.format(name=name, value=value)
    return (
        f"{{{{{shown}}}}} is no name, and only names are filled in. Put the value in a variable: "
        f"{assignment}, then write {{{{{name}}}}}. {_as_it_is(shown, source)}"
    )


def _as_it_is(shown: str, source: ValueSource) -> str:
    raw = f", or {source.raw} for all of them" if source.raw else ""
    return f"To send the braces as they are, write \\{{{{{shown}}}}}{raw}."


def _shown(content: str) -> str:
    return _validation.shorten(content, _MAX_SHOWN_CHARS)


def _variable_name(expression: str) -> str:
    """A name for the value of an expression.

    >>> _variable_name("row['x']"), _variable_name("user-name"), _variable_name("1+1")
    ('row_x', 'user_name', 'value')
    """
    name = re.sub(r"\W+", "_", expression).strip("_")[:40]
    return name if name.isidentifier() and not keyword.iskeyword(name) else "value"

"""JSON values as literals of a language: visible characters only, whatever a text contains."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from llm_playground.codegen.placeholders import Placeholder, Placeholders

MAX_COLUMNS = 88
_AFTER_LINE_BREAK = re.compile(r"(?<=\n)")


def surrogate_escape(code: int) -> str:
    r"""The escape of a character beyond U+FFFF in JSON and JavaScript.

    >>> surrogate_escape(0x1F600)
    '\\ud83d\\ude00'
    """
    return "".join(f"\\u{half:04x}" for half in (0xD7C0 + (code >> 10), 0xDC00 + (code & 0x3FF)))


def string_literal(text: str, astral_escape: Callable[[int], str] = surrogate_escape) -> str:
    r"""A text as a literal in double quotes, of visible characters only.

    Invisible characters, line separators and bidirectional marks among them, are escaped.

    >>> print(string_literal('say "hi"\n\x00\u2028'))
    "say \"hi\"\n\u0000\u2028"
    """
    return escape_invisible(json.dumps(text, ensure_ascii=False), astral_escape)


def escape_invisible(json_text: str, astral_escape: Callable[[int], str] = surrogate_escape) -> str:
    """One line of JSON with every invisible character escaped."""
    if json_text.isprintable():
        return json_text

    def escape(char: str) -> str:
        if char.isprintable():
            return char
        return astral_escape(ord(char)) if ord(char) > 0xFFFF else f"\\u{ord(char):04x}"

    return "".join(map(escape, json_text))


@dataclass(frozen=True, slots=True)
class Style:
    """How a language writes values."""

    constants: tuple[str, str, str]  # null, true and false
    number: Callable[[float], str]
    astral_escape: Callable[[int], str]  # of a character beyond U+FFFF, by its number
    key: Callable[[str, str], str]  # of an object, from its text and that text as a literal
    concatenation: str  # between two adjacent text literals
    indent: int  # the number of spaces
    padding: str  # inside the braces of an object on one line

    def object(self, items: Mapping[str, str], column: int = 0) -> str:
        """The code of an object from the code of its values; on several lines if it is long.

        ``items`` is not empty; ``column`` is the indent of the line on which it begins.
        """
        pairs = [
            f"{self.key(name, string_literal(name, self.astral_escape))}: {code}"
            for name, code in items.items()
        ]
        flat = f"{{{self.padding}{', '.join(pairs)}{self.padding}}}"
        if column + len(flat) <= MAX_COLUMNS - 18 and "\n" not in flat:
            return flat
        margin = " " * column
        inner = margin + " " * self.indent
        return "{\n" + "".join(f"{inner}{pair},\n" for pair in pairs) + f"{margin}}}"


@dataclass(frozen=True, slots=True)
class LiteralWriter:
    """Writes values in one style; marks become the parameters of a function."""

    style: Style
    placeholders: Placeholders

    def write(self, value: Any, column: int = 0, taken: int = 0) -> str:  # noqa: ANN401 - a JSON value is any of six types
        """The code of a value, on several lines if it is too long for one.

        ``column`` is the indent of the line on which it begins, ``taken`` the number of characters
        before it on that line; the first line is not indented.
        """
        available = MAX_COLUMNS - column - taken
        if not value or not isinstance(value, (str, dict, list)):
            return self.flat(value)
        if _may_fit(value, available) and len(flat := self.flat(value)) <= available:
            return flat
        if isinstance(value, str):
            lines = list(self._text_lines(value))
            return lines[0] if len(lines) == 1 else self._enclosed("()", lines, column)
        inner = column + self.style.indent
        items = [f"{item}," for item in self._items(value, inner)]
        return self._enclosed("{}" if isinstance(value, dict) else "[]", items, column)

    def _enclosed(self, brackets: str, lines: Iterable[str], column: int) -> str:
        margin = " " * column
        inner = "".join(f"{margin}{' ' * self.style.indent}{line}\n" for line in lines)
        return f"{brackets[0]}\n{inner}{margin}{brackets[1]}"

    def _key(self, name: str) -> str:
        return self.style.key(name, string_literal(name, self.style.astral_escape))

    def _items(self, value: dict[str, Any] | list[Any], column: int) -> Iterator[str]:
        if isinstance(value, list):
            yield from (self.write(item, column) for item in value)
            return
        for name, item in value.items():
            start = f"{self._key(name)}: "
            yield start + self.write(item, column, len(start))

    def flat(self, value: Any) -> str:  # noqa: ANN401 - as above
        """The code of a value on one line."""
        match value:
            case str():
                return " + ".join(map(self._piece, self.placeholders.split(value))) or '""'
            case dict():
                items = (f"{self._key(name)}: {self.flat(item)}" for name, item in value.items())
                padding = self.style.padding if value else ""
                return f"{{{padding}{', '.join(items)}{padding}}}"
            case list():
                return f"[{', '.join(map(self.flat, value))}]"
            case None | bool():
                null, true, false = self.style.constants
                return null if value is None else true if value else false
        return self.style.number(value)

    def _piece(self, piece: str | Placeholder) -> str:
        if isinstance(piece, Placeholder):
            return piece.parameter
        return string_literal(piece, self.style.astral_escape)

    def _text_lines(self, text: str) -> Iterator[str]:
        """One line of code for each line of a text."""
        lines: list[list[str | Placeholder]] = [[]]
        for piece in self.placeholders.split(text):
            if isinstance(piece, Placeholder):
                lines[-1].append(piece)
                continue
            first, *others = _AFTER_LINE_BREAK.split(piece)
            lines[-1] += [first] if first else []
            lines += [[other] if other else [] for other in others]
        lines = [line for line in lines if line]
        for line, following in zip(lines, [*lines[1:], []], strict=True):
            code = " + ".join(map(self._piece, line))
            if following:
                at_parameter = any(isinstance(x, Placeholder) for x in (line[-1], following[0]))
                code += " +" if at_parameter else self.style.concatenation
            yield code


def _may_fit(value: Any, available: int) -> bool:  # noqa: ANN401 - as above
    """Whether a value can fit at all; avoids writing an image just to find out."""
    if isinstance(value, dict):
        return len(value) <= available and all(_may_fit(item, available) for item in value.values())
    if isinstance(value, list):
        return len(value) <= available and all(_may_fit(item, available) for item in value)
    return not isinstance(value, str) or len(value) <= available

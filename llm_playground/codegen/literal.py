"""JSON values as a language's literals: whatever is in a text, it stays one literal on one line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from llm_playground.codegen.blanks import Blank, Blanks

_WIDTH = 88
_BREAK = re.compile(r"(?<=\n)")


@dataclass(frozen=True, slots=True)
class Style:
    """How a language writes values.

    Args:
        words: Its null, true and false.
        far: How it writes a character beyond U+FFFF by its number.
        key: How it writes a key, given its text and that as a literal.
        between: What stands between two texts that are one.
        indent: How many spaces it indents by.
        pad: What stands inside the braces of an object on one line.
    """

    words: tuple[str, str, str]
    far: Callable[[int], str]
    key: Callable[[str, str], str]
    between: str
    indent: int
    pad: str


def surrogates(code: int) -> str:
    r"""A character beyond U+FFFF as JSON and JavaScript write it by its number.

    >>> surrogates(0x1F600)
    '\\ud83d\\ude00'
    """
    return "".join(f"\\u{half:04x}" for half in (0xD7C0 + (code >> 10), 0xDC00 + (code & 0x3FF)))


def quoted(text: str, far: Callable[[int], str] = surrogates) -> str:
    r"""A text as a literal in double quotes, of characters one can see.

    What cannot be seen, line separators and marks that turn the reading direction among it, is
    written by its number.

    >>> print(quoted('say "hi"\n\x00\u2028'))
    "say \"hi\"\n\u0000\u2028"
    """
    return visible(json.dumps(text, ensure_ascii=False), far)


def visible(json_text: str, far: Callable[[int], str] = surrogates) -> str:
    """JSON on one line with an escape for every character that cannot be seen."""
    if json_text.isprintable():
        return json_text
    return "".join(char if char.isprintable() else _escape(char, far) for char in json_text)


def _escape(char: str, far: Callable[[int], str]) -> str:
    code = ord(char)
    return far(code) if code > 0xFFFF else f"\\u{code:04x}"


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes values in one style, with the parameters of a function where marks are."""

    style: Style
    blanks: Blanks

    def value(self, value: Any, column: int = 0, taken: int = 0) -> str:  # noqa: ANN401 - a JSON value is any of six types
        """A value; on several lines, the first without its indent, where one is too short.

        Args:
            value: What JSON can say.
            column: How far the line is indented on which it begins.
            taken: How many characters stand before it on that line.
        """
        room = _WIDTH - column - taken
        if not value or not isinstance(value, (str, dict, list)):
            return self._flat(value)
        if _may_fit(value, room) and len(flat := self._flat(value)) <= room:
            return flat
        if isinstance(value, str):
            lines = list(self._lines(value))
            return lines[0] if len(lines) == 1 else self._enclosed("()", lines, column)
        inner = column + self.style.indent
        items = [f"{item}," for item in self._items(value, inner)]
        return self._enclosed("{}" if isinstance(value, dict) else "[]", items, column)

    def _enclosed(self, ends: str, lines: Iterable[str], column: int) -> str:
        margin = " " * column
        inner = "".join(f"{margin}{' ' * self.style.indent}{line}\n" for line in lines)
        return f"{ends[0]}\n{inner}{margin}{ends[1]}"

    def key(self, name: str) -> str:
        """A key of an object."""
        return self.style.key(name, quoted(name, self.style.far))

    def _items(self, value: dict[str, Any] | list[Any], column: int) -> Iterator[str]:
        if isinstance(value, list):
            yield from (self.value(item, column) for item in value)
            return
        for name, item in value.items():
            start = f"{self.key(name)}: "
            yield start + self.value(item, column, len(start))

    def _flat(self, value: Any) -> str:  # noqa: ANN401 - as above
        match value:
            case str():
                return " + ".join(map(self._piece, self.blanks.split(value))) or '""'
            case dict():
                items = (f"{self.key(name)}: {self._flat(item)}" for name, item in value.items())
                pad = self.style.pad if value else ""
                return f"{{{pad}{', '.join(items)}{pad}}}"
            case list():
                return f"[{', '.join(map(self._flat, value))}]"
            case None | bool():
                null, true, false = self.style.words
                return null if value is None else true if value else false
        return repr(value)

    def _piece(self, piece: str | Blank) -> str:
        if isinstance(piece, Blank):
            return piece.parameter
        return quoted(piece, self.style.far)

    def _lines(self, text: str) -> Iterator[str]:
        """The text's own lines as lines of code."""
        lines: list[list[str | Blank]] = [[]]
        for piece in self.blanks.split(text):
            if isinstance(piece, Blank):
                lines[-1].append(piece)
                continue
            first, *others = _BREAK.split(piece)
            lines[-1] += [first] if first else []
            lines += [[other] if other else [] for other in others]
        held = [line for line in lines if line]
        for line, following in zip(held, [*held[1:], []], strict=True):
            written = " + ".join(map(self._piece, line))
            apart = following and (isinstance(line[-1], Blank) or isinstance(following[0], Blank))
            yield written + (" +" if apart else self.style.between if following else "")


def _may_fit(value: Any, room: int) -> bool:  # noqa: ANN401 - as above
    """Whether a value can be as short as that: a picture is not written to find out."""
    if isinstance(value, dict):
        return len(value) <= room and all(_may_fit(item, room) for item in value.values())
    if isinstance(value, list):
        return len(value) <= room and all(_may_fit(item, room) for item in value)
    return not isinstance(value, str) or len(value) <= room

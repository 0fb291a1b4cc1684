"""Layout of Python source in lines of at most 88 columns: expressions and imports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from llm_playground.codegen.literals import MAX_COLUMNS, LiteralWriter, Style, string_literal
from llm_playground.codegen.placeholders import Placeholders

STYLE = Style(
    constants=("None", "True", "False"),
    number=repr,
    astral_escape=lambda code: f"\\U{code:08x}",
    key=lambda _, literal: literal,
    concatenation="",
    indent=4,
    padding="",
)
_WRITER = LiteralWriter(STYLE, Placeholders())


class Expression(Protocol):
    """An expression on one line, or on several if it is too long."""

    @property
    def flat(self) -> str:
        """The expression on one line."""

    def lines(self, column: int) -> str:
        """The expression on several lines if it can be divided; the last is at ``column``."""

    def names(self) -> Iterator[str]:
        """The identifiers in it."""


def laid_out(expression: Expression, column: int = 0, taken: int = 0) -> str:
    """The code of an expression on a line indented by ``column``.

    ``taken`` is the number of the line's other characters.

    >>> print(laid_out(Bracketed("list", (Atom("int"),))))
    list[int]
    >>> print(laid_out(Bracketed("dict", (Atom("str"), Atom("int"))), taken=80))
    dict[
        str,
        int,
    ]
    """
    flat = expression.flat
    fits = column + taken + len(flat) <= MAX_COLUMNS and "\n" not in flat
    return flat if fits else expression.lines(column)


@dataclass(frozen=True, slots=True)
class Atom:
    """A name or a literal."""

    flat: str

    def lines(self, column: int) -> str:  # noqa: ARG002 - of Expression
        return self.flat

    def names(self) -> Iterator[str]:
        if self.flat.isidentifier():
            yield self.flat


@dataclass(frozen=True, slots=True)
class Literal:
    """A JSON value."""

    value: Any

    @property
    def flat(self) -> str:
        return _WRITER.flat(self.value)

    def lines(self, column: int) -> str:
        return _WRITER.write(self.value, column, MAX_COLUMNS)

    def names(self) -> Iterator[str]:
        yield from ()


@dataclass(frozen=True, slots=True)
class Argument:
    """A keyword argument with a JSON value."""

    name: str
    value: Any

    @property
    def flat(self) -> str:
        return f"{self.name}={_WRITER.flat(self.value)}"

    def lines(self, column: int) -> str:
        start = f"{self.name}="
        return start + _WRITER.write(self.value, column, len(start) + 1)  # and a comma

    def names(self) -> Iterator[str]:
        yield from ()


@dataclass(frozen=True, slots=True)
class Bracketed:
    """``head[items]`` or ``head(items)``."""

    head: str
    items: tuple[Expression, ...]
    brackets: str = "[]"

    @property
    def flat(self) -> str:
        items = ", ".join(item.flat for item in self.items)
        return f"{self.head}{self.brackets[0]}{items}{self.brackets[1]}"

    def lines(self, column: int) -> str:
        inner = column + STYLE.indent
        items = "".join(f"{' ' * inner}{laid_out(item, inner, 1)},\n" for item in self.items)
        return f"{self.head}{self.brackets[0]}\n{items}{' ' * column}{self.brackets[1]}"

    def names(self) -> Iterator[str]:
        yield self.head
        for item in self.items:
            yield from item.names()


@dataclass(frozen=True, slots=True)
class Union:
    """``A | B``."""

    members: tuple[Expression, ...]

    @property
    def flat(self) -> str:
        return " | ".join(member.flat for member in self.members)

    def lines(self, column: int) -> str:
        inner = column + STYLE.indent
        first, *others = (laid_out(member, inner, 2) for member in self.members)
        lines = "".join(f"{' ' * inner}| {other}\n" for other in others)
        return f"(\n{' ' * inner}{first}\n{lines}{' ' * column})"

    def names(self) -> Iterator[str]:
        for member in self.members:
            yield from member.names()


def call(name: str, arguments: Mapping[str, Any]) -> Bracketed:
    """A call with keyword arguments that are JSON values."""
    return Bracketed(name, tuple(Argument(*pair) for pair in arguments.items()), "()")


def text(value: str) -> Atom:
    """A text as a literal."""
    return Atom(string_literal(value, STYLE.astral_escape))


def import_lines(modules: Mapping[str, Sequence[str]]) -> str:
    """The lines ``from module import names``."""
    lines = ""
    for module, names in modules.items():
        line = f"from {module} import {', '.join(names)}"
        if len(line) > MAX_COLUMNS:
            line = f"from {module} import (\n" + "".join(f"    {name},\n" for name in names) + ")"
        lines += f"{line}\n"
    return lines

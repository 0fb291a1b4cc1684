"""The texts of ``%llm help``, ``%llm help COMMAND`` and ``%llm?``, from the parser's tables."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from llm_playground.magics.options import OPTIONS

_COLUMN, _WIDTH = 28, 96
_SYNOPSIS = """\
Ask a language model from a cell.

%llm [options] PROMPT       one line; the prompt is the rest of it, byte for byte
%%llm [options]             the cell below is the prompt
%llm COMMAND                models, keys, costs, ...: see below
x = %llm [options] PROMPT   x is the run: x.text, x.cost_usd, x.usage, ...
"""
_EXAMPLES = """\
Examples

%llm What is the capital of France?
%llm -m local -t 0.2 -s 'Be brief.' Don't say "hello".
x = %llm -m local Name three planets.

%%llm -m local -m openai:gpt-4o -n 3 -o answers
Explain {{topic}} to a child.
"""
_RULES = """\
{{name}} takes the value of the notebook's variable. A value with blanks is quoted: -s 'Be brief.'
A line that begins with a command and its arguments runs it; every other line is a prompt. To send
such a line to a model, write -- before it: %llm -- models. The default model is set by
%llm use MODEL; without keys it is a small model in this kernel, which is free.
"""


class Documented(Protocol):
    """A command of :data:`llm_playground.magics.command_lines.COMMANDS`."""

    @property
    def syntax(self) -> str:
        """How its arguments are written."""

    @property
    def help(self) -> Sequence[tuple[str, str]]:
        """Its lines: syntax and text."""


def usage(commands: Mapping[str, Documented]) -> str:
    """The whole text."""
    options = [
        line
        for option in OPTIONS
        for line in _row(f"{', '.join(option.flags)} {option.metavar}".rstrip(), option.help)
    ]
    known = [line for name, one in commands.items() for line in _command_lines(name, one)]
    tables = "\n".join(["Options", "", *options, "", "Commands", "", *known])
    return f"{_SYNOPSIS}\n{_EXAMPLES}\n{tables}\n\n{_RULES}".rstrip()


def of_command(name: str, known: Documented) -> str:
    """The text about one command."""
    return "\n".join([f"%llm {name} {known.syntax}".rstrip(), "", *_command_lines(name, known)])


def _command_lines(name: str, known: Documented) -> Iterator[str]:
    for syntax, text in known.help:
        yield from _row(f"%llm {name} {syntax}".rstrip(), text)


def _row(left: str, text: str) -> Iterator[str]:
    """A row of a table: its left column, and its text beside it in lines."""
    first, *others = textwrap.wrap(text, _WIDTH - _COLUMN)
    if len(left) >= _COLUMN:
        yield left
        left = ""
    yield f"{left:<{_COLUMN}}{first}"
    yield from (" " * _COLUMN + other for other in others)

"""What a value looks like in one short line, told by its type: the value itself is not asked.

A notebook holds anything: objects whose ``str`` raises or never ends, frames of a gigabyte. So
nothing here calls a method that a person could have written.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

from llm_playground import tokens
from llm_playground.redact import MASK, redact

MOST_CHARACTERS = 60
_READ_CHARACTERS = 1_000  # of a long text: enough for a line, and for a key to be seen as one
_COUNTED_CHARACTERS = 4_000_000  # beyond that a token count is a guess from the length
_LONGEST_INT_BITS = 1_000
_DEEPEST = 2
_TIMES = " \N{MULTIPLICATION SIGN} "
_ITEMS = 3

# A value under such a name is not shown whatever it looks like.
_SECRET_NAME = re.compile(r"(?i)(api_?key|secret|passw|credential|token$)")
_WRITTEN = (str, bool, float, complex, type(None), Decimal, Fraction, date, datetime, time)
_PLAIN = frozenset((*_WRITTEN, timedelta, UUID, int))


@dataclass(frozen=True, slots=True)
class Look:
    """``detail`` says how much or what it is, ``preview`` shows its start; either may be empty."""

    detail: str
    preview: str


def look(name: str, value: object) -> Look:
    """A variable's value for its chip.

    >>> look("article", "Sales rose."), look("n", 3)
    (Look(detail='3 tokens', preview='Sales rose.'), Look(detail='', preview='3'))
    """
    shown = _look(value)
    return Look(shown.detail, MASK) if shown.preview and _SECRET_NAME.search(name) else shown


def is_plain(value: object) -> bool:
    """Whether ``str`` of it is quick and harmless.

    >>> is_plain(3), is_plain(object())
    (True, False)
    """
    kind = type(value)
    return kind in _PLAIN and not (kind is int and int.bit_length(value) > _LONGEST_INT_BITS)  # type: ignore[arg-type] # its type is int


def shape(value: object) -> tuple[int, ...] | None:
    """Rows and columns of a frame, the sizes of an array, None for everything else."""
    for library, kinds in (("pandas", ("DataFrame", "Series")), ("numpy", ("ndarray",))):
        module = sys.modules.get(library)  # a value of it cannot be there without it
        if module is not None and type(value) in {getattr(module, kind) for kind in kinds}:
            return tuple(map(int, value.shape))  # type: ignore[attr-defined] # these have one
    return None


def one_line(text: str) -> str:
    """The start of a text on one line, without keys.

    >>> one_line("a    b")
    'a b'
    """
    words = redact(text[:_READ_CHARACTERS]).split()
    if len(text) > _READ_CHARACTERS and len(words) > 1:
        words.pop()  # cut in its middle, it could be half of a key
    line = " ".join(words)
    return line if len(line) <= MOST_CHARACTERS else f"{line[: MOST_CHARACTERS - 1].rstrip()}…"


def many(count: int, noun: str) -> str:
    """``1 row``, ``1,200 rows``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _look(value: object) -> Look:
    kind = type(value)
    if kind is str:
        return _look_of_text(str(value))
    if is_plain(value):
        return Look("", one_line(str(value)))
    if (sizes := shape(value)) is not None:
        return Look(_sized(kind.__name__, sizes), "")
    if kind in _SIZED:
        noun = _SIZED[kind]
        preview = one_line(_brief(value, _DEEPEST)) if kind in _BRACKETS or kind is dict else ""
        return Look(f"{kind.__name__}, {many(len(value), noun)}", preview)  # type: ignore[arg-type] # these have a length
    if kind is int:
        return Look("a very large whole number", "")
    return Look(f"{kind.__name__[:MOST_CHARACTERS]} object", "")


def _look_of_text(text: str) -> Look:
    counted = len(text) <= _COUNTED_CHARACTERS
    about = tokens.estimate(text) if counted else tokens.of_bytes(len(text))
    return Look(many(about, "token"), one_line(text) if text else "(empty)")


def _sized(kind: str, sizes: tuple[int, ...]) -> str:
    if kind == "DataFrame":
        return f"{kind}, {many(sizes[0], 'row')}{_TIMES}{many(sizes[1], 'column')}"
    return f"{kind}, {_TIMES.join(f'{size:,}' for size in sizes)}"


def _brief(value: object, depth: int) -> str:
    """Like ``repr``, of the first few items, and only of what Python itself brings."""
    kind = type(value)
    if kind is str:
        return repr(value[:MOST_CHARACTERS])  # type: ignore[index] # its type is str
    if is_plain(value):
        return str(value)
    if kind in _BRACKETS or kind is dict:
        return _CONTAINERS[kind](value, depth) if depth else "…"
    return kind.__name__


def _brief_items(value: Any, depth: int) -> str:  # noqa: ANN401 - a list or a tuple
    opening, closing = _BRACKETS[type(value)]
    items = [_brief(item, depth - 1) for item in value[:_ITEMS]]
    more = ["…"] if len(value) > _ITEMS else []
    return f"{opening}{', '.join([*items, *more])}{closing}"


def _brief_dict(value: Any, depth: int) -> str:  # noqa: ANN401 - a dict
    names = list(value)[:_ITEMS] if len(value) <= _READ_CHARACTERS else []
    items = [f"{_brief(name, 0)}: {_brief(value[name], depth - 1)}" for name in names]
    more = ["…"] if len(value) > len(names) else []
    return f"{{{', '.join([*items, *more])}}}"


_BRACKETS: dict[type, tuple[str, str]] = {list: ("[", "]"), tuple: ("(", ")")}
_CONTAINERS: dict[type, Callable[[Any, int], str]] = {
    list: _brief_items,
    tuple: _brief_items,
    dict: _brief_dict,
}
_SIZED: dict[type, str] = {
    **dict.fromkeys((list, tuple, dict, set, frozenset), "item"),
    **dict.fromkeys((bytes, bytearray), "byte"),
}

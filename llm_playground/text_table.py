"""Tables as text: as many of the first columns as a width has room for, and texts cut to fit."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

_FEW = 8  # up to so many columns, texts may be cut to `_SHORTEST`; with more, to `_SHORT`
_SHORTEST, _SHORT = 10, 24


@dataclass(frozen=True, slots=True)
class Column:
    """The name of a column and its cells, each on one line."""

    name: str
    cells: Sequence[str]
    is_figure: bool = False  # aligned right
    is_cut: bool = False  # whether its cells may be cut


def table(columns: Sequence[Column], width: int | None) -> tuple[str, int]:
    """A table of at most ``width`` characters a line, and how many of the columns it has.

    The first two columns are there in any case. A width of None is any. Names are written in
    several lines, broken at underscores, where their columns are narrow.

    >>> text, _ = table([Column("", ["0"]), Column("a", ["a long text"], is_cut=True)], 12)
    >>> print(text)
      a
    0 a long te…
    """
    longest = [max(_cells_width(each), _width(each.name)) for each in columns]
    if width is None or sum(longest) + 2 * (len(columns) - 1) <= width:
        widths, gap = longest, "  "
    else:
        widths, gap = _fitted(columns, longest, width), " "
    shown = list(zip(columns, widths, strict=False))
    heads = [_broken(column.name, size) for column, size in shown]
    height = max(map(len, heads), default=0)
    rows = zip(
        *(
            [""] * (height - len(head)) + head + [_cut(cell, size) for cell in column.cells]
            for head, (column, size) in zip(heads, shown, strict=True)
        ),
        strict=True,
    )
    lines = (gap.join(map(_aligned, row, shown)).rstrip() for row in rows)
    return "\n".join(lines), len(shown)


def _fitted(columns: Sequence[Column], longest: Sequence[int], width: int) -> list[int]:
    """The widths of the columns that fit; what they leave goes to the narrowest that need it."""
    for number in range(len(columns), 1, -1):
        shortest = _SHORTEST if number <= _FEW else _SHORT
        widths = [_least(column, shortest) for column in columns[:number]]
        room = width - sum(widths) - (number - 1)
        if room >= 0 or number == 2:
            break
    else:
        return list(longest)
    for wanted in ([_cells_width(column) for column in columns[:number]], longest[:number]):
        while room > 0 and any(size < most for size, most in zip(widths, wanted, strict=True)):
            narrow = [at for at in range(number) if widths[at] < wanted[at]]
            widths[min(narrow, key=widths.__getitem__)] += 1
            room -= 1
    return widths


def _least(column: Column, shortest: int) -> int:
    cells = _cells_width(column)
    pieces = _broken(column.name, 0)
    return max(min(cells, shortest) if column.is_cut else cells, *map(_width, pieces))


def _cells_width(column: Column) -> int:
    return max(map(_width, column.cells), default=0)


def _broken(name: str, width: int) -> list[str]:
    """A name in lines of a width, broken after underscores.

    >>> _broken("response_time_ms", 10), _broken("cost_usd", 8)
    (['response_', 'time_ms'], ['cost_usd'])
    """
    lines = [""]
    *before, last = name.split("_")
    for piece in (*(f"{each}_" for each in before), last):
        if lines[-1] and _width(lines[-1] + piece) > width:
            lines.append(piece)
        else:
            lines[-1] += piece
    return lines


def _cut(text: str, width: int) -> str:
    """A text in a width: its beginning, or its end where that distinguishes paths and models.

    >>> _cut("Sum up the text", 9), _cut("openai:gpt-6-luna", 9)
    ('Sum up t…', '…t-6-luna')
    """
    if _width(text) <= width:
        return text
    if " " not in text and (":" in text or "/" in text):
        return "…" + _beginning(text[::-1], width - 1)[::-1]
    return _beginning(text, width - 1) + "…"


def _beginning(text: str, width: int) -> str:
    while _width(text) > width:
        text = text[:-1]
    return text


def _width(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(map(_columns_of, text))


def _columns_of(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _aligned(cell: str, of: tuple[Column, int]) -> str:
    column, width = of
    blanks = " " * (width - _width(cell))
    return blanks + cell if column.is_figure else cell + blanks

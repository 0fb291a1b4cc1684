"""Runs as CSV (RFC 4180, UTF-8): safe to open in a spreadsheet, and readable again without loss.

A spreadsheet takes a cell that begins with ``=``, ``+``, ``-`` or ``@`` for a formula, and an
answer may be one. Such texts get an apostrophe in front, which reading takes away again. Numbers
are numbers: they get none. None is an empty cell, an empty text is ``""``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal

from llm_playground.exporting.as_json import amount
from llm_playground.exporting.columns import COLUMNS, Row

# What spreadsheets evaluate, or skip before they do; full-width signs too. An apostrophe that
# stands before it already is one of the text's own, and one more tells it apart.
_FORMULA = re.compile(r"'*(?:[\t\r\n]|\s*[=+\-@\uff1d\uff0b\uff0d\uff20])")
_TO_QUOTE = re.compile(r'[",\r\n]|^\s|\s$')
_CELL = re.compile(r'(?:"([^"]*(?:""[^"]*)*)"|([^",\r\n]*))(,|\r\n|\n|\r|\Z)')


def text(rows: Iterable[Row]) -> str:
    """A head with the columns' names and a line a run, each ending in CR LF."""
    lines = [",".join(COLUMNS), *(",".join(map(cell, row.values())) for row in rows)]
    return "".join(f"{line}\r\n" for line in lines)


def read(csv: str) -> Iterator[list[str | None]]:
    r"""The cells of each line, apostrophes taken away; None for an empty cell.

    Raises:
        ValueError: It is no CSV; says where.

    >>> list(read("a,b\n,'=1"))
    [['a', 'b'], [None, '=1']]
    """
    cells: list[str | None] = []
    at, line = 0, 1
    while at < len(csv):
        found = _CELL.match(csv, at)
        if found is None:
            raise ValueError(f"line {line}")
        quoted, bare, end = found.groups()
        said = bare or None if quoted is None else quoted.replace('""', '"')
        cells.append(said and _undone(said))
        at = found.end()
        if end == "," and at == len(csv):
            cells.append(None)
        if end != "," or at == len(csv):
            yield cells
            cells, line = [], line + 1


def cell(value: object) -> str:
    """A value as a cell; None as an empty one."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return amount(value)
    if isinstance(value, (int, float)):
        return repr(value)
    if not isinstance(value, str):
        value = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return _text(value)


def _text(value: str) -> str:
    if _FORMULA.match(value):
        value = f"'{value}"
    if value and not _TO_QUOTE.search(value):
        return value
    return '"' + value.replace('"', '""') + '"'


def _undone(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell

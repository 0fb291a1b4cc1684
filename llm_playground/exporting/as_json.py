"""Runs as JSON: exact, and the form in which they are imported again.

``{"format": "llm_playground.runs", "version": 1, "runs": [...]}``, each run an object with the
columns of the view ``runs``, one to a line. Costs are numbers with all their digits: who reads them
as decimals (``json.loads(text, parse_float=decimal.Decimal)``) has them exactly.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from llm_playground.exporting.columns import Row

FORMAT = "llm_playground.runs"
VERSION = 1


def text(rows: Iterable[Row]) -> str:
    """The whole document, one run to a line, ending in a newline."""
    runs = ",\n".join(map(_line, rows))
    head = f'{{"format": "{FORMAT}", "version": {VERSION}, "runs": ['
    return f"{head}\n{runs}\n]}}\n" if runs else f"{head}]}}\n"


def document(rows: Iterable[Row]) -> dict[str, Any]:
    """The same as plain JSON values; a cost that no float is exactly is text.

    >>> document([])
    {'format': 'llm_playground.runs', 'version': 1, 'runs': []}
    """
    runs = [{name: _value(value) for name, value in row.items()} for row in rows]
    return {"format": FORMAT, "version": VERSION, "runs": runs}


def amount(value: Decimal) -> str:
    """An amount with the digits it needs, never in exponents.

    >>> amount(Decimal("0.000001500000")), amount(Decimal("1E+2"))
    ('0.0000015', '100')
    """
    return f"{value.normalize():f}"


def _line(row: Row) -> str:
    pairs = (f"{json.dumps(name)}: {_literal(value)}" for name, value in row.items())
    return "{" + ", ".join(pairs) + "}"


def _literal(value: object) -> str:
    if isinstance(value, Decimal):
        return amount(value)
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _value(value: object) -> object:
    if not isinstance(value, Decimal):
        return value
    near = float(value)
    return near if Decimal(repr(near)) == value else amount(value)

"""Runs as a Parquet file with the columns and types of the view ``runs``.

Times are timestamps in UTC, costs DECIMAL(18, 12) with all digits, tags and the hashes of
attachments lists of texts. Columns with JSON of any shape, such as parameters, are text, which
DuckDB reads as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from llm_playground.exporting.rows import Row
from llm_playground.runlog import parquet
from llm_playground.runlog.rows import RUN_TYPES

_LISTS = ("tags", "attachments")
COLUMNS = {name: "VARCHAR[]" if name in _LISTS else kind for name, kind in RUN_TYPES.items()}
_NOTES = {"format": "llm_playground.runs", "version": "1"}


def to_parquet(rows: Sequence[Row]) -> bytes:
    """The rows as the bytes of a file, in their order.

    >>> to_parquet([])[:4]
    b'PAR1'
    """
    lines = [[_text(row[name], kind) for name, kind in COLUMNS.items()] for row in rows]
    return parquet.to_parquet(COLUMNS, lines, _NOTES)


def _text(value: Any, kind: str) -> str | None:  # noqa: ANN401 - a JSON value is any of six types
    """A value as text that DuckDB converts to the type."""
    if value is None:
        return None
    if kind in ("VARCHAR", "TIMESTAMPTZ"):
        return str(value)
    if kind == "VARCHAR[]":
        value = value if isinstance(value, list) else [value]
        return json.dumps([one if isinstance(one, str) else json.dumps(one) for one in value])
    return f"{value:f}" if isinstance(value, Decimal) else json.dumps(value)

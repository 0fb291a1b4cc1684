"""Runs made small enough to be kept in a notebook."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from llm_playground.exporting import as_json
from llm_playground.exporting.columns import Row, clean

_TEXTS = ("system_prompt", "user_prompt", "response_text", "reasoning_text", "error_message")
_FORM_TEXTS = ("prompt", "system")
_SHARE_OF_FORM = 8
_WORTH_IT = 70


def fitted(rows: Sequence[Row], most_bytes: int) -> list[Row]:
    """The rows with their longest texts cut so that the document takes ``most_bytes`` at most.

    When no text is left to cut, the last rows are left out.
    """
    if _size(rows) <= most_bytes:
        return list(rows)
    shortest = [_cut_row(row, 0) for row in rows]
    if _size(shortest) > most_bytes:
        return _as_many_as_fit(shortest, most_bytes)
    fits, too_long = 0, max(len(row[name] or "") for row in rows for name in _TEXTS)
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if _size([_cut_row(row, middle) for row in rows]) <= most_bytes:
            fits = middle
        else:
            too_long = middle
    return [_cut_row(row, fits) for row in rows]


def form_cut(form: Mapping[str, Any], most_bytes: int) -> dict[str, Any]:
    """The form without keys, its texts no longer than a part of ``most_bytes``."""
    most = max(most_bytes // _SHARE_OF_FORM, 0)
    texts = {name: cut(clean(str(form.get(name) or "")), most) for name in _FORM_TEXTS}
    return {**form, **texts}


def cut(text: str, most: int) -> str:
    """A text's first ``most`` characters, with how many are missing.

    A text that saying so would make no shorter stays as it is.

    >>> cut("a" * 100, 2)
    'aa… [98 more characters are not kept in the notebook]'
    """
    missing = len(text) - most
    if missing <= _WORTH_IT:
        return text
    return f"{text[:most]}… [{missing:,} more characters are not kept in the notebook]"


def _cut_row(row: Row, most: int) -> Row:
    shorter = {name: cut(row[name], most) for name in _TEXTS if row[name] is not None}
    return {**row, **shorter}


def _as_many_as_fit(rows: Sequence[Row], most_bytes: int) -> list[Row]:
    kept: list[Row] = []
    for row in rows:
        if _size([*kept, row]) > most_bytes:
            break
        kept.append(row)
    return kept


def _size(rows: Sequence[Row]) -> int:
    """The most that any program needs to write the runs: indented, with every sign escaped."""
    return len(json.dumps(as_json.document(rows), indent=1))

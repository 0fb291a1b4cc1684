"""What was filled into a prompt: a case, the values of ``{{name}}``, the prompt as it was written.

An execution has its inputs, so that its runs can be joined with the table that the cases came from.
They are stored as one JSON object in the column ``inputs``, whose values keep their types: those
that JSON lacks are named in ``types``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

# Longer values are not stored, unless they are in the prompt: they would be copied for each run.
_MOST_CHARACTERS = 10_000
_TIMEDELTA_STEP = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Case:
    """A row of the table that the cases come from: its label and the values of its columns."""

    label: str
    row: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Inputs:
    """What was filled into the prompts of an execution.

    ``values`` has the text of each ``{{name}}``. ``prompt`` and ``system`` are the prompts with
    ``{{name}}`` as written; None where the request has them as they are.
    """

    case: Case | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    prompt: str | None = None
    system: str | None = None

    @property
    def columns(self) -> dict[str, Any]:
        """The columns of the case, then the values that are not among them.

        >>> Inputs(Case("case 1", {"id": 7}), {"id": "7", "tone": "dry"}).columns
        {'id': 7, 'tone': 'dry'}
        """
        row = {} if self.case is None else self.case.row
        return {**row, **{name: text for name, text in self.values.items() if name not in row}}

    def as_json(self) -> dict[str, Any]:
        """A JSON object, read again by :func:`inputs_from_json`.

        >>> Inputs(Case("case 1", {"day": date(2026, 3, 1)})).as_json()
        {'case': 'case 1', 'row': {'day': '2026-03-01'}, 'types': {'day': 'date'}}
        """
        row = {} if self.case is None else self.case.row
        written = {name: _written(value) for name, value in row.items()}
        found = {
            "case": None if self.case is None else self.case.label,
            "row": {name: value for name, (_, value) in written.items()},
            "types": {name: kind for name, (kind, _) in written.items() if kind},
            "values": dict(self.values),
            "prompt": self.prompt,
            "system": self.system,
        }
        return {name: value for name, value in found.items() if value not in (None, {})}


def inputs_from_json(value: object) -> Inputs | None:
    """The inputs in a JSON object or its text; None for anything else.

    >>> inputs_from_json('{"case": "a", "row": {"n": 1}, "types": {}}').columns
    {'n': 1}
    """
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    if not isinstance(value, Mapping):
        return None
    label, row, types = value.get("case"), _mapping(value, "row"), _mapping(value, "types")
    read = {name: _read(types.get(name), item) for name, item in row.items()}
    return Inputs(
        Case("" if label is None else str(label), read) if label is not None or read else None,
        {name: str(text) for name, text in _mapping(value, "values").items()},
        _text(value, "prompt"),
        _text(value, "system"),
    )


def _mapping(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = value.get(name)
    return found if isinstance(found, Mapping) else {}


def _text(value: Mapping[str, Any], name: str) -> str | None:
    found = value.get(name)
    return found if isinstance(found, str) else None


def storable_row(row: Mapping[Any, Any], used: Collection[str] = ()) -> dict[str, Any]:
    """The columns of a table's row that are stored: single values, and lists of them.

    Missing values of every library are None, values of numpy and pandas those of Python. Objects,
    and columns that are longer than a page and not among those ``used`` in the prompt, are left
    out.

    >>> storable_row({"id": 7, "score": float("nan"), "picture": object()})
    {'id': 7, 'score': None}
    """
    stored: dict[str, Any] = {}
    for name, value in row.items():
        plain = _plain(value)
        if plain is not _NOT_STORED and (str(name) in used or _is_short(plain)):
            stored.setdefault(str(name), plain)
    return stored


_NOT_STORED = object()


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever stands in a table
    if value is None or isinstance(value, (str, bool, int, Decimal)):
        return value
    if isinstance(value, float):
        return None if math.isnan(value) else float(value)
    if isinstance(value, datetime):
        return _plain_moment(value)
    if isinstance(value, (date, time)):
        return value
    if isinstance(value, timedelta):  # pandas' own is one too
        return value // _TIMEDELTA_STEP * _TIMEDELTA_STEP if value == value else None
    if isinstance(value, UUID):
        return str(value)
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    if type(value).__module__ == "numpy" and getattr(value, "ndim", 1) == 0:
        return _plain(value.item())
    if isinstance(value, (list, tuple, dict)):
        return value if _written_json(value) is not None else _NOT_STORED
    return _NOT_STORED


def _plain_moment(value: datetime) -> datetime | None:
    if value != value:  # pandas' NaT
        return None
    to_python = getattr(value, "to_pydatetime", None)
    moment: datetime = value if to_python is None else to_python(warn=False)
    return moment


def _is_short(value: object) -> bool:
    if isinstance(value, (list, tuple, dict)):
        return len(_written_json(value) or "") <= _MOST_CHARACTERS
    return not isinstance(value, str) or len(value) <= _MOST_CHARACTERS


def _written_json(value: object) -> str | None:
    try:
        return json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return None


# Of each type that JSON lacks: its name, how it is written and read.
_TYPES: dict[type, tuple[str, Callable[[Any], Any], Callable[[Any], Any]]] = {
    datetime: ("datetime", datetime.isoformat, datetime.fromisoformat),
    date: ("date", date.isoformat, date.fromisoformat),
    time: ("time", time.isoformat, time.fromisoformat),
    timedelta: ("seconds", timedelta.total_seconds, lambda seconds: timedelta(seconds=seconds)),
    Decimal: ("decimal", str, Decimal),
}
_INFINITE = "float"  # JSON has finite numbers only
_READERS = {name: read for name, _, read in _TYPES.values()} | {_INFINITE: float}


def _written(value: Any) -> tuple[str, Any]:  # noqa: ANN401 - a value of `storable_row`
    """The name of a type that JSON lacks, else empty, and the value in JSON."""
    for kind, (name, write, _) in _TYPES.items():
        if isinstance(value, kind):
            return name, write(value)
    if isinstance(value, float) and math.isinf(value):
        return _INFINITE, str(value)
    return "", value


def _read(kind: object, value: Any) -> Any:  # noqa: ANN401 - a JSON value
    """The value of a type; as it is in JSON if it is none, such as one that privacy masked."""
    reader = _READERS.get(str(kind))
    if reader is None or value is None:
        return value
    try:
        return reader(value)
    except (ValueError, TypeError, ArithmeticError):
        return value

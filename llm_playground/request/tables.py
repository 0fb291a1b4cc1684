"""Tables whose rows are cases: each row fills the ``{{name}}`` of a prompt.

A notebook may hold objects whose ``str`` raises or never ends, and frames of a gigabyte. Only the
type and the first row of a value are looked at to find out whether it is a table. pandas is not
imported here: without it, no value can be a frame.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeAlias, overload
from uuid import UUID

from llm_playground import inputs
from llm_playground.errors import InvalidParameterError
from llm_playground.request.templates import names

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 1_000
_REPORTS = "llm_playground.frames"
_MOST_COLUMNS_NAMED = 7
_MOST_INT_BITS = 1_000
_MOST_LABEL_CHARACTERS = 40  # of a case's values in the heading of its answer
_SIMPLE_TYPES = frozenset(
    (
        *(str, bool, int, float, complex, type(None), Decimal, Fraction),
        *(date, datetime, time, timedelta, UUID),
    )
)

# The values that a row gives to the variables of a prompt, by name.
CaseValues: TypeAlias = Mapping[str, object]


def is_simple(value: object) -> bool:
    """Whether calling ``str`` on the value is fast and safe.

    >>> is_simple(3), is_simple(object())
    (True, False)
    """
    kind = type(value)
    return kind in _SIMPLE_TYPES and not (kind is int and int.bit_length(value) > _MOST_INT_BITS)  # type: ignore[arg-type] # its type is int


def is_of(value: object, library: str, *kinds: str) -> bool:
    """Whether a value is of one of a library's types; it cannot be if that is not imported.

    A frame of a report is a DataFrame.
    """
    module = sys.modules.get(library)
    own = next(base for base in type(value).__mro__ if base.__module__ != _REPORTS)
    # A module that is being imported in another thread does not have its types yet.
    return any(own is getattr(module, kind, None) for kind in kinds)


@dataclass(frozen=True, slots=True)
class Table:
    """A table; ``label`` is the variable's name, or the type of a value that has none."""

    label: str
    rows: int
    columns: tuple[str, ...]
    data: Any  # a DataFrame, or a list of dicts

    @property
    def usable_columns(self) -> tuple[str, ...]:
        """The columns that can be named in a prompt."""
        return tuple(c for c in self.columns if names(f"{{{{{c}}}}}") == [c])

    def as_dict(self) -> dict[str, Any]:
        """The table as the view shows it."""
        return {"label": self.label, "rows": self.rows, "columns": list(self.columns)}


def table_from(value: object, label: str) -> Table | None:
    """A value as a table, or None. Only its type and its first row are looked at."""
    data: Any = value
    if is_of(value, "pandas", "DataFrame"):
        titles: Iterable[object] = data.columns[:MOST_ROWS]
    elif type(value) in {list, tuple} and value and type(data[0]) is dict:
        titles = data[0]
    else:
        return None
    columns = (str(c) if is_simple(c) else f"a {type(c).__name__}" for c in titles)
    return Table(label, len(data), tuple(columns), data)


def table_of_cases(cases: object) -> Table:
    """The table of an argument ``cases``: a DataFrame, a list of dicts, a table of polars or Arrow.

    Raises:
        InvalidParameterError: It is none of these.
    """
    for method in ("to_dicts", "to_pylist"):
        if callable(to_list := getattr(cases, method, None)):
            return checked_table(to_list(), "cases", "")
    return checked_table(cases, "cases", f"got {type(cases).__name__}")


def checked_table(value: object, label: str, description: str) -> Table:
    """As :func:`table_from`; ``description`` says what the value is if it is no table.

    Raises:
        InvalidParameterError: It is no table.
    """
    if (table := table_from(value, label)) is not None:
        return table
    if isinstance(value, (list, tuple)):
        kind = f"rows of type {type(value[0]).__name__}" if value else "no rows"
        description = f"{label} has {kind}"
    raise InvalidParameterError(
        f"Cases are the rows of a DataFrame or of a list of dicts; {description}."
    )


def cases_of(table: Table | None, wanted: Sequence[str]) -> list[CaseValues]:
    """The values of the columns named in the prompt, row by row; without a table, an empty list.

    Raises:
        InvalidParameterError: The table has no rows or too many, none of its columns is named in
            the prompt, or a value is missing.
    """
    if table is None:
        return []
    if not table.rows:
        raise InvalidParameterError(f"{table.label} has no rows, so there are no cases.")
    if table.rows > MOST_ROWS:
        raise InvalidParameterError(
            f"{table.label} has {table.rows:,} rows; the playground takes at most {MOST_ROWS:,}. "
            f"Choose a part of it, such as {table.label}[:{MOST_ROWS}]."
        )
    used = [name for name in wanted if name in table.usable_columns]
    if not used:
        raise InvalidParameterError(_no_column_named(table, wanted))
    is_list = isinstance(table.data, (list, tuple))
    return _cases_of_list(table, used) if is_list else _cases_of_frame(table, used)


def _no_column_named(table: Table, wanted: Sequence[str]) -> str:
    more = len(table.columns) - _MOST_COLUMNS_NAMED
    shown = [*table.columns[:_MOST_COLUMNS_NAMED], *([f"{more:,} more"] if more > 0 else [])]
    if not table.usable_columns:
        return (
            f"No column of {table.label} can be named in a prompt: a name is letters, digits "
            f"and _. It has {', '.join(shown)}."
        )
    instead = f", only {{{{{wanted[0]}}}}}" if wanted else ""
    return (
        f"No column of {table.label} is named in the prompt{instead}. "
        f"Write {{{{{_likely_column(table)}}}}}; it has {', '.join(shown)}."
    )


def _likely_column(table: Table) -> str:
    """The column with the longest text in the first row: the first column often holds ids."""
    row = TableRows(table)[0]
    values = {name: row.get(name) for name in table.usable_columns}
    return max(values, key=lambda name: len(text) if isinstance(text := values[name], str) else 0)


def _cases_of_frame(table: Table, used: Sequence[str]) -> list[CaseValues]:
    frame: pd.DataFrame = table.data
    columns = {name: frame.iloc[:, table.columns.index(name)] for name in used}
    for name, column in columns.items():
        if (empty := column.isna()).any():
            raise _missing_value(table, int(empty.to_numpy().argmax()), name)
    values = {name: column.tolist() for name, column in columns.items()}
    return [{name: values[name][at] for name in used} for at in range(table.rows)]


def _cases_of_list(table: Table, used: Sequence[str]) -> list[CaseValues]:
    cases: list[CaseValues] = []
    for at, row in enumerate(table.data):
        if type(row) is not dict:
            raise InvalidParameterError(
                f"Row {at + 1:,} of {table.label} is a {type(row).__name__}, not a dict."
            )
        for name in used:
            if row.get(name) is None:
                raise _missing_value(table, at, name)
        cases.append({name: row[name] for name in used})
    return cases


class TableRows(Sequence[Mapping[str, object]]):
    """The rows of a table with all their columns, read when the first is asked for.

    A price needs the columns that are named in the prompt only, and is computed at each key.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self._rows: Sequence[Mapping[str, object]] | None = None

    def __len__(self) -> int:
        return self._table.rows

    @overload
    def __getitem__(self, at: int) -> Mapping[str, object]: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Mapping[str, object]]: ...
    def __getitem__(self, at: int | slice) -> Mapping[str, object] | Sequence[Mapping[str, object]]:
        if self._rows is None:
            self._rows = self._read()
        return self._rows[at]

    def _read(self) -> Sequence[Mapping[str, object]]:
        data = self._table.data
        if isinstance(data, (list, tuple)):
            return [*data]
        # Of columns with the same name, the first fills the prompt.
        names = dict.fromkeys(self._table.columns)
        columns = [data.iloc[:, self._table.columns.index(name)].tolist() for name in names]
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _missing_value(table: Table, at: int, name: str) -> InvalidParameterError:
    row = f"Row {at + 1:,} of {table.label}"
    return InvalidParameterError(f"{row} has no value in {name}. Fill it, or leave the row out.")


def text_of_case(case: CaseValues) -> str:
    """The values of a case that are texts or numbers, in one text.

    >>> text_of_case({"city": "Oslo", "n": 3})
    'Oslo, 3'
    """
    return ", ".join(str(one) for one in case.values() if isinstance(one, (str, int, float)))


def case_label(number: int, case: CaseValues) -> str:
    """``case 1: Oslo, 3`` where the values are short texts and numbers, else ``case 1``."""
    shown = text_of_case(case)
    is_short = 0 < len(shown) <= _MOST_LABEL_CHARACTERS and "\n" not in shown
    return f"case {number}: {shown}" if is_short else f"case {number}"


def inputs_of(
    case: inputs.Case | None, texts: Mapping[str, str], prompt: object, system: object
) -> inputs.Inputs:
    """What is filled into the prompts: ``texts`` by name, and the row of the case.

    >>> inputs_of(None, {"n": "3"}, "Say {{n}}.", None).prompt
    'Say {{n}}.'
    """
    if case is not None:
        case = replace(case, row=inputs.storable_row(case.row, texts))
    written = (text if isinstance(text, str) and names(text) else None for text in (prompt, system))
    return inputs.Inputs(case, texts, *written)

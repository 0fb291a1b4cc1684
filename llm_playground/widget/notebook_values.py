"""Values of the notebook in the panel: one-line previews, and tables whose rows are cases.

A notebook may hold objects whose ``str`` raises or never ends, and frames of a gigabyte. No method
is called that is not Python's own, and only the beginning of a value is looked at. pandas is not
imported here: without it, no value can be a frame.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeAlias, overload
from uuid import UUID

from llm_playground.catalog import estimates
from llm_playground.errors import InvalidParameterError
from llm_playground.formatting import count
from llm_playground.redaction import MASK, redact
from llm_playground.request.messages import names

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 1_000
_MOST_TABLES = 20
_MOST_COLUMNS_NAMED = 7
_MOST_CHARACTERS = 60
_MOST_ITEMS = 3
_MOST_DEPTH = 2
_READ_CHARACTERS = 1_000  # of a long text: enough for a line, and to recognise a key
_COUNTED_CHARACTERS = 4_000_000  # tokens of a longer text are estimated from its length
_MOST_INT_BITS = 1_000
_TIMES = " \N{MULTIPLICATION SIGN} "

# The value of a variable with such a name is never shown.
_SECRET_NAME = re.compile(r"(?i)(api_?key|secret|passw|credential|token$)")
_SIMPLE_TYPES = frozenset(
    (
        *(str, bool, int, float, complex, type(None), Decimal, Fraction),
        *(date, datetime, time, timedelta, UUID),
    )
)
_NOUN_OF_ITEMS: dict[type, str] = {
    **dict.fromkeys((list, tuple, dict, set, frozenset), "item"),
    **dict.fromkeys((bytes, bytearray), "byte"),
}

Case: TypeAlias = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Preview:
    """``detail`` is the type or size, ``text`` the beginning of the value; either may be empty."""

    detail: str
    text: str


def preview_of(name: str, value: object) -> Preview:
    """The preview of a variable's value.

    >>> preview_of("article", "Sales rose."), preview_of("n", 3)
    (Preview(detail='3 tokens', text='Sales rose.'), Preview(detail='', text='3'))
    """
    preview = _preview(value)
    is_secret = preview.text and _SECRET_NAME.search(name)
    return Preview(preview.detail, MASK) if is_secret else preview


def is_simple(value: object) -> bool:
    """Whether calling ``str`` on the value is fast and safe.

    >>> is_simple(3), is_simple(object())
    (True, False)
    """
    kind = type(value)
    return kind in _SIMPLE_TYPES and not (kind is int and int.bit_length(value) > _MOST_INT_BITS)  # type: ignore[arg-type] # its type is int


def one_line(text: str) -> str:
    """The beginning of a text on one line, without keys.

    >>> one_line("a    b")
    'a b'
    """
    words = redact(text[:_READ_CHARACTERS]).split()
    if len(text) > _READ_CHARACTERS and len(words) > 1:
        words.pop()  # the last word may be half a key, which is not recognised
    line = " ".join(words)
    return line if len(line) <= _MOST_CHARACTERS else f"{line[: _MOST_CHARACTERS - 1].rstrip()}…"


def _preview(value: object) -> Preview:
    kind = type(value)
    if kind is str:
        text = str(value)
        is_counted = len(text) <= _COUNTED_CHARACTERS
        tokens = estimates.estimate(text) if is_counted else estimates.of_bytes(len(text))
        return Preview(count(tokens, "token"), one_line(text) if text else "(empty)")
    if is_simple(value):
        return Preview("", one_line(str(value)))
    if kind is int:
        return Preview("a very large whole number", "")
    if _is_of(value, "pandas", "DataFrame", "Series") or _is_of(value, "numpy", "ndarray"):
        return Preview(_shape_in_words(value), "")
    if kind in _NOUN_OF_ITEMS:
        size = count(len(value), _NOUN_OF_ITEMS[kind])  # type: ignore[arg-type] # these have a length
        text = one_line(_short_repr(value, _MOST_DEPTH)) if kind in _CONTAINERS else ""
        return Preview(f"{kind.__name__}, {size}", text)
    return Preview(f"{kind.__name__[:_MOST_CHARACTERS]} object", "")


def _is_of(value: object, library: str, *kinds: str) -> bool:
    """Whether a value is of one of a library's types; it cannot be if that is not imported."""
    module = sys.modules.get(library)
    # A module that is being imported in another thread does not have its types yet.
    return any(type(value) is getattr(module, kind, None) for kind in kinds)


def _shape_in_words(value: Any) -> str:  # noqa: ANN401 - a frame, a series or an array
    kind, sizes = type(value).__name__, value.shape
    if kind == "DataFrame":
        return f"{kind}, {count(sizes[0], 'row')}{_TIMES}{count(sizes[1], 'column')}"
    return f"{kind}, {_TIMES.join(f'{size:,}' for size in sizes)}"


def _short_repr(value: object, depth: int) -> str:
    """As ``repr``, of the first items and of Python's own types only."""
    kind = type(value)
    if kind is str:
        return repr(value[:_MOST_CHARACTERS])  # type: ignore[index] # its type is str
    if is_simple(value):
        return str(value)
    if kind in _CONTAINERS:
        return _CONTAINERS[kind](value, depth) if depth else "…"
    return kind.__name__


def _short_sequence(value: Any, depth: int) -> str:  # noqa: ANN401 - a list or a tuple
    items = [_short_repr(item, depth - 1) for item in value[:_MOST_ITEMS]]
    more = ["…"] if len(value) > _MOST_ITEMS else []
    opening, closing = "[]" if type(value) is list else "()"
    return f"{opening}{', '.join([*items, *more])}{closing}"


def _short_dict(value: Any, depth: int) -> str:  # noqa: ANN401 - a dict
    names = list(value)[:_MOST_ITEMS] if len(value) <= _READ_CHARACTERS else []
    items = [f"{_short_repr(name, 0)}: {_short_repr(value[name], depth - 1)}" for name in names]
    more = ["…"] if len(value) > len(names) else []
    return f"{{{', '.join([*items, *more])}}}"


_CONTAINERS: dict[type, Callable[[Any, int], str]] = {
    list: _short_sequence,
    tuple: _short_sequence,
    dict: _short_dict,
}


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
    if _is_of(value, "pandas", "DataFrame"):
        titles: Iterable[object] = data.columns[:MOST_ROWS]
    elif type(value) in {list, tuple} and value and type(data[0]) is dict:
        titles = data[0]
    else:
        return None
    columns = (str(c) if is_simple(c) else f"a {type(c).__name__}" for c in titles)
    return Table(label, len(data), tuple(columns), data)


def available_tables(variables: Mapping[str, object], wanted: Iterable[str]) -> list[Table]:
    """The notebook's tables, sorted by how many of the wanted columns they have."""
    columns = frozenset(wanted)
    tables = [
        table
        for name, value in dict(variables).items()  # a copy: a running cell may add variables
        if not name.startswith("_") and name not in {"In", "Out"}
        if (table := table_from(value, name)) is not None and table.rows
    ]
    tables.sort(key=lambda table: -len(columns & set(table.columns)))
    return tables[:_MOST_TABLES]


def chosen_table(cases: object, variables: Mapping[str, object]) -> Table | None:
    """The table of a panel's ``cases``, which is a variable's name or a table itself, or None.

    Raises:
        InvalidParameterError: There is no such table.
    """
    if cases is None or (isinstance(cases, str) and not cases.strip()):
        return None
    if not isinstance(cases, str):
        name = type(cases).__name__
        return _table(cases, name, f"Got {name}")
    name = cases.strip()
    if not name.isidentifier():  # from the draft of a table without a name
        raise InvalidParameterError(
            "The table that was set from Python is no longer here. Set it again, or choose another."
        )
    if name not in variables:
        raise InvalidParameterError(
            f"The table {name} is not defined. Run the cell that defines it, or choose another."
        )
    return _table(variables[name], name, f"{name} is a {type(variables[name]).__name__}")


def _table(value: object, label: str, description: str) -> Table:
    if (table := table_from(value, label)) is not None:
        return table
    if isinstance(value, (list, tuple)) and not value:
        description = f"{label} has no rows"
    raise InvalidParameterError(
        f"Cases are the rows of a DataFrame or of a list of dicts; {description}."
    )


def cases_of(table: Table | None, wanted: Sequence[str]) -> list[Case]:
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
        raise InvalidParameterError(_no_column_named(table))
    is_list = isinstance(table.data, (list, tuple))
    return _cases_of_list(table, used) if is_list else _cases_of_frame(table, used)


def _no_column_named(table: Table) -> str:
    more = len(table.columns) - _MOST_COLUMNS_NAMED
    shown = [*table.columns[:_MOST_COLUMNS_NAMED], *([f"{more:,} more"] if more > 0 else [])]
    if not table.usable_columns:
        return (
            f"No column of {table.label} can be named in a prompt: a name is letters, digits "
            f"and _. It has {', '.join(shown)}."
        )
    return (
        f"No column of {table.label} is named in the prompt. "
        f"Write {{{{{table.usable_columns[0]}}}}}; it has {', '.join(shown)}."
    )


def _cases_of_frame(table: Table, used: Sequence[str]) -> list[Case]:
    frame: pd.DataFrame = table.data
    columns = {name: frame.iloc[:, table.columns.index(name)] for name in used}
    for name, column in columns.items():
        if (empty := column.isna()).any():
            raise _missing_value(table, int(empty.to_numpy().argmax()), name)
    values = {name: column.tolist() for name, column in columns.items()}
    return [{name: values[name][at] for name in used} for at in range(table.rows)]


def _cases_of_list(table: Table, used: Sequence[str]) -> list[Case]:
    cases: list[Case] = []
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
        columns = [data.iloc[:, at].tolist() for at in range(len(self._table.columns))]
        rows = zip(*columns, strict=True)
        return [dict(zip(self._table.columns, row, strict=True)) for row in rows]


def _missing_value(table: Table, at: int, name: str) -> InvalidParameterError:
    row = f"Row {at + 1:,} of {table.label}"
    return InvalidParameterError(f"{row} has no value in {name}. Fill it, or leave the row out.")


def cases_to_view(cases: object, _panel: object) -> object:
    """``cases`` as JSON: a name unchanged, a table that was set from Python as a description."""
    if cases is None or isinstance(cases, str):
        return cases
    table = table_from(cases, type(cases).__name__)
    return {"table": f"{table.label}, {count(table.rows, 'row')}" if table else "no table"}


def cases_from_view(data: object, panel: Any) -> object:  # noqa: ANN401 - the playground, whose module imports this one
    """The value of ``cases`` that a view sends: a description stands for the table in the panel."""
    return panel.cases if isinstance(data, Mapping) else data

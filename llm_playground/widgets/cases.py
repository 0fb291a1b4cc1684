"""Cases from a table: every row of a DataFrame or of a list of dicts is one case.

pandas is not imported: a frame cannot be there where nobody imported it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm_playground import template
from llm_playground.errors import InvalidParameterError
from llm_playground.widgets.previews import is_plain, many

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 1_000
_OFFERED = 20
_ASIDE = 7  # columns named in a message

Row = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Table:
    """A table that was found; ``label`` is the variable's name, or what was given instead."""

    label: str
    rows: int
    columns: tuple[str, ...]
    source: Any  # a DataFrame, or a list of dicts

    @property
    def usable(self) -> tuple[str, ...]:
        """The columns that can be named in a prompt."""
        return tuple(c for c in self.columns if template.names(f"{{{{{c}}}}}") == [c])

    def as_dict(self) -> dict[str, Any]:
        """What a view is told of it."""
        return {"label": self.label, "rows": self.rows, "columns": list(self.columns)}


def offered(variables: Mapping[str, object], wanted: Iterable[str]) -> list[Table]:
    """The notebook's tables, those first that have most of the wanted columns."""
    names = frozenset(wanted)
    # A copy: a cell may be making variables meanwhile.
    named = {name: value for name, value in dict(variables).items() if not _is_aside(name)}
    found = [read(value, name) for name, value in named.items()]
    tables = [table for table in found if table is not None and table.rows]
    tables.sort(key=lambda table: -len(names & set(table.columns)))  # else as they were made
    return tables[:_OFFERED]


def _is_aside(name: str) -> bool:
    """Whether IPython or a person's habit keeps a name out of sight."""
    return name.startswith("_") or name in {"In", "Out"}


def read(value: object, label: str) -> Table | None:
    """A value as a table, None when it is none. Looks at types and the first row only."""
    if _is_frame(value):
        frame: Any = value
        return Table(label, len(frame), tuple(map(_title, frame.columns[:MOST_ROWS])), frame)
    if type(value) in {list, tuple} and value and all(type(row) is dict for row in value[:1]):  # type: ignore[index] # it is a list
        rows: Sequence[dict[Any, Any]] = value  # type: ignore[assignment] # as above
        return Table(label, len(rows), tuple(map(_title, rows[0])), rows)
    return None


def chosen(given: object, variables: Mapping[str, object]) -> Table | None:
    """The table that a panel's ``cases`` names or is; None when there is none.

    Raises:
        InvalidParameterError: There is no such table.
    """
    if given is None or (isinstance(given, str) and not given.strip()):
        return None
    label = given.strip() if isinstance(given, str) else type(given).__name__
    if isinstance(given, str) and not label.isidentifier():  # a draft's, of a table without a name
        raise InvalidParameterError(
            "The table that was given from Python is not here any more. Give it again, or choose "
            "another."
        )
    if isinstance(given, str) and label not in variables:
        raise InvalidParameterError(
            f"The table {label} is not defined. Run the cell that defines it, or choose another."
        )
    value = variables[label] if isinstance(given, str) else given
    if (table := read(value, label)) is None:
        what = f"{label} is a {type(value).__name__}" if isinstance(given, str) else f"Got {label}"
        what = f"{label} has no rows" if isinstance(value, (list, tuple)) and not value else what
        raise InvalidParameterError(
            f"Cases are the rows of a DataFrame or of a list of dicts; {what}."
        )
    return table


def rows_of(table: Table | None, names: Sequence[str]) -> list[Row]:
    """A row's values of the columns that a prompt names, row by row.

    Args:
        table: The table; None has no rows.
        names: What the prompt names.

    Raises:
        InvalidParameterError: It has no rows or too many, no column of it is named in the prompt,
            or a value is missing.
    """
    if table is None:
        return []
    _check(table, names)
    used = [name for name in names if name in table.usable]
    return _READERS[_is_frame(table.source)](table, used)


def problem_of(table: Table, names: Sequence[str]) -> str:
    """What is wrong with a table for a prompt, in a line; empty when nothing is."""
    try:
        rows_of(table, names)
    except InvalidParameterError as error:
        return str(error)
    return ""


def _check(table: Table, names: Sequence[str]) -> None:
    if not table.rows:
        raise InvalidParameterError(f"{table.label} has no rows, so there are no cases.")
    if table.rows > MOST_ROWS:
        raise InvalidParameterError(
            f"{table.label} has {table.rows:,} rows; the playground takes at most {MOST_ROWS:,}. "
            f"Choose a part of it, such as {table.label}[:{MOST_ROWS}]."
        )
    if not set(names) & set(table.usable):
        raise InvalidParameterError(_nothing_named(table))


def _nothing_named(table: Table) -> str:
    if not table.usable:
        return (
            f"No column of {table.label} can be named in a prompt: a name is letters, digits "
            f"and _. It has {_listed(table.columns)}."
        )
    return (
        f"No column of {table.label} is named in the prompt. Write {{{{{table.usable[0]}}}}}; "
        f"it has {_listed(table.columns)}."
    )


def _listed(columns: Sequence[str]) -> str:
    more = [f"{len(columns) - _ASIDE:,} more"] if len(columns) > _ASIDE else []
    return ", ".join([*columns[:_ASIDE], *more])


def _rows_of_frame(table: Table, used: Sequence[str]) -> list[Row]:
    frame: pd.DataFrame = table.source
    columns = {name: frame.iloc[:, table.columns.index(name)] for name in used}
    for name, column in columns.items():
        if (empty := column.isna()).any():
            raise InvalidParameterError(_no_value(table, int(empty.to_numpy().argmax()), name))
    values = {name: column.tolist() for name, column in columns.items()}
    return [{name: values[name][at] for name in used} for at in range(table.rows)]


def _rows_of_list(table: Table, used: Sequence[str]) -> list[Row]:
    rows: list[Row] = []
    for at, row in enumerate(table.source):
        if type(row) is not dict:
            raise InvalidParameterError(
                f"Row {at + 1:,} of {table.label} is no dict but a {type(row).__name__}."
            )
        missing = next((name for name in used if row.get(name) is None), None)
        if missing is not None:
            raise InvalidParameterError(_no_value(table, at, missing))
        rows.append({name: row[name] for name in used})
    return rows


def _no_value(table: Table, at: int, name: str) -> str:
    return f"Row {at + 1:,} of {table.label} has no value in {name}. Fill it, or leave the row out."


_READERS: dict[bool, Callable[[Table, Sequence[str]], list[Row]]] = {
    True: _rows_of_frame,
    False: _rows_of_list,
}


def _is_frame(value: object) -> bool:
    pandas = sys.modules.get("pandas")
    # A module that is still being imported has no DataFrame yet.
    return pandas is not None and type(value) is getattr(pandas, "DataFrame", None)


def _title(column: object) -> str:
    return str(column) if is_plain(column) else f"a {type(column).__name__}"


def cases_to_view(given: object, _panel: object) -> object:
    """What a view is told of ``cases``: a name as it is, a table given from Python by its size."""
    if given is None or isinstance(given, str):
        return given
    table = read(given, type(given).__name__)
    return {"given": f"{table.label}, {many(table.rows, 'row')}" if table else "no table"}


def cases_from_view(told: object, panel: Any) -> object:  # noqa: ANN401 - the playground, which imports this
    """The value behind what a view was told: a table given from Python stays."""
    return panel.cases if isinstance(told, Mapping) else told

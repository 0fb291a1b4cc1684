"""Cases: the rows that fill ``{{name}}``, with what is expected of their answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, overload

from llm_playground.errors import InvalidParameterError
from llm_playground.request.tables import TableRows, table_of_cases

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Cases(Sequence[Mapping[str, Any]]):
    """Rows of a table, each of which fills the ``{{name}}`` of a prompt.

    Attributes:
        rows: The rows, by column.
        name: The name of the case set; None for a table that is not saved.
        version: The version of the case set, from 1.
        expected: The column with the expected answer.
        tags: The tags of each row, for slices; empty without tags.
        source_run_ids: The run that each row was kept from, or None; empty if none was.
    """

    rows: tuple[Mapping[str, Any], ...]
    name: str | None = None
    version: int | None = None
    expected: str | None = None
    tags: tuple[tuple[str, ...], ...] = ()
    source_run_ids: tuple[str | None, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, at: int) -> Mapping[str, Any]: ...
    @overload
    def __getitem__(self, at: slice) -> Cases: ...
    def __getitem__(self, at: int | slice) -> Mapping[str, Any] | Cases:
        if isinstance(at, int):
            return self.rows[at]
        return replace(
            self,
            rows=self.rows[at],
            tags=self.tags[at],
            source_run_ids=self.source_run_ids[at],
        )

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return iter(self.rows)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of all columns, in the order in which rows have them."""
        return tuple(dict.fromkeys(name for row in self.rows for name in row))

    @property
    def df(self) -> pd.DataFrame:
        """One row per case."""
        from llm_playground.frames import Frame, column  # pandas is imported on first use

        return Frame({name: column([row.get(name) for row in self.rows]) for name in self.columns})

    def expected_of(self, number: int) -> Any:  # noqa: ANN401 - a value of a table
        """The expected answer of a case, numbered from 0; None without an expected column."""
        return None if self.expected is None else self.rows[number].get(self.expected)

    def tags_of(self, number: int) -> tuple[str, ...]:
        """The tags of a case, numbered from 0."""
        return self.tags[number] if self.tags else ()


def cases_from(value: object, expected: str | None = None) -> Cases:
    """The cases of an argument ``cases``: a DataFrame, a list of dicts, a case set.

    Raises:
        InvalidParameterError: It is none of these, or has no column ``expected``.
    """
    cases = value if isinstance(value, Cases) else _of_table(value)
    cases = cases if expected is None else replace(cases, expected=expected)
    if cases.expected is not None and cases.expected not in cases.columns:
        raise InvalidParameterError(
            f"The cases have no column {cases.expected!r}, which expected= names; "
            f"they have {', '.join(cases.columns[:10])}."
        )
    return cases


def _of_table(value: object) -> Cases:
    table = table_of_cases(value)
    rows = TableRows(table)
    for number, row in enumerate(rows, 1):
        if type(row) is not dict:
            raise InvalidParameterError(
                f"Row {number:,} of the cases is a {type(row).__name__}, not a dict."
            )
    return Cases(tuple({str(name): one for name, one in row.items()} for row in rows))

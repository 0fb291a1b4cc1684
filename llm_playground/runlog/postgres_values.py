"""Rows of PostgreSQL as Python values and as frames, of the same types as DuckDB's.

In frames times are exact microseconds since 1970 of any century, JSON is text, DECIMAL is float.
This module imports psycopg, so it is imported only where a connection is open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from psycopg import postgres
from psycopg.adapt import Buffer, Loader
from psycopg.pq import Format
from psycopg.types.numeric import NumericBinaryLoader
from psycopg.types.string import TextLoader

from llm_playground.runlog import store
from llm_playground.runlog.postgres_admin import LOCK_WAIT_MS
from llm_playground.runlog.store import Table

if TYPE_CHECKING:
    import pandas as pd
    import psycopg

# PostgreSQL's types as DuckDB calls them, and numpy's for their columns.
_KINDS: dict[str, tuple[str, str]] = {
    **dict.fromkeys(("int2", "int4", "int8", "oid"), ("BIGINT", "int64")),
    "bool": ("BOOLEAN", "bool"),
    "float4": ("FLOAT", "float32"),
    "float8": ("DOUBLE", "float64"),
    "numeric": ("DECIMAL", "float64"),
    "timestamptz": ("TIMESTAMP WITH TIME ZONE", "datetime64[us]"),
    "timestamp": ("TIMESTAMP", "datetime64[us]"),
    "date": ("DATE", "datetime64[us]"),
    **dict.fromkeys(("text", "varchar", "bpchar", "name", "json", "jsonb"), ("VARCHAR", "object")),
    "uuid": ("UUID", "object"),
}
_OTHER = ("OTHER", "object")
# The first statement of a transaction that reads. On 200,000 runs, sorts in memory and plans that
# are not compiled save a third of the time of reports.
READING = (
    "SET TRANSACTION READ ONLY; SET LOCAL TimeZone = 'UTC'; "
    f"SET LOCAL lock_timeout = {LOCK_WAIT_MS}; SET LOCAL work_mem = '64MB'; SET LOCAL jit = off"
).encode()


def rows(
    connection: psycopg.Connection[Any], statement: str, values: Mapping[str, object]
) -> list[tuple[Any, ...]]:
    """The rows of a statement, with JSON and UUIDs as text."""
    with connection.cursor() as cursor:
        for kind in ("json", "jsonb", "uuid"):
            cursor.adapters.register_loader(kind, TextLoader)
        cursor.execute(statement.encode(), values)
        return cursor.fetchall() if cursor.description else []


def table(
    connection: psycopg.Connection[Any], statement: str, values: Mapping[str, object]
) -> Table:
    """The column names and rows of one statement, in a read-only transaction."""
    with connection.transaction(), connection.cursor(binary=True) as cursor:
        _execute_reading(connection, cursor, statement, values, AS_PYTHON)
        return _unique([column.name for column in cursor.description or ()]), cursor.fetchall()


def frame(
    connection: psycopg.Connection[Any], statement: str, values: Mapping[str, object]
) -> pd.DataFrame:
    """The rows of one statement as a frame, in a read-only transaction."""
    with connection.transaction(), connection.cursor(binary=True) as cursor:
        _execute_reading(connection, cursor, statement, values, AS_DUCKDB)
        names = [column.name for column in cursor.description or ()]
        kinds = [_kind(column.type_code) for column in cursor.description or ()]
        found = cursor.fetchall()
    columns = list(zip(*found, strict=True)) or [()] * len(names)
    arrays = [_masked(column, kind[1]) for column, kind in zip(columns, kinds, strict=True)]
    return store.frame(dict(zip(_unique(names), arrays, strict=True)), [kind[0] for kind in kinds])


def _execute_reading(
    connection: psycopg.Connection[Any],
    cursor: psycopg.Cursor[Any],
    statement: str,
    values: Mapping[str, object],
    loaders: Mapping[str, type[Loader]],
) -> None:
    connection.execute(READING)
    for kind, loader in loaders.items():
        cursor.adapters.register_loader(kind, loader)
    # Binary: values are not converted to text and back, and several statements are refused.
    cursor.execute(statement.encode(), values)


def _kind(oid: int) -> tuple[str, str]:
    known = postgres.types.get(oid)
    return _KINDS.get(known.name, _OTHER) if known else _OTHER


def _masked(column: Sequence[Any], dtype: str) -> Any:  # noqa: ANN401 - a masked numpy array
    import numpy as np

    mask = np.fromiter((value is None for value in column), bool, len(column))
    plain = np.empty(len(column), "int64" if dtype.startswith("datetime64") else dtype)
    if mask.any():
        filler = None if dtype == "object" else 0
        column = [filler if value is None else value for value in column]
    plain[:] = column
    return np.ma.array(plain.view(dtype) if plain.dtype != dtype else plain, mask=mask)


def _unique(names: Sequence[str]) -> list[str]:
    """Column names with equal ones numbered, as DuckDB does.

    >>> _unique(["a", "b", "a"])
    ['a', 'b', 'a_1']
    """
    unique: list[str] = []
    for name in names:
        count, free = 0, name
        while free in unique:
            count += 1
            free = f"{name}_{count}"
        unique.append(free)
    return unique


_MICROS_1970_TO_2000 = 946_684_800_000_000
_DAYS_1970_TO_2000 = 10_957
_MICROS_OF_A_DAY = 86_400_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _BinaryLoader(Loader):
    format = Format.BINARY


class Micros(_BinaryLoader):
    """Times as microseconds since 1970; infinity is None."""

    def load(self, data: Buffer) -> int | None:
        micros = int.from_bytes(data, "big", signed=True)
        infinite = abs(micros) >= (1 << 63) - 1  # plus or minus infinity
        return None if infinite else micros + _MICROS_1970_TO_2000


class Time(Micros):
    """Times as datetimes in UTC; None for infinity and for years that Python cannot represent."""

    def load(self, data: Buffer) -> datetime | None:  # type: ignore[override]  # not microseconds
        micros = super().load(data)
        try:
            return None if micros is None else _EPOCH + timedelta(microseconds=micros)
        except OverflowError:
            return None


class Days(_BinaryLoader):
    """Dates as microseconds since 1970; infinity is None."""

    def load(self, data: Buffer) -> int | None:
        days = int.from_bytes(data, "big", signed=True)
        infinite = abs(days) >= (1 << 31) - 1
        return None if infinite else (days + _DAYS_1970_TO_2000) * _MICROS_OF_A_DAY


class Json(_BinaryLoader):
    """JSON as text."""

    def load(self, data: Buffer) -> str:
        return bytes(data).lstrip(b"\x01").decode()  # jsonb begins with its version


class Float(NumericBinaryLoader):
    """Decimal numbers as float."""

    def load(self, data: Buffer) -> Any:  # noqa: ANN401 - its parent says Decimal
        return float(super().load(data))


class Uuid(_BinaryLoader):
    """UUIDs as text."""

    def load(self, data: Buffer) -> str:
        return str(UUID(bytes=bytes(data)))


_AS_TEXT: dict[str, type[Loader]] = {"json": Json, "jsonb": Json, "uuid": Uuid}
AS_PYTHON = _AS_TEXT | {"timestamptz": Time}
AS_DUCKDB = _AS_TEXT | {"timestamptz": Micros, "timestamp": Micros, "date": Days, "numeric": Float}

"""Rows of PostgreSQL as Python values and as frames, of the same types as DuckDB's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from llm_playground.runlog import frames

if TYPE_CHECKING:
    import pandas as pd
    import psycopg

# PostgreSQL's types as DuckDB calls them, and numpy's for their columns.
_KINDS: dict[str, tuple[str, str]] = {
    "int2": ("BIGINT", "int64"),
    "int4": ("BIGINT", "int64"),
    "int8": ("BIGINT", "int64"),
    "oid": ("BIGINT", "int64"),
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


def rows(
    connection: psycopg.Connection[Any], statement: str, values: Mapping[str, object]
) -> list[tuple[Any, ...]]:
    """What a statement gives back; JSON and UUIDs as text."""
    from psycopg.types.string import TextLoader

    with connection.cursor() as cursor:
        for kind in ("json", "jsonb", "uuid"):
            cursor.adapters.register_loader(kind, TextLoader)
        cursor.execute(statement.encode(), values)
        return cursor.fetchall() if cursor.description else []


def frame(
    connection: psycopg.Connection[Any], statement: str, values: Mapping[str, object]
) -> pd.DataFrame:
    """What one statement finds in a transaction that only reads."""
    from llm_playground.runlog.postgres_loaders import AS_DUCKDB  # needs psycopg

    with connection.transaction(), connection.cursor(binary=True) as cursor:
        connection.execute("SET TRANSACTION READ ONLY")
        connection.execute("SET LOCAL TimeZone = 'UTC'")
        for kind, loader in AS_DUCKDB.items():
            cursor.adapters.register_loader(kind, loader)
        # Binary: values come without a detour over text, and several statements are refused.
        cursor.execute(statement.encode(), values)
        names = [column.name for column in cursor.description or ()]
        kinds = [_kind(column.type_code) for column in cursor.description or ()]
        found = cursor.fetchall()
    columns = list(zip(*found, strict=True)) or [()] * len(names)
    arrays = [_masked(column, kind[1]) for column, kind in zip(columns, kinds, strict=True)]
    held = dict(zip(_told_apart(names), arrays, strict=True))
    return frames.frame(held, [kind[0] for kind in kinds])


def _kind(oid: int) -> tuple[str, str]:
    from psycopg import postgres

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


def _told_apart(names: Sequence[str]) -> list[str]:
    """Column names as DuckDB tells equal ones apart.

    >>> _told_apart(["a", "b", "a"])
    ['a', 'b', 'a_1']
    """
    told: list[str] = []
    for name in names:
        count, free = 0, name
        while free in told:
            count += 1
            free = f"{name}_{count}"
        told.append(free)
    return told

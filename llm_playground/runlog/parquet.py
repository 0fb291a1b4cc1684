"""Tables as Parquet files, written and read by DuckDB: typed columns, exact amounts.

Values are passed as texts, which DuckDB converts to the type of their column, so that amounts keep
all digits. The file is made in a private temporary folder, which is removed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from llm_playground.runlog.duckdb_file import OFFLINE
from llm_playground.runlog.store import quoted

_ROWS_PER_STATEMENT = 2_000
_NAME = "table.parquet"
_COLUMNS = "DESCRIBE SELECT * FROM read_parquet({file})"
_SIZE = "SELECT sum(total_uncompressed_size)::BIGINT FROM parquet_metadata({file})"


def to_parquet(
    columns: Mapping[str, str], rows: Sequence[Sequence[str | None]], notes: Mapping[str, str]
) -> bytes:
    """A Parquet file of a table.

    Args:
        columns: DuckDB's types by the names of the columns; lists are given as JSON.
        rows: The values of each row as texts.
        notes: Names and texts that the file holds beside the table.

    Raises:
        duckdb.Error: A value does not fit its column.

    >>> to_parquet({"cost_usd": "DECIMAL(18, 12)"}, [["0.1"], [None]], {})[:4]
    b'PAR1'
    """
    import duckdb

    made = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
    taken = ", ".join(_converted(number, kind) for number, kind in enumerate(columns.values()))
    kept = ", ".join(f"{name}: {quoted(text)}" for name, text in notes.items())
    options = f"FORMAT parquet, KV_METADATA {{{kept}}}" if kept else "FORMAT parquet"
    with (
        TemporaryDirectory(prefix="llm_playground-") as folder,
        duckdb.connect(":memory:", config=dict(OFFLINE)) as connection,
    ):
        connection.execute(f"CREATE TABLE made ({made})")
        for start in range(0, len(rows), _ROWS_PER_STATEMENT):
            batch = zip(*rows[start : start + _ROWS_PER_STATEMENT], strict=True)
            values = {f"c{number}": list(column) for number, column in enumerate(batch)}
            connection.execute(f"INSERT INTO made SELECT {taken}", values)
        path = Path(folder) / _NAME
        connection.execute(f"COPY made TO {quoted(str(path))} ({options})")
        return path.read_bytes()


def from_parquet(
    content: bytes, columns: Sequence[str], max_bytes: int
) -> list[dict[str, str | None]]:
    """The rows of a Parquet file with these columns as texts, as far as it has them.

    The first of the columns must be there. Lists are JSON, times are in ISO 8601 with their zone.

    Raises:
        ValueError: It is no Parquet file, lacks the first column, or its content takes more than
            ``max_bytes``.

    >>> from_parquet(to_parquet({"n": "BIGINT", "x": "JSON"}, [["1", None]], {}), ["n"], 1_000)
    [{'n': '1'}]
    """
    import duckdb

    with (
        TemporaryDirectory(prefix="llm_playground-") as folder,
        duckdb.connect(":memory:", config=dict(OFFLINE)) as connection,
    ):
        path = Path(folder) / _NAME
        path.write_bytes(content)
        file = quoted(str(path))
        try:
            connection.execute("SET TimeZone = 'UTC'")
            [size] = connection.execute(_SIZE.format(file=file)).fetchone() or (0,)
            if (size or 0) > max_bytes:
                raise ValueError(f"its content takes {size >> 20:,} MB")
            kinds = connection.execute(_COLUMNS.format(file=file)).fetchall()
            types = {str(name): str(kind) for name, kind, *_ in kinds}
            if columns[0] not in types:
                raise ValueError(f"it has no column {columns[0]}")
            names = [name for name in columns if name in types]
            taken = ", ".join(_as_text(name, types[name]) for name in names)
            sql = f"SELECT {taken} FROM read_parquet({file})"  # noqa: S608 - known names of columns
            rows = connection.execute(sql).fetchall()
        except duckdb.Error as error:
            raise ValueError(str(error).splitlines()[0].replace(str(path), _NAME)) from None
    return [dict(zip(names, row, strict=True)) for row in rows]


def _as_text(name: str, kind: str) -> str:
    column = f'"{name}"'
    return f"CAST({f'to_json({column})' if kind.endswith('[]') else column} AS VARCHAR)"


def _converted(number: int, kind: str) -> str:
    text = f"unnest(CAST($c{number} AS VARCHAR[]))"
    if kind.endswith("[]"):
        text = f"CAST({text} AS JSON)"
    return f"CAST({text} AS {kind})"

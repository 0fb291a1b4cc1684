"""Tables as Parquet files, written by DuckDB: typed columns, exact amounts.

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


def _converted(number: int, kind: str) -> str:
    text = f"unnest(CAST($c{number} AS VARCHAR[]))"
    if kind.endswith("[]"):
        text = f"CAST({text} AS JSON)"
    return f"CAST({text} AS {kind})"

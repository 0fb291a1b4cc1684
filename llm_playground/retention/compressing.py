"""Compressing texts in place: a few at a time, so that others get their turn between."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from llm_playground.retention.choice import Choice, chosen
from llm_playground.retention.survey import COMPRESSED, number, size
from llm_playground.runlog import Dialect, RunLog, Session, texts

_ROWS, _BYTES = 1_000, 8 << 20  # of one transaction
_TABLES = {"r": "results", "p": "prompts"}
_WHERE = {"r": "purge_runs", "p": "purge_prompts"}
_AMONG = {"duckdb": "id IN (SELECT unnest($ids))", "postgres": "id = ANY($ids)"}
_KIND = {"duckdb": "BLOB", "postgres": "BYTEA"}
_DUE = """
SELECT t.id, {size} FROM {table} t
WHERE t.id IN (SELECT id FROM {which}) AND {number} > 0 ORDER BY t.id
"""
_READ = "SELECT id, texts_gz, {columns} FROM {table} WHERE {among}"
_WRITE = """
UPDATE {table} SET texts_gz = packed.gz, {emptied}
FROM (SELECT unnest($ids::VARCHAR[]) AS id, unnest($packed::{bytes}[]) AS gz) AS packed
WHERE {table}.id = packed.id
"""


@dataclass(frozen=True, slots=True)
class _Due:
    """A row with texts, and how long they are in bytes."""

    id: str
    bytes: int


def compress(log: RunLog, choice: Choice) -> None:
    """Compress the texts of the chosen runs, and the prompts that only they sent."""
    due = log.change(partial(_due, choice=choice, dialect=log.dialect))
    for alias, rows in due.items():
        for batch in _batches(rows):
            log.change(partial(_compress, alias=alias, ids=batch, dialect=log.dialect))


def _due(session: Session, choice: Choice, dialect: Dialect) -> dict[str, list[_Due]]:
    with chosen(session, choice, dialect):
        return {alias: _due_in(session, alias, dialect) for alias in _TABLES}


def _due_in(session: Session, alias: str, dialect: Dialect) -> list[_Due]:
    sql = _DUE.format(
        table=_TABLES[alias],
        which=_WHERE[alias],
        size=size("t", COMPRESSED[alias], dialect),
        number=number("t", COMPRESSED[alias], dialect),
    )
    return [_Due(str(id_), int(length)) for id_, length in session.rows(sql)]


def _batches(rows: Iterable[_Due]) -> Iterator[list[str]]:
    batch: list[str] = []
    total = 0
    for row in rows:
        if batch and (len(batch) == _ROWS or total + row.bytes > _BYTES):
            yield batch
            batch, total = [], 0
        batch.append(row.id)
        total += row.bytes
    if batch:
        yield batch


def _compress(session: Session, alias: str, ids: Sequence[str], dialect: Dialect) -> None:
    table, columns = _TABLES[alias], COMPRESSED[alias]
    written = ", ".join(f"CAST({name} AS VARCHAR)" for name in columns)
    read = _READ.format(columns=written, table=table, among=_AMONG[dialect])
    rows = session.rows(read, {"ids": list(ids)})
    packed = [_packed(columns, gz, values) for _, gz, *values in rows]
    emptied = ", ".join(f"{name} = NULL" for name in columns)
    session.execute(
        _WRITE.format(table=table, emptied=emptied, bytes=_KIND[dialect]),
        {"ids": [row[0] for row in rows], "packed": packed},
    )


def _packed(columns: Sequence[str], before: Any, values: Sequence[str | None]) -> bytes:  # noqa: ANN401 - bytes of either engine
    """A row's texts, those packed before included where nothing newer stands."""
    known = texts.unpack(bytes(before)) if before is not None else {}
    return texts.pack(known | _said(columns, values))


def _said(columns: Sequence[str], values: Sequence[str | None]) -> dict[str, str]:
    return {name: value for name, value in zip(columns, values, strict=True) if value is not None}

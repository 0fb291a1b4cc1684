"""Rows of journals that a database refuses, and the files in which they wait.

One statement ingests whole journals. If the database refuses it, the rows of each table are written
by bisection, so that all others are in the database. A refused row, such as one that violates a
constraint of its owner, goes with the reason into a file beside the journals before its journal is
deleted. These files have the form of journals. The next process and ``lp.migrate()`` ingest them
again; what is still refused stays there.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from llm_playground import _files
from llm_playground.runlog import journal as journals
from llm_playground.runlog.rows import Row
from llm_playground.runlog.store import Batch, RefusedRow

# The parts of a journal's line, in the order in which they are written, with their tables.
TABLES: Mapping[str, str] = {
    "audit": "audit_log",
    "definition": "definitions",
    "prompt": "prompts",
    "execution": "executions",
    "result": "results",
}
# After so many refused rows and none that was written, the others are not tried one by one.
_HOPELESS = 50
_NO_ID = "the row has no id"


class Refused(Exception):  # noqa: N818 - an outcome of a write, see `isolated`
    """The database refused a write.

    Args:
        reason: The database's message, in one line.
        every_row: Whether it refuses each row of the table, such as without the right to insert.
    """

    def __init__(self, reason: str, *, every_row: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.every_row = every_row


@dataclass(frozen=True, slots=True)
class Content:
    """Lines of one journal as JSON objects; ``dead``: its process has ended."""

    file: Path
    records: Sequence[Mapping[str, Any]]
    dead: bool


Write = Callable[[str, Sequence[Content]], None]  # a part's name, and lines with that part only


def isolated(batch: Batch, write: Write) -> list[RefusedRow]:
    """Write the rows of journals with as few calls as possible; the rows that are refused.

    Args:
        batch: The journals. Lines that are no JSON objects are skipped, such as incomplete ones.
        write: Writes rows in one transaction, or raises :class:`Refused`.
    """
    rows, unreadable = _rows_of(batch)
    refused = unreadable
    for part in TABLES:
        of_part = [row for row in rows if row.part == part]
        refused += _bisected(of_part, batch, partial(write, part))
    return refused


def _bisected(
    rows: Sequence[RefusedRow], batch: Batch, write: Callable[[Sequence[Content]], None]
) -> list[RefusedRow]:
    refused: list[RefusedRow] = []
    any_written = False
    waiting = [rows] if rows else []
    while waiting:
        some = waiting.pop()
        try:
            write(_contents(some, batch))
            any_written = True
        except Refused as error:
            hopeless = error.every_row or (len(refused) >= _HOPELESS and not any_written)
            if len(some) == 1 or hopeless:
                refused += [replace(row, reason=error.reason) for row in some]
            else:
                middle = len(some) // 2
                waiting += [some[middle:], some[:middle]]
    return refused


def _rows_of(batch: Batch) -> tuple[list[RefusedRow], list[RefusedRow]]:
    """The rows of journals with their lines, and those that no table can hold."""
    lines: dict[tuple[str, str], list[tuple[Path, Row]]] = {}
    unreadable = []
    for file in batch.files:
        for record in _records(file):
            for part, key, line in _split(record):
                if key is None:
                    unreadable.append(RefusedRow(part, "", [(file, line)], _NO_ID))
                else:
                    lines.setdefault((part, key), []).append((file, line))
    return [RefusedRow(part, key, found) for (part, key), found in lines.items()], unreadable


def _split(record: Row) -> Iterator[tuple[str, str | None, Row]]:
    """A line as lines with one row or one piece of text each: part, id, line."""
    for part in TABLES:
        row = record.get(part)
        if row is not None:
            named = isinstance(row, Mapping) and isinstance(row.get("id"), str)
            yield part, row["id"] if named else None, {part: row}
    for piece in record.get("pieces") or ():
        if isinstance(piece, Mapping) and isinstance(piece.get("id"), str):
            yield "result", piece["id"], {"n": record.get("n"), "pieces": [piece]}


def _records(file: Path) -> Iterator[Row]:
    try:
        content = file.read_bytes()
    except FileNotFoundError:  # ingested and removed by its owner at this moment
        return
    for line in content.split(b"\n"):
        with suppress(ValueError, RecursionError):
            text = line.decode("utf-8", "replace")
            record = json.loads(text, strict=False, parse_constant=lambda _: None)
            if "\\ud" in text:  # lone surrogates, which databases refuse
                text = json.dumps(record, ensure_ascii=False)
                record = json.loads(text.encode("utf-8", "replace"))
            if isinstance(record, dict):
                yield record


def _contents(rows: Iterable[RefusedRow], batch: Batch) -> list[Content]:
    records: dict[Path, list[Mapping[str, Any]]] = {}
    for row in rows:
        for file, line in row.lines:
            records.setdefault(file, []).append(line)
    return [Content(file, lines, file in batch.dead) for file, lines in records.items()]


def file_of(journal: Path) -> Path:
    """The file for the refused rows of a journal, the same after a repetition."""
    name = journal.name.removeprefix("taken~").removesuffix(journals.SUFFIX)
    return journal.with_name(name + journals.REFUSED_SUFFIX)


def keep(rows: Sequence[RefusedRow], sources: Iterable[Path], dead: Collection[Path]) -> bool:
    """Write the refused rows of journals to a file for each; whether there are any.

    Rows of running runs and executions are left out unless the journal's process is ``dead``: it
    has copied them to its next journal.

    Raises:
        OSError: A file cannot be written; there is no partial one.
    """
    kept = [
        _write(
            (
                {"refused": row.reason, **line}
                for row in rows
                if journal in dead or not row.is_running()
                for source, line in row.lines
                if source == journal
            ),
            file_of(journal),
        )
        for journal in sources
    ]
    return any(kept)


def message(rows: Iterable[RefusedRow], place: str, folder: Path) -> str:
    """The warning about refused rows."""
    reasons = "; ".join(dict.fromkeys(row.reason for row in rows))
    return (
        f"The run log {place} refuses rows ({reasons}). They are kept in {folder} as "
        f"*{journals.REFUSED_SUFFIX}. Remove the cause, then call llm_playground.migrate(), which "
        "tries them again."
    )


def _write(lines: Iterable[Mapping[str, Any]], file: Path) -> bool:
    """Write lines to a file, which is complete or unchanged; whether there are any."""
    content = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()
    if not content:
        return False
    _files.write(file, content, _files.group_of(file.parent))
    return True


def keep_again(rows: Sequence[RefusedRow], tried: Sequence[Path]) -> None:
    """Leave the rows of the files ``tried`` that were refused again, all in one file.

    Several files are joined in a new one: an old one may be written again from a journal that a
    killed process left, or be joined by another process at this moment.

    Raises:
        OSError: It cannot be written; the files are unchanged.
    """
    lines = ({"refused": row.reason, **line} for row in rows for _, line in row.lines)
    new = f"{journals.identity()}~{secrets.token_hex(6)}{journals.REFUSED_SUFFIX}"
    joined = tried[0] if len(tried) == 1 else tried[0].with_name(new)
    is_kept = _write(lines, joined)
    for file in tried:
        if file != joined or not is_kept:
            file.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class RefusedFile:
    """A file with refused rows: their parts and ids, and the reasons, each once."""

    path: Path
    rows: frozenset[tuple[str, str]]
    reasons: tuple[str, ...]


def read(folder: Path) -> list[RefusedFile]:
    """The files with refused rows in a log's folder of journals."""
    found = []
    for file in journals.refused(folder):
        records = list(_records(file))
        rows = {(part, key or "") for record in records for part, key, _ in _split(record)}
        reasons = dict.fromkeys(str(record.get("refused", "")) for record in records)
        found.append(RefusedFile(file, frozenset(rows), tuple(reasons)))
    return found

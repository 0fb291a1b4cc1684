"""The run log: every run, on disk before its call returns, readable as pandas.

A process writes what it does into a journal of its own (one ``write(2)``) and never waits for the
database. Draining brings journals into the DuckDB file:

- every process drains within a second after a run finished, on a daemon thread, and at its end;
- every reader drains first, and *reads* the journals of other living processes without touching
  them, so that one notebook sees another's runs at once;
- journals whose owner died are taken over; what ran in them becomes ``interrupted``.

Why both the timer and the reading: the timer alone would show a neighbour's run up to a second
late, and not at all while that kernel is suspended; reading alone would leave journals to grow, to
be read again each time. Bringing in one run takes 80 ms (open 20, statements 45, close 15) on two
cores, as long at 300,000 rows as at 10,000, nearly all of it outside Python's global lock;
a neighbour's drained journal adds nothing, because a drain starts it anew.

Running runs are rows too, with their text as of the last drain: their updates cost no more than
inserts and the file does not grow by them. All of it is idempotent by id, and a finished record is
never undone by an older one.
"""

from __future__ import annotations

import atexit
import json
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from llm_playground import config, deeds
from llm_playground.errors import RunLogError
from llm_playground.runlog.duckdb_store import DuckDBStore
from llm_playground.runlog.log import RunLog
from llm_playground.runlog.postgres_store import PostgresStore
from llm_playground.runlog.records import AUDIT_COLUMNS
from llm_playground.runlog.server import Server
from llm_playground.runlog.store import Dialect, Session, Store

__all__ = [
    "Dialect",
    "RunLog",
    "Session",
    "backup",
    "migrate",
    "open_log",
    "restore",
    "set_aside_log",
]

_logs: dict[str, RunLog] = {}
_lock = threading.Lock()


def open_log(url: str | None = None) -> RunLog:
    """The run log at ``url``: one object per process, whoever asks.

    Nothing is opened or created before it is used.

    Args:
        url: ``duckdb:///path``, a path or ``postgresql://user@host/database``; None for
            :func:`llm_playground.config.log_url`.

    Raises:
        ConfigError: Another kind of database, or psycopg is missing.
    """
    place = config.log_url() if url is None else config.as_log_url(url)
    with _lock:
        if place not in _logs:
            _logs[place] = RunLog(_store(place))
        return _logs[place]


def migrate() -> int:
    """Bring the run log's tables to the newest version, as their owner; the version.

    A DuckDB file does so by itself, after a copy of the file. On PostgreSQL this also makes the
    partitions of the next months and sums up the monthly costs; run it once a month, or let a
    process of the owner run. Also ``python -m llm_playground migrate``.

    Raises:
        RunLogError: It is not allowed, or a newer version of this package wrote the log.
    """
    return open_log().migrate()


def backup(path: str | Path) -> Path:
    """Write the whole run log into one new DuckDB file, from either engine; the file.

    Raises:
        RunLogError: There is such a file already, or one of both cannot be read or written.
    """
    written = open_log().backup(path)
    deeds.tell("backup", str(written))
    return written


def restore(path: str | Path) -> Path | None:
    """Take the run log from a file that :func:`backup` wrote or that a migration kept.

    On DuckDB it takes the place of the log's file, which moves aside; on PostgreSQL it goes into
    empty tables.

    Returns:
        Where the file is that was the log before; None where there was none.

    Raises:
        RunLogError: The file is no run log, or what is there cannot be replaced.
    """
    log = open_log()
    entries = _audit_entries(log)
    before = log.restore(path)
    for entry in entries:  # what was done since the backup is not undone there
        log.audit(entry)
    deeds.tell("restore", str(path), {"before": None if before is None else str(before)})
    return before


def set_aside_log() -> Path:
    """Move the log's database file aside, whatever is in it, and start a new one.

    For a file that is damaged, or that a newer version wrote. Runs that wait go into the new one.

    Returns:
        Where the old file is now.

    Raises:
        RunLogError: There is no file, or it cannot be moved.
    """
    aside = open_log().set_aside()
    deeds.tell("set_aside_log", str(aside))
    return aside


def _audit_entries(log: RunLog) -> list[dict[str, Any]]:
    """The entries of the audit log as rows; none where it cannot be read, as a damaged one."""
    with suppress(RunLogError):
        found = log.frame(f"SELECT {', '.join(AUDIT_COLUMNS)} FROM audit_log ORDER BY created_at")  # noqa: S608 - a constant
        known = found.astype(object).where(found.notna(), None)
        rows = [dict(zip(AUDIT_COLUMNS, row, strict=True)) for row in known.to_numpy()]
        return [row | {"detail": json.loads(row["detail"] or "null")} for row in rows]
    return []


def _store(url: str) -> Store:
    if url.startswith("duckdb:///"):
        return DuckDBStore(Path(url.removeprefix("duckdb:///")))
    return PostgresStore(Server.at(url))


def _close_all() -> None:
    for log in list(_logs.values()):
        log.close()


def _before_fork() -> None:
    for log in _logs.values():
        log.before_fork()


def _after_fork_in_parent() -> None:
    for log in _logs.values():
        log.after_fork_in_parent()


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()
    for log in _logs.values():
        log.after_fork()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork,
    )

"""The run log: every run is on disk before its call returns, and can be read as a data frame.

A process writes its runs to its own journal (one ``write(2)``) and never waits for the database.
Draining ingests journals into the database:

- every process drains within a second after a run finished, on a daemon thread, and at its exit;
- every reader drains first, and also *reads* the journals of other live processes without changing
  them, so that a notebook sees the runs of another one at once;
- journals of dead processes are taken over; runs that were running become ``interrupted``.

Both the timer and the reading are needed. The timer alone would show other processes' runs up to a
second late, and not at all while their kernel is suspended. Reading alone would let journals grow,
to be read again each time. Draining one run takes 80 ms (open 20, statements 45, close 15) on two
cores, at 300,000 rows as at 10,000, nearly all of it without Python's interpreter lock.

Running runs are rows too, with their text as of the last drain. Draining is idempotent by id, and a
finished record is never overwritten by an older one.
"""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from llm_playground import _lifecycle, config, ids, provenance
from llm_playground._validation import checks_arguments
from llm_playground.config import log_location
from llm_playground.errors import LLMError, RunLogError
from llm_playground.redaction import Secret, redact
from llm_playground.runlog import duckdb_file, journal
from llm_playground.runlog.duckdb_store import DuckDBStore
from llm_playground.runlog.log import RunLog
from llm_playground.runlog.postgres_server import Server
from llm_playground.runlog.postgres_store import PostgresStore
from llm_playground.runlog.reading import json_value
from llm_playground.runlog.rows import AUDIT_COLUMNS, Row
from llm_playground.runlog.store import Session

if TYPE_CHECKING:
    from sqlalchemy import Engine

_log = logging.getLogger(__name__)
_logs: dict[str, RunLog] = {}
_lock = threading.Lock()

# Credentials in URLs.
_LOGIN = re.compile(r"(?<=://)[^/\s\"]*@|(?<=password=)[^&\s\"]*")
_AUDIT_VALUES = {name: f"${name}" for name in AUDIT_COLUMNS} | {"detail": "CAST($detail AS JSON)"}
_INSERT_AUDIT = f"""
INSERT INTO audit_log ({", ".join(_AUDIT_VALUES)}) VALUES ({", ".join(_AUDIT_VALUES.values())})
"""  # noqa: S608 - names of columns
_BACKUPS = "SELECT DISTINCT target FROM audit_log WHERE action IN ('backup', 'restore')"
_AUDIT_LOG = f"SELECT {', '.join(AUDIT_COLUMNS)} FROM audit_log ORDER BY created_at"  # noqa: S608 - a constant


def open_log(url: str | None = None) -> RunLog:
    """The run log at ``url``, the same object for the whole process.

    Nothing is opened or created before the first use.

    Args:
        url: ``duckdb:///path``, a path or ``postgresql://user@host/database``; None for
            :func:`llm_playground.config.log_url`.

    Raises:
        ConfigError: The URL is of another database, or psycopg is not installed.
    """
    place = Secret(config.log_url() if url is None else log_location.as_log_url(url))
    with _lock:
        if place not in _logs:
            _logs[place] = RunLog(
                DuckDBStore(Path(place.removeprefix("duckdb:///")))
                if place.startswith("duckdb:")
                else PostgresStore(Server.at(place))
            )
        return _logs[place]


@checks_arguments("migrate")
def migrate() -> int:
    """Migrate the run log's tables to the newest version, which is returned.

    A DuckDB file is migrated when it is opened, after a copy was made. On PostgreSQL only the
    tables' owner can migrate; this also creates the partitions of the next months and refreshes the
    monthly costs, so run it once a month, or keep a process of the owner running. Rows that the
    database refused before are tried again. Also ``python -m llm_playground migrate``.

    Raises:
        RunLogError: It is not allowed, or a newer version of this package wrote the log.
    """
    return open_log().migrate()


@checks_arguments("engine")
def engine() -> Engine:
    """A SQLAlchemy engine that only reads the run log, for ``pandas.read_sql`` and other tools.

    A connection sees everything recorded until it is opened, on DuckDB until each statement. It
    holds no file: the log goes on while it is open. On DuckDB there is one SELECT per statement,
    and reflection lists tables and views but no columns.

    Raises:
        RunLogError: When a connection is opened or used: the log cannot be read, or the statement
            is wrong or would write.

    Example:
        >>> import llm_playground as lp, pandas
        >>> list(pandas.read_sql("SELECT model, cost_usd FROM runs", lp.engine()).columns)
        ['model', 'cost_usd']
    """
    return open_log().engine()


@checks_arguments("backup")
def backup(path: str | Path) -> Path:
    """Write the whole run log, from either engine, to one new DuckDB file; its path.

    Raises:
        RunLogError: The file exists, or the log or the file cannot be read or written.
    """
    written = open_log().backup(path)
    record("backup", str(written))
    return written


@checks_arguments("restore")
def restore(path: str | Path) -> Path | None:
    """Restore the run log from a file of :func:`backup`, or from the copy made by a migration.

    On DuckDB the file replaces the log's file, which is renamed; on PostgreSQL its rows are
    inserted into empty tables.

    Returns:
        The new path of the previous file; None if there was none.

    Raises:
        RunLogError: The file is not a run log, or the present log cannot be replaced.
    """
    log = open_log()
    entries: list[Row] = []
    with suppress(RunLogError):  # the audit log cannot be read, such as in a damaged file
        entries = log.rows(_AUDIT_LOG)
    with _keeping_budgets(log):
        before = log.restore(path)
    for entry in entries:  # the audit log keeps what was done since the backup
        log.audit(entry | {"detail": json_value(entry["detail"])})
    record(
        "restore",
        str(Path(path).expanduser().absolute()),
        {"before": None if before is None else str(before)},
    )
    return before


@checks_arguments("set_aside_log")
def set_aside_log() -> Path:
    """Rename the log's database file, whatever its content, and start a new one.

    For a file that is damaged, or that a newer version wrote. Runs in journals go into the new one.

    Returns:
        The new path of the old file.

    Raises:
        RunLogError: There is no file, or it cannot be renamed.
    """
    log = open_log()
    with _keeping_budgets(log):
        aside = log.set_aside()
    record("set_aside_log", str(aside))
    return aside


def copies(log: RunLog) -> list[str]:
    """Absolute paths of the log's copies on this machine.

    These are what is beside a DuckDB log, its backups, and the rows and attachments that the
    database refused or has not stored yet.
    """
    found = set() if log.path is None else duckdb_file.copies(log.path)
    found.update(journal.refused(log.journals), log.journals.glob("attachments/*~*"))
    backups = {Path(str(row["target"])) for row in log.rows(_BACKUPS)}
    found |= {path for path in backups if path.is_absolute() and path.is_file()}
    return sorted({str(path.resolve()) for path in found if path != log.path})


def _keeping_budgets(log: RunLog) -> AbstractContextManager[None]:
    # Budgets are a package above this one, which is imported on first use.
    carrying = import_module("llm_playground.budgeting.carrying")
    keeping: AbstractContextManager[None] = carrying.keeping_budgets(log)
    return keeping


def record(
    action: str, target: str | None = None, detail: Mapping[str, object] | None = None
) -> None:
    """Add an entry to ``audit_log``: who changed what others can see, spend or find, and when.

    It goes through this process's journal, as runs do: it needs no database and survives this
    process's death. Never raises; a failure is a warning of the logger.
    """
    try:
        open_log().audit(_audit_row(action, target, detail or {}))
    except LLMError as error:
        _log.warning("%s is not in the audit log: %s", action, error)


def insert_audit_entry(
    session: Session, action: str, target: str | None, detail: Mapping[str, object]
) -> None:
    """Add an entry to ``audit_log`` in the transaction that it belongs to."""
    row = _audit_row(action, target, detail)
    session.execute(_INSERT_AUDIT, row | {"detail": json.dumps(row["detail"])})


def _audit_row(action: str, target: str | None, detail: Mapping[str, object]) -> Row:
    """The entry's row, without API keys and passwords in URLs.

    ``action`` is a verb and its object (``set_budget``), ``target`` the object's id, if it has one,
    ``detail`` further plain values.
    """
    return {
        "id": ids.new_id(),
        "created_at": datetime.now(UTC),
        "username": provenance.username(),
        "action": action,
        "target": None if target is None else _clean(target),
        "detail": json.loads(_clean(json.dumps(dict(detail), default=str))),
        "notebook": provenance.notebook(),
    }


def _clean(text: str) -> str:
    return _LOGIN.sub("", redact(text))


def _on_each_log(action: Callable[[RunLog], None]) -> None:
    for log in list(_logs.values()):
        action(log)


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()
    _on_each_log(RunLog.after_fork)


_lifecycle.register(
    at_exit=partial(_on_each_log, RunLog.close),
    before_fork=partial(_on_each_log, RunLog.before_fork),
    after_fork_in_parent=partial(_on_each_log, RunLog.after_fork_in_parent),
    after_fork_in_child=_after_fork,
)

"""The current budgets of a run log, cached so that most calls do not read the log.

Changes of other processes are seen within two seconds. Blocking budgets are also saved in a file
beside this machine's journals: if the log cannot be read, calls they may block are not sent.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from llm_playground import _files
from llm_playground.budgeting import ledger
from llm_playground.budgeting.budget import Budget
from llm_playground.errors import RunLogError
from llm_playground.runlog.log import RunLog

_FRESH_S = 1.0
_STALE_S = 2.0
# A log's own file changes with every run, so a separate file is touched when budgets change.
_CHANGED_FILE = "budgets.changed"
_BLOCKING_FILE = "budgets.json"
# Changes by other programs do not touch that file: they are found by reading this often, in the
# background.
_REREAD_S = 30.0

_FileStamp = tuple[int, int, int]


class BudgetCache:
    """The budgets of one log. Used on the background loop; :meth:`invalidate` from any thread."""

    def __init__(self, log: RunLog) -> None:
        self._log = log
        self._changed_file = log.journals / _CHANGED_FILE
        self._blocking_file = log.journals / _BLOCKING_FILE
        self._budgets: tuple[Budget, ...] | None = None
        self._checked_at = 0.0
        self._read_at = 0.0
        self._stamp: _FileStamp | None = None
        self._reading: asyncio.Task[None] | None = None
        self._is_failing = False  # calls then do not wait for the next attempt
        # Increases with every change by this process; what was read before one is outdated.
        self.version = 0

    async def current(self) -> tuple[Budget, ...]:
        """The current budgets."""
        age_s = time.monotonic() - self._checked_at
        if self._budgets is not None and age_s <= _FRESH_S:
            return self._budgets
        if self._is_unchanged():
            self._checked_at = time.monotonic()
            if self._read_at and self._checked_at - self._read_at > _REREAD_S:
                self._start_reading()
            return self._budgets or ()
        reading = self._start_reading()
        if self._budgets is None or (age_s > _STALE_S and not self._is_failing):
            await asyncio.shield(reading)
            if not self._checked_at:  # invalidated while it was read
                return await self.current()
        return self._budgets or ()

    def prefetch(self) -> None:
        """Start reading if nothing is cached yet: a first call has other slow work to do first."""
        if self._budgets is None and not self._is_unchanged():
            self._start_reading()

    def store(self, budgets: tuple[Budget, ...], version: int) -> None:
        """Cache budgets that were read from the log when :attr:`version` was ``version``."""
        if version == self.version:
            if budgets != self._budgets:
                self._save_blocking(budgets)
            self._budgets, self._checked_at = budgets, time.monotonic()

    def invalidate(self) -> None:
        """Make this process and the others read the budgets before their next call."""
        with suppress(OSError):  # an unwritable folder is reported by the recorder
            _files.create_folder(self._log.journals)
            _files.write(self._changed_file, b"", _files.group_of(self._log.journals))
        self.version += 1
        self._checked_at = self._read_at = 0.0

    def _is_unchanged(self) -> bool:
        """Whether the budgets are known not to have changed since they were read.

        A log on a server may be changed by other machines at any time.
        """
        if self._log.path is None:
            return False
        if _stamp_of(self._log.path) is None:  # a log that does not exist yet has no budgets
            self._budgets = self._budgets or ()
            return True
        return self._read_at > 0 and _stamp_of(self._changed_file) == self._stamp

    def _start_reading(self) -> asyncio.Task[None]:
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
        return self._reading

    async def _read(self) -> None:
        version, stamp = self.version, _stamp_of(self._changed_file)
        try:
            # Budgets are never written through a journal, so the log may lag.
            budgets = await asyncio.to_thread(self._log.read, ledger.read_budgets, may_lag=True)
            self.store(budgets, version)
            self._is_failing = False
            if version == self.version:
                self._stamp, self._read_at = stamp, time.monotonic()
        except RunLogError:  # reported by the recorder
            self._checked_at, self._is_failing = time.monotonic(), True
            if self._budgets is None:
                self._budgets = self._load_blocking()
        finally:
            self._reading = None

    def _save_blocking(self, budgets: tuple[Budget, ...]) -> None:
        path, blocking = self._blocking_file, [asdict(b) for b in budgets if b.blocks]
        with suppress(OSError):  # an unwritable folder is reported by the recorder
            if blocking:
                content = json.dumps(blocking, default=str).encode()
                _files.write(path, content, _files.group_of(path.parent))
            else:
                path.unlink(missing_ok=True)

    def _load_blocking(self) -> tuple[Budget, ...]:
        try:
            rows = json.loads(self._blocking_file.read_text("utf-8"))
            return tuple(_budget(row) for row in rows)
        except (OSError, ValueError, TypeError, LookupError, ArithmeticError):
            return ()


def _stamp_of(path: Path) -> _FileStamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _budget(row: Mapping[str, Any]) -> Budget:
    assumed = row["unknown_price"]
    parsed = {
        "limit_usd": Decimal(row["limit_usd"]),
        "unknown_price": assumed if assumed in ("warn", "block") else Decimal(assumed),
        "created_at": datetime.fromisoformat(row["created_at"]),
    }
    return Budget(**{**row, **parsed})

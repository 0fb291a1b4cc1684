"""Which budgets hold: read from the log when it may have changed, so that most calls read nothing.

Another process's change is seen within two seconds. What blocks is also remembered in a file
beside this machine's journals, for when the log itself cannot be read: then a call that a budget
may block is better not sent.
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

from llm_playground.budgeting import ledger
from llm_playground.budgeting.budget import Budget
from llm_playground.errors import RunLogError
from llm_playground.runlog import RunLog

_FRESH_S = 1.0
_STALE_S = 2.0
# A log's file changes with every run: what says that budgets changed is a file of its own. What
# another program wrote into the log is found by reading this often, which nobody waits for.
_CHANGED = "budgets.changed"
_SURE_S = 30.0
_REMEMBERED = "budgets.json"

_Seen = tuple[int, int, int]


class Known:
    """The budgets of one log. Used on the background loop; only :meth:`forget` from anywhere."""

    def __init__(self, log: RunLog) -> None:
        self._log = log
        self._budgets: tuple[Budget, ...] | None = None
        self._checked_at = 0.0
        self._read_at = 0.0
        self._seen: _Seen | None = None
        self._reading: asyncio.Task[None] | None = None
        self._failing = False  # then nobody waits for the next try
        self._changes = 0  # made here

    @property
    def changes(self) -> int:
        """How many were made here so far; what was read before one is not current after it."""
        return self._changes

    async def now(self) -> tuple[Budget, ...]:
        """The budgets that hold."""
        age_s = time.monotonic() - self._checked_at
        if self._budgets is not None and age_s <= _FRESH_S:
            return self._budgets
        if self._unchanged():
            self._checked_at = time.monotonic()
            if self._checked_at - self._read_at > _SURE_S:
                self._start_reading()
            return self._budgets or ()
        reading = self._start_reading()
        if self._budgets is None or (age_s > _STALE_S and not self._failing):
            await asyncio.shield(reading)
            if not self._checked_at:  # changed here while it was read
                return await self.now()
        return self._budgets or ()

    def look_ahead(self) -> None:
        """Begin to read where nothing is known yet: other things take long before a first call."""
        if self._budgets is None and not self._unchanged():
            self._start_reading()

    def take(self, budgets: tuple[Budget, ...], changes: int) -> None:
        """What somebody has just read, having looked at :attr:`changes` before."""
        if changes != self._changes:
            return
        if budgets != self._budgets:
            self._remember(budgets)
        self._budgets, self._checked_at = budgets, time.monotonic()

    def forget(self) -> None:
        """They were changed here: read them again before the next call, here and elsewhere."""
        with suppress(OSError):  # a folder that cannot be written: whoever records has said so
            self._log.journals.mkdir(parents=True, exist_ok=True)
            (self._log.journals / _CHANGED).write_bytes(b"")
        self._changes += 1
        self._checked_at = self._read_at = 0.0

    def _unchanged(self) -> bool:
        """Whether nobody on this machine changed them since they were read.

        A log on a server is changed from elsewhere too: there nobody can tell.
        """
        if self._log.path is None:
            return False
        if _look(self._log.path) is None:  # a log that is not there yet has no budgets
            self._budgets = self._budgets or ()
            return True
        return self._read_at > 0 and self._sign() == self._seen

    def _sign(self) -> _Seen | None:
        return _look(self._log.journals / _CHANGED)

    def _start_reading(self) -> asyncio.Task[None]:
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
        return self._reading

    async def _read(self) -> None:
        changes, seen = self._changes, self._sign()
        try:
            self.take(await asyncio.to_thread(self._log.change, ledger.read), changes)
            self._failing = False
            if changes == self._changes:
                self._seen, self._read_at = seen, time.monotonic()
        except RunLogError:  # whoever records runs has said so
            self._checked_at, self._failing = time.monotonic(), True
            if self._budgets is None:
                self._budgets = self._remembered()
        finally:
            self._reading = None

    def _remember(self, budgets: tuple[Budget, ...]) -> None:
        file, blocking = self._file(), [asdict(budget) for budget in budgets if budget.blocks]
        try:
            if blocking:
                new = file.with_suffix(".new")
                new.write_text(json.dumps(blocking, default=str), "utf-8")
                new.replace(file)
            else:
                file.unlink(missing_ok=True)
        except OSError:  # a folder that cannot be written: whoever records runs has said so
            return

    def _remembered(self) -> tuple[Budget, ...]:
        try:
            rows = json.loads(self._file().read_text("utf-8"))
            return tuple(_budget(row) for row in rows)
        except (OSError, ValueError, TypeError, LookupError, ArithmeticError):
            return ()

    def _file(self) -> Path:
        return self._log.journals / _REMEMBERED


def _look(path: Path) -> _Seen | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _budget(row: Mapping[str, Any]) -> Budget:
    assumed = row["unknown_price"]
    return Budget(
        **{
            **row,
            "limit_usd": Decimal(row["limit_usd"]),
            "unknown_price": assumed if assumed in ("warn", "block") else Decimal(assumed),
            "created_at": datetime.fromisoformat(row["created_at"]),
        }
    )

"""The budgets of a run log, as far as they are known before a call.

They are *read* from the log, *remembered* from the last reading if the log cannot be read now, or
*unknown*: the log cannot be read and nothing is remembered of it.

A reading is remembered in a file beside this machine's journals, which every change of budgets
replaces first. On DuckDB its stamp therefore shows whether the budgets have changed since they were
read, in any process, and most calls need no database. On a server, which other machines
change, each call waits for a reading that began after it; calls at the same time share one.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, get_args

from llm_playground import _files, _validation, ids
from llm_playground.budgeting import ledger
from llm_playground.budgeting.budget import Budget
from llm_playground.config.policy import Action, Period
from llm_playground.errors import InvalidParameterError, RunLogError
from llm_playground.runlog.journal import WAIT_STEPS, patience_s
from llm_playground.runlog.log import RunLog
from llm_playground.runlog.store import Dialect, ReadSession

# A reading that takes longer has failed. Only a server is silent when it is away.
_LONGEST_S: Mapping[Dialect, float] = {"duckdb": 30.0, "postgres": 2.5}
# After a failure, calls that no remembered budget blocks wait for no other reading for this long.
_RETRY_S = 5.0
# Other programs change budgets by SQL without replacing the file. On DuckDB they are read again in
# the background after this time, before a call after twice this time.
_REREAD_S = 10.0
_FILE = "budgets.json"
_MAX_FILE_BYTES = 1 << 20

State = Literal["read", "remembered", "unknown"]
_Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class KnownBudgets:
    """The budgets of a log; ``why`` is the reason if they could not be read now.

    The same budgets are equal, whatever the reason.
    """

    state: State
    budgets: tuple[Budget, ...] = ()
    why: str = field(default="", compare=False)


_NONE = KnownBudgets("read")


class BudgetCache:
    """The budgets of one log. Used on the background loop."""

    def __init__(self, log: RunLog) -> None:
        self._log = log
        self._file = log.journals / _FILE
        self._known: KnownBudgets | None = None
        self._stamp: _Stamp | None = None  # of the file, when the budgets were read
        self._log_stamp: _Stamp | None = None  # of a DuckDB log, likewise
        self._read_at = self._failed_at = -math.inf
        self._reading: asyncio.Task[None] | None = None
        self._begun = self._ended = 0  # readings

    async def current(self) -> KnownBudgets:
        """The budgets that apply to a call that is about to be sent."""
        if self._is_new():
            self._remember_none()
            return _NONE
        known = self._unchanged()
        if known is not None:
            return known
        await self._next_reading()
        assert self._known is not None  # noqa: S101 - each reading sets it
        return self._known

    def has_none(self) -> bool:
        """Whether no budget applies to a call that is about to be sent, from any thread.

        It looks at files only, so False may also mean that the budgets must be read first.
        """
        known = self._known
        if known is None:
            return self._is_new()
        if known.state != "read" or known.budgets or self._log.path is None:
            return False
        if _stamp_of(self._file) != self._stamp:
            return False
        age_s = time.monotonic() - self._read_at
        return age_s <= _REREAD_S or self._log_stamp_now() == self._log_stamp

    def prefetch(self) -> None:
        """Start reading if nothing is known yet: a first call has other slow work to do first."""
        if self._known is None and not self._is_new():
            self._start_reading()

    def read(self, session: ReadSession) -> tuple[Budget, ...]:
        """Read the budgets in a session, and remember them. From any thread."""
        stamp, log_stamp = _stamp_of(self._file), self._log_stamp_now()
        budgets = ledger.read_budgets(session)
        known = KnownBudgets("read", budgets)
        if (stamp is None or stamp != self._stamp or known != self._known) and (
            _load(self._file) != budgets
        ):
            _save(self._file, [asdict(budget) for budget in budgets])
            stamp = _stamp_of(self._file)
        self._known, self._stamp, self._log_stamp = known, stamp, log_stamp
        self._read_at = time.monotonic()
        return budgets

    def mark_changing(self) -> None:
        """Make all processes read the budgets before their next call. From any thread.

        Called within the transaction of a change. What was remembered is no longer valid.
        """
        _save(self._file, {"changing": ids.new_id()})

    def refresh(self) -> None:
        """Read and remember budgets after a change. From any thread."""
        with suppress(RunLogError):  # then the next call tries again
            self._read_log()

    def remembered(self) -> tuple[Budget, ...]:
        """The remembered budgets."""
        return _load(self._file) or ()

    def file_stamp(self) -> _Stamp | None:
        """The stamp of the file that each change of budgets replaces; None without it."""
        return _stamp_of(self._file)

    def _is_new(self) -> bool:
        """Whether the log certainly does not exist yet, so that it has no budgets."""
        path = self._log.path
        return path is not None and _is_absent(path) and _is_absent(self._file)

    def _remember_none(self) -> None:
        """Remember that a new log has no budgets, once it has journals."""
        if self._log.journals.is_dir():
            _save(self._file, [])
            self._known, self._stamp, self._log_stamp = _NONE, _stamp_of(self._file), None
            self._read_at = time.monotonic()

    def _unchanged(self) -> KnownBudgets | None:
        """What is known if it need not be read before a call: it has not changed, or cannot be."""
        known = self._known
        if known is None or _stamp_of(self._file) != self._stamp:
            return None
        if known.state == "remembered" and not any(budget.blocks for budget in known.budgets):
            if time.monotonic() - self._failed_at > _RETRY_S:
                return None
            self._start_reading()
            return known
        if self._log.path is None or known.state != "read":
            return None
        age_s = time.monotonic() - self._read_at
        if age_s > _REREAD_S and self._log_stamp_now() != self._log_stamp:
            if age_s > 2 * _REREAD_S:
                return None
            self._start_reading()
        return known

    def _log_stamp_now(self) -> _Stamp | None:
        return None if self._log.path is None else _stamp_of(self._log.path)

    async def _next_reading(self) -> None:
        """Wait for a reading that begins from now on; the first calls share the first one."""
        longest_s, steps = _LONGEST_S[self._log.dialect], 0
        wanted = self._begun + 1
        if self._known is None and self._reading is not None:
            wanted = max(self._begun, 1)
        while self._ended < wanted:
            if steps == WAIT_STEPS:  # a suspended process loses one of them
                where = self._log.place
                self._fail(f"The run log {where} has not answered for {longest_s:g} s.")
                return
            _, unread = await asyncio.wait([self._start_reading()], timeout=longest_s / WAIT_STEPS)
            steps += len(unread)

    def _start_reading(self) -> asyncio.Task[None]:
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
        return self._reading

    async def _read(self) -> None:
        self._begun += 1
        number = self._begun
        try:
            await asyncio.to_thread(self._read_log, wait_s=patience_s())
        except RunLogError as error:  # reported by the recorder
            self._fail(str(error))
        except Exception as error:  # a bug must not send calls without their budgets
            self._fail(f"{type(error).__name__}: {error}.")
        finally:
            self._reading, self._ended = None, number

    def _read_log(self, **waits: float) -> None:
        # Budgets are never written through a journal, so nothing need be drained.
        self._log.read(self.read, may_lag=True, which="none", **waits)

    def _fail(self, why: str) -> None:
        """Fall back to what is remembered."""
        self._failed_at, self._stamp = time.monotonic(), _stamp_of(self._file)
        remembered = _load(self._file)
        if remembered is None:
            self._known = KnownBudgets("unknown", why=why)
        else:
            self._known = KnownBudgets("remembered", remembered, why)


def _stamp_of(path: Path) -> _Stamp | None:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _is_absent(path: Path) -> bool:
    """Whether a file is known not to exist; False if it cannot be looked up."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


def _save(path: Path, content: object) -> None:
    """Put the file in place whole. Its absence is noticed, so nothing is raised."""
    with suppress(OSError):  # an unwritable folder is reported by the recorder
        _files.write_beside(path, json.dumps(content, default=str).encode())


def _load(path: Path) -> tuple[Budget, ...] | None:
    """The remembered budgets; None if there are none that can be trusted.

    A link, a file of another user and a damaged file are not trusted.
    """
    try:
        rows = json.loads(_files.read_own(path, _MAX_FILE_BYTES))
        return tuple(_budget(row) for row in rows) if isinstance(rows, list) else None
    except (OSError, ValueError, TypeError, LookupError, RecursionError, InvalidParameterError):
        return None


def _budget(row: Mapping[str, Any]) -> Budget:
    assumed = row["unknown_price"]
    parsed = {
        "limit_usd": _validation.usd("limit_usd", row["limit_usd"]),
        "unknown_price": assumed
        if assumed in ("warn", "block")
        else _validation.usd("unknown_price", assumed),
        "period": _validation.one_of("period", row["period"], get_args(Period)),
        "action": _validation.one_of("action", row["action"], get_args(Action)),
        "created_at": datetime.fromisoformat(row["created_at"]),
    }
    return Budget(**{**row, **parsed})

"""Which thread of this process uses a run log."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from llm_playground.errors import RunLogError
from llm_playground.runlog import journal
from llm_playground.runlog.store import Store

DRAIN = "llm_playground-drain"  # the name of the thread that drains
_DRAIN_WAIT_S = 30.0


class OneThread:
    """Lets one thread of this process at a time use a database."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._user = ""  # the name of the thread that has the lock, or had it last
        self._reader: int | None = None

    @contextmanager
    def exclusive(self, wait_s: float) -> Iterator[None]:
        """Wait for the thread that uses the database, and use it for a ``with``.

        Raises:
            RunLogError: Another thread has kept it for ``wait_s``.
        """
        is_granted = journal.is_granted_within(wait_s, self.acquire)
        # Where this process has the file itself, its drain ends soon, even on a busy machine.
        for _ in range(int(10 * _DRAIN_WAIT_S) if self._store.path else 0):
            if is_granted or self._user != DRAIN or self._store.awaited():
                break
            is_granted = self.acquire(0.1)
        if not is_granted:
            holder = self._store.awaited() or f"Another thread of this process ({self._user})"
            kept = f"has kept the run log {self._store.place} for {wait_s:.2g} s."
            raise RunLogError(f"{holder} {kept} Try again in a moment.")
        try:
            yield
        finally:
            self.release()

    def acquire(self, wait_s: float) -> bool:
        """Wait for the thread that uses the database, and return whether this one may."""
        is_granted = self._lock.acquire(timeout=wait_s)
        if is_granted:
            self._user = threading.current_thread().name
        return is_granted

    def release(self) -> None:
        """Let another thread use the database."""
        self._lock.release()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Mark this thread, which uses the database, as one that has it open for reads."""
        self._reader = threading.get_ident()
        try:
            yield
        finally:
            self._reader = None

    def is_reading(self) -> bool:
        """Whether this thread is in a ``with`` of :meth:`reading`."""
        return self._reader == threading.get_ident()

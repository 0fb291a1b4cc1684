"""Turns at a file among processes, each in the order in which they came.

The lock is the system's own on ``path`` and ends with the process. Waiting is done by the system:
whoever asks again and again for a moment is overtaken by those who ask more often.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

_POLL_S = 0.01

if sys.platform == "win32":
    import msvcrt

    def _try(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _block(descriptor: int) -> None:
        while not _try(descriptor):
            time.sleep(_POLL_S)

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
else:
    import fcntl

    def _try(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _block(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # also for a child that was forked meanwhile


class Turns:
    """One process's place in the queue at ``path``; for one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held: int | None = None

    def acquire(self, wait_s: float) -> None:
        """Take the turn.

        Raises:
            TimeoutError: It did not come within ``wait_s``.
            OSError: The file cannot be opened.
        """
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
        descriptor = os.open(self._path, flags, 0o600)
        if not _try(descriptor):
            _Waiting(descriptor).wait(wait_s)
        self._held = descriptor

    def release(self) -> None:
        """Give the turn to the next."""
        descriptor, self._held = self._held, None
        if descriptor is not None:
            _unlock(descriptor)
            os.close(descriptor)


class _Waiting:
    """A lock that is waited for elsewhere, so that the wait can be given up."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._granted = threading.Event()
        self._deciding = threading.Lock()
        self._given_up = False

    def wait(self, wait_s: float) -> None:
        try:
            threading.Thread(target=self._block, name="llm_playground-turn", daemon=True).start()
        except RuntimeError:  # no thread starts at the interpreter's end
            self._poll(wait_s)
            return
        try:
            self._granted.wait(wait_s)
        except BaseException:  # Ctrl+C: nobody will give back what comes now
            if not self._give_up():
                _unlock(self._descriptor)
                os.close(self._descriptor)
            raise
        if self._give_up():
            raise TimeoutError

    def _give_up(self) -> bool:
        """Whether it is given up; not when it was granted just now."""
        with self._deciding:
            self._given_up = not self._granted.is_set()
        return self._given_up

    def _block(self) -> None:
        _block(self._descriptor)
        with self._deciding:
            if self._given_up:
                os.close(self._descriptor)
            else:
                self._granted.set()

    def _poll(self, wait_s: float) -> None:
        until = time.monotonic() + wait_s
        while not _try(self._descriptor):
            if time.monotonic() > until:
                os.close(self._descriptor)
                raise TimeoutError
            time.sleep(_POLL_S)

"""Which processes with reservations live, whatever the clocks say.

Such a process keeps a file beside this machine's journals locked. The system releases the lock when
the process dies; a suspended process holds it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from llm_playground import provenance
from llm_playground.runlog.journal import STRANGER_QUIET_S, identity

_SUFFIX = ".alive"


@dataclass(frozen=True, slots=True)
class Processes:
    """Other processes that have reserved amounts, by their ids; of most machines none is known."""

    alive: Collection[str] = ()
    dead: Collection[str] = ()


class Liveness:
    """The locked file of this process, and those of others in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._descriptor: int | None = None

    def announce(self) -> None:
        """Lock this process's file, or note that it still lives. From any thread.

        Without the file, others wait until the reservations expire.
        """
        path = self._path(provenance.process())
        with suppress(OSError):
            if self._descriptor is None:
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
                self._descriptor = os.open(path, flags, 0o600)
                _lock_if_free(self._descriptor)
            os.utime(self._descriptor if os.utime in os.supports_fd else path)

    def others(self) -> Processes:
        """The other processes whose files are here."""
        alive, dead = list[str](), list[str]()
        for path in self._folder.glob(f"*{_SUFFIX}"):
            process = path.stem.rpartition("~")[2]
            is_dead = process != provenance.process() and self._is_dead(path)
            (dead if is_dead else alive).append(process)
        return Processes(alive, dead)

    def forget(self, processes: Collection[str]) -> None:
        """Delete the files of dead processes whose reservations were freed."""
        for process in processes:
            for path in self._folder.glob(f"*~{process}{_SUFFIX}"):
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Release the lock of this process, also in a forked child, which has another file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _path(self, process: str) -> Path:
        return self._folder / f"{_machine()}~{process}{_SUFFIX}"

    def _is_dead(self, path: Path) -> bool:
        """Whether its lock is free. Locks of another machine may be invisible, writes are not."""
        flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        try:
            descriptor = os.open(path, flags)
        except FileNotFoundError:  # freed by another process at this moment
            return True
        except OSError:
            return False
        try:
            is_ours = path.name.startswith(f"{_machine()}~")
            quiet_s = time.time() - os.fstat(descriptor).st_mtime
            return (is_ours or quiet_s > STRANGER_QUIET_S) and _lock_if_free(descriptor)
        finally:
            os.close(descriptor)


def _machine() -> str:
    return "~".join(identity().split("~")[:2])


def _lock_if_free(descriptor: int) -> bool:
    from filelock import lock_descriptor  # first use, not import: 7 ms

    return lock_descriptor(descriptor, blocking=False)

"""Which processes with reservations live, found without a clock.

Such a process keeps a file beside this machine's journals locked. The system releases the lock when
the process ends; a suspended process holds it.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from llm_playground import _files, provenance
from llm_playground.runlog import journal

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
                _files.create_folder(self._folder)
                self._descriptor = journal.create_file(path, os.O_RDWR, self._folder)
                journal.lock_if_free(self._descriptor)
            os.utime(self._descriptor if os.utime in os.supports_fd else path)

    def others(self) -> Processes:
        """The other processes whose files are here."""
        alive, dead = list[str](), list[str]()
        for path in self._folder.glob(f"*{_SUFFIX}"):
            process = path.stem.rpartition("~")[2]
            is_dead = process != provenance.process() and _is_dead(path)
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
        return self._folder / f"{journal.machine()}~{process}{_SUFFIX}"


def _is_dead(path: Path) -> bool:
    """Whether the process of a file has ended."""
    try:
        descriptor = _files.open_existing(path, os.O_RDWR)
        try:
            return journal.may_take(path) and journal.lock_if_free(descriptor)
        finally:
            os.close(descriptor)
    except FileNotFoundError:  # freed by another process at this moment
        return True
    except OSError:
        return False

"""Journals: one append-only file of JSON lines per process and log, beside the database.

The owner holds a lock on its file for as long as it lives; the kernel frees it on any death, so
a free lock says that nobody writes there any more. Names carry host, boot, pid, start and random
characters: two pid namespaces may share a folder and a pid.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
import stat
import sys
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        # Locked bytes cannot be read by others, so the byte lies far behind any content.
        os.lseek(descriptor, 1 << 40, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


SUFFIX = ".jsonl"
# A journal of another host or an earlier boot is taken over when its lock is free and nobody has
# written for this long: a lock may be invisible across machines, a living writer is not.
STRANGER_QUIET_S = 3600.0


class Journal:
    """One file this process holds the lock of, its own or one it has taken over."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self._torn = False
        self.size = 0

    @classmethod
    def create(cls, folder: Path) -> Journal:
        """A new, empty, locked journal in ``folder``, which is made when missing.

        Raises:
            OSError: The folder or the file cannot be written.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / f"{identity()}~{secrets.token_hex(6)}{SUFFIX}"
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        descriptor = os.open(path, flags, 0o600)
        _lock(descriptor)
        return cls(path, descriptor)

    @classmethod
    def take_over(cls, path: Path) -> Journal | None:
        """The journal at ``path`` when its owner is gone, renamed; None when it is not ours."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND | getattr(os, "O_BINARY", 0))
        except OSError:
            return None
        try:
            _lock(descriptor)
            if not _may_take(path):
                os.close(descriptor)
                return None
            taken = path.with_name(f"taken~{path.name.removeprefix('taken~')}")
            with suppress(PermissionError):  # Windows renames no open file; the lock is enough
                path = path.rename(taken)
        except OSError:
            os.close(descriptor)
            return None
        return cls(path, descriptor)

    def append(self, lines: bytes) -> None:
        """Write whole lines with one ``write(2)``; on disk for any death of this process.

        Raises:
            OSError: Nothing, or not all, could be written. A torn line harms no later one.
        """
        content = b"\n" + lines if self._torn else lines
        written = os.write(self._descriptor, content)
        self.size += written
        self._torn = written < len(content)
        if self._torn:
            raise OSError(f"only {written} of {len(content)} bytes could be written")

    def deleted(self) -> bool:
        """Whether somebody removed the file under us."""
        return os.fstat(self._descriptor).st_nlink == 0

    def close(self) -> None:
        """Give the lock back and leave the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def remove(self) -> None:
        """Delete the file: everything in it is in the database."""
        self.close()
        self.path.unlink(missing_ok=True)


def files(folder: Path) -> list[Path]:
    """All journals with content, whoever wrote them."""
    try:
        found = sorted(folder.glob(f"*{SUFFIX}"))
    except OSError:
        return []
    return [path for path in found if _size(path)]


def _size(path: Path) -> int:
    """In bytes; 0 also for what no journal is: a folder, a pipe, a link to a file elsewhere."""
    try:
        found = path.lstat()
    except OSError:  # brought in and removed by its owner in this very moment
        return 0
    return found.st_size if stat.S_ISREG(found.st_mode) else 0


@cache
def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        boot = "boot"
    host = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname()) or "host"
    return f"{host}~{boot}"


def identity() -> str:
    """Host, boot, pid and start of this process, as in the names of its journals."""
    return f"{_machine()}~{os.getpid()}~{time.time_ns() // 1_000_000}"


def _may_take(path: Path) -> bool:
    if path.name.removeprefix("taken~").startswith(f"{_machine()}~"):
        return True
    return time.time() - path.stat().st_mtime > STRANGER_QUIET_S

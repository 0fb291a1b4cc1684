"""Journals, and the file lock that orders the processes which open one database file.

A journal is an append-only file of JSON lines, one per process and run log, beside the database.
Its owner locks it for as long as it lives. The system releases the lock when the process dies, so a
journal whose lock is free has no writer any more. Its name holds host, boot, pid, start and random
characters: two pid namespaces may share a folder and a pid.

:class:`FairFileLock` grants a lock in the order of the requests. Both locks belong to open files of
the operating system, taken through filelock's descriptor functions where those keep the promises.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
import stat
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

from llm_playground import _files

SUFFIX = ".jsonl"
REFUSED_SUFFIX = ".refused"
# A journal of another host or an earlier boot is taken over if its lock is free and it was not
# written for this long: locks may be invisible across machines, writes are not.
_STRANGER_QUIET_S = 3600.0
_POLL_S = 0.01
# In a line of processes that take short turns, a request waits for so many times its limit.
_LONGEST_LINE = 10
# The holder's identity in a lock file is padded to this, so that it replaces a longer one.
_HOLDER_BYTES = 160
# In which a wait for the log is divided: see is_granted_within.
WAIT_STEPS = 10
# How long one other use of the log may delay a call, if the machine has a processor for each.
_PATIENCE_S = 1.0
_MOST_LOAD = 5.0


def beside(path: Path, ending: str) -> Path:
    """The path of a file or folder beside a database: ``.wal``, ``.lock``, ``.journal``."""
    return path.with_name(path.name + ending)


def create_file(path: Path, flags: int, folder: Path) -> int:
    """Create a file with the rights of the journal folder, and return its descriptor.

    Raises:
        OSError: Something has this name, or it cannot be created.
    """
    descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL | _files.PLAIN, 0o600)
    modes = os.fstat(descriptor).st_mode, _mode(folder)
    if modes != (stat.S_IFREG | 0o600, stat.S_IFDIR | 0o700):  # shared, too wide, an odd umask
        if (group := _files.group_of(folder)) is None:
            _files.make_private(folder)
        _files.set_rights(path, group)
    return descriptor


def _mode(folder: Path) -> int:
    try:
        return folder.stat().st_mode
    except FileNotFoundError:
        return 0


class Journal:
    """A journal that this process has locked: its own, or one that it has taken over."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self._torn = False
        self.size = 0

    @classmethod
    def create(cls, folder: Path) -> Journal:
        """A new, empty, locked journal in ``folder``, which is created if missing.

        Raises:
            OSError: The folder or the file cannot be written.
        """
        if not folder.exists():
            _files.create_folder(folder)
        path = folder / f"{identity()}~{secrets.token_hex(6)}{SUFFIX}"
        descriptor = create_file(path, os.O_WRONLY | os.O_APPEND, folder)
        if not _try_to_own(descriptor):
            raise OSError(f"{path.name} is locked by another process")
        return cls(path, descriptor)

    @classmethod
    def take_over(cls, path: Path) -> Journal | None:
        """The journal at ``path``, renamed, if its owner is gone; None otherwise."""
        try:
            descriptor = _files.open_existing(path, os.O_RDWR | os.O_APPEND)
        except OSError:
            return None
        try:
            if not _try_to_own(descriptor) or not may_take(path):
                os.close(descriptor)
                return None
            taken = path.with_name(f"taken~{path.name.removeprefix('taken~')}")
            with suppress(
                PermissionError
            ):  # Windows cannot rename an open file; the lock is enough
                path = path.rename(taken)
        except OSError:
            os.close(descriptor)
            return None
        return cls(path, descriptor)

    def append(self, lines: bytes) -> None:
        """Write whole lines with one ``write(2)``, which survives the death of this process.

        Raises:
            OSError: Nothing, or not everything, could be written. Later lines are not affected.
        """
        content = b"\n" + lines if self._torn else lines
        written = os.write(self._descriptor, content)
        self.size += written
        self._torn = written < len(content)
        if self._torn:
            raise OSError(f"only {written} of {len(content)} bytes could be written")

    def deleted(self) -> bool:
        """Whether the file was deleted by another process."""
        return os.fstat(self._descriptor).st_nlink == 0

    def close(self) -> None:
        """Release the lock and keep the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def remove(self) -> None:
        """Delete the file, whose content is in the database."""
        self.close()
        self.path.unlink(missing_ok=True)


def files(folder: Path) -> list[Path]:
    """All journals with content, of all processes."""
    return _with_content(folder, SUFFIX)


def refused(folder: Path) -> list[Path]:
    """All files of refused rows, see :mod:`llm_playground.runlog.refusals`."""
    return _with_content(folder, REFUSED_SUFFIX)


def _with_content(folder: Path, suffix: str) -> list[Path]:
    try:
        found = sorted(folder.glob(f"*{suffix}"))
    except OSError:
        return []
    return [path for path in found if size(path)]


def size(path: Path) -> int:
    """In bytes; 0 for anything but a regular file: a folder, a pipe, a symbolic link."""
    try:
        status = path.lstat()
    except OSError:  # ingested and removed by its owner at this moment
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


@cache
def machine() -> str:
    """This host and its boot, with which :func:`identity` begins."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        boot = "boot"
    host = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname()) or "host"
    return f"{host}~{boot}"


def identity() -> str:
    """Host, boot, pid and start of this process, as in the names of its journals."""
    return f"{machine()}~{os.getpid()}~{time.time_ns() // 1_000_000}"


def _is_suspended(pid: str) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state in "Tt"


def may_take(path: Path) -> bool:
    """Whether a free lock of a process's file means that the process is gone.

    Raises:
        FileNotFoundError: The file is gone.
    """
    if path.name.removeprefix("taken~").startswith(f"{machine()}~"):
        return True
    return time.time() - path.stat().st_mtime > _STRANGER_QUIET_S


def lock_if_free(descriptor: int) -> bool:
    """Take filelock's lock on an open file; whether it was free."""
    from filelock import lock_descriptor  # first use, not import: 7 ms

    return lock_descriptor(descriptor, blocking=False)


def _unlock(descriptor: int) -> None:
    from filelock import unlock_descriptor

    unlock_descriptor(descriptor)


if sys.platform == "win32":
    import msvcrt

    def _try_to_own(descriptor: int) -> bool:
        # filelock locks the first byte, and no other process could read a locked byte: this one
        # lies far behind any content.
        os.lseek(descriptor, 1 << 40, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _wait_for(descriptor: int) -> None:
        from filelock import lock_descriptor  # first use, not import

        lock_descriptor(descriptor, poll_interval=_POLL_S)
else:
    import fcntl

    def _try_to_own(descriptor: int) -> bool:
        return lock_if_free(descriptor)

    def _wait_for(descriptor: int) -> None:
        # filelock would poll; the system grants the lock in the order of the requests.
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def is_granted_within(wait_s: float, wait: Callable[[float], bool]) -> bool:
    """Wait in steps of a tenth; whether one of them was granted.

    A process that was suspended, such as on a laptop that slept, loses one step and not all time.

    >>> is_granted_within(1.0, lambda step_s: True)
    True
    """
    return any(wait(wait_s / WAIT_STEPS) for _ in range(WAIT_STEPS))


def patience_s() -> float:
    """How long a call waits for a process that keeps the log; longer where processors are scarce.

    >>> 1 <= patience_s() <= 5
    True
    """
    try:
        load = os.getloadavg()[0] / (os.cpu_count() or 1)
    except (AttributeError, OSError):  # Windows has none
        return _PATIENCE_S
    return _PATIENCE_S * min(max(load, 1.0), _MOST_LOAD)


class FairFileLock:
    """A lock on the file ``path`` among processes, granted in the order of the requests.

    For one thread of each process at a time. It ends with the process. The file names the holder.
    While holders change, a request keeps its place in the line.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held: int | None = None
        self._waiting: _Waiting | None = None  # a request that was given up and is still in line

    def acquire(self, wait_s: float) -> None:
        """Take the lock.

        Raises:
            TimeoutError: One holder has kept it for ``wait_s``, or all together for ten times that.
            OSError: The file cannot be opened.
        """
        if self._waiting is None or not self._waiting.resume(self._path):
            descriptor = self._open()
            self._waiting = None if lock_if_free(descriptor) else _Waiting(descriptor, self.turn)
        if self._waiting is not None:
            self._waiting.wait(wait_s)
            descriptor = self._waiting.descriptor
        self._held, self._waiting = descriptor, None
        with suppress(OSError):  # such as a full disk: the name is only for messages
            status = os.fstat(descriptor)
            if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:  # no link to another file
                os.write(descriptor, identity().ljust(_HOLDER_BYTES).encode())

    def _open(self) -> int:
        try:
            return os.open(self._path, os.O_RDWR | _files.PLAIN)
        except FileNotFoundError:
            _files.create_folder(self._path.parent)
            with suppress(FileExistsError):  # created by another process meanwhile
                os.close(_files.create(self._path))
            return os.open(self._path, os.O_RDWR | _files.PLAIN)

    def is_held(self) -> bool:
        """Whether this process has the lock."""
        return self._held is not None

    def turn(self) -> bytes:
        """What the holder wrote, which is other bytes each time the lock is granted."""
        try:
            return self._path.read_bytes()
        except OSError:
            return b""

    def holder(self) -> str:
        """The process that has the lock, or had it last, for messages."""
        try:
            host, boot, pid, _ = self.turn().decode().split("~")
        except ValueError:  # also Windows, where others cannot read a locked file
            return "Another process"
        if f"{host}~{boot}" != machine():
            return f"Process {pid} on {host}"
        return f"Process {pid}{' (suspended)' if _is_suspended(pid) else ''}"

    def release(self) -> None:
        """Release the lock; a second call does nothing."""
        descriptor, self._held = self._held, None
        if descriptor is not None:
            _unlock(descriptor)  # also for a child process that was forked meanwhile
            os.close(descriptor)

    def close_in_child(self) -> None:
        """Close what a forked child has of its parent's lock, which stays the parent's."""
        waiting = self._waiting
        descriptor = self._held if waiting is None or waiting.ended else waiting.descriptor
        if descriptor is not None:
            with suppress(OSError):  # closed by a thread at the moment of the fork
                os.close(descriptor)


class _Waiting:
    """A request for a lock, which a thread waits for so that the caller can give up.

    One that was given up stays in line: the next request of this process goes on with it, so that
    threads and open files do not grow in number while another process keeps the lock.
    """

    def __init__(self, descriptor: int, turn: Callable[[], bytes]) -> None:
        self.descriptor = descriptor
        self.ended = False  # without the lock; the descriptor is closed
        self._turn = turn
        self._thread: threading.Thread | None = None
        self._granted = threading.Event()
        self._deciding = threading.Lock()
        self._given_up = False

    def resume(self, path: Path) -> bool:
        """Go on with a request that was given up; False if it has ended or is for another file."""
        with self._deciding, suppress(OSError):
            if not self.ended:
                self._given_up = not os.path.samestat(os.fstat(self.descriptor), path.stat())
        return not self._given_up

    def wait(self, wait_s: float) -> None:
        if self._thread is None:
            thread = threading.Thread(target=self._block, name="llm_playground-lock", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # no thread can be started at the interpreter's exit
                self._poll(wait_s)
                return
            self._thread = thread
        try:
            turn, until = self._turn(), time.monotonic() + _LONGEST_LINE * wait_s
            while not is_granted_within(wait_s, self._granted.wait) and time.monotonic() < until:
                before, turn = turn, self._turn()
                if turn == before:
                    break
        except BaseException:  # Ctrl+C: a lock that was granted meanwhile must be released
            if not self._give_up():
                self._end()
            raise
        if self._give_up():
            raise TimeoutError

    def _give_up(self) -> bool:
        """Give up unless the lock was granted; whether it was given up."""
        with self._deciding:
            self._given_up = not self._granted.is_set()
        return self._given_up

    def _block(self) -> None:
        _wait_for(self.descriptor)
        with self._deciding:
            if self._given_up:
                self._end()
            else:
                self._granted.set()

    def _end(self) -> None:
        self.ended = self._given_up = True
        _unlock(self.descriptor)  # also for a child process that was forked meanwhile
        os.close(self.descriptor)

    def _poll(self, wait_s: float) -> None:
        until = time.monotonic() + wait_s
        while not lock_if_free(self.descriptor):
            if time.monotonic() > until:
                self._end()
                raise TimeoutError
            time.sleep(_POLL_S)

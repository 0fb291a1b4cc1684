"""Private files and folders, files that are made whole before they are put in place, safe reading.

A new folder is readable by its user only (0700), a new file too (0600), under any umask. The files
of a run log that a group shares by choice are readable and writable by that group; the mark of the
choice is the log's journal folder (2770).

A file is made in a private folder of an unpredictable name beside its place (:func:`making`) and
put there with one rename or link (:func:`put`, :func:`put_new`): at every instant the place holds
the whole old or the whole new file, and no link of that name is followed. A process locks the
folder in which it makes a file; the next process removes the folders that are not locked, which
killed processes left.

Files that others may have put in place are read with :func:`read_regular`: no pipe, device or
endless file hangs it.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import BinaryIO

# Flags to open a plain file: no link is followed, no pipe waited for, no byte translated. The first
# two are missing on Windows, the last elsewhere.
PLAIN = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))
_READING = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_MAKING = ".llm_playground-"
_FOLDER, _FILE = 0o700, 0o600
_SHARED_FOLDER, _SHARED_FILE = 0o2770, 0o660
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
# What this package has in the user's data folder.
_OF_HOME = ("*.duckdb*", "*.log*", "drafts", "journal", "models", "trusted")


def create_folder(path: Path) -> None:
    """Create a folder and its missing parents, private; an existing folder is left as it is.

    Raises:
        OSError: It cannot be created.
    """
    for folder in reversed([one for one in (path, *path.parents) if not one.exists()]):
        with suppress(FileExistsError):  # created by another process meanwhile
            folder.mkdir(_FOLDER)
            folder.chmod(_FOLDER)  # under a umask that takes the user's own rights away


def create(path: Path, flags: int = os.O_WRONLY, group: int | None = None) -> int:
    """Create a file and return its descriptor: private, or with a group that shares it by choice.

    Raises:
        FileExistsError: Something has this name, even a link to nothing.
        OSError: It cannot be created.
    """
    descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL | PLAIN, _FILE)
    try:
        if sys.platform != "win32":
            if group is not None:
                os.fchown(descriptor, -1, group)
            os.fchmod(descriptor, _FILE if group is None else _SHARED_FILE)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def open_existing(path: Path, flags: int) -> int:
    """Open a regular file and return its descriptor; no link is followed, no pipe waited for.

    Raises:
        FileNotFoundError: There is none.
        OSError: It cannot be opened, is a link, or is no regular file.
    """
    descriptor = os.open(path, flags | PLAIN)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, f"{path.name} is not a regular file", str(path))
    return descriptor


def group_of(folder: Path) -> int | None:
    """The id of the group that shares a journal folder by choice; None if it is private."""
    try:
        status = folder.stat()
    except OSError:
        return None
    is_marked = stat.S_IMODE(status.st_mode) & _SHARED_FOLDER == _SHARED_FOLDER
    return status.st_gid if is_marked else None


def set_rights(path: Path, group: int | None = None) -> None:
    """Make a file or folder private, or a group's that shares it by choice.

    Raises:
        OSError: This user does not own it, or is no member of the group.
    """
    status = path.stat()
    private, shared = (_FOLDER, _SHARED_FOLDER) if path.is_dir() else (_FILE, _SHARED_FILE)
    mode = private if group is None else shared
    if group is not None and status.st_gid != group:
        os.chown(path, -1, group)
    if stat.S_IMODE(status.st_mode) != mode or status.st_gid != group:
        path.chmod(mode)


def make_private(path: Path) -> None:
    """Take the rights of others on a file or folder, if this user owns it and it is no link."""
    with suppress(OSError):  # of another user, or gone
        mode = path.lstat().st_mode
        if stat.S_IMODE(mode) & _OTHERS and not stat.S_ISLNK(mode):
            path.chmod(stat.S_IMODE(mode) & _FOLDER)


def make_home_private(home: Path) -> None:
    """Make the user's data folder private, and what this package has in it.

    A folder that is not the package's alone stays as it is: the user's home folder or one above it,
    and one where all users have their temporary files.
    """
    with suppress(OSError, RuntimeError):  # such as no home folder
        if home.stat().st_mode & stat.S_ISVTX or Path.home().is_relative_to(home.resolve()):
            return
        home.chmod(_FOLDER & stat.S_IMODE(home.stat().st_mode))
        for path in (path for pattern in _OF_HOME for path in home.glob(pattern)):
            make_private(path)
            if path.is_dir() and not path.is_symlink():
                for inner in path.rglob("*"):
                    make_private(inner)


@contextmanager
def making(target: Path) -> Iterator[Path]:
    """A private folder beside ``target`` to make a file in; it is removed at the end.

    Raises:
        OSError: The folder of ``target`` is missing or cannot be written.
    """
    remove_leftovers(target.parent)
    folder, lock = _locked_folder(target.parent)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _locked_folder(parent: Path) -> tuple[Path, int | None]:
    while True:
        folder = Path(mkdtemp(prefix=_MAKING, dir=parent))
        try:
            folder.chmod(_FOLDER)
            lock = _lock(folder)
        except FileNotFoundError:
            continue  # another process took it for a leftover before it was locked
        except OSError:  # a file system or platform without locks on folders: it is not removed
            return folder, None
        if lock is not None:
            if folder.exists():
                return folder, lock
            os.close(lock)  # as above


def _lock(folder: Path) -> int | None:
    """The descriptor of a folder that is locked with it; None if another process has the lock.

    Raises:
        OSError: The folder cannot be locked, or is gone.
    """
    from filelock import lock_descriptor  # first use, not import: 7 ms

    descriptor = os.open(folder, os.O_RDONLY | PLAIN)
    try:
        if lock_descriptor(descriptor, blocking=False):
            return descriptor
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def remove_leftovers(parent: Path) -> None:
    """Remove the folders in which killed processes of this user were making files."""
    for folder in leftovers(parent):
        with suppress(OSError):
            if sys.platform == "win32" or folder.lstat().st_uid == os.geteuid():
                lock = _lock(folder)
                if lock is not None:
                    shutil.rmtree(folder, ignore_errors=True)
                    os.close(lock)


def leftovers(parent: Path) -> list[Path]:
    """The folders in which processes make files, or made them when they were killed."""
    found = parent.glob(f"{_MAKING}*")
    return sorted(path for path in found if path.is_dir() and not path.is_symlink())


def put(made: Path, target: Path) -> None:
    """Put a whole file in place, also of another file. A link of that name is replaced.

    Raises:
        OSError: ``target`` is a folder, or cannot be replaced.
    """
    _sync(made)
    made.replace(target)


def put_new(made: Path, target: Path) -> None:
    """Put a whole file in place under a name that is free.

    Raises:
        FileExistsError: Something has this name, even a link to nothing.
        OSError: It cannot be put there.
    """
    _sync(made)
    try:
        os.link(made, target, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
        made.rename(target)


def keep(path: Path, name: Path) -> None:
    """Give a file a second name, or without hard links a copy of that name.

    Raises:
        FileExistsError: Something has this name.
        OSError: It cannot be done.
    """
    try:
        os.link(path, name, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError:
        with making(name) as folder:
            copy(path, folder / "copy")
            put_new(folder / "copy", name)


def _sync(path: Path) -> None:
    """Write a file's content to the disk, so that no crash exposes an empty one."""
    descriptor = os.open(path, os.O_RDWR | PLAIN)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def copy(source: Path, target: Path) -> None:
    """Copy a regular file to a new private one.

    Raises:
        OSError: One of them cannot be opened, or the source is a folder, pipe or device.
    """
    with open_regular(source) as old, open(create(target), "wb") as new:
        shutil.copyfileobj(old, new, 1 << 20)


def write(target: Path, content: bytes, group: int | None = None) -> None:
    """Write a file, private and whole; a link of that name is replaced.

    Raises:
        OSError: It cannot be written; an existing file is unchanged.
    """
    with making(target) as folder:
        with open(create(folder / "file", group=group), "wb") as file:
            file.write(content)
        put(folder / "file", target)


def write_beside(target: Path, content: bytes) -> None:
    """As :func:`write`, with the rights of a folder that may be new, or shared by a group.

    Raises:
        OSError: It cannot be written; an existing file is unchanged.
    """
    create_folder(target.parent)
    write(target, content, group_of(target.parent))


def read_own(path: Path, max_bytes: int) -> bytes:
    """The content of a file that this user or root owns.

    Raises:
        OSError: As :func:`open_existing`, it is another user's, or longer than ``max_bytes``.
    """
    with os.fdopen(open_existing(path, os.O_RDONLY), "rb") as file:
        status = os.fstat(file.fileno())
        if hasattr(os, "geteuid") and status.st_uid not in (os.geteuid(), 0):
            raise PermissionError(errno.EPERM, "it is another user's", str(path))
        if status.st_size > max_bytes:
            raise OSError(errno.EFBIG, f"it is longer than {max_bytes:,} bytes", str(path))
        return file.read(max_bytes)


def write_document(path: Path, content: bytes) -> None:
    """Write a file of the user's whole: a new one is private, the rights of an old one stay.

    Raises:
        OSError: It cannot be written; an existing file is unchanged.
    """
    target = path.resolve()  # a link of the user's stays
    with making(target) as folder:
        with open(create(folder / "file"), "wb") as file:
            file.write(content)
        if target.is_file():
            (folder / "file").chmod(stat.S_IMODE(target.stat().st_mode))
        put(folder / "file", target)


def open_regular(path: str | Path) -> BinaryIO:
    """Open a regular file for reading, without waiting for another process.

    Raises:
        OSError: The path is missing, a folder, a pipe, a socket or a device.

    >>> open_regular("/dev/null")
    Traceback (most recent call last):
        ...
    OSError: [Errno 22] it is not a regular file: '/dev/null'
    """
    _check_regular(os.stat(path).st_mode, path)  # noqa: PTH116 - on the path of a call; Path is slow
    descriptor = os.open(path, _READING)
    try:  # another file may have been put in its place
        _check_regular(os.fstat(descriptor).st_mode, path)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_regular(path: str | Path, max_bytes: int) -> bytes:
    """The content of a regular file.

    Raises:
        OSError: As :func:`open_regular`, or the file is longer than ``max_bytes``.
    """
    with open_regular(path) as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise OSError(errno.EFBIG, f"it is longer than {max_bytes:,} bytes", str(path))
    return content


def _check_regular(mode: int, path: str | Path) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))

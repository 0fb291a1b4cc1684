"""The file of a DuckDB run log: created, copied, set aside, replaced.

Each of these keeps the rows of a write-ahead log (``<file>.wal``) that a dead process left. The
log's name exists at every instant, and names a whole file. The caller holds the log's lock.
"""

from __future__ import annotations

import errno
import glob
import itertools
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

from llm_playground import _files
from llm_playground._files import open_regular
from llm_playground.errors import RunLogError
from llm_playground.runlog.journal import beside

Config: TypeAlias = Mapping[str, str | bool | int | float | list[str]]
OFFLINE: Config = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}


def share(path: Path, group: int) -> None:
    """Give a log's files to a group, unless it has them.

    Raises:
        OSError: This user does not own them, or is no member of the group.
    """
    folder, lock = beside(path, ".journal"), beside(path, ".lock")
    if group == _files.group_of(folder):
        return
    _files.create_folder(folder)
    with suppress(FileExistsError):
        os.close(_files.create(lock))
    # Rights are never given through a link, which may lead to a file elsewhere.
    within = (one for one in folder.rglob("*") if not one.is_symlink())
    for one in (path, lock, beside(path, ".wal"), *within, folder):  # the mark last
        with suppress(FileNotFoundError):
            _files.set_rights(one, group)


def tidy(path: Path) -> None:
    """Undo what killed processes began, and take the rights of others on an earlier log."""
    undo_set_aside(path)
    _files.remove_leftovers(path.parent)
    _files.remove_leftovers(beside(path, ".journal"))
    if _files.group_of(beside(path, ".journal")) is None:
        _files.make_private(path)


def check(path: Path) -> None:
    """Check what is at a log's path before DuckDB opens it: it would wait for a pipe.

    Raises:
        OSError: The file or its write-ahead log is a link or no file.
    """
    if path.exists() and not path.is_file() and not path.is_dir():  # DuckDB reports a folder
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    _check_wal(path)


def prepare(path: Path) -> None:
    """Create a log's file if it is missing, or write the rows of a write-ahead log into it.

    DuckDB would create the file with the umask's rights, and would leave the write-ahead log of a
    killed process where it is while nothing else is written.

    Raises:
        OSError: A file of the log is a link or no file, or cannot be created.
        duckdb.Error: The file cannot be opened.
    """
    if path.exists():
        _write_in(path)
        return
    _check_wal(path)
    with _files.making(path) as folder, suppress(FileExistsError):
        made = _new(folder)
        _files.set_rights(made, _files.group_of(beside(path, ".journal")))
        _files.put_new(made, path)


def _check_wal(path: Path) -> None:
    """Raise OSError if the write-ahead log is a link or no file: DuckDB would write to another."""
    wal = beside(path, ".wal")
    with suppress(FileNotFoundError):
        status = wal.lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            raise OSError(errno.EINVAL, f"{wal.name} is a link or no file", str(wal))


def _new(folder: Path) -> Path:
    """A new database in a private folder."""
    import duckdb

    made = folder / "log.duckdb"
    duckdb.connect(str(made), config=dict(OFFLINE)).close()
    _files.set_rights(made)
    return made


def copy(source: Path, made: Path) -> None:
    """Copy a closed file, with the rows of its write-ahead log, to one new file.

    Raises:
        OSError: The copy cannot be made.
        duckdb.Error: The file is no database, which may be too long to copy, or there is a
            write-ahead log that does not belong to it.
    """
    import duckdb

    with open_regular(source) as file:
        is_database = file.read(12)[8:] == b"DUCK"  # after a checksum
    if not is_database:
        duckdb.connect(str(source), read_only=True, config=dict(OFFLINE)).close()  # raises why
    _files.copy(source, made)
    if beside(source, ".wal").exists():
        _files.copy(beside(source, ".wal"), beside(made, ".wal"))
        _write_in(made)


def _write_in(path: Path) -> None:
    """Write the rows of the write-ahead log into the file."""
    import duckdb

    _check_wal(path)
    with duckdb.connect(str(path), config=dict(OFFLINE)) as connection:
        connection.execute("CHECKPOINT")


@contextmanager
def copying(source: Path, target: Path) -> Iterator[Path]:
    """A private copy of a log beside ``target``, to be checked and put in place."""
    with _files.making(target) as folder:
        made = folder / "log.duckdb"
        copy(source, made)
        yield made


def put(made: Path, path: Path) -> None:
    """Put a whole database in the place of a log's file, with its rights.

    Raises:
        OSError: The file cannot be replaced, or has a write-ahead log that is not written in.
    """
    if beside(path, ".wal").exists():
        raise OSError(errno.EBUSY, f"{path.name}.wal is not written in", str(path))
    _files.set_rights(made, _files.group_of(beside(path, ".journal")))
    _files.put(made, path)


def replace(made: Path, path: Path) -> Path | None:
    """Put a whole database in the place of a log's file, which gets another name.

    Returns:
        The previous file's name, None if there was none.

    Raises:
        RunLogError: It cannot be done. The log is as it was.
    """
    try:
        aside = _set_aside(path) if path.exists() else None
        put(made, path)
    except OSError as error:
        undo_set_aside(path)
        raise RunLogError(
            f"{path} cannot be renamed ({error.strerror}). Rename it yourself."
        ) from error
    return aside


def start_again(path: Path) -> Path:
    """Put an empty database in the place of a log's file, which gets another name: that name.

    Raises:
        RunLogError: There is no file, or it cannot be done. The log is as it was.
    """
    try:
        with _files.making(path) as folder:
            made = _new(folder)
            aside = replace(made, path) if path.exists() else None
    except OSError as error:
        raise RunLogError(f"{path} cannot be renamed ({error.strerror}).") from error
    if aside is None:
        raise RunLogError(f"{path} does not exist, so there is nothing to set aside.")
    return aside


def _set_aside(path: Path) -> Path:
    """Give a log's file a second name, with the rows of its write-ahead log; that name.

    A write-ahead log that cannot be written in, as in a damaged file, gets the name too.
    """
    import duckdb

    wal = beside(path, ".wal")
    if wal.exists():
        with suppress(duckdb.Error, OSError):
            _write_in(path)
    aside = beside(path, f".aside-{datetime.now(UTC):%Y%m%dT%H%M%S}")
    names = itertools.chain([aside], (beside(aside, f"-{n}") for n in itertools.count(2)))
    for name in names:
        with suppress(FileExistsError):  # two within a second
            _files.keep(path, name)
            break
    if wal.exists():
        wal.rename(beside(name, ".wal"))
    return name


def undo_set_aside(path: Path) -> None:
    """Take the second names back that a killed process gave a log's file before it replaced it."""
    with suppress(OSError):
        log = path.stat()
        if log.st_nlink == 1:
            return
        for aside in path.parent.glob(f"{glob.escape(path.name)}.aside-*"):
            if os.path.samestat(aside.lstat(), log):
                with suppress(FileNotFoundError):
                    beside(aside, ".wal").rename(beside(path, ".wal"))
                aside.unlink()


def copies(path: Path) -> set[Path]:
    """Paths of what is beside a log's file with an earlier state of it.

    Files set aside, copied before a migration or backed up there under the log's name, and what
    killed processes left.
    """
    own = {path, *(beside(path, ending) for ending in (".wal", ".lock", ".journal"))}
    found = [*path.parent.glob(f"{glob.escape(path.name)}.*"), *_files.leftovers(path.parent)]
    return set(found) - own

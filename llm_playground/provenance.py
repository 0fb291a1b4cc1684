"""Where a run comes from: user, notebook, cell, front end, process, and git commit.

The commit is read from git's files. No program runs: git would execute what the configuration of a
repository names (fsmonitor, filters, hooks). Whether tracked files were edited is unknown: to
compare them, git would run filters.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from llm_playground import _lifecycle, config, ids
from llm_playground._files import read_regular
from llm_playground.types import CellExecution


def username() -> str:
    """The user's name; see :func:`llm_playground.config.username`."""
    return config.username()


def process() -> str:
    """The unique id of this process; a forked child has another."""
    return _process


def notebook() -> str | None:
    """The notebook's path, None where the front end does not provide it."""
    return config.notebook()


def cell_id() -> str | None:
    """The id of the cell being executed, None outside a notebook."""
    current = cell_execution()
    return None if current is None else current.cell_id


def cell_execution() -> CellExecution | None:
    """The present execution of a cell; None outside a notebook or where the cell has no id.

    JupyterLab and Notebook send ids of cells; nbclient and IPython's terminal do not.
    """
    kernel = _kernel()
    if kernel is None:
        return None
    request = kernel.get_parent("shell")
    cell: object = request.get("metadata", {}).get("cellId")
    return CellExecution(cell, request["header"]["msg_id"]) if isinstance(cell, str) else None


def in_kernel() -> bool:
    """Whether this process is a kernel of Jupyter."""
    return _kernel() is not None


def _kernel() -> Any:  # noqa: ANN401 - ipykernel has no types for it
    if "IPython" not in sys.modules:  # then there is no shell, and IPython need not be imported
        return None
    from IPython import get_ipython

    return getattr(get_ipython(), "kernel", None)


def front_end() -> str | None:
    """The front end that last showed one of our widgets, such as ``JupyterLab 4.6.6``."""
    return _front_end


def see_front_end(name: str) -> None:
    """Remember the front end that has shown a widget."""
    global _front_end  # of the kernel's latest view
    _front_end = name


_front_end: str | None = None
_process = ids.new_id()


def _after_fork() -> None:
    global _process
    _process = ids.new_id()


_lifecycle.register(after_fork_in_child=_after_fork)

_MAX_BYTES = 65_536  # of HEAD, a reference, or the configuration
_MAX_PACKED_BYTES = 16_777_216
_MAX_SYMBOLIC_REFS = 5  # as git
_HASH = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")  # SHA-1, SHA-256
_REF = re.compile(r"refs(?:/(?!\.)(?:(?!\.\.|@\{)[^\x00-\x20\x7f~^:?*\[\\/])+)+")
_OWN_REFS = ("refs/bisect/", "refs/rewritten/", "refs/worktree/")  # of each worktree
_SUBMODULE_FOLDER = re.compile(r"^[ \t]*worktree[ \t]*=(.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Repository:
    """The folder with HEAD, and the one with the references, which linked worktrees share."""

    own: Path
    shared: Path


def commit() -> str | None:
    """The full hash of HEAD in the working folder, which for a kernel is the notebook's.

    None outside git, and where git's files are not plain: a repository of another user, a ``.git``
    file without the link back that a worktree or submodule has, symbolic links, references in
    another format (reftable), or a hash of unknown form.

    >>> commit() == commit()
    True
    """
    try:
        repository = _repository(Path.cwd())
        return None if repository is None else _head(repository)
    except (OSError, ValueError):  # ValueError: a null byte in a path
        return None


def _repository(here: Path) -> _Repository | None:
    """The repository of a folder or of the nearest one above; None if it is not to be read."""
    for folder in (here, *here.parents):
        entry = folder / ".git"
        try:
            mode = entry.lstat().st_mode
        except FileNotFoundError:
            continue
        own_folder = _Repository(entry, entry) if stat.S_ISDIR(mode) else None
        repository = _linked(folder, entry) if stat.S_ISREG(mode) else own_folder
        if repository is None:
            return None
        places = {folder, entry, repository.own, repository.shared}
        return repository if all(map(_is_own, places)) else None
    return None


def _is_own(path: Path) -> bool:
    """Whether a path belongs to this user, as git's ``safe.directory`` requires."""
    return not hasattr(os, "geteuid") or path.lstat().st_uid == os.geteuid()


def _linked(folder: Path, entry: Path) -> _Repository | None:
    """The repository that a ``.git`` file names, if that names the file or its folder in turn."""
    label, _, target = _text(entry).partition(":")
    if label != "gitdir":
        return None
    own = _path(folder, target)
    if own.parent.name == "worktrees":
        shared = own.parent.parent
        back, expected = _path(own, _text(own / "gitdir")), entry
        if _path(own, _text(own / "commondir")) != shared:
            return None
    else:
        setting = _SUBMODULE_FOLDER.search(_text(own / "config"))
        shared, expected = own, folder
        back = _path(own, setting[1].strip().strip('"')) if setting else own
    return _Repository(own, shared) if back == expected.resolve() else None


def _path(folder: Path, written: str) -> Path:
    return (folder / written.strip()).resolve()


def _head(repository: _Repository) -> str | None:
    """The hash at the end of HEAD's chain of symbolic references."""
    value = _text(repository.own / "HEAD")
    for _ in range(_MAX_SYMBOLIC_REFS):
        label, colon, name = (part.strip() for part in value.partition(":"))
        if not colon:
            return value if _HASH.fullmatch(value) else None
        if label != "ref" or not _REF.fullmatch(name):
            return None
        folder = repository.own if name.startswith(_OWN_REFS) else repository.shared
        try:
            value = _text(folder / name)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return _packed(repository.shared / "packed-refs", name)
    return None


def _packed(path: Path, name: str) -> str | None:
    """The hash of a reference in ``packed-refs``."""
    references = _text(path, _MAX_PACKED_BYTES)
    found = re.search(rf"^({_HASH.pattern}) {re.escape(name)}$", references, re.MULTILINE)
    return found[1] if found else None


def _text(path: Path, max_bytes: int = _MAX_BYTES) -> str:
    """The text of one of git's files, which must not be reached through a symbolic link."""
    status = path.lstat()
    return _read(path, max_bytes, (status.st_mtime_ns, status.st_size, status.st_ino))


@lru_cache(maxsize=16)
def _read(path: Path, max_bytes: int, _version: tuple[int, int, int]) -> str:
    if path.resolve() != path:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    return os.fsdecode(read_regular(path, max_bytes)).strip()

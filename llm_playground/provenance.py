"""Where a run comes from: user, notebook, cell, front end, process, and git commit."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from llm_playground import _lifecycle, config, types


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
    if "IPython" not in sys.modules:  # then there is no shell, and IPython need not be imported
        return None
    from IPython import get_ipython

    kernel = getattr(get_ipython(), "kernel", None)
    if kernel is None:
        return None
    cell: object = kernel.get_parent("shell").get("metadata", {}).get("cellId")
    return cell if isinstance(cell, str) else None


def front_end() -> str | None:
    """The front end that last showed one of our widgets, such as ``JupyterLab 4.6.6``."""
    return _front_end


def see_front_end(name: str) -> None:
    """Remember the front end that has shown a widget."""
    global _front_end  # of the kernel's latest view
    _front_end = name


_front_end: str | None = None
_process = types.new_id()


def _after_fork() -> None:
    global _process
    _process = types.new_id()


_lifecycle.register(after_fork_in_child=_after_fork)

# A call of git takes 10 to 20 ms. It is skipped within this time while git's files are unchanged.
_FRESH_S = 5.0
_TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class Revision:
    """The full hash of the commit, and whether tracked files differ from it; None outside git."""

    commit: str | None = None
    dirty: bool | None = None


@dataclass(frozen=True, slots=True)
class _Seen:
    revision: Revision
    change_times: tuple[float, ...]
    at: float


NONE = Revision()
_seen: dict[Path, _Seen] = {}
_lock = threading.Lock()


def revision() -> Revision:
    """The revision of the working folder, which for a kernel is the notebook's.

    A commit is noticed at once, an edit of a tracked file within five seconds. Where git is
    missing, slow, or refuses the folder, both fields are None.

    >>> revision() == revision()
    True
    """
    try:
        folder = Path.cwd()
    except FileNotFoundError:  # the working folder was deleted
        return NONE
    with _lock:
        seen, now = _seen.get(folder), time.monotonic()
        change_times = _change_times(folder)
        if seen is None or seen.change_times != change_times or now - seen.at > _FRESH_S:
            _seen[folder] = seen = _Seen(
                _read_revision(folder) if change_times else NONE, change_times, now
            )
        return seen.revision


def _change_times(folder: Path) -> tuple[float, ...]:
    """The times at which git's index and HEAD changed; empty outside a repository."""
    for place in (folder, *folder.parents):
        git = place / ".git"
        try:
            if git.is_file():  # of a worktree or submodule: the path of its folder
                git = place / git.read_text("utf-8").removeprefix("gitdir:").strip()
            if git.is_dir():
                return tuple(_changed_at(git / name) for name in ("HEAD", "index", "logs/HEAD"))
        except (OSError, UnicodeDecodeError):
            return ()
    return ()


def _changed_at(path: Path) -> float:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0.0


def _read_revision(folder: Path) -> Revision:
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return NONE
    # --no-optional-locks: the user's own git commands must not fail because of this one.
    changes = _git(folder, "--no-optional-locks", "status", "--porcelain", "-uno")
    return Revision(commit.strip() or None, None if changes is None else bool(changes.strip()))


def _git(folder: Path, *words: str) -> str | None:
    """What git prints, None when it fails."""
    try:
        done = subprocess.run(  # noqa: S603 - constant words
            ["git", *words],  # noqa: S607 - the user's own git
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None

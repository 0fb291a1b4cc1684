"""Which version of the user's own code a run came from: the commit of the folder, as git says."""

from __future__ import annotations

import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

# Asking git costs 10 to 20 ms. Within this time only what git itself writes is looked at.
_FRESH_S = 5.0
_TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class Revision:
    """The commit in full hex, and whether tracked files differ from it; None outside git."""

    commit: str | None = None
    dirty: bool | None = None


@dataclass(frozen=True, slots=True)
class _Seen:
    revision: Revision
    signs: tuple[float, ...]
    at: float


NONE = Revision()
_seen: dict[Path, _Seen] = {}
_lock = threading.Lock()


def revision() -> Revision:
    """The revision of the working folder, which for a kernel is the notebook's.

    A commit is seen at once, an edit of a tracked file within five seconds. Where git is missing,
    slow, or refuses the folder, nothing is known.

    >>> revision() == revision()
    True
    """
    try:
        folder = Path.cwd()
    except FileNotFoundError:  # somebody deleted the working folder
        return NONE
    with _lock:
        seen, now = _seen.get(folder), time.monotonic()
        signs = _signs(folder)
        if seen is None or seen.signs != signs or now - seen.at > _FRESH_S:
            _seen[folder] = seen = _Seen(_asked(folder) if signs else NONE, signs, now)
        return seen.revision


def _signs(folder: Path) -> tuple[float, ...]:
    """When git last wrote its index or moved its head; empty outside a repository."""
    for place in (folder, *folder.parents):
        git = place / ".git"
        try:
            if git.is_file():  # a worktree or submodule keeps its own elsewhere
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


def _asked(folder: Path) -> Revision:
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return NONE
    # --no-optional-locks: a reader must not get in the way of the user's own git.
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

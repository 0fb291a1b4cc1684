"""How many processors this process may really use. Inside a container that is not all of them."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path


def usable_cpus(proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> int:
    """Processors this process may use at once: what it is bound to, within its cgroups' quota.

    Args:
        proc: Where the kernel describes processes.
        cgroups: Where control groups are mounted, version 2 or version 1.
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return within_quota(bound or 1, quota_cpus(proc, cgroups))


def within_quota(bound: int, quota: float | None) -> int:
    """Whole processors, at least one; a started one counts.

    >>> within_quota(8, None), within_quota(8, 1.5), within_quota(8, 0.2), within_quota(2, 4.0)
    (8, 2, 1, 2)
    """
    return bound if quota is None else max(1, min(bound, math.ceil(quota)))


def quota_cpus(proc: Path, cgroups: Path) -> float | None:
    """The tightest processor quota on the way from this process's group up, None without one.

    Source of the formats: the Linux kernel's ``cgroup-v2`` (``cpu.max``) and
    ``sched-bwc`` (``cpu.cfs_quota_us``) documents.
    """
    quotas = [_quota(folder) for folder in _groups(proc, cgroups)]
    return min((quota for quota in quotas if quota is not None), default=None)


def _groups(proc: Path, cgroups: Path) -> Iterator[Path]:
    """Folders that may hold a quota of this process. In a container its own is the root."""
    for line in _text(proc / "self" / "cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, name = rest.partition(":")
        if number == "0" or "cpu" in controllers.split(","):
            root = cgroups / controllers
            inner = root / name.strip("/")
            yield from (f for f in (inner, *inner.parents) if f.is_relative_to(root))


def _quota(folder: Path) -> float | None:
    """``quota period`` in microseconds; ``max`` and -1 mean none."""
    words = _text(folder / "cpu.max").split() or [
        *_text(folder / "cpu.cfs_quota_us").split(),
        *_text(folder / "cpu.cfs_period_us").split(),
    ]
    try:
        quota, period = (float(word) for word in words)
    except ValueError:  # "max", or no such file
        return None
    return quota / period if quota > 0 and period > 0 else None


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""

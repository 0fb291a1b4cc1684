"""The llama.cpp servers of this process: one for each file of weights, at most two of them idle.

The number of threads follows the processors that this process may use, which in a container are
fewer than the machine has.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import re
import secrets
import subprocess
import sys
import tempfile
import threading
import urllib.request
import weakref
from collections.abc import Iterator, Mapping
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from llm_playground import _lifecycle
from llm_playground._runtime import SharedJob, SharedJobs
from llm_playground.errors import ConfigError
from llm_playground.events import Preparing
from llm_playground.providers.local import weights
from llm_playground.redaction import redact, remember


def usable_cpus(proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> int:
    """Number of processors available to this process, by CPU affinity and cgroup quota."""
    limit = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return within_quota(limit or 1, quota_cpus(proc, cgroups))


def within_quota(limit: int, quota: float | None) -> int:
    """The quota rounded up to whole processors, at least one and at most ``limit``.

    >>> within_quota(8, None), within_quota(8, 1.5), within_quota(8, 0.2), within_quota(2, 4.0)
    (8, 2, 1, 2)
    """
    return limit if quota is None else max(1, min(limit, math.ceil(quota)))


def quota_cpus(proc: Path, cgroups: Path) -> float | None:
    """The lowest CPU quota of this process's cgroup and its parents; None without one.

    Formats: ``cgroup-v2`` (``cpu.max``) and ``sched-bwc`` (``cpu.cfs_quota_us``) in the
    documentation of the Linux kernel.
    """
    quotas = [_quota(folder) for folder in _groups(proc, cgroups)]
    return min((quota for quota in quotas if quota is not None), default=None)


def _groups(proc: Path, cgroups: Path) -> Iterator[Path]:
    """The cgroup folders of this process, which in a container are the root."""
    for line in _text(proc / "self" / "cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, name = rest.partition(":")
        if number == "0" or "cpu" in controllers.split(","):
            root = cgroups / controllers
            inner = root / name.strip("/")
            yield from (f for f in (inner, *inner.parents) if f.is_relative_to(root))


def _quota(folder: Path) -> float | None:
    """Quota divided by period; ``max`` and -1 mean no quota."""
    values = _text(folder / "cpu.max").split() or [
        *_text(folder / "cpu.cfs_quota_us").split(),
        *_text(folder / "cpu.cfs_period_us").split(),
    ]
    try:
        quota, period = map(float, values)
    except ValueError:  # "max", or no such file
        return None
    return quota / period if quota > 0 and period > 0 else None


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


MAX_SERVERS = 2
"""Idle servers beyond this number are ended."""

STARTING = Preparing("Starting the embedded model")

_STARTING_WITHOUT_TEMPLATE = Preparing(
    "Starting the embedded model; its file has no chat template, so prompts use the ChatML format"
)
_EXIT_S = 3.0
_SLOTS_TIMEOUT_S = 5.0
_MAX_THREADS = 8
_SCRIPT = Path(__file__).with_name("_server_process.py")
_REASON = re.compile(r"error loading model: (.+)")  # llama.cpp's log


@dataclass(frozen=True, slots=True)
class Server:
    """A running server and its process."""

    address: str
    api_key: str = field(repr=False)
    process: subprocess.Popen[bytes]


servers: SharedJobs[Path, Server] = SharedJobs()
# The tasks that use each server, which is kept until they end.
_users: dict[Path, weakref.WeakSet[asyncio.Task[object]]] = {}


def join(path: Path, remedy: str | None) -> SharedJob[Server]:
    """The running or starting server of some weights, for the current task.

    ``remedy`` is advice if the weights are broken; None for the default of ``weights.check``.
    """

    def work(job: SharedJob[Server]) -> Server:
        _end_idle()
        return _launch(job, path, remedy)

    task = asyncio.current_task()
    with servers.lock:
        users = _users.setdefault(path, weakref.WeakSet())
        if task is not None and task not in users:
            users.add(task)
            task.add_done_callback(_end_idle_later)
        return servers.join(path, work, _is_alive, STARTING)


def thread_count(cpus: int) -> int:
    """Number of threads for inference; one processor is left for the notebook.

    All threads wait for the slowest after each step. On two processors kept busy by two other
    processes, one thread generates 14 tokens a second, two generate one. A small model does not get
    faster with more than eight threads.

    >>> [thread_count(cpus) for cpus in (1, 2, 8, 64)]
    [1, 1, 7, 8]
    """
    return max(1, min(cpus - 1, _MAX_THREADS))


# Ending idle servers.


def _end_idle_later(_task: object) -> None:
    """End idle servers after a task, on another thread because it blocks."""
    if len(servers) > MAX_SERVERS:
        threading.Thread(target=_end_idle, name="llm_playground idle", daemon=True).start()


def _end_idle() -> None:
    """End servers beyond MAX_SERVERS, dead ones first, then those that are idle for longest."""
    with servers.lock:
        oldest_first = list(servers.items())
    for is_expendable in (_is_dead, _is_idle):
        for path, job in oldest_first:
            if len(servers) > MAX_SERVERS and is_expendable(path, job):
                _end(path, job)


def _is_dead(_path: Path, job: SharedJob[Server]) -> bool:
    """Whether the start failed or the server died."""
    return job.outcome.done() and (job.failed or not _is_alive(job.result()))


def _is_idle(path: Path, job: SharedJob[Server]) -> bool:
    return not _in_use(path, job) and not _is_answering(job.result())


def _end(path: Path, job: SharedJob[Server]) -> None:
    with servers.lock:  # another caller may have joined meanwhile
        dead = _is_dead(path, job)
        if servers.get(path) is not job or (_in_use(path, job) and not dead):
            return
        del servers[path]
    if not dead:
        _close(job.result().process)


def _in_use(path: Path, job: SharedJob[Server]) -> bool:
    with servers.lock:
        has_users = any(not task.done() for task in _users.get(path, ()))
        return has_users or job.waiting > 0 or not job.outcome.done()


def _is_answering(server: Server) -> bool:
    """Whether the server is generating an answer, for its users or for other clients."""
    if not _is_alive(server):
        return False
    request = urllib.request.Request(  # noqa: S310 - a loopback address
        f"{server.address}/slots", headers={"Authorization": f"Bearer {server.api_key}"}
    )
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=_SLOTS_TIMEOUT_S) as response:
            return any(slot["is_processing"] for slot in json.load(response))
    except (OSError, ValueError):
        return _is_alive(server)  # too busy to respond


def _is_alive(server: Server) -> bool:
    if server.process.poll() is None:
        return True
    _close(server.process)
    return False


# Starting and ending one process.


def _launch(job: SharedJob[Server], path: Path, remedy: str | None) -> Server:
    """Start the process and wait until its server listens."""
    header = weights.check(path, remedy)
    if not header.chat_template:
        job.preparing = _STARTING_WITHOUT_TEMPLATE
    api_key = secrets.token_urlsafe(32)
    remember(api_key)
    small = weights.SMOLLM2
    config = {
        "weights": str(path),
        "model": small.name if path.name == small.file_name else path.stem,
        "api_key": api_key,
        "threads": thread_count(usable_cpus()),
        "context_length": header.context_length,
    }
    with tempfile.TemporaryFile() as log:
        process = start_python([str(_SCRIPT)], log)
        job.end_at_once = process.kill
        line = b"" if job.stop.is_set() else send(process, config).readline()
        result = json.loads(line) if line else {}  # empty if it died
        if "address" in result:
            return Server(result["address"], api_key, process)
        _close(process)
        if job.stop.is_set():
            raise CancelledError
        log.seek(0)
        output = log.read().decode("utf-8", "replace")
    match = _REASON.search(output)
    reason = match[1] if match else f"its process exited with {process.returncode}"
    raise ConfigError(
        f"llama.cpp cannot load {path.name}: {reason}. Use another GGUF file "
        f"(local:path, or {weights.VARIABLE}), or give this machine more memory.",
        provider="local",
        detail=redact(output.strip()[-2000:]),
    )


def start_python(arguments: list[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    """A Python process, which waits for what :func:`send` sends and ends when its stdin closes."""
    return subprocess.Popen(  # noqa: S603 - code of this package
        [sys.executable, "-P", *arguments],  # -P: no module of the script's or notebook's folder
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        start_new_session=True,  # so that Ctrl+C in a terminal does not end it
    )


def send(process: subprocess.Popen[bytes], task: Mapping[str, object]) -> IO[bytes]:
    """Send a process its task and this process's search path as JSON; return its output."""
    assert process.stdin is not None  # noqa: S101 - both are pipes, see start_python
    assert process.stdout is not None  # noqa: S101 - as above
    search_path = [folder for folder in sys.path if folder]  # without "", the notebook's folder
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(json.dumps({**task, "search_path": search_path}).encode() + b"\n")
        process.stdin.flush()
    return process.stdout


def _close(process: subprocess.Popen[bytes]) -> None:
    """End a server's process and close its pipes."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    try:
        process.wait(_EXIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _close_all() -> None:
    """Cancel starts and end servers."""
    for job in servers.end():
        if not job.failed:
            _close(job.result().process)


def _forget() -> None:
    """Close the parent's pipes in a forked child, which starts its own servers."""
    for job in servers.forget():
        if job.outcome.done() and not job.failed:
            process = job.result().process
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
            process.returncode = 0  # only the parent can wait for it
    _users.clear()


_lifecycle.register(at_exit=_close_all, after_fork_in_child=_forget)

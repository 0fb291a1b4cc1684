"""The servers of this process: one for each file of weights, two at rest at most."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
import threading
import urllib.request
import weakref
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from llm_playground.errors import ConfigError
from llm_playground.events import Preparing
from llm_playground.providers import weights
from llm_playground.providers.attempt import Attempt, Attempts
from llm_playground.providers.cpus import usable_cpus
from llm_playground.redact import redact, remember

MAX_SERVERS = 2
"""Servers kept alive for their next use. More live only while more are answering at once."""

STARTING = Preparing("Starting the embedded model")

_WITHOUT_TEMPLATE = Preparing(
    "Starting the embedded model; its file has no chat template, so prompts are laid out as ChatML"
)
_EXIT_S = 3.0
_ASK_S = 5.0
_MAX_THREADS = 8
_SCRIPT = Path(__file__).with_name("local_server.py")
_REASON = re.compile(r"error loading model: (.+)")  # llama.cpp's log


@dataclass(frozen=True, slots=True)
class Server:
    """A running server and the process it is."""

    address: str
    api_key: str = field(repr=False)
    process: subprocess.Popen[bytes]


_servers: Attempts[Path, Server] = Attempts()
# Who was handed a server: it is kept while their tasks run, asked already or still queueing.
_users: dict[Path, weakref.WeakSet[asyncio.Task[object]]] = {}


def join(path: Path, remedy: str | None) -> Attempt[Server]:
    """The server for these weights, running or being started, for the task that asks.

    Args:
        path: The weights.
        remedy: What to do when they are broken, as a sentence; None for the default's.
    """

    def work(attempt: Attempt[Server]) -> Server:
        _make_room()
        return _launch(attempt, path, remedy)

    task = asyncio.current_task()
    with _servers.lock:
        users = _users.setdefault(path, weakref.WeakSet())
        if task is not None and task not in users:
            users.add(task)
            task.add_done_callback(_room_later)
        return _servers.join(path, work, _is_alive, STARTING)


def leave(attempt: Attempt[Server]) -> None:
    """The caller waits no longer; its task may go on using the server."""
    _servers.leave(attempt)


def model_of(path: Path) -> str:
    """What the server says answered: the known model, or the file's own name.

    >>> model_of(Path("/models/my-own.gguf"))
    'my-own'
    """
    return weights.SMOLLM2.name if path.name == weights.SMOLLM2.file_name else path.stem


def thread_count(cpus: int) -> int:
    """Threads that compute; one processor is left to the notebook and whatever else runs.

    All threads wait for the slowest after each step. Measured on two processors that two other
    processes keep busy: 14 tokens a second with one thread, 1 with two. A small model does not
    get faster with more than eight.

    >>> [thread_count(cpus) for cpus in (1, 2, 8, 64)]
    [1, 1, 7, 8]
    """
    return max(1, min(cpus - 1, _MAX_THREADS))


# Room


def _room_later(_task: object) -> None:
    """After the last use of one too many; not on its event loop, since it takes a while."""
    if len(_servers) > MAX_SERVERS:
        threading.Thread(target=_make_room, name="llm_playground room", daemon=True).start()


def _make_room() -> None:
    """End servers that nobody uses, the one used longest ago first, until the rest is few."""
    with _servers.lock:
        oldest_first = list(_servers.items())
    for is_needless in (_is_over, _is_idle):
        for path, attempt in oldest_first:
            if len(_servers) > MAX_SERVERS and is_needless(path, attempt):
                _end(path, attempt)


def _is_over(_path: Path, attempt: Attempt[Server]) -> bool:
    """Whether the start failed or the server died."""
    return attempt.outcome.done() and (attempt.failed or not _is_alive(attempt.result()))


def _is_idle(path: Path, attempt: Attempt[Server]) -> bool:
    return not _in_use(path, attempt) and not _is_answering(attempt.result())


def _end(path: Path, attempt: Attempt[Server]) -> None:
    with _servers.lock:  # joined meanwhile, it stays
        over = _is_over(path, attempt)
        if _servers.get(path) is not attempt or (_in_use(path, attempt) and not over):
            return
        del _servers[path]
    if not over:
        _close(attempt.result().process)


def _in_use(path: Path, attempt: Attempt[Server]) -> bool:
    with _servers.lock:
        tasks = any(not task.done() for task in _users.get(path, ()))
        return tasks or attempt.waiting > 0 or not attempt.outcome.done()


def _is_answering(server: Server) -> bool:
    """Whether the server works for anyone, its users' tasks or not; a dead one does not."""
    if not _is_alive(server):
        return False
    request = urllib.request.Request(  # noqa: S310 - our own address on loopback
        f"{server.address}/slots", headers={"Authorization": f"Bearer {server.api_key}"}
    )
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=_ASK_S) as response:
            return any(slot["is_processing"] for slot in json.load(response))
    except (OSError, ValueError):
        return _is_alive(server)  # too busy to say


def _is_alive(server: Server) -> bool:
    if server.process.poll() is None:
        return True
    _close(server.process)
    return False


# One process


def _launch(attempt: Attempt[Server], path: Path, remedy: str | None) -> Server:
    """Start the process and wait until its server listens."""
    header = weights.check(path, remedy)
    if not header.chat_template:
        attempt.preparing = _WITHOUT_TEMPLATE
    api_key = secrets.token_urlsafe(32)
    remember(api_key)
    order = {
        "search_path": [folder for folder in sys.path if folder],  # not "", the notebook's folder
        "weights": str(path),
        "model": model_of(path),
        "api_key": api_key,
        "threads": thread_count(usable_cpus()),
        "context_length": header.context_length,
    }
    with tempfile.TemporaryFile() as log:
        process = _spawn(log)
        attempt.end_at_once = process.kill
        answer = {} if attempt.stop.is_set() else _ask(process, order)
        if "address" in answer:
            return Server(answer["address"], api_key, process)
        _close(process)
        if attempt.stop.is_set():
            raise CancelledError
        log.seek(0)
        raise _failed(path, process.returncode, log.read().decode("utf-8", "replace"))


def _spawn(log: IO[bytes]) -> subprocess.Popen[bytes]:
    """The server's process, waiting for its order. It ends when our end of its stdin closes."""
    return subprocess.Popen(  # noqa: S603 - our own script
        [sys.executable, "-P", str(_SCRIPT)],  # -P: its folder has modules named as libraries
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        start_new_session=True,  # Ctrl+C in a terminal is not meant for it
    )


def _ask(process: subprocess.Popen[bytes], order: dict[str, object]) -> dict[str, str]:
    """What the process answers; empty when it died."""
    assert process.stdin is not None  # noqa: S101 - both are pipes, see _spawn
    assert process.stdout is not None  # noqa: S101 - as above
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(json.dumps(order).encode() + b"\n")
        process.stdin.flush()
    line = process.stdout.readline()
    return json.loads(line) if line else {}


def _failed(path: Path, returncode: int, log: str) -> ConfigError:
    reason = _REASON.search(log)
    said = reason[1] if reason else f"its process ended with {returncode}"
    return ConfigError(
        f"llama.cpp cannot load {path.name}: {said}. Use another GGUF file "
        f"(local:path, or {weights.VARIABLE}), or give this machine more memory.",
        provider="local",
        detail=redact(log.strip()[-2000:]),
    )


def _close(process: subprocess.Popen[bytes]) -> None:
    """End a server's process and give back what it held."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    try:
        process.wait(_EXIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@atexit.register
def _close_all() -> None:
    """A start under way is given up, and clears up after itself; servers end."""
    for attempt in _servers.end():
        if not attempt.failed:
            _close(attempt.result().process)


def _forget() -> None:
    """A forked child starts its own servers, and does not keep its parent's alive."""
    for attempt in _servers.forget():
        if attempt.outcome.done() and not attempt.failed:
            process = attempt.result().process
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
            process.returncode = 0  # not ours to wait for
    _users.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)

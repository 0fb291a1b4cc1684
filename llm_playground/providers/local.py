"""The embedded model: a small real one that runs beside the kernel, without a key or a network.

It speaks Chat Completions on loopback; whoever builds providers talks to it as to any other
endpoint of that format.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import importlib.util
import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncGenerator
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from llm_playground import config
from llm_playground.errors import ConfigError
from llm_playground.providers import weights
from llm_playground.providers.base import Endpoint
from llm_playground.providers.cpus import usable_cpus
from llm_playground.redact import redact, remember
from llm_playground.types import Preparing

INSTALL = "pip install xllamacpp"
_TICK_S = 0.1
_EXIT_S = 3.0
_MAX_THREADS = 8
_SCRIPT = Path(__file__).with_name("local_server.py")
_STARTING = Preparing("Starting the embedded model")
_REASON = re.compile(r"error loading model: (.+)")  # llama.cpp's log


async def start(
    model_name: str = weights.SMOLLM2.name,
) -> AsyncGenerator[Preparing | Endpoint, None]:
    """Yield what is being prepared, then, last, where the embedded model is reached.

    Weights are fetched on first use. One server per file of weights and process; all callers of
    any event loop share it, and its start. A failed start is tried again by the next call. When
    the last caller gives up waiting, fetching and starting are given up too.

    Args:
        model_name: What follows ``local:``. Where ``LLM_PLAYGROUND_LOCAL_MODEL`` names the file,
            any name will do, it is that file that answers; else there is one model.

    Raises:
        ConfigError: What is missing or broken, and what to do.

    Example::

        async for event in start():
            match event:
                case Preparing(message, fraction): ...
                case Endpoint(): ...
    """
    path = weights.find()
    _require(model_name)
    attempt = _join(path or weights.destination(), fetch=path is None)
    ended = asyncio.wrap_future(attempt.server)
    try:
        shown = None
        while not attempt.server.done():
            if attempt.preparing != shown:
                shown = attempt.preparing
                yield shown
            await asyncio.wait({ended}, timeout=_TICK_S)
        server = _result(attempt)
    finally:
        ended.cancel()
        _leave(attempt)
    yield Endpoint("local", server.api_key, f"{server.address}/v1")


def installed() -> bool:
    """Whether the library that runs the embedded model is there."""
    return importlib.util.find_spec("xllamacpp") is not None


def _require(model_name: str) -> None:
    """Refuse what cannot work before anything is fetched for it."""
    if not installed():
        raise ConfigError(
            f"The embedded model needs xllamacpp: {INSTALL}",
            provider="local",
        )
    if model_name != weights.SMOLLM2.name and config.local_model_path() is None:
        raise ConfigError(
            f"There is no embedded model {model_name!r}. Use local:{weights.SMOLLM2.name}, or set "
            f"{weights.VARIABLE} to a GGUF file.",
            provider="local",
            model=f"local:{model_name}",
        )


@dataclass(frozen=True, slots=True)
class _Server:
    """A running server and the process it is."""

    address: str
    api_key: str = field(repr=False)
    process: subprocess.Popen[bytes]


@dataclass(slots=True, eq=False)
class _Attempt:
    """One start, shared by all who wait for it."""

    path: Path
    fetch: bool
    preparing: Preparing = _STARTING
    server: Future[_Server] = field(default_factory=Future)
    stop: threading.Event = field(default_factory=threading.Event)
    process: subprocess.Popen[bytes] | None = None
    thread: threading.Thread | None = None
    waiting: int = 0

    def usable(self) -> bool:
        """Whether it is under way, or its server is alive."""
        if self.stop.is_set():
            return False
        if not self.server.done():
            return True
        return self.server.exception() is None and self.server.result().process.poll() is None


_lock = threading.Lock()
_attempts: dict[Path, _Attempt] = {}


def _join(path: Path, *, fetch: bool) -> _Attempt:
    with _lock:
        attempt = _attempts.get(path)
        if attempt is None or not attempt.usable():
            if attempt is not None and attempt.server.done() and attempt.process is not None:
                _close(attempt.process)  # dead; else its own thread closes it
            attempt = _attempts[path] = _Attempt(path, fetch)
            attempt.server.set_running_or_notify_cancel()  # no single caller can cancel it
            # A daemon: the end of the program must not wait for a fetch.
            attempt.thread = threading.Thread(
                target=_run, args=(attempt,), name="llm_playground local", daemon=True
            )
            attempt.thread.start()
        attempt.waiting += 1
        return attempt


def _leave(attempt: _Attempt) -> None:
    with _lock:
        attempt.waiting -= 1
        if not attempt.waiting and not attempt.server.done():
            _abandon(attempt)


def _abandon(attempt: _Attempt) -> None:
    attempt.stop.set()
    if attempt.process is not None:
        attempt.process.kill()


def _result(attempt: _Attempt) -> _Server:
    """The server, or this caller's own copy of the error: each run keeps its own."""
    try:
        return attempt.server.result()
    except ConfigError as error:
        raise ConfigError(str(error), provider="local", detail=error.detail) from error


def _run(attempt: _Attempt) -> None:
    """What the attempt's thread does: fetch, check, start."""
    try:
        if attempt.fetch:
            _fetch(attempt)
        attempt.server.set_result(_launch(attempt))
    except BaseException as error:
        attempt.server.set_exception(error)


def _fetch(attempt: _Attempt) -> None:
    def progress(so_far: int, in_all: int) -> None:
        attempt.preparing = Preparing(
            f"Fetching a small model, once: {so_far / 1e6:.0f} of {in_all / 1e6:.0f} MB",
            so_far / in_all,
        )

    weights.fetch(progress, attempt.stop)
    attempt.preparing = _STARTING


def _launch(attempt: _Attempt) -> _Server:
    """Start the process and wait until its server listens."""
    context_length = weights.check(attempt.path).context_length
    api_key = secrets.token_urlsafe(32)
    remember(api_key)
    order = {
        "search_path": [folder for folder in sys.path if folder],  # not "", the notebook's folder
        "weights": str(attempt.path),
        "model": _response_model(attempt.path),
        "api_key": api_key,
        "threads": thread_count(usable_cpus()),
        "context_length": context_length,
    }
    with tempfile.TemporaryFile() as log:
        process = attempt.process = _spawn(log)
        answer = {} if attempt.stop.is_set() else _ask(process, order)
        if "address" in answer:
            return _Server(answer["address"], api_key, process)
        _close(process)
        if attempt.stop.is_set():
            raise CancelledError
        log.seek(0)
        raise _failed(attempt.path, process.returncode, log.read().decode("utf-8", "replace"))


def thread_count(cpus: int) -> int:
    """Threads that compute; one processor is left to the notebook and whatever else runs.

    All threads wait for the slowest after each step. Measured on two processors that two other
    processes keep busy: 14 tokens a second with one thread, 1 with two. A small model does not
    get faster with more than eight.

    >>> [thread_count(cpus) for cpus in (1, 2, 8, 64)]
    [1, 1, 7, 8]
    """
    return max(1, min(cpus - 1, _MAX_THREADS))


def _response_model(path: Path) -> str:
    """What the server says answered: the known model, or the file's own name."""
    return weights.SMOLLM2.name if path.name == weights.SMOLLM2.file_name else path.stem


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
        f"llama.cpp cannot load {path.name}: {said}. Set {weights.VARIABLE} to another GGUF file, "
        "or give this machine more memory.",
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
    """A fetch or start under way is given up, and clears up after itself; servers end."""
    with _lock:
        attempts = list(_attempts.values())
        _attempts.clear()
        for attempt in attempts:
            if not attempt.server.done():
                _abandon(attempt)
    for attempt in attempts:
        if attempt.thread is not None:
            attempt.thread.join(_EXIT_S)
        if attempt.process is not None:
            _close(attempt.process)


def _forget() -> None:
    """A forked child starts its own server, and does not keep its parent's alive."""
    global _lock
    for attempt in _attempts.values():
        if attempt.process is not None:
            for pipe in (attempt.process.stdin, attempt.process.stdout):
                if pipe is not None:
                    pipe.close()
            attempt.process.returncode = 0  # not ours to wait for
    _attempts.clear()
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)

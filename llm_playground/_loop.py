"""The one background event loop, and the one bridge from synchronous code to it.

Every provider call runs here, whoever asks: a script, a cell, a widget while another cell is busy.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_CANCEL_GRACE_S = 3.0
_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


def loop() -> asyncio.AbstractEventLoop:
    """The background loop, started on first use."""
    global _loop
    with _lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="llm_playground", daemon=True).start()
        return _loop


def submit(work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
    """Start a coroutine on the background loop. Cancelling the future cancels the coroutine."""
    return asyncio.run_coroutine_threadsafe(work, loop())


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end from synchronous code.

    Interrupting (Ctrl+C, the kernel's ■) cancels it and waits until it has cleaned up.

    Raises:
        KeyboardInterrupt: After the coroutine has been cancelled.

    >>> async def answer():
    ...     return 42
    >>> run(answer())
    42
    """
    ended = threading.Event()
    future = submit(_signalling(work, ended))
    try:
        return future.result()
    except KeyboardInterrupt:
        future.cancel()
        ended.wait(_CANCEL_GRACE_S)
        raise


async def bridge(work: Coroutine[Any, Any, T]) -> T:
    """Await a coroutine that runs on the background loop, from any other loop."""
    return await asyncio.wrap_future(submit(work))


async def _signalling(work: Coroutine[Any, Any, T], ended: threading.Event) -> T:
    try:
        return await work
    finally:
        ended.set()


def _forget() -> None:
    """A forked child has no loop thread: it starts its own on first use."""
    global _loop, _lock
    _loop, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)

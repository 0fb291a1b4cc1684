"""The one background event loop, and the one bridge from synchronous code to it.

Every provider call runs here, whoever asks: a script, a cell, a widget while another cell is busy.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import os
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Generic, TypeVar

from llm_playground.errors import LLMError

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
        LLMError: This is called on the loop itself, by an async tool or a validator, say: it would
            wait for its own answer.

    >>> async def answer():
    ...     return 42
    >>> run(answer())
    42
    """
    if _runs_here():
        work.close()
        raise LLMError(
            "This waits for an answer on the loop that would bring it. "
            "Use `await lp.complete(...)` here, or an ordinary function."
        )
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


async def in_thread(work: Callable[[], T]) -> T:
    """What blocking code returns or raises, run on a daemon thread of its own.

    Unlike the threads of :func:`asyncio.to_thread` there is always one more, and none is waited
    for when Python ends: code of a user may block for ever. Cancelling leaves it to itself.

    >>> run(in_thread(lambda: 42))
    42
    """
    here, context = asyncio.get_running_loop(), contextvars.copy_context()
    future: asyncio.Future[T] = here.create_future()

    def deliver(set_outcome: Callable[[Any], None], outcome: object) -> None:
        if not future.done():
            set_outcome(outcome)

    def work_there() -> None:
        try:
            outcome: tuple[Callable[[Any], None], Any] = future.set_result, context.run(work)
        except Exception as error:
            outcome = future.set_exception, error
        with suppress(RuntimeError):  # that loop is closed: nobody waits any more
            here.call_soon_threadsafe(deliver, *outcome)

    threading.Thread(target=work_there, name="llm_playground-work", daemon=True).start()
    return await future


def _runs_here() -> bool:
    try:
        return asyncio.get_running_loop() is _loop
    except RuntimeError:
        return False


class Handover(Generic[T]):
    """Things from any thread, in order, to the loop that made this.

    Waking another thread costs more than a delta does: one call wakes it for all that waits.
    """

    def __init__(self) -> None:
        self._here = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._waiting: deque[T] = deque()
        self._told = False

    def put(self, thing: T) -> None:
        """Give one more. Once that loop is closed nobody listens, and nothing happens."""
        self._waiting.append(thing)
        if not self._told:
            self._told = True
            with suppress(RuntimeError):
                self._here.call_soon_threadsafe(self._news.set)

    async def get(self) -> T:
        """Wait for the next one."""
        while not self._waiting:
            await self._news.wait()
            self._news.clear()
            self._told = False  # before looking again: what is put from now on tells again
        return self._waiting.popleft()


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

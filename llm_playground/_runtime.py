"""The background event loop, and jobs on threads.

All provider calls run on one background loop, whether a script, a cell or a widget makes them.
:func:`run` and :func:`bridge` wait for them from synchronous code and from other loops.
:class:`SharedJobs` share long work among all callers that wait for it, on any loop.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from llm_playground import _lifecycle
from llm_playground.errors import ConfigError, LLMError
from llm_playground.events import Preparing

K = TypeVar("K")
T = TypeVar("T")

_CANCEL_GRACE_S = 3.0
_POLL_S = 0.1
_WAKE_EVERY_S = 0.001
_EXIT_S = 3.0
_IDLE_S = 10.0  # of a thread that waits for work
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


def run(
    work: Coroutine[Any, Any, T],
    while_waiting: Callable[[], None] | None = None,
    every_s: float | None = None,
) -> T:
    """Run a coroutine to its end from synchronous code.

    Interrupting (Ctrl+C, the kernel's ■) cancels it and waits until it has cleaned up.
    ``while_waiting`` is called on this thread every ``every_s`` seconds until the end.

    Raises:
        KeyboardInterrupt: After the coroutine has been cancelled.
        LLMError: Called on the background loop itself, for example by an async tool, which would
            deadlock.

    >>> async def answer():
    ...     return 42
    >>> run(answer())
    42
    """
    try:
        is_background_loop = asyncio.get_running_loop() is _loop
    except RuntimeError:
        is_background_loop = False
    if is_background_loop:
        work.close()
        raise LLMError(
            "A blocking call in an async tool would wait forever. "
            "Use `await lp.complete(...)` here, or an ordinary function."
        )
    ended = threading.Event()
    future = submit(_signalling(work, ended))
    try:
        while while_waiting is not None and not concurrent.futures.wait([future], every_s).done:
            while_waiting()
        return future.result()
    except KeyboardInterrupt:
        future.cancel()
        ended.wait(_CANCEL_GRACE_S)
        raise


async def bridge(work: Coroutine[Any, Any, T]) -> T:
    """Await a coroutine that runs on the background loop, from any other loop."""
    return await asyncio.wrap_future(submit(work))


async def in_thread(work: Callable[[], T]) -> T:
    """Run blocking code on a new daemon thread; return or raise what it does.

    Unlike with :func:`asyncio.to_thread`, the number of threads has no limit and Python does not
    wait for them at exit, since users' code may block forever. Cancelling does not stop the thread.

    >>> run(in_thread(lambda: 42))
    42
    """
    loop, context = asyncio.get_running_loop(), contextvars.copy_context()
    future: asyncio.Future[T] = loop.create_future()

    def deliver(set_outcome: Callable[[Any], None], outcome: object) -> None:
        if not future.done():
            set_outcome(outcome)

    def work_on_thread() -> None:
        try:
            outcome: tuple[Callable[[Any], None], Any] = future.set_result, context.run(work)
        except Exception as error:
            outcome = future.set_exception, error
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(deliver, *outcome)

    threading.Thread(target=work_on_thread, name="llm_playground-work", daemon=True).start()
    return await future


class Handover(Generic[T]):
    """A queue from any thread to the loop on which it was created.

    Waking the loop costs more than handling a delta. So one call wakes it for all waiting items, at
    most once a millisecond.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._wakeup = asyncio.Event()
        self._items: deque[T] = deque()
        self._waking = False
        self._woken_at = 0.0

    def put(self, item: T) -> None:
        """Append an item; ignored after the loop is closed."""
        self._items.append(item)
        if not self._waking:
            self._waking = True
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._wakeup.set)

    async def get(self) -> T:
        """Wait for the next item.

        The loop wakes at least every ``_POLL_S``: ipykernel's interrupt handler schedules the
        cancellation without waking an idle loop.
        """
        while not self._items:
            timer = self._loop.call_later(_POLL_S, self._wakeup.set)
            try:
                await self._wakeup.wait()
            finally:
                timer.cancel()
            pause_s = self._woken_at + _WAKE_EVERY_S - time.monotonic()
            if pause_s > 0:
                await asyncio.sleep(pause_s)
            self._wakeup.clear()
            self._woken_at = time.monotonic()
            self._waking = False  # before the next check, so that later items wake the loop
        return self._items.popleft()


async def _signalling(work: Coroutine[Any, Any, T], ended: threading.Event) -> T:
    try:
        return await work
    finally:
        ended.set()


def _reset_after_fork() -> None:
    """Let a forked child, which has no loop thread, start its own on first use."""
    global _loop, _lock
    _loop, _lock = None, threading.Lock()


_lifecycle.register(after_fork_in_child=_reset_after_fork)


class Debouncer:
    """Runs ``action`` on a daemon thread ``delay_s`` after the first :meth:`soon`.

    Further calls before it runs change nothing; a call while it runs makes it run once more. The
    thread, which refers to ``action`` and so to its object, ends after ``_IDLE_S`` without work.
    ``action`` must not raise. Seconds that it returns are the pause after which it runs again.
    """

    def __init__(self, action: Callable[[], float | None], delay_s: float, name: str) -> None:
        self._action = action
        self._delay_s = delay_s
        self._name = name
        self._requested = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def soon(self) -> None:
        """Have the action run within about ``delay_s``; starts the thread if there is none."""
        if not self._requested.is_set():  # cheaper than set(); called for each delta
            self._requested.set()
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
                    self._thread.start()

    def _work(self) -> None:
        while self._requested.wait(_IDLE_S) or not self._stop_if_idle():
            time.sleep(self._delay_s)
            self._requested.clear()
            pause_s = self._action()
            if pause_s is not None:
                time.sleep(pause_s)
                self._requested.set()

    def _stop_if_idle(self) -> bool:
        """Give the thread up unless the action has been requested meanwhile; whether it ends."""
        with self._starting:
            self._thread = None  # first: a later call starts another thread
            if self._requested.is_set():
                self._thread = threading.current_thread()
            return self._thread is None


@dataclass(slots=True, eq=False)
class SharedJob(Generic[T]):
    """One job. Its work updates ``preparing``, the current step, and regularly checks ``stop``.

    ``end_at_once`` is called when ``stop`` is set, for work that cannot check it; ``waiting`` is
    the number of callers that wait.
    """

    preparing: Preparing
    outcome: Future[T] = field(default_factory=Future)
    stop: threading.Event = field(default_factory=threading.Event)
    end_at_once: Callable[[], None] | None = None
    thread: threading.Thread | None = None
    waiting: int = 0

    @property
    def failed(self) -> bool:
        """Whether the job has failed or is being stopped."""
        done = self.outcome.done()
        return self.outcome.exception() is not None if done else self.stop.is_set()

    def begin(self, work: Callable[[SharedJob[T]], T], name: str) -> None:
        """Start the work."""
        self.outcome.set_running_or_notify_cancel()  # so that single callers cannot cancel it
        # A daemon thread, so that Python does not wait for a download at exit.
        self.thread = threading.Thread(target=self._run, args=(work,), name=name, daemon=True)
        self.thread.start()

    def give_up(self) -> None:
        """Ask the work to end without a result."""
        self.stop.set()
        if self.end_at_once is not None:
            self.end_at_once()

    def result(self) -> T:
        """The result, or the error as a copy for this caller, since each run keeps its own."""
        try:
            return self.outcome.result()
        except ConfigError as error:
            raise ConfigError(str(error), provider="local", detail=error.detail) from error

    def _run(self, work: Callable[[SharedJob[T]], T]) -> None:
        try:
            self.outcome.set_result(work(self))
        except BaseException as error:
            self.outcome.set_exception(error)


class SharedJobs(dict[K, SharedJob[T]], Generic[K, T]):
    """Running jobs and results by key; the last used is last."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.RLock()

    def join(
        self,
        key: K,
        work: Callable[[SharedJob[T]], T],
        usable: Callable[[T], bool],
        first: Preparing,
    ) -> SharedJob[T]:
        """The job to wait for, started unless one is running or has a usable result."""
        with self.lock:
            job = self.pop(key, None)
            if (
                job is None
                or job.failed
                or (job.outcome.done() and not usable(job.outcome.result()))
            ):
                job = SharedJob(first)
                job.begin(work, "llm_playground local")
            self[key] = job
            job.waiting += 1
            return job

    def leave(self, job: SharedJob[T]) -> None:
        """Stop waiting; the job stops when its last caller does."""
        with self.lock:
            job.waiting -= 1
            if not job.waiting and not job.outcome.done():
                job.give_up()

    def end(self) -> list[SharedJob[T]]:
        """Stop running jobs, wait briefly for their clean-up, and return all jobs."""
        with self.lock:
            jobs = list(self.values())
            self.clear()
            for job in jobs:
                if not job.outcome.done():
                    job.give_up()
        for job in jobs:
            if job.thread is not None:
                job.thread.join(_EXIT_S)
        return jobs

    def forget(self) -> list[SharedJob[T]]:
        """Start empty in a forked child, which has none of the threads or lock holders."""
        jobs = list(self.values())
        self.clear()
        self.lock = threading.RLock()
        return jobs


async def progress(job: SharedJob[T]) -> AsyncGenerator[Preparing, None]:
    """Each new step of a job until it ends."""
    ended = asyncio.wrap_future(job.outcome)
    try:
        shown = None
        while not job.outcome.done():
            if job.preparing != shown:
                shown = job.preparing
                yield shown
            await asyncio.wait({ended}, timeout=_POLL_S)
    finally:
        if not ended.cancel() and not ended.cancelled():
            ended.exception()  # retrieved, so that asyncio does not log it; result() raises it

"""One long piece of work on a thread of its own, shared by all who wait for it on any event loop.

When the last who waits gives up, the work is given up too.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from llm_playground.errors import ConfigError
from llm_playground.events import Preparing

K = TypeVar("K")
T = TypeVar("T")

_TICK_S = 0.1
_EXIT_S = 3.0


@dataclass(slots=True, eq=False)
class Attempt(Generic[T]):
    """One try. Its work sets ``preparing`` as it goes on, and looks at ``stop`` now and then.

    Args:
        preparing: What is being done, for those who wait.
        outcome: What came of it.
        stop: Set when nobody wants it any more.
        end_at_once: Called with ``stop``, for work that cannot look at it.
        waiting: How many wait.
    """

    preparing: Preparing
    outcome: Future[T] = field(default_factory=Future)
    stop: threading.Event = field(default_factory=threading.Event)
    end_at_once: Callable[[], None] | None = None
    thread: threading.Thread | None = None
    waiting: int = 0

    @property
    def failed(self) -> bool:
        """Whether it ended without a result, or will."""
        done = self.outcome.done()
        return self.outcome.exception() is not None if done else self.stop.is_set()

    def begin(self, work: Callable[[Attempt[T]], T], name: str) -> None:
        """Start the work."""
        self.outcome.set_running_or_notify_cancel()  # no single caller can cancel it
        # A daemon: the end of the program must not wait for a fetch.
        self.thread = threading.Thread(target=self._run, args=(work,), name=name, daemon=True)
        self.thread.start()

    def give_up(self) -> None:
        """Ask the work to end without a result."""
        self.stop.set()
        if self.end_at_once is not None:
            self.end_at_once()

    def result(self) -> T:
        """What came of it; an error is this caller's own copy, since each run keeps its own."""
        try:
            return self.outcome.result()
        except ConfigError as error:
            raise ConfigError(str(error), provider="local", detail=error.detail) from error

    def _run(self, work: Callable[[Attempt[T]], T]) -> None:
        try:
            self.outcome.set_result(work(self))
        except BaseException as error:
            self.outcome.set_exception(error)


class Attempts(dict[K, Attempt[T]], Generic[K, T]):
    """The attempts under way and their results, by what is attempted; last used last."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.RLock()

    def join(
        self,
        key: K,
        work: Callable[[Attempt[T]], T],
        usable: Callable[[T], bool],
        first: Preparing,
    ) -> Attempt[T]:
        """The attempt to wait for; begun unless one is under way or its result is usable still."""
        with self.lock:
            attempt = self.pop(key, None)
            if attempt is None or attempt.failed or not _fit(attempt, usable):
                attempt = Attempt(first)
                attempt.begin(work, "llm_playground local")
            self[key] = attempt
            attempt.waiting += 1
            return attempt

    def leave(self, attempt: Attempt[T]) -> None:
        """One waits no longer."""
        with self.lock:
            attempt.waiting -= 1
            if not attempt.waiting and not attempt.outcome.done():
                attempt.give_up()

    def end(self) -> list[Attempt[T]]:
        """Give up what is under way, and wait a little until it has cleared up; all there was."""
        with self.lock:
            attempts = list(self.values())
            self.clear()
            for attempt in attempts:
                if not attempt.outcome.done():
                    attempt.give_up()
        for attempt in attempts:
            if attempt.thread is not None:
                attempt.thread.join(_EXIT_S)
        return attempts

    def forget(self) -> list[Attempt[T]]:
        """In a forked child: its parent's threads are not here, nor is who held the lock."""
        attempts = list(self.values())
        self.clear()
        self.lock = threading.RLock()
        return attempts


def _fit(attempt: Attempt[T], usable: Callable[[T], bool]) -> bool:
    return not attempt.outcome.done() or usable(attempt.outcome.result())


async def progress(attempt: Attempt[T]) -> AsyncGenerator[Preparing, None]:
    """What is being prepared, until it ended."""
    ended = asyncio.wrap_future(attempt.outcome)
    try:
        shown = None
        while not attempt.outcome.done():
            if attempt.preparing != shown:
                shown = attempt.preparing
                yield shown
            await asyncio.wait({ended}, timeout=_TICK_S)
    finally:
        if not ended.cancel() and not ended.cancelled():
            ended.exception()  # seen here; who waits raises it from the attempt

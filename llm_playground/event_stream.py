"""The events of one answer, for ``async for`` and ``for``, and the end of reading them early.

A loop holds the only reference to its iterator, so that leaving the loop, by ``break`` or by an
exception, drops the iterator and closes the connection at once, also where the stream has a name.
Only CPython drops it at once; ``async with`` closes on every Python.
"""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from llm_playground import _runtime
from llm_playground.errors import ConfigError, InvalidParameterError
from llm_playground.events import RunFinished, StreamEvent
from llm_playground.progress import interrupted_text, interrupts_in_one_line
from llm_playground.types import Run

# Makes the coroutine of one call, which passes its events to the argument.
Start = Callable[[Callable[[StreamEvent], None]], Coroutine[Any, Any, Run]]

_CLOSE_S = 3.0
_POLL_S = 0.1


class Stream:
    """The events of an answer: deltas, then one ``RunFinished``. The call begins when it is read.

    ``async for`` and ``for`` read it, once. Leaving the loop closes the connection, and the run is
    logged as ``cancelled``; so does the end of ``async with`` or ``with``. ``run`` is the run once
    it has ended.

    Example::

        async with lp.stream("Tell me a story.") as events:
            async for event in events:
                break
        events.run.status  # "cancelled"
    """

    def __init__(self, start: Start, run_id: str) -> None:
        self._start = start
        self._run_id = run_id
        self._reading: _Reading | None = None
        self.run: Run | None = None

    def __aiter__(self) -> _AsyncIterator:
        return _AsyncIterator(self._read(_runtime.Handover()))

    def __iter__(self) -> _Iterator:
        return _Iterator(self._read(_BlockingQueue()))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _stack: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _stack: TracebackType | None,
    ) -> None:
        self.close()

    async def aclose(self) -> None:
        """Close the connection, if it is open, and wait until the run is logged."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.get_running_loop().run_in_executor(None, self._reading.wait)

    def close(self) -> None:
        """As :meth:`aclose`, for synchronous code."""
        if self._reading is not None:
            self._reading.cancel()
            self._reading.wait()

    def _read(self, events: Any) -> _Reading:  # noqa: ANN401 - a Handover or a _BlockingQueue
        if self._reading is not None:
            raise InvalidParameterError(
                "This stream was read already; leaving a loop closes it. Call lp.stream(...) again."
            )
        self._reading = reading = _Reading(events, interrupted_text([self._run_id]))

        def put(event: StreamEvent) -> None:
            if isinstance(event, RunFinished):
                self.run = event.run
            events.put(event)

        reading.begin(self._start(put))
        return reading


class _BlockingQueue:
    """A queue for synchronous code, which Ctrl+C interrupts."""

    def __init__(self) -> None:
        self._items: queue.SimpleQueue[StreamEvent | None] = queue.SimpleQueue()
        self.put = self._items.put

    def get(self) -> StreamEvent | None:
        while True:
            with suppress(queue.Empty):
                return self._items.get(timeout=_POLL_S)


class _Reading:
    """One call that is being read. ``events`` ends with None; an interruption shows ``text``."""

    def __init__(self, events: Any, text: str) -> None:  # noqa: ANN401 - a Handover or a _BlockingQueue
        self.events = events
        self.text = text
        self._ended: Future[None] = Future()
        self._future: Future[Run] | None = None

    def begin(self, work: Coroutine[Any, Any, Run]) -> None:
        events, ended = self.events, self._ended

        async def signalling() -> Run:
            try:
                return await work
            finally:
                ended.set_result(None)
                events.put(None)

        self._future = _runtime.submit(signalling())

    def cancel(self) -> None:
        if self._future is not None:
            self._future.cancel()

    def wait(self) -> None:
        """Wait until the call has ended, which takes long only where a disk or server hangs."""
        with suppress(TimeoutError):
            self._ended.result(_CLOSE_S)

    def raise_error(self) -> None:
        """Raise an error from before the run, such as an unusable log."""
        if self._future is not None and not self._future.cancelled():
            self._future.result(_CLOSE_S)


def _checked(event: StreamEvent) -> StreamEvent:
    """The event; raises the error of a request that could not be sent."""
    if isinstance(event, RunFinished) and isinstance(event.run.error, ConfigError):
        raise event.run.error
    return event


class _AsyncIterator:
    """What ``async for`` reads. Dropping it closes the connection."""

    def __init__(self, reading: _Reading) -> None:
        self._reading = reading

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StreamEvent:
        reading = self._reading
        try:
            with interrupts_in_one_line(reading.text):
                event = await reading.events.get()
        except asyncio.CancelledError:
            del self  # a traceback that is kept would keep the iterator, and the connection open
            raise
        if event is None:
            reading.raise_error()
            raise StopAsyncIteration
        return _checked(event)

    def __del__(self) -> None:
        self._reading.cancel()


class _Iterator:
    """What ``for`` reads. Dropping it closes the connection."""

    def __init__(self, reading: _Reading) -> None:
        self._reading = reading

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> StreamEvent:
        reading = self._reading
        del self  # as in _AsyncIterator
        with interrupts_in_one_line(reading.text):
            event = reading.events.get()
        if event is None:
            reading.raise_error()
            raise StopIteration
        return _checked(event)

    def __del__(self) -> None:
        self._reading.cancel()

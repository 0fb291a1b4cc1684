"""Calls that were sent at once, until a moment after their end.

Work at their end would slow the caller's next call down: both need Python's interpreter lock.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue

from llm_playground.capture.exchange import Exchange, report

_PAUSE_S = 0.1
HandOver = Callable[[list[Exchange]], None]


class Outbox:
    """Calls that were sent at once, until they are handed over to the background loop.

    A caller only puts a call into a queue. Its ``put`` may be called at any moment, also while
    garbage is collected, and wakes the thread at most once in ``_PAUSE_S``.
    """

    def __init__(self, hand_over: HandOver) -> None:
        self._hand_over = hand_over
        self.reset()

    def reset(self) -> None:
        """Start empty, as in a forked child."""
        self._queue: SimpleQueue[Exchange] = SimpleQueue()
        self._taken: list[Exchange] = []
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def put(self, exchange: Exchange) -> None:
        """Have a call logged when it has ended or takes long."""
        self._queue.put(exchange)
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(
                        target=self._work, name="llm_playground-recorded", daemon=True
                    )
                    self._thread.start()

    def hand_over(self, *, every: bool = False) -> bool:
        """Hand over the calls that are due, or every one; returns whether others are left."""
        with self._lock:
            with suppress(Empty):
                while True:
                    self._taken.append(self._queue.get_nowait())
            due: list[Exchange] = []
            left: list[Exchange] = []
            for one in self._taken:
                (due if every or one.is_due else left).append(one)
            self._taken = left
            if due:
                self._hand_over(due)
            return bool(left)

    def _work(self) -> None:
        queue, is_waiting = self._queue, False
        while True:
            if not is_waiting:
                first = queue.get()
                with self._lock:
                    self._taken.append(first)
            time.sleep(_PAUSE_S)
            try:
                is_waiting = self.hand_over()
            except Exception as error:  # Python ends, or a bug
                report("Calls are not recorded", error)
                is_waiting = False

"""Work in the background of which only the newest result is wanted."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

_log = logging.getLogger(__name__)


class Newest:
    """Does one kind of work whenever it is asked to, on another thread, one at a time.

    Asked while it works, it works once more afterwards, however often it was asked; and the work
    under way can see that it is outdated.

    Args:
        work: Gets a function that says whether its result is still wanted. What it raises is
            logged.
        threads: Where it works; a thread may be shared.
    """

    def __init__(
        self, work: Callable[[Callable[[], bool]], None], threads: ThreadPoolExecutor
    ) -> None:
        self._work = work
        self._threads = threads
        self._lock = threading.Lock()
        self._asked = 0
        self._working = False

    def ask(self) -> None:
        """Have the work done with what is known from now on; returns at once."""
        with self._lock:
            self._asked += 1
            if not self._working:
                self._working = True
                self._start()

    def _once(self) -> None:
        number = self._asked
        try:
            self._work(lambda: number == self._asked)
        except Exception:
            _log.exception("The playground could not work something out")
        with self._lock:
            self._working = number != self._asked
            if self._working:  # behind what others wait for on this thread
                self._start()

    def _start(self) -> None:
        with suppress(RuntimeError):  # Python ends: nobody will look at it
            self._threads.submit(self._once)

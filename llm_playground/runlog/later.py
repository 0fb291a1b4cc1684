"""Something done a moment from now, once, however often it is asked for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Later:
    """Runs ``action`` on a daemon thread ``delay_s`` after the first :meth:`soon`.

    Asking again before it runs changes nothing; asking while it runs makes it run once more.
    ``action`` must not raise; seconds that it returns are how long to wait before it is done
    again. The thread starts with the first asking.
    """

    def __init__(self, action: Callable[[], float | None], delay_s: float, name: str) -> None:
        self._action = action
        self._delay_s = delay_s
        self._name = name
        self._asked = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def soon(self) -> None:
        """Have the action done within about ``delay_s``."""
        if not self._asked.is_set():  # asking costs a little, and deltas ask all the time
            self._asked.set()
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
                    self._thread.start()

    def _work(self) -> None:
        while self._asked.wait():
            time.sleep(self._delay_s)
            self._asked.clear()
            again_s = self._action()
            if again_s is not None:
                time.sleep(again_s)
                self._asked.set()

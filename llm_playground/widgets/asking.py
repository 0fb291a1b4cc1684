"""One press of Run: its calls under way, and what the views are told of them.

Calls run on the package's background loop. What happens goes to the views as messages, all
answers together, each with new text only: at once when something begins or ends, otherwise not
more often than :data:`TELL_EVERY_S`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

from llm_playground import _loop
from llm_playground.calls import again
from llm_playground.events import Retrying, RunFinished, StreamEvent
from llm_playground.types import Run
from llm_playground.widgets.form import Ordered
from llm_playground.widgets.recordings import Recordings
from llm_playground.widgets.sheet import Sheet

# Each message costs the page a layout and JupyterLab milliseconds, whatever is in it; ten in a
# second still read as a steady stream.
TELL_EVERY_S = 0.1

Tell: TypeAlias = Callable[["Asking"], None]


class Asking:
    """The calls of one Run.

    Args:
        number: Counts the Runs of one playground, from 1; 0 is one without calls.
        ordered: What is to be sent, in the order of the answers.
        tell: Called on the background loop when there is news for the views: it must return at
            once.
    """

    def __init__(self, number: int, ordered: Sequence[Ordered], tell: Tell) -> None:
        self.sheet = Sheet(number, ordered)
        self.recordings = Recordings(len(ordered))
        self._ordered = list(ordered)
        self._tell = tell
        self._tasks: dict[int, asyncio.Task[Run]] = {}
        self._told_at = 0.0
        self._due: asyncio.TimerHandle | None = None

    @property
    def ordered(self) -> Sequence[Ordered]:
        """What was sent, in the order of the answers."""
        return tuple(self._ordered)

    def start(self) -> None:
        """Send all; returns at once."""
        numbers = range(1, len(self._ordered) + 1)
        _loop.loop().call_soon_threadsafe(self._ask, numbers)

    def stop(self, number: int | None = None) -> None:
        """Stop one answer, or all that are still running. The text so far is kept."""
        _loop.loop().call_soon_threadsafe(self._cancel, number)

    def retry_now(self, number: int) -> None:
        """Let the next attempt at an answer begin now, where one is waited for."""
        _loop.loop().call_soon_threadsafe(self._retry_now, number)

    def again(self, number: int, changes: Mapping[str, Any]) -> Ordered:
        """What asking for an answer once more would send; :meth:`replace` sends it.

        Raises:
            ConfigError: It cannot be sent with these changes.
        """
        one = self._ordered[number - 1]
        return Ordered(again(one.call, changes), one.label)

    def replace(self, number: int, one: Ordered) -> None:
        """Send a call in place of the answer ``number``, which has ended."""
        self._ordered[number - 1] = one
        self.sheet.again(number, one)
        _loop.loop().call_soon_threadsafe(self._tell_soon)
        _loop.loop().call_soon_threadsafe(self._ask, [number])

    def message(self, news: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """What the views are told."""
        sheet = self.sheet
        state = {"running": not sheet.ended(), "summary": sheet.summary()}
        return {"type": "events", "run": sheet.run, "panes": news} | state

    def _ask(self, numbers: Iterable[int]) -> None:
        """On the background loop, as all that follows."""
        for number in numbers:
            take = partial(self._take, number)
            call = self._ordered[number - 1].call
            task = asyncio.ensure_future(self.recordings.send(number, call, take))
            self._tasks[number] = task
            task.add_done_callback(partial(self._settle, number))

    def _cancel(self, number: int | None) -> None:
        tasks = self._tasks.values() if number is None else [self._tasks.get(number)]
        for task in tasks:
            if task is not None:  # a Stop of an earlier Run may come late
                task.cancel()

    def _retry_now(self, number: int) -> None:
        attempt = self.sheet.awaited(number)
        if attempt is not None:
            self._ordered[number - 1].call.pause.end()
            self._begin_again(number, attempt)

    def _begin_again(self, number: int, attempt: int) -> None:
        if self.sheet.begin_again(number, attempt):
            self._tell_soon()

    def _take(self, number: int, event: StreamEvent) -> None:
        if not self.sheet.take(number, event):
            return
        if isinstance(event, Retrying):
            _loop.loop().call_later(event.wait_s, self._begin_again, number, event.number)
        if isinstance(event, RunFinished):
            self._tell_now()
        else:
            self._tell_soon()

    def _settle(self, number: int, task: asyncio.Task[Run]) -> None:
        """A call that was stopped before its first step, or broke, has told nobody."""
        error = None if task.cancelled() else task.exception()
        if self.sheet.give_up(number, "failed" if error else "cancelled", str(error or "")):
            self._tell_now()

    def _tell_soon(self) -> None:
        if self._due is None:
            loop = _loop.loop()
            wait_s = self._told_at + TELL_EVERY_S - loop.time()
            self._due = loop.call_later(max(0.0, wait_s), self._tell_now)

    def _tell_now(self) -> None:
        if self._due is not None:
            self._due.cancel()
        self._due, self._told_at = None, _loop.loop().time()
        self._tell(self)

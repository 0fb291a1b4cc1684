"""When a call may be sent: how many are under way at once, and what providers let through.

Concurrency counts per provider and in all, requests and tokens per minute per model, as the
vendors do it. Rate limits are learned from the headers of answers; before the first there is none.
All of it belongs to the running event loop and is used on its thread; only :func:`reconsider` may
be called from any.

Where less than 20 % of a limit remains, others use the same key too: until the reset, or until a
header shows more, a model then sends half as many calls at once, and takes half of what remains and
of what is refilled.

Priorities are 0 where a person waits, 1 for a script, 2 for rows of a frame and batches. Lower goes
first. A line of calls that has let eight others go first counts as one priority higher until one
of its own was sent, so that nobody waits for ever: while people keep everything busy, one place in
nine goes to scripts, one in seventeen to batches. A call under way is never interrupted.
"""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import suppress
from types import TracebackType
from weakref import WeakKeyDictionary

from llm_playground.events import Responded
from llm_playground.limiter.lane import Lane
from llm_playground.limiter.schedule import Schedule

_schedules: WeakKeyDictionary[asyncio.AbstractEventLoop, Schedule] = WeakKeyDictionary()
_lock = threading.Lock()  # loops of several threads are listed here


class Slot:
    """Entered when its call may be sent, left when the call has ended; for one call."""

    __slots__ = ("_lane", "_model", "_priority", "_schedule", "_tokens")

    _lane: Lane
    _schedule: Schedule

    def __init__(self, model: str, tokens: int, priority: int) -> None:
        self._model = model
        self._tokens = tokens
        self._priority = priority

    async def __aenter__(self) -> None:
        self._schedule = schedule = _of_running_loop()
        self._lane = lane = schedule.lane(self._model)
        if not schedule.try_send(lane, self._tokens, self._priority):
            await schedule.wait_to_send(lane, self._tokens, self._priority)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._schedule.end(self._lane, self._tokens)


def slot(model: str, *, tokens: int, priority: int) -> Slot:
    """A place for one call; entering it waits until the call may be sent.

    Args:
        model: As ``provider:name``.
        tokens: What the call takes of the limit, input and expected output.
        priority: 0 a person waits, 1 a script, 2 rows of a frame and batches.

    Raises:
        asyncio.CancelledError: On entering, when the task was cancelled; nothing is held then.

    >>> async def send():
    ...     async with slot("openai:gpt-4o", tokens=100, priority=0):
    ...         return "sent"
    >>> asyncio.run(send())
    'sent'
    """
    return Slot(model, max(0, tokens), priority)


def learn(model: str, responded: Responded) -> None:
    """Take in the headers of an answer; once for each call that is answered."""
    _of_running_loop().learn(model, responded)


def hold(model: str, for_s: float) -> None:
    """Let no call of a model start for ``for_s`` seconds, as its provider asked with a 429."""
    if for_s > 0:
        _of_running_loop().hold(model, for_s)


def release(model: str) -> None:
    """Forget what a provider said of a model's limits: a person wants to try it now."""
    _of_running_loop().release(model)


def expected_wait_s(model: str, *, tokens: int = 0, priority: int = 0) -> float | None:
    """How long a call would wait now, in seconds.

    Returns:
        What rate limits and holds say, with those counted who wait before it; 0.0 when it could be
        sent at once; None when only the end of other calls will tell.
    """
    return _of_running_loop().expected_wait_s(model, max(0, tokens), priority)


def reconsider() -> None:
    """From any thread, when the configured concurrency has changed: it holds for who waits too."""
    with _lock:
        schedules = list(_schedules.items())
    for loop, schedule in schedules:
        with suppress(RuntimeError):  # that loop is closed
            loop.call_soon_threadsafe(schedule.look_soon)


def _of_running_loop() -> Schedule:
    loop = asyncio.get_running_loop()
    schedule = _schedules.get(loop)
    if schedule is None:
        with _lock:
            schedule = _schedules[loop] = Schedule()
    return schedule


def _forget() -> None:
    """A forked child has none of its parent's loops, and no thread that could free the lock."""
    global _schedules, _lock
    _schedules, _lock = WeakKeyDictionary(), threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)

"""One call of another library: what the thread that makes it and the background loop know of it.

Nothing here raises into the caller: a failure of the recording itself ends at :func:`report`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress

from llm_playground import _lifecycle, _runtime
from llm_playground.capture.received import Received
from llm_playground.capture.requests import Sent
from llm_playground.capture.stored_responses import Substitute
from llm_playground.redaction import redact
from llm_playground.request import secret_guard

_QUIET_S = 0.5  # then a call that has not ended is in the log, as running
_log = logging.getLogger(__name__)
# Those that have ended and are not logged yet.
_unlogged: set[Exchange] = set()
_changed = threading.Condition()
# What has failed, and the name of the exception's type, which httpx and httpx2 have in common.
_reported: set[tuple[str, str]] = set()


def report(what: str, error: BaseException) -> None:
    """Warn of a failure of the recording itself, once of each kind in a recording."""
    kind = type(error).__name__
    if (what, kind) not in _reported:
        _reported.add((what, kind))
        _log.warning("%s: %s.", what, redact(f"{kind}: {error}".rstrip(".")))


def forget_reported() -> None:
    """Warn again of every kind of failure, as when a recording begins."""
    _reported.clear()


class Exchange:
    """One call of another library, from before it is sent until it is logged."""

    def __init__(self, sent: Sent) -> None:
        self.sent = sent
        self.received = Received(time.perf_counter())
        self.is_clean = False  # whether no rule can stop the call
        self.warnings: Sequence[str] = ()  # what the caller is warned of, set before admission
        self.work: Future[None] | None = None
        self.is_given_up = False  # nothing is sent, and nothing is logged
        self._admitted: Future[Substitute | None] = Future()
        self._ended: Future[None] = Future()
        self._process = os.getpid()
        self._is_logged = False

    def admission(self) -> Substitute | None:
        """Wait until the call may be sent: None, or the response to give in place of sending it."""
        try:
            substitute = self._admitted.result()
        except BaseException:
            self.give_up()
            raise
        return self._gone_on(substitute)

    async def admitted(self) -> Substitute | None:
        """The same as :meth:`admission`, for a coroutine on any loop of asyncio."""
        if self._admitted.done():
            return self.admission()
        try:
            substitute = await asyncio.wrap_future(self._admitted)
        except BaseException:
            self.give_up()
            raise
        return self._gone_on(substitute)

    def _gone_on(self, substitute: Substitute | None) -> Substitute | None:
        for line in self.warnings:
            try:
                secret_guard.warn(line)
            except Warning:  # a filter raises it; the call goes on
                _log.warning("%s", line)
        self.received.sent_at = time.perf_counter()
        if substitute is not None:
            self._await_log()
        return substitute

    def _await_log(self) -> None:
        with _changed:
            if not self._is_logged:
                _unlogged.add(self)

    def keep(self, data: bytes) -> None:
        """Keep bytes of the response that the caller reads now."""
        try:
            self.received.keep(data)
        except Exception as error:  # out of memory, or a bug
            self.lose(error)

    def lose(self, error: Exception) -> None:
        """Keep nothing of the response, as keeping it failed."""
        self.received.lose(f"it could not be kept ({type(error).__name__})")
        report("Answers are not recorded", error)

    def end(self, error: BaseException | None = None, *, is_whole: bool = False) -> None:
        """The response has been read, was closed, or failed. Only the first time counts."""
        received = self.received
        if self._ended.done() or self._process != os.getpid():  # a fork: it is the parent's call
            return
        try:
            received.error, received.is_whole = error, is_whole
            received.ended_at = time.perf_counter()
            self._await_log()
            self._ended.set_result(None)
        except InvalidStateError:  # it ended on two threads at once
            return
        except Exception as failure:  # a bug
            report("The end of a call is not recorded", failure)

    def admit(self, substitute: Substitute | None) -> None:
        """Let the caller go on: it sends the request, or gets the substitute."""
        with suppress(Exception):  # it is admitted already, or the caller has gone
            self._admitted.set_result(substitute)

    @property
    def is_admitted(self) -> bool:
        """Whether the caller has gone on."""
        return self._admitted.done()

    @property
    def is_due(self) -> bool:
        """Whether the call has ended or takes long, so that it is to be logged."""
        age_s = time.perf_counter() - self.received.sent_at
        return self._ended.done() or age_s > _QUIET_S

    async def ended(self) -> Received:
        """What was received, once the call has ended."""
        if not self._ended.done():
            await asyncio.wrap_future(self._ended)
        return self.received

    async def quiet(self) -> None:
        """Wait until the call has ended or takes long: work here would slow the caller down."""
        if not self.is_due:
            await asyncio.wait([asyncio.wrap_future(self._ended)], timeout=_QUIET_S)

    def logged(self) -> None:
        """The call is in the log, or will never be."""
        with _changed:
            self._is_logged = True
            _unlogged.discard(self)
            _changed.notify_all()

    def give_up(self) -> None:
        """Send and log nothing, as the caller has stopped waiting."""
        self.is_given_up = True
        if self.work is not None:
            self.work.cancel()
        self.logged()


def await_logged(timeout_s: float) -> None:
    """Wait until the calls that have ended are logged."""
    with _changed:
        _changed.wait_for(lambda: not _unlogged, timeout_s)


def is_background_loop() -> bool:
    """Whether this code runs on the background loop, on which nothing can be waited for."""
    try:
        return asyncio.get_running_loop() is _runtime.loop()
    except RuntimeError:
        return False


def _after_fork() -> None:
    global _changed
    _changed = threading.Condition()
    _unlogged.clear()


_lifecycle.register(after_fork_in_child=_after_fork)

"""One call of another library: admitted by budgets, answered or sent, and logged.

:meth:`Exchange.begin` is called before the request is sent, on the caller's thread. The coroutine
:func:`_conduct` accompanies the call on the background loop. The caller waits only until it is
admitted; its response is read after it has ended. Nothing here raises into the caller.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial

from llm_playground import _lifecycle, _runtime, config, recording
from llm_playground.budgeting.budget import Budget, of_policy
from llm_playground.budgeting.enforcer import BudgetEnforcer, enforcer
from llm_playground.budgeting.reservation import Reservation
from llm_playground.capture import answers, stored_responses
from llm_playground.capture.answers import Received
from llm_playground.capture.requests import RecordedCall, Sent, call_of
from llm_playground.capture.stored_responses import Substitute
from llm_playground.errors import BudgetExceededError, ConfigError, InvalidParameterError, LLMError
from llm_playground.execution.run_builder import RunBuilder
from llm_playground.recording import numbers
from llm_playground.recording.entries import StoredAnswer
from llm_playground.redaction import redact
from llm_playground.runlog import open_log
from llm_playground.runlog.log import RunLog
from llm_playground.types import Run

_FLUSH_S = 5.0
_QUIET_S = 0.5  # then a call that has not ended is in the log, as running
_LARGE_BYTES = 100_000  # a body is translated on another thread from this size on
_BLOCKING = (
    "Not sent: a blocking call on the loop of an async tool cannot wait for {what}. Use the "
    "library's async client there, or an ordinary function as the tool."
)
_log = logging.getLogger(__name__)
# Those that have ended and are not logged yet.
_unlogged: set[Exchange] = set()
_changed = threading.Condition()


class Exchange:
    """One call of another library, from before it is sent until it is logged."""

    def __init__(self, sent: Sent) -> None:
        self.sent = sent
        self.received = Received(time.perf_counter())
        self._admitted: Future[Substitute | None] = Future()
        self._ended: Future[None] = Future()
        self._process = os.getpid()
        self._work: Future[None] | None = None
        self._is_logged = False
        self.is_given_up = False  # nothing is sent, and nothing is logged

    @classmethod
    def begin(cls, sent: Sent) -> Exchange:
        """Begin a call; :meth:`admission` or :meth:`admitted` says whether it may be sent."""
        exchange = cls(sent)
        exchange._work = _runtime.submit(_conduct(exchange))
        return exchange

    def admission(self) -> Substitute | None:
        """Wait until the call may be sent: None, or the response to give in place of sending it."""
        if _is_background_loop():
            self._admit_at_once()
        try:
            substitute = self._admitted.result()
        except BaseException:
            self._give_up()
            raise
        return self._gone_on(substitute)

    async def admitted(self) -> Substitute | None:
        """The same as :meth:`admission`, for a coroutine on any loop of asyncio."""
        try:
            substitute = await asyncio.wrap_future(self._admitted)
        except BaseException:
            self._give_up()
            raise
        return self._gone_on(substitute)

    def _gone_on(self, substitute: Substitute | None) -> Substitute | None:
        self.received.sent_at = time.perf_counter()
        if substitute is not None:
            self._await_log()
        return substitute

    def _await_log(self) -> None:
        with _changed:
            if not self._is_logged:
                _unlogged.add(self)

    def end(self, error: BaseException | None = None, *, is_whole: bool = False) -> None:
        """The response has been read, was closed, or failed. Only the first time counts."""
        received = self.received
        if self._ended.done() or self._process != os.getpid():  # a fork: it is the parent's call
            return
        received.error, received.is_whole = error, is_whole
        received.ended_at = time.perf_counter()
        self._await_log()
        with suppress(Exception):  # it ended on two threads at once, or the loop is closed
            self._ended.set_result(None)

    def admit(self, substitute: Substitute | None) -> None:
        """Let the caller go on: it sends the request, or gets the substitute."""
        with suppress(Exception):  # it is admitted already, or the caller has gone
            self._admitted.set_result(substitute)

    @property
    def is_admitted(self) -> bool:
        """Whether the caller has gone on."""
        return self._admitted.done()

    async def ended(self) -> Received:
        """What was received, once the call has ended."""
        await asyncio.wrap_future(self._ended)
        return self.received

    async def quiet(self) -> None:
        """Wait until the call has ended or takes long: work here would slow the caller down."""
        await asyncio.wait([asyncio.wrap_future(self._ended)], timeout=_QUIET_S)

    def logged(self) -> None:
        """The call is in the log, or will never be."""
        with _changed:
            self._is_logged = True
            _unlogged.discard(self)
            _changed.notify_all()

    def _admit_at_once(self) -> None:
        """Admit a call that blocks the background loop, on which nothing can be waited for."""
        blocking = any(budget.blocks for budget in _remembered_budgets())
        mode = config.mode()
        if not blocking and mode == "live":
            self.admit(None)
            return
        what = "a budget" if blocking else f"mode {mode}"
        error = ConfigError(_BLOCKING.format(what=what))
        self.admit(stored_responses.refusal(self.sent.target.wire_format, 402, error))
        self._give_up()

    def _give_up(self) -> None:
        self.is_given_up = True
        if self._work is not None:
            self._work.cancel()
        self.logged()


def flush(timeout_s: float = _FLUSH_S) -> None:
    """Wait until the calls that have ended are logged; on the background loop, do nothing."""
    if not _is_background_loop():
        with _changed:
            _changed.wait_for(lambda: not _unlogged, timeout_s)


def _is_background_loop() -> bool:
    try:
        return asyncio.get_running_loop() is _runtime.loop()
    except RuntimeError:
        return False


def _remembered_budgets() -> tuple[Budget, ...]:
    cache = enforcer(open_log()).cache
    return (*of_policy(config.policy().budgets), *cache.remembered())


async def _conduct(exchange: Exchange) -> None:
    """Accompany a call to its end; whatever fails here, the caller goes on."""
    try:
        await _call(exchange)
    except Exception as error:
        _log.warning(
            "A call to %s is not in the log: %s.",
            redact(exchange.sent.target.base_url),
            redact(f"{type(error).__name__}: {error}"),
        )
    finally:
        exchange.admit(None)
        exchange.logged()


async def _call(exchange: Exchange) -> None:
    if exchange.is_given_up:
        return
    log = open_log()
    budgets = enforcer(log)
    mode = config.mode()
    if mode in ("live", "record") and not await _may_wait(budgets):
        exchange.admit(None)
        await exchange.quiet()
    call = await _translated(exchange.sent)
    if mode == "live":
        numbers.count(call.request)
        await _sent(exchange, call, log)
        return
    wire_format = exchange.sent.target.wire_format
    send, place = partial(_sent, exchange, call, log), (call.request, call.execution, 1)
    try:
        if mode == "record":
            await recording.recorded(*place, lambda _event: None, lambda _emit: send())
            return
        found = await recording.stored_or_sent(*place, send)
    except LLMError as error:  # there is no answer, and nothing is sent
        exchange.admit(stored_responses.refusal(wire_format, 404, error))
        return
    if isinstance(found, StoredAnswer):
        run, failure = found.run, found.run.error
        if failure is not None:
            status_code = getattr(failure, "status_code", None) or 400
            exchange.admit(stored_responses.refusal(wire_format, status_code, failure))
        else:
            exchange.admit(stored_responses.response(wire_format, call, run))
        log.started(answers.skeleton_of(call), call.request, call.execution)
        builder = RunBuilder(answers.skeleton_of(call), call.request)
        _finish(log, call, builder.repeated(run), None)


async def _translated(sent: Sent) -> RecordedCall:
    if len(sent.body) > _LARGE_BYTES:
        return await asyncio.to_thread(call_of, sent)
    return call_of(sent)


async def _may_wait(budgets: BudgetEnforcer) -> bool:
    """Whether a budget may apply, or it is unknown whether there is one."""
    if config.policy().budgets:
        return True
    known = await budgets.cache.current()
    return known.state != "read" or bool(known.budgets)


async def _sent(exchange: Exchange, call: RecordedCall, log: RunLog) -> Run:
    """Let a call pass the budgets, and log it when it has ended."""
    reservation, error = await _reserved(exchange, call, enforcer(log))
    if error is not None:
        refused = stored_responses.refusal(exchange.sent.target.wire_format, 402, error)
        exchange.admit(refused)
        log.started(answers.skeleton_of(call), call.request, call.execution)
        return _finish(log, call, answers.refused_run(call, error), None)
    exchange.admit(None)
    try:
        await exchange.quiet()
    except asyncio.CancelledError as stopped:  # as below
        exchange.end(stopped)
    log.started(answers.skeleton_of(call), call.request, call.execution)
    try:
        received = await exchange.ended()
    except asyncio.CancelledError as stopped:  # the caller stopped while it was admitted
        exchange.end(stopped)
        received = exchange.received
    run = await answers.run_of(call, exchange.sent.target.wire_format, received)
    return _finish(log, call, run, reservation)


async def _reserved(
    exchange: Exchange, call: RecordedCall, budgets: BudgetEnforcer
) -> tuple[Reservation | None, LLMError | None]:
    """The reservation of a call, held unless the caller has gone on; or why it is not sent."""
    request, execution = call.bounded_request, call.execution
    try:
        reservation = await budgets.reservation_for(
            answers.skeleton_of(call), request, execution, exchange.sent.override
        )
        while not exchange.is_admitted and not await reservation.hold(Decimal(0)):
            await reservation.wait(lambda _reason: None)
    except InvalidParameterError:  # its settings cannot be estimated; its vendor may refuse them
        return None, None
    except LLMError as error:
        return None, None if exchange.is_admitted else error
    return reservation, None


def _finish(log: RunLog, call: RecordedCall, run: Run, reservation: Reservation | None) -> Run:
    log.finished(run)
    if reservation is not None:  # after the log, in which budgets find the cost
        reservation.settle(run)
    log.execution_finished(
        call.execution.id,
        "failed" if isinstance(run.error, BudgetExceededError) else run.status,
        datetime.now(UTC),
    )
    return run


def _after_fork() -> None:
    global _changed
    _changed = threading.Condition()
    _unlogged.clear()


_lifecycle.register(at_exit=flush, after_fork_in_child=_after_fork)

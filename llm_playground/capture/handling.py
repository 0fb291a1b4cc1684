"""What becomes of a call of another library: rules, budgets, stored answers, the log.

:func:`begin` is called before the request is sent, on the caller's thread. A call that no rule,
budget or mode may stop is sent at once: the caller waits for nothing. Others wait until the
background loop has admitted them. There, :func:`conduct` accompanies each call to its end; its
response is read after it has ended.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial

from llm_playground import _lifecycle, _runtime, config, recording
from llm_playground.budgeting.budget import of_policy
from llm_playground.budgeting.enforcer import BudgetEnforcer, enforcer
from llm_playground.budgeting.reservation import Reservation
from llm_playground.capture import answers, exchange, rules, stored_responses
from llm_playground.capture.exchange import Exchange
from llm_playground.capture.outbox import Outbox
from llm_playground.capture.requests import LARGE_BYTES, RecordedCall, Sent, call_of
from llm_playground.capture.stored_responses import Substitute
from llm_playground.config.options import Mode
from llm_playground.errors import BudgetExceededError, ConfigError, InvalidParameterError, LLMError
from llm_playground.execution.run_builder import RunBuilder
from llm_playground.recording.entries import StoredAnswer
from llm_playground.redaction import redact
from llm_playground.runlog import open_log
from llm_playground.runlog.log import RunLog
from llm_playground.types import Run

_FLUSH_S = 5.0
_TEXT_EVERY_S = 2.0
_TEXT_SHARE = 0.05  # of the time, at most, is spent on reading a text that is not complete
_BLOCKING = (
    "Not sent: a blocking call on the loop of an async tool cannot wait for {what}. Use the "
    "library's async client there, or an ordinary function as the tool."
)


def begin(sent: Sent) -> Exchange:
    """Begin a call; :func:`admission` or ``admitted`` says whether it may be sent."""
    begun, log = Exchange(sent), None
    try:
        begun.is_clean = rules.are_kept(sent)
        log = open_log() if config.mode() == "live" else None
    except LLMError:  # a setting is wrong; the background loop finds it again
        begun.is_clean = False
    if begun.is_clean and log is not None and enforcer(log).cache.has_none():
        begun.admit(None)
        _outbox.put(begun)
        return begun
    _outbox.hand_over(every=True)  # so that identical requests are counted in their order
    begun.work = _runtime.submit(conduct(begun, log if begun.is_clean else None))
    return begun


def admission(begun: Exchange) -> Substitute | None:
    """Wait until a call may be sent: None, or the response to give in place of sending it."""
    if exchange.is_background_loop() and not begun.is_admitted:
        try:
            refused = _refused_at_once(begun)
        except Exception as error:  # a bug
            exchange.report("The rules for a call are not checked", error)
            refused = None
        begun.admit(refused)
        if refused is not None:
            begun.give_up()
    return begun.admission()


def _refused_at_once(begun: Exchange) -> Substitute | None:
    """Why a call that blocks the background loop is not sent: nothing can be waited for there."""
    wire_format, mode = begun.sent.target.wire_format, config.mode()
    if not begun.is_clean:
        try:
            begun.warnings = rules.check(call_of(begun.sent))
        except LLMError as error:
            return stored_responses.refusal(wire_format, 403, error)
        except ValueError:  # no call of a model; it is not logged
            return None
        begun.is_clean = True
    remembered = enforcer(open_log()).cache.remembered()
    has_blocking = any(
        budget.blocks for budget in (*of_policy(config.policy().budgets), *remembered)
    )
    if not has_blocking and mode == "live":
        return None
    what = "a budget" if has_blocking else f"mode {mode}"
    return stored_responses.refusal(wire_format, 402, ConfigError(_BLOCKING.format(what=what)))


def flush() -> None:
    """Wait until the calls that have ended are logged; on the background loop, do nothing."""
    if not exchange.is_background_loop():
        _outbox.hand_over()
        exchange.await_logged(_FLUSH_S)


async def conduct(begun: Exchange, log: RunLog | None = None) -> None:
    """Accompany a call to its end; whatever fails here, the caller goes on."""
    try:
        await _call(begun, log)
    except Exception as error:
        base_url = redact(begun.sent.target.base_url)
        exchange.report(f"A call to {base_url} is not in the log", error)
    finally:
        begun.admit(None)
        begun.logged()


async def _call(exchange: Exchange, log: RunLog | None) -> None:
    if exchange.is_given_up:
        return
    sent = exchange.sent
    refusal = partial(stored_responses.refusal, sent.target.wire_format)
    if log is None:
        try:
            config.policy()
        except ConfigError as error:  # a policy that cannot be used stops every call
            exchange.admit(refusal(403, error))
            return
    mode = "live" if log else config.mode()
    log = log or open_log()
    if exchange.is_clean and mode == "live" and not await _may_wait(enforcer(log)):
        exchange.admit(None)
        await exchange.quiet()
    call = await _translated(sent)
    if not exchange.is_clean:
        try:
            exchange.warnings = await _checked(call, sent)
        except LLMError as error:
            exchange.admit(refusal(403, error))
            return
    if mode == "live":
        await _sent(exchange, call, log)
    else:
        await _stored_or_sent(exchange, call, log, mode)


async def _stored_or_sent(exchange: Exchange, call: RecordedCall, log: RunLog, mode: Mode) -> None:
    """Answer a call from what is stored, or send it and store its answer, as the mode says."""
    await asyncio.to_thread(flush)  # answers to earlier calls are found
    send, place = partial(_sent, exchange, call, log), (call.request, call.execution, 1)
    try:
        if mode == "record":
            response = partial(answers.kept_response, exchange.received, call.streams)
            await recording.recorded(*place, lambda _event: None, lambda _emit: send(), response)
            return
        found = await recording.stored_or_sent(*place, send)
    except LLMError as error:  # there is no answer, and nothing is sent
        wire_format = exchange.sent.target.wire_format
        exchange.admit(stored_responses.refusal(wire_format, 404, error))
        return
    if isinstance(found, StoredAnswer):
        _repeat(exchange, call, found, log)


def _repeat(exchange: Exchange, call: RecordedCall, found: StoredAnswer, log: RunLog) -> None:
    """Answer a call with a stored answer."""
    wire_format, failure = exchange.sent.target.wire_format, found.run.error
    if failure is not None:
        status_code = max(getattr(failure, "status_code", None) or 0, 400)
        exchange.admit(stored_responses.refusal(wire_format, status_code, failure))
    else:
        exchange.admit(stored_responses.response(wire_format, call, found))
    _start(log, call)
    builder = RunBuilder(answers.skeleton_of(call), call.request)
    _finish(log, call, builder.repeated(found.run), None)


async def _checked(call: RecordedCall, sent: Sent) -> tuple[str, ...]:
    if len(sent.body) > LARGE_BYTES:
        return await asyncio.to_thread(rules.check, call)
    return rules.check(call)


async def _translated(sent: Sent) -> RecordedCall:
    if len(sent.body) > LARGE_BYTES:
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
        _start(log, call)
        return _finish(log, call, answers.refused_run(call, error), None)
    exchange.admit(None)
    try:
        await exchange.quiet()
    except asyncio.CancelledError as stopped:  # as below
        exchange.end(stopped)
    _start(log, call)
    logging_text = asyncio.create_task(_log_text(exchange, call, log))
    try:
        received = await exchange.ended()
    except asyncio.CancelledError as stopped:  # the caller stopped while it was admitted
        exchange.end(stopped)
        received = exchange.received
    finally:
        logging_text.cancel()
    run = await answers.run_of(call, exchange.sent.target.wire_format, received)
    return _finish(log, call, run, reservation)


async def _log_text(exchange: Exchange, call: RecordedCall, log: RunLog) -> None:
    """Log the text of a stream as it comes, in case this process dies before its end.

    Each time it is read from its beginning, so that a long one is read less often.
    """
    logged = 0
    while call.streams:
        began = time.perf_counter()
        text = await answers.text_so_far(call, exchange.sent.target.wire_format, exchange.received)
        if len(text) > logged:
            log.text(call.run_id, text[logged:])
            logged = len(text)
        taken_s = time.perf_counter() - began
        await asyncio.sleep(max(_TEXT_EVERY_S, taken_s / _TEXT_SHARE))


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


def _start(log: RunLog, call: RecordedCall) -> None:
    log.started(answers.skeleton_of(call), call.request, call.at_commit().execution)


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


def _hand_over(due: list[Exchange]) -> None:
    _runtime.submit(_conduct_each(due))


async def _conduct_each(due: list[Exchange]) -> None:
    await asyncio.gather(*map(conduct, due))


_outbox = Outbox(_hand_over)
_lifecycle.before_reads(flush)
_lifecycle.register(at_exit=flush, after_fork_in_child=_outbox.reset)

"""Makes runs: from a request to a logged answer. A failed run is data, not an exception.

:meth:`Engine.execute` is the whole path of one call. Budgets, which belong to a higher layer,
implement the protocols of this module.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from itertools import repeat
from typing import TYPE_CHECKING, Protocol

from llm_playground import config, ids
from llm_playground.catalog import estimates
from llm_playground.config.options import Retry, Timeouts
from llm_playground.errors import (
    BudgetExceededError,
    LLMError,
    ProviderTimeoutError,
    RateLimitError,
    RequestRejectedError,
    drop_stacks,
)
from llm_playground.events import (
    Finish,
    InBackground,
    PartEnded,
    Preparing,
    Responded,
    Retrying,
    RunFinished,
    StreamEvent,
    TextDelta,
    Waiting,
)
from llm_playground.execution import limiter, replaying
from llm_playground.execution.active_run import ActiveRun
from llm_playground.execution.repetition import Repetition
from llm_playground.execution.retry import Deadlines, Pause, as_llm_error, retrying
from llm_playground.providers import Provider, known_refusals, wire_formats
from llm_playground.redaction import redact
from llm_playground.types import Execution, Request, Run, Status

if TYPE_CHECKING:
    from llm_playground.runlog.log import RunLog

Emit = Callable[[StreamEvent], None]
# Returns the connected provider of a model, and reports slow steps to the second argument.
Connect = Callable[[str, Callable[[Preparing], None]], Awaitable[Provider]]

# Priorities of waiting calls by source; lower goes first. Scripts and others are in between.
_PRIORITY = {"widget": 0, "magic": 0, "map": 2}
_DEFAULT_PRIORITY = 1
_SHORTEST_SHOWN_WAIT_S = 1.0
# Counted towards a limit of tokens where max_tokens is not set.
_EXPECTED_OUTPUT_TOKENS = 500


class Reservation(Protocol):
    """The amount reserved for one call, from before it is sent until it has ended."""

    @property
    def max_tokens(self) -> int | None:
        """The ``max_tokens`` to send where the request has none; None for no limit."""
        ...

    @property
    def notices(self) -> Sequence[str]:
        """Sentences to show with the run."""
        ...

    async def hold(self, billed_usd: Decimal) -> bool:
        """Reserve the amount; False when it does not fit until other calls have ended.

        ``billed_usd`` is what earlier attempts may have cost, in addition to the next one.

        Raises:
            BudgetExceededError: It will not fit.
            RunLogError: Whether it fits cannot be determined.
        """
        ...

    async def wait(self, notify: Callable[[str], None]) -> None:
        """Wait until it is reserved; ``notify`` gets the reason for waiting. Raises as `hold`."""
        ...

    def settle(self, run: Run) -> None:
        """Replace the reserved amount by the cost of the run, which is logged."""
        ...


class Budget(Protocol):
    """Decides what a call may cost."""

    async def reservation_for(
        self, run: Run, request: Request, execution: Execution, override: str | None
    ) -> Reservation:
        """The reservation that a new call needs; nothing is reserved yet.

        Raises:
            BudgetExceededError: The call must not be sent, whatever amount is left.
        """
        ...


@dataclass(slots=True)
class Tally:
    """Counts the ended runs of an execution. Used on the background loop only."""

    expected: int
    ended: list[Status] = field(default_factory=list)

    def add(self, status: Status) -> str | None:
        """Count an ended run; the execution's status once all have ended, else None.

        >>> tally = Tally(2)
        >>> tally.add("completed"), tally.add("failed")
        (None, 'partial')
        """
        self.ended.append(status)
        return self._outcome()

    def skip(self) -> str | None:
        """Count a run that leaves no row; returns the same as :meth:`add`."""
        self.expected -= 1
        return self._outcome()

    def _outcome(self) -> str | None:
        if not self.ended or len(self.ended) < self.expected:
            return None
        kinds = set(self.ended)
        if len(kinds) > 1:
            return "partial"
        return "failed" if kinds <= {"blocked", "over_budget"} else self.ended[0]


@dataclass(frozen=True, slots=True)
class Call:
    """A run that is to be made, and its execution.

    A ``fresh`` call is sent even if an answer is stored. ``override`` is why it is sent regardless
    of budgets; None obeys them. ``pause`` are its waits between attempts. ``resumes`` is the
    interrupted run whose answer is read; None for a new one.
    """

    run_id: str
    request: Request
    execution: Execution
    iteration_number: int
    tally: Tally
    fresh: bool = False
    override: str | None = None
    pause: Pause = field(default_factory=Pause, compare=False)
    resumes: Run | None = None


@dataclass(frozen=True, slots=True)
class Engine:
    """Makes runs, and logs them. Without a ``budget``, a call may cost any amount."""

    connect: Connect
    log: RunLog
    timeouts: Timeouts
    retry: Retry
    budget: Budget | None = None

    async def execute(self, call: Call, emit: Emit) -> Run:
        """Make one run and log it.

        The steps: connect, log the start, reserve the cost; then for each attempt wait for the
        limiter and the budget, send, read the stream, and after an error decide whether to retry;
        at last log the run, settle its cost, and emit ``RunFinished``.

        ``emit`` gets every event on this loop; the last is always ``RunFinished``. A failure is in
        the run's ``status`` and ``error``.

        Raises:
            asyncio.CancelledError: The task was cancelled. The connection is closed, the partial
                text is logged, and ``RunFinished`` was emitted.
        """
        run = ActiveRun(call)
        try:
            provider = await self.connect(call.request.model, emit)
            if call.resumes is None:
                self.log.started(run.builder.run(), call.request, call.execution)
            else:
                self.log.resumed(run.builder.run())
        except asyncio.CancelledError:
            self._finish_unsent(run.ended("cancelled"), emit, call)
            raise
        except Exception as error:
            _keep_stack(call, error)
            return self._finish_unsent(run.failed(as_llm_error(error, call.request)), emit, call)
        try:
            if self.budget is not None:
                run.reservation = await self.budget.reservation_for(
                    run.builder.skeleton, call.request, call.execution, call.override
                )
            await self._attempts(provider, run, emit)
        except asyncio.CancelledError:
            self._finish(run.ended("cancelled"), emit, run)
            raise
        except Exception as error:
            _keep_stack(call, error)
            return self._finish(run.failed(as_llm_error(error, call.request)), emit, run)
        return self._finish(run.answered(), emit, run)

    async def _attempts(self, provider: Provider, run: ActiveRun, emit: Emit) -> None:
        """Make attempts until one succeeds; raises the error of the last one."""

        def on_wait(error: Exception, wait_s: float) -> None:
            run.builder.waiting(wait_s)
            number = len(run.builder.attempts) + 1
            billed = bool(run.builder.unanswered)
            limited, reason = isinstance(error, RateLimitError), redact(str(error))
            emit(Retrying(number, self.retry.attempts, wait_s, reason, billed, limited))

        async def sleep(wait_s: float) -> None:
            started_at = time.perf_counter()
            if await run.call.pause.sleep(wait_s):
                run.builder.waiting(time.perf_counter() - started_at)
                limiter.release(run.call.request.model)

        async for attempt in retrying(self.retry, run.is_retryable, on_wait, sleep):
            with attempt:
                await self._attempt_until_accepted(provider, run, emit)

    async def _attempt_until_accepted(self, provider: Provider, run: ActiveRun, emit: Emit) -> None:
        """Make an attempt; if fields of the request are refused, at once another without them.

        That is another request: it does not count as one of the attempts of ``retry``.
        """
        if self.log.journals not in known_refusals.read_folders:
            known_refusals.read(self.log.journals)
        while True:
            try:
                await self._attempt(provider, run, emit)
                break
            except RequestRejectedError as error:
                if not run.leave_out_refused(error):
                    run.put_additions_back()
                    raise
        if run.left_out and config.privacy().of(run.call.execution.id).store != "off":
            known_refusals.write(self.log.journals, run.request_as_sent())

    async def _attempt(self, provider: Provider, run: ActiveRun, emit: Emit) -> None:
        request, builder = run.call.request, run.builder
        builder.queued()
        deadlines = Deadlines(self.timeouts, builder.spent_ms / 1000)
        try:
            async with self._turn(run, emit), deadlines:
                builder.sent()
                await self._read(provider, run, emit, deadlines)
        except asyncio.CancelledError:
            builder.attempted(None)
            await run.stop_in_background()
            raise
        except Exception as exception:
            error = run.interrupted(exception, as_llm_error(exception, request))
            if isinstance(error, ProviderTimeoutError) and builder.delivered:
                error.retryable = False  # another attempt would be paid twice
            if isinstance(error, RateLimitError) and error.retry_after is not None:
                limiter.hold(request.model, min(error.retry_after, self.retry.max_wait_s))
            builder.attempted(error)
            raise error from None
        builder.attempted(None)

    @asynccontextmanager
    async def _turn(self, run: ActiveRun, emit: Emit) -> AsyncIterator[None]:
        """Entered when the limiter allows the call and its cost is reserved.

        While a call waits for the budget, other calls use its slot.
        """
        request, reservation = run.call.request, run.reservation
        tokens = estimates.of_bytes(request.size_bytes)
        tokens += request.parameters.max_tokens or _EXPECTED_OUTPUT_TOKENS
        priority = _PRIORITY.get(run.call.execution.source, _DEFAULT_PRIORITY)
        while True:
            wait_s = limiter.expected_wait_s(request.model, tokens=tokens, priority=priority)
            if wait_s is not None and wait_s >= _SHORTEST_SHOWN_WAIT_S:
                label = config.label(request.provider)
                reason = f"Waiting {wait_s:.0f} s for the rate limit of {label}."
                emit(Waiting(reason, rate_limited=True))
            async with limiter.slot(request.model, tokens=tokens, priority=priority):
                if reservation is None or await reservation.hold(run.builder.billed_usd):
                    yield
                    return
            await reservation.wait(lambda reason: emit(Waiting(reason)))

    async def _read(
        self, provider: Provider, run: ActiveRun, emit: Emit, deadlines: Deadlines
    ) -> None:
        request = run.request_as_sent()
        run.sent_without = wire_formats.additions_left_out(request)
        limit, is_first = estimates.limit_of(request), True
        repetition = _watch_of(request)
        async with aclosing(provider.stream(request)) as events:
            async for event in events:
                run.builder.add(event)
                if isinstance(event, TextDelta):
                    self.log.text(run.call.run_id, event.text)
                    if repetition is not None and repetition.add(event.text):
                        emit(event)
                        run.builder.stop_repeating()
                        await run.stop_in_background()
                        return
                elif isinstance(event, Responded):
                    limiter.learn(run.call.request.model, event)
                    continue
                elif isinstance(event, PartEnded):
                    continue
                elif isinstance(event, InBackground):
                    self.log.updated(run.builder.run_so_far())
                    continue
                if is_first or run.builder.is_worth_noting:
                    is_first = False
                    self.log.updated(run.builder.run_so_far())
                deadlines.delta_received()
                emit(event)
                if limit is not None and run.builder.is_past(limit):
                    run.builder.cut_off()
                    emit(Finish("length"))
                    await run.stop_in_background()
                    return

    async def repeat(self, call: Call, stored: Run, emit: Emit, *, timed: bool = False) -> Run:
        """Make a run of a stored one: nothing is sent, and it costs nothing.

        ``emit`` gets its deltas and parts, if ``timed`` at the pace of the stored run, then
        ``RunFinished``. A stored failure fails in the same way.

        Raises:
            asyncio.CancelledError: The task was cancelled; the text so far is logged.
        """
        # Calls that were asked together stay in their order, whichever answer is found first.
        run, shown = ActiveRun(call, ids.made_at(call.run_id)), list[str]()
        self.log.started(run.builder.run(), call.request, call.execution)
        events = replaying.events_of(stored)
        waits = replaying.waits_s(stored, len(events)) if timed else repeat(0.0)
        repeated = run.builder.repeated(stored, timed=timed)
        try:
            for event, wait_s in zip([*events, None], waits, strict=False):
                if wait_s:
                    await asyncio.sleep(wait_s)
                if event is not None:
                    emit(event)
                    shown += [event.text] if isinstance(event, TextDelta) else []
        except asyncio.CancelledError:
            self._finish(replaying.stopped(repeated, "".join(shown)), emit, run)
            raise
        return self._finish(repeated, emit, run)

    def refuse(self, call: Call, error: LLMError, emit: Emit) -> Run:
        """End a call that is not sent; it leaves no row."""
        return self._finish_unsent(ActiveRun(call).failed(error), emit, call)

    def _finish(self, run: Run, emit: Emit, active: ActiveRun) -> Run:
        self.log.finished(run)
        if active.reservation is not None:  # after the log, in which budgets find the cost
            active.reservation.settle(run)
        if run.error is not None:  # only here, where the run has a row
            run.error.run = run
        self._finish_execution(active.call, active.call.tally.add(run.status))
        emit(RunFinished(run))
        return run

    def _finish_unsent(self, run: Run, emit: Emit, call: Call) -> Run:
        """Finish a run of which nothing was sent; it leaves no row."""
        self._finish_execution(call, call.tally.skip())
        emit(RunFinished(run))
        return run

    def _finish_execution(self, call: Call, status: str | None) -> None:
        if status is not None:
            self.log.execution_finished(call.execution.id, status, datetime.now(UTC))


def _watch_of(request: Request) -> Repetition | None:
    """What stops an answer that repeats itself; None where it may.

    Paid answers go on unless ``stop_repetition`` is ``all``: the user may have asked for repeated
    text, ``max_tokens`` limits what it costs, and the tokens of a stopped answer are estimated.
    """
    mode = config.settings().stop_repetition
    is_watched = mode == "all" or (mode == "local" and request.provider == "local")
    return Repetition() if is_watched else None


def _keep_stack(call: Call, error: Exception) -> None:
    """Move a failed call's stack to the package's log file; a budget's refusal is not written.

    The frames of the SDKs hold headers with the key, which a verbose traceback would show.
    """
    if not isinstance(error, BudgetExceededError):
        from llm_playground import package_log  # first failure, not import

        privacy = config.privacy().of(call.execution.id)
        package_log.call_failed(call.run_id, call.request.model, error, privacy)
    drop_stacks(error)

"""One run, from request to logged answer. Failure inside is data: ``run.error``, ``run.status``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from llm_playground import capabilities, config, tokens
from llm_playground.call import Call
from llm_playground.deadlines import DeadlineError, Deadlines, Part
from llm_playground.errors import (
    BudgetExceededError,
    ContentBlockedError,
    LLMError,
    ProviderError,
    ProviderTimeoutError,
    RateLimitError,
    RequestRejectedError,
)
from llm_playground.events import (
    ReasoningDelta,
    Responded,
    Retrying,
    RunFinished,
    TextDelta,
    Waiting,
)
from llm_playground.fold import Fold
from llm_playground.providers import blocks
from llm_playground.providers.base import Provider
from llm_playground.redact import redact
from llm_playground.retries import Retry, retrying
from llm_playground.roles import Budget, Claim, Connect, Emit, Limiter, Recorder
from llm_playground.timeouts import Timeouts
from llm_playground.types import Request, Run, Status, Stored

# Whose calls go first where calls wait: a person's, a script's, a batch's.
_PRIORITY = {"widget": 0, "magic": 0, "map": 2}
_SCRIPT = 1
# How a run ends by what went wrong; any other way it has failed.
_STATUSES: dict[type[LLMError], Status] = {
    ContentBlockedError: "blocked",
    BudgetExceededError: "over_budget",
}
_WORTH_SAYING_S = 1.0
# Never left out in a second attempt, whatever the provider says: it bounds what the call costs.
_KEPT = ("max_tokens",)
# What an answer takes of a limit of tokens, before anybody knows.
_EXPECTED_OUTPUT_TOKENS = 500
_SILENT: dict[Part, str] = {
    "first_delta": "{label} sent nothing for {limit_s:g} s. Run again, choose a faster model, "
    'or allow more: lp.configure(timeout_s={{"first_delta": ...}}).',
    "between_deltas": "{label} fell silent for {limit_s:g} s. The text so far is kept. "
    "Run again for all.",
    "total": "{label} took longer than {limit_s:g} s in all. What came so far is kept. "
    'To allow more: lp.configure(timeout_s={{"total": ...}}).',
}


@dataclass(frozen=True, slots=True)
class Engine:
    """Makes runs. What it uses is handed to it.

    Args:
        connect: Gives providers.
        limiter: Says when to send.
        log: Where runs are logged.
        timeouts: How long a call may take.
        retry: How failed attempts are repeated.
        budget: Says what a call may cost; None lets all pass.
    """

    connect: Connect
    limiter: Limiter
    log: Recorder
    timeouts: Timeouts
    retry: Retry
    budget: Budget | None = None

    async def execute(self, call: Call, emit: Emit) -> Run:
        """Make one run and log it.

        Args:
            call: What to send.
            emit: Gets every event on this loop, last one ``RunFinished``, whatever happens.

        Returns:
            The run; a failure is in its ``status`` and ``error``.

        Raises:
            asyncio.CancelledError: The task was cancelled. The connection is closed, the partial
                text is logged, and ``RunFinished`` was emitted.
        """
        run = _Running(call)
        try:
            provider = await self.connect(call.request.model, emit)
            self.log.started(run.fold.run(), call.request, call.execution)
        except asyncio.CancelledError:
            self._unsent(run.ended("cancelled"), emit, call)
            raise
        except Exception as error:
            return self._unsent(run.failed(_as_ours(error, call.request)), emit, call)
        try:
            await self._claim(run)
            await self._attempts(provider, run, emit)
        except asyncio.CancelledError:
            self._end(run.ended("cancelled"), emit, run)
            raise
        except Exception as error:
            return self._end(run.failed(_as_ours(error, call.request)), emit, run)
        return self._end(run.answered(), emit, run)

    async def _claim(self, run: _Running) -> None:
        if self.budget is not None:
            call, begun = run.call, run.fold.skeleton
            run.claim = await self.budget.claim(begun, call.request, call.execution, call.override)

    async def _attempts(self, provider: Provider, run: _Running, emit: Emit) -> None:
        """Attempts until one answers; raises what the last one raised."""

        def tell(error: Exception, wait_s: float) -> None:
            run.fold.waiting(wait_s)
            number = len(run.fold.attempts) + 1
            emit(Retrying(number, self.retry.attempts, wait_s, redact(str(error))))

        async def sleep(wait_s: float) -> None:
            begun_at = time.perf_counter()
            if await run.call.pause.sleep(wait_s):
                run.fold.waiting(time.perf_counter() - begun_at)
                self.limiter.release(run.call.request.model)

        async for attempt in retrying(self.retry, run.worth_another, tell, sleep):
            with attempt:
                await self._attempt(provider, run, emit)

    async def _attempt(self, provider: Provider, run: _Running, emit: Emit) -> None:
        request = run.call.request
        run.fold.queued()
        turn = self._turn(run, emit)
        try:
            async with turn, Deadlines(self.timeouts, run.fold.spent_ms / 1000) as deadlines:
                run.fold.sent()
                await self._read(provider, run, emit, deadlines)
        except asyncio.CancelledError:
            run.fold.attempted(None)
            raise
        except Exception as fault:
            error = _as_ours(fault, request)
            self._hold_after(error, request.model)
            run.fold.attempted(error)
            raise error from None
        run.fold.attempted(None)

    @asynccontextmanager
    async def _turn(self, run: _Running, emit: Emit) -> AsyncIterator[None]:
        """Entered when the call may be sent and what it may cost is held.

        Where the budget lets it wait, its place goes to others meanwhile.
        """
        model, claim = run.call.request.model, run.claim
        takes, priority = _expected_tokens(run.call.request), _priority(run.call)
        while True:
            wait_s = self.limiter.expected_wait_s(model, tokens=takes, priority=priority)
            if wait_s is not None and wait_s >= _WORTH_SAYING_S:
                label = config.label(run.call.request.provider)
                emit(Waiting(f"Waiting {wait_s:.0f} s for the rate limit of {label}."))
            async with self.limiter.slot(model, tokens=takes, priority=priority):
                if claim is None or await claim.hold():
                    yield
                    return
            await claim.wait(lambda reason: emit(Waiting(reason)))

    async def _read(
        self, provider: Provider, run: _Running, emit: Emit, deadlines: Deadlines
    ) -> None:
        fold, run_id = run.fold, run.call.run_id
        async with aclosing(provider.stream(run.sendable())) as events:
            async for event in events:
                fold.take(event)
                if isinstance(event, Responded):
                    self.limiter.learn(run.call.request.model, event)
                    continue
                deadlines.heard()
                if isinstance(event, TextDelta):
                    self.log.text(run_id, event.text)
                emit(event)

    def repeat(self, call: Call, stored: Stored, emit: Emit) -> Run:
        """Make a run of an answer of the past: nothing is sent, and it costs nothing.

        Args:
            call: What was asked.
            stored: The answer.
            emit: Gets its text as one delta, then ``RunFinished``.
        """
        run = _Running(call)
        self.log.started(run.fold.run(), call.request, call.execution)
        if stored.reasoning:
            emit(ReasoningDelta(stored.reasoning))
        if stored.text:
            emit(TextDelta(stored.text))
        return self._end(run.fold.repeated(stored), emit, run)

    def refuse(self, call: Call, error: LLMError, emit: Emit) -> Run:
        """End a call that is not to be sent: no row."""
        return self._unsent(_Running(call).failed(error), emit, call)

    def _hold_after(self, error: LLMError, model: str) -> None:
        if isinstance(error, RateLimitError) and error.retry_after is not None:
            self.limiter.hold(model, min(error.retry_after, self.retry.max_wait_s))

    def _end(self, run: Run, emit: Emit, running: _Running) -> Run:
        self.log.finished(run)
        if running.claim is not None:  # after the log: what is settled is found there
            running.claim.settle(run)
        if run.error is not None:  # where there is a row, and only there
            run.error.run = run
        self._settle(running.call, running.call.tally.add(run.status))
        emit(RunFinished(run))
        return run

    def _unsent(self, run: Run, emit: Emit, call: Call) -> Run:
        """Nothing was sent: no row."""
        self._settle(call, call.tally.skip())
        emit(RunFinished(run))
        return run

    def _settle(self, call: Call, status: str | None) -> None:
        if status is not None:
            self.log.execution_finished(call.execution.id, status, datetime.now(UTC))


class _Running:
    """One run under way: what it may still send, and what came of it so far."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.claim: Claim | None = None
        self.fold = Fold(_skeleton(call), call.request)
        request = call.request
        self._dropped = capabilities.unsupported_in(request.model, request.parameters)

    def sendable(self) -> Request:
        """The request without what its model has no place for, with the cap of a budget."""
        request = self.call.request
        parameters = request.parameters.without(self._dropped)
        if self.claim is not None and self.claim.max_tokens is not None:
            parameters = replace(parameters, max_tokens=self.claim.max_tokens)
        return replace(request, parameters=parameters)

    def worth_another(self, error: BaseException) -> bool:
        """Whether another attempt may mend this error; from here on it leaves out what was refused.

        After the first delta there is none: the text is kept, and nothing is paid twice.
        """
        if self.fold.delivered or not isinstance(error, LLMError):
            return False
        refused = error.refused_parameter if isinstance(error, RequestRejectedError) else None
        if refused is not None and refused not in (*_KEPT, *self._dropped):
            self._dropped += (refused,)
            return True
        return error.retryable

    def answered(self) -> Run:
        """The run whose last attempt ended well; the provider may still have blocked it."""
        finish, request = self.fold.finish, self.call.request
        if finish is None or finish.finish_reason != "content_filter":
            return self.ended("completed")
        return self.failed(
            blocks.blocked_error(
                finish,
                provider=request.provider,
                model=request.model,
                label=config.label(request.provider),
            )
        )

    def failed(self, error: LLMError) -> Run:
        error.provider = error.provider or self.call.request.provider
        error.model = error.model or self.call.request.model
        return self.ended(_STATUSES.get(type(error), "failed"), error)

    def ended(self, status: Status, error: LLMError | None = None) -> Run:
        run = self.fold.ended(status, error, self._dropped)
        if self.claim is None:
            return run
        notices = tuple(self.claim.notices)
        return replace(run, max_tokens_cap=self.claim.max_tokens, budget_notices=notices)


def _skeleton(call: Call) -> Run:
    request, execution = call.request, call.execution
    return Run(
        id=call.run_id,
        execution_id=execution.id,
        prompt_id=execution.prompt_id,
        iteration_number=call.iteration_number,
        model=request.model,
        provider=request.provider,
        started_at=datetime.now(UTC),
        parameters=request.parameters,
    )


def _expected_tokens(request: Request) -> int:
    asked = tokens.estimate_usage(request, "").input_tokens or 0
    return asked + (request.parameters.max_tokens or _EXPECTED_OUTPUT_TOKENS)


def _priority(call: Call) -> int:
    return _PRIORITY.get(call.execution.source, _SCRIPT)


def _as_ours(error: Exception, request: Request) -> LLMError:
    if isinstance(error, LLMError):
        return error
    if isinstance(error, DeadlineError):
        label = config.label(request.provider)
        line = _SILENT[error.part].format(label=label, limit_s=error.limit_s)
        return ProviderTimeoutError(line[:1].upper() + line[1:])
    return ProviderError(
        f"Unexpected {type(error).__name__} while asking {request.model}: {redact(str(error))}",
        detail=redact(repr(error)),
    )

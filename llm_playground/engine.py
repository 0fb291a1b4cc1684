"""One run, from request to logged answer. Failure inside is data: ``run.error``, ``run.status``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Protocol

from llm_playground import capabilities, pricing, tokens
from llm_playground.errors import ContentBlockedError, LLMError, ProviderError
from llm_playground.providers.base import Provider
from llm_playground.redact import redact
from llm_playground.types import (
    Attempt,
    Execution,
    Finish,
    Preparing,
    ProviderEvent,
    ReasoningDelta,
    Request,
    Responded,
    Run,
    RunFinished,
    Status,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
)

Emit = Callable[[StreamEvent], None]


class Recorder(Protocol):
    """Where runs are logged. Never raises for trouble of its own."""

    def started(self, run: Run, request: Request, execution: Execution) -> None:
        """Before anything is sent."""

    def text(self, run_id: str, delta: str) -> None:
        """More of a running answer."""

    def finished(self, run: Run) -> None:
        """The run has ended; it is safe when this returns."""

    def execution_finished(self, execution_id: str, status: str, completed_at: datetime) -> None:
        """The last of an execution's runs has ended."""


class Connect(Protocol):
    """Gives the provider of a model, ready to be asked."""

    def __call__(self, model: str, progress: Callable[[Preparing], None]) -> Awaitable[Provider]:
        """Raises ConfigError when a key or a model file is missing."""
        ...


@dataclass(slots=True)
class Tally:
    """Counts an execution's runs to their end. Lives on the background loop only."""

    expected: int
    ended: list[Status] = field(default_factory=list)

    def add(self, status: Status) -> str | None:
        """Note one ended run; the execution's status once all have ended, else None.

        >>> tally = Tally(2)
        >>> tally.add("completed"), tally.add("failed")
        (None, 'partial')
        """
        self.ended.append(status)
        return self._outcome()

    def skip(self) -> str | None:
        """Note one run that leaves no row; the answer is as for :meth:`add`."""
        self.expected -= 1
        return self._outcome()

    def _outcome(self) -> str | None:
        if not self.ended or len(self.ended) < self.expected:
            return None
        kinds = set(self.ended)
        if len(kinds) > 1:
            return "partial"
        return "failed" if kinds == {"blocked"} else self.ended[0]


@dataclass(frozen=True, slots=True)
class Call:
    """One run that is to be made."""

    run_id: str
    request: Request
    execution: Execution
    iteration_number: int
    tally: Tally


@dataclass(frozen=True, slots=True)
class Engine:
    """Makes runs. What it uses is handed to it: providers, slots, log."""

    connect: Connect
    slot: Callable[[str], AbstractAsyncContextManager[object]]
    log: Recorder

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
        answer = _Answer(call)
        try:
            provider = await self.connect(call.request.model, emit)
            self.log.started(answer.run(), call.request, call.execution)
        except asyncio.CancelledError:
            self._unsent(answer.cancelled(), emit, call)
            raise
        except LLMError as error:
            return self._unsent(answer.failed(error), emit, call)
        except Exception as error:
            return self._unsent(answer.failed(_unforeseen(error, call.request)), emit, call)
        answer.queued()
        try:
            async with self.slot(call.request.provider):
                await self._read(provider, answer, emit)
        except asyncio.CancelledError:
            self._end(answer.cancelled(), emit, call)
            raise
        except LLMError as error:
            return self._end(answer.failed(error), emit, call)
        except Exception as error:
            return self._end(answer.failed(_unforeseen(error, call.request)), emit, call)
        return self._end(answer.completed(), emit, call)

    async def _read(self, provider: Provider, answer: _Answer, emit: Emit) -> None:
        answer.sent()
        async with aclosing(provider.stream(answer.sendable())) as events:
            async for event in events:
                if isinstance(event, Responded):
                    continue
                answer.take(event)
                if isinstance(event, TextDelta):
                    self.log.text(answer.call.run_id, event.text)
                emit(event)

    def _end(self, run: Run, emit: Emit, call: Call) -> Run:
        self.log.finished(run)
        if run.error is not None:  # where there is a row, and only there
            run.error.run = run
        self._settle(call, call.tally.add(run.status))
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


@dataclass(slots=True)
class _Answer:
    """Folds a stream's events into a run."""

    call: Call
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    queued_at: float | None = None
    sent_at: float | None = None
    first_at: float | None = None
    ended_at: float | None = None
    texts: list[str] = field(default_factory=list)
    reasonings: list[str] = field(default_factory=list)
    finish: Finish | None = None

    def queued(self) -> None:
        self.queued_at = time.perf_counter()

    def sent(self) -> None:
        self.sent_at = time.perf_counter()

    def sendable(self) -> Request:
        """The request without what its provider has no place for."""
        request = self.call.request
        kept, _ = capabilities.without_unsupported(request.provider, request.parameters)
        return replace(request, parameters=kept)

    def take(self, event: ProviderEvent) -> None:
        if isinstance(event, Finish):
            self.finish, self.ended_at = event, time.perf_counter()
            return
        if isinstance(event, (Responded, ToolCallDelta)):
            return
        if self.first_at is None and event.text:
            self.first_at = time.perf_counter()
        pieces = self.reasonings if isinstance(event, ReasoningDelta) else self.texts
        pieces.append(event.text)

    def run(self) -> Run:
        """The run as it stands, still running."""
        request, execution = self.call.request, self.call.execution
        return Run(
            id=self.call.run_id,
            execution_id=execution.id,
            prompt_id=execution.prompt_id,
            iteration_number=self.call.iteration_number,
            model=request.model,
            provider=request.provider,
            started_at=self.started_at,
            parameters=request.parameters,
            text="".join(self.texts),
            reasoning="".join(self.reasonings),
        )

    def completed(self) -> Run:
        finish = self.finish
        if finish is not None and finish.finish_reason == "content_filter":
            return self.failed(_blocked(self.call.request, finish))
        return self._ended("completed", None)

    def cancelled(self) -> Run:
        return self._ended("cancelled", None)

    def failed(self, error: LLMError) -> Run:
        error.provider = error.provider or self.call.request.provider
        error.model = error.model or self.call.request.model
        status: Status = "blocked" if isinstance(error, ContentBlockedError) else "failed"
        return self._ended(status, error)

    def _ended(self, status: Status, error: LLMError | None) -> Run:
        run, now = self.run(), self.ended_at or time.perf_counter()
        finish = self.finish or Finish("other")
        estimated = finish.usage is None and bool(run.text or run.reasoning)
        usage = (
            tokens.estimate_usage(self.call.request, run.reasoning + run.text)
            if estimated
            else finish.usage
        )
        cost = pricing.price(run.model, usage, run.started_at)
        return replace(
            run,
            status=status,
            finish_reason=self.finish.finish_reason if self.finish else None,
            response_model=finish.response_model,
            usage=usage,
            usage_source="estimated" if estimated else "provider" if usage else "none",
            cost_usd=cost.cost_usd,
            price_source=cost.source,
            ttft_ms=_between_ms(self.sent_at, self.first_at),
            response_time_ms=_between_ms(self.sent_at, now),
            queue_ms=_between_ms(self.queued_at, self.sent_at),
            attempts=self._attempts(now, error),
            error=error,
            dropped_parameters=capabilities.without_unsupported(run.provider, run.parameters)[1],
        )

    def _attempts(self, now: float, error: LLMError | None) -> list[Attempt]:
        duration_ms = _between_ms(self.sent_at, now)
        if duration_ms is None:
            return []
        said = self.finish.request_id if self.finish else getattr(error, "request_id", None)
        return [
            Attempt(
                number=1,
                wait_ms=0.0,
                duration_ms=duration_ms,
                status_code=getattr(error, "status_code", None) if error else 200,
                request_id=said,
                error_type=type(error).__name__ if error else None,
                reason=redact(error.detail or str(error)) if error else None,
            )
        ]


def _between_ms(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else (end - start) * 1000


def _blocked(request: Request, finish: Finish) -> ContentBlockedError:
    error = ContentBlockedError(
        f"{request.provider} stopped the answer for safety. Reword the prompt and try again.",
        request_id=finish.request_id,
    )
    error.stage = "answer"
    return error


def _unforeseen(error: Exception, request: Request) -> ProviderError:
    return ProviderError(
        f"Unexpected {type(error).__name__} while asking {request.model}: {redact(str(error))}",
        detail=redact(repr(error)),
    )

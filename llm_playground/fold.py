"""What happens to one run, folded into the :class:`~llm_playground.types.Run` it becomes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal

from llm_playground import pricing, tokens
from llm_playground.errors import LLMError
from llm_playground.events import (
    Finish,
    ProviderEvent,
    ReasoningDelta,
    Responded,
    TextDelta,
    ToolCallDelta,
)
from llm_playground.redact import redact
from llm_playground.types import Attempt, Request, Run, Status, Stored, ToolCall, Usage, UsageSource


@dataclass(slots=True)
class Fold:
    """Takes a run's attempts and events in turn; gives the run as it stands, and as it ended.

    Args:
        skeleton: The run before anything happened.
        request: What it sends.
        clock: Seconds that only grow.
    """

    skeleton: Run
    request: Request
    clock: Callable[[], float] = time.perf_counter
    attempts: list[Attempt] = field(default_factory=list)
    delivered: bool = False
    _texts: list[str] = field(default_factory=list)
    _reasonings: list[str] = field(default_factory=list)
    _calls: dict[int, list[ToolCallDelta]] = field(default_factory=dict)
    _responded: Responded | None = None
    _finish: Finish | None = None
    _queued_ms: float | None = None
    _waited_ms: float = 0.0
    _queued_at: float | None = None
    _sent_at: float | None = None
    _ttft_ms: float | None = None
    _ended_at: float | None = None

    @property
    def spent_ms(self) -> float:
        """What the ended attempts and the waits between them took."""
        return sum(attempt.wait_ms + attempt.duration_ms for attempt in self.attempts)

    @property
    def finish(self) -> Finish | None:
        """The provider's last word, None before it."""
        return self._finish

    def queued(self) -> None:
        """The wait for our own limiter, and for the budget, begins."""
        self._queued_at = self.clock()

    def waiting(self, wait_s: float) -> None:
        """An attempt failed; so long is, or was, the wait before the next."""
        self._waited_ms = wait_s * 1000

    def sent(self) -> None:
        """An attempt begins."""
        self._sent_at = now = self.clock()
        if self._queued_at is not None:
            self._queued_ms = (self._queued_ms or 0.0) + (now - self._queued_at) * 1000
            self._queued_at = None
        self._responded, self._ended_at = None, None

    def take(self, event: ProviderEvent) -> None:
        """One event of the attempt under way."""
        match event:
            case TextDelta(text):
                self._texts.append(text)
            case ReasoningDelta(text):
                self._reasonings.append(text)
            case ToolCallDelta():
                self._calls.setdefault(event.index, []).append(event)
            case Finish():
                self._finish, self._ended_at = event, self.clock()
                return
            case Responded():
                self._responded = event
                return
        if not self.delivered:
            self.delivered = True
            self._ttft_ms = self.spent_ms + self._waited_ms + self._since_sent_ms(self.clock())

    def attempted(self, error: LLMError | None) -> None:
        """The attempt under way has ended; nothing happens when none is."""
        if self._sent_at is None:
            return
        duration_ms = self._since_sent_ms(self._ended_at or self.clock())
        self.attempts.append(self._attempt(duration_ms, error))
        self._sent_at, self._waited_ms = None, 0.0

    def run(self) -> Run:
        """The run as it stands, still running."""
        return replace(
            self.skeleton, text="".join(self._texts), reasoning="".join(self._reasonings)
        )

    def ended(self, status: Status, error: LLMError | None, dropped: tuple[str, ...]) -> Run:
        """The run as it ended.

        Args:
            status: How.
            error: Why, where something went wrong.
            dropped: Parameters that were set and not sent.
        """
        run, finish = self.run(), self._finish or Finish("other")
        usage, usage_source = self._usage(run, finish)
        cost = _price(run, usage)
        ended = replace(
            run,
            status=status,
            finish_reason=self._finish.finish_reason if self._finish else None,
            tool_calls=tuple(map(_joined, self._calls.values())),
            logprobs=finish.logprobs,
            response_model=finish.response_model and redact(finish.response_model),
            usage=usage,
            usage_source=usage_source,
            cost_usd=cost.cost_usd,
            price_source=cost.source,
            ttft_ms=self._ttft_ms,
            response_time_ms=self.spent_ms if self.attempts else None,
            queue_ms=self._queued_ms,
            attempts=self.attempts,
            error=error,
            dropped_parameters=dropped,
        )
        return self._in_shape(ended)

    def repeated(self, stored: Stored) -> Run:
        """The run that an answer of the past makes."""
        repeated = replace(
            self.skeleton,
            status="completed",
            text=stored.text,
            reasoning=stored.reasoning,
            tool_calls=stored.tool_calls,
            response_model=stored.response_model,
            finish_reason=stored.finish_reason,
            usage=stored.usage,
            usage_source="provider" if stored.usage else "none",
            cost_usd=Decimal(0),
            price_source="reused",
            cached=True,
            saved_usd=stored.saved_usd,
        )
        return self._in_shape(repeated)

    def _since_sent_ms(self, now: float) -> float:
        return 0.0 if self._sent_at is None else (now - self._sent_at) * 1000

    def _attempt(self, duration_ms: float, error: LLMError | None) -> Attempt:
        responded, finish = self._responded, self._finish
        status_code = responded.status_code if responded else None
        request_id = finish.request_id if finish else responded.request_id if responded else None
        request_id = getattr(error, "request_id", None) or request_id
        return Attempt(
            number=len(self.attempts) + 1,
            wait_ms=self._waited_ms,
            duration_ms=duration_ms,
            status_code=getattr(error, "status_code", None) or status_code,
            request_id=request_id and redact(request_id),  # a server may echo the key
            error_type=type(error).__name__ if error else None,
            reason=redact(error.detail or str(error)) if error else None,
            skipped_events=finish.skipped_events if finish else 0,
        )

    def _usage(self, run: Run, finish: Finish) -> tuple[Usage | None, UsageSource]:
        if finish.usage is not None:
            return finish.usage, "provider"
        if not self.delivered:
            return None, "none"
        asked = "".join(delta.arguments_json for call in self._calls.values() for delta in call)
        return tokens.estimate_usage(self.request, run.reasoning + run.text + asked), "estimated"

    def _in_shape(self, run: Run) -> Run:
        """The run with its answer in the shape that was asked for, or why it is not."""
        schema = self.request.schema
        if schema is None or run.status != "completed" or (run.tool_calls and not run.text):
            return run
        try:
            return replace(run, data=schema.parse(run.text))
        except ValueError as error:
            why = _cut_off(run) if run.finish_reason == "length" else redact(str(error))
            return replace(run, data_error=why)
        except Exception as error:  # of a user's validator: the answer was paid all the same
            return replace(run, data_error=redact(f"{type(error).__name__}: {error}"))


def _price(run: Run, usage: Usage | None) -> pricing.Price:
    """What it cost. A price list may fail in any way: an answer that was paid ends all the same."""
    try:
        return pricing.price(run.model, usage, run.started_at)
    except Exception:  # of another's table
        return pricing.UNKNOWN


def _cut_off(run: Run) -> str:
    at = f" at {run.cut_off_at:,} tokens" if run.cut_off_at else ""
    return f"The answer was cut off{at}, before its JSON was complete. Set a higher max_tokens."


def _joined(deltas: list[ToolCallDelta]) -> ToolCall:
    """The deltas of one call as the call."""
    return ToolCall(
        id=next((delta.id for delta in deltas if delta.id), ""),
        name=next((delta.name for delta in deltas if delta.name), ""),
        arguments_json="".join(delta.arguments_json for delta in deltas) or "{}",
        signature=next((delta.signature for delta in deltas if delta.signature), None),
    )

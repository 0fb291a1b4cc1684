"""A run in progress: its call, its reservation, and what it has received."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from llm_playground import config
from llm_playground.errors import (
    BudgetExceededError,
    ContentBlockedError,
    LLMError,
    ProviderError,
    RequestRejectedError,
    StreamInterruptedError,
)
from llm_playground.execution import charges
from llm_playground.execution.run_builder import RunBuilder
from llm_playground.providers import wire_formats
from llm_playground.providers.left_out import left_out
from llm_playground.types import Request, Run, Status

if TYPE_CHECKING:
    from llm_playground.execution import Call, Reservation

# The status of a run by its error; with any other error it has failed.
_STATUSES: dict[type[LLMError], Status] = {
    ContentBlockedError: "blocked",
    BudgetExceededError: "over_budget",
}
# Never left out of a second attempt: it limits what the call may cost.
_NEVER_DROPPED = ("max_tokens",)


class ActiveRun:
    """A run in progress: its call, its reservation, and what it has received.

    It starts now, unless the call resumes another or ``started_at`` is given.
    """

    def __init__(self, call: Call, started_at: datetime | None = None) -> None:
        request, execution = call.request, call.execution
        skeleton = Run(
            id=call.run_id,
            execution_id=execution.id,
            prompt_id=execution.prompt_id,
            iteration_number=call.iteration_number,
            model=request.model,
            provider=request.provider,
            started_at=(
                call.resumes.started_at if call.resumes else started_at or datetime.now(UTC)
            ),
            parameters=request.parameters,
        )
        self.call = call
        self.reservation: Reservation | None = None
        attempts = list(call.resumes.attempts) if call.resumes else []
        unanswered = charges.of_earlier(attempts, request)
        self.builder = RunBuilder(skeleton, request, attempts, unanswered=unanswered)
        self.sent_without: tuple[str, ...] = ()
        self.left_out: set[str] = set()  # additions of this package that this run had refused
        self._dropped = wire_formats.dropped_in(request)
        self._goes_on = False

    def request_as_sent(self) -> Request:
        cap = None if self.reservation is None else self.reservation.max_tokens
        return self.call.request.as_sent(self._dropped, cap)

    def is_retryable(self, error: BaseException) -> bool:
        """Whether to make another attempt.

        After the first delta there is none: the text is kept, and nothing is paid twice.
        """
        return not self.builder.delivered and isinstance(error, LLMError) and error.retryable

    def leave_out_refused(self, error: RequestRejectedError) -> bool:
        """Leave the refused field out of further attempts; whether there is one to leave out."""
        if self.builder.delivered or self.builder.background is not None:
            return False
        refused, additions = error.refused_parameter, error.refused_additions
        request = self.request_as_sent()
        if wire_formats.leave_additions_out(request, additions, self.sent_without):
            now_without = wire_formats.additions_left_out(request)
            self.left_out |= additions.intersection(now_without).difference(self.sent_without)
            return True
        if refused is None or refused in (*_NEVER_DROPPED, *self._dropped):
            return False
        self._dropped += (refused,)
        return True

    def put_additions_back(self) -> None:
        """Send again what this run left out: a request without it was refused too."""
        if self.left_out:
            wire_formats.put_additions_back(self.request_as_sent(), self.left_out)

    def interrupted(self, exception: Exception, error: LLMError) -> LLMError:
        """The error of an attempt; where the provider goes on with the answer, how to get it.

        A provider's exception states whether it does; after any other, such as a deadline, it does.
        """
        goes_on = self.builder.background is not None or self.call.resumes is not None
        if isinstance(exception, ProviderError):
            goes_on = exception.answer_goes_on
        if not goes_on:
            return error
        reason = str(error)
        if getattr(error, "status_code", None) is None:  # without advice to run again
            reason = reason.partition(". ")[0].removesuffix(".") + "."
        self._goes_on, label = True, config.label(self.call.request.provider)
        line = f"{label[:1].upper()}{label[1:]} goes on with this answer in the background. "
        line += f'lp.resume("{self.call.run_id}") gets it. It cannot be read now: {reason}'
        return StreamInterruptedError(line, detail=error.detail or str(error))

    async def stop_in_background(self) -> None:
        """Stop the answer if the provider makes it in the background, where it would go on."""
        if self.builder.background is not None:
            await self.builder.background.stop()

    def answered(self) -> Run:
        """The run after its last attempt succeeded; the provider may have blocked the answer."""
        finish, request = self.builder.finish, self.call.request
        if finish is None or finish.finish_reason != "content_filter":
            return self.ended("completed")
        from llm_playground.providers.errors import blocked_error  # compiles many patterns

        label = config.label(request.provider)
        return self.failed(
            blocked_error(finish, provider=request.provider, model=request.model, label=label)
        )

    def failed(self, error: LLMError) -> Run:
        error.provider = error.provider or self.call.request.provider
        error.model = error.model or self.call.request.model
        status = "interrupted" if self._goes_on else _STATUSES.get(type(error), "failed")
        return self.ended(status, error)

    def ended(self, status: Status, error: LLMError | None = None) -> Run:
        before, builder, sent = self.call.resumes, self.builder, self.request_as_sent()
        run = builder.ended(status, error, self._dropped)
        lost = left_out(sent) if sent.messages[1:] else {}
        run = replace(run, api_version=wire_formats.older_version(sent), left_out=lost)
        had, has = (
            each.usage.output_tokens or 0 if each and each.usage else 0 for each in (before, run)
        )
        if before is not None and builder.finish is None and had >= has:
            goes_on = status == "cancelled" and builder.background is None  # nothing was stopped
            kept: Status = "interrupted" if goes_on else status
            return replace(before, status=kept, error=error, attempts=run.attempts)
        if self.reservation is None:
            return run
        cap, notices = self.reservation.max_tokens, tuple(self.reservation.notices)
        return replace(run, max_tokens_cap=cap, budget_notices=notices)

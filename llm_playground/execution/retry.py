"""Retries of failed attempts with back-off, the deadlines of one attempt, and its error."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING, Literal

from llm_playground import config
from llm_playground.config.options import Retry, Timeouts
from llm_playground.errors import (
    LLMError,
    ProviderError,
    ProviderTimeoutError,
)
from llm_playground.redaction import redact
from llm_playground.types import Request

if TYPE_CHECKING:
    from tenacity import AsyncRetrying, RetryCallState


Part = Literal["first_delta", "between_deltas", "total"]
_LINES: dict[Part, str] = {
    "first_delta": "{label} sent nothing for {limit_s:g} s. Run again, choose a faster model, "
    'or allow more time: lp.configure(timeout_s={{"first_delta": ...}}).',
    "between_deltas": "{label} stopped sending for {limit_s:g} s. The text so far is kept. "
    "Run again for a full answer.",
    "total": "{label} took longer than {limit_s:g} s in total. The text so far is kept. "
    'To allow more time: lp.configure(timeout_s={{"total": ...}}).',
}

# Not the shared generator: a notebook that seeds it must get the numbers it expects.
_random = random.Random()  # noqa: S311 - spreads load, protects nothing
_without_waits: ContextVar[bool] = ContextVar("_without_waits", default=False)
# Moving a timer costs more than a delta does, so it is moved only when it is off by this part of
# the limit.
_SLACK = 0.05
_MOST_SLACK_S = 1.0


class Pause:
    """The waits before retries, which a person may end early. For the background loop only."""

    def __init__(self) -> None:
        self._ended = asyncio.Event()

    def end(self) -> None:
        """End the current wait, if there is one."""
        self._ended.set()

    async def sleep(self, seconds: float) -> bool:
        """Wait; returns whether :meth:`end` ended it early.

        >>> asyncio.run(Pause().sleep(0.01))
        False
        """
        self._ended.clear()
        with suppress(TimeoutError):
            return await asyncio.wait_for(self._ended.wait(), seconds)
        return False


def retrying(
    retry: Retry,
    is_retryable: Callable[[BaseException], bool],
    on_wait: Callable[[Exception, float], None],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncRetrying:
    """The attempts to make, as a loop of tenacity.

    The wait is what the provider asks for plus up to a tenth, so that clients that got the same
    answer do not return together. Without such a request it is exponential back-off with full
    jitter (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).

    ``on_wait`` is called with each error that is retried, and the wait before that in seconds;
    ``sleep`` waits that many seconds, or less.
    """
    import tenacity  # first use, not import

    backoff = tenacity.wait_exponential(multiplier=retry.first_wait_s, max=retry.max_wait_s)

    def wait_s(state: RetryCallState) -> float:
        if _without_waits.get():
            return 0.0
        retry_after_s: float | None = getattr(_failure(state), "retry_after", None)
        if retry_after_s is None:
            return _random.uniform(0, backoff(state))
        return retry_after_s + _random.uniform(0, 0.1 * retry_after_s)

    def is_retried(error: BaseException) -> bool:
        return is_retryable(error) and (getattr(error, "retry_after", 0) or 0) <= retry.max_wait_s

    def before_sleep(state: RetryCallState) -> None:
        on_wait(_failure(state), state.upcoming_sleep)

    return tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception(is_retried),
        wait=wait_s,
        stop=tenacity.stop_after_attempt(retry.attempts)
        | tenacity.stop_before_delay(retry.total_s),
        before_sleep=before_sleep,
        sleep=sleep,
        reraise=True,
    )


@contextmanager
def without_waits() -> Iterator[None]:
    """Retry without waiting, for tests.

    >>> import llm_playground as lp
    >>> with without_waits():
    ...     lp.ask("Say hello.", max_tokens=8).status
    'completed'
    """
    token = _without_waits.set(True)
    try:
        yield
    finally:
        _without_waits.reset(token)


def _failure(state: RetryCallState) -> Exception:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, Exception)  # noqa: S101 - tenacity calls this only after one
    return error


class DeadlineError(Exception):
    """A time limit was exceeded: ``part`` names it, ``limit_s`` is its length in seconds."""

    def __init__(self, part: Part, limit_s: float) -> None:
        super().__init__(part)
        self.part: Part = part
        self.limit_s = limit_s

    def line(self, label: str) -> str:
        """What the provider with this label did, and what to do.

        >>> DeadlineError("between_deltas", 30).line("OpenAI")
        'OpenAI stopped sending for 30 s. The text so far is kept. Run again for a full answer.'
        """
        line = _LINES[self.part].format(label=label, limit_s=self.limit_s)
        return line[:1].upper() + line[1:]


class Deadlines:
    """Time limits for the body of an ``async with``.

    The limit between deltas is enforced at most a twentieth late. ``spent_s`` is how much of the
    total earlier attempts have used.

    Raises:
        DeadlineError: On leaving, when a limit was exceeded inside.

    Example::

        async with Deadlines(timeouts) as deadlines:
            async for delta in deltas:
                deadlines.delta_received()
    """

    def __init__(self, timeouts: Timeouts, spent_s: float = 0.0) -> None:
        self._timeouts = timeouts
        self._spent_s = spent_s
        self._armed: Part = "first_delta"
        self._move_at = 0.0

    async def __aenter__(self) -> Deadlines:
        self._loop = asyncio.get_running_loop()
        self._began_at = self._loop.time()
        self._clock = await asyncio.timeout(None).__aenter__()
        self._arm("first_delta", self._began_at)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self._clock.__aexit__(kind, error, trace)
        except TimeoutError:
            limit_s = getattr(self._timeouts, self._armed)
            raise DeadlineError(self._armed, limit_s) from None

    def delta_received(self) -> None:
        """Start the limit for the next delta."""
        now = self._loop.time()
        if now >= self._move_at:
            slack_s = min(_MOST_SLACK_S, _SLACK * (self._timeouts.between_deltas or 0.0))
            self._arm("between_deltas", now + slack_s)
            self._move_at = now + slack_s

    def _arm(self, part: Part, since: float) -> None:
        limit_s: float | None = getattr(self._timeouts, part)
        total_s = self._timeouts.total
        ends = {
            part: None if limit_s is None else since + limit_s,
            "total": None if total_s is None else self._began_at + total_s - self._spent_s,
        }
        limited = [(at, name) for name, at in ends.items() if at is not None]
        at, self._armed = min(limited, default=(None, part))
        self._clock.reschedule(at)


def as_llm_error(error: Exception, request: Request) -> LLMError:
    """The error of a run whose attempt raised ``error``."""
    if isinstance(error, LLMError):
        return error
    if isinstance(error, DeadlineError):
        return ProviderTimeoutError(error.line(config.label(request.provider)))
    return ProviderError(
        f"Unexpected {type(error).__name__} while calling {request.model}: {redact(str(error))}",
        detail=redact(repr(error)),
    )

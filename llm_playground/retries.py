"""When a failed attempt is worth another, and after how long."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from llm_playground.errors import InvalidParameterError

if TYPE_CHECKING:
    from tenacity import AsyncRetrying, RetryCallState

# Of our own: a notebook that seeds the common one gets the numbers it expects.
_chance = random.Random()  # noqa: S311 - spreads load, guards nothing
_without_waits: ContextVar[bool] = ContextVar("_without_waits", default=False)


@dataclass(frozen=True, slots=True)
class Retry:
    """How failed attempts are repeated. Times in seconds.

    Args:
        attempts: How many there may be, the first included; 1 never repeats.
        first_wait_s: The longest wait before the second attempt; it doubles from there.
        max_wait_s: The longest wait before any attempt. A provider that asks for more is not
            waited for.
        total_s: No attempt begins later than this after the first.
    """

    attempts: int = 5
    first_wait_s: float = 1.0
    max_wait_s: float = 60.0
    total_s: float = 180.0


class Pause:
    """The waits before next attempts, which a person may end. On the background loop only."""

    def __init__(self) -> None:
        self._ended = asyncio.Event()

    def end(self) -> None:
        """Let the next attempt begin now, where one is waited for."""
        self._ended.set()

    async def sleep(self, seconds: float) -> bool:
        """Wait so long; whether it was ended before.

        >>> asyncio.run(Pause().sleep(0.01))
        False
        """
        self._ended.clear()
        with suppress(TimeoutError):
            return await asyncio.wait_for(self._ended.wait(), seconds)
        return False


_NAMES = tuple(field.name for field in fields(Retry))


def changed(retry: Retry, setting: int | Mapping[str, float]) -> Retry:
    """``retry`` with what ``configure(retry=...)`` says.

    Args:
        retry: What holds so far.
        setting: A number of attempts, or the parts to change by name.

    Raises:
        InvalidParameterError: A name that is none, fewer than one attempt, or a negative time.

    >>> changed(Retry(), 3).attempts, changed(Retry(), {"max_wait_s": 5}).max_wait_s
    (3, 5.0)
    """
    parts = setting if isinstance(setting, Mapping) else {"attempts": setting}
    for name, value in parts.items():
        if name not in _NAMES:
            raise InvalidParameterError(f"retry has no {name!r}. There are {', '.join(_NAMES)}.")
        least = 1 if name == "attempts" else 0
        if not _is_number(value, whole=name == "attempts") or value < least:
            raise InvalidParameterError(f"retry's {name} is {value!r}; it takes {least} or more.")
    times = {name: float(value) for name, value in parts.items() if name != "attempts"}
    return replace(retry, attempts=int(parts.get("attempts", retry.attempts)), **times)


def retrying(
    retry: Retry,
    worth: Callable[[BaseException], bool],
    on_wait: Callable[[Exception, float], None],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncRetrying:
    """The attempts to make, to be looped over as tenacity shows it.

    A provider that says how long to wait is believed, and a little is added, so that many who
    were told the same do not come back together. Else it is exponential back-off with full jitter
    (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).

    Args:
        retry: The policy.
        worth: Whether another attempt may mend this error.
        on_wait: Told each error that another attempt follows, and the wait before it in seconds.
        sleep: Waits so many seconds, or less.
    """
    import tenacity  # first use, not import

    backoff = tenacity.wait_exponential(multiplier=retry.first_wait_s, max=retry.max_wait_s)

    def wait_s(state: RetryCallState) -> float:
        told_s = _told_s(_failure(state))
        if _without_waits.get():
            return 0.0
        if told_s is None:
            return _chance.uniform(0, backoff(state))
        return told_s + _chance.uniform(0, 0.1 * told_s)

    def worth_it(error: BaseException) -> bool:
        return worth(error) and (_told_s(error) or 0.0) <= retry.max_wait_s

    def before_sleep(state: RetryCallState) -> None:
        on_wait(_failure(state), state.upcoming_sleep)

    return tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception(worth_it),
        wait=wait_s,
        stop=tenacity.stop_after_attempt(retry.attempts)
        | tenacity.stop_before_delay(retry.total_s),
        before_sleep=before_sleep,
        sleep=sleep,
        reraise=True,
    )


@contextmanager
def without_waits() -> Iterator[None]:
    """For tests: attempts follow each other at once.

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
    assert isinstance(error, Exception)  # noqa: S101 - tenacity asks only after one
    return error


def _told_s(error: BaseException) -> float | None:
    """How long the provider asks to wait, None where it does not say."""
    told: float | None = getattr(error, "retry_after", None)
    return told


def _is_number(value: object, *, whole: bool) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return math.isfinite(value) and (not whole or float(value).is_integer())

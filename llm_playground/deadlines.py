"""The clock over one attempt: it ends what stays silent, and says which limit that was."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Literal

from llm_playground.timeouts import Timeouts

Part = Literal["first_delta", "between_deltas", "total"]

# Moving a timer costs more than a delta does: it is moved when it would come this much too early.
_SLACK = 0.05
_MOST_SLACK_S = 1.0


class DeadlineError(Exception):
    """A limit has passed: ``part`` names it, ``limit_s`` is its length in seconds."""

    def __init__(self, part: Part, limit_s: float) -> None:
        super().__init__(part)
        self.part: Part = part
        self.limit_s = limit_s


class Deadlines:
    """Watches what is under its ``async with``.

    Args:
        timeouts: The limits. Silence between deltas ends at most a twentieth late.
        spent_s: How much of the total earlier attempts took.

    Raises:
        DeadlineError: On leaving, when a limit passed inside.

    Example::

        async with Deadlines(timeouts) as deadlines:
            async for delta in deltas:
                deadlines.heard()
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

    def heard(self) -> None:
        """A delta came: the wait for the next begins."""
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
        known = [(at, name) for name, at in ends.items() if at is not None]
        at, self._armed = min(known, default=(None, part))
        self._clock.reschedule(at)

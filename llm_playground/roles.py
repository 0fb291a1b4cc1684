"""What the engine asks of others, as Protocols: it sees a log, a limiter and a budget, no more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from llm_playground.events import Preparing, Responded, StreamEvent
from llm_playground.providers.base import Provider
from llm_playground.types import Execution, Request, Run

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


class Limiter(Protocol):
    """Says when a call may be sent."""

    def slot(self, model: str, *, tokens: int, priority: int) -> AbstractAsyncContextManager[None]:
        """Entered when the call may be sent, left when it has ended."""
        ...

    def expected_wait_s(self, model: str, *, tokens: int, priority: int) -> float | None:
        """How long a call would wait for a rate limit now; None when nobody can tell."""
        ...

    def learn(self, model: str, responded: Responded) -> None:
        """What the provider says of its limits."""

    def hold(self, model: str, for_s: float) -> None:
        """Send nothing more for a while."""

    def release(self, model: str) -> None:
        """Send at once, whatever the provider said of its limits: a person wants to try."""


class Claim(Protocol):
    """What one call may cost, held before it is sent and settled when it has ended."""

    @property
    def max_tokens(self) -> int | None:
        """The limit of the answer that is to be sent where nobody set one, None for none."""
        ...

    @property
    def notices(self) -> Sequence[str]:
        """What is to be said on the run."""
        ...

    async def hold(self) -> bool:
        """Hold it; False when it does not fit while other calls are under way.

        Raises:
            BudgetExceededError: It will not fit.
            RunLogError: Whether it fits cannot be found out.
        """
        ...

    async def wait(self, tell: Callable[[str], None]) -> None:
        """Wait until it is held; ``tell`` gets what is waited for. Raises as :meth:`hold`."""
        ...

    def settle(self, run: Run) -> None:
        """The call has ended and is logged."""
        ...


class Budget(Protocol):
    """Says what a call may cost."""

    async def claim(
        self, run: Run, request: Request, execution: Execution, override: str | None
    ) -> Claim:
        """What a call that begins needs; nothing is held yet.

        Raises:
            BudgetExceededError: It may not be sent, whatever is left.
        """
        ...

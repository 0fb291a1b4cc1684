"""What the cost of future calls depends on, as last read from the run log.

The price beside Run and the prices of retries use :data:`cost_contexts`, so that they never wait
for a database. It is read on :data:`log_readers`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from llm_playground import config, provenance
from llm_playground.budgeting.status import BudgetStatus, CostContext, budget_statuses, histories
from llm_playground.catalog import estimates
from llm_playground.catalog.estimates import NO_HISTORY, Estimate, History
from llm_playground.errors import LLMError
from llm_playground.types import Request

_BUDGETS_MAX_AGE_S = 5.0
_HISTORIES_MAX_AGE_S = 300.0


class CostContextCache:
    """Budgets and statistics of earlier runs as last read from the current log. Thread-safe."""

    def __init__(self) -> None:
        self._reading = threading.Lock()
        self.clear()

    def clear(self, log_url: str = "") -> None:
        """Forget everything that was read."""
        self._log_url = log_url
        self._context = CostContext()
        self._budgets_read_at = 0.0
        self._histories_read_at: dict[str, float] = {}

    def current(self) -> CostContext:
        """What was read last; empty before that, and if another log is in use by now."""
        return self._context if self._log_url == _log_url() else CostContext()

    def expire_budgets(self) -> None:
        """Have :meth:`refresh` read the budgets again, as something was spent."""
        self._budgets_read_at = 0.0

    def is_stale(self, models: Sequence[str]) -> bool:
        """Whether a form with these models needs :meth:`refresh`."""
        return self._budgets_are_stale() or bool(self._stale(models))

    def refresh(self, models: Sequence[str]) -> bool:
        """Read what is stale, which may take long; whether that changed anything.

        A log that cannot be read changes nothing; it is tried again when the next read is due.
        """
        with self._reading:
            self._follow_log()
            before = self._context
            with suppress(LLMError):  # here and below: recording a run reports the problem
                stale = self._stale(models)
                self._histories_read_at |= dict.fromkeys(stale, time.monotonic())
                known = {**self._context.histories, **histories(stale)}
                self._context = replace(self._context, histories=known)
            with suppress(LLMError):
                if self._budgets_are_stale():
                    self._budgets_read_at = time.monotonic()
                    self._context = replace(self._context, statuses=budget_statuses())
            self._follow_log()  # what was read may belong to a log that is no longer in use
            return self._context != before

    def _follow_log(self) -> None:
        url = _log_url()
        if url != self._log_url:
            self.clear(url)

    def _budgets_are_stale(self) -> bool:
        age_s = time.monotonic() - self._budgets_read_at
        is_other_log = self._log_url != _log_url()
        return not self._budgets_read_at or age_s > _BUDGETS_MAX_AGE_S or is_other_log

    def _stale(self, models: Sequence[str]) -> list[str]:
        due_before = time.monotonic() - _HISTORIES_MAX_AGE_S
        read_at = self._histories_read_at
        return [model for model in models if read_at.get(model, due_before) <= due_before]


def _log_url() -> str:
    try:
        return config.log_url()
    except LLMError:  # an unusable log has no budgets; recording a run reports the problem
        return ""


cost_contexts = CostContextCache()
# The only thread that waits for the run log.
log_readers = ThreadPoolExecutor(1, "llm_playground_cost_context")


@dataclass(frozen=True, slots=True)
class EstimateBasis:
    """What the estimates of one model's calls depend on."""

    history: History = NO_HISTORY
    cap: int | None = None  # the ``max_tokens`` that a blocking budget sets if the call sets none

    def estimate(self, request: Request, at: datetime) -> Estimate:
        """The tokens and cost of one call, as a budget counts them."""
        limited = self.cap is None or estimates.limit_of(request) is not None
        return estimates.of(request, at, self.history, None if limited else self.cap)


def basis_of(model: str, context: CostContext) -> EstimateBasis:
    """What the estimates of a model's calls depend on."""
    blocks = any(status.budget.blocks for status in applicable_budgets(model, context.statuses))
    history = context.histories.get(model, NO_HISTORY)
    return EstimateBasis(history, config.settings().budget_max_tokens if blocks else None)


def applicable_budgets(model: str, statuses: Sequence[BudgetStatus]) -> list[BudgetStatus]:
    """The budgets that count calls of a playground to a model."""
    if not statuses:
        return []
    user = provenance.username()
    return [status for status in statuses if status.budget.applies_to(model, user, ())]

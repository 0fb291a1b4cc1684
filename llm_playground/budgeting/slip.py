"""A slip of the hand, stopped before anything is sent: ``confirm_above_usd``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from llm_playground import config, estimates
from llm_playground.budgeting.setting import note_override
from llm_playground.errors import BudgetExceededError
from llm_playground.estimates import Estimate
from llm_playground.footer import usd
from llm_playground.types import Request

_STEPS = (Decimal(1), Decimal(2), Decimal(5), Decimal(10))


def check_worst_case(requests: Iterable[Request], override: str | None) -> None:
    """Refuse calls that could together cost more than ``configure(confirm_above_usd=...)``.

    Calls of unknown price do not count, nor does anything where nothing is sent. What is overridden
    is noted in the audit log.

    Args:
        requests: What one request for answers would send, each once for every time.
        override: Why it is sent all the same, None where nobody said.

    Raises:
        BudgetExceededError: They could, and nobody overrides it.
        RunLogError: The override cannot be noted.
    """
    most = config.confirm_above_usd()
    if most is None or config.mode() == "replay":
        return
    estimate = worst_case(requests)
    could = estimate.worst_case_usd or Decimal(0)
    if could <= most:
        return
    if override is not None:
        note_override(override, estimate)
        return
    about = "about " if estimate.assumed else ""
    calls = f"{estimate.calls:,} call{'' if estimate.calls == 1 else 's'}"
    error = BudgetExceededError(
        f'Could cost up to {about}{usd(could)} ({calls}). Pass override="reason", or '
        f"lp.configure(confirm_above_usd={_next_step(could):f})."
    )
    error.estimate = estimate
    raise error


def worst_case(requests: Iterable[Request]) -> Estimate:
    """What requests could cost together, as far as their prices are known."""
    every = list(requests)
    times = Counter(map(id, every))
    distinct = {id(request): request for request in every}
    now = datetime.now(UTC)
    known = [_times(estimates.of(request, now), times[key]) for key, request in distinct.items()]
    return estimates.together(each for each in known if each.worst_case_usd is not None)


def _times(one: Estimate, count: int) -> Estimate:
    return replace(
        one,
        calls=count,
        input_tokens=one.input_tokens * count,
        output_tokens=one.output_tokens * count,
        most_input_tokens=one.most_input_tokens * count,
        most_output_tokens=one.most_output_tokens * count,
        expected_usd=None if one.expected_usd is None else one.expected_usd * count,
        worst_case_usd=None if one.worst_case_usd is None else one.worst_case_usd * count,
    )


def _next_step(amount: Decimal) -> Decimal:
    """1, 2, 5, 10, 20, ...: the first that is enough.

    >>> str(_next_step(Decimal("12.4"))), str(_next_step(Decimal("1.02")))
    ('20', '2')
    """
    power = Decimal(10) ** amount.adjusted()
    return next(step * power for step in _STEPS if step * power >= amount)

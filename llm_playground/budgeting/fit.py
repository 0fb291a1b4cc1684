"""Which budgets planned calls would exceed, before any is reserved or sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from llm_playground import config
from llm_playground.budgeting.budget import exceeded_message, refused_message, unpriced_refusal
from llm_playground.budgeting.status import BudgetStatus
from llm_playground.catalog.estimates import Estimate
from llm_playground.types import Execution


@dataclass(frozen=True, slots=True)
class Planned:
    """Equal calls that are to be made, with the estimate of one of them."""

    estimate: Estimate
    execution: Execution
    calls: int


@dataclass(frozen=True, slots=True)
class Excess:
    """What a budget says of calls that exceed it, and whether it refuses them."""

    text: str
    is_refused: bool


def cap_of(model: str, execution: Execution, statuses: Iterable[BudgetStatus]) -> int | None:
    """The ``max_tokens`` that budgets set for a call without a limit; None for none."""
    blocks = any(one.budget.blocks for one in _applicable(model, execution, statuses))
    return config.settings().budget_max_tokens if blocks else None


def _applicable(
    model: str, execution: Execution, statuses: Iterable[BudgetStatus]
) -> list[BudgetStatus]:
    user, tags = execution.username, execution.tags
    return [one for one in statuses if one.budget.applies_to(model, user, tags)]


def exceeded(planned: Iterable[Planned], statuses: Sequence[BudgetStatus]) -> Iterator[Excess]:
    """What budgets would say of the calls, made in this order: one line for each that is exceeded.

    Free calls always fit. A blocking budget sends the calls before the one that does not fit.
    """
    left = {one.budget.id: one.remaining_usd for one in statuses}
    for each in planned:
        for status in _applicable(each.estimate.model, each.execution, statuses):
            budget, worst_usd = status.budget, each.estimate.worst_case_usd
            if worst_usd is None and isinstance(budget.unknown_price, Decimal):
                worst_usd = budget.unknown_price
            if worst_usd is None:
                if budget.unknown_price == "block" or (budget.blocks and each.estimate.unbounded):
                    unbounded = each.estimate.unbounded
                    model = each.estimate.model
                    yield Excess(
                        unpriced_refusal(budget, status.span, model, unbounded), is_refused=True
                    )
                continue
            needed_usd = worst_usd * each.calls
            if needed_usd > max(left[budget.id], Decimal(0)):
                write = refused_message if budget.blocks else exceeded_message
                text = write(budget, status.span, needed_usd, left[budget.id])
                yield Excess(text, budget.blocks)
            left[budget.id] -= needed_usd

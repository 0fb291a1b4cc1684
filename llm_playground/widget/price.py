"""The price beside Run, and the confirmation of what a press of Run would cost.

:func:`cost_estimates` estimates the calls of a form, :func:`price_preview` makes the line beside
Run of them, :func:`calls_to_send` makes the calls of a press, or raises the question to answer
first. Budgets and statistics of earlier runs come from :mod:`.cost_context`, since nothing here
waits for the run log.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from math import prod
from typing import Any, Literal

from llm_playground import config, formatting
from llm_playground.budgeting import budget, confirm_worst_case
from llm_playground.budgeting.status import BudgetStatus, CostContext
from llm_playground.calls import resolve_model
from llm_playground.catalog import estimates
from llm_playground.catalog.capabilities import check_parameters
from llm_playground.catalog.estimates import Estimate
from llm_playground.errors import BudgetExceededError, InvalidParameterError
from llm_playground.formatting import usd
from llm_playground.request.messages import conversation
from llm_playground.request.parameters import check_iterations, parameters_from
from llm_playground.request.templates import filled
from llm_playground.types import Message, Parameters, Request
from llm_playground.widget.cost_context import (
    EstimateBasis,
    applicable_budgets,
    basis_of,
    cost_contexts,
)
from llm_playground.widget.form import (
    Form,
    PlannedCall,
    first_only,
    known_values,
    plan_calls,
    variations,
)

Tone = Literal["", "amber", "red"]

# Stands for an empty prompt: the answer is most of the price.
_EMPTY_PROMPT = "?"
# The preview turns amber if less than this share of a budget would be left.
_LOW = Decimal("0.1")
_ZERO = Decimal(0)
# The reason in the audit log for sending more than `confirm_above_usd`.
_CONFIRMED = "Run was pressed twice"


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """The cost of the same request a number of times.

    ``confirmation_usd`` is the most that one call costs without statistics of earlier runs, as
    ``confirm_above_usd`` counts it; None if the price is unknown.
    """

    model: str
    calls: int
    each: Estimate  # of one call, as a budget counts it
    confirmation_usd: Decimal | None


class Outdated(Exception):  # noqa: N818 - not an error: a newer result is wanted
    """The computation was cancelled because a newer one is wanted."""


def cost_estimates(
    form: Form,
    notebook: Mapping[str, object],
    context: CostContext,
    at: datetime,
    is_wanted: Callable[[], bool] = lambda: True,
) -> tuple[CostEstimate, ...]:
    """What the calls of a form would cost, in the order in which they are made.

    Prompts are not scanned for secrets here, and budgets are not enforced: that happens at sending.

    An empty prompt has a price, too. ``is_wanted`` is called before each request; False cancels the
    computation.

    Raises:
        ConfigError: A value cannot be sent; the message is one line.
        Outdated: ``is_wanted`` returned False.
    """
    calls = check_iterations(form.iterations)
    bases: dict[str, EstimateBasis] = {}
    costs: list[CostEstimate] = []
    for request in _requests(form, notebook):
        if not is_wanted():
            raise Outdated
        model = request.model
        if model not in bases:
            bases[model] = basis_of(model, context)
        each = bases[model].estimate(request, at)
        plain = each if bases[model] == EstimateBasis() else estimates.of(request, at)
        costs.append(CostEstimate(model, calls, each, plain.worst_case_usd))
    return tuple(costs)


def _requests(form: Form, notebook: Mapping[str, object]) -> Iterator[Request]:
    """One request for each model, case and value of a sweep."""
    if not form.models:
        raise InvalidParameterError("No model is chosen. Add one.")
    is_empty = not (form.prompt.strip() or form.turns or form.images or form.files)
    prompt = _EMPTY_PROMPT if is_empty else form.prompt
    template = conversation(
        prompt,
        system=form.system,
        messages=form.turns,
        images=list(form.images) or None,
        files=list(form.files) or None,
    )
    known = known_values(form, notebook)
    all_variations = variations(form)
    messages: dict[int, tuple[Message, ...]] = {}
    parameters: dict[int, Parameters] = {}
    for model in map(resolve_model, form.models):
        config.check_allowed(model)
        for one in all_variations:
            case, swept = id(one.case), id(one.parameters)
            if case not in messages:
                case_values = known.new_child({**one.case})
                messages[case] = filled(template, case_values)
            if swept not in parameters:
                values = {**form.parameters, **one.parameters}
                parameters[swept] = parameters_from(values, form.preset)
            check_parameters(model, parameters[swept])
            yield Request(model, messages[case], parameters[swept])


@dataclass(frozen=True, slots=True)
class BudgetFit:
    """Which calls of a form the budgets allow."""

    counts: tuple[int, ...]  # for each cost estimate, how many of its calls; the first ones
    # The least that each budget has left then, by its id, if the calls cost any of it.
    after: Mapping[str, Decimal] = field(default_factory=dict)
    refused: BudgetStatus | None = None  # one that does not allow all calls
    refused_model: str | None = None  # the one that it refuses because its price is unknown


def fit_to_budgets(costs: Sequence[CostEstimate], statuses: Sequence[BudgetStatus]) -> BudgetFit:
    """Which calls the budgets allow: each in turn, as long as its worst case is left.

    A call that does not fit is left out; later ones may fit nevertheless.
    """
    left = {status.budget.id: status.remaining_usd for status in statuses}
    after: dict[str, Decimal] = {}
    counts: list[int] = []
    refused, refused_model = None, None
    models = {cost.model for cost in costs}
    applicable = {model: applicable_budgets(model, statuses) for model in models}
    for cost in costs:
        needs = _needs(cost, applicable[cost.model])
        blocking = [(status, need) for status, need in needs if status.budget.blocks]
        rooms = [
            0 if need is None else max(int(left[status.budget.id] // need), 0)
            for status, need in blocking
        ]
        counts.append(min([cost.calls, *rooms]))
        if counts[-1] < cost.calls and refused is None:
            refused, need = blocking[rooms.index(min(rooms))]
            refused_model = cost.model if need is None else None
        for status, need in needs:
            left[status.budget.id] -= (need or _ZERO) * counts[-1]
            after[status.budget.id] = left[status.budget.id]
    return BudgetFit(tuple(counts), after, refused, refused_model)


def _needs(
    cost: CostEstimate, statuses: Sequence[BudgetStatus]
) -> list[tuple[BudgetStatus, Decimal | None]]:
    """What one call needs of each budget; None if the budget refuses calls of unknown price."""
    needs: list[tuple[BudgetStatus, Decimal | None]] = []
    for status in statuses:
        need, unknown = cost.each.worst_case_usd, status.budget.unknown_price
        if need is None and isinstance(unknown, Decimal):
            need = unknown
        if need is None and unknown == "block":
            needs.append((status, None))
        elif need:
            needs.append((status, need))
    return needs


@dataclass(frozen=True, slots=True)
class PricePreview:
    """What a view shows beside Run."""

    text: str = ""
    tone: Tone = ""  # ``amber`` if a budget gets low, ``red`` if it would refuse calls
    details: str = ""  # shown on hover
    problem: str = ""  # why there is no price, in one line
    button: str = "Run"
    calls: int = 0
    fits: int | None = None  # how many calls the budgets allow; None if that is all
    second_press: bool = False  # the calls could cost more than ``confirm_above_usd``
    unpriced: list[str] = field(default_factory=list)  # models
    override: bool = False  # whether a reason would send all calls
    one: str = ""  # what Try one would send and cost


def price_preview(
    form: Form,
    costs: Sequence[CostEstimate],
    statuses: Sequence[BudgetStatus] = (),
    *,
    confirm_above_usd: Decimal | None = None,
    replays: bool = False,
) -> PricePreview:
    """The preview of a form from the estimates of its calls, in their order.

    ``replays`` says that answers come from the run log alone.
    """
    counted = calls_text(form)
    calls = sum(cost.calls for cost in costs)
    if replays:
        return PricePreview(f"{counted} · free, replayed from the log", calls=calls)
    fit = fit_to_budgets(costs, statuses)
    fits = sum(fit.counts)
    line = f"{counted} · {cost_text(costs)}"
    text, tone = _text_and_tone(line, statuses, fit, calls)
    confirmation_usd = _sum(
        (cost.confirmation_usd, count) for cost, count in zip(costs, fit.counts, strict=True)
    )
    unpriced = (cost.model for cost in costs if cost.each.worst_case_usd is None)
    return PricePreview(
        text=text,
        tone=tone,
        details=f"{line}\n{_tokens_text(costs)}",
        button=f"Run {fits:,}" if 0 < fits < calls else "Run",
        calls=calls,
        fits=fits if fits < calls else None,
        second_press=confirm_above_usd is not None and confirmation_usd > confirm_above_usd,
        unpriced=list(dict.fromkeys(unpriced)),
        override=fits < calls,
        one=f"{_model_name(costs[0].model)} once · {cost_text([replace(costs[0], calls=1)])}",
    )


def calls_text(form: Form) -> str:
    """How many calls a form has, as a product of all factors but 1.

    >>> calls_text(Form(models=["a:b", "c:d"], iterations=3))
    '2 models × 3 = 6 calls'
    >>> calls_text(Form(models=["local"], iterations=3))
    '3 calls'
    """  # noqa: RUF002 - the multiplication sign
    swept = variations(form)[0].parameters
    factors = [(len(form.models), " models"), (max(len(form.cases), 1), " cases")]
    factors += [(len(form.parameters[n]), f" {n.replace('_', ' ')} values") for n in swept]
    factors.append((check_iterations(form.iterations), ""))
    parts = [f"{number:,}{noun}" for number, noun in factors if number > 1]
    calls = formatting.count(prod(number for number, _ in factors), "call")
    return f"{' × '.join(parts)} = {calls}" if len(parts) > 1 else calls  # noqa: RUF001 - as above


def cost_text(costs: Sequence[CostEstimate]) -> str:
    """The cost of calls together: ``about $0.0054, at most $0.0232``, ``free``, what is unknown."""
    known = [cost for cost in costs if cost.each.worst_case_usd is not None]
    priced = sum(cost.calls for cost in known)
    unpriced = sum(cost.calls for cost in costs) - priced
    most = _sum((cost.each.worst_case_usd, cost.calls) for cost in known)
    likely = _sum((cost.each.expected_usd, cost.calls) for cost in known)
    if not known:
        return "price unknown"
    if unpriced:
        price = f"priced at about {usd(likely)}" if most else "free"
        return f"{priced:,} {price}, {unpriced:,} of unknown price"
    if most == 0:
        is_local = all(cost.model.startswith("local:") for cost in costs)
        return "free, runs in this kernel" if is_local else "free"
    about = "about " if any(cost.each.assumed for cost in known) else ""
    return f"about {usd(likely)}, at most {about}{usd(most)}"


def _text_and_tone(
    line: str, statuses: Sequence[BudgetStatus], fit: BudgetFit, calls: int
) -> tuple[str, Tone]:
    if fit.refused is not None:
        fits, of = sum(fit.counts), formatting.count(calls, "call")
        return f"Fits {fits:,} of {of}: {_refusal(fit.refused, fit.refused_model)}", "red"
    shares = [
        (fit.after[status.budget.id] / status.budget.limit_usd, status)
        for status in statuses
        if status.budget.id in fit.after and status.budget.limit_usd
    ]
    share, tightest = min(shares, key=lambda pair: pair[0], default=(Decimal(1), None))
    if tightest is None or share >= _LOW:
        return line, ""
    limit = budget.describe_limit(tightest.budget, tightest.span)
    left = fit.after[tightest.budget.id]
    if left < 0:
        return f"{line} · over {limit}, which only warns", "amber"
    return f"{line} · leaves {usd(left)} of {limit}", "amber"


def _refusal(status: BudgetStatus, unpriced_model: str | None) -> str:
    """``$0.0151 of $50.00 left for November``."""
    limit = budget.describe_limit(status.budget, status.span)
    if unpriced_model is not None:
        name = _model_name(unpriced_model)
        return f"the price of {name} is unknown, which {limit} does not allow"
    amount, _, scope = limit.partition(" ")
    left = status.remaining_usd
    return f"{usd(left) if left > 0 else 'nothing'} of {amount} left {scope}"


def _tokens_text(costs: Sequence[CostEstimate]) -> str:
    tokens_in = sum(cost.each.input_tokens * cost.calls for cost in costs)
    tokens_out = sum(cost.each.output_tokens * cost.calls for cost in costs)
    most_out = sum(cost.each.most_output_tokens * cost.calls for cost in costs)
    return f"about {tokens_in:,} tokens in, {tokens_out:,} out, at most {most_out:,} out"


def _model_name(model: str) -> str:
    return model.partition(":")[2]


def _sum(amounts: Iterable[tuple[Decimal | None, int]]) -> Decimal:
    return sum((amount * times for amount, times in amounts if amount is not None), _ZERO)


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A press of Run or Try one."""

    one: bool = False  # whether only the first call is sent
    override: str | None = None  # why the calls are sent even if budgets refuse them
    fits: int | None = None  # how many calls the preview said that budgets allow; None for all
    confirmed: str = ""  # the fingerprint of the calls that the view asked about
    view: str = ""  # its id, empty for Python

    @classmethod
    def from_view(cls, content: Mapping[str, Any]) -> RunRequest:
        """The request of a view's message."""
        return cls(
            one=bool(content.get("one")),
            override=content.get("override"),
            fits=content.get("fits"),
            confirmed=str(content.get("confirmed") or ""),
            view=str(content.get("view") or ""),
        )


class ConfirmationNeeded(Exception):  # noqa: N818 - a question, not an error
    """Nothing was sent; the person should look again. ``message`` is for the view."""

    def __init__(self, message: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.message = message


def calls_to_send(
    request: RunRequest, form: Form, notebook: Mapping[str, object]
) -> tuple[PlannedCall, ...]:
    """The calls that a press sends.

    Raises:
        ConfigError: A value cannot be sent; the message is one line.
        BudgetExceededError: The calls could cost more than ``confirm_above_usd``.
        RunLogError: An override cannot be written to the audit log.
        ConfirmationNeeded: The calls of a view's press could cost more than
            ``confirm_above_usd``, or other calls fit the budget than the view has shown.
    """
    wanted = first_only(form) if request.one and form.models else form
    calls = plan_calls(wanted, notebook, request.override)
    if request.fits is not None and not request.one and request.override is None:
        calls = _fitting_calls(request, calls, wanted, notebook)
    requests = [one.call.request for one in calls]
    prompt_ids = "\n".join(one.call.execution.prompt_id for one in calls)
    # The same requests have the same fingerprint, however often they are planned.
    fingerprint = hashlib.sha256(prompt_ids.encode()).hexdigest()
    if request.confirmed == fingerprint and request.override is None:
        confirm_worst_case(requests, _CONFIRMED)
        return calls
    try:
        confirm_worst_case(requests, request.override)
    except BudgetExceededError as error:
        if not request.view or error.estimate is None:
            raise
        raise ConfirmationNeeded(_question(request, error.estimate, fingerprint)) from None
    return calls


def _fitting_calls(
    request: RunRequest, calls: Sequence[PlannedCall], form: Form, notebook: Mapping[str, object]
) -> tuple[PlannedCall, ...]:
    context = cost_contexts.current()
    costs = cost_estimates(form, notebook, context, datetime.now(UTC))
    counts = fit_to_budgets(costs, context.statuses).counts
    if sum(counts) != request.fits or not request.fits:
        text = f"{sum(counts):,} of {len(calls):,} calls fit the budget now. Nothing was sent."
        raise ConfirmationNeeded({"type": "notice", "view": request.view, "message": text})
    rest, kept = list(calls), []
    for cost, count in zip(costs, counts, strict=True):
        kept += rest[:count]
        del rest[: cost.calls]
    return tuple(kept)


def _question(request: RunRequest, estimate: Estimate, fingerprint: str) -> dict[str, Any]:
    about = "about " if estimate.assumed else ""
    verb = "Try one" if request.one else "Run"
    return {
        "type": "confirm",
        "view": request.view,
        "one": request.one,
        "confirmed": fingerprint,
        "button": f"{verb} · up to {about}{usd(estimate.worst_case_usd or _ZERO)}",
        "message": f"Press again to send {formatting.count(estimate.calls, 'call')}",
    }

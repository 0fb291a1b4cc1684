"""What the calls of a form would use and cost, request by request."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from llm_playground import config, estimates, provenance
from llm_playground.budgeting.standing import Outlook, Standing
from llm_playground.calls import resolve_model
from llm_playground.capabilities import check_parameters
from llm_playground.conversation import conversation, filled
from llm_playground.errors import InvalidParameterError
from llm_playground.estimates import NO_HISTORY, Estimate
from llm_playground.parameters import check_iterations, parameters_from
from llm_playground.types import Message, Parameters, Request
from llm_playground.widgets.form import Form, variations

# What stands for a prompt that is not written yet: the answer is most of the price.
_NOT_WRITTEN = "?"


@dataclass(frozen=True, slots=True)
class Quote:
    """The same request a number of times.

    Args:
        model: ``provider:name``.
        times: How often.
        one: What one call uses and costs, as a budget would count it.
        slip_usd: The most that one call costs where nothing is known of earlier runs, as
            ``confirm_above_usd`` counts it; None when the price is unknown.
    """

    model: str
    times: int
    one: Estimate
    slip_usd: Decimal | None


class Outdated(Exception):  # noqa: N818 - no error: nobody wants the result any more
    """Work was given up because something newer is wanted."""


def quotes(
    form: Form,
    notebook: Mapping[str, object],
    outlook: Outlook,
    at: datetime,
    wanted: Callable[[], bool] = lambda: True,
) -> tuple[Quote, ...]:
    """What the calls of a form would cost, in the order in which they are made.

    Nothing is looked for in the prompts here, and no budget asked: that is for when they are sent.

    Args:
        form: What is set. A prompt that is empty still has a price.
        notebook: The notebook's variables, for ``{{name}}``.
        outlook: What the run log tells.
        at: When; prices are dated.
        wanted: Asked before each request; once it says no, the rest is not worth computing.

    Raises:
        ConfigError: Something cannot be sent as it stands; one line says what.
        Outdated: ``wanted`` said no.
    """
    times = check_iterations(form.iterations)
    return tuple(
        _quote(request, times, outlook, at)
        for request in _requests(form, notebook)
        if _go_on(wanted)
    )


def of_request(request: Request, outlook: Outlook, at: datetime) -> Estimate:
    """What one call would use and cost; where a budget blocks, its answer is limited."""
    known = outlook.histories.get(request.model, NO_HISTORY)
    return estimates.of(request, at, known, _cap(request, outlook.standings))


def applying(model: str, standings: Sequence[Standing]) -> list[Standing]:
    """The budgets that count a call from a panel."""
    user = provenance.username()
    return [standing for standing in standings if standing.budget.applies_to(model, user, ())]


def _quote(request: Request, times: int, outlook: Outlook, at: datetime) -> Quote:
    one = of_request(request, outlook, at)
    known = outlook.histories.get(request.model, NO_HISTORY)
    plain = not outlook.standings and known == NO_HISTORY
    slip = one if plain else estimates.of(request, at)
    return Quote(request.model, times, one, slip.worst_case_usd)


def _cap(request: Request, standings: Sequence[Standing]) -> int | None:
    if estimates.limit_of(request) is not None:
        return None
    blocks = any(found.budget.blocks for found in applying(request.model, standings))
    return config.budget_max_tokens() if blocks else None


def _go_on(wanted: Callable[[], bool]) -> bool:
    if not wanted():
        raise Outdated
    return True


def _requests(form: Form, notebook: Mapping[str, object]) -> Iterator[Request]:
    """One request for each model, case and value of a sweep."""
    if not form.models:
        raise InvalidParameterError("No model is chosen. Add one.")
    written = _written(form)
    known = {**notebook, **form.values}
    ways = variations(form)
    texts: dict[int, tuple[Message, ...]] = {}
    chosen: dict[int, Parameters] = {}
    for model in form.models:
        resolved = resolve_model(model)
        config.check_allowed(resolved)
        for way in ways:
            case, swept = id(way.case), id(way.parameters)
            if case not in texts:
                texts[case] = filled(written, ChainMap(dict(way.case), known))
            if swept not in chosen:
                chosen[swept] = parameters_from({**form.parameters, **way.parameters}, form.preset)
            check_parameters(resolved, chosen[swept])
            yield Request(resolved, texts[case], chosen[swept])


def _written(form: Form) -> tuple[Message, ...]:
    said: dict[str, Any] = {
        "system": form.system,
        "messages": form.turns,
        "images": list(form.images),
    }
    if form.prompt.strip() or form.turns or form.images:
        return conversation(form.prompt, **said)
    return conversation(_NOT_WRITTEN, **said)

"""What the calls of a form would use and cost, request by request."""

from __future__ import annotations

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
from llm_playground.estimates import NO_HISTORY, Estimate, History
from llm_playground.parameters import check_iterations, parameters_from
from llm_playground.types import Message, Parameters, Request
from llm_playground.widgets.form import Form, known_values, variations

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
    bases: dict[str, Basis] = {}
    found: list[Quote] = []
    for request in _requests(form, notebook):
        if not wanted():
            raise Outdated
        if request.model not in bases:
            bases[request.model] = basis(request.model, outlook)
        found.append(_quote(request, times, bases[request.model], at))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Basis:
    """What the estimates of one model's calls rest on.

    Args:
        history: What its earlier runs tell.
        cap: The limit of an answer where a budget blocks and nobody set one; None where none does.
    """

    history: History
    cap: int | None

    def estimate(self, request: Request, at: datetime) -> Estimate:
        """What one call would use and cost, as a budget counts it."""
        limited = self.cap is None or estimates.limit_of(request) is not None
        return estimates.of(request, at, self.history, None if limited else self.cap)


def basis(model: str, outlook: Outlook) -> Basis:
    """What the run log tells of a model's calls."""
    blocks = any(standing.budget.blocks for standing in applying(model, outlook.standings))
    history = outlook.histories.get(model, NO_HISTORY)
    return Basis(history, config.budget_max_tokens() if blocks else None)


def applying(model: str, standings: Sequence[Standing]) -> list[Standing]:
    """The budgets that count a call from a panel."""
    if not standings:
        return []
    user = provenance.username()
    return [standing for standing in standings if standing.budget.applies_to(model, user, ())]


def _quote(request: Request, times: int, known: Basis, at: datetime) -> Quote:
    one = known.estimate(request, at)
    plain = known == _KNOWN_NOTHING
    slip = one if plain else estimates.of(request, at)
    return Quote(request.model, times, one, slip.worst_case_usd)


_KNOWN_NOTHING = Basis(NO_HISTORY, None)


def _requests(form: Form, notebook: Mapping[str, object]) -> Iterator[Request]:
    """One request for each model, case and value of a sweep."""
    if not form.models:
        raise InvalidParameterError("No model is chosen. Add one.")
    written = _written(form)
    known = known_values(form, notebook)
    ways = variations(form)
    texts: dict[int, tuple[Message, ...]] = {}
    chosen: dict[int, Parameters] = {}
    for model in form.models:
        resolved = resolve_model(model)
        config.check_allowed(resolved)
        for way in ways:
            case, swept = id(way.case), id(way.parameters)
            if case not in texts:
                texts[case] = filled(written, known.new_child({**way.case}))
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

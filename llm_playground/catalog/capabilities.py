"""Parameters and abilities of models, read from the tables of :mod:`.families`.

The parameter table decides which values are rejected before a call, which parameters are dropped
with a notice, and what the playground's controls show. A model without a row accepts all parameters
of its provider's format. Parameters that a model still rejects are dropped in a second attempt.

The ability table (vision, tools, reasoning) is used where a vendor's live list has no such fields.
None means unknown, not "no".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from llm_playground import config
from llm_playground._validation import is_finite, repr_of
from llm_playground.catalog.families import (
    ABILITIES,
    ANY,
    FAMILIES,
    LEVELS,
    PROVIDERS,
    Capabilities,
    Range,
)
from llm_playground.config import endpoints
from llm_playground.errors import InvalidParameterError, UnknownModelError
from llm_playground.types import Parameters


@lru_cache(maxsize=512)
def capabilities_of(model: str) -> Capabilities:
    """The capabilities of a model, given as ``provider:name``.

    >>> str(capabilities_of("anthropic:claude-opus-4-5").ranges["temperature"])
    'a number from 0 to 1'
    >>> sorted(capabilities_of("openai:o3").unsupported)[:3]
    ['frequency_penalty', 'logprobs', 'presence_penalty']
    """
    provider = model.partition(":")[0]
    return _family_of(model) or PROVIDERS.get(provider, ANY)


@lru_cache(maxsize=512)
def _family_of(model: str) -> Capabilities | None:
    """The row of a model's family; None for an unknown model."""
    provider, _, name = model.partition(":")
    rows = FAMILIES.get(provider, ())
    return next((row for pattern, row in rows if re.match(pattern, name)), None)


@dataclass(frozen=True, slots=True)
class Control:
    """The range of a parameter's control for several models."""

    range: Range  # the values that all models with the parameter accept
    default: float | None  # None if their defaults differ or one is unknown
    without: tuple[str, ...]  # the models that do not have the parameter


def control(name: str, models: Sequence[str]) -> Control:
    """The control of a numeric parameter for these models together.

    >>> control("temperature", ["openai:gpt-4o", "anthropic:claude-haiku-4-5"]).range.top
    1
    >>> control("temperature", ["openai:o3"]).without
    ('openai:o3',)
    """
    without = tuple(model for model in models if name in capabilities_of(model).unsupported)
    supporting = [capabilities_of(model) for model in models if model not in without]
    supporting = supporting or [ANY]
    ranges = [capabilities.ranges[name] for capabilities in supporting]
    top = min((each.top for each in ranges if each.top is not None), default=None)
    defaults = {capabilities.defaults.get(name) for capabilities in supporting}
    common = replace(ranges[0], bottom=max(each.bottom for each in ranges), top=top)
    return Control(common, defaults.pop() if len(defaults) == 1 else None, without)


def check_parameters(model: str, parameters: Parameters) -> None:
    """Reject values that the provider would reject.

    Parameters that the model does not support, which are dropped, are checked too. A level of
    reasoning has to be one of the model's family; a model without a row takes any.

    Raises:
        InvalidParameterError: A value has the wrong type or is out of range.
    """
    supported, provider = capabilities_of(model), model.partition(":")[0]
    for name, allowed in supported.ranges.items():
        value = getattr(parameters, name)
        if value is not None and not _is_in_range(value, allowed):
            raise InvalidParameterError(
                f"{name} is {repr_of(value)}; {provider} takes {allowed}.", provider=provider
            )
    _check_effort(model, parameters.reasoning_effort)
    stops = parameters.stop or ()
    if supported.most_stops is not None and len(stops) > supported.most_stops:
        raise InvalidParameterError(
            f"stop has {len(stops)} texts; {provider} takes at most {supported.most_stops}.",
            provider=provider,
        )


def _check_effort(model: str, effort: str | None) -> None:
    """Refuse a level that the model does not take; one without levels leaves out known ones."""
    family, (provider, _, name) = _family_of(model), model.partition(":")
    if effort is None or family is None or family.efforts is None:
        return
    if effort in (family.efforts or LEVELS):
        return
    known = ", ".join(LEVELS)
    takes = ", ".join(family.efforts) or f"no reasoning_effort, and known levels are {known}"
    raise InvalidParameterError(
        f"reasoning_effort is {repr_of(effort)}; {name} takes {takes}.", provider=provider
    )


def unsupported_in(model: str, parameters: Parameters) -> tuple[str, ...]:
    """The names of the set parameters that cannot be sent to a model.

    >>> unsupported_in("anthropic:claude-opus-4-5", Parameters(seed=1, top_p=0.5))
    ('seed',)
    >>> unsupported_in("openai:gpt-5.4", Parameters(temperature=0, reasoning_effort="high"))
    ('temperature',)
    >>> unsupported_in("openai:gpt-6-luna", Parameters(temperature=0))  # it reasons by default
    ('temperature',)
    """
    supported, names = capabilities_of(model), parameters.as_dict()
    rejected = set(supported.unsupported)
    if supported.efforts == ():
        rejected.add("reasoning_effort")
    only_without = supported.unsupported_while_reasoning
    if only_without and supported.reasons(parameters.reasoning_effort):
        rejected |= only_without
    exclusive = [name for name in supported.first_of if name in names and name not in rejected]
    rejected.update(exclusive[1:])
    return tuple(name for name in names if name in rejected)


def resolve_model(name: str, known: Sequence[str] = ()) -> str:
    """``provider:name`` for a model name that a user typed.

    Gemini's name for a model has no ``models/``, so that policy, price and log know one name.

    Raises:
        InvalidParameterError: ``name`` is not text, or empty.
        UnknownModelError: The provider is unknown; the message has close matches.
        ConfigError: The provider is unknown, perhaps since the policy cannot be used.

    >>> resolve_model("local"), resolve_model("claude-x")
    ('local:smollm2-135m-instruct', 'anthropic:claude-x')
    """
    rows = config.rows()
    try:
        provider, _, model = endpoints.resolve_model(name, rows, known).partition(":")
    except UnknownModelError:
        config.policy()  # one that cannot be used may have refused its configure(endpoints=...)
        raise
    if provider in rows and rows[provider].wire_format in (
        "gemini",
        "gemini-legacy",
        "gemini-vertex",
    ):
        model = re.sub(r"^(models/)+", "", model)
    return f"{provider}:{model}"


def _is_in_range(value: object, allowed: Range) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not is_finite(value):
        return False
    if allowed.integer and not float(value).is_integer():
        return False
    return value >= allowed.bottom and (allowed.top is None or value <= allowed.top)


@dataclass(frozen=True, slots=True)
class Abilities:
    """Whether a model supports image input, tool calls and reasoning; None if unknown."""

    vision: bool | None = None
    tools: bool | None = None
    reasoning: bool | None = None


def abilities_of(model: str) -> Abilities:
    """The documented abilities of a model, given as ``provider:name``; None if unknown.

    >>> abilities_of("openai:gpt-4o")
    Abilities(vision=True, tools=True, reasoning=False)
    >>> abilities_of("ollama:anything")
    Abilities(vision=None, tools=None, reasoning=None)
    """
    provider, _, name = model.partition(":")
    for row in ABILITIES.get(provider, ()):
        if re.match(row.pattern, name):
            return Abilities(row.vision, row.tools, _reasons(model))
    # Fine-tuned models have other names, and their abilities are unknown.
    is_base_model = provider == "openai" and re.match(r"gpt-\d|o\d", name) is not None
    return Abilities(reasoning=_reasons(model) if is_base_model else None)


def check_vision(model: str) -> None:
    """Refuse images for a model, given as ``provider:name``, that is known not to take them.

    Raises:
        InvalidParameterError: It takes none.
    """
    provider, _, name = model.partition(":")
    if abilities_of(model).vision is False:
        raise InvalidParameterError(
            f"{name} takes no images. Choose a model with vision.", provider=provider, model=model
        )


def _reasons(model: str) -> bool:
    """Whether the model is a reasoning model: it has a reasoning effort."""
    return bool(capabilities_of(model).efforts)

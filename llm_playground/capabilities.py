"""What each model takes, provider by provider and family by family: the one table of it.

It drives what is refused before anything is sent, what is left out and said, and what the
playground's controls offer. A model without a row takes what its provider's format has. What a
live model refuses all the same is left out in a second attempt.

Sources: https://platform.openai.com/docs/guides/reasoning and the parameter compatibility of the
latest models there; https://docs.claude.com/en/api/messages and its migration guides;
https://ai.google.dev/api/generate-content#generationconfig; each as of November 2026.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from llm_playground import config, naming
from llm_playground.errors import InvalidParameterError
from llm_playground.naming import LOCAL_MODEL as LOCAL_MODEL
from llm_playground.types import Parameters


@dataclass(frozen=True, slots=True)
class Range:
    """The values a parameter may take, bounds included; ``top`` None is no upper bound."""

    bottom: float
    top: float | None
    integer: bool = False

    def __str__(self) -> str:
        kind, form = ("a whole number", ",") if self.integer else ("a number", "g")
        if self.top is None:
            return f"{kind} of at least {self.bottom:{form}}"
        return f"{kind} from {self.bottom:{form}} to {self.top:{form}}"


_SAMPLING = frozenset({"temperature", "top_p"})
_PENALTIES = frozenset({"presence_penalty", "frequency_penalty"})
_INT32 = Range(-(2**31), 2**31 - 1, integer=True)
_RANGES: dict[str, Range] = {
    "temperature": Range(0, 2),
    "top_p": Range(0, 1),
    "top_k": Range(1, None, integer=True),
    "max_tokens": Range(1, None, integer=True),
    "seed": Range(-(2**63), 2**63 - 1, integer=True),
    "presence_penalty": Range(-2, 2),
    "frequency_penalty": Range(-2, 2),
    "logprobs": Range(0, 20, integer=True),
}


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What one model takes.

    Args:
        ranges: The values of each numeric parameter.
        defaults: What the provider uses for a parameter nobody set, where it is documented.
        unsupported: Parameters it has no place for.
        unsupported_while_reasoning: Those it refuses unless ``reasoning_effort`` is ``none``.
        efforts: The words ``reasoning_effort`` takes; None where any word is sent on.
        most_stops: How many texts ``stop`` may hold, None for no limit.
        first_of: Of these, only the first that is set can be sent.
    """

    ranges: Mapping[str, Range] = field(default_factory=lambda: _RANGES)
    defaults: Mapping[str, float] = field(default_factory=lambda: {"temperature": 1, "top_p": 1})
    unsupported: frozenset[str] = frozenset()
    unsupported_while_reasoning: frozenset[str] = frozenset()
    efforts: tuple[str, ...] | None = None
    most_stops: int | None = None
    first_of: tuple[str, ...] = ()


_OPENAI = Capabilities(
    unsupported=frozenset({"top_k"}),
    efforts=("none", "minimal", "low", "medium", "high", "xhigh", "max"),
    most_stops=4,
)
_ANTHROPIC = Capabilities(
    ranges=_RANGES | {"temperature": Range(0, 1)},
    defaults={"temperature": 1, "top_p": 1, "max_tokens": 4096},
    unsupported=_PENALTIES | {"seed", "logprobs"},
    efforts=("none", "low", "medium", "high", "xhigh", "max"),
)
_GEMINI = Capabilities(
    ranges=_RANGES | {"seed": _INT32},
    defaults={"temperature": 1, "top_p": 0.95, "top_k": 64},
    unsupported=_PENALTIES,
    efforts=("none", "minimal", "low", "medium", "high"),
    most_stops=5,
)
_PROVIDERS: dict[str, Capabilities] = {
    "openai": _OPENAI,
    "anthropic": _ANTHROPIC,
    "gemini": _GEMINI,
    "gemini-legacy": _GEMINI,
    # llama.cpp's own defaults.
    "local": Capabilities(defaults={"temperature": 0.8, "top_p": 0.95, "top_k": 40}),
}
# A family is the first row of its provider whose pattern begins the model's name.
_FAMILIES: dict[str, tuple[tuple[str, Capabilities], ...]] = {
    "openai": (
        (
            r"o\d|gpt-5(-mini|-nano|-pro|-20|$)",
            replace(
                _OPENAI,
                unsupported=_SAMPLING | _PENALTIES | {"top_k", "logprobs", "stop"},
                defaults={},
            ),
        ),
        (r"gpt-[345]o?[.\d]*-chat|gpt-[34]|chatgpt|gpt-chat", replace(_OPENAI, efforts=())),
        (
            r"gpt-",
            replace(
                _OPENAI,
                unsupported=_PENALTIES | {"top_k"},
                unsupported_while_reasoning=_SAMPLING | {"logprobs"},
            ),
        ),
    ),
    "anthropic": (
        (
            r"claude-(v?[12]|instant|3|(opus|sonnet)-4(-[01]|-20|$))",
            replace(_ANTHROPIC, efforts=(), first_of=("temperature", "top_p")),
        ),
        (
            r"claude-(opus|sonnet|haiku)-4-[56]",
            replace(_ANTHROPIC, first_of=("temperature", "top_p")),
        ),
        (
            r"claude-",
            replace(
                _ANTHROPIC,
                unsupported=_ANTHROPIC.unsupported | _SAMPLING | {"top_k"},
                defaults={"max_tokens": 4096},
            ),
        ),
    ),
    "gemini": ((r"gemini-(1|2\.0|pro)|gemma", replace(_GEMINI, efforts=())),),
    "gemini-legacy": ((r"gemini-(1|2\.0|pro)|gemma", replace(_GEMINI, efforts=())),),
}


@lru_cache(maxsize=512)
def of(model: str) -> Capabilities:
    """What a model takes.

    Args:
        model: ``provider:name``.

    >>> str(of("anthropic:claude-opus-4-5").ranges["temperature"])
    'a number from 0 to 1'
    >>> sorted(of("openai:o3").unsupported)[:3]
    ['frequency_penalty', 'logprobs', 'presence_penalty']
    """
    provider, _, name = model.partition(":")
    for pattern, capabilities in _FAMILIES.get(provider, ()):
        if re.match(pattern, name):
            return capabilities
    return _PROVIDERS.get(provider, Capabilities())


@dataclass(frozen=True, slots=True)
class Control:
    """What a control offers for one parameter and several models.

    Args:
        range: The values that every model takes that takes any.
        default: What they use when nobody sets it; None where they differ or it is unknown.
        without: The models that have no place for it.
    """

    range: Range
    default: float | None
    without: tuple[str, ...]


def control(name: str, models: Sequence[str]) -> Control:
    """What can be offered for a numeric parameter when these models are asked.

    >>> control("temperature", ["openai:gpt-4o", "anthropic:claude-haiku-4-5"]).range.top
    1
    >>> control("temperature", ["openai:o3"]).without
    ('openai:o3',)
    """
    without = tuple(model for model in models if name in of(model).unsupported)
    taking = [of(model) for model in models if model not in without] or [Capabilities()]
    ranges = [takes.ranges[name] for takes in taking]
    tops = [allowed.top for allowed in ranges if allowed.top is not None]
    defaults = {takes.defaults.get(name) for takes in taking}
    return Control(
        range=replace(
            ranges[0],
            bottom=max(allowed.bottom for allowed in ranges),
            top=min(tops) if tops else None,
        ),
        default=defaults.pop() if len(defaults) == 1 else None,
        without=without,
    )


def check_parameters(model: str, parameters: Parameters) -> None:
    """Refuse what the provider would refuse, before anything is sent.

    What this model has no place for, and is left out, must make sense at its provider all the same.

    Raises:
        InvalidParameterError: A value is of the wrong kind or out of range.
    """
    takes, provider = of(model), model.partition(":")[0]
    for name, allowed in takes.ranges.items():
        value = getattr(parameters, name)
        if value is not None and not _fits(value, allowed):
            raise InvalidParameterError(
                f"{name} is {value!r}; {provider} takes {allowed}.", provider=provider
            )
    effort = parameters.reasoning_effort
    efforts = takes.efforts or _PROVIDERS.get(provider, takes).efforts
    if effort is not None and efforts and effort not in efforts:
        raise InvalidParameterError(
            f"reasoning_effort is {effort!r}; {provider} takes {', '.join(efforts)}.",
            provider=provider,
        )
    stops = parameters.stop or ()
    if takes.most_stops is not None and len(stops) > takes.most_stops:
        raise InvalidParameterError(
            f"stop has {len(stops)} texts; {provider} takes at most {takes.most_stops}.",
            provider=provider,
        )


def unsupported_in(model: str, parameters: Parameters) -> tuple[str, ...]:
    """The names of what was set and cannot be sent to a model.

    >>> unsupported_in("anthropic:claude-opus-4-5", Parameters(seed=1, top_p=0.5))
    ('seed',)
    >>> unsupported_in("openai:gpt-5.4", Parameters(temperature=0, reasoning_effort="high"))
    ('temperature',)
    """
    takes, given = of(model), parameters.as_dict()
    refused = set(takes.unsupported)
    if takes.efforts == ():
        refused.add("reasoning_effort")
    if parameters.reasoning_effort not in (None, "none"):
        refused |= takes.unsupported_while_reasoning
    present = [name for name in takes.first_of if name in given and name not in refused]
    refused.update(present[1:])
    return tuple(name for name in given if name in refused)


def resolve_model(name: str, known: Sequence[str] = ()) -> str:
    """``provider:name`` for what a person typed; see :func:`llm_playground.naming.resolved`.

    Raises:
        InvalidParameterError: It is no name at all.
        UnknownModelError: Unknown prefix, or a bare name that none resolves; with close matches.

    >>> resolve_model("local"), resolve_model("claude-x")
    ('local:smollm2-135m-instruct', 'anthropic:claude-x')
    """
    return naming.resolved(name, config.rows(), known)


def _fits(value: object, allowed: Range) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return False
    if allowed.integer and not float(value).is_integer():
        return False
    return value >= allowed.bottom and (allowed.top is None or value <= allowed.top)

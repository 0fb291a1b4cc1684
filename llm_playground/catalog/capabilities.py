"""Parameters and abilities of models, by provider and family.

The parameter table decides which values are rejected before a call, which parameters are dropped
with a notice, and what the playground's controls show. A model without a row accepts all parameters
of its provider's format. Parameters that a model still rejects are dropped in a second attempt.

The ability table (vision, tools, reasoning) is used where a vendor's live list has no such fields.
None means unknown, not "no".

Sources, as of November 2026: https://platform.openai.com/docs/guides/reasoning (with the parameter
compatibility of the latest models); https://docs.claude.com/en/api/messages and its migration
guides; https://ai.google.dev/api/generate-content#generationconfig;
https://developers.openai.com/api/docs/models (a page per model);
https://docs.claude.com/en/docs/about-claude/models; https://ai.google.dev/gemini-api/docs/models.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from llm_playground import config
from llm_playground._validation import is_finite, repr_of
from llm_playground.config import endpoints
from llm_playground.errors import InvalidParameterError, UnknownModelError
from llm_playground.types import Parameters


@dataclass(frozen=True, slots=True)
class Range:
    """The values of a parameter, bounds included; ``top`` is None without an upper bound."""

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
    """The parameters of one model and their values."""

    ranges: Mapping[str, Range] = field(default_factory=lambda: _RANGES)
    # The provider's documented defaults.
    defaults: Mapping[str, float] = field(default_factory=lambda: {"temperature": 1, "top_p": 1})
    unsupported: frozenset[str] = frozenset()
    unsupported_while_reasoning: frozenset[str] = frozenset()  # unless the effort is ``none``
    efforts: tuple[str, ...] | None = None  # None if any value of reasoning_effort is passed on
    most_stops: int | None = None  # texts in ``stop``
    first_of: tuple[str, ...] = ()  # mutually exclusive; only the first that is set is sent


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
    # Defaults of llama.cpp.
    "local": Capabilities(defaults={"temperature": 0.8, "top_p": 0.95, "top_k": 40}),
}
_OPENAI_O = replace(
    _OPENAI, unsupported=_SAMPLING | _PENALTIES | {"top_k", "logprobs", "stop"}, defaults={}
)
_OPENAI_GPT = replace(
    _OPENAI,
    unsupported=_PENALTIES | {"top_k"},
    unsupported_while_reasoning=_SAMPLING | {"logprobs"},
)
_CLAUDE_4 = replace(_ANTHROPIC, first_of=("temperature", "top_p"))
_CLAUDE = replace(
    _ANTHROPIC,
    unsupported=_ANTHROPIC.unsupported | _SAMPLING | {"top_k"},
    defaults={"max_tokens": 4096},
)
_GEMINI_FAMILIES = ((r"gemini-(1|2\.0|pro)|gemma", replace(_GEMINI, efforts=())),)
# The first row of the provider whose pattern matches the start of the model's name applies.
_FAMILIES: dict[str, tuple[tuple[str, Capabilities], ...]] = {
    "openai": (
        (r"o\d|gpt-5(-mini|-nano|-pro|-20|$)", _OPENAI_O),
        (r"gpt-[345]o?[.\d]*-chat|gpt-[34]|chatgpt|gpt-chat", replace(_OPENAI, efforts=())),
        (r"gpt-", _OPENAI_GPT),
    ),
    "anthropic": (
        (
            r"claude-(v?[12]|instant|3|(opus|sonnet)-4(-[01]|-20|$))",
            replace(_CLAUDE_4, efforts=()),
        ),
        (r"claude-(opus|sonnet|haiku)-4-[56]", _CLAUDE_4),
        (r"claude-", _CLAUDE),
    ),
    "gemini": _GEMINI_FAMILIES,
    "gemini-legacy": _GEMINI_FAMILIES,
}


@lru_cache(maxsize=512)
def capabilities_of(model: str) -> Capabilities:
    """The capabilities of a model, given as ``provider:name``.

    >>> str(capabilities_of("anthropic:claude-opus-4-5").ranges["temperature"])
    'a number from 0 to 1'
    >>> sorted(capabilities_of("openai:o3").unsupported)[:3]
    ['frequency_penalty', 'logprobs', 'presence_penalty']
    """
    provider, _, name = model.partition(":")
    for pattern, capabilities in _FAMILIES.get(provider, ()):
        if re.match(pattern, name):
            return capabilities
    return _PROVIDERS.get(provider, Capabilities())


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
    supporting = supporting or [Capabilities()]
    ranges = [capabilities.ranges[name] for capabilities in supporting]
    top = min((each.top for each in ranges if each.top is not None), default=None)
    defaults = {capabilities.defaults.get(name) for capabilities in supporting}
    common = replace(ranges[0], bottom=max(each.bottom for each in ranges), top=top)
    return Control(common, defaults.pop() if len(defaults) == 1 else None, without)


def check_parameters(model: str, parameters: Parameters) -> None:
    """Reject values that the provider would reject.

    Parameters that the model does not support, which are dropped, are checked too.

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
    effort = parameters.reasoning_effort
    efforts = supported.efforts or _PROVIDERS.get(provider, supported).efforts
    if effort is not None and efforts and effort not in efforts:
        raise InvalidParameterError(
            f"reasoning_effort is {effort!r}; {provider} takes {', '.join(efforts)}.",
            provider=provider,
        )
    stops = parameters.stop or ()
    if supported.most_stops is not None and len(stops) > supported.most_stops:
        raise InvalidParameterError(
            f"stop has {len(stops)} texts; {provider} takes at most {supported.most_stops}.",
            provider=provider,
        )


def unsupported_in(model: str, parameters: Parameters) -> tuple[str, ...]:
    """The names of the set parameters that cannot be sent to a model.

    >>> unsupported_in("anthropic:claude-opus-4-5", Parameters(seed=1, top_p=0.5))
    ('seed',)
    >>> unsupported_in("openai:gpt-5.4", Parameters(temperature=0, reasoning_effort="high"))
    ('temperature',)
    """
    supported, names = capabilities_of(model), parameters.as_dict()
    rejected = set(supported.unsupported)
    if supported.efforts == ():
        rejected.add("reasoning_effort")
    if parameters.reasoning_effort not in (None, "none"):
        rejected |= supported.unsupported_while_reasoning
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
    if provider in rows and rows[provider].wire_format in ("gemini", "gemini-legacy"):
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


# As in `_FAMILIES`: pattern, vision, tools.
_ABILITY_FAMILIES: dict[str, tuple[tuple[str, bool | None, bool | None], ...]] = {
    "openai": (
        (r"o1-(mini|preview)", False, False),
        (r"o3-mini", False, True),
        (r"gpt-4(-0|-1|-32k|-turbo-preview|$)", False, None),
        (r"chatgpt|gpt-[\w.]+-chat|gpt-chat|gpt-5\.3", True, None),
        (r"gpt-(4o|4\.1|4\.5|4-turbo|5($|-|\.[12]))|o[134]", True, True),
        # Newer models support some tools only in the Responses API, which is not used here.
        (r"gpt-\d", True, None),
    ),
    "anthropic": ((r"claude-(v?[12]|instant)", False, False), (r"claude-", True, True)),
    "gemini": (
        (r"gemini-(pro|1\.0)|gemma", None, None),
        (r"gemini-", True, True),
    ),
}


def abilities_of(model: str) -> Abilities:
    """The documented abilities of a model, given as ``provider:name``; None if unknown.

    >>> abilities_of("openai:gpt-4o")
    Abilities(vision=True, tools=True, reasoning=False)
    >>> abilities_of("ollama:anything")
    Abilities(vision=None, tools=None, reasoning=None)
    """
    provider, _, name = model.partition(":")
    for pattern, vision, tools in _ABILITY_FAMILIES.get(provider, ()):
        if re.match(pattern, name):
            return Abilities(vision, tools, _reasons(model))
    # Fine-tuned models have other names, and their abilities are unknown.
    is_base_model = provider == "openai" and re.match(r"gpt-\d|o\d", name) is not None
    return Abilities(reasoning=_reasons(model) if is_base_model else None)


def _reasons(model: str) -> bool:
    """Whether the model is a reasoning model: it has a reasoning effort."""
    return bool(capabilities_of(model).efforts)

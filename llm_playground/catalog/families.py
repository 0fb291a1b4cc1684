"""The tables of models' parameters and abilities, by provider and family.

Each row names its ``source``: documents of the vendor, and types of the vendor's SDK as
``module.Type``, separated by "; ". A document that could only be read in part has its SDK type
beside it. As of November 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace


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
    """The parameters of one model and their values, and the documents that say so."""

    source: str
    ranges: Mapping[str, Range] = field(default_factory=lambda: _RANGES)
    # The provider's documented defaults.
    defaults: Mapping[str, float] = field(default_factory=lambda: {"temperature": 1, "top_p": 1})
    unsupported: frozenset[str] = frozenset()
    unsupported_while_reasoning: frozenset[str] = frozenset()  # unless the effort is ``none``
    reasons_by_default: bool = False  # whether it reasons where no effort is set
    efforts: tuple[str, ...] | None = None  # levels of reasoning_effort; None if they are unknown
    most_stops: int | None = None  # texts in ``stop``
    first_of: tuple[str, ...] = ()  # mutually exclusive; only the first that is set is sent

    def reasons(self, effort: str | None) -> bool:
        """Whether the model reasons with this effort; None is its default."""
        return self.reasons_by_default if effort is None else effort != "none"


@dataclass(frozen=True, slots=True)
class AbilityRow:
    """Whether the models of a family support image input and tool calls; None if unknown."""

    pattern: str
    vision: bool | None
    tools: bool | None
    source: str


_CHAT = "openai.types.chat.completion_create_params.CompletionCreateParamsBase"
_OPENAI_EFFORTS = "openai.types.shared.ReasoningEffort"
_OPENAI_GUIDE = f"https://developers.openai.com/api/docs/guides/reasoning; {_OPENAI_EFFORTS}"
_OPENAI_LATEST = (
    f"https://developers.openai.com/api/docs/guides/latest-model; "
    f"https://developers.openai.com/api/docs/guides/deployment-checklist; {_OPENAI_EFFORTS}"
)
_CLAUDE_EFFORTS = (
    "https://platform.claude.com/docs/en/build-with-claude/effort; "
    "anthropic.types.OutputConfigParam"
)
_MESSAGES = "https://platform.claude.com/docs/en/api/messages"
_GEMINI_LEVELS = "https://ai.google.dev/gemini-api/docs/thinking; google.genai.types.ThinkingLevel"
_GEMINI_GUIDES = "https://docs.cloud.google.com/gemini-enterprise-agent-platform/models/guides"
_GENERATION = "https://ai.google.dev/api/generate-content#generationconfig"
# For servers and services without a row of their own.
ANY = Capabilities(source=_CHAT)

_TO_MAX = ("low", "medium", "high", "xhigh", "max")
LEVELS = ("none", "minimal", *_TO_MAX)  # every level of reasoning that a model of any family takes
# A provider's row has the efforts that any of its models takes: a choice for models without a row
# of their own, and not checked.
_OPENAI = Capabilities(
    source=f"{_CHAT}; {_OPENAI_EFFORTS}",
    unsupported=frozenset({"top_k"}),
    efforts=LEVELS,
    most_stops=4,
)
_ANTHROPIC = Capabilities(
    source=f"{_MESSAGES}; anthropic.types.OutputConfigParam",
    ranges=_RANGES | {"temperature": Range(0, 1)},
    defaults={"temperature": 1, "top_p": 1, "max_tokens": 4096},
    unsupported=_PENALTIES | {"seed", "logprobs"},
    efforts=_TO_MAX,
)
_GEMINI = Capabilities(
    # ``none`` is a budget of 0 tokens of Gemini 2.5, and no level.
    source=f"{_GENERATION}; {_GEMINI_LEVELS}",
    ranges=_RANGES | {"seed": _INT32},
    defaults={"temperature": 1, "top_p": 0.95, "top_k": 64},
    unsupported=_PENALTIES,
    efforts=("none", "minimal", "low", "medium", "high", "xhigh"),
    most_stops=5,
)
PROVIDERS: dict[str, Capabilities] = {
    "openai": _OPENAI,
    "anthropic": _ANTHROPIC,
    "gemini": _GEMINI,
    "gemini-legacy": _GEMINI,
    "local": Capabilities(
        source="https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md",
        defaults={"temperature": 0.8, "top_p": 0.95, "top_k": 40},
    ),
}
_WITHOUT_SAMPLING = _SAMPLING | _PENALTIES | {"top_k", "logprobs"}
_OPENAI_O = replace(
    _OPENAI,
    source=_OPENAI_GUIDE,
    unsupported=_WITHOUT_SAMPLING | {"stop"},
    defaults={},
    efforts=("low", "medium", "high"),
)
_OPENAI_CHAT = replace(_OPENAI, source=_CHAT, efforts=())
_OPENAI_GPT = replace(
    _OPENAI,
    source=_OPENAI_GUIDE,
    unsupported=_PENALTIES | {"top_k"},
    unsupported_while_reasoning=_SAMPLING | {"logprobs"},
    efforts=("none", "low", "medium", "high", "xhigh"),
)
_GPT_6 = replace(
    _OPENAI_GPT, source=_OPENAI_LATEST, reasons_by_default=True, efforts=("none", *_TO_MAX)
)
# These reason always.
_GPT_6_ALWAYS = replace(_GPT_6, unsupported=_WITHOUT_SAMPLING, defaults={}, efforts=_TO_MAX)
_GPT_5_ALWAYS = replace(
    _OPENAI_GPT, unsupported=_WITHOUT_SAMPLING, defaults={}, reasons_by_default=True
)
# Up to 4.6, with the API version of 2023: see `wire_formats.SAMPLING`.
_CLAUDE_4 = replace(_ANTHROPIC, source=_CLAUDE_EFFORTS, first_of=("temperature", "top_p"))
_CLAUDE = replace(
    _CLAUDE_4,
    unsupported=_ANTHROPIC.unsupported | _SAMPLING | {"top_k"},
    defaults={"max_tokens": 4096},
    first_of=(),
)


def _gemini(source: str, *efforts: str) -> Capabilities:
    return replace(_GEMINI, source=source, efforts=efforts)


_GEMINI_FAMILIES = (
    (r"gemini-(1|2\.0|pro)|gemma", _gemini(_GENERATION)),
    # Budgets: 2.5 Pro cannot do without reasoning.
    (r"gemini-2\.5-pro", _gemini(_GEMINI_LEVELS, "minimal", "low", "medium", "high")),
    (r"gemini-2", _gemini(_GEMINI_LEVELS, "none", "minimal", "low", "medium", "high")),
    (r"gemini-3-pro", _gemini(_GEMINI_LEVELS, "low", "high")),
    (
        r"gemini-3(\.[156])?-flash",
        _gemini(
            f"{_GEMINI_GUIDES}/gemini-3-5-flash; {_GEMINI_LEVELS}",
            *("minimal", "low", "medium", "high"),
        ),
    ),
    (
        r"gemini-(3|4-(argon|carbon))",
        _gemini(
            f"{_GEMINI_GUIDES}/gemini-3-8-flash; {_GEMINI_GUIDES}/gemini-4-argon; {_GEMINI_LEVELS}",
            *("low", "medium", "high"),
        ),
    ),
    # The type has this level; of the models with it only release notes of others were found.
    (r"gemini-4", _gemini("google.genai.types.ThinkingLevel", "low", "medium", "high", "xhigh")),
)
# The first row of the provider whose pattern matches the start of the model's name applies.
FAMILIES: dict[str, tuple[tuple[str, Capabilities], ...]] = {
    "openai": (
        (r"o1-(mini|preview)", replace(_OPENAI_O, efforts=())),
        (r"o\d", _OPENAI_O),
        (r"gpt-[345]o?[.\d]*-chat|gpt-[34]|chatgpt|gpt-chat", _OPENAI_CHAT),
        (r"gpt-oss", replace(_OPENAI, source=_OPENAI_GUIDE, efforts=("low", "medium", "high"))),
        (r"gpt-5-pro", replace(_OPENAI_O, efforts=("high",))),
        (
            r"gpt-5(-mini|-nano|-20|$)",
            replace(_OPENAI_O, efforts=("minimal", "low", "medium", "high")),
        ),
        (r"gpt-5\.1-codex-max", replace(_GPT_5_ALWAYS, efforts=_TO_MAX[:4])),
        (r"gpt-5(\.1)?-codex", replace(_GPT_5_ALWAYS, efforts=_TO_MAX[:3])),
        (r"gpt-5\.1", replace(_OPENAI_GPT, efforts=("none", "low", "medium", "high"))),
        (r"gpt-5\.[2-5]-pro", replace(_GPT_5_ALWAYS, efforts=("medium", "high", "xhigh"))),
        (r"gpt-5\.[2-5]-codex", replace(_GPT_5_ALWAYS, efforts=_TO_MAX[:4])),
        (r"gpt-5\.[2-4]", _OPENAI_GPT),
        (r"gpt-5\.5", replace(_OPENAI_GPT, reasons_by_default=True)),
        (r"gpt-(6-astra|6\.1-sol|6\.[2-9])", _GPT_6_ALWAYS),
        (r"gpt-", _GPT_6),
    ),
    "anthropic": (
        (
            r"claude-(v?[12]|instant|3|(opus|sonnet)-4(-[01]|-20|$)|(sonnet|haiku)-4-5)",
            replace(_CLAUDE_4, efforts=()),
        ),
        (r"claude-opus-4-5", replace(_CLAUDE_4, efforts=("low", "medium", "high"))),
        (r"claude-(opus|sonnet|haiku)-4-6", replace(_CLAUDE_4, efforts=(*_TO_MAX[:3], "max"))),
        (r"claude-mythos-preview", replace(_CLAUDE, efforts=(*_TO_MAX[:3], "max"))),
        (r"claude-", replace(_CLAUDE, efforts=_TO_MAX)),
    ),
    "gemini": _GEMINI_FAMILIES,
    "gemini-legacy": _GEMINI_FAMILIES,
}

_OPENAI_MODELS = "https://developers.openai.com/api/docs/models"
_CLAUDE_MODELS = "https://platform.claude.com/docs/en/about-claude/models/overview"
_GEMINI_MODELS = "https://ai.google.dev/gemini-api/docs/models"
# As in `FAMILIES`, where a vendor's live list has no such fields.
ABILITIES: dict[str, tuple[AbilityRow, ...]] = {
    "openai": (
        AbilityRow(r"o1-(mini|preview)", False, False, _OPENAI_MODELS),
        AbilityRow(r"o3-mini", False, True, _OPENAI_MODELS),
        AbilityRow(r"gpt-4(-0|-1|-32k|-turbo-preview|$)", False, None, _OPENAI_MODELS),
        AbilityRow(r"chatgpt|gpt-[\w.]+-chat|gpt-chat|gpt-5\.3", True, None, _OPENAI_MODELS),
        AbilityRow(r"gpt-(4o|4\.1|4\.5|4-turbo|5($|-|\.[12]))|o[134]", True, True, _OPENAI_MODELS),
        # Newer models support some tools only in the Responses API.
        AbilityRow(r"gpt-\d", True, None, _OPENAI_LATEST),
    ),
    "anthropic": (
        AbilityRow(r"claude-(v?[12]|instant)", False, False, _CLAUDE_MODELS),
        AbilityRow(r"claude-", True, True, _CLAUDE_MODELS),
    ),
    "gemini": (
        AbilityRow(r"gemini-(pro|1\.0)|gemma", None, None, _GEMINI_MODELS),
        AbilityRow(r"gemini-", True, True, _GEMINI_MODELS),
    ),
    "local": (  # images need a second file, an mmproj, which the embedded server does not load
        AbilityRow(
            r"", False, None, "https://github.com/ggml-org/llama.cpp/blob/master/docs/multimodal.md"
        ),
    ),
}

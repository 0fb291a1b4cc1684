"""Which of our parameters a provider refuses, read from the words of its refusal.

Sources: OpenAI's ``code`` and ``param`` ("Unsupported value: 'temperature' does not support 0.2
with this model"), Anthropic's "`temperature` is deprecated for this model", "top_p: Extra inputs
are not permitted" and "`temperature` and `top_p` cannot both be specified", Gemini's "Penalty is
not enabled for models/..." and 'Unknown name "seed"', pydantic's ``extra_forbidden`` (vLLM,
Mistral), Groq's "property 'top_k' is unsupported", llama.cpp's "Unsupported param: logprobs".
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from llm_playground.types import Parameters

# What vendors call them, small and without underscores; ours in order of what to give up first.
_OURS: dict[str, tuple[str, ...]] = {
    "temperature": ("temperature",),
    "topp": ("top_p",),
    "topk": ("top_k",),
    "maxtokens": ("max_tokens",),
    "maxcompletiontokens": ("max_tokens",),
    "maxoutputtokens": ("max_tokens",),
    "stop": ("stop",),
    "stopsequences": ("stop",),
    "seed": ("seed",),
    "presencepenalty": ("presence_penalty",),
    "frequencypenalty": ("frequency_penalty",),
    "penalty": ("presence_penalty", "frequency_penalty"),
    "logprobs": ("logprobs",),
    "toplogprobs": ("logprobs",),
    "responselogprobs": ("logprobs",),
    "reasoning": ("reasoning_effort",),
    "reasoningeffort": ("reasoning_effort",),
    "effort": ("reasoning_effort",),
    "thinking": ("reasoning_effort",),
    "thinkingconfig": ("reasoning_effort",),
    "thinkinglevel": ("reasoning_effort",),
    "thinkingbudget": ("reasoning_effort",),
}
_UNSUPPORTED_CODES = frozenset(
    {"unsupported_parameter", "unsupported_value", "unknown_parameter", "unrecognized_parameter"}
)
_SPELLINGS = "|".join("[_ ]?".join(name) for name in sorted(_OURS, key=len, reverse=True))
_NAME = rf"""(?<![\w.])[`'"\\]*(?:[\w\[\]]+\.)*(?P<name>{_SPELLINGS})[`'"\\]*(?!\w)"""
_NOT = r"(?:deprecated|unsupported|not (?:\w+ )?(?:supported|enabled|allowed|available|permitted))"
_REFUSALS = tuple(
    re.compile(pattern.replace("NAME", _NAME), re.IGNORECASE)
    for pattern in (
        rf"NAME (?:parameter )?(?:is|are) {_NOT}",
        r"NAME:? extra inputs are not permitted",
        r"NAME (?:must be unset|may only be set to|cannot be (?:set|used|specified))",
        r"and NAME cannot both be",
        r"NAME (?:and|or) [^.]{1,30} cannot both be",
        r"(?:unsupported|unknown|unrecognized|unexpected) "
        r"(?:request )?(?:param(?:eter)?|argument|name|field|property|value)"
        r"(?: supplied)?:? NAME",
        r"argument not supported on this model:? NAME",
        r"does not support (?:the )?(?:parameter )?NAME",
        r"not allowed to request NAME",
        r"extra_forbidden[^}]{0,80}\bbody[`'\"\\, ]+NAME",
    )
)


def refused_parameter(message: str, code: object, param: object, sent: Parameters) -> str | None:
    """Our name for the parameter that a refusal is about, None where it is about none of ours.

    Args:
        message: The refusal's words.
        code: Its code, where the format has one.
        param: The parameter it names in a field of its own, where the format has one.
        sent: What was sent; only that can have been refused.

    >>> refused_parameter("`top_k` is deprecated for this model.", None, None, Parameters(top_k=5))
    'top_k'
    """
    names = tuple(sent.as_dict())
    if isinstance(param, str) and code in _UNSUPPORTED_CODES:
        return next(_ours(param.rpartition(".")[2], names), None)
    found = (match["name"] for refusal in _REFUSALS for match in refusal.finditer(message))
    return next((ours for name in found for ours in _ours(name, names)), None)


def _ours(name: str, sent: Collection[str]) -> Iterator[str]:
    plain = name.lower().replace("_", "").replace(" ", "")
    return (ours for ours in _OURS.get(plain, ()) if ours in sent)

"""Whether an error refuses the value of a parameter, and not the parameter itself.

A parameter that a model does not have is left out of a second attempt. A value that it does not
take is the caller's to change: without it, the answer would be another than was asked for.
"""

from __future__ import annotations

import re

from llm_playground.types import Parameters

# Errors that list other values: OpenAI's "Supported values are: 'low', 'medium'", Anthropic's
# "Supported levels: high, low", pydantic's "Input should be 'low' or 'high'", enums' "must be one
# of". "Only the default (1) value is supported" leaves no other, and is no such list.
_TAKEN_VALUES = re.compile(
    r"(?:supported|valid|allowed|accepted|available|permitted|possible)"
    r" (?:\w+ )?(?:values|levels|efforts|options)"
    r"|(?:must|should) be (?:one of|['\"])|expected one of",
    re.IGNORECASE,
)
_NOT_TAKEN = r"(?:not (?:\w+ )?support\w*|unsupported|invalid|not (?:\w+ )?valid)"
_IN_SENTENCE = r"(?:[^.]|\.(?!\s)){0,120}?"
_EFFORT = re.compile(r"effort|thinking|reasoning", re.IGNORECASE)


def parameter_of(message: str, refused: str | None, sent: Parameters) -> str | None:
    """The parameter of which an error refuses only the value that was ``sent``, None without one.

    ``refused`` is the parameter that the error seems to refuse, None if it names none.

    >>> sent = Parameters(reasoning_effort="xhigh")
    >>> parameter_of("Effort level 'xhigh' is not supported. Use low or high.", None, sent)
    'reasoning_effort'
    >>> parameter_of("The effort parameter is not supported.", "reasoning_effort", sent) is None
    True
    """
    name = refused
    if refused is None and sent.reasoning_effort is not None and _EFFORT.search(message):
        name = "reasoning_effort"
    return name if name is not None and _is_of_value(message, getattr(sent, name)) else None


def _is_of_value(message: str, value: object) -> bool:
    if _TAKEN_VALUES.search(message):
        return True
    if not isinstance(value, str):
        return False
    word = rf"(?<![\w-]){re.escape(value)}(?![\w-])"
    near = rf"{_NOT_TAKEN}{_IN_SENTENCE}{word}|{word}['\"`\\]* (?:\w+ )?(?:is|are) {_NOT_TAKEN}"
    return re.search(near, message, re.IGNORECASE) is not None

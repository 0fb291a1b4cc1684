"""Which fields of a Gemini body an SDK sends as they are, and what it must be given as extra body.

The SDKs of Python and JavaScript take the same fields, under names in two spellings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# The arguments that the SDKs send unchanged, their names in Python, and the types for which they
# do. Levels of thinking (sent in upper case) and images (other base64 alphabet) are absent.
_SETTINGS: dict[str, tuple[str, tuple[type, ...]]] = {
    "temperature": ("temperature", (int, float)),
    "topP": ("top_p", (int, float)),
    "topK": ("top_k", (int, float)),
    "maxOutputTokens": ("max_output_tokens", (int,)),
    "seed": ("seed", (int,)),
    "presencePenalty": ("presence_penalty", (int, float)),
    "frequencyPenalty": ("frequency_penalty", (int, float)),
    "stopSequences": ("stop_sequences", (list,)),
    "responseLogprobs": ("response_logprobs", (bool,)),
    "logprobs": ("logprobs", (int,)),
    "responseMimeType": ("response_mime_type", (str,)),
    "responseJsonSchema": ("response_json_schema", (dict,)),
}
PYTHON_NAMES = {name: of_python for name, (of_python, _) in _SETTINGS.items()} | {
    "systemInstruction": "system_instruction",
    "automaticContinuation": "automatic_continuation",
}


@dataclass(frozen=True, slots=True)
class GeminiArguments:
    """A body as arguments of the SDK: contents, fields of its config, and the extra body."""

    contents: Any
    config: dict[str, Any]
    rest: dict[str, Any]


def arguments(
    body: dict[str, Any], is_exact: Callable[[Any], bool] = lambda _value: True
) -> GeminiArguments:
    """The body in parts; the SDK would change or refuse the fields of ``rest`` as arguments.

    So it would those whose value is not ``is_exact``. Automatic continuation is off: with it, the
    SDK may send further requests for one answer.
    """
    rest, contents = dict(body), body["contents"]
    are_texts = isinstance(contents, list) and all(
        _is_text_turn(turn, {"role", "parts"}) for turn in contents
    )
    if are_texts and contents:
        del rest["contents"]
    else:  # those in the extra body replace the argument, which is required
        contents = "-"
    config: dict[str, Any] = {"automaticContinuation": False}
    if _is_text_turn(rest.get("systemInstruction"), {"parts"}):
        config["systemInstruction"] = rest.pop("systemInstruction")
    settings = rest.pop("generationConfig")
    plain = {
        name: value
        for name, value in settings.items()
        if _is_sent_as_is(name, value) and is_exact(value)
    }
    config |= plain
    if settings.keys() != plain.keys():
        others = {name: value for name, value in settings.items() if name not in plain}
        rest["generationConfig"] = others
    return GeminiArguments(contents, config, rest)


def _is_sent_as_is(name: str, value: object) -> bool:
    types = _SETTINGS[name][1] if name in _SETTINGS else ()
    if isinstance(value, bool) and bool not in types:
        return False
    if isinstance(value, list):
        return list in types and all(isinstance(item, str) for item in value)
    return isinstance(value, types)


def _is_text_turn(turn: object, keys: set[str]) -> bool:
    return (
        isinstance(turn, dict)
        and turn.keys() == keys
        and isinstance(turn["parts"], list)
        and all(
            isinstance(part, dict) and part.keys() == {"text"} and isinstance(part["text"], str)
            for part in turn["parts"]
        )
    )

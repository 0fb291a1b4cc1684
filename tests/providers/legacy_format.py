"""Gemini's stream without ``alt=sse``, as the retired SDK asks for it: a JSON array that grows.

Written after https://ai.google.dev/api/generate-content (``$alt=json;enum-encoding=int``) and
recorded responses: elements over several lines, CRLF between them, enums as numbers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from llm_playground.events import TextDelta
from llm_playground.providers.gemini_legacy import GeminiLegacyProvider
from tests.providers.formats import GEMINI_USAGE
from tests.providers.server import Reply
from tests.providers.vendors import GEMINI

JSON = {"content-type": "application/json; charset=UTF-8"}
# https://github.com/googleapis/googleapis, google/ai/generativelanguage/v1beta
FINISH_REASONS = {
    "STOP": 1,
    "MAX_TOKENS": 2,
    "SAFETY": 3,
    "RECITATION": 4,
    "OTHER": 5,
    "LANGUAGE": 6,
    "BLOCKLIST": 7,
    "PROHIBITED_CONTENT": 8,
    "SPII": 9,
    "MALFORMED_FUNCTION_CALL": 10,
}


def legacy_stream(
    pieces: Sequence[str],
    *,
    reasoning: Sequence[str] = (),
    usage: Mapping[str, Any] | None = GEMINI_USAGE,
    model: str = "gemini-2.5-flash",
    finish_reason: str | int | None = "STOP",
) -> tuple[bytes, ...]:
    """One item per element, the array's own punctuation included."""
    parts = [{"text": text, "thought": True} for text in reasoning]
    parts += [{"text": text} for text in pieces] or [{"text": ""}]
    elements = []
    for number, part in enumerate(parts, start=1):
        candidate: dict[str, Any] = {"content": {"parts": [part], "role": "model"}, "index": 0}
        if number == len(parts) and finish_reason is not None:
            candidate["finishReason"] = FINISH_REASONS.get(str(finish_reason), finish_reason)
        elements.append(legacy_element({"candidates": [candidate]}, model, usage))
    return array(*elements)


def legacy_element(
    value: Mapping[str, Any],
    model: str = "gemini-2.5-flash",
    usage: Mapping[str, Any] | None = GEMINI_USAGE,
) -> dict[str, Any]:
    """One element of the stream."""
    about = {"modelVersion": model, "responseId": "FSxnaNbUHZbjz7IPzaLPoQY"}
    return {**value, **({"usageMetadata": usage} if usage is not None else {}), **about}


def array(*elements: object) -> tuple[bytes, ...]:
    """A streamed array of any elements, one item each."""
    written = [json.dumps(element, ensure_ascii=False, indent=2).encode() for element in elements]
    items = [element + b"\n,\r\n" for element in written[:-1]] + [written[-1] + b"\n]\n"]
    return (b"[" + items[0], *items[1:])


# The same provider, spoken the other way: what tests know by its name holds here too.
LEGACY = replace(
    GEMINI,
    build=GeminiLegacyProvider,
    stream=legacy_stream,
    fault=lambda status: json.dumps(
        {"error": {"code": status, "message": "Sorry.", "status": "UNAVAILABLE"}}
    ).encode(),
    last_word=b'"finishReason": 1',
)
# A whole answer: "Grü👋".
ELEMENTS = [
    legacy_element({"candidates": [{"content": {"parts": [{"text": "Grü"}]}}]}),
    legacy_element({"candidates": [{"content": {"parts": [{"text": "👋"}]}, "finishReason": 1}]}),
]


def reply(*elements: object, **how: Any) -> Reply:
    """A streamed array of any elements."""
    return Reply(array(*elements), headers=JSON, **how)


def texts(events: Iterable[object]) -> str:
    """The answer in some events."""
    return "".join(event.text for event in events if isinstance(event, TextDelta))

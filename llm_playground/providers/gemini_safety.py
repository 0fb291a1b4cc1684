"""What Gemini's safety system says, in ``promptFeedback`` and at the end of a candidate.

Names: https://ai.google.dev/api/generate-content#HarmCategory. A server that writes enums as
numbers means those of ``google.ai.generativelanguage.v1beta``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llm_playground.events import Block
from llm_playground.types import FinishReason

_FINISH_REASONS: dict[str, FinishReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
}
_FINISH_NUMBERS = (
    "FINISH_REASON_UNSPECIFIED",
    "STOP",
    "MAX_TOKENS",
    "SAFETY",
    "RECITATION",
    "OTHER",
    "LANGUAGE",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MALFORMED_FUNCTION_CALL",
    "IMAGE_SAFETY",
    "UNEXPECTED_TOOL_CALL",
    "TOO_MANY_TOOL_CALLS",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_OTHER",
    "NO_IMAGE",
    "IMAGE_RECITATION",
)
_BLOCK_NUMBERS = (
    "BLOCK_REASON_UNSPECIFIED",
    "SAFETY",
    "OTHER",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "IMAGE_SAFETY",
)
_CATEGORY_NUMBERS = (
    "HARM_CATEGORY_UNSPECIFIED",
    "HARM_CATEGORY_DEROGATORY",
    "HARM_CATEGORY_TOXICITY",
    "HARM_CATEGORY_VIOLENCE",
    "HARM_CATEGORY_SEXUAL",
    "HARM_CATEGORY_MEDICAL",
    "HARM_CATEGORY_DANGEROUS",
    "HARM_CATEGORY_HARASSMENT",
    "HARM_CATEGORY_HATE_SPEECH",
    "HARM_CATEGORY_SEXUALLY_EXPLICIT",
    "HARM_CATEGORY_DANGEROUS_CONTENT",
    "HARM_CATEGORY_CIVIC_INTEGRITY",
)
_PROBABILITIES = ("HARM_PROBABILITY_UNSPECIFIED", "NEGLIGIBLE", "LOW", "MEDIUM", "HIGH")


def finish_reason(said: object) -> FinishReason:
    """A candidate's ``finishReason``, name or number, in our words.

    >>> finish_reason("SAFETY"), finish_reason(2)
    ('content_filter', 'length')
    """
    return _FINISH_REASONS.get(_name(said, _FINISH_NUMBERS) or "", "other")


def prompt_block(feedback: Mapping[str, Any]) -> Block | None:
    """What ``promptFeedback`` blocks, None when nothing."""
    reason = _name(feedback.get("blockReason"), _BLOCK_NUMBERS)
    if reason is None:
        return None
    return _block("prompt", reason, feedback.get("safetyRatings"))


def answer_block(candidate: Mapping[str, Any]) -> Block | None:
    """Why a candidate was cut off by the safety system, None when it was not."""
    reason = _name(candidate.get("finishReason"), _FINISH_NUMBERS)
    if reason is None or finish_reason(reason) != "content_filter":
        return None
    return _block("answer", reason, candidate.get("safetyRatings"))


def _block(stage: Any, reason: str, ratings: object) -> Block:  # noqa: ANN401 - "prompt" or "answer"
    """With the rating that was decisive: the one that says so, else the most probable harm."""
    listed = (
        [rating for rating in ratings if isinstance(rating, Mapping)]
        if isinstance(ratings, Sequence)
        else []
    )
    blocking = [rating for rating in listed if rating.get("blocked") is True] or listed
    worst = max(blocking, key=_probability, default=None)
    if worst is None or (worst.get("blocked") is not True and _probability(worst) < 2):
        return Block(stage, None, reason)
    category = _name(worst.get("category"), _CATEGORY_NUMBERS)
    probability = _name(worst.get("probability"), _PROBABILITIES)
    return Block(stage, category, f"{reason}, {probability}" if probability else reason)


def _probability(rating: Mapping[str, Any]) -> int:
    name = _name(rating.get("probability"), _PROBABILITIES)
    return _PROBABILITIES.index(name) if name in _PROBABILITIES else 0


def _name(said: object, by_number: tuple[str, ...]) -> str | None:
    """An enum's value by name or number; None for the unspecified."""
    if isinstance(said, bool) or not isinstance(said, (int, str)):
        return None
    if isinstance(said, str):
        if not said.isdigit():
            return None if not said or said == by_number[0] else said
        said = int(said)
    if said == 0:
        return None
    return by_number[said] if said < len(by_number) else str(said)

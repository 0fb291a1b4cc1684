"""How an answer of Gemini ended: finish reasons and blocks, by names or numbers of enums."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llm_playground.events import Block
from llm_playground.providers import endings
from llm_playground.types import FinishReason

_FILTERED = frozenset({
    "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR",
    "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION",
})  # fmt: skip
# Enums as numbers are those of ``google.ai.generativelanguage.v1beta``; their names:
# https://ai.google.dev/api/generate-content#HarmCategory
_FINISH_NUMBERS = (
    "FINISH_REASON_UNSPECIFIED", "STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "OTHER",  # 0 to 5
    "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MALFORMED_FUNCTION_CALL",  # to 10
    "IMAGE_SAFETY", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS",  # to 13
    "IMAGE_PROHIBITED_CONTENT", "IMAGE_OTHER", "NO_IMAGE", "IMAGE_RECITATION",  # to 17
)  # fmt: skip
_BLOCK_NUMBERS = (
    "BLOCK_REASON_UNSPECIFIED", "SAFETY", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT",  # 0 to 4
    "IMAGE_SAFETY",
)  # fmt: skip
_CATEGORY_NUMBERS = (
    "HARM_CATEGORY_UNSPECIFIED", "HARM_CATEGORY_DEROGATORY", "HARM_CATEGORY_TOXICITY",  # 0 to 2
    "HARM_CATEGORY_VIOLENCE", "HARM_CATEGORY_SEXUAL", "HARM_CATEGORY_MEDICAL",  # to 5
    "HARM_CATEGORY_DANGEROUS", "HARM_CATEGORY_HARASSMENT", "HARM_CATEGORY_HATE_SPEECH",  # to 8
    "HARM_CATEGORY_SEXUALLY_EXPLICIT", "HARM_CATEGORY_DANGEROUS_CONTENT",  # to 10
    "HARM_CATEGORY_CIVIC_INTEGRITY",
)  # fmt: skip
_PROBABILITIES = ("HARM_PROBABILITY_UNSPECIFIED", "NEGLIGIBLE", "LOW", "MEDIUM", "HIGH")


def finish_reason(value: object) -> FinishReason:
    """A candidate's ``finishReason``, name or number, as a :data:`FinishReason`.

    >>> finish_reason("SAFETY"), finish_reason(2)
    ('content_filter', 'length')
    """
    return endings.finish_reason(_name(value, _FINISH_NUMBERS))


def reason_name(candidate: Mapping[str, Any]) -> str | None:
    """The name of a candidate's ``finishReason``; None if it has none, or an unspecified one."""
    return _name(candidate.get("finishReason"), _FINISH_NUMBERS)


def prompt_block(feedback: Mapping[str, Any]) -> Block | None:
    """The block that ``promptFeedback`` reports, None where it reports none."""
    reason = _name(feedback.get("blockReason"), _BLOCK_NUMBERS)
    return None if reason is None else _block("prompt", reason, feedback.get("safetyRatings"))


def answer_block(candidate: Mapping[str, Any]) -> Block | None:
    """Why the safety system cut off a candidate, None where it did not."""
    reason = reason_name(candidate)
    return _block("answer", reason, candidate.get("safetyRatings")) if reason in _FILTERED else None


def _block(stage: Any, reason: str, ratings: object) -> Block:  # noqa: ANN401 - "prompt" or "answer"
    """With the decisive rating: the one marked as blocking, else the most probable harm."""
    ratings = ratings if isinstance(ratings, Sequence) else ()
    valid = [rating for rating in ratings if isinstance(rating, Mapping)]
    blocking = [rating for rating in valid if rating.get("blocked") is True] or valid
    worst = max(blocking, key=_probability, default=None)
    if worst is None or (worst.get("blocked") is not True and _probability(worst) < 2):
        return Block(stage, None, reason)
    category = _name(worst.get("category"), _CATEGORY_NUMBERS)
    probability = _name(worst.get("probability"), _PROBABILITIES)
    return Block(stage, category, f"{reason}, {probability}" if probability else reason)


def _probability(rating: Mapping[str, Any]) -> int:
    name = _name(rating.get("probability"), _PROBABILITIES)
    return _PROBABILITIES.index(name) if name in _PROBABILITIES else 0


def _name(value: object, by_number: tuple[str, ...]) -> str | None:
    """The name of an enum's value, given as name or number; None for the unspecified."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return None
    if isinstance(value, str):
        if not value.isdigit():
            return None if not value or value == by_number[0] else value
        value = int(value)
    if value == 0:
        return None
    return by_number[value] if value < len(by_number) else str(value)

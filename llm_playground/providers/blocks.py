"""A safety system's no, as our error: where it said it, to what, and what a person can do."""

from __future__ import annotations

import re

from llm_playground.errors import ContentBlockedError
from llm_playground.events import Block, Finish
from llm_playground.redact import redact

_WORDS_CHARS = 240
# By the provider's word for its reason: what helps, of the prompt and of the answer. Only what
# Gemini calls SAFETY has a setting; the rest it refuses whatever is set.
_ADVICE = {
    "SAFETY": "Reword {it} or change the safety setting.",
    "IMAGE_SAFETY": "Reword {it} or change the safety setting.",
    "RECITATION": "Ask for it in the model's own words.",
    "IMAGE_RECITATION": "Ask for another picture.",
    "BLOCKLIST": "Reword {it} without the words that are on the list.",
    "SPII": "Leave personal data out.",
}
_OTHER_ADVICE = "Reword {it}, or choose another model."
_CONSTANT = re.compile(r"[A-Z0-9_]+|[a-z0-9]+(?:_[a-z0-9]+)*")
_SPELLED_OUT = {"SPII": "personal data", "OTHER": "it does not say why"}


def blocked_error(finish: Finish, *, provider: str, model: str, label: str) -> ContentBlockedError:
    """The error for an answer that ended with ``content_filter``.

    Args:
        finish: The answer's last event.
        provider: The provider's name.
        model: The model as ``provider:name``.
        label: The provider's name for people, as within a sentence.

    >>> block = Block("prompt", "HARM_CATEGORY_DANGEROUS_CONTENT", "SAFETY, HIGH")
    >>> said = blocked_error(
    ...     Finish("content_filter", block=block),
    ...     provider="gemini",
    ...     model="gemini:m",
    ...     label="Gemini",
    ... )
    >>> print(said)  # doctest: +NORMALIZE_WHITESPACE
    Gemini blocked the prompt: dangerous content, high. Nothing was billed.
    Reword it or change the safety setting.
    """
    block = finish.block or Block("answer")
    sentences = [f"{label} blocked the {block.stage}{_why(block)}."]
    if block.stage == "prompt" and finish.usage is None:
        sentences.append("Nothing was billed.")
    it = "it" if block.stage == "prompt" else "the prompt"
    sentences.append(_ADVICE.get(_reason(block), _OTHER_ADVICE).format(it=it))
    line = " ".join(sentences)
    error = ContentBlockedError(
        f"T{line[1:]}" if line.startswith("the ") else line,
        request_id=finish.request_id,
        provider=provider,
        model=model,
    )
    error.stage, error.category, error.reason = block.stage, block.category, block.reason
    return error


def _reason(block: Block) -> str:
    """Its constant, without how probable the harm is."""
    return (block.reason or "").partition(", ")[0]


def _why(block: Block) -> str:
    """The provider's words as `: words`; "safety" says nothing beside a category."""
    reason = block.reason or ""
    if block.category:
        reason = reason.removeprefix("SAFETY").removeprefix(", ")
    words = [_in_words(word) for word in (block.category, reason) if word]
    return f": {', '.join(words)}" if words else " for safety"


def _in_words(said: str) -> str:
    """``HARM_CATEGORY_DANGEROUS_CONTENT`` as ``dangerous content``; sentences stay as they are."""
    constant = said.removeprefix("HARM_CATEGORY_")
    if _CONSTANT.fullmatch(constant):
        return _SPELLED_OUT.get(constant, constant.replace("_", " ").lower())
    words = " ".join(redact(said).split()).rstrip(". ")
    return words if len(words) <= _WORDS_CHARS else words[: _WORDS_CHARS - 1] + "…"

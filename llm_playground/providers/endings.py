"""Why an answer ended: finish reasons of all wire formats, and which choice of a stream is ours.

Gateways pass the reasons of one format on in another, in any spelling, so that one table serves all
formats. A reason that stands for a failure is a :class:`BadEnd`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llm_playground.types import FinishReason

# In lower case, with `_` between words. Sources: the formats' documentation; Mistral's
# `model_length`, Zhipu's `sensitive` and `network_error`, DeepSeek's `insufficient_system_resource`
# (https://api-docs.deepseek.com/api/create-chat-completion), Bedrock's `guardrail_intervened`,
# SGLang's and vLLM's `abort`, TGI's `eos_token`.
_REASONS: dict[str, FinishReason] = {
    **dict.fromkeys(
        ("stop", "end_turn", "stop_sequence", "eos", "eos_token", "end_of_turn", "complete"), "stop"
    ),
    **dict.fromkeys(
        (
            "length",
            "max_tokens",
            "max_output_tokens",
            "max_completion_tokens",
            "max_length",
            "model_length",
            "token_limit",
            "model_context_window_exceeded",
            "context_length_exceeded",
        ),
        "length",
    ),
    **dict.fromkeys(
        (
            "content_filter",
            "content_filtered",
            "sensitive",
            "refusal",
            "guardrail_intervened",
            "safety",
            "recitation",
            "blocklist",
            "prohibited_content",
            "spii",
            "model_armor",
            "image_safety",
            "image_prohibited_content",
            "image_recitation",
        ),
        "content_filter",
    ),
    **dict.fromkeys(("tool_calls", "tool_call", "tool_use", "function_call"), "tool_call"),
}
# Reasons that stand for a failure, and what to do about it.
_AGAIN = "Run again."
_TOOLS = "Run again, or make the tools and their schemas simpler."
_FAILURES: dict[str, str] = {
    **dict.fromkeys(
        ("error", "network_error", "failed", "failure", "abort", "aborted", "unknown_error"), _AGAIN
    ),
    **dict.fromkeys(
        ("insufficient_system_resource", "engine_overloaded", "overloaded"),
        "Run again in a moment.",
    ),
    **dict.fromkeys(
        ("malformed_function_call", "malformed_tool_call", "malformed_response"), _TOOLS
    ),
    **dict.fromkeys(("unexpected_tool_call", "too_many_tool_calls"), _TOOLS),
    "missing_thought_signature": "Run again from the start of the conversation.",
    **dict.fromkeys(("other", "language", "image_other", "no_image"), "Reword the prompt."),
}


@dataclass(frozen=True, slots=True)
class BadEnd:
    """An answer that its provider ended as failed, for ``reason`` and with these ``words``.

    An end that is not ``certain`` has a reason that is not known here: it is a failure only where
    no text came before it.
    """

    reason: str
    words: str = ""
    advice: str = _AGAIN
    certain: bool = True


def finish_reason(name: object) -> FinishReason:
    """A format's finish reason, in any spelling, as a :data:`FinishReason`.

    >>> finish_reason("MAX_TOKENS"), finish_reason("FinishReason.SAFETY"), finish_reason("news")
    ('length', 'content_filter', 'other')
    """
    return next((_REASONS[key] for key in _keys(name) if key in _REASONS), "other")


def bad_end(name: object, words: object = "") -> BadEnd | None:
    """The failure that a finish reason stands for; None where the answer is one.

    >>> bad_end("function_call_filter: MALFORMED_FUNCTION_CALL").advice
    'Run again, or make the tools and their schemas simpler.'
    >>> bad_end("end_turn")
    """
    keys = _keys(name)
    if any(key in _REASONS for key in keys):
        return None
    said = words if isinstance(words, str) else ""
    advice = next((_FAILURES[key] for key in keys if key in _FAILURES), None)
    return BadEnd(str(name), said, advice or _AGAIN, certain=advice is not None)


def _keys(name: object) -> list[str]:
    """The spellings under which a reason may stand in a table: as a whole, then its pieces.

    Gemini's OpenAI endpoint sends ``content_filter: RECITATION``, an enum of Python is
    ``FinishReason.STOP``, and Google's Java library writes ``maxTokens``.
    """
    if not isinstance(name, str):
        return []
    pieces = [name, *reversed(re.split(r"[:.\s]+", name))]
    parted = (re.sub(r"(?<=[a-z])(?=[A-Z])", "_", piece).lower() for piece in pieces)
    plain = (piece.strip().replace("-", "_").removeprefix("finish_reason_") for piece in parted)
    return list(dict.fromkeys(piece for piece in plain if piece))


Choice = Mapping[str, Any]
# This many choices in a row with rising indexes are the chunks of one answer: a stream has fewer
# answers, since `n` is never sent.
_COUNTED = 4


class ChoiceFilter:
    """Which choices of a stream belong to its one answer.

    Most servers give all chunks index 0; some another one, and some count the chunks. The first
    index is that of the answer. A chunk with another index is held until it is clear whether the
    server counts: an index that comes back is that of a further answer, which is left out.
    ``index`` is the index that needs no look; a reader passes all other choices to :meth:`take`.
    """

    def __init__(self) -> None:
        self.index: object = None
        self._own: object = None
        self._held: list[Choice] = []
        self._is_one_of_many = False
        self._counts = False

    def take(self, choices: Sequence[Choice], end_field: str) -> Sequence[Choice]:
        """The choices to read now; ``end_field`` is a choice's field with the finish reason."""
        choice = choices[0]
        index = choice.get("index")
        if self._counts:
            return (choice,)
        if self._own is None:
            self._own = self.index = index
            return (choice,)
        own = next((each for each in choices if each.get("index") in (self._own, None)), None)
        if own is not None or self._is_one_of_many or len(choices) > 1:
            return self._leave_others_out(own)
        if not isinstance(index, int) or index != self._last() + 1:
            return self._leave_others_out(None)
        self._held.append(choice)
        self.index = self  # equal to no index: the next chunk decides
        if len(self._held) < _COUNTED and not choice.get(end_field):
            return ()
        self._counts = True
        return self._held

    def _leave_others_out(self, own: Choice | None) -> Sequence[Choice]:
        self._is_one_of_many, self.index, self._held = True, self._own, []
        return () if own is None else (own,)

    def _last(self) -> int:
        last = self._held[-1]["index"] if self._held else self._own
        return last if isinstance(last, int) else -2

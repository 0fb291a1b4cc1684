"""Why an answer ended: finish reasons of all wire formats, and the choice that is the answer.

Gateways pass the reasons of one format on in another, in any spelling, so that one table serves all
formats. A reason that means a failure is a :class:`BadEnd`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llm_playground.parts import OtherPart
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
# Reasons that mean a failure, and what to do about it.
_AGAIN = "Run again."
_TOOLS = "Run again, or make the tools and their schemas simpler."
_FAILURES: dict[str, str] = {
    **dict.fromkeys(
        ("error", "network_error", "failed", "failure", "abort", "aborted", "unknown_error"), _AGAIN
    ),
    "incomplete": _AGAIN,  # a status of Responses, without a reason beside it
    **dict.fromkeys(("cancelled", "canceled"), _AGAIN),
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
    """An answer that its provider ended as failed, for ``reason`` and with this ``message``.

    An end that is not ``certain`` has a reason that is not known here: it is a failure only where
    no text came before it.
    """

    reason: str
    message: str = ""
    advice: str = _AGAIN
    certain: bool = True


def finish_reason(name: object) -> FinishReason:
    """A format's finish reason, in any spelling, as a :data:`FinishReason`.

    >>> finish_reason("MAX_TOKENS"), finish_reason("FinishReason.SAFETY"), finish_reason("news")
    ('length', 'content_filter', 'other')
    """
    return next((_REASONS[key] for key in _keys(name) if key in _REASONS), "other")


def bad_end(name: object, message: object = "") -> BadEnd | None:
    """The failure that a finish reason means; None if it means none.

    >>> bad_end("function_call_filter: MALFORMED_FUNCTION_CALL").advice
    'Run again, or make the tools and their schemas simpler.'
    >>> bad_end("end_turn")
    """
    keys = _keys(name)
    if any(key in _REASONS for key in keys):
        return None
    text = message if isinstance(message, str) else ""
    advice = next((_FAILURES[key] for key in keys if key in _FAILURES), None)
    return BadEnd(str(name), text, advice or _AGAIN, certain=advice is not None)


def _keys(name: object) -> list[str]:
    """The keys to look up for a reason: the whole of it, then its pieces.

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


_KEPT_CHARS = 1 << 20  # of the choices that are left out
_ABOUT = frozenset({"role", "index"})


class ChoiceFilter:
    """Which choices of a stream belong to its one answer.

    Most servers give all chunks index 0; some another one, and some count the chunks. The first
    index is that of the answer. Choices whose indexes rise by one are held until it is clear
    whether the server counts: it does if there are enough of them, or if the stream ends with them.
    An index that comes back, or several choices in one event, are those of further answers, which
    are left out: each is a part of its own. A finish reason proves nothing, since a further answer
    may end at once. ``index`` is the index that needs no look; a reader passes all other choices to
    :meth:`take`, and events with several.
    """

    def __init__(self) -> None:
        self.index: object = None
        self._own: object = None
        self._held: list[Choice] = []
        self._is_one_of_many = False
        self._counts = False
        self._left_out: dict[object, list[Choice]] = {}

    def take(self, choices: Sequence[Choice]) -> Sequence[Choice]:
        """The choices to read now."""
        choice = choices[0]
        index = choice.get("index")
        if self._counts:
            return (choice,)
        if self._own is None:
            self._own = self.index = index
        own = next((each for each in choices if each.get("index") in (self._own, None)), None)
        if own is not None or self._is_one_of_many or len(choices) > 1:
            return self._leave_others_out(choices, own)
        if not isinstance(index, int) or index != self._last() + 1:
            return self._leave_others_out(choices, None)
        self._held.append(choice)
        self.index = self  # equal to no index: the next chunk decides
        return self.release() if len(self._held) >= _COUNTED else ()

    def release(self) -> Sequence[Choice]:
        """The choices that are held, at the end of the stream: they are the answer's."""
        held, self._held = self._held, []
        self._counts = self._counts or bool(held)
        return held

    def leave_out(self, choices: Iterable[Choice]) -> None:
        """Keep choices of further answers apart."""
        for choice in choices:
            self._left_out.setdefault(str(choice.get("index")), []).append(choice)

    def left_out(self) -> list[OtherPart]:
        """Each further answer as a part, once."""
        answers = [list(filter(_has_content, one)) for one in self._left_out.values()]
        self._left_out = {}
        texts = (json.dumps(one, ensure_ascii=False) for one in answers if one)
        return [
            OtherPart(
                "choice", text if len(text) <= _KEPT_CHARS else json.dumps(text[:_KEPT_CHARS])
            )
            for text in texts
        ]

    def _leave_others_out(self, choices: Sequence[Choice], own: Choice | None) -> Sequence[Choice]:
        is_new = own is None or len(choices) > 1 or bool(self._held)
        self._is_one_of_many = self._is_one_of_many or is_new
        self.leave_out([*self._held, *(each for each in choices if each is not own)])
        self.index, self._held = self._own, []
        return () if own is None else (own,)

    def _last(self) -> int:
        last = self._held[-1]["index"] if self._held else self._own
        return last if isinstance(last, int) else -2


def _has_content(choice: Choice) -> bool:
    """Whether a choice has more than a role, in its delta, message or content."""
    holders = (choice.get(name) for name in ("delta", "message", "content", "text"))
    return any(
        any(value for name, value in one.items() if name not in _ABOUT)
        if isinstance(one, Mapping)
        else bool(one)
        for one in holders
    )

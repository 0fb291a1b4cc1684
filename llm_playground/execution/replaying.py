"""A stored answer as the events of a stream, at once or at the pace at which it came."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from llm_playground.events import (
    PartAdded,
    ReasoningDelta,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
)
from llm_playground.parts import AnswerPart, ReasoningPart, RefusalPart, TextPart, ToolCall
from llm_playground.types import Run

_WORDS = re.compile(r"\S*\s+|\S+")
_PIECE_CHARS = 24  # about what a provider sends at once
_MOST_PIECES = 200  # of one part


def events_of(run: Run) -> list[StreamEvent]:
    """The deltas and parts of an answer in their order.

    >>> from llm_playground.execution.replaying import _pieces
    >>> list(_pieces("Once upon a time there was a model."))
    ['Once upon a time there ', 'was a model.']
    """
    found: list[StreamEvent] = []
    calls = 0
    for part in run.parts:
        found += _events_of_part(part, calls)
        calls += isinstance(part, ToolCall)
    return found


def _events_of_part(part: AnswerPart, calls: int) -> Iterator[StreamEvent]:
    match part:
        case TextPart(text) | RefusalPart(text):
            yield from map(TextDelta, _pieces(text))
        case ReasoningPart(text):
            yield from map(ReasoningDelta, _pieces(text))
        case ToolCall(id=id_, name=name, arguments_json=arguments):
            yield ToolCallDelta(calls, arguments, id_, name)
        case _:
            yield PartAdded(part)


def _pieces(text: str) -> Iterator[str]:
    """A text in pieces of some words, the same each time."""
    size = max(_PIECE_CHARS, len(text) // _MOST_PIECES)
    piece = ""
    for word in _WORDS.findall(text):
        if piece and len(piece) + len(word) > size:
            yield piece
            piece = ""
        piece += word
    if piece:
        yield piece


def waits_s(run: Run, events: int) -> Iterator[float]:
    """How long to wait before each event and at the end: the times of the run, in seconds.

    Unknown times are 0. The first event comes when the first one of the run came.
    """
    duration_ms = run.response_time_ms or 0.0
    first_ms = min(run.ttft_ms or 0.0, duration_ms) if events else 0.0
    yield first_ms / 1000
    for _ in range(events):
        yield (duration_ms - first_ms) / 1000 / max(events, 1)


def stopped(run: Run, text: str) -> Run:
    """A repeated run that was stopped after this text."""
    part = (TextPart(text),) if text else ()
    return replace(
        run,
        status="cancelled",
        text=text,
        parts=part,
        reasoning="",
        tool_calls=(),
        sources=(),
        logprobs=(),
        finish_reason=None,
        stop_sequence=None,
        data=None,
        data_error=None,
        error=None,
    )

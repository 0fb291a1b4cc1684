"""The events of a stream, in the order in which a run may emit them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from llm_playground.parts import AnswerPart, Original, Source
from llm_playground.types import FinishReason, Run, TokenLogprob, Usage


@dataclass(frozen=True, slots=True)
class Preparing:
    """A long operation before the request is sent, such as a download of weights.

    ``fraction`` is the completed share, 0 to 1; None if unknown.
    """

    message: str
    fraction: float | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """The call is queued; ``reason`` is one line about why it waits."""

    reason: str
    rate_limited: bool = False


@dataclass(frozen=True, slots=True)
class Retrying:
    """An attempt failed, and attempt ``number`` follows after ``wait_s``.

    ``billed`` is whether the provider may bill an earlier attempt.
    """

    number: int
    of: int
    wait_s: float
    reason: str
    billed: bool = False
    rate_limited: bool = False


@dataclass(frozen=True, slots=True)
class RateLimit:
    """One rate limit; fields that the provider does not report are None."""

    limit: int | None = None
    remaining: int | None = None
    resets_in_s: float | None = None


@dataclass(frozen=True, slots=True)
class Responded:
    """The provider has started to answer; only passed to the engine.

    ``so_far`` returns what has been read of the answer until then as a ``Finish``: its counts, its
    model, its sources, for an answer that breaks or is stopped.
    """

    status_code: int
    request_id: str | None = None
    requests: RateLimit | None = None
    tokens: RateLimit | None = None
    so_far: Callable[[], Finish] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class InBackground:
    """The provider makes the answer in the background, and keeps it; only passed to the engine.

    By ``response_id`` it can be read again, by another process too. ``stop`` stops it.
    """

    response_id: str
    stop: Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """New text of the model's reasoning, separate from the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class TextDelta:
    """New text of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A new piece of a tool call. ``index`` identifies the call within the answer.

    The first delta of a call has its ``id`` and ``name``; pieces of ``arguments_json`` are joined.
    """

    index: int
    arguments_json: str = ""
    id: str | None = None
    name: str | None = None
    original: Original | None = None


@dataclass(frozen=True, slots=True)
class PartAdded:
    """A whole part of the answer that comes at once, such as a picture or a server's tool call."""

    part: AnswerPart


@dataclass(frozen=True, slots=True)
class PartEnded:
    """The part of the latest delta is complete; the next delta begins another one.

    ``original`` is its provider's form of it, None if it needs none. ``is_refusal`` is whether its
    text is the model's refusal to answer.
    """

    original: Original | None = None
    is_refusal: bool = False


@dataclass(frozen=True, slots=True)
class Block:
    """A block by a provider's safety system: the stage, the category and the reason."""

    stage: Literal["prompt", "answer"]
    category: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Finish:
    """The end of the answer. ``response_model`` is the model that the provider reports.

    ``block`` is set when ``finish_reason`` is ``content_filter``. ``skipped_events`` counts events
    of the stream that could not be parsed. ``stop_sequence`` is the stop text at which the answer
    ended, where the provider reports it.
    """

    finish_reason: FinishReason
    usage: Usage | None = None
    response_model: str | None = None
    request_id: str | None = None
    block: Block | None = None
    logprobs: tuple[TokenLogprob, ...] = ()
    skipped_events: int = 0
    sources: tuple[Source, ...] = ()
    stop_sequence: str | None = None


@dataclass(frozen=True, slots=True)
class RunFinished:
    """The last event of a stream; ``run`` is complete and logged."""

    run: Run


ProviderEvent = (
    Responded
    | InBackground
    | TextDelta
    | ReasoningDelta
    | ToolCallDelta
    | PartAdded
    | PartEnded
    | Finish
)
StreamEvent = (
    Preparing
    | Waiting
    | Retrying
    | TextDelta
    | ReasoningDelta
    | ToolCallDelta
    | PartAdded
    | Finish
    | RunFinished
)

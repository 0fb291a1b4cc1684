"""The events of a stream, in the order in which a run may tell them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from llm_playground.types import FinishReason, Run, TokenLogprob, Usage


@dataclass(frozen=True, slots=True)
class Preparing:
    """Something long happens before anything is sent, such as fetching weights.

    ``fraction`` is how much of it is done, 0 to 1, None when unknown.
    """

    message: str
    fraction: float | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing is sent yet; ``reason`` says in a line what is waited for."""

    reason: str


@dataclass(frozen=True, slots=True)
class Retrying:
    """An attempt failed and another follows after ``wait_s``. ``number`` is the next attempt's."""

    number: int
    of: int
    wait_s: float
    reason: str


@dataclass(frozen=True, slots=True)
class RateLimit:
    """What a provider says of one of its limits; None where it does not."""

    limit: int | None = None
    remaining: int | None = None
    resets_in_s: float | None = None


@dataclass(frozen=True, slots=True)
class Responded:
    """The provider has begun to answer. For the engine; surfaces do not see it."""

    status_code: int
    request_id: str | None = None
    requests: RateLimit | None = None
    tokens: RateLimit | None = None


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """More of the model's reasoning, apart from the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """More of a tool call. ``index`` tells the calls of one answer apart.

    The first delta of a call brings its ``id`` and ``name``; ``arguments_json`` grows.
    """

    index: int
    arguments_json: str = ""
    id: str | None = None
    name: str | None = None
    signature: str | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """A provider's safety system said no: where (prompt or answer), to what, and in which words."""

    stage: Literal["prompt", "answer"]
    category: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Finish:
    """The provider's last word. ``response_model`` is what it says answered.

    ``block`` is set when ``finish_reason`` is ``content_filter``. ``skipped_events`` counts events
    of the stream that could not be read. ``reasoning_signature`` seals the reasoning as a whole.
    """

    finish_reason: FinishReason
    usage: Usage | None = None
    response_model: str | None = None
    request_id: str | None = None
    block: Block | None = None
    logprobs: tuple[TokenLogprob, ...] = ()
    skipped_events: int = 0
    reasoning_signature: str | None = None


@dataclass(frozen=True, slots=True)
class RunFinished:
    """The last event of a stream; ``run`` is complete and logged."""

    run: Run


ProviderEvent = Responded | TextDelta | ReasoningDelta | ToolCallDelta | Finish
StreamEvent = (
    Preparing
    | Waiting
    | Retrying
    | TextDelta
    | ReasoningDelta
    | ToolCallDelta
    | Finish
    | RunFinished
)

"""The words of the package as frozen values. Unknown is None; zero means zero."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from llm_playground.errors import LLMError

Role = Literal["system", "user", "assistant", "tool"]
FinishReason = Literal["stop", "length", "content_filter", "tool_call", "other"]
Status = Literal[
    "running", "completed", "blocked", "failed", "cancelled", "interrupted", "over_budget"
]
UsageSource = Literal["provider", "estimated", "none"]


@dataclass(frozen=True, slots=True)
class TextPart:
    """A piece of text in a message."""

    text: str


Part = TextPart


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: tuple[Part, ...]

    @property
    def text(self) -> str:
        """All text parts, joined.

        >>> Message("user", (TextPart("a"), TextPart("b"))).text
        'ab'
        """
        return "".join(part.text for part in self.content)


@dataclass(frozen=True, slots=True)
class Parameters:
    """Sampling settings. None is ``auto``: the parameter is not sent.

    ``extra`` is passed to the provider's request body unread.
    """

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    reasoning_effort: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Only what was set.

        >>> Parameters(temperature=0.2).as_dict()
        {'temperature': 0.2}
        """
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "extra"}
        present = {name: value for name, value in values.items() if value is not None}
        return present | ({"extra": dict(self.extra)} if self.extra else {})


@dataclass(frozen=True, slots=True)
class Request:
    """What one provider call needs.

    ``model`` is always resolved: ``provider:name``.
    """

    model: str
    messages: tuple[Message, ...]
    parameters: Parameters = Parameters()

    @property
    def provider(self) -> str:
        """The part of the model before the colon."""
        return self.model.partition(":")[0]

    @property
    def model_name(self) -> str:
        """The part of the model after the colon, as the provider knows it."""
        return self.model.partition(":")[2]

    @property
    def system(self) -> str | None:
        """The text of the system messages, None when there are none."""
        texts = [message.text for message in self.messages if message.role == "system"]
        return "\n\n".join(texts) if texts else None

    @property
    def user_prompt(self) -> str:
        """The text of the last user message, empty when there is none."""
        return next((m.text for m in reversed(self.messages) if m.role == "user"), "")

    def prompt_hash(self) -> str:
        """SHA-256 over the canonical request, in hex; independent of key order.

        >>> a = Request("local:m", (Message("user", (TextPart("hi"),)),), Parameters(top_p=1))
        >>> b = Request("local:m", (Message("user", (TextPart("hi"),)),), Parameters(top_p=1.0))
        >>> a.prompt_hash() == b.prompt_hash()
        True
        """
        canonical = {
            "model": self.model,
            "messages": messages_as_json(self.messages),
            "parameters": _canonical(self.parameters.as_dict()),
        }
        text = json.dumps(canonical, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def messages_as_json(messages: tuple[Message, ...]) -> list[dict[str, Any]]:
    """Messages as plain values, for the log and the hash.

    >>> messages_as_json((Message("user", (TextPart("hi"),)),))
    [{'role': 'user', 'content': [{'type': 'text', 'text': 'hi'}]}]
    """
    return [
        {
            "role": message.role,
            "content": [{"type": "text", "text": part.text} for part in message.content],
        }
        for message in messages
    ]


def _canonical(value: Any) -> Any:  # noqa: ANN401 - a JSON value is any of six types
    """1 and 1.0 are one number to every provider, so they hash alike."""
    if isinstance(value, Mapping):
        return {str(key): _canonical(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_canonical(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts, inclusive: input holds cached input, output holds reasoning.

    As OpenTelemetry's GenAI semantic conventions count them. None where nobody said.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None

    @property
    def total_tokens(self) -> int | None:
        """Input plus output, None unless both are known."""
        if self.input_tokens is None or self.output_tokens is None:
            return None
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """More of the model's reasoning, apart from the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Finish:
    """The provider's last word. ``response_model`` is what it says answered."""

    finish_reason: FinishReason
    usage: Usage | None = None
    response_model: str | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Preparing:
    """Something long happens before anything is sent, such as fetching weights.

    ``fraction`` is how much of it is done, 0 to 1, None when unknown.
    """

    message: str
    fraction: float | None = None


ProviderEvent = TextDelta | ReasoningDelta | Finish


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try inside one run, the successful one included.

    ``wait_ms`` is the pause before it; ``duration_ms`` from sending to its end.
    """

    number: int
    wait_ms: float
    duration_ms: float
    status_code: int | None = None
    request_id: str | None = None
    error_type: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Execution:
    """One prompt sent ``iterations`` times, and where it came from."""

    id: str
    prompt_id: str
    iterations: int
    source: str
    username: str
    started_at: datetime
    notebook: str | None = None
    cell_id: str | None = None
    git_commit: str | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """One answer with everything known about it. Times in ms, ``started_at`` in UTC."""

    id: str
    execution_id: str
    prompt_id: str
    iteration_number: int
    model: str
    provider: str
    started_at: datetime
    parameters: Parameters
    status: Status = "running"
    text: str = ""
    reasoning: str = ""
    response_model: str | None = None
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    usage_source: UsageSource = "none"
    cost_usd: Decimal | None = None
    price_source: str | None = None
    ttft_ms: float | None = None
    response_time_ms: float | None = None
    queue_ms: float | None = None
    attempts: list[Attempt] = field(default_factory=list)
    error: LLMError | None = None
    cached: bool = False
    dropped_parameters: tuple[str, ...] = ()

    @property
    def tokens_per_second(self) -> float | None:
        """Output tokens over the time from the first delta to the end."""
        tokens = self.usage.output_tokens if self.usage else None
        if tokens is None or self.ttft_ms is None or self.response_time_ms is None:
            return None
        streaming_ms = self.response_time_ms - self.ttft_ms
        return tokens / streaming_ms * 1000 if streaming_ms > 0 else None

    def __str__(self) -> str:
        """The answer's text, so that ``print(run)`` shows it."""
        return self.text


@dataclass(frozen=True, slots=True)
class RunFinished:
    """The last event of a stream; ``run`` is complete and logged."""

    run: Run


StreamEvent = Preparing | ProviderEvent | RunFinished

"""The words of the package as frozen values. Unknown is None; zero means zero."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from llm_playground.errors import LLMError
from llm_playground.redact import redact

Role = Literal["system", "user", "assistant", "tool"]
FinishReason = Literal["stop", "length", "content_filter", "tool_call", "other"]
Status = Literal[
    "running", "completed", "blocked", "failed", "cancelled", "interrupted", "over_budget"
]
UsageSource = Literal["provider", "estimated", "none"]
# How deep a JSON value may be nested that is to be hashed, checked and sent: no vendor takes more.
DEEPEST = 100


@dataclass(frozen=True, slots=True)
class TextPart:
    """A piece of text in a message."""

    text: str


@dataclass(frozen=True, slots=True)
class ImagePart:
    """A picture in a message: its bytes, or the URL where the provider finds it; never both."""

    media_type: str | None
    data: bytes | None = field(default=None, repr=False)
    url: str | None = None

    @property
    def sha256(self) -> str | None:
        """The hash of the bytes in hex, None for a URL."""
        return None if self.data is None else hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True, slots=True)
class ReasoningPart:
    """Reasoning of an earlier turn, which some providers want back beside its tool calls.

    ``signature`` is the provider's own seal on it, None where it gives none.
    """

    text: str
    signature: str | None = None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model asks for a tool. ``arguments_json`` is what it wrote, a JSON object as text.

    ``signature`` is a seal some providers want back with the call, None where they give none.
    """

    id: str
    name: str
    arguments_json: str = "{}"
    signature: str | None = None

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments, parsed.

        Raises:
            ValueError: The model wrote no JSON object.

        >>> ToolCall("1", "weather", '{"city": "Oslo"}').arguments
        {'city': 'Oslo'}
        """
        value = json.loads(self.arguments_json or "{}")
        if not isinstance(value, dict):
            said = self.arguments_json[:80]
            raise ValueError(f"the arguments are no JSON object: {said}")  # noqa: TRY004 - a text of the wrong shape, not a wrong type
        return value


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool gave back for the call of the same ``id``."""

    id: str
    name: str
    text: str
    is_error: bool = False


Part = TextPart | ImagePart | ReasoningPart | ToolCall | ToolResult


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
        return "".join(part.text for part in self.content if isinstance(part, TextPart))


@dataclass(frozen=True, slots=True)
class Parameters:
    """Sampling settings. None is ``auto``: the parameter is not sent.

    ``logprobs`` is how many alternatives to each token are wanted, 0 for the token alone. ``extra``
    is passed to the provider's request body unread.
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
    logprobs: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Only what was set.

        >>> Parameters(temperature=0.2).as_dict()
        {'temperature': 0.2}
        """
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "extra"}
        present = {name: value for name, value in values.items() if value is not None}
        return present | ({"extra": dict(self.extra)} if self.extra else {})

    def without(self, names: Iterable[str]) -> Parameters:
        """These parameters with some unset.

        >>> Parameters(seed=1, top_p=0.5).without(["seed"]).as_dict()
        {'top_p': 0.5}
        """
        unset: dict[str, Any] = {name: {} if name == "extra" else None for name in names}
        return replace(self, **unset)


@dataclass(frozen=True, slots=True)
class Tool:
    """A function a model may ask for.

    ``parameters`` is the JSON schema of its arguments, an object. ``call`` takes the arguments
    by name; None for a tool that nobody here can execute.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    call: Callable[..., Any] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Schema:
    """The shape an answer must have.

    ``parse`` turns the answer's text into data and raises ValueError, with one line that explains,
    when it has another shape.
    """

    name: str
    json_schema: Mapping[str, Any]
    parse: Callable[[str], Any] = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Request:
    """What one provider call needs.

    ``model`` is always resolved: ``provider:name``. ``endpoint`` is the base URL where it is not
    the provider's own.
    """

    model: str
    messages: tuple[Message, ...]
    parameters: Parameters = Parameters()
    tools: tuple[Tool, ...] = ()
    schema: Schema | None = None
    endpoint: str | None = None

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
        canonical: dict[str, Any] = {
            "model": self.model,
            "messages": _canonical(messages_as_json(self.messages)),
            "parameters": _canonical(self.parameters.as_dict()),
        }
        if self.tools:
            canonical["tools"] = [
                _canonical([tool.name, tool.description, tool.parameters]) for tool in self.tools
            ]
        if self.endpoint is not None:
            canonical["endpoint"] = self.endpoint
        if self.schema is not None:
            canonical["schema"] = _canonical(self.schema.json_schema)
        text = json.dumps(canonical, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def messages_as_json(messages: tuple[Message, ...]) -> list[dict[str, Any]]:
    """Messages as plain values, for the log and the hash; pictures by their SHA-256.

    >>> messages_as_json((Message("user", (TextPart("hi"),)),))
    [{'role': 'user', 'content': [{'type': 'text', 'text': 'hi'}]}]
    """
    return [
        {"role": message.role, "content": [_part_as_json(part) for part in message.content]}
        for message in messages
    ]


def _part_as_json(part: Part) -> dict[str, Any]:
    match part:
        case TextPart(text):
            return {"type": "text", "text": text}
        case ImagePart():
            values = {"media_type": part.media_type, "sha256": part.sha256, "url": part.url}
            kind = "image"
        case ReasoningPart():
            values, kind = {"text": part.text, "signature": part.signature}, "reasoning"
        case ToolCall():
            values = {
                "id": part.id,
                "name": part.name,
                "arguments": part.arguments_json,
                "signature": part.signature,
            }
            kind = "tool_call"
        case ToolResult():
            values = {"id": part.id, "name": part.name, "text": part.text}
            kind = "tool_error" if part.is_error else "tool_result"
    return {"type": kind} | {name: value for name, value in values.items() if value is not None}


def _canonical(value: Any) -> Any:  # noqa: ANN401 - a JSON value is any of six types
    """1 and 1.0 are one number to every provider, so they hash alike."""
    if isinstance(value, Mapping):
        return {str(key): _canonical(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_canonical(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def nested_too_deeply(value: object) -> bool:
    """Whether a JSON value's brackets go deeper than :data:`DEEPEST`, or without end.

    >>> nested_too_deeply([[1]])
    False
    """
    level = [value]
    for _ in range(DEEPEST + 1):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return False
    return True


def _inside(value: object) -> Iterable[object]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, (list, tuple)) else ()


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
class TokenLogprob:
    """One token of the answer, its log probability, and the likeliest alternatives."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


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
    skipped_events: int = 0


@dataclass(frozen=True, slots=True)
class Execution:
    """One prompt sent ``iterations`` times, and where it came from.

    ``variables`` holds the SHA-256 in hex of every value that was filled in, by its name.
    ``process`` tells whose it is, see :func:`llm_playground.provenance.process`.
    """

    id: str
    prompt_id: str
    iterations: int
    source: str
    username: str
    started_at: datetime
    notebook: str | None = None
    cell_id: str | None = None
    git_commit: str | None = None
    git_dirty: bool | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    process: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Run:
    """One answer with everything known about it. Times in ms, ``started_at`` in UTC.

    ``data`` is the answer parsed when a schema was given; ``data_error`` says in one line why it
    could not be. A re-used answer is ``cached``, costs 0, and ``saved_usd`` is what it cost before.
    ``max_tokens_cap`` is the limit of the answer that was sent because a budget applies and nobody
    set one; ``budget_notices`` are lines of budgets that let it pass.
    """

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
    tool_calls: tuple[ToolCall, ...] = ()
    data: Any = None
    data_error: str | None = None
    logprobs: tuple[TokenLogprob, ...] = ()
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
    saved_usd: Decimal | None = None
    dropped_parameters: tuple[str, ...] = ()
    max_tokens_cap: int | None = None
    budget_notices: tuple[str, ...] = ()

    @property
    def tokens_per_second(self) -> float | None:
        """Output tokens over the time from the first delta to the end."""
        tokens = self.usage.output_tokens if self.usage else None
        if tokens is None or self.ttft_ms is None or self.response_time_ms is None:
            return None
        streaming_ms = self.response_time_ms - self.ttft_ms
        return tokens / streaming_ms * 1000 if streaming_ms > 0 else None

    @property
    def cut_off_at(self) -> int | None:
        """After how many tokens the answer was cut off; None where it was not, or nobody knows."""
        if self.finish_reason != "length":
            return None
        used = self.usage.output_tokens if self.usage else None
        return self.parameters.max_tokens or self.max_tokens_cap or used

    def __str__(self) -> str:
        """The answer's text, so that ``print(run)`` shows it."""
        return self.text

    def __repr__(self) -> str:
        cost = [] if self.cost_usd is None else [f"${self.cost_usd.normalize():f}"]
        parts = [self.model, self.status, repr(_start(self.text)), *cost, self.id]
        return f"Run({', '.join(parts)})"


def _start(text: str) -> str:
    """The first words, on one line and without keys: what is shown is saved with the notebook."""
    words = " ".join(redact(text[:1_000]).split())
    return words if len(words) <= 40 else f"{words[:39]}…"


@dataclass(frozen=True, slots=True)
class Stored:
    """An answer of the past. ``saved_usd`` is what it cost then, None when nobody knows."""

    text: str
    reasoning: str
    tool_calls: tuple[ToolCall, ...]
    response_model: str | None
    finish_reason: FinishReason | None
    usage: Usage | None
    saved_usd: Decimal | None

"""Frozen data types shared by the whole package. Unknown values are None, never zero."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any, Literal

from llm_playground import http_headers
from llm_playground._validation import shorten
from llm_playground.errors import LLMError
from llm_playground.inputs import Inputs
from llm_playground.parts import (
    PAUSED,
    AnswerPart,
    FilePart,
    ImagePart,
    OtherPart,
    Part,
    Source,
    TextPart,
    ToolCall,
    part_as_json,
    text_of,
)
from llm_playground.redaction import printable, redact

Role = Literal["system", "user", "assistant", "tool"]
FinishReason = Literal["stop", "length", "content_filter", "tool_call", "other"]
Status = Literal[
    "running", "completed", "blocked", "failed", "cancelled", "interrupted", "over_budget"
]
UsageSource = Literal["provider", "estimated", "none"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: tuple[Part, ...]

    @property
    def text(self) -> str:
        r"""All text parts: those of an answer joined as they came, all others as lines.

        >>> Message("user", (TextPart("a"), TextPart("b"))).text
        'a\nb'
        """
        between = "" if self.role == "assistant" else "\n"
        return between.join(part.text for part in self.content if isinstance(part, TextPart))

    @property
    def is_one_text(self) -> bool:
        """Whether it is nothing but one text, or the pieces of one, or empty."""
        is_text = all(isinstance(part, TextPart) and not part.original for part in self.content)
        return is_text and (len(self.content) < 2 or self.role == "assistant")


RECORDED = "recorded"
"""The ``source`` of the executions of other libraries."""

# The parameters that are mappings, empty where they are not set.
MAPPINGS = frozenset({"extra", "headers"})


@dataclass(frozen=True, slots=True)
class Parameters:
    """Sampling settings. None is ``auto``: the parameter is not sent.

    ``logprobs`` is the number of alternatives per token, 0 for the token alone. ``extra`` joins
    the request body; it cannot set what an argument sets. ``headers`` are HTTP headers, with names
    in lower case.
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
    headers: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The parameters that are set.

        >>> Parameters(temperature=0.2).as_dict()
        {'temperature': 0.2}
        """
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {
            name: dict(value) if name in MAPPINGS else value
            for name, value in values.items()
            if (value if name in MAPPINGS else value is not None)
        }

    def with_effect(self) -> Parameters:
        """The parameters without headers that only identify the caller or the call."""
        if not self.headers:
            return self
        return replace(self, headers=http_headers.with_effect(self.headers))

    def without(self, names: Iterable[str]) -> Parameters:
        """A copy with some parameters unset.

        >>> Parameters(seed=1, top_p=0.5).without(["seed"]).as_dict()
        {'top_p': 0.5}
        """
        unset: dict[str, Any] = {name: {} if name in MAPPINGS else None for name in names}
        return replace(self, **unset)


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that a model may call.

    ``parameters`` is the JSON schema of its arguments, an object. ``call`` takes the arguments
    by name; None for a tool that cannot be executed here.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    call: Callable[..., Any] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Schema:
    """The schema of an answer.

    ``parse`` converts the text of an answer to data; for an answer that does not match, it raises
    ValueError with one line that explains why. With ``is_wrapped``, the answer is the property
    ``value`` of the object that ``json_schema`` describes.
    """

    name: str
    json_schema: Mapping[str, Any]
    parse: Callable[[str], Any] = field(compare=False, repr=False)
    is_wrapped: bool = False


@dataclass(frozen=True)  # no slots: they exclude cached_property
class Request:
    """One request to a provider.

    ``model`` is always resolved: ``provider:name``. ``endpoint`` is the base URL if it is not the
    provider's default; ``endpoint_settings`` are the headers and the query that it adds to every
    request and that may change the answer. ``wire_format`` is that in which another program sent
    it, whatever the provider's is; None for that of the provider.
    """

    model: str
    messages: tuple[Message, ...]
    parameters: Parameters = Parameters()
    tools: tuple[Tool, ...] = ()
    schema: Schema | None = None
    endpoint: str | None = None
    endpoint_settings: Mapping[str, str] = field(default_factory=dict)
    wire_format: str | None = None
    # What is computed from the request once, such as its body: so all read, and send, the same.
    derived: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def provider(self) -> str:
        """The part of the model before the colon."""
        return self.model.partition(":")[0]

    @property
    def model_name(self) -> str:
        """The part of the model after the colon, as the provider calls it."""
        return self.model.partition(":")[2]

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The parts of all messages."""
        return tuple(part for message in self.messages for part in message.content)

    @cached_property
    def images(self) -> tuple[ImagePart, ...]:
        """The images of all messages."""
        return tuple(part for part in self.parts if isinstance(part, ImagePart))

    @cached_property
    def files(self) -> tuple[FilePart, ...]:
        """The documents and recordings of all messages."""
        return tuple(part for part in self.parts if isinstance(part, FilePart))

    @property
    def system(self) -> str | None:
        """The text of the system messages; None if there are none."""
        texts = [message.text for message in self.messages if message.role == "system"]
        return "\n\n".join(texts) if texts else None

    @property
    def user_prompt(self) -> str:
        """The text of the last user message; empty if there is none."""
        return next((m.text for m in reversed(self.messages) if m.role == "user"), "")

    def as_sent(self, dropped: Iterable[str] = (), max_tokens_cap: int | None = None) -> Request:
        """The request without ``dropped`` parameters, which the model does not support.

        ``max_tokens_cap`` is the ``max_tokens`` that a budget sets; None for the request's own.

        >>> request = Request("local:m", (), Parameters(seed=1, top_p=0.5))
        >>> request.as_sent(["seed"], max_tokens_cap=9).parameters.as_dict()
        {'top_p': 0.5, 'max_tokens': 9}
        """
        parameters = self.parameters.without(dropped)
        if max_tokens_cap is not None:
            parameters = replace(parameters, max_tokens=max_tokens_cap)
        return self if parameters == self.parameters else replace(self, parameters=parameters)

    def prompt_hash(self) -> str:
        """SHA-256 over the canonical request, in hex; independent of key order. Computed once.

        >>> a = Request("local:m", (Message("user", (TextPart("hi"),)),), Parameters(top_p=1))
        >>> b = Request("local:m", (Message("user", (TextPart("hi"),)),), Parameters(top_p=1.0))
        >>> a.prompt_hash() == b.prompt_hash()
        True
        """
        return self._prompt_hash

    @cached_property
    def _prompt_hash(self) -> str:
        canonical = self.canonical()
        text = json.dumps(canonical, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

    def canonical(self) -> dict[str, Any]:
        """The whole request as a JSON object that depends on no wire format; images by hash."""
        optional = {
            "tools": [[one.name, one.description, one.parameters] for one in self.tools] or None,
            "endpoint": self.endpoint,
            "endpoint_settings": self.endpoint_settings or None,
            "schema": None if self.schema is None else self.schema.json_schema,
        }
        return {
            "model": self.model,
            "messages": _canonical(messages_as_json(self.messages)),
            "parameters": _canonical(self.parameters.with_effect().as_dict()),
        } | {name: _canonical(value) for name, value in optional.items() if value is not None}

    @cached_property
    def size_bytes(self) -> int:
        """The size of all text in UTF-8: messages with originals, tools, schema and ``extra``.

        >>> Request("local:m", (Message("user", (TextPart("é!"),)),)).size_bytes
        3
        """
        texts = [text_of(part) for part in self.parts]
        originals = (getattr(part, "original", None) for part in self.parts)
        texts += [original.json for original in originals if original is not None]
        texts += [f"{tool.name}{tool.description}" for tool in self.tools]
        schemas = [tool.parameters for tool in self.tools]
        schemas += [] if self.schema is None else [self.schema.json_schema]
        schemas += [self.parameters.extra] if self.parameters.extra else []
        texts += [json.dumps(schema, default=str) for schema in schemas]
        return sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)


def messages_as_json(messages: tuple[Message, ...]) -> list[dict[str, Any]]:
    """Messages as plain values, for the log and the hash; images by their SHA-256.

    >>> messages_as_json((Message("user", (TextPart("hi"),)),))
    [{'role': 'user', 'content': [{'type': 'text', 'text': 'hi'}]}]
    """
    return [
        {"role": message.role, "content": [part_as_json(part) for part in message.content]}
        for message in messages
    ]


def _canonical(value: Any) -> Any:  # noqa: ANN401 - a JSON value is any of six types
    """Replace 1.0 by 1, which is the same to every provider, so that hashes are equal."""
    if isinstance(value, Mapping):
        return {str(key): _canonical(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_canonical(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


@dataclass(frozen=True, slots=True)
class Usage:
    """What a provider counted. Input includes cached input, and output includes reasoning.

    The token counts follow OpenTelemetry's GenAI semantic conventions; None if not reported.
    ``service_tier`` is the tier that answered, by the provider's name. ``billed_units`` are counts
    of what has a price of its own, by unit: tokens that are part of the counts above
    (``cache_write_1h_tokens``, ``image_output_tokens``, ``audio_input_tokens``) and calls
    (``web_searches``). ``reported_cost_usd`` is the cost that the answer itself states.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    service_tier: str | None = None
    billed_units: Mapping[str, int] = field(default_factory=dict, hash=False)
    reported_cost_usd: Decimal | None = None

    @property
    def total_tokens(self) -> int | None:
        """Input plus output; None unless both are known."""
        if self.input_tokens is None or self.output_tokens is None:
            return None
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """One token of the answer, its log probability, and the most likely alternatives."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class Attempt:
    """One attempt of a run, failed or successful.

    ``wait_ms`` is the pause before it; ``duration_ms`` from sending to its end. ``response_id`` is
    the provider's id of an answer in the background, see :func:`llm_playground.resume`. ``billed``
    is whether the provider may bill it although it gave nothing; None if it gave something.
    """

    number: int
    wait_ms: float
    duration_ms: float
    status_code: int | None = None
    request_id: str | None = None
    error_type: str | None = None
    reason: str | None = None
    skipped_events: int = 0
    response_id: str | None = None
    billed: bool | None = None

    def __repr__(self) -> str:
        status = [] if self.status_code is None else [str(self.status_code)]
        error = [] if self.error_type is None else [f"{self.error_type}: {self.reason}"]
        ended = ", ".join([*status, *error]) or "no answer yet"
        return f"Attempt {self.number}: {printable(ended)} ({self.duration_ms / 1000:.2f} s)"


@dataclass(frozen=True, slots=True)
class ToolExecution:
    """When a tool was called, and the class of the exception it raised; None if it raised none."""

    id: str
    name: str
    started_at: datetime
    duration_ms: float
    error_type: str | None = None


@dataclass(frozen=True, slots=True)
class ToolUse:
    """Of a round of a tool loop after the first: when the loop began, and the calls before it.

    ``calls`` are in the order of the results in the last message; None for one that was not made.
    """

    started_at: datetime
    calls: tuple[ToolExecution | None, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """A JSON object, as in the log's column ``tool_use``.

        >>> from datetime import UTC
        >>> ToolUse(datetime(2026, 3, 31, tzinfo=UTC), (None,)).as_json()
        {'started_at': '2026-03-31T00:00:00+00:00', 'calls': [None]}
        """
        calls = [
            None if call is None else asdict(call) | {"started_at": call.started_at.isoformat()}
            for call in self.calls
        ]
        return {"started_at": self.started_at.isoformat(), "calls": calls}


@dataclass(frozen=True, slots=True)
class CellExecution:
    """One execution of a notebook's cell; ``id`` is that of the front end's request."""

    cell_id: str
    id: str


@dataclass(frozen=True, slots=True)
class Execution:
    """One prompt sent ``iterations`` times, with its origin.

    ``cell_execution`` is the one that the calls belong to where stored answers are numbered; it is
    not logged. Of a panel, it may be of another cell than ``cell_id``. ``variables`` has the
    SHA-256 in hex of each template value by its name, ``inputs`` the values. ``process`` identifies
    the process, see :func:`llm_playground.provenance.process`.
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
    variables: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    process: str | None = None
    inputs: Inputs | None = None
    tool_use: ToolUse | None = None
    cell_execution: CellExecution | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Run:
    """One answer and its metadata. Times in ms, ``started_at`` in UTC.

    Where the price of a part of what was billed is unknown, ``cost_usd`` is None and
    ``at_least_usd`` is what the rest costs.
    ``data`` is the answer parsed by the schema, if any; ``data_error`` is one line with the reason
    why it could not be parsed. A re-used answer is ``cached``, costs 0, and has its original cost
    in ``saved_usd``; its repr has no id, so that a notebook whose answers are re-used has the same
    outputs each time. ``max_tokens_cap`` is the limit of the answer that was added because a budget
    applies and the request set none; ``budget_notices`` are notices of budgets that only warn.
    ``parts`` are all parts of the answer in their order, of which ``text``, ``reasoning`` and
    ``tool_calls`` are a selection; ``sources`` what it cites, numbered from 1 in this order.
    ``stop_sequence`` is the stop text at which the answer ended; None if it did not, or unknown.
    ``api_version`` is the older version of the provider's API that the parameters needed; None for
    the current one. ``left_out`` are the parts of earlier answers that were not sent, since the
    provider has no place for them: how many of each kind.
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
    parts: tuple[AnswerPart, ...] = ()
    sources: tuple[Source, ...] = ()
    stop_sequence: str | None = None
    logprobs: tuple[TokenLogprob, ...] = ()
    response_model: str | None = None
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    usage_source: UsageSource = "none"
    cost_usd: Decimal | None = None
    at_least_usd: Decimal | None = None
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
    api_version: str | None = None
    left_out: Mapping[str, int] = field(default_factory=dict)

    @property
    def images(self) -> tuple[ImagePart, ...]:
        """The pictures of the answer."""
        return tuple(part for part in self.parts if isinstance(part, ImagePart))

    @property
    def is_paused(self) -> bool:
        """Whether the provider paused the turn: it goes on when the answer is sent back."""
        return any(isinstance(part, OtherPart) and part.kind == PAUSED for part in self.parts)

    @property
    def service_tier(self) -> str | None:
        """The tier that answered, by the provider's name; None if it does not say."""
        return self.usage.service_tier if self.usage else None

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
        """Number of tokens after which the answer was cut off; None if it was not, or unknown."""
        if self.finish_reason != "length":
            return None
        used = self.usage.output_tokens if self.usage else None
        return self.parameters.max_tokens or self.max_tokens_cap or used

    def __str__(self) -> str:
        """The answer's text, so that ``print(run)`` shows it; controls are written visibly."""
        return printable(self.text)

    def __repr__(self) -> str:
        # The repr is saved with the notebook, so keys are removed.
        start = shorten(redact(self.text[:1_000]))
        cost = [] if self.cost_usd is None else [f"${self.cost_usd.normalize():f}"]
        # Cost and id differ each time that a call is sent; outputs of a replay stay the same.
        ends = ["reused"] if self.cached else [*cost, self.id]
        ends += [f"saved ${self.saved_usd.normalize():f}"] if self.saved_usd else []
        return f"Run({', '.join([printable(self.model), self.status, repr(start), *ends])})"

"""Anthropic's Messages: :func:`body`, :class:`Reader`, and the provider over the anthropic SDK.

Format: https://docs.claude.com/en/docs/build-with-claude/streaming. The SDK builds and sends the
HTTP request; the response is read as bytes.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, ClassVar

from llm_playground.events import Block, Finish, ProviderEvent
from llm_playground.parts import (
    AudioPart,
    FilePart,
    ImagePart,
    Part,
    RefusalPart,
    TextPart,
    ToolCall,
    ToolResult,
    original_for,
)
from llm_playground.providers import (
    Endpoint,
    RequestContext,
    anthropic_blocks,
    documents,
    endings,
    error_bodies,
    streaming,
    strict_schema,
    usage,
)
from llm_playground.providers.contents import (
    arguments,
    fields,
    read_each,
    sendable,
    unknown_event,
)
from llm_playground.providers.extra import merged
from llm_playground.providers.http import client_for
from llm_playground.providers.wire_formats import WIRE_FORMATS
from llm_playground.request import images, locations
from llm_playground.types import FinishReason, Message, Request, Schema

if TYPE_CHECKING:
    import httpx2
    from anthropic import AsyncAnthropic, AsyncAnthropicBedrockMantle, AsyncAnthropicVertex

    _Client = AsyncAnthropic | AsyncAnthropicBedrockMantle | AsyncAnthropicVertex

# Sent where max_tokens is not set: Messages refuses a request without it.
DEFAULT_MAX_TOKENS = 4096

_CALL_IDS = re.compile(r"[A-Za-z0-9_-]+")
_SAME_NAME = ("temperature", "top_p", "top_k")


def body(request: Request) -> dict[str, Any]:
    """The request's JSON body; parameters that are not set are left out, except ``max_tokens``.

    Messages has no seed and no penalties; they are not sent. Raises InvalidParameterError as
    :func:`~.extra.merged` does.

    >>> from llm_playground.parts import TextPart
    >>> from llm_playground.types import Message
    >>> body(Request("anthropic:m", (Message("user", (TextPart("hi"),)),)))
    ... # doctest: +NORMALIZE_WHITESPACE
    {'model': 'm', 'max_tokens': 4096, 'messages': [{'role': 'user', 'content': 'hi'}],
     'stream': True}
    """
    parameters = request.parameters
    settings = {name: getattr(parameters, name) for name in _SAME_NAME} | {
        "system": request.system,
        "stop_sequences": None if parameters.stop is None else list(parameters.stop),
        "output_config": _output_config(parameters.reasoning_effort, request.schema) or None,
        "tools": [
            {"name": tool.name, "description": tool.description, "input_schema": tool.parameters}
            for tool in request.tools
        ]
        or None,
    }
    content = {
        "model": request.model_name,
        "max_tokens": parameters.max_tokens or DEFAULT_MAX_TOKENS,
        "messages": _turns(sendable(request, _CALL_IDS), cited=_are_cited(request)),
        **{name: value for name, value in settings.items() if value is not None},
        "stream": True,
    }
    extra = {
        name: value
        for name, value in parameters.extra.items()
        if (name, value) != ("citations", None)  # see _are_cited
    }
    return merged(content, extra) if extra else content


def _output_config(effort: str | None, schema: Schema | None) -> dict[str, Any]:
    config: dict[str, Any] = {} if effort is None else {"effort": effort}
    if schema is not None:
        rewritten = strict_schema.strict(schema.json_schema, strict_schema.ANTHROPIC)
        json_schema = schema.json_schema if rewritten is None else rewritten
        config["format"] = {"type": "json_schema", "schema": json_schema}
    return config


def _are_cited(request: Request) -> bool:
    """Whether documents come back as sources: Messages refuses that together with a schema.

    ``extra={"citations": None}`` takes it back, such as for a server that does not know it.
    """
    extra = request.parameters.extra
    settings = extra.get("output_config")
    has_schema = request.schema is not None or "format" in (
        settings if isinstance(settings, Mapping) else {}
    )
    return not has_schema and extra.get("citations", True) is not None


def _turns(messages: tuple[Message, ...], *, cited: bool) -> list[dict[str, Any]]:
    """Alternating turns: consecutive messages of one role become blocks of one turn.

    Tool results belong to the user's turn and precede its other blocks.
    """
    turns: list[tuple[str, list[dict[str, Any]]]] = []
    for message in messages:
        if message.role == "system":
            continue
        role = "assistant" if message.role == "assistant" else "user"
        blocks = _blocks(message, cited=cited)
        if not blocks:  # an empty answer, such as of a stopped run: Messages would refuse it
            continue
        if not turns or turns[-1][0] != role:
            turns.append((role, []))
        turns[-1][1].extend(blocks)
    whole = anthropic_blocks.without_open_calls([blocks for _, blocks in turns])
    return [
        {"role": role, "content": _content(blocks)}
        for (role, _), blocks in zip(turns, whole, strict=True)
        if blocks
    ]


def _content(blocks: list[dict[str, Any]]) -> str | list[dict[str, Any]]:
    if len(blocks) == 1 and blocks[0]["type"] == "text":
        text: str = blocks[0]["text"]
        return text
    return sorted(blocks, key=lambda block: block["type"] != "tool_result")


def _blocks(message: Message, *, cited: bool) -> list[dict[str, Any]]:
    """The blocks of a message in its order: with their originals, else in their plain form.

    Messages refuses empty blocks, and reasoning that it has not signed.
    """
    if message.is_one_text:
        return [{"type": "text", "text": message.text}] if message.text.strip() else []
    blocks = []
    for part in message.content:
        block = anthropic_blocks.sent_back(part)
        if block is None and not (message.role == "assistant" and isinstance(part, ImagePart)):
            block = _block(part, cited=cited)
        blocks += [] if block is None else [block]
    return blocks


def _block(part: Part, *, cited: bool) -> dict[str, Any] | None:
    """A part in its plain form; None where Messages has no place for it."""
    match part:
        case TextPart(text) | RefusalPart(text) | AudioPart(transcript=text) if text.strip():
            return {"type": "text", "text": text}
        case ImagePart():
            return {"type": "image", "source": _source(part)}
        case FilePart():
            return documents.for_messages(part, cited=cited)
        case ToolCall():
            rest = original_for(part, anthropic_blocks.NAME) or {}
            call = {"type": "tool_use", "id": part.id, "name": part.name}
            return call | {"input": _input(part)} | rest
        case ToolResult():
            result = {"type": "tool_result", "tool_use_id": part.id, "content": part.text}
            return result | ({"is_error": True} if part.is_error else {})
    return None


def _source(part: ImagePart) -> dict[str, Any]:
    inline = images.inline(part)
    if inline is None:
        return {"type": "url", "url": locations.fetched(part.url, "image")}
    return {"type": "base64", "media_type": inline[0], "data": inline[1]}


def _input(call: ToolCall) -> dict[str, Any]:
    """The arguments, in the vendor's form where they are not valid JSON.

    https://docs.claude.com/en/docs/agents-and-tools/tool-use/fine-grained-tool-streaming
    """
    try:
        return arguments(call)
    except ValueError:
        return {"INVALID_JSON": call.arguments_json}


class Reader:
    """Reads a stream of Messages; see :class:`llm_playground.providers.streaming.Reader`."""

    def __init__(self) -> None:
        self.complete = False
        self.ended = False
        self.bad_end: endings.BadEnd | None = None
        self._finish_reason: FinishReason = "other"
        self._stop_sequence: str | None = None
        self._block: Block | None = None
        self._usage: dict[str, Any] = {}
        self._model: str | None = None
        self._blocks = anthropic_blocks.Blocks()
        self._delta = self._blocks.delta

    def read(self, event: dict[str, Any]) -> list[ProviderEvent]:
        match event.get("type"):
            case "content_block_delta":
                return self._delta(event.get("index"), event.get("delta") or {})
            case "content_block_start":
                return self._blocks.started(event.get("index"), event.get("content_block") or {})
            case "content_block_stop":
                return self._blocks.stopped(event.get("index"))
            case "message_start":
                message = event.get("message") or {}
                self._model = message.get("model")
                self._count(message.get("usage"))
                self._usage.pop("output_tokens", None)  # message_delta has the final count
            case "message_delta":
                self._count(event.get("usage"))
                return self._stop(event.get("delta") or {})
            case "message_stop":
                self.ended = True
            case "message":
                return list(read_each("event", _as_stream(event), self.read))
            case kind if kind != "ping":
                if (kind == "error" or not kind) and error_bodies.error_in(event) is not None:
                    raise streaming.stream_error(event)
                return unknown_event(event)
        return []

    def rest(self) -> list[ProviderEvent]:
        return []  # each event is read at once

    def finish(self, request_id: str | None) -> Finish:
        return Finish(
            self._finish_reason,
            usage.of_messages(self._usage),
            self._model if isinstance(self._model, str) else None,
            request_id,
            block=self._block,
            sources=self._blocks.sources(),
            stop_sequence=self._stop_sequence,
        )

    def _count(self, counts: object) -> None:
        if isinstance(counts, dict):
            self._usage = usage.merged(self._usage, counts)

    def _stop(self, delta: Mapping[str, Any]) -> list[ProviderEvent]:
        reason = delta.get("stop_reason")
        if reason is None:
            return []
        self.complete = True
        self._finish_reason = endings.finish_reason(reason)
        self.bad_end = endings.bad_end(reason)
        if reason == "stop_sequence":
            ended_at = delta.get("stop_sequence")
            self._stop_sequence = ended_at if isinstance(ended_at, str) else None
        if self._finish_reason == "content_filter":
            details = fields(delta.get("stop_details"))
            self._block = Block("answer", details.get("category"), details.get("explanation"))
        return self._blocks.ended(reason)


def _as_stream(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A message that came whole, as the events of a stream."""
    yield {"type": "message_start", "message": message}
    for index, block in enumerate(message.get("content") or ()):
        yield {"type": "content_block_start", "index": index, "content_block": block}
        yield {"type": "content_block_stop", "index": index}
    yield {"type": "message_delta", "delta": message, "usage": message.get("usage")}
    yield {"type": "message_stop"}


class AnthropicProvider:
    """Sends Messages requests to one endpoint."""

    wire_format: ClassVar[str] = "anthropic"

    def __init__(self, endpoint: Endpoint) -> None:
        import anthropic  # takes long; code generation uses this module without it

        self._endpoint = endpoint
        self._errors = (anthropic.APIStatusError, anthropic.APIConnectionError)
        self._client = self._connected(client_for(endpoint, anthropic.DefaultAioHttpClient))

    def _connected(self, http_client: httpx2.AsyncClient) -> _Client:
        """The SDK's client, which sends through ``http_client``."""
        from anthropic import AsyncAnthropic

        return AsyncAnthropic(
            api_key=self._endpoint.api_key,
            base_url=self._endpoint.address,
            **self._options(http_client),
        )

    def _options(self, http_client: httpx2.AsyncClient) -> dict[str, Any]:
        """The arguments that all of the SDK's clients take alike, but the base URL."""
        return {
            "default_query": dict(self._endpoint.query),
            "timeout": http_client.timeout,
            "max_retries": 0,
            "open_telemetry": False,
            "http_client": http_client,
        }

    def stream(self, request: Request) -> AsyncGenerator[ProviderEvent, None]:
        call = RequestContext(self._endpoint, request.model, request.parameters)
        return streaming.sdk_events(call, lambda: self._send(request), Reader(), *self._errors)

    def _send(self, request: Request) -> AbstractAsyncContextManager[streaming.Response]:
        wire_format = WIRE_FORMATS[self.wire_format]
        # extra_body replaces the placeholders that the SDK requires. Given the model's name, the
        # SDK would warn of models that are to be retired.
        return self._client.messages.with_streaming_response.create(
            model=self._model_argument(request),
            max_tokens=1,
            messages=[],
            stream=True,
            extra_headers=wire_format.headers_of(request, dict(self._endpoint.headers)),
            extra_body=wire_format.body(request),
        )

    def _model_argument(self, _request: Request) -> str:
        return ""

    async def aclose(self) -> None:
        await self._client.close()

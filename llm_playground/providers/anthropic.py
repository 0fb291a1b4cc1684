"""Anthropic's Messages: :func:`body`, :class:`Reader`, and the provider over the anthropic SDK.

Format: https://docs.claude.com/en/docs/build-with-claude/streaming. The SDK builds and sends the
HTTP request; the response is read as bytes.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any

from llm_playground.events import (
    Block,
    Finish,
    ProviderEvent,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
)
from llm_playground.parts import FilePart, ImagePart, ReasoningPart, TextPart, ToolCall, ToolResult
from llm_playground.providers import (
    Endpoint,
    RequestContext,
    documents,
    streaming,
    strict_schema,
    usage,
)
from llm_playground.providers.extra import merged
from llm_playground.providers.http import client_for
from llm_playground.providers.wire_formats import WIRE_FORMATS
from llm_playground.request import images
from llm_playground.types import FinishReason, Message, Request, Schema

# Sent where max_tokens is not set: Messages refuses a request without it.
DEFAULT_MAX_TOKENS = 4096

# The blocks of reasoning, the only ones that are sent back as they were received.
_THOUGHTS = ("thinking", "redacted_thinking")
_SAME_NAME = ("temperature", "top_p", "top_k")
_FINISH_REASONS: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_call",
    "refusal": "content_filter",
}
# Types of errors inside a stream, with the status they have outside one:
# https://docs.claude.com/en/api/errors
_ERROR_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}


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
        "messages": _turns(request.messages, cited=_are_cited(request)),
        **{name: value for name, value in settings.items() if value is not None},
        "stream": True,
    }
    return merged(content, parameters.extra) if parameters.extra else content


def _output_config(effort: str | None, schema: Schema | None) -> dict[str, Any]:
    config: dict[str, Any] = {} if effort is None else {"effort": effort}
    if schema is not None:
        rewritten = strict_schema.strict(schema.json_schema, strict_schema.ANTHROPIC)
        json_schema = schema.json_schema if rewritten is None else rewritten
        config["format"] = {"type": "json_schema", "schema": json_schema}
    return config


def _are_cited(request: Request) -> bool:
    """Whether documents come back as sources: Messages refuses that together with a schema."""
    return request.schema is None and "output_config" not in request.parameters.extra


def _turns(messages: tuple[Message, ...], *, cited: bool) -> list[dict[str, Any]]:
    """Alternating turns: consecutive messages of one role become blocks of one turn.

    Tool results belong to the user's turn and precede its other blocks.
    """
    turns: list[tuple[str, list[dict[str, Any]]]] = []
    for message in messages:
        if message.role == "system":
            continue
        role = "assistant" if message.role == "assistant" else "user"
        if not turns or turns[-1][0] != role:
            turns.append((role, []))
        turns[-1][1].extend(_blocks(message, cited=cited))
    return [{"role": role, "content": _content(blocks)} for role, blocks in turns]


def _content(blocks: list[dict[str, Any]]) -> str | list[dict[str, Any]]:
    if len(blocks) == 1 and blocks[0]["type"] == "text":
        text: str = blocks[0]["text"]
        return text
    return sorted(blocks, key=lambda block: block["type"] != "tool_result")


def _blocks(message: Message, *, cited: bool) -> list[dict[str, Any]]:
    """The blocks of a message: plain text as one block, reasoning first."""
    if all(isinstance(part, TextPart) for part in message.content):
        return [{"type": "text", "text": message.text}]
    reasoning = [part for part in message.content if isinstance(part, ReasoningPart)]
    blocks = [block for part in reasoning for block in _thoughts(part)]
    for part in message.content:
        match part:
            case TextPart(text) if text:  # Messages refuses an empty block
                blocks.append({"type": "text", "text": text})
            case ImagePart():
                blocks.append({"type": "image", "source": _source(part)})
            case FilePart():
                blocks.append(documents.for_messages(part, cited=cited))
            case ToolCall():
                blocks.append(
                    {"type": "tool_use", "id": part.id, "name": part.name, "input": _input(part)}
                )
            case ToolResult():
                result = {"type": "tool_result", "tool_use_id": part.id, "content": part.text}
                blocks.append(result | ({"is_error": True} if part.is_error else {}))
    return blocks


def _source(part: ImagePart) -> dict[str, Any]:
    inline = images.inline(part)
    if inline is None:
        return {"type": "url", "url": images.web_address(part)}
    return {"type": "base64", "media_type": inline[0], "data": inline[1]}


def _input(call: ToolCall) -> dict[str, Any]:
    """The arguments, in the vendor's form where they are not valid JSON.

    https://docs.claude.com/en/docs/agents-and-tools/tool-use/fine-grained-tool-streaming
    """
    try:
        return call.arguments
    except ValueError:
        return {"INVALID_JSON": call.arguments_json}


def _thoughts(part: ReasoningPart) -> list[dict[str, Any]]:
    """Reasoning as it was received; without a signature it would be refused, so it is left out."""
    if part.signature is None:
        return []
    if part.signature.startswith("["):  # see _ThinkingBlocks.signature
        with suppress(ValueError, RecursionError):
            blocks: list[Any] = json.loads(part.signature)
            if all(isinstance(each, dict) and each.get("type") in _THOUGHTS for each in blocks):
                return blocks
    return [{"type": "thinking", "thinking": part.text, "signature": part.signature}]


class Reader:
    """Reads a stream of Messages; see :class:`llm_playground.providers.streaming.Reader`."""

    def __init__(self) -> None:
        self.complete = False
        self.ended = False
        self._finish_reason: FinishReason = "other"
        self._block: Block | None = None
        self._usage: dict[str, Any] = {}
        self._model: str | None = None
        self._thoughts = _ThinkingBlocks()
        self._calls: dict[object, int] = {}

    def read(self, event: dict[str, Any]) -> list[ProviderEvent]:
        match event.get("type"):
            case "content_block_delta":
                return self._delta(event.get("index"), event.get("delta") or {})
            case "content_block_start":
                return self._started(event.get("index"), event.get("content_block") or {})
            case "message_start":
                message = event.get("message") or {}
                self._model = message.get("model")
                self._count(message.get("usage"))
                self._usage.pop("output_tokens", None)  # message_delta has the final count
            case "message_delta":
                self._count(event.get("usage"))
                self._stop(event.get("delta") or {})
            case "message_stop":
                self.ended = True
            case "error":
                kind = str((event.get("error") or {}).get("type"))
                raise streaming.StreamError(_ERROR_STATUS.get(kind, 500), json.dumps(event))
        return []

    def finish(self, request_id: str | None) -> Finish:
        return Finish(
            self._finish_reason,
            usage.of_messages(self._usage),
            self._model if isinstance(self._model, str) else None,
            request_id,
            block=self._block,
            reasoning_signature=self._thoughts.signature,
        )

    def _delta(self, index: object, delta: Mapping[str, Any]) -> list[ProviderEvent]:
        text = delta.get("text")
        if text and isinstance(text, str):
            return [TextDelta(text)]
        thinking = delta.get("thinking")
        if thinking and isinstance(thinking, str):
            self._thoughts.add(thinking)
            return [ReasoningDelta(thinking)]
        if delta.get("partial_json") and index in self._calls:  # other calls are of server tools
            return [ToolCallDelta(self._calls[index], str(delta["partial_json"]))]
        if delta.get("signature"):
            self._thoughts.sign(str(delta["signature"]))
        return []

    def _started(self, index: object, block: Mapping[str, Any]) -> list[ProviderEvent]:
        """The deltas in a block's start, which has the fields of deltas, mostly empty."""
        match block.get("type"):
            case "tool_use":
                self._calls[index] = len(self._calls)
                arguments = json.dumps(block["input"]) if block.get("input") else ""
                return [ToolCallDelta(self._calls[index], arguments, block["id"], block["name"])]
            case "thinking":
                self._thoughts.begin({"type": "thinking", "thinking": "", "signature": ""})
            case "redacted_thinking":
                self._thoughts.begin({"type": "redacted_thinking", "data": block.get("data", "")})
        return self._delta(index, block)

    def _count(self, usage: object) -> None:
        if isinstance(usage, dict):  # counts are cumulative: the latest of each holds
            self._usage |= {name: count for name, count in usage.items() if count is not None}

    def _stop(self, delta: Mapping[str, Any]) -> None:
        reason = delta.get("stop_reason")
        if reason is None:
            return
        self.complete = True
        self._finish_reason = _FINISH_REASONS.get(reason, "other")
        if self._finish_reason == "content_filter":
            details = usage.fields(delta.get("stop_details"))
            self._block = Block("answer", details.get("category"), details.get("explanation"))


class _ThinkingBlocks:
    """The thinking blocks of one answer, which have to be sent back unchanged."""

    def __init__(self) -> None:
        self._blocks: list[dict[str, str]] = []
        self._texts: list[str] = []

    def begin(self, block: dict[str, str]) -> None:
        self._close()
        self._blocks.append(block)

    def add(self, text: str) -> None:
        self._texts.append(text)

    def sign(self, signature: str) -> None:
        if self._blocks:
            self._blocks[-1]["signature"] = self._blocks[-1].get("signature", "") + signature

    @property
    def signature(self) -> str | None:
        """The signature of a single block; several blocks, or a redacted one, as JSON."""
        self._close()
        match self._blocks:
            case []:
                return None
            case [{"type": "thinking", "signature": signature}]:
                return signature or None
        return json.dumps(self._blocks)

    def _close(self) -> None:
        if self._blocks and self._texts:
            self._blocks[-1]["thinking"] = "".join(self._texts)
        self._texts = []


class AnthropicProvider:
    """Speaks Messages to one endpoint."""

    def __init__(self, endpoint: Endpoint) -> None:
        import anthropic  # takes long; code generation uses this module without it

        self._endpoint = endpoint
        self._errors = (anthropic.APIStatusError, anthropic.APIConnectionError)
        http_client = client_for(endpoint, anthropic.DefaultAioHttpClient)
        self._client = anthropic.AsyncAnthropic(
            api_key=endpoint.api_key,
            base_url=endpoint.address,
            default_query=dict(endpoint.query),
            timeout=http_client.timeout,
            max_retries=0,
            open_telemetry=False,
            http_client=http_client,
        )

    def stream(self, request: Request) -> AsyncGenerator[ProviderEvent, None]:
        call = RequestContext(self._endpoint, request.model, request.parameters)
        return streaming.sdk_events(call, lambda: self._send(request), Reader(), *self._errors)

    def _send(self, request: Request) -> AbstractAsyncContextManager[streaming.Response]:
        wire_format = WIRE_FORMATS["anthropic"]
        # extra_body replaces the placeholders that the SDK requires. Given the model's name, the
        # SDK would warn of models that are to be retired.
        return self._client.messages.with_streaming_response.create(
            model="",
            max_tokens=1,
            messages=[],
            stream=True,
            extra_headers=wire_format.headers_of(request, dict(self._endpoint.headers)),
            extra_body=wire_format.body(request),
        )

    async def aclose(self) -> None:
        await self._client.close()

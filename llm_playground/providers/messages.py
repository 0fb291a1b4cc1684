"""Messages, Anthropic's wire format: a request as its JSON body, a stream's JSON as events.

Format: https://docs.claude.com/en/docs/build-with-claude/streaming.
"""

from __future__ import annotations

import json
from typing import Any

from llm_playground.providers import answer
from llm_playground.types import (
    Finish,
    FinishReason,
    Message,
    ProviderEvent,
    ReasoningDelta,
    Request,
    TextDelta,
    Usage,
)

# The one parameter that is sent though nobody set it: Messages refuses a request without it.
DEFAULT_MAX_TOKENS = 4096

_SAME_NAME = ("temperature", "top_p", "top_k")
_FINISH_REASONS: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_call",
    "refusal": "content_filter",
}
# Error types inside a stream, by the status they have outside one:
# https://docs.claude.com/en/api/errors
_FAULT_STATUS = {
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
    """The request's JSON body; but for ``max_tokens``, a parameter nobody set is not in it.

    Messages has no seed and no penalties; those are left out.

    >>> from llm_playground.types import Message, TextPart
    >>> body(Request("anthropic:m", (Message("user", (TextPart("hi"),)),)))
    ... # doctest: +NORMALIZE_WHITESPACE
    {'model': 'm', 'max_tokens': 4096, 'messages': [{'role': 'user', 'content': 'hi'}],
     'stream': True}
    """
    parameters = request.parameters
    effort = parameters.reasoning_effort
    settings = {name: getattr(parameters, name) for name in _SAME_NAME} | {
        "system": request.system,
        "stop_sequences": None if parameters.stop is None else list(parameters.stop),
        "output_config": None if effort is None else {"effort": effort},
    }
    return {
        "model": request.model_name,
        "max_tokens": parameters.max_tokens or DEFAULT_MAX_TOKENS,
        "messages": _turns(request.messages),
        **{name: value for name, value in settings.items() if value is not None},
        **parameters.extra,
        "stream": True,  # last: whatever extra says, a stream is what is read here
    }


def _turns(messages: tuple[Message, ...]) -> list[dict[str, Any]]:
    """Alternating turns: neighbours of one role become blocks of one turn."""
    turns: list[tuple[str, list[str]]] = []
    for message in messages:
        if message.role == "system":
            continue
        if turns and turns[-1][0] == message.role:
            turns[-1][1].append(message.text)
        else:
            turns.append((message.role, [message.text]))
    return [{"role": role, "content": _blocks(texts)} for role, texts in turns]


def _blocks(texts: list[str]) -> str | list[dict[str, str]]:
    return texts[0] if len(texts) == 1 else [{"type": "text", "text": text} for text in texts]


class Reader:
    """See :class:`llm_playground.providers.answer.Reader`."""

    def __init__(self) -> None:
        self.complete = False
        self.ended = False
        self._finish_reason: FinishReason = "other"
        self._usage: dict[str, Any] = {}
        self._model: str | None = None

    def read(self, event: dict[str, Any]) -> list[ProviderEvent]:
        """What one event's JSON adds."""
        match event.get("type"):
            case "content_block_delta":
                return _deltas(event.get("delta") or {})
            case "content_block_start":
                return _deltas(event.get("content_block") or {})
            case "message_start":
                message = event.get("message") or {}
                self._model = message.get("model")
                # Output is counted only so far: the final count comes in message_delta.
                self._count({**(message.get("usage") or {}), "output_tokens": None})
            case "message_delta":
                self._count(event.get("usage") or {})
                self._stop((event.get("delta") or {}).get("stop_reason"))
            case "message_stop":
                self.ended = True
            case "error":
                kind = str((event.get("error") or {}).get("type"))
                raise answer.StreamFaultError(_FAULT_STATUS.get(kind, 500), json.dumps(event))
        return []

    def finish(self, request_id: str | None) -> Finish:
        """The last event."""
        usage = _usage(self._usage) if self._usage else None
        return Finish(self._finish_reason, usage, self._model, request_id)

    def _count(self, usage: dict[str, Any]) -> None:
        """Counts are cumulative: the latest of each holds."""
        self._usage |= {name: count for name, count in usage.items() if count is not None}

    def _stop(self, reason: str | None) -> None:
        if reason is not None:
            self.complete = True
            self._finish_reason = _FINISH_REASONS.get(reason, "other")


def _deltas(delta: dict[str, Any]) -> list[ProviderEvent]:
    """Text and thinking; a block's start has the same fields, mostly empty."""
    if delta.get("text"):
        return [TextDelta(delta["text"])]
    if delta.get("thinking"):
        return [ReasoningDelta(delta["thinking"])]
    return []


def _usage(usage: dict[str, Any]) -> Usage:
    """Made inclusive: Messages counts cached input apart from input_tokens."""
    read, write = usage.get("cache_read_input_tokens"), usage.get("cache_creation_input_tokens")
    uncached = usage.get("input_tokens")
    return Usage(
        input_tokens=None if uncached is None else uncached + (read or 0) + (write or 0),
        output_tokens=usage.get("output_tokens"),
        cache_read_tokens=read,
        cache_write_tokens=write,
        reasoning_tokens=(usage.get("output_tokens_details") or {}).get("thinking_tokens"),
    )

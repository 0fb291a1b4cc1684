"""Chat Completions, the wire format: a request as its JSON body, a stream's JSON as events.

Format: https://platform.openai.com/docs/api-reference/chat-streaming. Spoken by OpenAI, the
embedded server, and every endpoint that imitates OpenAI.
"""

from __future__ import annotations

import json
from typing import Any

from llm_playground.providers import answer, faults
from llm_playground.types import (
    Finish,
    FinishReason,
    ProviderEvent,
    ReasoningDelta,
    Request,
    TextDelta,
    Usage,
)

# Parameters that keep their name in the body; max_tokens does not, see body().
_SAME_NAME = (
    "temperature",
    "top_p",
    "top_k",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "reasoning_effort",
)
_FINISH_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "content_filter": "content_filter",
    "tool_calls": "tool_call",
    "function_call": "tool_call",
}
# What an error inside a stream says instead of a status: OpenAI's codes and types.
_FAULT_STATUS = {
    "context_length_exceeded": 400,
    "invalid_request_error": 400,
    "invalid_api_key": 401,
    "authentication_error": 401,
    "permission_error": 403,
    "model_not_found": 404,
    "insufficient_quota": 429,
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "tokens": 429,
    "requests": 429,
}


def body(request: Request) -> dict[str, Any]:
    """The request's JSON body; a parameter nobody set is not in it.

    >>> from llm_playground.types import Message, Parameters, TextPart
    >>> body(Request("local:m", (Message("user", (TextPart("hi"),)),), Parameters(max_tokens=5)))
    ... # doctest: +NORMALIZE_WHITESPACE
    {'model': 'm', 'messages': [{'role': 'user', 'content': 'hi'}], 'max_tokens': 5,
     'stream_options': {'include_usage': True}, 'stream': True}
    """
    parameters = request.parameters
    limit = "max_completion_tokens" if request.provider == "openai" else "max_tokens"
    settings = {name: getattr(parameters, name) for name in _SAME_NAME}
    settings |= {
        limit: parameters.max_tokens,
        "stop": None if parameters.stop is None else list(parameters.stop),
    }
    return {
        "model": request.model_name,
        "messages": [
            {"role": message.role, "content": message.text} for message in request.messages
        ],
        **{name: value for name, value in settings.items() if value is not None},
        "stream_options": {"include_usage": True},
        **parameters.extra,
        "stream": True,  # last: whatever extra says, a stream is what is read here
    }


class Reader:
    """See :class:`llm_playground.providers.answer.Reader`."""

    def __init__(self) -> None:
        self.complete = False
        self.ended = False
        self._finish_reason: FinishReason = "other"
        self._usage: Usage | None = None
        self._model: str | None = None

    def read(self, event: dict[str, Any]) -> list[ProviderEvent]:
        """What one event's JSON adds."""
        if event.get("error"):
            raise answer.StreamFaultError(_fault_status(event["error"]), json.dumps(event))
        self._model = event.get("model") or self._model
        if event.get("usage"):
            self._usage = _usage(event["usage"])
        choices = event.get("choices")
        if not choices:  # the usage chunk; some send null
            return []
        choice = choices[0]
        if choice.get("finish_reason"):
            self.complete = True
            self._finish_reason = _FINISH_REASONS.get(choice["finish_reason"], "other")
        return _deltas(choice.get("delta") or {})

    def finish(self, request_id: str | None) -> Finish:
        """The last event."""
        return Finish(self._finish_reason, self._usage, self._model, request_id)


def _deltas(delta: dict[str, Any]) -> list[ProviderEvent]:
    """Text and reasoning; vLLM, DeepSeek and llama.cpp name it one way, OpenRouter the other."""
    deltas: list[ProviderEvent] = []
    reasoning = delta.get("reasoning_content") or delta.get("reasoning")
    if reasoning and isinstance(reasoning, str):
        deltas.append(ReasoningDelta(reasoning))
    text = delta.get("content") or delta.get("refusal")
    if text and isinstance(text, str):
        deltas.append(TextDelta(text))
    return deltas


def _usage(usage: dict[str, Any]) -> Usage:
    """Inclusive as it comes: prompt_tokens holds cached, completion_tokens holds reasoning."""
    prompt = usage.get("prompt_tokens_details") or {}
    completion = usage.get("completion_tokens_details") or {}
    return Usage(
        input_tokens=usage.get("prompt_tokens"),
        output_tokens=usage.get("completion_tokens"),
        cache_read_tokens=prompt.get("cached_tokens"),
        cache_write_tokens=prompt.get("cache_write_tokens"),
        reasoning_tokens=completion.get("reasoning_tokens"),
    )


def _fault_status(error: object) -> int:
    """The status an error object stands for; 500 where it names none that is known."""
    named = faults.status_in(error)  # OpenRouter, llama.cpp
    if named is not None or not isinstance(error, dict):
        return named or 500
    names = (error.get("code"), error.get("type"))
    return next((_FAULT_STATUS[name] for name in names if name in _FAULT_STATUS), 500)

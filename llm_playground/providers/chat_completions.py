"""Chat Completions, the wire format: a request as its JSON body, a stream's JSON as events.

Format: https://platform.openai.com/docs/api-reference/chat-streaming. Spoken by OpenAI, the
embedded server, and every endpoint that imitates OpenAI.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from llm_playground.events import (
    Block,
    Finish,
    ProviderEvent,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
)
from llm_playground.providers import answer, faults, pictures, strict_schema
from llm_playground.providers import usage as usages
from llm_playground.types import (
    FinishReason,
    ImagePart,
    Message,
    Request,
    Schema,
    TextPart,
    TokenLogprob,
    Tool,
    ToolCall,
    ToolResult,
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
# llama.cpp takes "no alternatives" for "no log probabilities".
_LLAMA_CPP = frozenset({"local", "llama.cpp"})
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
        **_logprobs(request),
        "tools": [_tool(tool, request.provider) for tool in request.tools] or None,
        "response_format": None if request.schema is None else _format(request.schema),
    }
    return {
        "model": request.model_name,
        "messages": [turn for message in request.messages for turn in _turns(message)],
        **{name: value for name, value in settings.items() if value is not None},
        "stream_options": {"include_usage": True},
        **parameters.extra,
        "stream": True,  # last: whatever extra says, a stream is what is read here
    }


def _logprobs(request: Request) -> dict[str, Any]:
    wanted = request.parameters.logprobs
    if wanted is None:
        return {}
    return {
        "logprobs": True,
        "top_logprobs": max(wanted, 1) if request.provider in _LLAMA_CPP else wanted,
    }


def _tool(tool: Tool, provider: str) -> dict[str, Any]:
    """A tool; OpenAI holds the model to its schema where that can be said strictly."""
    about: dict[str, Any] = {"name": tool.name, "description": tool.description}
    rewritten = strict_schema.strict(tool.parameters, strict_schema.OPENAI)
    if provider == "openai" and rewritten is not None:
        about |= {"parameters": rewritten, "strict": True}
    else:  # an imitation may not know the word "strict"
        about["parameters"] = tool.parameters
    return {"type": "function", "function": about}


def _format(schema: Schema) -> dict[str, Any]:
    rewritten = strict_schema.strict(schema.json_schema, strict_schema.OPENAI)
    return {
        "type": "json_schema",
        "json_schema": {
            "name": re.sub(r"[^A-Za-z0-9_-]", "_", schema.name)[:64] or "answer",
            "schema": schema.json_schema if rewritten is None else rewritten,
            "strict": rewritten is not None,
        },
    }


def _turns(message: Message) -> Iterator[dict[str, Any]]:
    """A message as this format has it: each tool's result is a turn of its own.

    Reasoning has no place in it.
    """
    results = [part for part in message.content if isinstance(part, ToolResult)]
    for result in results:
        yield {"role": "tool", "tool_call_id": result.id, "content": result.text}
    calls = [_call(part) for part in message.content if isinstance(part, ToolCall)]
    if calls:
        yield {"role": "assistant", "content": message.text or None, "tool_calls": calls}
    elif any(isinstance(part, ImagePart) for part in message.content):
        parts = [_part(part) for part in message.content if isinstance(part, (TextPart, ImagePart))]
        yield {"role": message.role, "content": parts}
    elif message.text or not results:
        yield {"role": message.role, "content": message.text}


def _call(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments_json}
    return {"id": call.id, "type": "function", "function": function}


def _part(part: TextPart | ImagePart) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    return {"type": "image_url", "image_url": {"url": pictures.data_url(part)}}


class Reader:
    """See :class:`llm_playground.providers.answer.Reader`."""

    def __init__(self) -> None:
        self.complete = False
        self.ended = False
        self._finish_reason: FinishReason = "other"
        self._usage: object = None
        self._model: str | None = None
        self._refusal: list[str] = []
        self._filtered: str | None = None
        self._calls = _Calls()
        self._logprobs: list[Mapping[str, Any]] = []

    def read(self, event: dict[str, Any]) -> list[ProviderEvent]:
        """What one event's JSON adds."""
        if event.get("error"):
            raise answer.StreamFaultError(_fault_status(event["error"]), json.dumps(event))
        if not self._model:
            self._model = event.get("model")
        if event.get("usage"):  # cumulative where it comes more than once
            self._usage = event["usage"]
        choices = event.get("choices")
        if not choices:  # the usage chunk; some send null
            return []
        choice = choices[0]
        if choice.get("index"):  # another answer, of extra's n
            return []
        if choice.get("logprobs"):
            self._logprobs += _tokens(choice["logprobs"], "content")
        if choice.get("finish_reason"):
            self._end(choice)
        return self._deltas(choice.get("delta") or {})

    def finish(self, request_id: str | None) -> Finish:
        """The last event."""
        reason, block = self._finish_reason, None
        if self._refusal:
            reason, block = "content_filter", Block("answer", reason="".join(self._refusal))
        elif reason == "content_filter":
            block = Block("answer", self._filtered)
        elif reason == "stop" and self._calls.ids:  # as some imitations end a tool call
            reason = "tool_call"
        return Finish(
            reason,
            usages.of_chat_completions(self._usage),
            self._model if isinstance(self._model, str) else None,
            request_id,
            block=block,
            logprobs=tuple(map(_token, self._logprobs)),
        )

    def _end(self, choice: dict[str, Any]) -> None:
        self.complete = True
        self._finish_reason = _FINISH_REASONS.get(choice["finish_reason"], "other")
        if choice.get("usage"):  # Moonshot's place for it
            self._usage = choice["usage"]
        if choice.get("content_filter_results"):  # Azure's
            self._filtered = _filtered(choice["content_filter_results"])

    def _deltas(self, delta: dict[str, Any]) -> list[ProviderEvent]:
        """Text and reasoning, which vLLM, DeepSeek and llama.cpp name one way, OpenRouter other."""
        deltas: list[ProviderEvent] = []
        reasoning = delta.get("reasoning_content") or delta.get("reasoning")
        if reasoning and isinstance(reasoning, str):
            deltas.append(ReasoningDelta(reasoning))
        text = delta.get("content")
        if text:
            if isinstance(text, str):
                deltas.append(TextDelta(text))
            else:
                deltas += _from_parts(text)
        refusal = delta.get("refusal")
        if refusal and isinstance(refusal, str):
            self._refusal.append(refusal)
            deltas.append(TextDelta(refusal))
        if delta.get("tool_calls"):
            deltas += map(self._calls.delta, delta["tool_calls"])
        return deltas


class _Calls:
    """Tells the tool calls of one answer apart: by index, and by id where the index is no help."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self._places: dict[object, int] = {}

    def delta(self, said: dict[str, Any]) -> ToolCallDelta:
        """One entry of ``delta.tool_calls`` as ours."""
        function = said.get("function") or {}
        arguments = function.get("arguments", "")
        if not isinstance(arguments, str):
            arguments = "" if arguments is None else json.dumps(arguments)
        place = self._places.get(said.get("index"))
        if place is not None and said.get("id") in (None, "", self.ids[place]):
            return ToolCallDelta(place, arguments)
        place, call_id = len(self.ids), said.get("id") or f"call_{uuid.uuid4().hex}"
        self.ids.append(call_id)
        self._places[said.get("index")] = place
        return ToolCallDelta(place, arguments, call_id, function.get("name"))


def _from_parts(parts: list[dict[str, Any]]) -> Iterator[ProviderEvent]:
    """Content as parts, as Mistral's reasoning models stream it."""
    for part in parts:
        if part.get("type") == "text" and part.get("text"):
            yield TextDelta(part["text"])
        elif part.get("type") == "thinking":
            yield from (ReasoningDelta(piece["text"]) for piece in part["thinking"])


def _filtered(results: object) -> str | None:
    """The category in which Azure's filter says it held the answer back."""
    if not isinstance(results, Mapping):
        return None
    return next(
        (
            name
            for name, result in results.items()
            if isinstance(result, Mapping) and result.get("filtered") is True
        ),
        None,
    )


def _tokens(holder: object, field: str) -> list[Mapping[str, Any]]:
    """The entries of a list of tokens that have a token and its log probability."""
    entries = holder.get(field) if isinstance(holder, Mapping) else None
    return [
        entry
        for entry in (entries if isinstance(entries, list) else ())
        if isinstance(entry, Mapping)
        and isinstance(entry.get("token"), str)
        and isinstance(entry.get("logprob"), (int, float))
    ]


def _token(entry: Mapping[str, Any]) -> TokenLogprob:
    top = [(one["token"], one["logprob"]) for one in _tokens(entry, "top_logprobs")]
    return TokenLogprob(entry["token"], entry["logprob"], tuple(top))


def _fault_status(error: object) -> int:
    """The status an error object stands for; 500 where it names none that is known."""
    named = faults.status_in(error)  # OpenRouter, llama.cpp
    if named is not None or not isinstance(error, dict):
        return named or 500
    names = (error.get("code"), error.get("type"))
    return next((_FAULT_STATUS[name] for name in names if name in _FAULT_STATUS), 500)

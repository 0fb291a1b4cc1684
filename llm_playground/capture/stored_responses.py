"""Responses that are given in place of sending a request: refusals, and answers of the log.

An answer of the log is written in the wire format that the library reads, whole or as a stream.
The same answer always gives the same bytes.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from llm_playground.capture.requests import RecordedCall
from llm_playground.parts import (
    AnswerPart,
    AudioPart,
    ImagePart,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCall,
    original_for,
)
from llm_playground.providers import anthropic_blocks, gemini_parts, openai_responses_items
from llm_playground.providers.contents import dumps
from llm_playground.recording.entries import StoredAnswer
from llm_playground.redaction import printable
from llm_playground.types import FinishReason, Run, Usage

Json = dict[str, Any]
# What a budget's refusal advises, in the words for calls of other libraries.
_OVERRIDE = ('pass override="reason"', 'lp.record(override="reason")')
_ERROR_TYPES = {402: "billing_error", 403: "permission_error"}  # of Anthropic
_SSE = "text/event-stream; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Substitute:
    """A response that is given in place of sending a request."""

    status_code: int
    content_type: str
    body: bytes

    @property
    def headers(self) -> dict[str, str]:
        """The headers. The SDKs of OpenAI and Anthropic do not repeat a refused request then."""
        refused = {"x-should-retry": "false"} if self.status_code >= 400 else {}
        return {"content-type": self.content_type, "x-request-id": "llm_playground", **refused}


def refusal(wire_format: str, status_code: int, reason: Exception) -> Substitute:
    """An error response with ``reason`` in the form of a wire format.

    >>> refusal("openai", 402, ValueError("No.")).body
    b'{"error":{"message":"No.","type":"llm_playground","param":null,"code":"not_sent"}}'
    """
    message = printable(str(reason)).replace(*_OVERRIDE)
    error: Json = {"message": message, "type": "llm_playground", "param": None, "code": "not_sent"}
    if wire_format == "anthropic":
        error = {"type": _ERROR_TYPES.get(status_code, "not_found_error"), "message": message}
    elif wire_format == "gemini":
        status = "PERMISSION_DENIED" if status_code == 403 else "FAILED_PRECONDITION"
        error = {"code": status_code, "message": message, "status": status}
    content: Json = {"error": error}
    if wire_format == "anthropic":
        content = {"type": "error", "error": error}
    return Substitute(status_code, "application/json", dumps(content).encode())


def response(wire_format: str, call: RecordedCall, found: StoredAnswer) -> Substitute:
    """A stored answer as the vendor's response to a call: the recorded bytes, or in its format."""
    stored, kept = found.run, found.response or {}
    match kept:
        case {"streamed": bool(streamed), "content_type": str(content_type), "body": str(body)} if (
            streamed is call.streams
        ):
            return Substitute(200, content_type, body.encode("utf-8", "replace"))
    whole, events = _WRITERS[wire_format]
    model = stored.response_model or call.request.model_name
    answer = whole(model, stored)
    if not call.streams:
        return Substitute(200, "application/json", dumps(answer).encode())
    return Substitute(200, _SSE, "".join(events(answer)).encode())


def _event(content: Json, name: str | None = None) -> str:
    named = "" if name is None else f"event: {name}\n"
    return f"{named}data: {dumps(content)}\n\n"


def _number(count: int | None) -> int:
    return count or 0


def _id(prefix: str, stored: Run) -> str:
    call_ids = "-".join(call.id for call in stored.tool_calls)
    return prefix + (call_ids or "stored")[:40]


_CHAT_REASONS: Mapping[FinishReason | None, str] = {
    "length": "length",
    "content_filter": "content_filter",
    "tool_call": "tool_calls",
}


def _chat(model: str, stored: Run) -> Json:
    """An object of Chat Completions."""
    refusals = [part.text for part in stored.parts if isinstance(part, RefusalPart)]
    calls = [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments_json},
        }
        for call in stored.tool_calls
    ]
    message: Json = {
        "role": "assistant",
        "content": None if refusals or not (stored.text or not calls) else stored.text,
        "refusal": "".join(refusals) or None,
    }
    if stored.reasoning:
        message["reasoning_content"] = stored.reasoning
    if calls:
        message["tool_calls"] = calls
    reason = _CHAT_REASONS.get(stored.finish_reason, "stop")
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
    return {
        "id": _id("chatcmpl-", stored),
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [choice],
        "usage": _chat_usage(stored.usage),
    }


def _chat_usage(usage: Usage | None) -> Json | None:
    if usage is None:
        return None
    return {
        "prompt_tokens": _number(usage.input_tokens),
        "completion_tokens": _number(usage.output_tokens),
        "total_tokens": _number(usage.total_tokens),
        "prompt_tokens_details": {"cached_tokens": _number(usage.cache_read_tokens)},
        "completion_tokens_details": {"reasoning_tokens": _number(usage.reasoning_tokens)},
    }


def _chat_events(whole: Json) -> Iterator[str]:
    choice, usage = whole["choices"][0], whole["usage"]
    chunk = {**whole, "object": "chat.completion.chunk", "usage": None}
    message = choice["message"]
    calls = [{"index": n, **call} for n, call in enumerate(message.get("tool_calls", ()))]
    delta = {**message, **({"tool_calls": calls} if calls else {})}
    begun = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
    yield _event({**chunk, "choices": [begun]})
    ended = {"index": 0, "delta": {}, "logprobs": None, "finish_reason": choice["finish_reason"]}
    yield _event({**chunk, "choices": [ended]})
    if usage is not None:
        yield _event({**chunk, "choices": [], "usage": usage})
    yield "data: [DONE]\n\n"


_MESSAGES_REASONS: Mapping[FinishReason | None, str] = {
    "length": "max_tokens",
    "content_filter": "refusal",
    "tool_call": "tool_use",
}


def _messages(model: str, stored: Run) -> Json:
    """A message of Anthropic's Messages."""
    reason = _MESSAGES_REASONS.get(stored.finish_reason, "end_turn")
    usage = stored.usage or Usage()
    cached = _number(usage.cache_read_tokens) + _number(usage.cache_write_tokens)
    return {
        "id": _id("msg_", stored),
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [block for part in stored.parts if (block := _block(part)) is not None],
        "stop_reason": "stop_sequence" if stored.stop_sequence else reason,
        "stop_sequence": stored.stop_sequence,
        "usage": {
            "input_tokens": max(_number(usage.input_tokens) - cached, 0),
            "output_tokens": _number(usage.output_tokens),
            "cache_read_input_tokens": _number(usage.cache_read_tokens),
            "cache_creation_input_tokens": _number(usage.cache_write_tokens),
        },
    }


def _block(part: AnswerPart) -> Json | None:
    known = anthropic_blocks.sent_back(part)
    if known is not None:
        return known
    match part:
        case TextPart(text) | RefusalPart(text):
            return {"type": "text", "text": text}
        case ReasoningPart(text):
            return {"type": "thinking", "thinking": text, "signature": ""}
        case ToolCall():
            called = {"type": "tool_use", "id": part.id, "name": part.name}
            return {**called, "input": _arguments(part)}
    return None


def _arguments(call: ToolCall) -> Json:
    try:
        return call.arguments
    except ValueError:
        return {"INVALID_JSON": call.arguments_json}


def _messages_events(whole: Json) -> Iterator[str]:
    begun = {**whole, "content": [], "stop_reason": None, "stop_sequence": None}
    yield _event({"type": "message_start", "message": begun}, "message_start")
    for index, block in enumerate(whole["content"]):
        empty, deltas = _begun_block(block)
        start = {"type": "content_block_start", "index": index, "content_block": empty}
        yield _event(start, "content_block_start")
        for delta in deltas:
            changed = {"type": "content_block_delta", "index": index, "delta": delta}
            yield _event(changed, "content_block_delta")
        yield _event({"type": "content_block_stop", "index": index}, "content_block_stop")
    delta = {name: whole[name] for name in ("stop_reason", "stop_sequence")}
    ended = {"type": "message_delta", "delta": delta, "usage": whole["usage"]}
    yield _event(ended, "message_delta")
    yield _event({"type": "message_stop"}, "message_stop")


def _begun_block(block: Json) -> tuple[Json, list[Json]]:
    """A block as it begins, and the deltas that complete it."""
    match block["type"]:
        case "text":
            citations = block.get("citations") or ()
            cited = [{"type": "citations_delta", "citation": one} for one in citations]
            text = {"type": "text_delta", "text": block["text"]}
            return {"type": "text", "text": ""}, [*cited, text]
        case "thinking":
            thought = {"type": "thinking_delta", "thinking": block["thinking"]}
            signed = {"type": "signature_delta", "signature": block.get("signature", "")}
            return {"type": "thinking", "thinking": "", "signature": ""}, [thought, signed]
        case "tool_use" | "server_tool_use":
            written = {"type": "input_json_delta", "partial_json": dumps(block["input"])}
            return {**block, "input": {}}, [written]
    return block, []


def _responses(model: str, stored: Run) -> Json:
    """A response of OpenAI's Responses."""
    usage, is_cut = stored.usage, stored.finish_reason in ("length", "content_filter")
    why = "max_output_tokens" if stored.finish_reason == "length" else "content_filter"
    counts = usage and {
        "input_tokens": _number(usage.input_tokens),
        "input_tokens_details": {
            "cached_tokens": _number(usage.cache_read_tokens),
            "cache_write_tokens": _number(usage.cache_write_tokens),
        },
        "output_tokens": _number(usage.output_tokens),
        "output_tokens_details": {"reasoning_tokens": _number(usage.reasoning_tokens)},
        "total_tokens": _number(usage.total_tokens),
    }
    return {
        "id": _id("resp_", stored),
        "object": "response",
        "created_at": 0,
        "status": "incomplete" if is_cut else "completed",
        "error": None,
        "incomplete_details": {"reason": why} if is_cut else None,
        "instructions": None,
        "metadata": {},
        "model": model,
        "output": list(_output(stored)),
        "parallel_tool_calls": True,
        "temperature": None,
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        "usage": counts,
    }


def _output(stored: Run) -> Iterator[Json]:
    """The items: as they came, where the answer is of this format, else in their plain form."""
    last: Json | None = None
    for number, part in enumerate(stored.parts):
        item = original_for(part, openai_responses_items.NAME)
        if item is None:
            item = _item(part, number)
        if item is not None and item != last:  # one item may be several parts
            yield item
        last = item


def _item(part: AnswerPart, number: int) -> Json | None:
    match part:
        case TextPart(text):
            content = [{"type": "output_text", "text": text, "annotations": []}]
        case RefusalPart(text):
            content = [{"type": "refusal", "refusal": text}]
        case ReasoningPart(text):
            summary = [{"type": "summary_text", "text": text}]
            return {"type": "reasoning", "id": f"rs_{number}", "summary": summary}
        case ToolCall():
            return {
                "type": "function_call",
                "id": f"fc_{number}",
                "call_id": part.id,
                "name": part.name,
                "arguments": part.arguments_json,
                "status": "completed",
            }
        case _:
            return None
    return {
        "type": "message",
        "id": f"msg_{number}",
        "role": "assistant",
        "status": "completed",
        "content": content,
    }


def _responses_events(whole: Json) -> Iterator[str]:
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    numbered = enumerate(_response_events(begun, whole))
    for number, event in numbered:
        yield _event({**event, "sequence_number": number}, event["type"])


def _response_events(begun: Json, whole: Json) -> Iterator[Json]:
    yield {"type": "response.created", "response": begun}
    for place, item in enumerate(whole["output"]):
        at = {"output_index": place, "item_id": item.get("id", "")}
        empty: Json = {"content": []} if item.get("type") == "message" else {}
        opened = {**item, **empty, "status": "in_progress"}
        yield {"type": "response.output_item.added", "output_index": place, "item": opened}
        contents = item["content"] if item.get("type") == "message" else ()
        for index, content in enumerate(contents):
            yield from _content_events({**at, "content_index": index}, content)
        if item.get("type") == "function_call":
            written = {"delta": item["arguments"], **at}
            yield {"type": "response.function_call_arguments.delta", **written}
            done = {"arguments": item["arguments"], "name": item["name"], **at}
            yield {"type": "response.function_call_arguments.done", **done}
        yield {"type": "response.output_item.done", "output_index": place, "item": item}
    yield {"type": f"response.{whole['status']}", "response": whole}


def _content_events(at: Json, content: Json) -> Iterator[Json]:
    kind, field = ("output_text", "text") if "text" in content else ("refusal", "refusal")
    empty = {**content, field: ""}
    logprobs: Json = {"logprobs": []} if kind == "output_text" else {}
    yield {"type": "response.content_part.added", **at, "part": empty}
    yield {"type": f"response.{kind}.delta", **at, "delta": content[field], **logprobs}
    yield {"type": f"response.{kind}.done", **at, field: content[field], **logprobs}
    yield {"type": "response.content_part.done", **at, "part": content}


_GEMINI_REASONS: Mapping[FinishReason | None, str] = {
    "length": "MAX_TOKENS",
    "content_filter": "SAFETY",
}


def _gemini(model: str, stored: Run) -> Json:
    """A response of generateContent."""
    usage = stored.usage or Usage()
    thoughts = _number(usage.reasoning_tokens)
    parts = [sent for part in stored.parts if (sent := _gemini_part(part)) is not None]
    reason = _GEMINI_REASONS.get(stored.finish_reason, "STOP")
    candidate = {"content": {"role": "model", "parts": parts}, "finishReason": reason, "index": 0}
    return {
        "candidates": [candidate],
        "usageMetadata": {
            "promptTokenCount": _number(usage.input_tokens),
            "candidatesTokenCount": max(_number(usage.output_tokens) - thoughts, 0),
            "thoughtsTokenCount": thoughts,
            "cachedContentTokenCount": _number(usage.cache_read_tokens),
            "totalTokenCount": _number(usage.total_tokens),
        },
        "modelVersion": model,
        "responseId": _id("", stored),
    }


def _gemini_part(part: AnswerPart) -> Json | None:
    known = gemini_parts.sent_back(part)
    if known is not None:
        return known
    original = original_for(part, gemini_parts.NAME) or {}
    match part:
        case TextPart(text) | RefusalPart(text):
            return {"text": text}
        case ReasoningPart(text):
            return {"text": text, "thought": True}
        case ImagePart() | AudioPart() if part.data is not None:
            data = base64.b64encode(part.data).decode()
            return {"inlineData": {"mimeType": part.media_type, "data": data}, **original}
        case ToolCall():
            named = {} if part.id.startswith(gemini_parts.OWN_ID) else {"id": part.id}
            call = {**named, "name": part.name, "args": _arguments(part)}
            return {"functionCall": call, **original}
    return None


def _gemini_events(whole: Json) -> Iterator[str]:
    yield f"data: {json.dumps(whole)}\r\n\r\n"


_WRITERS: Mapping[str, tuple[Callable[[str, Run], Json], Callable[[Json], Iterator[str]]]] = {
    "openai": (_chat, _chat_events),
    "openai-responses": (_responses, _responses_events),
    "anthropic": (_messages, _messages_events),
    "gemini": (_gemini, _gemini_events),
}

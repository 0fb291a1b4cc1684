"""The three vendors' streams as they come over the wire, one item per event.

Written after their documentation and recorded responses:

- https://platform.openai.com/docs/api-reference/chat-streaming
- https://docs.claude.com/en/docs/build-with-claude/streaming
- https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent (``alt=sse``)
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

OPENAI_USAGE = {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16}
ANTHROPIC_USAGE = {"input_tokens": 11, "output_tokens": 5}
GEMINI_USAGE = {"promptTokenCount": 11, "candidatesTokenCount": 5, "totalTokenCount": 16}


def _data(value: object) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


def openai_stream(
    pieces: Sequence[str],
    *,
    reasoning: Sequence[str] = (),
    usage: Mapping[str, Any] | None = OPENAI_USAGE,
    model: str = "gpt-4o-2024-08-06",
    finish_reason: str | None = "stop",
    done: bool = True,
) -> tuple[bytes, ...]:
    """Chat Completions with ``stream_options.include_usage``; usage comes in a chunk of its own."""
    about = {
        "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
        "object": "chat.completion.chunk",
        "created": 1741569952,
        "model": model,
        "system_fingerprint": "fp_44709d6fcb",
    }

    def chunk(delta: Mapping[str, Any], reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return _data({**about, "choices": [choice], "usage": None})

    events = [chunk({"role": "assistant", "content": "", "refusal": None})]
    events += [chunk({"reasoning_content": text}) for text in reasoning]
    events += [chunk({"content": text}) for text in pieces]
    if finish_reason is not None:
        events.append(chunk({}, finish_reason))
    if usage is not None:
        events.append(_data({**about, "choices": [], "usage": usage}))
    if done:
        events.append(b"data: [DONE]\n\n")
    return tuple(events)


def anthropic_event(name: str, value: Mapping[str, Any]) -> bytes:
    """One event of Messages: its name twice, as the vendor writes it."""
    return f"event: {name}\n".encode() + _data({"type": name, **value})


def anthropic_stream(
    pieces: Sequence[str],
    *,
    reasoning: Sequence[str] = (),
    usage: Mapping[str, Any] | None = ANTHROPIC_USAGE,
    model: str = "claude-sonnet-4-5-20250929",
    stop_reason: str | None = "end_turn",
    done: bool = True,
) -> tuple[bytes, ...]:
    """Messages; input is counted in ``message_start``, output cumulatively in ``message_delta``."""
    said = dict(usage or {})
    output = {name: said.pop(name) for name in list(said) if name.startswith("output_tokens")}
    message = {
        "id": "msg_1nZdL29xx5MUA1yADyHTEsnR8uuvGzszyY",
        "type": "message",
        "role": "assistant",
        "content": [],
        "model": model,
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**said, "output_tokens": 1},
    }
    events = [anthropic_event("message_start", {"message": message})]
    blocks = [("thinking", "thinking", reasoning)] if reasoning else []
    blocks.append(("text", "text", pieces))
    for index, (kind, field, texts) in enumerate(blocks):
        events += _anthropic_block(index, kind, field, texts)
        if index == 0:
            events.insert(2, anthropic_event("ping", {}))
    if stop_reason is not None:
        delta = {"stop_reason": stop_reason, "stop_sequence": None}
        events.append(anthropic_event("message_delta", {"delta": delta, "usage": output}))
    if done:
        events.append(anthropic_event("message_stop", {}))
    return tuple(events)


def _anthropic_block(index: int, kind: str, field: str, texts: Sequence[str]) -> list[bytes]:
    def delta(value: Mapping[str, str]) -> bytes:
        return anthropic_event("content_block_delta", {"index": index, "delta": value})

    block = {"type": kind, field: ""} | ({"signature": ""} if kind == "thinking" else {})
    events = [anthropic_event("content_block_start", {"index": index, "content_block": block})]
    events += [delta({"type": f"{kind}_delta", field: text}) for text in texts]
    if kind == "thinking":
        events.append(delta({"type": "signature_delta", "signature": "EqQBCgIYAhIM1gbcDa9GJwZA"}))
    events.append(anthropic_event("content_block_stop", {"index": index}))
    return events


def gemini_stream(
    pieces: Sequence[str],
    *,
    reasoning: Sequence[str] = (),
    usage: Mapping[str, Any] | None = GEMINI_USAGE,
    model: str = "gemini-2.5-flash",
    finish_reason: str | None = "STOP",
) -> tuple[bytes, ...]:
    """``streamGenerateContent?alt=sse``: CRLF line ends, usage in each chunk, no end mark."""
    parts = [{"text": text, "thought": True} for text in reasoning]
    parts += [{"text": text} for text in pieces] or [{"text": ""}]
    events = []
    for number, part in enumerate(parts, start=1):
        last = number == len(parts)
        candidate: dict[str, Any] = {"content": {"parts": [part], "role": "model"}, "index": 0}
        if last and finish_reason is not None:
            candidate["finishReason"] = finish_reason
        events.append(gemini_event({"candidates": [candidate]}, model, usage))
    return tuple(events)


def gemini_event(
    value: Mapping[str, Any],
    model: str = "gemini-2.5-flash",
    usage: Mapping[str, Any] | None = GEMINI_USAGE,
) -> bytes:
    """One chunk of Gemini's stream."""
    about = {"modelVersion": model, "responseId": "FSxnaNbUHZbjz7IPzaLPoQY"}
    counted = {"usageMetadata": usage} if usage is not None else {}
    return _data({**value, **counted, **about}).replace(b"\n\n", b"\r\n\r\n")

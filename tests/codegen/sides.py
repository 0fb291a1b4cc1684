"""The servers that code is run against, one row per wire format and kind of endpoint.

Each answers a request for a stream with a stream, any other with a whole answer, and a request with
tools with two calls.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.providers import formats, responses_format
from tests.providers.server import Reply, WireRequest, WireServer, json_reply

# Text, and JSON too, for requests with a schema.
DATA = {"city": 'O[DONE]s"lo 👋', "level": 3}
TEXT = json.dumps(DATA, ensure_ascii=False)
CALLS = [
    {"id": "call_1", "name": "look", "arguments": {"n": 1.5, "of": 'a "b"'}},
    {"id": "call_2", "name": "look", "arguments": {}},
]


def _pieces(text: str) -> list[str]:
    return [text[:3], text[3:9], text[9:]]


def _chat_stream(calls: Sequence[Mapping[str, Any]]) -> tuple[bytes, ...]:
    if not calls:
        return formats.openai_stream(_pieces(TEXT))

    def chunk(delta: Mapping[str, Any], reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        about = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        return b"data: " + json.dumps({**about, "choices": [choice]}).encode() + b"\n\n"

    chunks = []
    for number, call in enumerate(calls):
        named = {"name": call["name"], "arguments": ""}
        first = {"index": number, "id": call["id"], "type": "function", "function": named}
        chunks.append(chunk({"tool_calls": [first]}))
        for piece in _pieces(json.dumps(call["arguments"])):
            part = {"index": number, "function": {"arguments": piece}}
            chunks.append(chunk({"tool_calls": [part]}))
    return (*chunks, chunk({}, "tool_calls"), b"data: [DONE]\n\n")


def _chat_whole(calls: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    made = [
        {
            "id": call["id"],
            "type": "function",
            "function": {"name": call["name"], "arguments": json.dumps(call["arguments"])},
        }
        for call in calls
    ]
    message = {"role": "assistant", "content": None if made else TEXT}
    message |= {"tool_calls": made} if made else {}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if made else "stop"}
    about = {"id": "c", "object": "chat.completion", "created": 1, "model": "m"}
    return {**about, "choices": [choice]}


def _response_items(calls: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        responses_format.call_item(call["name"], json.dumps(call["arguments"]), call["id"])
        for call in calls
    ] or [responses_format.message_item(TEXT)]


def _responses_stream(calls: Sequence[Mapping[str, Any]]) -> tuple[bytes, ...]:
    items = [(item, None) for item in _response_items(calls)]
    return tuple(map(responses_format.sse, responses_format.events(items)))


def _responses_whole(calls: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return responses_format.response("completed", output=_response_items(calls))


def _anthropic_stream(calls: Sequence[Mapping[str, Any]]) -> tuple[bytes, ...]:
    if not calls:
        return formats.anthropic_stream(_pieces(TEXT))
    [start, *_, stop] = formats.anthropic_stream([], stop_reason=None)
    events = [start]
    for index, call in enumerate(calls):
        block = {"type": "tool_use", "id": call["id"], "name": call["name"], "input": {}}
        events.append(
            formats.anthropic_event("content_block_start", {"index": index, "content_block": block})
        )
        for piece in _pieces(json.dumps(call["arguments"]) if call["arguments"] else ""):
            delta = {"type": "input_json_delta", "partial_json": piece}
            events.append(
                formats.anthropic_event("content_block_delta", {"index": index, "delta": delta})
            )
        events.append(formats.anthropic_event("content_block_stop", {"index": index}))
    return (*events, stop)


def _anthropic_whole(calls: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    content = [
        {"type": "tool_use", "id": call["id"], "name": call["name"], "input": call["arguments"]}
        for call in calls
    ] or [{"type": "thinking", "thinking": "Hm.", "signature": "s"}, {"type": "text", "text": TEXT}]
    about = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m"}
    ended = {"stop_reason": "end_turn", "stop_sequence": None}
    return {**about, "content": content, **ended, "usage": formats.ANTHROPIC_USAGE}


def _gemini_parts(calls: Sequence[Mapping[str, Any]], texts: Sequence[str]) -> list[Any]:
    return [
        {"functionCall": {"id": call["id"], "name": call["name"], "args": call["arguments"]}}
        for call in calls
    ] or [{"text": text} for text in texts]


def _gemini_chunk(parts: Sequence[Any]) -> dict[str, Any]:
    content = {"role": "model", "parts": list(parts)}
    return {"candidates": [{"index": 0, "content": content, "finishReason": "STOP"}]}


def _gemini_stream(calls: Sequence[Mapping[str, Any]]) -> tuple[bytes, ...]:
    parts = _gemini_parts(calls, _pieces(TEXT))
    return tuple(formats.gemini_event(_gemini_chunk([part])) for part in parts)


def _gemini_whole(calls: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return _gemini_chunk(_gemini_parts(calls, [TEXT]))


@dataclass(frozen=True)
class Side:
    """One endpoint: its model, what sets it up, and its answers with these calls or with text."""

    name: str
    model: str
    setup: Callable[[str], Mapping[str, Any]]  # of `lp.configure`, from the server's address
    stream: Callable[[Sequence[Mapping[str, Any]]], tuple[bytes, ...]]
    whole: Callable[[Sequence[Mapping[str, Any]]], dict[str, Any]]
    refusals: list[int] = field(default_factory=list)  # statuses of the next replies

    def __str__(self) -> str:
        return self.name

    def server(self) -> WireServer:
        """A server of it."""
        return WireServer(self._reply)

    def _reply(self, request: WireRequest) -> Reply:
        if self.refusals:
            return json_reply(self.refusals.pop(), {"error": {"message": "Later."}})
        body = request.json
        calls = CALLS if body.get("tools") else []
        if body.get("stream") or "streamGenerateContent" in request.path:
            return Reply(self.stream(calls))
        return json_reply(200, self.whole(calls))


SIDES = (
    Side(
        "chat",
        "openai:gpt-4o",
        lambda url: {"openai_api": "chat_completions"},
        _chat_stream,
        _chat_whole,
    ),
    Side(
        "responses",
        "openai:gpt-4o",
        lambda url: {"openai_api": "responses"},
        _responses_stream,
        _responses_whole,
    ),
    Side(
        "anthropic",
        "anthropic:claude-sonnet-4-5",
        lambda url: {},
        _anthropic_stream,
        _anthropic_whole,
    ),
    Side("gemini", "gemini:gemini-2.5-flash", lambda url: {}, _gemini_stream, _gemini_whole),
    Side(
        "deployment",
        "mine:some-model",
        lambda url: {
            "endpoints": {
                "mine": {
                    "base_url": f"{url}/deployments/{{model}}",
                    "key_variable": "MINE_API_KEY",
                    "key_header": "api-key",
                    "query": {"api-version": "2024-10-21", "tag": "a&b=c`d`"},
                    "headers": {"x-tier": 'a$b `c` \\ ${MINE_TIER} "d"'},
                }
            }
        },
        _chat_stream,
        _chat_whole,
    ),
)

"""Streams of OpenAI's Responses API as they come over the wire, one item per event.

Written after the types of the openai SDK 3 (``openai/types/responses``) and
https://developers.openai.com/api/reference/resources/responses/streaming-events; each event is
checked against those types in ``test_responses.py``.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from llm_playground.parts import Original
from llm_playground.providers import openai_responses_items

RESPONSE_ID = "resp_68af4030592c81938ec0a5fbab4a3e9f05438e46b5f69a3b"
USAGE = {
    "input_tokens": 11,
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens": 5,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 16,
}
# A provider that speaks this format at any address, and its prices.
SETTINGS: dict[str, Any] = {
    "endpoints": {
        "gateway": {
            "base_url": "http://127.0.0.1:9/v1",
            "wire_format": "openai-responses",
            "key_variable": "GATEWAY_API_KEY",
        }
    },
    "prices": {"gateway:*": {"input_usd_per_mtok": 1, "output_usd_per_mtok": 2}},
}


def sse(value: Mapping[str, Any]) -> bytes:
    """One event, named twice, as the vendor writes it."""
    text = json.dumps(value, ensure_ascii=False)
    return f"event: {value['type']}\ndata: {text}\n\n".encode()


def numbered(events: Iterable[Mapping[str, Any]], first: int = 0) -> list[dict[str, Any]]:
    """The events with their sequence numbers."""
    return [
        {**event, "sequence_number": number}
        for number, event in zip(itertools.count(first), events, strict=False)
    ]


def response(status: str, **fields: Any) -> dict[str, Any]:
    """A response object."""
    return {
        "id": RESPONSE_ID,
        "object": "response",
        "created_at": 1756315696,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "model": "gpt-4o-2024-08-06",
        "output": [],
        "parallel_tool_calls": True,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default",
        "store": False,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None,
        "metadata": {},
        **fields,
    }


def message_item(text: str, annotations: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """A complete message."""
    content = {
        "type": "output_text",
        "annotations": list(annotations),
        "logprobs": [],
        "text": text,
    }
    return {
        "id": "msg_68af4033b1f88193",
        "type": "message",
        "status": "completed",
        "content": [content],
        "role": "assistant",
    }


def reasoning_item(*summaries: str) -> dict[str, Any]:
    """Complete reasoning with its encrypted form."""
    return {
        "id": "rs_68af40322c9c8193",
        "type": "reasoning",
        "encrypted_content": "gAAAAABo-sealed-" + "x" * 8,
        "summary": [{"type": "summary_text", "text": text} for text in summaries],
    }


def original_of(item: Mapping[str, Any], provider: str) -> Original:
    """What a run of a provider keeps of an item, to be sent back."""
    return replace(openai_responses_items.original_of(item), provider=provider)


def call_item(name: str, arguments: str, call_id: str = "call_1") -> dict[str, Any]:
    """A complete call of a function."""
    return {
        "id": f"fc_{call_id}",
        "type": "function_call",
        "status": "completed",
        "arguments": arguments,
        "call_id": call_id,
        "name": name,
    }


def _message_events(
    place: int, item: dict[str, Any], pieces: Sequence[str]
) -> list[dict[str, Any]]:
    at = {"item_id": item["id"], "output_index": place, "content_index": 0}
    part = item["content"][0]
    empty = {**part, "text": "", "annotations": []}
    deltas = [
        {"type": "response.output_text.delta", **at, "delta": piece, "logprobs": []}
        for piece in pieces
    ]
    notes = [
        {
            "type": "response.output_text.annotation.added",
            **at,
            "annotation_index": number,
            "annotation": note,
        }
        for number, note in enumerate(part["annotations"])
    ]
    return [
        {"type": "response.content_part.added", **at, "part": empty},
        *deltas,
        *notes,
        {"type": "response.output_text.done", **at, "text": part["text"], "logprobs": []},
        {"type": "response.content_part.done", **at, "part": part},
    ]


def _reasoning_events(
    place: int, item: dict[str, Any], pieces: Sequence[str]
) -> list[dict[str, Any]]:
    at = {"item_id": item["id"], "output_index": place, "summary_index": 0}
    if not item["summary"]:
        return []
    part = item["summary"][0]
    return [
        {"type": "response.reasoning_summary_part.added", **at, "part": {**part, "text": ""}},
        *(
            {"type": "response.reasoning_summary_text.delta", **at, "delta": piece}
            for piece in pieces
        ),
        {"type": "response.reasoning_summary_text.done", **at, "text": part["text"]},
        {"type": "response.reasoning_summary_part.done", **at, "part": part},
    ]


def _call_events(place: int, item: dict[str, Any], pieces: Sequence[str]) -> list[dict[str, Any]]:
    at = {"item_id": item["id"], "output_index": place}
    kind = "response.function_call_arguments"
    return [
        *({"type": f"{kind}.delta", **at, "delta": piece} for piece in pieces),
        {"type": f"{kind}.done", **at, "arguments": item["arguments"], "name": item["name"]},
    ]


_STARTED = {
    "message": {"status": "in_progress", "content": []},
    "reasoning": {"encrypted_content": "gAAAAABo-partial", "summary": []},
    "function_call": {"status": "in_progress", "arguments": ""},
}
_EVENTS = {
    "message": _message_events,
    "reasoning": _reasoning_events,
    "function_call": _call_events,
}


def item_events(
    place: int, item: dict[str, Any], pieces: Sequence[str] | None = None
) -> list[dict[str, Any]]:
    """The events of one item, its texts in pieces."""
    kind = item["type"]
    whole = {
        "message": lambda: [item["content"][0]["text"]],
        "reasoning": lambda: [one["text"] for one in item["summary"][:1]],
        "function_call": lambda: [item["arguments"]],
    }
    pieces = pieces if pieces is not None or kind not in whole else whole[kind]()
    between = _EVENTS[kind](place, item, pieces or ()) if kind in _EVENTS else []
    return [
        {
            "type": "response.output_item.added",
            "output_index": place,
            "item": {**item, **_STARTED.get(kind, {})},
        },
        *between,
        {"type": "response.output_item.done", "output_index": place, "item": item},
    ]


def events(
    items: Sequence[tuple[dict[str, Any], Sequence[str] | None]],
    *,
    status: str = "completed",
    usage: Mapping[str, Any] | None = USAGE,
    **fields: Any,
) -> list[dict[str, Any]]:
    """All events of a response with these items, each with the pieces of its text."""
    start = response("in_progress", **fields)
    end = response(status, output=[item for item, _ in items], usage=usage, **fields)
    return numbered(
        [
            {"type": "response.created", "response": start},
            {"type": "response.in_progress", "response": start},
            *(
                e
                for place, (item, pieces) in enumerate(items)
                for e in item_events(place, item, pieces)
            ),
            {"type": f"response.{status}", "response": end},
        ]
    )


def responses_stream(
    pieces: Sequence[str],
    *,
    reasoning: Sequence[str] = (),
    usage: Mapping[str, Any] | None = USAGE,
    model: str = "gpt-4o-2024-08-06",
    **fields: Any,
) -> tuple[bytes, ...]:
    """A text after its reasoning."""
    items: list[tuple[dict[str, Any], Sequence[str] | None]] = []
    if reasoning:
        items.append((reasoning_item("".join(reasoning)), reasoning))
    items.append((message_item("".join(pieces)), pieces))
    return tuple(map(sse, events(items, usage=usage, model=model, **fields)))

"""An answer as the assistant's message of Chat Completions, which is sent back.

An original of this format is a fragment of the message, in which null is replaced by the text;
with the ``type`` "thinking" it is an entry of the message's ``content``; that of a tool call is
what the call has beside its id, name and arguments.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llm_playground.parts import (
    AudioPart,
    ImagePart,
    Part,
    RefusalPart,
    TextPart,
    ToolCall,
    original_for,
    text_of,
)
from llm_playground.request import images
from llm_playground.types import Message

NAME = "openai"
# Fields of which a message may consist.
_CONTENTS = frozenset({"audio", "images", "refusal"})
# Never from an original, which another program may have written.
_OWN_FIELDS = frozenset({"role", "content", "tool_calls", "tool_call_id", "name"})


def sent_back(message: Message) -> dict[str, Any] | None:
    """An answer as the assistant's message; None for an empty one, which servers refuse.

    >>> from llm_playground.parts import Original, ReasoningPart
    >>> thought = ReasoningPart("Hm", Original("openai", '{"reasoning_content":null}'))
    >>> sent_back(Message("assistant", (thought, TextPart("Yes."))))
    {'role': 'assistant', 'content': 'Yes.', 'reasoning_content': 'Hm'}
    """
    fields: dict[str, Any] = {}
    content: list[dict[str, Any]] = []
    calls: list[dict[str, Any]] = []
    for part in message.content:
        original = original_for(part, NAME)
        match part:
            case ToolCall():
                calls.append(_sent_call(part, original or {}))
            case ImagePart():
                if original is not None and not images.is_gone(part):
                    image = {"type": "image_url", "image_url": {"url": images.data_url(part)}}
                    _join(fields, {"images": [image]}, "")
            case _ if original is None:
                text = _plain(part)
                content += [{"type": "text", "text": text}] if text else []
            case _ if original.get("type") == "thinking":
                thinking = [{"type": "text", "text": text_of(part)}]
                content.append({"type": "thinking", "thinking": thinking})
            case _:
                _join(fields, original, text_of(part))
    if not (content or calls or fields.keys() & _CONTENTS):
        return None
    text = "".join(entry["text"] for entry in content if entry["type"] == "text")
    is_plain = all(entry["type"] == "text" for entry in content)
    turn = {"role": message.role, "content": (text or None) if is_plain else content}
    return turn | ({"tool_calls": calls} if calls else {}) | fields


def _plain(part: Part) -> str:
    """The text of a part that has no original of this format."""
    match part:
        case TextPart(text) | RefusalPart(text) | AudioPart(transcript=text):
            return text
    return ""


def _sent_call(call: ToolCall, rest: dict[str, Any]) -> dict[str, Any]:
    known = dict(rest)
    more = known.pop("function", None)
    more = more if isinstance(more, dict) else {}
    if known.pop("type", None) == "custom":
        custom = {"name": call.name, "input": call.arguments_json, **more}
        return {"id": call.id, "type": "custom", "custom": custom} | known
    function = {"name": call.name, "arguments": call.arguments_json, **more}
    return {"id": call.id, "type": "function", "function": function} | known


def _join(fields: dict[str, Any], fragment: Mapping[str, Any], text: str) -> None:
    """Add a fragment of a message; of a field in two of them, both values."""
    for name, value in fragment.items():
        if name in _OWN_FIELDS:
            continue
        new: Any = text if value is None else value
        known = fields.get(name)
        is_joined = type(known) is type(new) and isinstance(new, (str, list))
        fields[name] = known + new if is_joined else new

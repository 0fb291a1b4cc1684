"""Bodies of Chat Completions and of Responses, see :mod:`.bodies`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from llm_playground.capture.bodies import Body, Fields, Json, named, other, split, text_of, tool_of
from llm_playground.parts import (
    FilePart,
    Original,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCall,
    ToolResult,
)
from llm_playground.providers.contents import dumps, fields, from_base64, picture_at, records
from llm_playground.types import Message, Role, Tool

_ROLES: Mapping[object, Role] = {
    "system": "system",
    "developer": "system",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
_SAME_NAME = (
    *("temperature", "top_p", "top_k", "seed", "presence_penalty", "frequency_penalty"),
    "reasoning_effort",
)


def of_chat(body: Json) -> Body:
    """The body of a request of Chat Completions."""
    messages = [turn for one in records(body.get("messages")) for turn in _chat_turn(one)]
    found = Fields.of(body, "messages")
    for name in _SAME_NAME:
        found.take(name, name)
    found.take("max_tokens", "max_completion_tokens")
    found.take("max_tokens", "max_tokens")
    found.take_stop("stop")
    _take_logprobs(found)
    found.take_tools(_chat_tool)
    declared = fields(fields(body.get("response_format")).get("json_schema"))
    if isinstance(declared.get("schema"), dict):
        found.left["response_format"] = {"json_schema": None}
        found.take_schema(
            declared.get("name"), declared["schema"], "json_schema", "response_format"
        )
    return Body(named(messages), found)


def _take_logprobs(found: Fields) -> None:
    top = found.left.get("top_logprobs", 0)
    if found.left.get("logprobs") is True and isinstance(top, int):
        found.values["logprobs"] = top
        found.left.pop("top_logprobs", None)
        del found.left["logprobs"]


def _chat_tool(declared: Json) -> Tool | None:
    if declared.get("type") != "function":
        return None
    return tool_of(fields(declared.get("function")), "parameters")


def _chat_turn(turn: Json) -> Iterator[Message]:
    role = _ROLES.get(turn.get("role"), "user")
    if role == "tool":
        call_id, name = turn.get("tool_call_id"), turn.get("name")
        yield Message(
            "tool", (ToolResult(str(call_id), str(name or ""), text_of(turn["content"])),)
        )
        return
    yield Message(role, tuple(_chat_parts(turn)))


def _chat_parts(turn: Json) -> Iterator[Part]:
    reasoning = turn.get("reasoning_content") or turn.get("reasoning")
    if isinstance(reasoning, str):
        yield ReasoningPart(reasoning)
    content = turn.get("content")
    if isinstance(content, str):
        yield TextPart(content)
    for part in records(content):
        yield _chat_part(part)
    if isinstance(turn.get("refusal"), str):
        yield RefusalPart(turn["refusal"])
    for call in records(turn.get("tool_calls")):
        function = fields(call.get("function"))
        if isinstance(function.get("name"), str):
            arguments = function.get("arguments")
            written = arguments if isinstance(arguments, str) else dumps(arguments or {})
            yield ToolCall(str(call.get("id")), function["name"], written)
        else:
            yield other(call.get("type"), call)


def _chat_part(part: Json) -> Part:
    kind = part.get("type")
    match kind:
        case "text" if isinstance(part.get("text"), str):
            return TextPart(part["text"])
        case "refusal" if isinstance(part.get("refusal"), str):
            return RefusalPart(part["refusal"])
        case "image_url":
            image = part.get("image_url")
            url = image if isinstance(image, str) else fields(image).get("url")
            return picture_at("image_url", part, url)
        case "input_audio":
            audio = fields(part.get("input_audio"))
            data = from_base64(audio.get("data"))
            if data is not None:
                return FilePart(f"audio/{audio.get('format')}", data=data)
        case "file":
            return _file(part, fields(part.get("file")))
    return other(kind, part)


def _file(part: Json, file: Mapping[str, Any]) -> Part:
    """A document by its bytes in a ``data:`` URL, or by its address."""
    name, data = file.get("filename"), file.get("file_data")
    named_as = name if isinstance(name, str) else None
    if isinstance(data, str) and data.startswith("data:"):
        head, _, encoded = data.partition(",")
        content = from_base64(encoded)
        if content is not None:
            return FilePart(head[5:].partition(";")[0] or None, named_as, content)
    url = file.get("file_url")
    if isinstance(url, str):
        return FilePart(None, named_as, url=url)
    return other(part.get("type"), part)


def of_responses(body: Json) -> Body:
    """The body of a request of Responses."""
    found = Fields.of(body, "input", "instructions")
    messages = [*_instructions(body.get("instructions")), *_items(body.get("input"))]
    for name in ("temperature", "top_p"):
        found.take(name, name)
    found.take("max_tokens", "max_output_tokens")
    found.take("reasoning_effort", "effort", "reasoning")
    top = found.left.get("top_logprobs")
    if isinstance(top, int) and not isinstance(top, bool):
        found.values["logprobs"] = found.left.pop("top_logprobs")
    found.take_tools(_responses_tool)
    declared = fields(fields(body.get("text")).get("format"))
    found.take_schema(declared.get("name"), declared.get("schema"), "format", "text")
    return Body(named(messages), found)


def _responses_tool(declared: Json) -> Tool | None:
    return tool_of(declared, "parameters") if declared.get("type") == "function" else None


def _instructions(text: object) -> Iterator[Message]:
    if isinstance(text, str):
        yield Message("system", (TextPart(text),))


def _items(items: object) -> Iterator[Message]:
    """The messages of input items; neighbours of an answer are one message."""
    if isinstance(items, str):
        yield Message("user", (TextPart(items),))
        return
    answer: list[Part] = []
    for item in records(items):
        role, parts = _item(item)
        if role == "assistant":
            answer += parts
            continue
        if answer:
            yield Message("assistant", tuple(answer))
            answer = []
        yield from split(role, parts)
    if answer:
        yield Message("assistant", tuple(answer))


def _item(item: Json) -> tuple[Role, list[Part]]:
    original = Original("openai-responses", dumps(item), "openai")
    match item.get("type", "message"):
        case "message":
            role = _ROLES.get(item.get("role"), "user")
            content = item.get("content")
            if isinstance(content, str):
                return role, [TextPart(content)]
            return role, [_input(part) for part in records(content)]
        case "function_call":
            written = item.get("arguments")
            arguments = written if isinstance(written, str) else dumps(written or {})
            call = ToolCall(str(item.get("call_id")), str(item.get("name")), arguments)
            return "assistant", [call]
        case "function_call_output" | "custom_tool_call_output":
            result = ToolResult(str(item.get("call_id")), "", text_of(item.get("output")))
            return "tool", [result]
        case "reasoning":
            thoughts = (one.get("text") for one in records(item.get("summary")))
            text = "\n\n".join(one for one in thoughts if isinstance(one, str))
            return "assistant", [ReasoningPart(text, original)]
        case kind:
            return "assistant", [other(kind, item)]


def _input(part: Json) -> Part:
    kind = part.get("type")
    match kind:
        case "input_text" | "output_text" | "text" if isinstance(part.get("text"), str):
            return TextPart(part["text"])
        case "refusal" if isinstance(part.get("refusal"), str):
            return RefusalPart(part["refusal"])
        case "input_image" if part.get("image_url"):
            return picture_at("input_image", part, part["image_url"])
        case "input_file":
            return _file(part, part)
    return other(kind, part)

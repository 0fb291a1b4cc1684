"""Bodies of Anthropic's Messages and of Gemini's generateContent, see :mod:`.bodies`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from llm_playground.capture.bodies import Body, Fields, Json, named, other, split, text_of, tool_of
from llm_playground.parts import (
    FilePart,
    ImagePart,
    Original,
    Part,
    ReasoningPart,
    TextPart,
    ToolCall,
    ToolResult,
)
from llm_playground.providers.contents import dumps, fields, from_base64, records
from llm_playground.providers.gemini import CONFIG_NAMES
from llm_playground.types import Message, Tool


def of_messages(body: Json) -> Body:
    """The body of a request of Anthropic's Messages."""
    system = body.get("system")
    blocks = records(system) if isinstance(system, list) else []
    text = system if isinstance(system, str) else "\n\n".join(map(text_of, _texts(blocks)))
    turns = [Message("system", (TextPart(text),))] if text else []
    for turn in records(body.get("messages")):
        turns += _messages_turn(turn)
    found = Fields.of(body, "messages", "system")
    for name in ("temperature", "top_p", "top_k", "max_tokens"):
        found.take(name, name)
    found.take_stop("stop_sequences")
    found.take("reasoning_effort", "effort", "output_config")
    answer = fields(fields(body.get("output_config")).get("format"))
    found.take_schema("answer", answer.get("schema"), "format", "output_config")
    found.take_tools(_messages_tool)
    return Body(named(turns), found)


def _texts(blocks: list[dict[str, Any]]) -> Iterator[str]:
    return (block["text"] for block in blocks if isinstance(block.get("text"), str))


def _messages_tool(declared: Json) -> Tool | None:
    is_own = declared.get("type", "custom") == "custom" and "input_schema" in declared
    return tool_of(declared, "input_schema") if is_own else None


def _messages_turn(turn: Json) -> Iterator[Message]:
    role, content = turn.get("role"), turn.get("content")
    parts = [TextPart(content)] if isinstance(content, str) else map(_block, records(content))
    if role in ("assistant", "system"):
        yield Message(role, tuple(parts))
    else:
        yield from split("user", parts)


def _block(block: Json) -> Part:
    kind = block.get("type")
    match kind:
        case "text" if isinstance(block.get("text"), str):
            return TextPart(block["text"])
        case "image" | "document":
            return _source(block, fields(block.get("source")))
        case "tool_use":
            return ToolCall(
                str(block.get("id")), str(block.get("name")), dumps(block.get("input") or {})
            )
        case "tool_result":
            text, failed = text_of(block.get("content")), block.get("is_error") is True
            return ToolResult(str(block.get("tool_use_id")), "", text, failed)
        case "thinking" | "redacted_thinking":
            thought = block.get("thinking")
            original = Original("anthropic", dumps(block), "anthropic")
            return ReasoningPart(thought if isinstance(thought, str) else "", original)
    return other(kind, block)


def _source(block: Json, source: Json) -> Part:
    """A picture or a document, by its bytes, its text or its address."""
    is_image, url, name = block.get("type") == "image", source.get("url"), block.get("title")
    media_type = source.get("media_type")
    known = media_type if isinstance(media_type, str) else None
    if source.get("type") == "text" and isinstance(source.get("data"), str):
        data = source["data"].encode("utf-8", "replace")
        return FilePart(known or "text/plain", name, data)
    content = from_base64(source.get("data")) if source.get("type") == "base64" else None
    if content is None and not isinstance(url, str):
        return other(block.get("type"), block)
    if is_image:
        return ImagePart(known, content, url)
    return FilePart(known, name if isinstance(name, str) else None, content, url)


def of_gemini(body: Json) -> Body:
    """The body of a request of generateContent, with its fields in either spelling."""
    known = _camel(body)
    turns = []
    if parts := records(fields(known.get("systemInstruction")).get("parts")):
        turns.append(Message("system", tuple(map(_gemini_part, parts))))
    for content in records(known.get("contents")):
        said = [_gemini_part(part) for part in records(content.get("parts"))]
        role = "assistant" if content.get("role") == "model" else "user"
        turns += [Message("assistant", tuple(said))] if role == "assistant" else split("user", said)
    found = Fields.of(known, "contents", "systemInstruction")
    config = dict(fields(known.get("generationConfig")))
    found.left["generationConfig"] = config
    _take_config(found, config)
    if not found.left.get("generationConfig"):
        found.left.pop("generationConfig", None)
    _take_declarations(found)
    return Body(named(turns), found)


def _take_config(found: Fields, config: Json) -> None:
    for parameter, name in CONFIG_NAMES.items():
        found.take(parameter, name, "generationConfig")
    found.take_stop("stopSequences", "generationConfig")
    for name in ("responseJsonSchema", "responseSchema"):
        if found.schema is None:
            found.take_schema("answer", config.get(name), name, "generationConfig")
    if found.schema is not None and "generationConfig" in found.left:
        found.left["generationConfig"].pop("responseMimeType", None)


def _take_declarations(found: Fields) -> None:
    """Take the functions that the caller executes; tools of the vendor stay."""
    kept = []
    for tool in records(found.left.get("tools")):
        for one in records(tool.get("functionDeclarations")):
            schema = "parametersJsonSchema" if "parametersJsonSchema" in one else "parameters"
            declared = tool_of(one, schema)
            found.tools += [] if declared is None else [declared]
        rest = {name: value for name, value in tool.items() if name != "functionDeclarations"}
        kept += [rest] if rest else []
    found.left.pop("tools", None)
    if kept:
        found.left["tools"] = kept


def _gemini_part(part: Json) -> Part:
    text = part.get("text")
    signature = part.get("thoughtSignature")
    signed = {"thoughtSignature": signature} if isinstance(signature, str) else None
    original = None if signed is None else Original("gemini", dumps(signed), "gemini")
    if isinstance(text, str):
        is_thought = part.get("thought") is True
        return ReasoningPart(text, original) if is_thought else TextPart(text, original)
    data, file = fields(part.get("inlineData")), fields(part.get("fileData"))
    content = from_base64(_standard(data.get("data")))
    if content is not None:
        return _media(data.get("mimeType"), content, None)
    if isinstance(file.get("fileUri"), str):
        return _media(file.get("mimeType"), None, file["fileUri"])
    call, result = part.get("functionCall"), part.get("functionResponse")
    if isinstance(call, dict):
        name = str(call.get("name"))
        written = dumps(call.get("args") or {})
        return ToolCall(str(call.get("id") or name), name, written, original)
    if isinstance(result, dict):
        name, response = str(result.get("name")), fields(result.get("response"))
        answer = response.get("error", response.get("output", response.get("result", response)))
        return ToolResult(str(result.get("id") or name), name, text_of(answer), "error" in response)
    return other(next(iter(part), "part"), part)


def _standard(data: object) -> object:
    """Base64 in the standard alphabet; google-genai writes the one for URLs."""
    return data.replace("-", "+").replace("_", "/") if isinstance(data, str) else data


def _media(media_type: object, content: bytes | None, url: str | None) -> Part:
    known = media_type if isinstance(media_type, str) else None
    if known is not None and known.startswith("image/"):
        return ImagePart(known, content, url)
    return FilePart(known, None, content, url)


# Objects whose names are the user's own.
_OWN_NAMES = frozenset({
    "args", "response", "parameters", "parametersJsonSchema", "responseSchema",
    "responseJsonSchema", "labels",
})  # fmt: skip


def _camel(value: Any) -> Any:  # noqa: ANN401 - a JSON value
    """A JSON value whose fields are in camel case, as the format's documents write them.

    >>> _camel({"system_instruction": {"parts": []}, "generationConfig": {"top_p": 1}})
    {'systemInstruction': {'parts': []}, 'generationConfig': {'topP': 1}}
    """
    if isinstance(value, list):
        return [_camel(one) for one in value]
    if not isinstance(value, dict):
        return value
    renamed = {
        re.sub(r"_([a-z])", lambda m: m[1].upper(), key): each for key, each in value.items()
    }
    return {key: each if key in _OWN_NAMES else _camel(each) for key, each in renamed.items()}

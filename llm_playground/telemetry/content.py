"""Prompts and answers as attributes of spans, by the conventions' JSON schemas of messages.

Spans hold them as JSON text. Of pictures, recordings and documents they have the hash, no bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from llm_playground.runlog.definitions import tool_hashes
from llm_playground.runlog.reading import json_value
from llm_playground.runlog.rows import Row, clean_json

Json = dict[str, Any]


def attributes(
    messages: Sequence[Mapping[str, Any]], row: Row, tools: Iterable[Mapping[str, Any]]
) -> Iterator[tuple[str, str | None]]:
    """The attributes with the texts of a run.

    >>> dict(attributes([{"role": "system", "content": "Be brief."}], {}, ()))
    {'gen_ai.system_instructions': '[{"type": "text", "content": "Be brief."}]'}
    """
    system = [part for one in messages if one.get("role") == "system" for part in _parts(one)]
    others = [
        {"role": str(one.get("role")), "parts": _parts(one)}
        for one in messages
        if one.get("role") != "system"
    ]
    answer = _answer(row)
    output = [{"role": "assistant", "parts": answer}] if answer else []
    offered = [{"type": "function", **tool} for tool in tools]
    for name, value in (
        ("gen_ai.system_instructions", system),
        ("gen_ai.input.messages", others),
        ("gen_ai.output.messages", output),
        ("gen_ai.tool.definitions", offered),
    ):
        if value:
            yield name, json.dumps(value, ensure_ascii=False)


def tool_attributes(
    messages: Sequence[Mapping[str, Any]],
    number: int,
    name: str,
    tools: Iterable[Mapping[str, Any]],
) -> Iterator[tuple[str, str | None]]:
    """The attributes with the texts of a tool call: the call at a place of the last ones, from 0.

    >>> call = {"type": "tool_call", "arguments": '{"city": "Oslo"}'}
    >>> result = {"type": "tool_result", "text": "rain"}
    >>> messages = [{"role": "assistant", "content": [call]}, {"role": "tool", "content": [result]}]
    >>> for attribute in tool_attributes(messages, 0, "weather", ()):
    ...     print(attribute)
    ('gen_ai.tool.description', None)
    ('gen_ai.tool.call.arguments', '{"city": "Oslo"}')
    ('gen_ai.tool.call.result', 'rain')
    """
    known = (tool.get("description") for tool in tools if tool["name"] == name)
    yield "gen_ai.tool.description", next(known, None)
    called = _last_part(messages, "assistant", ("tool_call",), number)
    arguments = None if called is None else _arguments(called)
    yield (
        "gen_ai.tool.call.arguments",
        None if arguments is None else json.dumps(arguments, ensure_ascii=False),
    )
    result = _last_part(messages, "tool", ("tool_result", "tool_error"), number)
    yield "gen_ai.tool.call.result", None if result is None else str(result.get("text", ""))


def _last_part(
    messages: Sequence[Mapping[str, Any]], role: str, kinds: Sequence[str], number: int
) -> Mapping[str, Any] | None:
    """The part at a place among those of some types in the last message of a role."""
    contents = [one.get("content") for one in messages if one.get("role") == role]
    parts = contents[-1] if contents and isinstance(contents[-1], list) else []
    found = [one for one in parts if isinstance(one, Mapping) and one.get("type") in kinds]
    return found[number] if number < len(found) else None


def tools_of(prompt: Row, definitions: Mapping[str, Row]) -> list[Json]:
    """The tools of a row of ``prompts`` whose rows of ``definitions`` are known, by their ids.

    >>> tools_of({"tools": ["a"]}, {"a": {"name": "now", "content": '{"description": "Time."}'}})
    [{'name': 'now', 'description': 'Time.'}]
    """
    known = (definitions[one] for one in tool_hashes(prompt) if one in definitions)
    return [{"name": one["name"], **json_value(one["content"])} for one in known]


def _parts(message: Mapping[str, Any]) -> list[Json]:
    content = message.get("content")
    if isinstance(content, list):
        return [_part(part) for part in content if isinstance(part, Mapping)]
    return [{"type": "text", "content": str(content or "")}]


def _answer(row: Row) -> list[Json]:
    parts = row.get("parts")
    if isinstance(parts, list):
        return [_part(part) for part in parts if isinstance(part, Mapping)]
    texts = (("reasoning", row.get("reasoning_text")), ("text", row.get("response_text")))
    calls = [{**call, "type": "tool_call"} for call in row.get("tool_calls") or ()]
    return [{"type": kind, "content": text} for kind, text in texts if text] + list(
        map(_part, calls)
    )


def _part(part: Mapping[str, Any]) -> Json:
    kind = str(part.get("type"))
    write = _WRITERS.get(kind, _other)
    return {name: value for name, value in write(part).items() if value is not None}


def _arguments(part: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a JSON value is any of six types
    given = part.get("arguments")
    if isinstance(given, str):
        with suppress(ValueError, RecursionError):
            return clean_json(json.loads(given))  # escapes may be lone surrogates
    return given


def _media(modality: str) -> Callable[[Mapping[str, Any]], Json]:
    def write(part: Mapping[str, Any]) -> Json:
        known = {"modality": modality, "mime_type": part.get("media_type")}
        if part.get("url") is not None:
            return {"type": "uri", **known, "uri": str(part["url"])}
        held = {name: part.get(name) for name in ("sha256", "name", "transcript")}
        return {"type": f"llm_playground.{modality}", **known, **held}

    return write


def _own_call(part: Mapping[str, Any]) -> Json:
    name = str(part.get("name", ""))
    call = {"type": name, "arguments": _arguments(part)}
    return {
        "type": "server_tool_call",
        "id": part.get("id"),
        "name": name,
        "server_tool_call": call,
    }


def _own_result(part: Mapping[str, Any]) -> Json:
    response = {"type": str(part.get("name", "")), "content": part.get("text")}
    return {
        "type": "server_tool_call_response",
        "id": part.get("id"),
        "server_tool_call_response": response,
    }


def _result(part: Mapping[str, Any]) -> Json:
    response = str(part.get("text", ""))
    return {"type": "tool_call_response", "id": part.get("id"), "response": response}


def _text(part: Mapping[str, Any]) -> Json:
    return {"type": str(part["type"]), "content": str(part.get("text", ""))}


def _other(part: Mapping[str, Any]) -> Json:
    """A part that the conventions do not know, which may have any type and properties."""
    return {"type": str(part.get("kind") or part.get("type")), "content": part.get("json")}


_WRITERS: dict[str, Callable[[Mapping[str, Any]], Json]] = {
    **dict.fromkeys(("text", "reasoning", "refusal"), _text),
    "tool_call": lambda part: {
        "type": "tool_call",
        "id": part.get("id"),
        "name": str(part.get("name", "")),
        "arguments": _arguments(part),
    },
    **dict.fromkeys(("tool_result", "tool_error"), _result),
    "server_tool_call": _own_call,
    **dict.fromkeys(("server_tool_result", "server_tool_error"), _own_result),
    "image": _media("image"),
    "audio": _media("audio"),
    "file": _media("document"),
}

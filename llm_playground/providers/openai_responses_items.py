"""Items of OpenAI's Responses API that are no text, reasoning or tool call, as parts.

These are the calls of tools that OpenAI runs itself: searches, code, pictures, remote servers.
Types: ``openai/types/responses/response_output_item.py`` of the openai SDK 3.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from llm_playground import image_formats
from llm_playground.events import PartAdded
from llm_playground.parts import (
    AnswerPart,
    ImagePart,
    Original,
    OtherPart,
    ServerToolCall,
    ServerToolResult,
)
from llm_playground.providers.contents import UNREADABLE, check_texts, dumps, picture_at

NAME = "openai-responses"
Json = Mapping[str, Any]


def original_of(item: Json) -> Original:
    """The form in which an item is sent back: unchanged."""
    return Original(NAME, dumps(item))


def server_parts(item: Json) -> Iterator[AnswerPart]:
    """The parts of an item; one that is not known, or has another shape, is one OtherPart."""
    read = _READ.get(str(item.get("type")))
    try:
        parts = [] if read is None else list(read(item))
        check_texts(map(PartAdded, parts))
    except UNREADABLE:
        parts = []
    yield from parts or [OtherPart(str(item.get("type")), dumps(item), original_of(item))]


def _web_search(item: Json) -> Iterator[AnswerPart]:
    yield ServerToolCall(
        item["id"], "web_search", dumps(item.get("action") or {}), original_of(item)
    )


def _code(item: Json) -> Iterator[AnswerPart]:
    arguments = dumps({"code": item.get("code") or ""})
    yield ServerToolCall(item["id"], "code_interpreter", arguments, original_of(item))
    outputs, failed = item.get("outputs") or (), item.get("status") == "failed"
    logs = [output["logs"] for output in outputs if output.get("type") == "logs"]
    if logs or failed:
        yield ServerToolResult(item["id"], "code_interpreter", "\n".join(logs), is_error=failed)
    for output in outputs:
        if output.get("type") != "logs":
            yield picture_at(str(output.get("type")), output, output.get("url"))


def _file_search(item: Json) -> Iterator[AnswerPart]:
    arguments = dumps({"queries": item.get("queries") or []})
    yield ServerToolCall(item["id"], "file_search", arguments, original_of(item))
    results = item.get("results")
    if results:
        found = [f"{one.get('filename')}: {one.get('text')}" for one in results]
        yield ServerToolResult(item["id"], "file_search", "\n\n".join(found))


def _image(item: Json) -> Iterator[AnswerPart]:
    """The call, whose original has no picture, and the picture."""
    arguments = {
        name: item[name] for name in ("revised_prompt", "size", "quality") if item.get(name)
    }
    original = original_of({**item, "result": None})
    yield ServerToolCall(item["id"], "image_generation", dumps(arguments), original)
    if item.get("result"):
        data = base64.b64decode(item["result"], validate=True)
        named = "image/svg+xml" if item.get("output_format") == "svg" else "image/png"
        yield ImagePart(image_formats.media_type(data) or named, data)
    elif item.get("error"):
        message = str(item["error"].get("message"))
        yield ServerToolResult(item["id"], "image_generation", message, is_error=True)


def _mcp_call(item: Json) -> Iterator[AnswerPart]:
    name = f"{item['server_label']}.{item['name']}"
    yield ServerToolCall(item["id"], name, item.get("arguments") or "{}", original_of(item))
    error, output = item.get("error"), item.get("output")
    if error is not None:
        yield ServerToolResult(item["id"], name, _text(error), is_error=True)
    elif output is not None:
        yield ServerToolResult(item["id"], name, _text(output))


def _mcp_tools(item: Json) -> Iterator[AnswerPart]:
    name = f"{item['server_label']}.list_tools"
    yield ServerToolCall(item["id"], name, "{}", original_of(item))
    if item.get("error") is not None:
        yield ServerToolResult(item["id"], name, _text(item["error"]), is_error=True)
    else:
        yield ServerToolResult(item["id"], name, ", ".join(tool["name"] for tool in item["tools"]))


def _text(value: object) -> str:
    return value if isinstance(value, str) else dumps(value)


_READ: dict[object, Callable[[Json], Iterator[AnswerPart]]] = {
    "web_search_call": _web_search,
    "code_interpreter_call": _code,
    "file_search_call": _file_search,
    "image_generation_call": _image,
    "mcp_call": _mcp_call,
    "mcp_list_tools": _mcp_tools,
}


_UNITS = {
    "file_search_call": "file_searches",
    "code_interpreter_call": "code_interpreter_sessions",
    "image_generation_call": "image_generations",
}


def unit_of(item: Json) -> tuple[str, str] | None:
    """What an item is billed for beside tokens: the unit, and of which thing it is one.

    Searches are billed by the call, code by its container, pictures by the tokens of another model,
    whose number the response may not give: https://developers.openai.com/api/docs/pricing.

    >>> unit_of({"type": "code_interpreter_call", "id": "ci_1", "container_id": "cntr_1"})
    ('code_interpreter_sessions', 'cntr_1')
    >>> unit_of({"type": "web_search_call", "id": "ws_1", "action": {"type": "open_page"}})
    """
    kind, thing = item.get("type"), str(item.get("container_id") or item.get("id"))
    if kind == "web_search_call":
        action = item.get("action")
        is_search = not isinstance(action, Mapping) or action.get("type", "search") == "search"
        return ("web_searches", thing) if is_search else None
    unit = _UNITS.get(str(kind))
    return None if unit is None else (unit, thing)

"""The body of a request to OpenAI's Responses API.

Format: https://developers.openai.com/api/reference/resources/responses and the types of the openai
SDK 3 (``openai/types/responses``). Its stream is read in ``openai_responses_reader``. The provider
is that of Chat Completions, see ``openai``.

Our side adds four fields: ``store: false`` keeps no copy at OpenAI (an answer in the background
needs one), ``stream: true``, and for reasoning models a summary of the reasoning and its encrypted
form, which the next round of a tool loop sends back. ``extra`` with None in their place leaves them
out; see ``additions`` on servers that refuse them.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from llm_playground.catalog import capabilities
from llm_playground.parts import (
    AudioPart,
    FilePart,
    ImagePart,
    Part,
    RefusalPart,
    TextPart,
    ToolCall,
    ToolResult,
    original_for,
)
from llm_playground.providers import documents, extra, strict_schema
from llm_playground.providers.additions import ENCRYPTED
from llm_playground.providers.contents import sendable
from llm_playground.providers.openai_responses_items import NAME
from llm_playground.request import images
from llm_playground.types import Message, Request, Tool

Item = dict[str, Any]
_CALL_IDS = re.compile(r".{1,64}")  # longer ones: "Expected a string with maximum length 64"
# Items of requests, which name or hold what no answer has.
_NOT_SENT_BACK = frozenset({"function_call_output", "custom_tool_call_output", "item_reference"})
_LOGPROBS = "message.output_text.logprobs"


def body(request: Request) -> dict[str, Any]:
    """The request's JSON body; parameters that are not set are left out.

    ``stop``, ``seed``, the penalties and ``top_k`` have no field in this format. ``tools`` and
    ``include`` of ``extra`` are joined to those of the request.

    Raises:
        InvalidParameterError: As :func:`~.extra.merged`; also a recording, which has no place here.

    >>> from llm_playground.types import Message, Parameters
    >>> body(Request("openai:gpt-4o", (Message("user", (TextPart("hi"),)),)))
    ... # doctest: +NORMALIZE_WHITESPACE
    {'model': 'gpt-4o', 'input': [{'role': 'user', 'content': 'hi'}], 'store': False,
     'stream': True}
    """
    parameters, messages = request.parameters, sendable(request, _CALL_IDS)
    leading = _leading_systems(messages)
    settings = {
        "instructions": "\n\n".join(message.text for message in messages[:leading]) or None,
        "temperature": parameters.temperature,
        "top_p": parameters.top_p,
        "max_output_tokens": parameters.max_tokens,
        "top_logprobs": parameters.logprobs,
        "reasoning": _reasoning(request) or None,
        "text": None
        if request.schema is None
        else {"format": {"type": "json_schema", **strict_schema.openai_format(request.schema)}},
        "tools": [_tool(tool) for tool in request.tools] or None,
        "include": list(_include(request)) or None,
        "store": None if parameters.extra.get("background") else False,
    }
    content = {
        "model": request.model_name,
        "input": list(_items(messages[leading:])),
        **{name: value for name, value in settings.items() if value is not None},
        "stream": True,
    }
    if not parameters.extra:
        return content
    merged = extra.merged(content, _with_include(content, parameters.extra))
    return {name: value for name, value in merged.items() if name != "reasoning" or value != {}}


def _is_reasoning_asked(request: Request) -> bool:
    """Whether a request asks for a summary of the reasoning and for its encrypted form."""
    effort = request.parameters.reasoning_effort
    reasons = capabilities.abilities_of(request.model).reasoning if effort is None else True
    return bool(reasons) and effort != "none"


def _reasoning(request: Request) -> dict[str, Any]:
    effort = request.parameters.reasoning_effort
    summary = {"summary": "auto"} if _is_reasoning_asked(request) else {}
    return ({} if effort is None else {"effort": effort}) | summary


def _include(request: Request) -> Iterator[str]:
    if request.parameters.logprobs is not None:
        yield _LOGPROBS
    if _is_reasoning_asked(request):
        yield ENCRYPTED


def _with_include(content: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """``extra`` with its list of includes joined to that of the body."""
    value, present = given.get("include"), content.get("include")
    if not (isinstance(value, (list, tuple)) and present):
        return dict(given)
    return {**given, "include": [*present, *(item for item in value if item not in present)]}


def _tool(tool: Tool) -> Item:
    """A function; its schema is enforced where it has a strict form."""
    rewritten = strict_schema.strict(tool.parameters, strict_schema.OPENAI)
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters if rewritten is None else rewritten,
        "strict": rewritten is not None,  # without it, the server would try to make it strict
    }


def _leading_systems(messages: tuple[Message, ...]) -> int:
    others = (number for number, message in enumerate(messages) if message.role != "system")
    return next(others, len(messages))


def _items(messages: Iterable[Message]) -> Iterator[Item]:
    """The input items: parts of this format with their originals, all others in plain form."""
    custom: set[str] = set()  # ids of calls whose results have another type
    for message in messages:
        if message.role == "assistant":
            for item in _answered(message.content):
                if item.get("type") == "custom_tool_call":
                    custom.add(str(item.get("call_id")))
                yield item
            continue
        results = [part for part in message.content if isinstance(part, ToolResult)]
        for result in results:
            kind = "custom_tool_call" if result.id in custom else "function_call"
            yield {"type": f"{kind}_output", "call_id": result.id, "output": result.text}
        yield from _answered(tuple(part for part in message.content if isinstance(part, ToolCall)))
        if any(map(_is_content, message.content)) or not (
            message.content or message.role == "tool"
        ):
            yield {"role": message.role, "content": _content(message)}


def _is_content(part: Part) -> bool:
    return isinstance(part, (TextPart, ImagePart, FilePart))


def _content(message: Message) -> str | list[Item]:
    content = [part for part in message.content if _is_content(part)]
    if len(content) < 2 and all(isinstance(part, TextPart) for part in content):
        return message.text
    return [item for part in message.content for item in _input(part)]


def _input(part: Part) -> Iterator[Item]:
    match part:
        case TextPart(text):
            yield {"type": "input_text", "text": text}
        case ImagePart():
            yield {"type": "input_image", "detail": "auto", "image_url": images.data_url(part)}
        case FilePart():
            yield documents.for_responses(part)


def _answered(parts: tuple[Part, ...]) -> Iterator[Item]:
    """The items of an answer. One item may be several parts, which then name the same original."""
    last: Item | None = None
    texts: list[str] = []
    for number, part in enumerate(parts):
        item = original_for(part, NAME)
        if item is not None and _is_of_an_answer(item):
            yield from _joined_texts(texts)
            if isinstance(part, ToolCall):
                yield item | {"call_id": part.id}
            elif item != last:
                yield from _unchanged(item, parts[number + 1 : number + 2])
            last = item
        elif isinstance(part, (TextPart, RefusalPart)):
            texts.append(part.text)
        elif isinstance(part, AudioPart):
            texts.append(part.transcript)
        elif isinstance(part, ToolCall):
            yield from _joined_texts(texts)
            yield {
                "type": "function_call",
                "call_id": part.id,
                "name": part.name,
                "arguments": part.arguments_json,
            }
    yield from _joined_texts(texts)


def _joined_texts(texts: list[str]) -> Iterator[Item]:
    """The plain texts until now as one message; ``texts`` is empty afterwards."""
    if any(texts):
        yield {"role": "assistant", "content": "".join(texts)}
    texts.clear()


def _is_of_an_answer(item: Item) -> bool:
    """Whether an answer may have the item; one that may not comes from another program."""
    kind = item.get("type")
    own_role = item.get("role", "assistant") == "assistant"
    return isinstance(kind, str) and kind not in _NOT_SENT_BACK and own_role


def _unchanged(item: Item, following: tuple[Part, ...]) -> Iterator[Item]:
    if item.get("type") != "image_generation_call":
        yield item
        return
    for part in following:  # the picture, which is not stored in the item too
        if isinstance(part, ImagePart) and part.data is not None:
            yield item | {"result": base64.b64encode(part.data).decode()}

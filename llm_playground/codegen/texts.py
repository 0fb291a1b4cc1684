"""Every text of a request, changed alike: no half characters, no keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any

from llm_playground import credentials
from llm_playground.redact import redact
from llm_playground.types import ImagePart, Message, Parameters, Part, Request, TextPart

Change = Callable[[str], str]

# What of a part is somebody's words. A signature is a provider's seal on them, and names are ours.
_WORDS = frozenset({"text", "arguments_json", "url"})


def mended(request: Request) -> Request:
    r"""The request with ``?`` for each lone surrogate, as ``ask`` sends it: UTF-8 has none.

    >>> mended(Request("local:m", (Message("user", (TextPart("a\ud800"),)),))).user_prompt
    'a?'
    """
    return _changed(request, lambda text: text.encode("utf-8", "replace").decode("utf-8"))


def keyless(request: Request) -> Request:
    """The request without keys in its texts: code is shown, saved and passed on."""
    credentials.remember_all()
    return _changed(request, redact)


def in_messages(request: Request, change: Change) -> Request:
    """The request with the texts of its messages changed, and nothing else."""
    messages = tuple(
        replace(message, content=tuple(_of_text_part(part, change) for part in message.content))
        for message in request.messages
    )
    return replace(request, messages=messages)


def _of_text_part(part: Part, change: Change) -> Part:
    return TextPart(change(part.text)) if isinstance(part, TextPart) else part


def _changed(request: Request, change: Change) -> Request:
    schema = request.schema
    if schema is not None:
        schema = replace(schema, json_schema=_in_value(schema.json_schema, change))
    return replace(
        request,
        messages=tuple(_in_message(message, change) for message in request.messages),
        parameters=_in_parameters(request.parameters, change),
        tools=tuple(
            replace(
                tool,
                description=change(tool.description),
                parameters=_in_value(tool.parameters, change),
            )
            for tool in request.tools
        ),
        schema=schema,
    )


def _in_message(message: Message, change: Change) -> Message:
    return replace(message, content=tuple(_in_part(part, change) for part in message.content))


def _in_part(part: Part, change: Change) -> Part:
    if isinstance(part, ImagePart) and (part.url or "").startswith("data:"):
        return part  # bytes, in which anything may seem to stand
    words: dict[str, Any] = {
        field.name: change(value)
        for field in fields(part)
        if field.name in _WORDS and isinstance(value := getattr(part, field.name), str)
    }
    return replace(part, **words)


def _in_parameters(parameters: Parameters, change: Change) -> Parameters:
    stop = parameters.stop
    return replace(
        parameters,
        stop=None if stop is None else tuple(map(change, stop)),
        extra=_in_value(parameters.extra, change),
    )


def _in_value(value: Any, change: Change) -> Any:  # noqa: ANN401 - a JSON value is any of six types
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {change(str(name)): _in_value(item, change) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_in_value(item, change) for item in value]
    return value

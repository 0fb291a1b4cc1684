"""What is said to a model, from what a person gives: prompts, earlier turns, pictures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, cast, get_args

from llm_playground import misfit
from llm_playground.errors import InvalidParameterError
from llm_playground.images import image, images_from
from llm_playground.template import fill, names
from llm_playground.types import (
    ImagePart,
    Message,
    Part,
    ReasoningPart,
    Role,
    TextPart,
    ToolCall,
    ToolResult,
)

Turn = Message | Mapping[str, Any]


def conversation(
    prompt: str | None,
    *,
    system: str | None = None,
    messages: Iterable[Turn] | None = None,
    images: Any = None,  # noqa: ANN401 - see images_from
) -> tuple[Message, ...]:
    """The messages of a request: system prompt, earlier turns, pictures and prompt.

    Args:
        prompt: The last user message's text, None when ``messages`` hold it.
        system: The system prompt; a blank one is none.
        messages: Earlier turns: ``{"role": ..., "content": text or list of parts}``. A part is one
            of our own, or ``{"type": "text", "text": ...}``, ``{"type": "image", "image": what
            lp.image takes}``, or another that :func:`llm_playground.types.messages_as_json` writes.
        images: Pictures of the last user message, before its text.

    Raises:
        InvalidParameterError: Something is of the wrong kind, or nothing is asked.

    >>> conversation("hi", system="Be brief.")[0]
    Message(role='system', content=(TextPart(text='Be brief.'),))
    """
    turns = [Message("system", (_text(system, "system"),))] if system is not None else []
    turns = [turn for turn in turns if turn.text.strip()]
    turns += [_turn(turn) for turn in _several(messages)]
    pictures = images_from(images)
    if prompt is not None or pictures:
        text = () if prompt is None else (_text(prompt),)
        turns.append(Message("user", (*pictures, *text)))
    if not any(turn.role in {"user", "tool"} and _says_something(turn) for turn in turns):
        raise InvalidParameterError("The prompt is empty. Write what you want to ask.")
    return tuple(turns)


def filled(turns: Iterable[Message], variables: Mapping[str, object]) -> tuple[Message, ...]:
    """The messages with every ``{{name}}`` in their texts replaced by its value.

    Raises:
        InvalidParameterError: ``variables`` is no mapping.
        TemplateError: A name has no value.

    >>> filled(conversation("Say {{n}}."), {"n": 3})[0].text
    'Say 3.'
    """
    if not isinstance(variables, Mapping):
        raise InvalidParameterError(
            "variables takes a dictionary of names and values; got "
            f"{type(variables).__name__} {misfit.got(variables)}."
        )
    return tuple(
        replace(turn, content=tuple(_filled(part, variables) for part in turn.content))
        for turn in turns
    )


def value_hashes(turns: Iterable[Message], variables: Mapping[str, object]) -> dict[str, str]:
    """The SHA-256 in hex of every value that the messages' texts ask for, by its name.

    >>> list(value_hashes(conversation("Say {{n}}."), {"n": 3, "m": 4}))
    ['n']
    """
    asked = dict.fromkeys(name for turn in turns for name in names(turn.text))
    return {
        name: hashlib.sha256(str(variables[name]).encode("utf-8", "replace")).hexdigest()
        for name in asked
        if name in variables
    }


def _several(messages: Iterable[Turn] | None) -> Iterable[Turn]:
    if messages is None:
        return ()
    if isinstance(messages, (str, Mapping)) or not isinstance(messages, Iterable):
        raise InvalidParameterError(f"messages takes a list; got {misfit.got(messages)}.")
    return messages


def _filled(part: Part, variables: Mapping[str, object]) -> Part:
    return TextPart(fill(part.text, variables)) if isinstance(part, TextPart) else part


def _says_something(turn: Message) -> bool:
    return any(not isinstance(part, TextPart) or part.text.strip() for part in turn.content)


def _turn(turn: Turn) -> Message:
    if isinstance(turn, Message):
        return turn
    fields = turn if isinstance(turn, Mapping) else {}
    role, content = fields.get("role"), fields.get("content")
    if role not in get_args(Role) or not isinstance(content, (str, list, tuple)):
        raise InvalidParameterError(
            'A message is {"role": "system" | "user" | "assistant" | "tool", "content": text or '
            f"a list of parts}}; got {misfit.got(turn)}."
        )
    parts = (_text(content),) if isinstance(content, str) else tuple(map(_part, content))
    return _in_its_role(Message(cast("Role", role), parts))


def _in_its_role(turn: Message) -> Message:
    """Refuse a part where no provider has a place for it."""
    allowed = _PARTS_OF[turn.role]
    stray = next((part for part in turn.content if not isinstance(part, allowed)), None)
    if stray is not None:
        names = " and ".join(kind.__name__ for kind in allowed)
        raise InvalidParameterError(
            f"A message of the role {turn.role!r} holds {names}; got {type(stray).__name__}."
        )
    return turn


_PARTS_OF: dict[str, tuple[type[Part], ...]] = {
    "system": (TextPart,),
    "user": (TextPart, ImagePart),
    "assistant": (TextPart, ReasoningPart, ToolCall),
    "tool": (ToolResult,),
}


def _part(given: object) -> Part:
    if isinstance(given, (TextPart, ImagePart, ReasoningPart, ToolCall, ToolResult)):
        return given
    read = _READERS.get(str(given.get("type"))) if isinstance(given, Mapping) else None
    if read is None:
        raise InvalidParameterError(
            'A part of a message is {"type": "text", "text": ...} or {"type": "image", "image": '
            f"path, bytes or URL}}; got {misfit.got(given)}."
        )
    try:
        return read(given)
    except KeyError as missing:
        raise InvalidParameterError(
            f"This part of a message has no {missing}: {misfit.got(given)}."
        ) from None


def _read_image(given: Mapping[str, Any]) -> ImagePart:
    return image(given["url"] if given.get("url") else given["image"])


def _read_reasoning(given: Mapping[str, Any]) -> ReasoningPart:
    return ReasoningPart(_text(given["text"]).text, given.get("signature"))


def _read_call(given: Mapping[str, Any]) -> ToolCall:
    arguments = given["arguments"]
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return ToolCall(given["id"], given["name"], text, given.get("signature"))


def _read_result(given: Mapping[str, Any]) -> ToolResult:
    failed = given["type"] == "tool_error"
    return ToolResult(given["id"], given["name"], _text(given["text"]).text, failed)


_READERS: dict[str, Callable[[Any], Part]] = {
    "text": lambda given: _text(given["text"]),
    "image": _read_image,
    "reasoning": _read_reasoning,
    "tool_call": _read_call,
    "tool_result": _read_result,
    "tool_error": _read_result,
}


def _text(text: object, name: str = "A prompt") -> TextPart:
    if not isinstance(text, str):
        raise InvalidParameterError(f"{name} is text; got {type(text).__name__}.")
    # A lone surrogate (a broken paste) cannot be sent as UTF-8 by anyone.
    return TextPart(text.encode("utf-8", "replace").decode("utf-8"))

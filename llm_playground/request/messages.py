"""Messages from prompts, earlier turns, images and files."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import NoneType
from typing import Any, cast, get_args

from llm_playground import _validation
from llm_playground.errors import InvalidParameterError
from llm_playground.parts import (
    AnswerPart,
    AudioPart,
    FilePart,
    ImagePart,
    Original,
    OtherPart,
    Part,
    ReasoningPart,
    TextPart,
    ToolCall,
    ToolResult,
    part_of_json,
)
from llm_playground.request.files import file, files_from
from llm_playground.request.images import image, images_from
from llm_playground.request.locations import is_url
from llm_playground.runlog import attachments, open_log
from llm_playground.types import Message, Role, Run

Turn = Message | Run | Mapping[str, Any]


def conversation(
    prompt: str | None,
    *,
    system: str | None = None,
    messages: Iterable[Turn] | None = None,
    images: Any = None,  # noqa: ANN401 - types are checked by images_from
    files: Any = None,  # noqa: ANN401 - types are checked by files_from
) -> tuple[Message, ...]:
    """The messages of a request: system prompt, earlier turns, images, files and prompt.

    Args:
        prompt: Text of the last user message; None if ``messages`` contain it.
        system: The system prompt; a blank one is left out.
        messages: Earlier turns: ``{"role": ..., "content": text or list of parts}``, or a
            ``Message`` with the same content. A part is a ``TextPart`` or similar,
            ``{"type": "text", "text": ...}``, ``{"type": "image", "image": source for lp.image}``,
            ``{"type": "file", "file": source for lp.file}``, or as
            :func:`llm_playground.types.messages_as_json` writes it.
            An answer's ``run`` is a turn too, and ``run.parts`` are the content of one.
        images: Images of the last user message, placed before its text.
        files: Documents and recordings of the last user message, placed after its images.

    Raises:
        InvalidParameterError: An argument has the wrong type, or the prompt is empty.

    >>> [(turn.role, turn.text) for turn in conversation("hi", system="Be brief.")]
    [('system', 'Be brief.'), ('user', 'hi')]
    """
    turns = [Message("system", (_text(system, "system"),))] if system is not None else []
    turns = [turn for turn in turns if turn.text.strip()]
    turns += map(_turn, checked_messages(messages))
    image_parts = () if images is None else images_from(images)
    file_parts = () if files is None else files_from(files)
    if prompt is not None or image_parts or file_parts:
        text = () if prompt is None else (_text(prompt),)
        turns.append(Message("user", (*image_parts, *file_parts, *text)))
    said = (part for turn in turns if turn.role in {"user", "tool"} for part in turn.content)
    if not any(not isinstance(part, TextPart) or part.text.strip() for part in said):
        raise InvalidParameterError("The prompt is empty. Write what you want to ask.")
    return tuple(turns)


def stored_conversation(messages: Iterable[Mapping[str, Any]]) -> tuple[Message, ...]:
    """The messages of a stored prompt, as :func:`conversation` returns them.

    The log stores no path of an image or file. Rows that were imported or restored may name any
    file of this machine, which is not read: a sentence takes its place.

    Raises:
        InvalidParameterError: See :func:`conversation`.

    >>> part = {"type": "image", "image": "a.png"}
    >>> stored_conversation([{"role": "user", "content": [part]}])[0].text
    '[an image in a file, which is not read]'
    """

    def without_file(part: object) -> object:
        kind = part.get("type") if isinstance(part, Mapping) else None
        if not isinstance(part, Mapping) or kind not in {"image", "file"}:
            return part
        location = part.get("url") or part.get(kind)
        if not isinstance(location, str) or is_url(location):
            return part
        what = "an image in a file" if kind == "image" else "a file"
        return TextPart(f"[{what}, which is not read]")

    turns = [
        {**turn, "content": list(map(without_file, turn["content"]))}
        if isinstance(turn["content"], list)
        else turn
        for turn in messages
    ]
    return conversation(None, messages=turns)


def checked_messages(messages: Iterable[Turn] | None) -> Iterable[Turn]:
    """``messages``, or none.

    Raises:
        InvalidParameterError: It is no list.
    """
    if messages is None:
        return ()
    if isinstance(messages, (str, Mapping)) or not isinstance(messages, Iterable):
        raise InvalidParameterError(
            f"messages takes a list; got {_validation.short_repr(messages)}."
        )
    return messages


def _turn(turn: Turn) -> Message:
    if isinstance(turn, Run):
        return Message("assistant", with_bytes(turn.parts or (TextPart(turn.text),)))
    role, content = _role_and_content(turn)
    is_role = isinstance(role, str) and role in get_args(Role)
    if not is_role or not isinstance(content, (str, list, tuple)):
        raise InvalidParameterError(
            'A message is {"role": "system" | "user" | "assistant" | "tool", "content": text or '
            f"a list of parts}}; got {_validation.short_repr(turn)}."
        )
    parts = (_text(content),) if isinstance(content, str) else tuple(map(_part, content))
    allowed = _PARTS_OF[str(role)]
    wrong = next((part for part in parts if not isinstance(part, allowed)), None)
    if wrong is not None:
        names = " and ".join(kind.__name__ for kind in allowed)
        raise InvalidParameterError(
            f"A message with the role {role!r} takes {names}; got {type(wrong).__name__}."
        )
    return Message(cast("Role", role), with_bytes(parts))


def _role_and_content(turn: object) -> tuple[object, object]:
    """What a turn has as its role and content, unchecked: annotations bind no caller."""
    if isinstance(turn, Message):
        return turn.role, turn.content
    fields = turn if isinstance(turn, Mapping) else {}
    return fields.get("role"), fields.get("content")


def with_bytes(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """Parts with the bytes of pictures and recordings that stand in them as hashes of the log.

    Raises:
        InvalidParameterError: The log does not hold them.
        RunLogError: The log cannot be read.
    """
    if not any(map(_is_hash, parts)):
        return parts
    whole = attachments.parts_with_bytes(open_log(), parts)
    if any(map(_is_hash, whole)):
        raise InvalidParameterError(
            "A picture or recording of an earlier answer is no longer in the log. Leave its part "
            "out."
        )
    return whole


def _is_hash(part: Part) -> bool:
    if not isinstance(part, (ImagePart, AudioPart)):
        return False
    return part.data is None and part.stored_sha256 is not None


# The parts that providers accept in a message of each role.
_PARTS_OF: dict[str, tuple[type[Part], ...]] = {
    "system": (TextPart,),
    "user": (TextPart, ImagePart, FilePart),
    "assistant": get_args(AnswerPart),
    "tool": (ToolResult,),
}


def _part(source: object) -> Part:
    if isinstance(source, get_args(Part)):
        part = _checked_part(cast("Part", source))
        return file(part) if isinstance(part, FilePart) else part
    kind = source.get("type") if isinstance(source, Mapping) else None
    read = _READERS.get(kind) if isinstance(kind, str) else None
    if read is None:
        raise InvalidParameterError(
            'A message part is {"type": "text", "text": ...}, or {"type": "image", "image": path, '
            f'bytes or URL}} and the same with "file"; got {_validation.short_repr(source)}.'
        )
    try:
        return read(source)
    except KeyError as missing:
        raise InvalidParameterError(
            f"This message part has no {missing}: {_validation.short_repr(source)}."
        ) from None


def _checked_part(part: Part) -> Part:
    """A part that the caller made, whose fields have the types that its class says."""
    for field in dataclasses.fields(part):
        value = getattr(part, field.name)
        if not isinstance(value, _TYPES_OF_FIELDS[str(field.type)]):
            raise InvalidParameterError(
                f"{field.name} of {type(part).__name__} takes {field.type}; got "
                f"{_validation.short_repr(value)}."
            )
    return part


# By the annotations of the parts' classes, which are text.
_TYPES_OF_FIELDS: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "str | None": (str, NoneType),
    "bytes | None": (bytes, NoneType),
    "bool": (bool,),
    "Original | None": (Original, NoneType),
}


def _read_call(part: Mapping[str, Any]) -> ToolCall:
    arguments = part["arguments"]
    try:
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidParameterError(
            "The arguments of a tool call cannot be sent as JSON: "
            f"{_validation.shorten(str(error), 120)}."
        ) from None
    return ToolCall(_word(part, "id"), _word(part, "name"), text, _original(part))


def _read_result(part: Mapping[str, Any]) -> ToolResult:
    failed = part["type"] == "tool_error"
    return ToolResult(_word(part, "id"), _word(part, "name"), _text(part["text"]).text, failed)


def _read_reasoning(part: Mapping[str, Any]) -> ReasoningPart:
    """Reasoning with its original, or with a ``signature``, which is Anthropic's."""
    original, signature = _original(part), part.get("signature")
    if original is None and signature is not None:
        signed = {"type": "thinking", "signature": _word(part, "signature")}
        original = Original("anthropic", json.dumps(signed), "anthropic")
    return ReasoningPart(_text(part["text"]).text, original)


def _read_image(part: Mapping[str, Any]) -> ImagePart:
    if "sha256" in part:  # as it stands in the log
        return cast("ImagePart", _read_stored(part))
    return image(part["image"] if part.get("url") is None else part["url"])


def _read_stored(part: Mapping[str, Any]) -> Part:
    """A part of an answer as the log has it."""
    read = part_of_json(part)
    if isinstance(read, OtherPart) and part["type"] != "other":
        raise InvalidParameterError(
            f"This part of an answer cannot be read: {_validation.short_repr(part)}."
        )
    return read


def _original(part: Mapping[str, Any]) -> Original | None:
    given = part.get("original")
    if given is None:
        return None
    fields = given if isinstance(given, Mapping) else {}
    wire_format, as_json = fields.get("wire_format"), fields.get("json")
    provider = fields.get("provider")
    is_named = provider is None or isinstance(provider, str)
    if not (isinstance(wire_format, str) and isinstance(as_json, str) and is_named):
        raise InvalidParameterError(
            "The original of a message part has the texts wire_format, json and provider; got "
            f"{_validation.short_repr(given)}."
        )
    return Original(wire_format, as_json, provider)


def _word(part: Mapping[str, Any], field: str) -> str:
    value = part[field]
    if not isinstance(value, str):
        raise InvalidParameterError(
            f"The {field} of a message part is text; got {_validation.short_repr(value)}."
        )
    return value


_READERS: dict[str, Callable[[Any], Part]] = {
    "text": lambda part: replace(_text(part["text"]), original=_original(part)),
    "image": _read_image,
    "file": lambda part: file(
        part["file"] if part.get("url") is None else part["url"],
        None if part.get("name") is None else _word(part, "name"),
    ),
    "reasoning": _read_reasoning,
    "tool_call": _read_call,
    "tool_result": _read_result,
    "tool_error": _read_result,
    **dict.fromkeys(
        (
            "audio",
            "server_tool_call",
            "server_tool_result",
            "server_tool_error",
            "refusal",
            "other",
        ),
        _read_stored,
    ),
}


def _text(text: object, name: str = "A prompt") -> TextPart:
    if not isinstance(text, str):
        raise InvalidParameterError(f"{name} is text; got {type(text).__name__}.")
    # A lone surrogate, such as from a broken paste, cannot be encoded as UTF-8.
    return TextPart(text.encode("utf-8", "replace").decode("utf-8"))

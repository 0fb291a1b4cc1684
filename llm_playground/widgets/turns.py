"""Earlier turns of the conversation as the panel edits them: plain dicts of role and text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from llm_playground.errors import InvalidParameterError
from llm_playground.types import ImagePart, Message, Part, TextPart

Turn: TypeAlias = dict[str, Any]  # role, content (text), and images (entries) where it has some
Entries: TypeAlias = Callable[[object], list[dict[str, Any]]]
Parts: TypeAlias = Callable[[Sequence[Mapping[str, Any]]], list[ImagePart]]


def as_turns(given: object, entries: Entries) -> list[Turn]:
    """What a person gave as the turns that the panel keeps and a view is told.

    Args:
        given: Messages, or dicts of ``role`` and ``content``: text, or a list of parts.
        entries: Makes pictures the panel's entries.
    """
    several = given if isinstance(given, (list, tuple)) else [] if given is None else [given]
    return [_turn(turn, entries) for turn in several]


def messages(turns: Sequence[Turn], parts: Parts) -> list[dict[str, Any]]:
    """The turns as :func:`llm_playground.conversation.conversation` takes them.

    Args:
        turns: What the panel keeps.
        parts: Makes entries pictures.

    Raises:
        InvalidParameterError: A turn holds what the panel cannot send.
    """
    return [_message(number, turn, parts) for number, turn in enumerate(turns, 1)]


def texts(turns: Sequence[Turn]) -> list[str]:
    """What the turns say."""
    return [turn["content"] for turn in turns]


def _turn(given: object, entries: Entries) -> Turn:
    if isinstance(given, Message):
        return _of_parts(given.role, given.content, entries)
    fields = given if isinstance(given, Mapping) else {"problem": "is no message"}
    role, content = str(fields.get("role", "")), fields.get("content", "")
    if isinstance(content, (list, tuple)):
        return _of_parts(role, content, entries)
    turn: Turn = {"role": role, "content": content if isinstance(content, str) else str(content)}
    if fields.get("images"):
        turn["images"] = entries(fields["images"])
    return turn | ({"problem": str(fields["problem"])} if fields.get("problem") else {})


def _of_parts(role: str, parts: Sequence[Any], entries: Entries) -> Turn:
    read = [_part(part) for part in parts]
    turn: Turn = {"role": role, "content": "".join(text for text, _, _ in read)}
    pictures = [picture for _, picture, _ in read if picture is not None]
    strays = [stray for _, _, stray in read if stray]
    if pictures:
        turn["images"] = entries(pictures)
    return turn | ({"problem": f"holds a {strays[0]}"} if strays else {})


def _part(part: object) -> tuple[str, object, str]:
    """A part as its text, its picture, or the name of a kind that the panel has no place for."""
    match part:
        case TextPart(text) | {"type": "text", "text": str(text)}:
            return text, None, ""
        case ImagePart():
            return "", part, ""
        case {"type": "image", "url": str(url)}:
            return "", url, ""
        case {"type": "image", "image": picture}:
            return "", picture, ""
        case {"type": str(kind)}:
            return "", None, kind
    return "", None, type(part).__name__


def _message(number: int, turn: Turn, parts: Parts) -> dict[str, Any]:
    if turn.get("problem"):
        raise InvalidParameterError(
            f"Turn {number} {turn['problem']}, which the playground cannot send. Delete it."
        )
    if not turn["content"].strip() and not turn.get("images"):
        raise InvalidParameterError(f"Turn {number} is empty. Write something or delete it.")
    content: list[Part] = [*parts(turn.get("images", ())), TextPart(turn["content"])]
    return {"role": turn["role"], "content": content if turn.get("images") else turn["content"]}


def followed(sent: Sequence[Message], answer: str, entries: Entries) -> list[Turn]:
    """What was sent and its answer as the turns that a next question follows.

    The system prompt is left out: it has its own box.
    """
    said = list(sent[1:] if sent and sent[0].role == "system" else sent)
    return [*as_turns(said, entries), {"role": "assistant", "content": answer}]

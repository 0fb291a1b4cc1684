"""What of earlier answers a request leaves out, since its wire format has no place for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import zip_longest

from llm_playground.parts import (
    LEFT_OUT,
    PAUSED,
    REPEATS,
    AnswerPart,
    AudioPart,
    ImagePart,
    OtherPart,
    Part,
    ServerToolCall,
    ServerToolResult,
)
from llm_playground.providers.wire_formats import format_of
from llm_playground.request import images
from llm_playground.types import Request

# Text, refusals and calls have a place everywhere; reasoning is only for its own provider.
_NAMES: dict[type[AnswerPart], str] = {
    ImagePart: "picture",
    AudioPart: "recording",
    ServerToolCall: "server tool call",
    ServerToolResult: "server tool result",
    OtherPart: "unknown part",
}
_TAKES_MEDIA = frozenset({"gemini"})
# Here a picture or result belongs to the item of the call before it.
_JOINS = frozenset({"openai-responses"})


def left_out(request: Request) -> dict[str, int]:
    """The parts of earlier answers that are not sent: how many of each kind.

    Empty for a provider whose format is not one of this package.

    >>> from llm_playground.types import Message
    >>> turns = (Message("assistant", (ImagePart("image/png", b"abc"),)), Message("user", ()))
    >>> left_out(Request("anthropic:m", turns)), left_out(Request("gemini:m", turns))
    ({'picture': 1}, {})
    """
    wire_format = format_of(request)
    if wire_format is None:
        return {}
    name, counts = wire_format.name.removesuffix("-vertex"), Counter[str]()
    for message in request.messages:
        if message.role == "assistant":
            counts.update(_unsent(message.content, name, request.provider))
    return dict(counts)


def _unsent(parts: tuple[Part, ...], name: str, provider: str) -> Iterator[str]:
    is_joined = False
    for part, following in zip_longest(parts, parts[1:]):
        original = getattr(part, "original", None)
        is_own = original is not None and (original.wire_format, original.provider) == (
            name,
            provider,
        )
        goes_back = is_own and _goes_back(part, following, name)
        is_joined = name in _JOINS and (
            (is_joined and original is None) or (goes_back and isinstance(part, ServerToolCall))
        )
        kind = next((noun for of, noun in _NAMES.items() if isinstance(part, of)), None)
        if kind is not None and not (goes_back or is_joined or _has_place(part, name)):
            yield kind


def _goes_back(part: Part, following: Part | None, name: str) -> bool:
    """Whether a part with an original of its provider is sent: the original has no picture."""
    match part:
        case ImagePart():
            return not images.is_gone(part)
        case AudioPart():
            return name not in _TAKES_MEDIA  # the original is a signature of the bytes
        case ServerToolCall(name="image_generation") if name in _JOINS:
            return isinstance(following, ImagePart) and following.data is not None
    return True


def _has_place(part: Part, name: str) -> bool:
    """Whether a part is sent without its original, or is not to be counted."""
    match part:
        case ImagePart():
            return name in _TAKES_MEDIA and not images.is_gone(part)
        case AudioPart(media_type, data, transcript):
            has_bytes = data is not None and media_type is not None
            return bool(transcript) or (name in _TAKES_MEDIA and has_bytes)
        case OtherPart(kind=kind):
            return kind in (PAUSED, LEFT_OUT, REPEATS)
        case ServerToolCall(original=original) | ServerToolResult(original=original):
            # Such parts without an original are never sent, to any provider, and are not counted.
            return original is None
    return False

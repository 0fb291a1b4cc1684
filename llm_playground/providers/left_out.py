"""What of earlier answers a request leaves out, since its wire format has no place for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from llm_playground.parts import (
    LEFT_OUT,
    PAUSED,
    AnswerPart,
    AudioPart,
    ImagePart,
    OtherPart,
    Part,
    ServerToolCall,
    ServerToolResult,
)
from llm_playground.providers.wire_formats import format_of
from llm_playground.types import Request

# Text, refusals and calls have a place everywhere; reasoning is only for its own provider.
_CALLED: dict[type[AnswerPart], str] = {
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
    for part in parts:
        original = getattr(part, "original", None)
        is_own = original is not None and (original.wire_format, original.provider) == (
            name,
            provider,
        )
        is_joined = name in _JOINS and (
            (is_joined and original is None) or (is_own and isinstance(part, ServerToolCall))
        )
        kind = next((called for of, called in _CALLED.items() if isinstance(part, of)), None)
        if kind is not None and not (is_own or is_joined or _has_place(part, name)):
            yield kind


def _has_place(part: Part, name: str) -> bool:
    """Whether a part without an original is sent, or no provider would get it."""
    match part:
        case ImagePart():
            return name in _TAKES_MEDIA
        case AudioPart(transcript=transcript):
            return bool(transcript) or name in _TAKES_MEDIA
        case OtherPart(kind=kind):
            return kind in (PAUSED, LEFT_OUT)
        case ServerToolCall(original=original) | ServerToolResult(original=original):
            return original is None  # its own provider does not take it back either
    return False

"""Values of an answer that are not as its format says: what one of them breaks, and what is kept.

One odd value must not take the rest of its event along, and is shown as an
:class:`~llm_playground.parts.OtherPart`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from llm_playground.events import (
    PartAdded,
    ProviderEvent,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
)
from llm_playground.parts import OtherPart, texts_in
from llm_playground.providers.contents import dumps

UNREADABLE = (AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What readers raise for JSON of another shape."""

_Value = TypeVar("_Value")


def check_texts(items: Iterable[ProviderEvent]) -> None:
    """Raise TypeError for a number, a list or an object where the format has a text."""
    for item in items:
        if isinstance(item, (TextDelta, ReasoningDelta)):
            is_text = isinstance(item.text, str)
        elif isinstance(item, ToolCallDelta):
            optional: tuple[object, ...] = (item.id, item.name)
            is_text = isinstance(item.arguments_json, str) and all(
                text is None or isinstance(text, str) for text in optional
            )
        elif isinstance(item, PartAdded):
            is_text = all(isinstance(text, str) for text in texts_in(item.part))
        else:
            continue
        if not is_text:
            raise TypeError("not a text")


def read_each(
    kind: str, values: Iterable[_Value], read: Callable[[_Value], Iterable[ProviderEvent]]
) -> Iterator[ProviderEvent]:
    """The events of each value; one that cannot be read is an OtherPart of ``kind``.

    >>> list(read_each("part", ["a", 5], lambda text: [TextDelta(text)]))
    [TextDelta(text='a'), PartAdded(part=OtherPart(kind='part', json='5', original=None))]
    """
    for value in values:
        try:
            events = list(read(value))
            check_texts(events)
        except UNREADABLE:
            events = [PartAdded(OtherPart(kind, dumps(value)))]
        yield from events


def unknown_event(event: Mapping[str, Any]) -> list[ProviderEvent]:
    """No events for one of a type that is not known, if it holds nothing, as heartbeats do.

    Raises:
        LookupError: It may hold a part of the answer.

    >>> unknown_event({"type": "ping", "sequence_number": 3})
    []
    """
    holds = (value for name, value in event.items() if name != "type" and value)
    if any(isinstance(value, (str, list, dict)) for value in holds):
        raise LookupError(event.get("type"))
    return []

r"""Characters that a provider cut in half: ``\ud83d`` in one delta, ``\ude00`` in the next.

JSON lets each stand alone; a text with one can be neither printed nor stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from llm_playground.events import ProviderEvent, ReasoningDelta, TextDelta, ToolCallDelta

_Delta = TextDelta | ReasoningDelta | ToolCallDelta
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def may_be_in(json_text: str) -> bool:
    """Whether half a character may be in a value of this JSON: only an escape can write one."""
    return "\\u" in json_text and ("\\ud" in json_text or "\\uD" in json_text)


def mended(text: str) -> str:
    r"""A text with its halves joined; one that stands alone is U+FFFD.

    >>> mended("\ud83d\ude00, \ude00")
    '😀, �'
    """
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


class Joiner:
    r"""Holds the first half back until its second comes; make one per answer.

    >>> joiner = Joiner()
    >>> list(joiner.joined([TextDelta("a\ud83d")])), list(joiner.joined([TextDelta("\ude00b")]))
    ([TextDelta(text='a')], [TextDelta(text='😀b')])
    """

    def __init__(self) -> None:
        self._held: dict[tuple[type[_Delta], int], tuple[_Delta, str]] = {}

    @property
    def holding(self) -> bool:
        """Whether half a character waits for the other."""
        return bool(self._held)

    def joined(self, items: Iterable[ProviderEvent]) -> Iterator[ProviderEvent]:
        """The deltas, each without the half that its next one ends."""
        for item in items:
            if not isinstance(item, (TextDelta, ReasoningDelta, ToolCallDelta)):
                yield item
                continue
            place = (type(item), item.index if isinstance(item, ToolCallDelta) else 0)
            _, first = self._held.pop(place, (item, ""))
            text = first + _text(item)
            if "\ud800" <= text[-1:] <= "\udbff":
                text, half = text[:-1], text[-1]
                self._held[place] = (item, half)
            if text or isinstance(item, ToolCallDelta):
                yield _with_text(item, mended(text))

    def rest(self) -> Iterator[ProviderEvent]:
        """What waits in vain at the answer's end."""
        for item, _ in self._held.values():
            yield _with_text(item, _REPLACEMENT)
        self._held.clear()


def _text(item: _Delta) -> str:
    return item.arguments_json if isinstance(item, ToolCallDelta) else item.text


def _with_text(item: _Delta, text: str) -> _Delta:
    if isinstance(item, ToolCallDelta):
        return replace(item, arguments_json=text)
    return replace(item, text=text)

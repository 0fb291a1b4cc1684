r"""Server-sent events, decoded from chunks of bytes cut anywhere; surrogate pairs cut in half.

The format is the WHATWG HTML standard's "event stream" (section 9.2, server-sent events). ``id``
and ``retry`` are ignored: they are for a browser's reconnection, and a prompt is never sent again
automatically.

Some providers split a character: ``\ud83d`` in one delta, ``\ude00`` in the next. JSON allows lone
surrogates, but a text with one can be neither printed nor stored; :class:`SurrogateJoiner` joins
them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, NamedTuple, TypeVar

from llm_playground.events import (
    Finish,
    PartAdded,
    ProviderEvent,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
)

# A picture of 4,096 by 4,096 pixels may have 40 MB in base64. Without a limit an endless event
# would fill the kernel's memory.
MAX_EVENT_BYTES = 64 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"
# `error` is not of the standard: llama.cpp reports errors in mid-stream so
# (https://github.com/ggml-org/llama.cpp/issues/16104).
_FIELDS = (b"data", b"event", b"error")


class Event(NamedTuple):
    """One event, with an empty ``name`` where the stream gives none.

    A tuple, since a long answer has thousands.
    """

    name: str
    data: str


class EventTooLongError(ValueError):
    """A line or an event exceeds :data:`MAX_EVENT_BYTES`."""


class EventDecoder:
    r"""Decodes one stream; make one per response.

    >>> decoder = EventDecoder()
    >>> decoder.feed(b"event: ping\ndata: {}\n\ndata: on")
    [Event(name='ping', data='{}')]
    >>> decoder.feed(b"e\r\n\r\n")
    [Event(name='', data='one')]
    """

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._limit = max_event_bytes
        self._tail = bytearray()
        self._after_cr = False
        self._first_line = True
        self._name = b""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that ``chunk`` completes.

        Raises:
            EventTooLongError: A line or an event exceeds the limit.
        """
        if self._after_cr and chunk:  # CR has ended the line; LF belongs to the same line end
            chunk = chunk.removeprefix(b"\n")
            self._after_cr = False
        if not chunk:
            return []
        lines = chunk.splitlines()
        self._after_cr = chunk.endswith(b"\r")
        tail = b"" if chunk.endswith((b"\n", b"\r")) else lines.pop()
        if lines and self._tail:
            lines[0] = bytes(self._tail) + lines[0]
            self._tail.clear()
        events = self._take(lines)
        self._tail += tail
        if len(self._tail) + self._size > self._limit:
            raise EventTooLongError(f"an event of more than {self._limit:,} bytes")
        return events

    def flush(self) -> list[Event]:
        """The event at the end of the stream that lacks its blank line, if any.

        The standard drops it, but some servers omit the last newline.
        """
        rest = [bytes(self._tail), b""] if self._tail else [b""]
        self._tail.clear()
        return self._take(rest)

    def _take(self, lines: list[bytes]) -> list[Event]:
        if self._first_line and lines:
            lines[0] = lines[0].removeprefix(_BOM)
            self._first_line = False
        events = []
        for line in lines:
            if line.startswith(b"data: "):  # nearly every line
                if self._data and self._has_whole_object(line[6:]):
                    events.append(self._complete())
                self._add(line[6:])
            elif line.startswith(b"event: ") and not self._data:
                self._name = line[7:]
            elif line:
                events += self._read_field(line)
            elif self._data:
                events.append(self._complete())
            else:
                self._name = b""
        return events

    def _read_field(self, line: bytes) -> list[Event]:
        """Read another field; returns the event that a server has ended without a blank line."""
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field not in _FIELDS:
            return []
        is_next = bool(self._data) and (field != b"data" or self._has_whole_object(value))
        ended = [self._complete()] if is_next and self._has_whole_object(b"{") else []
        if field == b"event":
            self._name = value
        else:
            self._name = b"error" if field == b"error" else self._name
            self._add(value)
        return ended

    def _has_whole_object(self, following: bytes) -> bool:
        """Whether the lines so far are one JSON object, so that ``following`` is the next one.

        Some servers end events with a single line end. Joined, as the standard has it, two objects
        would be no JSON.
        """
        first = self._data[0]
        is_object = len(self._data) == 1 and first[:1] == b"{" and first.rstrip()[-1:] == b"}"
        return is_object and following[:1] in (b"{", b"[")

    def _add(self, value: bytes) -> None:
        self._data.append(value)
        self._size += len(value) + 1
        if self._size > self._limit:
            raise EventTooLongError(f"an event of more than {self._limit:,} bytes")

    def _complete(self) -> Event:
        data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
        event = Event(self._name.decode("utf-8", "replace"), data.decode("utf-8", "replace"))
        self._name, self._data, self._size = b"", [], 0
        return event


_Delta = TextDelta | ReasoningDelta | ToolCallDelta
_Value = TypeVar("_Value")
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def may_have_surrogates(json_text: str) -> bool:
    """Whether a value of this JSON may contain a surrogate, which only an escape can write."""
    return "\\u" in json_text and ("\\ud" in json_text or "\\uD" in json_text)


def join_surrogates(text: str) -> str:
    r"""A text with surrogate pairs joined; a lone one becomes U+FFFD.

    >>> join_surrogates("\ud83d\ude00, \ude00")
    '😀, �'
    """
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


class SurrogateJoiner:
    r"""Holds back a high surrogate until the next delta; make one per answer.

    >>> joiner = SurrogateJoiner()
    >>> list(joiner.join([TextDelta("a\ud83d")])), list(joiner.join([TextDelta("\ude00b")]))
    ([TextDelta(text='a')], [TextDelta(text='😀b')])
    """

    def __init__(self) -> None:
        self._held: dict[tuple[type[_Delta], int], tuple[_Delta, str]] = {}
        self._has_escapes = False

    def is_needed(self, json_text: str, items: Sequence[ProviderEvent]) -> bool:
        """Whether the items of an event may have a surrogate; a whole part also of earlier ones."""
        if may_have_surrogates(json_text):
            self._has_escapes = True
            return True
        is_whole = self._has_escapes and bool(items) and isinstance(items[-1], PartAdded)
        return is_whole or bool(self._held)

    def joined(self, finish: Finish) -> Finish:
        """What was read of the answer, without surrogates."""
        return _joined(finish) if self._has_escapes else finish

    def join(self, items: Iterable[ProviderEvent]) -> Iterator[ProviderEvent]:
        """The deltas; a surrogate at the end of one moves to the start of the next."""
        for item in items:
            if isinstance(item, PartAdded):
                yield PartAdded(_joined(item.part))
                continue
            if not isinstance(item, (TextDelta, ReasoningDelta, ToolCallDelta)):
                yield item
                continue
            key = (type(item), item.index if isinstance(item, ToolCallDelta) else 0)
            _, first = self._held.pop(key, (item, ""))
            text = first + (item.arguments_json if isinstance(item, ToolCallDelta) else item.text)
            if "\ud800" <= text[-1:] <= "\udbff":
                text, high = text[:-1], text[-1]
                self._held[key] = (item, high)
            if text or isinstance(item, ToolCallDelta):
                yield _with_text(item, join_surrogates(text))

    def flush(self) -> Iterator[ProviderEvent]:
        """A replacement character for each surrogate that is still held back."""
        for item, _ in self._held.values():
            yield _with_text(item, _REPLACEMENT)
        self._held.clear()


def _with_text(item: _Delta, text: str) -> _Delta:
    if isinstance(item, ToolCallDelta):
        return replace(_joined(item), arguments_json=text)
    return replace(item, text=text)


def _joined(value: _Value) -> _Value:
    """A value without lone surrogates in any text in it."""
    held: Any = value
    if isinstance(held, str):
        return held if held.isascii() else join_surrogates(held)  # type: ignore[return-value]
    if isinstance(held, tuple):
        return tuple(map(_joined, held))  # type: ignore[return-value]
    if isinstance(held, dict):
        return {_joined(name): _joined(each) for name, each in held.items()}  # type: ignore[return-value]
    if is_dataclass(held) and not isinstance(held, type):
        inner = {one.name: getattr(held, one.name) for one in fields(held)}
        changed = {name: new for name, old in inner.items() if (new := _joined(old)) != old}
        return replace(held, **changed) if changed else value  # type: ignore[return-value]
    return value

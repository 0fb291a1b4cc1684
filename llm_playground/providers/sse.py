"""Server-sent events: bytes in, events out, wherever the bytes were cut.

The format is the WHATWG HTML standard's "event stream" (section 9.2, server-sent events). ``id``
and ``retry`` serve a browser's reconnection and are ignored: a prompt is never sent again unasked.
"""

from __future__ import annotations

from typing import NamedTuple

# Longer than any answer's delta, shorter than a kernel's memory.
MAX_EVENT_BYTES = 16 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"


class Event(NamedTuple):
    """One event; a tuple because a long answer makes thousands.

    ``name`` is empty where the stream gives none.
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
            EventTooLongError: The stream holds a line or an event beyond the limit.
        """
        if self._after_cr and chunk:  # CR ended the line already; LF after it is no second end
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
        """The event that the end of the stream left without its blank line, if any.

        The standard drops it. Some servers forget the last newline, so readers get it and skip
        what does not parse.
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
                self._add(line[6:])
            elif line:
                self._read_field(line)
            elif self._data:
                events.append(self._complete())
            else:
                self._name = b""
        return events

    def _read_field(self, line: bytes) -> None:
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._add(value)
        elif field == b"event":
            self._name = value

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

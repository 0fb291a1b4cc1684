"""A JSON array that grows: bytes in, its elements out as they end, wherever the bytes were cut.

Google's REST services stream one where nobody asks for ``alt=sse``: each event of an answer is an
element, over as many lines as it likes. ``google.api_core.rest_streaming`` reads the same.
"""

from __future__ import annotations

import re

from llm_playground.providers.sse import MAX_EVENT_BYTES, EventTooLongError

_MARKS = re.compile(rb'[\\"{}\[\]]')
_BACKSLASH, _QUOTE = b'\\"'
_OPENING, _CLOSING = frozenset(b"{["), frozenset(b"}]")
_BEFORE = b" \t\r\n\xef\xbb\xbf"  # blanks and the byte order mark


class ArrayDecoder:
    r"""Gives a streamed array the form of an event stream; make one per response.

    What is no array passes as it came: an error, or a proxy's page.

    >>> decoder = ArrayDecoder()
    >>> decoder.feed(b'[{"a": 1},\n{"b":\n "')
    b'data: {"a": 1}\n\n'
    >>> decoder.feed(b']}"}]')
    b'data: {"b":  "]}"}\n\n'
    """

    def __init__(self, max_element_bytes: int = MAX_EVENT_BYTES) -> None:
        self._limit = max_element_bytes
        self._is_array: bool | None = None  # None until the first byte that tells
        self._depth = 0
        self._in_string = False
        self._escaped = -1  # where in the chunk the character after a backslash is
        self._element = bytearray()

    def feed(self, chunk: bytes) -> bytes:
        """The elements that ``chunk`` completes, each as one event.

        Raises:
            EventTooLongError: An element exceeds the limit.
        """
        if self._is_array is None:
            told = chunk.lstrip(_BEFORE)[:1]
            if not told:
                return b""
            self._is_array = told == b"["
        if not self._is_array:
            return chunk
        return b"".join(_as_event(element) for element in self._elements(chunk))

    def _elements(self, chunk: bytes) -> list[bytes]:
        elements, start = [], 0
        for match in _MARKS.finditer(chunk):
            place, mark = match.start(), chunk[match.start()]
            if self._in_string:
                self._read_string(place, mark)
            elif mark == _QUOTE:
                self._in_string = True
            elif mark in _OPENING:
                self._depth += 1
                if self._depth == 2:
                    start = place
            elif mark in _CLOSING:
                self._depth -= 1
                if self._depth == 1:
                    elements.append(bytes(self._element) + chunk[start : place + 1])
                    self._element.clear()
        self._escaped -= len(chunk)
        if self._depth > 1:
            self._keep(chunk[start:])
        return elements

    def _read_string(self, place: int, mark: int) -> None:
        if place == self._escaped:
            return
        if mark == _BACKSLASH:
            self._escaped = place + 1
        elif mark == _QUOTE:
            self._in_string = False

    def _keep(self, part: bytes) -> None:
        self._element += part
        if len(self._element) > self._limit:
            raise EventTooLongError(f"an event of more than {self._limit:,} bytes")


def _as_event(element: bytes) -> bytes:
    """Line ends stand between values only: in a JSON string they are escaped."""
    return b"data: " + b" ".join(element.splitlines()) + b"\n\n"

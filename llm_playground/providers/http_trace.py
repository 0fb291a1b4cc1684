"""HTTP requests and responses of a run, recorded for the request inspector.

:func:`recording` turns recording on for the calls made in its block; otherwise nothing is kept.
Keys are masked before anything is stored; texts are redacted when they are read.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from llm_playground.http_headers import has_secret
from llm_playground.redaction import mask, redact, settled

MOST_BYTES = 262_144
"""How much is kept of each request and of each response by default."""

_LONGEST_STRING = 8_192
_KEPT_OF_STRING = 64
_SCHEME = re.compile(r"(?:Bearer|Basic|Token) ", re.IGNORECASE)
_PEM_END = re.compile(r"(?:(?!-----BEGIN ).)*?-----END [A-Z ]*PRIVATE KEY", re.DOTALL)
_WORD_END = re.compile(r"[\s\"',;&]")

Headers = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Excerpt:
    """The beginning and the end of a long text that arrives in pieces.

    ``most`` is how many bytes are kept, ``size`` the length of the whole text.

    >>> excerpt = Excerpt(16)
    >>> excerpt.add(b"one two three four")
    >>> excerpt.text()
    ('one two', 'four')
    >>> excerpt.size - excerpt.kept
    2
    """

    most: int = MOST_BYTES
    size: int = 0
    _head: bytearray = field(default_factory=bytearray)
    _tail: deque[bytes] = field(default_factory=deque)
    _tail_size: int = 0

    def add(self, piece: bytes) -> None:
        """Append a piece."""
        self.size += len(piece)
        half = self.most // 2
        head_free = self.most - half - len(self._head)
        self._head += piece[:head_free]
        piece = piece[head_free:]
        if piece:
            self._tail.append(piece[-half:])
            self._tail_size += len(self._tail[-1])
            while self._tail and self._tail_size - len(self._tail[0]) >= half:
                self._tail_size -= len(self._tail.popleft())

    @property
    def kept(self) -> int:
        """How many bytes are kept."""
        return len(self._head) + min(self._tail_size, self.most // 2)

    def text(self) -> tuple[str, str]:
        """Beginning and end, redacted; the end is empty where nothing is missing between them.

        Both are cut at word boundaries, since half a key would not be recognised as one.
        """
        head, tail = bytes(self._head), b"".join(self._tail)
        if self.size <= len(head) + len(tail) and len(tail) <= self.most // 2:
            return redact((head + tail).decode("utf-8", "replace")), ""
        start = head.decode("utf-8", "ignore")
        end = tail[-(self.most // 2) :].decode("utf-8", "ignore")
        boundary = _PEM_END.match(end) or _WORD_END.search(end)
        return _whole_words(start), redact(end[boundary.end() :] if boundary else "")


@dataclass(slots=True)
class RoundTrip:
    """One request, and as much of its response as was ``received``, decoded; secrets are masked.

    In the request's ``body``, long strings without a space, such as images, are shortened. Times
    are in seconds of :func:`time.perf_counter`; ``answered_at`` is when the headers arrived.
    """

    attempt: int
    method: str
    url: str
    headers: Headers
    body: Excerpt
    received: Excerpt
    sent_at: float
    status_code: int | None = None
    answer_headers: Headers = ()
    answered_at: float | None = None

    def answered(self, status_code: int, headers: Iterable[tuple[str, str]]) -> None:
        """Record the status and headers of the response."""
        self.answered_at = time.perf_counter()
        self.status_code, self.answer_headers = status_code, masked(headers)


@dataclass(slots=True)
class HttpTrace:
    """The round trips of one run, in order. ``attempt`` is the number of the current attempt."""

    most_bytes: int = MOST_BYTES
    attempt: int = 1
    trips: list[RoundTrip] = field(default_factory=list)

    def sent(
        self, method: str, url: str, headers: Iterable[tuple[str, str]], body: bytes
    ) -> RoundTrip:
        """Record a request that is being sent."""
        excerpt = Excerpt(self.most_bytes)
        if len(body) > _LONGEST_STRING:  # it may have strings that are cut short
            body = b'"'.join(map(_shortened_string, body.split(b'"')))
        excerpt.add(body)
        trip = RoundTrip(
            *(self.attempt, method, redact(url), masked(headers), excerpt),
            received=Excerpt(self.most_bytes),
            sent_at=time.perf_counter(),
        )
        self.trips.append(trip)
        return trip


@dataclass(slots=True)
class _Recorder:
    """The value of a context, so that work that outlives its run does not keep the trace alive."""

    trace: HttpTrace | None


_recorder: ContextVar[_Recorder | None] = ContextVar("_recorder", default=None)


@contextmanager
def recording(trace: HttpTrace) -> Iterator[None]:
    """Record what this task sends and receives within the block."""
    recorder = _Recorder(trace)
    token = _recorder.set(recorder)
    try:
        yield
    finally:
        recorder.trace = None
        _recorder.reset(token)


def running() -> HttpTrace | None:
    """The trace that is being recorded, None outside :func:`recording`."""
    recorder = _recorder.get()
    return None if recorder is None else recorder.trace


def last_trip() -> RoundTrip | None:
    """The current round trip, None outside :func:`recording` and before a request is sent."""
    trace = running()
    return trace.trips[-1] if trace is not None and trace.trips else None


def masked(headers: Iterable[tuple[str, str]]) -> Headers:
    """Headers with masked secrets, which stay recognisable by their ends.

    >>> masked([("Authorization", "Bearer abcdefgh-12345"), ("accept", "*/*")])
    (('Authorization', 'Bearer …345'), ('accept', '*/*'))
    """
    return tuple((name, _masked(name, value)) for name, value in headers)


def _masked(name: str, value: str) -> str:
    if not has_secret(name):
        return redact(value)
    scheme = _SCHEME.match(value)
    return scheme[0] + mask(value[scheme.end() :]) if scheme else mask(value)


def _whole_words(text: str) -> str:
    """The beginning of a text, redacted, without its last word, which may be incomplete."""
    cut = max((found.start() for found in _WORD_END.finditer(text, len(text) - 512)), default=0)
    text = text[: cut or len(text)]
    return redact(text[: settled(text)])


def _shortened_string(text: bytes) -> bytes:
    """A JSON string, cut short if it is one long word, such as an image in base64."""
    if len(text) <= _LONGEST_STRING or b" " in text or b"\\" in text:
        return text
    left_out = f"… {len(text) - _KEPT_OF_STRING:,} characters left out"
    return text[:_KEPT_OF_STRING] + left_out.encode()

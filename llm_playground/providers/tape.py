"""What went over the wire for one run, kept for who wants to look: requests and responses.

Nothing is kept unless somebody records: :func:`recording` says so for the calls that its block
makes. Keys are masked before anything is kept; texts are redacted when they are read.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from llm_playground.redact import mask, redact, settled

MOST_BYTES = 262_144
"""Of each request and of each response, unless a tape says otherwise."""

_LONGEST_STRING = 8_192
_KEPT_OF_STRING = 64
# Header names that carry a secret, whatever its shape.
_SECRET = re.compile(r"authori[sz]ation|api-?key|token|cookie|secret|password", re.IGNORECASE)
_COUNTS = re.compile(r"ratelimit|rate-limit", re.IGNORECASE)  # anthropic-ratelimit-tokens-remaining
_SCHEME = re.compile(r"(?:Bearer|Basic|Token) ", re.IGNORECASE)
_PEM_END = re.compile(r"(?:(?!-----BEGIN ).)*?-----END [A-Z ]*PRIVATE KEY", re.DOTALL)
_WORD_END = re.compile(r"[\s\"',;&]")

Headers = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Excerpt:
    """The beginning and the end of what comes in pieces; ``size`` is how long all of it is.

    >>> cut = Excerpt(16)
    >>> cut.add(b"one two three four")
    >>> cut.text()
    ('one two', 'four')
    >>> cut.size - cut.kept
    2
    """

    most: int = MOST_BYTES
    size: int = 0
    _head: list[bytes] = field(default_factory=list)
    _room: int = -1
    _tail: deque[bytes] = field(default_factory=deque)
    _tail_size: int = 0

    def __post_init__(self) -> None:
        self._room = self.most - self.most // 2

    def add(self, piece: bytes) -> None:
        """One more piece."""
        self.size += len(piece)
        if self._room > 0:
            first = piece[: self._room]
            self._head.append(first)
            self._room -= len(first)
            piece = piece[len(first) :]
        if piece:
            self._end(piece)

    @property
    def kept(self) -> int:
        """How many bytes are kept."""
        return sum(map(len, self._head)) + min(self._tail_size, self.most // 2)

    def text(self) -> tuple[str, str]:
        """Beginning and end, redacted; the end is empty where nothing is missing between them.

        Neither ends in the middle of a word where it was cut: half of a key looks like none.
        """
        head, tail = b"".join(self._head), b"".join(self._tail)
        if self.size <= len(head) + len(tail) and len(tail) <= self.most // 2:
            return redact((head + tail).decode("utf-8", "replace")), ""
        start = head.decode("utf-8", "ignore")
        end = tail[-(self.most // 2) :].decode("utf-8", "ignore")
        boundary = _PEM_END.match(end) or _WORD_END.search(end)
        return _whole_words(start), redact(end[boundary.end() :] if boundary else "")

    def _end(self, piece: bytes) -> None:
        half = self.most // 2
        self._tail.append(piece[-half:])
        self._tail_size += len(self._tail[-1])
        while self._tail and self._tail_size - len(self._tail[0]) >= half:
            self._tail_size -= len(self._tail.popleft())


@dataclass(slots=True)
class RoundTrip:
    """One request as it was sent, and its response as far as it came.

    Args:
        attempt: The number of the attempt it belongs to.
        method: ``POST``.
        url: Without secrets.
        headers: Those of the request, secrets masked.
        body: The request's. Long texts without a space, pictures that is, are shortened.
        received: The response's body, decoded.
        sent_at: Seconds of :func:`time.perf_counter`, as ``answered_at`` for the headers.
        status_code: None where no response came.
        answer_headers: The response's, secrets masked.
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
        """The response has begun."""
        self.answered_at = time.perf_counter()
        self.status_code, self.answer_headers = status_code, masked(headers)


@dataclass(slots=True)
class Tape:
    """The round trips of one run, in order. ``attempt`` is the number of the one under way."""

    most_bytes: int = MOST_BYTES
    attempt: int = 1
    trips: list[RoundTrip] = field(default_factory=list)

    def sent(
        self, method: str, url: str, headers: Iterable[tuple[str, str]], body: bytes
    ) -> RoundTrip:
        """A request is on its way."""
        kept = Excerpt(self.most_bytes)
        kept.add(_shortened(body) if len(body) > _LONGEST_STRING else body)
        trip = RoundTrip(
            *(self.attempt, method, redact(url), masked(headers), kept),
            received=Excerpt(self.most_bytes),
            sent_at=time.perf_counter(),
        )
        self.trips.append(trip)
        return trip


@dataclass(slots=True)
class _Recorder:
    """What a context holds: work that outlives its run must not keep the run's tape."""

    tape: Tape | None


_recorder: ContextVar[_Recorder | None] = ContextVar("_recorder", default=None)


@contextmanager
def recording(tape: Tape) -> Iterator[None]:
    """Keep on ``tape`` what is sent and received by this task within the block."""
    recorder = _Recorder(tape)
    token = _recorder.set(recorder)
    try:
        yield
    finally:
        recorder.tape = None
        _recorder.reset(token)


def running() -> Tape | None:
    """The tape that is to be written on, None where nobody records."""
    recorder = _recorder.get()
    return None if recorder is None else recorder.tape


def last_trip() -> RoundTrip | None:
    """The round trip under way, None where nobody records or nothing was sent yet."""
    tape = running()
    return tape.trips[-1] if tape is not None and tape.trips else None


def masked(headers: Iterable[tuple[str, str]]) -> Headers:
    """Headers without secrets: of those enough is left to recognise them.

    >>> masked([("Authorization", "Bearer abcdefgh-12345"), ("accept", "*/*")])
    (('Authorization', 'Bearer …345'), ('accept', '*/*'))
    """
    return tuple((name, _masked(name, value)) for name, value in headers)


def _masked(name: str, value: str) -> str:
    if not _SECRET.search(name) or _COUNTS.search(name):
        return redact(value)
    scheme = _SCHEME.match(value)
    return scheme[0] + mask(value[scheme.end() :]) if scheme else mask(value)


def _whole_words(text: str) -> str:
    """A text that was cut off, without the word in which it was, and redacted."""
    cut = max((found.start() for found in _WORD_END.finditer(text, len(text) - 512)), default=0)
    text = text[: cut or len(text)]
    return redact(text[: settled(text)])


def _shortened(body: bytes) -> bytes:
    """JSON with every long string of one word, such as a picture in base64, cut short."""
    return b'"'.join(map(_shortened_string, body.split(b'"')))


def _shortened_string(text: bytes) -> bytes:
    if len(text) <= _LONGEST_STRING or b" " in text or b"\\" in text:
        return text
    left_out = f"… {len(text) - _KEPT_OF_STRING:,} characters left out"
    return text[:_KEPT_OF_STRING] + left_out.encode()

"""What another library received of a response: its bytes up to a limit, decoded after its end."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter as now
from typing import Any

import httpx2

MAX_KEPT_BYTES = 64 << 20
"""The longest response that is kept, as it comes and decoded; of a longer one, nothing is."""
# A few compressed bytes may become megabytes. The decoders of httpx have no limit of their own.
_DECODED_AT_ONCE_BYTES = 4_096
# Exceptions that mean that the caller has stopped, not that the connection failed.
_STOPPED = (asyncio.CancelledError, GeneratorExit, KeyboardInterrupt, SystemExit)

Chunks = Sequence[tuple[float, bytes]]
"""Bytes, and when they came, by :func:`time.perf_counter` in seconds."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """The decoded bytes of a response.

    ``error`` is why the bytes after them cannot be decoded; None also where they are cut short.
    """

    chunks: Chunks
    error: Exception | None = None

    @property
    def body(self) -> bytes:
        """All bytes, joined."""
        return b"".join(data for _, data in self.chunks)


@dataclass(slots=True)
class Received:
    """What was received of a response. Times are of :func:`time.perf_counter`, in seconds.

    ``library`` is httpx or httpx2, which decodes the bytes as the header ``content-encoding`` says;
    None if they came decoded. ``error`` is the exception that the caller got; ``is_whole`` is
    whether the response was read to its end. ``lost`` is why its bytes are not kept.
    """

    sent_at: float
    library: Any = httpx2
    status_code: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    error: BaseException | None = None
    is_whole: bool = False
    lost: str | None = None
    ended_at: float = 0.0
    _chunks: list[tuple[float, bytes]] = field(default_factory=list)
    _size_bytes: int = 0
    _decoded: Decoded | None = None

    @property
    def is_stopped(self) -> bool:
        """Whether the caller stopped reading."""
        if self.error is not None:
            return isinstance(self.error, _STOPPED)
        return not self.is_whole

    @property
    def size_bytes(self) -> int:
        """How many bytes are kept, as they came."""
        return self._size_bytes

    def keep(self, data: bytes) -> None:
        """Keep bytes of the response that have come now, unless it is too long."""
        if self.lost is not None:
            return
        self._size_bytes += len(data)
        if self._size_bytes > MAX_KEPT_BYTES:
            self.lose(_too_long())
        else:
            self._chunks.append((now(), data))

    def so_far(self) -> Received:
        """What has come until now, of a response that has not ended."""
        return replace(self, _chunks=list(self._chunks), _decoded=None)

    def lose(self, why: str) -> None:
        """Keep nothing of the response, neither what has come nor what will."""
        self.lost = why
        self._chunks.clear()
        self._size_bytes = 0

    def decoded(self) -> Decoded:
        """The bytes that are kept, decoded as far as they can be; none if they are too many.

        They are decoded once, so the response must have ended.
        """
        if self._decoded is None:
            self._decoded = self._decode()
        return self._decoded

    def _decode(self) -> Decoded:
        encoding = self.headers.get("content-encoding", "identity").strip().lower()
        if self.library is None or encoding in ("", "identity") or not self._chunks:
            return Decoded(self._chunks)
        encoded = _encoded_stream(self.library)(self._chunks)
        headers = {"content-encoding": encoding}
        response = self.library.Response(200, headers=headers, stream=encoded)
        chunks: list[tuple[float, bytes]] = []
        size_bytes = 0
        try:
            for piece in response.iter_bytes():
                size_bytes += len(piece)
                if size_bytes > MAX_KEPT_BYTES:
                    self.lose(_too_long())
                    return Decoded(())
                if piece:
                    chunks.append((encoded.came_at, piece))
        except self.library.DecodingError as error:
            return Decoded(chunks, None if encoded.is_read else error)
        return Decoded(chunks)


def _too_long() -> str:
    return f"it is longer than {MAX_KEPT_BYTES:,} bytes"


@functools.cache
def _encoded_stream(library: Any) -> Any:  # noqa: ANN401 - a class of either library
    class Stream(library.SyncByteStream):  # type: ignore[misc]  # a base of either library
        """Encoded bytes; ``came_at`` is when those came that are being decoded.

        ``is_read`` is whether all have been decoded, so that only their end may be missing.
        """

        def __init__(self, chunks: Chunks) -> None:
            self.came_at, self.is_read = 0.0, False
            self._chunks = chunks

        def __iter__(self) -> Iterator[bytes]:
            for came_at, data in self._chunks:
                self.came_at = came_at
                for start in range(0, len(data), _DECODED_AT_ONCE_BYTES):
                    yield data[start : start + _DECODED_AT_ONCE_BYTES]
            self.is_read = True

    return Stream

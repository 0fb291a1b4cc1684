"""Reads a streamed response: events, rate limits from headers.

The SDKs raise nothing when a stream stops early; :func:`stream_events` does. Each wire format
has a :class:`Reader`, which sets when an answer is complete; the rest is the same for all.
:func:`sdk_events` sends a request through an SDK and reads its response in this way.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain
from typing import Any, Protocol

from llm_playground import config, formatting
from llm_playground.errors import ProviderError
from llm_playground.events import (
    Finish,
    InBackground,
    PartAdded,
    ProviderEvent,
    RateLimit,
    Responded,
)
from llm_playground.parts import OtherPart
from llm_playground.providers import (
    RequestContext,
    error_bodies,
    errors,
    http_trace,
    request_id,
    sse,
    transport_errors,
)
from llm_playground.providers.billed_units import MAX_COUNT
from llm_playground.providers.contents import UNREADABLE, check_texts
from llm_playground.providers.endings import BadEnd
from llm_playground.providers.sse import MAX_EVENT_BYTES, Event, EventDecoder, EventTooLongError

# How long to read on after the last event: a connection read to its end can be reused.
_DRAIN_S = 0.1
# How long to read on after the finish reason: some servers leave the connection open. Token counts
# may still follow, from gateways that ask another service for them.
_COUNTED_S = 2.0
_UNCOUNTED_S = 10.0
_HEAD_BYTES = 20_000
_KEPT_CHARS = 1 << 20  # of events that cannot be read, in one answer; all are counted
_END_MARK = "[DONE]"  # of Chat Completions; other formats have none or a typed event
_END_MARKS = re.compile(r"""\s*["'\[]*\s*done\s*[\]"'.]*\s*""", re.IGNORECASE)
_START = re.compile(r"\S")
_log = logging.getLogger(__name__)


class StreamError(Exception):
    """An error object inside a stream. Never leaves a provider.

    ``status`` is the HTTP status that the same error has outside a stream, ``body`` the object as
    received.
    """

    def __init__(self, status: int, body: str) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


def stream_error(holder: Mapping[str, Any]) -> StreamError:
    """The error that an event or a choice reports, see :func:`.error_bodies.error_in`."""
    error = error_bodies.error_in(holder)
    body = holder if "error" in holder else {"error": error}
    return StreamError(error_bodies.status_of(error), json.dumps(body))


class Reader(Protocol):
    """Reads the events of one answer in one wire format; of several choices only the first.

    ``complete`` is set once the provider has given its finish reason, ``ended`` once it has marked
    the end of the stream, ``bad_end`` when the finish reason means a failure.
    """

    complete: bool
    ended: bool
    bad_end: BadEnd | None

    def read(self, event: dict[str, Any]) -> list[ProviderEvent]:
        """The deltas in one event's JSON.

        Raises:
            StreamError: The event is an error.
            AttributeError, LookupError, TypeError, ValueError: The JSON has another shape.
        """
        ...

    def rest(self) -> list[ProviderEvent]:
        """What was held back until the end of the stream; before ``complete`` is read."""
        ...

    def finish(self, request_id: str | None) -> Finish:
        """What was read until now: the last event, or what is known of an answer that breaks."""
        ...


async def stream_events(
    call: RequestContext,
    headers: Mapping[str, str],
    chunks: AsyncIterator[bytes],
    reader: Reader,
    status_code: int = 200,
) -> AsyncGenerator[ProviderEvent, None]:
    """The events of one answer; the first is ``Responded``, the last is one ``Finish``.

    Errors after the answer is complete are ignored. It ends soon after its finish reason, also
    where the connection stays open. A response of JSON in place of a stream is read as an answer.
    Names of ``headers`` are in lower case, ``chunks`` are the decoded bytes of the response, and
    the ``reader`` is a new one.

    Raises:
        ProviderError: The connection broke, the stream ended early or contained an error, the
            response was no answer, or, after ``Finish``, the provider ended the answer as failed.
    """
    decoder = _AnswerDecoder(call, reader)
    yield Responded(
        status_code,
        request_id(headers),
        requests_limit(headers),
        tokens_limit(headers),
        so_far=lambda: decoder.surrogates.joined(reader.finish(request_id(headers))),
    )
    body = _Body(chunks, reader, decoder)
    try:
        async for chunk in body:
            for item in decoder.feed(chunk):
                yield item
        for item in chain(decoder.flush() if body.is_read else (), decoder.rest()):
            yield item
    except (StreamError, EventTooLongError, *transport_errors.TRANSPORT_ERRORS) as error:
        if not reader.complete:
            for item in decoder.kept() if decoder.deltas else ():
                yield item
            raise _failure(call, error, headers, delivered=decoder.deltas > 0) from None
    finally:
        decoder.log_skipped()
    delivered = decoder.deltas > 0
    if not (reader.complete or (reader.ended and delivered)):
        raise transport_errors.cut_short(call, headers, bytes(decoder.head), delivered=delivered)
    for item in chain(decoder.surrogates.flush(), decoder.kept()):
        yield item
    finish = decoder.surrogates.joined(reader.finish(request_id(headers)))
    yield replace(finish, skipped_events=decoder.skipped) if decoder.skipped else finish
    if reader.bad_end is not None and (reader.bad_end.certain or not delivered):
        raise transport_errors.ended_badly(call, headers, reader.bad_end, delivered=delivered)
    await _drain(chunks)


def _failure(
    call: RequestContext, error: Exception, headers: Mapping[str, str], *, delivered: bool
) -> ProviderError:
    if isinstance(error, StreamError):
        return transport_errors.error_in_stream(
            call, error.status, error.body, headers, delivered=delivered
        )
    return transport_errors.transport_error(call, error, headers, delivered=delivered)


class _Body:
    """The chunks of a response, after the finish reason until nothing new has come for some time.

    ``is_read`` is whether the response was read to its end.
    """

    def __init__(
        self, chunks: AsyncIterator[bytes], reader: Reader, decoder: _AnswerDecoder
    ) -> None:
        self.is_read = False
        self._chunks = chunks
        self._reader = reader
        self._decoder = decoder
        self._trip = http_trace.last_trip()
        self._known: object = None
        self._since = 0.0

    def __aiter__(self) -> _Body:
        return self

    async def __anext__(self) -> bytes:
        if self._reader.ended:
            raise StopAsyncIteration
        until = self._until() if self._reader.complete else None
        try:
            if until is None:
                chunk = await anext(self._chunks)
            else:
                async with asyncio.timeout_at(until) as limit:
                    chunk = await anext(self._chunks)
        except StopAsyncIteration:
            self.is_read = True
            raise
        except TimeoutError:
            if until is None or not limit.expired():
                raise
            raise StopAsyncIteration from None
        if self._trip is not None:
            self._trip.received.add(chunk)
        return chunk

    def _until(self) -> float:
        usage = self._reader.finish(None).usage
        known = (usage, self._decoder.deltas)
        if known != self._known:
            self._known, self._since = known, asyncio.get_running_loop().time()
        wait_s = _UNCOUNTED_S if usage is None else _COUNTED_S
        # The engine's limit would make a failure of a complete answer.
        limit_s = config.settings().timeouts.between_deltas
        return self._since + (wait_s if limit_s is None else min(wait_s, limit_s / 2))


class _AnswerDecoder:
    """Decodes chunks of a response into the deltas of its answer.

    ``head`` keeps the first bytes of a response without any event, and all of one that is JSON;
    ``skipped`` counts events that could not be read, which do not end the answer; ``deltas`` counts
    what was read.
    """

    def __init__(self, call: RequestContext, reader: Reader) -> None:
        self.head = bytearray()
        self.skipped = 0
        self.deltas = 0
        self._kept: list[OtherPart] = []
        self._kept_chars = 0
        self.surrogates = sse.SurrogateJoiner()
        self._call = call
        self._reader = reader
        self._decoder = EventDecoder()
        self._has_events = False
        self._head_bytes = 0

    def feed(self, chunk: bytes) -> Iterator[ProviderEvent]:
        events = self._decoder.feed(chunk)
        if events:
            self._has_events = True
            return self._read(events)
        if not self._has_events:
            self._keep(chunk)
        return iter(())

    def flush(self) -> Iterator[ProviderEvent]:
        """The deltas of an event without its last line end, or of JSON in place of a stream."""
        events = self._decoder.flush()
        if events or self._has_events or self._head_bytes != MAX_EVENT_BYTES:
            yield from self._read(events)
            return
        text = self.head.decode("utf-8", "replace")
        values, rest = _values(text)
        if rest.strip():
            return
        items = self._read_values(values)
        self.surrogates.is_needed(text, items)  # also of what the reader finishes with
        # A whole answer ends here, with a finish reason or without.
        self._reader.ended = self._reader.ended or bool(items)
        self.deltas += len(items)
        yield from self.surrogates.join(items)

    def rest(self) -> Iterator[ProviderEvent]:
        """The events that the reader has held back."""
        items = self._reader.rest()
        self.deltas += len(items)
        yield from self.surrogates.join(items)

    def kept(self) -> Iterator[ProviderEvent]:
        """What is left at the end, also events that could not be read: none is an answer."""
        with suppress(StreamError):
            yield from self.rest()
        yield from self.surrogates.join(map(PartAdded, self._kept))

    def _skip(self, data: str) -> None:
        """Count an event that cannot be read, and keep it if it may hold a part of the answer."""
        self.skipped += 1
        plain = data.strip()
        if plain[:1] in ("{", "[") and plain not in ("{}", "[]"):
            self._kept_chars += len(plain)
            if self._kept_chars <= _KEPT_CHARS:
                is_json = bool(_values(plain)[0]) and not _values(plain)[1].strip()
                self._kept.append(OtherPart("event", plain if is_json else json.dumps(plain)))

    def _keep(self, chunk: bytes) -> None:
        if not self.head.strip():
            is_json = chunk.lstrip()[:1] in (b"{", b"[")
            self._head_bytes = MAX_EVENT_BYTES if is_json else _HEAD_BYTES
        if len(self.head) < self._head_bytes:
            self.head += chunk[: self._head_bytes]

    def log_skipped(self) -> None:
        """Log the number of skipped events, not their content: it may be parts of the prompt."""
        if self.skipped:
            events = formatting.count(self.skipped, "event")
            _log.warning("%s sent %s that cannot be read; skipped", self._call.label, events)

    def _read(self, events: list[Event]) -> Iterator[ProviderEvent]:
        for event in events:
            if event.data == _END_MARK:
                self._reader.ended = True
                continue
            try:
                items = self._reader.read(json.loads(event.data))
                check_texts(items)
            except UNREADABLE:
                items = [] if event.name == "error" else self._read_oddly(event.data)
            if event.name == "error":
                raise _named_error(event.data)
            if items and not isinstance(items[0], InBackground):
                self.deltas += 1
            if self.surrogates.is_needed(event.data, items):
                yield from self.surrogates.join(items)
            else:
                yield from items

    def _read_oddly(self, data: str) -> list[ProviderEvent]:
        """The deltas of an event that is no object: a list, several objects, another end mark."""
        is_mark = _END_MARKS.fullmatch(data) is not None
        values, rest = ([], data) if is_mark else _values(data)
        is_end = is_mark or _END_MARKS.fullmatch(rest) is not None
        self._reader.ended = self._reader.ended or is_end
        if (rest.strip() and not is_end) or (len(values) == 1 and data.lstrip()[:1] == "{"):
            self._skip(data)
            return []
        return self._read_values(values)

    def _read_values(self, values: list[Any]) -> list[ProviderEvent]:
        read: list[ProviderEvent] = []
        for value in values:
            try:
                items = self._reader.read(value)
                check_texts(items)
            except UNREADABLE:
                self._skip(json.dumps(value, ensure_ascii=False))
            else:
                read += items
        return read


def _values(text: str) -> tuple[list[Any], str]:
    """The JSON values at the start of a text, a list as its entries; and the text after them."""
    decoder, values, at = json.JSONDecoder(), list[Any](), 0
    with suppress(ValueError, RecursionError):
        while (start := _START.search(text, at)) is not None:
            value, at = decoder.raw_decode(text, start.start())
            values += value if isinstance(value, list) else [value]
    return values, text[at:]


def _named_error(data: str) -> StreamError:
    """The error in an event that is named ``error`` and has another form than the format's."""
    value = error_bodies.json_object(data)
    body = data if value else json.dumps({"error": {"message": data}})
    return StreamError(error_bodies.status_of(value.get("error") or value), body)


async def _drain(chunks: AsyncIterator[bytes]) -> None:
    try:
        async with asyncio.timeout(_DRAIN_S):
            async for _ in chunks:
                pass
    except transport_errors.TRANSPORT_ERRORS:  # the answer is complete without the rest
        return


class Response(Protocol):
    """A response of an SDK's ``with_streaming_response``."""

    @property
    def status_code(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    def iter_bytes(self) -> AsyncIterator[bytes]: ...  # the decoded body as it arrives


@dataclass(frozen=True, slots=True)
class Received:
    """A :class:`Response` built from its parts, where the SDK has none."""

    status_code: int
    headers: Mapping[str, str]
    iter_bytes: Callable[[], AsyncIterator[bytes]]


async def sdk_events(
    call: RequestContext,
    send: Callable[[], AbstractAsyncContextManager[Response]],
    reader: Reader,
    status_errors: Any = (),  # noqa: ANN401 - the exceptions of the SDKs have no common class
    connection_error: type[Exception] = OSError,
) -> AsyncGenerator[ProviderEvent, None]:
    """Send a request through an SDK and read its answer, as ``Provider.stream``.

    ``send`` sends the request; leaving its context closes the response. Of the SDK's exceptions,
    ``status_errors`` have ``status_code`` and ``response``.
    """
    try:
        async with send() as response:
            # The SDKs' own mappings decode all headers at each look-up.
            headers = {name.lower(): value for name, value in response.headers.items()}
            events = stream_events(
                call, headers, response.iter_bytes(), reader, response.status_code
            )
            async with aclosing(events):
                async for event in events:
                    yield event
    except UnicodeEncodeError as error:
        raise errors.unsendable(call, error) from None
    except status_errors as error:
        raise errors.status_error(
            call, error.status_code, error.response.text, error.response.headers
        ) from None
    except (connection_error, *transport_errors.TRANSPORT_ERRORS) as error:
        raise transport_errors.transport_error(call, error) from None


# Rate limits. OpenAI and most compatible servers send ``x-ratelimit-remaining-tokens: 149984`` and
# ``x-ratelimit-reset-tokens: 6m0s`` (https://platform.openai.com/docs/guides/rate-limits);
# Anthropic sends ``anthropic-ratelimit-tokens-remaining`` and, as the reset, an RFC 3339 time
# (https://docs.claude.com/en/api/rate-limits). Gemini sends none. Unreadable values are ignored.
_UNIT_S = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6}
_PIECE = re.compile(r"(\d+(?:\.\d+)?)(d|h|ms|us|µs|m|s)")
_DURATION = re.compile(rf"(?:{_PIECE.pattern})+")
# Anthropic limits all tokens, or input and output separately.
_ANTHROPIC_TOKENS = ("tokens", "input-tokens", "output-tokens")


def requests_limit(headers: Mapping[str, str], now: float | None = None) -> RateLimit | None:
    """The limit of requests; None where the headers, with names in lower case, have none.

    ``now`` is in seconds since 1970, for resets given as a time; by default the present.

    >>> requests_limit({"anthropic-ratelimit-requests-remaining": "9"})
    RateLimit(limit=None, remaining=9, resets_in_s=None)
    """
    return _limit(headers, "requests", time.time() if now is None else now)


def tokens_limit(headers: Mapping[str, str], now: float | None = None) -> RateLimit | None:
    """The limit of tokens, the tightest of several; arguments as of :func:`requests_limit`."""
    now = time.time() if now is None else now
    limits = [limit for kind in _ANTHROPIC_TOKENS if (limit := _limit(headers, kind, now))]
    return min(
        limits,
        key=lambda limit: math.inf if limit.remaining is None else limit.remaining,
        default=None,
    )


def _limit(headers: Mapping[str, str], kind: str, now: float) -> RateLimit | None:
    def value(field: str) -> str:
        openai, anthropic = f"x-ratelimit-{field}-{kind}", f"anthropic-ratelimit-{kind}-{field}"
        return headers.get(openai) or headers.get(anthropic) or ""

    limit = RateLimit(
        _limit_count(value("limit")), _limit_count(value("remaining")), _wait_s(value("reset"), now)
    )
    return None if limit == RateLimit() else limit


def _limit_count(text: str) -> int | None:
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        return None
    return min(int(text), MAX_COUNT)


def _wait_s(text: str, now: float) -> float | None:
    """Seconds until a reset that is given as a Go duration, as seconds, or as a time."""
    text = text.strip()
    if _DURATION.fullmatch(text):
        return sum(float(number) * _UNIT_S[unit] for number, unit in _PIECE.findall(text))
    try:
        seconds = float(text)
    except ValueError:
        return _seconds_until(text, now)
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _seconds_until(text: str, now: float) -> float | None:
    try:
        reset = datetime.fromisoformat(text)
    except ValueError:
        return None
    if reset.tzinfo is None:
        reset = reset.replace(tzinfo=UTC)
    return max(0.0, reset.timestamp() - now)

"""One streamed answer: from a response's bytes to events, with an end that is never a guess.

A stream that stops early raises nothing in the SDKs; here it does. What ends an answer differs per
wire format, so each brings its :class:`Reader`; when and how a stream may break does not.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from dataclasses import replace
from typing import Any, Protocol

from llm_playground.errors import ProviderError
from llm_playground.events import Finish, ProviderEvent, Responded
from llm_playground.providers import breaks, faults, limits, surrogates, tape
from llm_playground.providers.call import Call
from llm_playground.providers.sse import Event, EventDecoder, EventTooLongError

# After the last event, for the last bytes: a connection read to its end is used again.
_DRAIN_S = 0.1
_HEAD_BYTES = 20_000
_END_MARK = "[DONE]"  # of Chat Completions; the others have none or a typed event
_log = logging.getLogger(__name__)


class StreamFaultError(Exception):
    """An error object inside a stream, as the HTTP status it stands for. Never leaves a provider.

    Args:
        status: The HTTP status that the same error has outside a stream.
        body: The object, as received.
    """

    def __init__(self, status: int, body: str) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


class Reader(Protocol):
    """Folds the events of one answer in one wire format. Only the first choice is the answer.

    ``complete`` is true once the provider said why it finished, ``ended`` once it said that
    nothing follows.
    """

    complete: bool
    ended: bool

    def read(self, event: dict[str, Any]) -> list[ProviderEvent]:
        """What one event's JSON adds.

        Raises:
            StreamFaultError: The event is an error.
            AttributeError, LookupError, TypeError, ValueError: It is JSON of another shape.
        """
        ...

    def finish(self, request_id: str | None) -> Finish:
        """The last event; called once, when ``complete``."""
        ...


async def stream_events(
    call: Call,
    headers: Mapping[str, str],
    chunks: AsyncIterator[bytes],
    reader: Reader,
    status_code: int = 200,
) -> AsyncGenerator[ProviderEvent, None]:
    """The events of one answer; the first is ``Responded``, the last is one ``Finish``.

    A fault after the provider's own finish changes nothing any more and is let go.

    Args:
        call: What was asked of whom.
        headers: The response's, lower case.
        chunks: The response's decoded bytes.
        reader: A new one of the wire format.
        status_code: The response's.

    Raises:
        ProviderError: The stream broke, ended early, held an error, or was no event stream.
    """
    yield _responded(status_code, headers)
    reading = _Reading(call, reader)
    delivered = False
    trip = tape.last_trip()
    try:
        async for chunk in chunks:
            if trip is not None:
                trip.received.add(chunk)
            for item in reading.items(chunk):
                delivered = True
                yield item
            if reader.ended:
                break
        else:
            for item in reading.rest():
                delivered = True
                yield item
    except (StreamFaultError, *breaks.TRANSPORT_FAULTS, EventTooLongError) as fault:
        if not reader.complete:
            raise _broken(call, fault, headers, delivered=delivered) from None
    if not (reader.complete or (reader.ended and delivered)):
        raise breaks.cut_short(call, headers, bytes(reading.head), delivered=delivered)
    for item in reading.halves():
        yield item
    finish = reader.finish(faults.request_id(headers))
    yield replace(finish, skipped_events=reading.skipped) if reading.skipped else finish
    await _drain(chunks)


def _broken(
    call: Call, fault: Exception, headers: Mapping[str, str], *, delivered: bool
) -> ProviderError:
    if isinstance(fault, StreamFaultError):
        return breaks.fault_in_stream(call, fault.status, fault.body, headers, delivered=delivered)
    return breaks.transport_error(call, fault, headers, delivered=delivered)


def _responded(status_code: int, headers: Mapping[str, str]) -> Responded:
    return Responded(
        status_code,
        faults.request_id(headers),
        limits.requests_limit(headers),
        limits.tokens_limit(headers),
    )


class _Reading:
    """Bytes in, what they add to the answer out.

    ``head`` keeps the first bytes of a response in which no event is found; ``skipped`` counts
    events that could not be read. The rest of an answer is worth more than one of its events.
    """

    def __init__(self, call: Call, reader: Reader) -> None:
        self.head = bytearray()
        self.skipped = 0
        self._call = call
        self._reader = reader
        self._decoder = EventDecoder()
        self._heard = False
        self._joiner = surrogates.Joiner()

    def items(self, chunk: bytes) -> Iterator[ProviderEvent]:
        """What a chunk of the response adds."""
        events = self._decoder.feed(chunk)
        if events:
            self._heard = True
            return self._read(events)
        if not self._heard and len(self.head) < _HEAD_BYTES:
            self.head += chunk[:_HEAD_BYTES]
        return iter(())

    def rest(self) -> Iterator[ProviderEvent]:
        """What is left at the end of the response."""
        return self._read(self._decoder.flush())

    def halves(self) -> Iterator[ProviderEvent]:
        """What was held back of characters of which no second half came."""
        return self._joiner.rest()

    def _read(self, events: list[Event]) -> Iterator[ProviderEvent]:
        for event in events:
            if event.data == _END_MARK:
                self._reader.ended = True
                continue
            try:
                items = self._reader.read(json.loads(event.data))
            except (AttributeError, LookupError, RecursionError, TypeError, ValueError):
                self._skip()
                continue
            if self._joiner.holding or surrogates.may_be_in(event.data):
                yield from self._joiner.joined(items)
            else:
                yield from items

    def _skip(self) -> None:
        self.skipped += 1
        # Without its content, which may be of the prompt.
        _log.warning("%s sent an event that cannot be read; skipped", self._call.label)


async def _drain(chunks: AsyncIterator[bytes]) -> None:
    try:
        async with asyncio.timeout(_DRAIN_S):
            async for _ in chunks:
                pass
    except breaks.TRANSPORT_FAULTS:  # the answer is complete; this connection just ends here
        return

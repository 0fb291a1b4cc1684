"""One streamed answer: from a response's bytes to events, with an end that is never a guess.

A stream that stops early raises nothing in the SDKs; here it does. What ends an answer differs per
wire format, so each brings its :class:`Reader`; when and how a stream may break does not.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing
from typing import Any, Protocol

from llm_playground.providers import breaks, faults
from llm_playground.providers.call import Call
from llm_playground.providers.sse import Event, EventDecoder, EventTooLongError
from llm_playground.types import Finish, ProviderEvent

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
    """Folds the events of one answer in one wire format.

    ``complete`` is true once the provider said why it finished, ``ended`` once it said that
    nothing follows.
    """

    complete: bool
    ended: bool

    def read(self, event: dict[str, Any]) -> list[ProviderEvent]:
        """What one event's JSON adds.

        Raises:
            StreamFaultError: The event is an error.
        """
        ...

    def finish(self, request_id: str | None) -> Finish:
        """The last event; called once, when ``complete``."""
        ...


async def stream_events(
    call: Call, headers: Mapping[str, str], chunks: AsyncIterator[bytes], reader: Reader
) -> AsyncGenerator[ProviderEvent, None]:
    """The events of one answer; the last is one ``Finish``.

    A fault after the provider's own finish changes nothing any more and is let go.

    Args:
        call: What was asked of whom.
        headers: The response's, lower case.
        chunks: The response's decoded bytes.
        reader: A new one of the wire format.

    Raises:
        ProviderError: The stream broke, ended early, held an error, or was no event stream.
    """
    decoder, head, delivered = EventDecoder(), bytearray(), False
    try:
        async with aclosing(_decoded(call, chunks, decoder, head)) as batches:
            async for events in batches:
                for item in _read(reader, events):
                    delivered = True
                    yield item
                if reader.ended:
                    break
    except StreamFaultError as fault:
        raise breaks.fault_in_stream(
            call, fault.status, fault.body, headers, delivered=delivered
        ) from None
    except (*breaks.TRANSPORT_FAULTS, EventTooLongError) as fault:
        if not reader.complete:
            raise breaks.transport_error(call, fault, headers, delivered=delivered) from None
    if not (reader.complete or (reader.ended and delivered)):
        raise breaks.cut_short(call, headers, bytes(head), delivered=delivered)
    yield reader.finish(faults.request_id(headers))
    await _drain(chunks)


def _read(reader: Reader, events: list[dict[str, Any] | None]) -> Iterator[ProviderEvent]:
    for event in events:
        if event is None:
            reader.ended = True
            continue
        try:
            items = reader.read(event)
        except (AttributeError, LookupError, TypeError):  # JSON of another shape
            _log.warning("Skipped an event of unknown shape")
            continue
        yield from items


async def _decoded(
    call: Call, chunks: AsyncIterator[bytes], decoder: EventDecoder, head: bytearray
) -> AsyncGenerator[list[dict[str, Any] | None], None]:
    """Events' contents as they complete, None for the end mark.

    ``head`` keeps the first bytes of a response in which no event is found.
    """
    heard = False
    async for chunk in chunks:
        events = decoder.feed(chunk)
        heard = heard or bool(events)
        if events:
            yield list(_contents(call, events))
        elif not heard and len(head) < _HEAD_BYTES:
            head += chunk[:_HEAD_BYTES]
    yield list(_contents(call, decoder.flush()))


def _contents(call: Call, events: list[Event]) -> Iterator[dict[str, Any] | None]:
    """What events hold. One that is not JSON is skipped: the rest of the answer is worth more."""
    for event in events:
        if event.data == _END_MARK:
            yield None
            continue
        try:
            content = json.loads(event.data)
        except ValueError:
            content = None
        if isinstance(content, dict):
            yield content
        else:
            _log.warning("%s sent an event that is no JSON object; skipped", call.label)


async def _drain(chunks: AsyncIterator[bytes]) -> None:
    try:
        async with asyncio.timeout(_DRAIN_S):
            async for _ in chunks:
                pass
    except breaks.TRANSPORT_FAULTS:  # the answer is complete; this connection just ends here
        return

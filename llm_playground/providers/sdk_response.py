"""One answer through an SDK that sends the request and hands over the response unread.

openai and anthropic are built alike: one door to the bytes, one class of error for a status that
is no 200, one for a connection that did not come about.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from typing import Any, Protocol

from llm_playground.events import ProviderEvent
from llm_playground.providers import answer, breaks, faults
from llm_playground.providers.call import Call


class Response(Protocol):
    """A response as ``with_streaming_response`` gives it."""

    @property
    def status_code(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers; names are found in lower case."""
        ...

    def iter_bytes(self) -> AsyncIterator[bytes]:
        """The decoded body as it arrives."""
        ...


@dataclass(frozen=True, slots=True)
class Errors:
    """What an SDK raises: for a status, with ``status_code`` and ``response``, and else."""

    status: type[Any]
    connection: type[Exception]


async def events(
    call: Call,
    send: Callable[[], AbstractAsyncContextManager[Response]],
    reader: answer.Reader,
    raised: Errors,
) -> AsyncGenerator[ProviderEvent, None]:
    """Send a request and read its answer; see :class:`llm_playground.providers.base.Provider`.

    Args:
        call: What is asked of whom.
        send: Sends the request; the response is closed on leaving.
        reader: A new one of the wire format.
        raised: What the SDK raises.
    """
    try:
        async with send() as response:
            reading = answer.stream_events(
                call, response.headers, response.iter_bytes(), reader, response.status_code
            )
            async with aclosing(reading) as answered:
                async for event in answered:
                    yield event
    except UnicodeEncodeError as error:
        raise faults.unsendable(call, error) from None
    except raised.status as error:
        raise faults.status_error(
            call, error.status_code, error.response.text, error.response.headers
        ) from None
    except (raised.connection, *breaks.TRANSPORT_FAULTS) as error:
        raise breaks.transport_error(call, error) from None

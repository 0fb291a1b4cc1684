"""Sends requests to OpenAI's Responses API, and resumes answers in the background.

An answer in the background (``extra={"background": True}``) is made and kept by OpenAI. When the
connection breaks, its stream is resumed after the last event that was read, by the id of the
response: nothing is sent twice, and so nothing is paid twice.
https://developers.openai.com/api/docs/guides/background
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from functools import partial
from typing import TYPE_CHECKING, Any

from llm_playground.errors import ProviderError, RequestRejectedError
from llm_playground.events import ProviderEvent
from llm_playground.providers import RequestContext, errors, streaming
from llm_playground.providers.openai_responses_items import NAME
from llm_playground.providers.openai_responses_reader import Reader
from llm_playground.providers.wire_formats import WIRE_FORMATS
from llm_playground.types import Request

if TYPE_CHECKING:
    from openai.resources.responses import AsyncResponses

Open = Callable[[], AbstractAsyncContextManager[streaming.Response]]

# Waits before connections that follow one without a new event; after the last, the stream breaks.
_WAITS_S = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0)
_STOP_S = 5.0
_GONE = errors.Rule(
    RequestRejectedError,
    "{label} no longer has the answer {response_id} (404). Run again.",
)
_log = logging.getLogger(__name__)


def answer(
    call: RequestContext,
    responses: AsyncResponses,
    request: Request,
    status_errors: Any,  # noqa: ANN401 - the SDK's exceptions, as of streaming.sdk_events
) -> AsyncGenerator[ProviderEvent, None]:
    """Send a request and read its answer, as ``Provider.stream``."""
    reader = Reader(partial(_stop, responses))

    def send() -> AbstractAsyncContextManager[streaming.Response]:
        wire_format = WIRE_FORMATS[NAME]
        return responses.with_streaming_response.create(
            stream=True,
            extra_headers=wire_format.headers_of(request, dict(call.endpoint.headers)),
            extra_body=wire_format.body(request),
        )

    return _resuming(call, responses, request, reader, send, status_errors)


def resumed(
    call: RequestContext,
    responses: AsyncResponses,
    request: Request,
    response_id: str,
    status_errors: Any,  # noqa: ANN401 - as above
) -> AsyncGenerator[ProviderEvent, None]:
    """The whole answer in the background with this id, from its first event."""
    reader = Reader(partial(_stop, responses))

    def read() -> AbstractAsyncContextManager[streaming.Response]:
        return _retrieve(call, responses, request, response_id, {})

    return _resuming(call, responses, request, reader, read, status_errors, response_id)


async def _resuming(
    call: RequestContext,
    responses: AsyncResponses,
    request: Request,
    reader: Reader,
    first: Open,
    status_errors: Any,  # noqa: ANN401 - as above
    response_id: str | None = None,
) -> AsyncGenerator[ProviderEvent, None]:
    """The events of one answer, over as many connections as it takes if it is in the background."""

    def again() -> AbstractAsyncContextManager[streaming.Response]:
        after = {} if reader.last_number is None else {"starting_after": reader.last_number}
        return _retrieve(call, responses, request, str(response_id), after)

    open_next, failures = first, 0
    while True:
        number = reader.last_number
        events = streaming.sdk_events(call, open_next, reader, *status_errors)
        try:
            async with aclosing(events):
                async for event in events:
                    yield event
        except ProviderError as error:
            response_id = response_id or reader.background_id
            failures = 0 if reader.last_number != number else failures + 1
            is_over = reader.ended or failures >= len(_WAITS_S)
            if response_id is not None and error.status_code == 404:
                raise _GONE.error(
                    call, {}, error.detail or "", status=404, response_id=response_id
                ) from None
            passes = error.status_code is None or error.retryable
            if response_id is None or is_over or not passes:
                # Another attempt of the caller would be another answer, which is paid too.
                error.answer_goes_on = response_id is not None and not reader.ended
                error.retryable = error.retryable and not error.answer_goes_on
                raise
        else:
            return
        await asyncio.sleep(_WAITS_S[failures])
        open_next = again


def _retrieve(
    call: RequestContext,
    responses: AsyncResponses,
    request: Request,
    response_id: str,
    after: Mapping[str, int],
) -> AbstractAsyncContextManager[streaming.Response]:
    wire_format = WIRE_FORMATS[NAME]
    include = wire_format.body(request).get("include")
    query = {"stream": "true", **after} | ({"include": include} if include else {})
    return responses.with_streaming_response.retrieve(
        response_id,
        extra_headers=wire_format.headers_of(request, dict(call.endpoint.headers)),
        extra_query=query,
    )


async def _stop(responses: AsyncResponses, response_id: str) -> None:
    """Stop an answer in the background; it is logged when that fails."""
    try:
        async with asyncio.timeout(_STOP_S):
            await responses.with_raw_response.cancel(response_id)
    except Exception as error:  # the SDK's and the transport's, which have no common class
        _log.warning("The answer %s goes on: it cannot be stopped (%s)", response_id, error)

"""A provider with a wire format of its own, as a package would define it.

The example of ``llm_playground/providers/README.md``. Requests go to ``POST {base}/talk``; the
answer is a stream of server-sent events::

    data: {"think": "Hm."}
    data: {"say": "Hello."}
    data: {"end": "stop", "model": "example-1", "tokens": [11, 5]}

and, in place of the last event, an error::

    data: {"fault": 503, "message": "Sorry."}
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

import httpx2

from llm_playground.config.endpoint_table import EndpointRow
from llm_playground.errors import InvalidParameterError
from llm_playground.events import Finish, ProviderEvent, ReasoningDelta, TextDelta
from llm_playground.parts import TextPart
from llm_playground.providers import Endpoint, RequestContext, errors, streaming, transport_errors
from llm_playground.providers.http import client_for
from llm_playground.types import Request, Usage

ROW = EndpointRow(
    "example",
    "Example",
    "https://api.example.com",
    wire_format="tests.providers.example_provider:ExampleProvider",
    key_variables=("EXAMPLE_API_KEY",),
    key_page="https://example.com/keys",
    base_url_variable="EXAMPLE_BASE_URL",
)
# The same settings without an entry point.
SETTINGS: dict[str, Any] = {
    "endpoints": {"example": ROW},
    "prices": {"example:*": {"input_usd_per_mtok": 1, "output_usd_per_mtok": 2}},
}


class ExampleProvider:
    """Speaks the example's wire format to one endpoint."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._client = client_for(endpoint)

    async def stream(self, request: Request) -> AsyncGenerator[ProviderEvent, None]:
        call = RequestContext(self._endpoint, request.model, request.parameters)
        response_context = self._client.stream(
            "POST",
            f"{self._endpoint.address}/talk",
            headers={
                **request.parameters.headers,
                "Authorization": f"Bearer {self._endpoint.api_key}",
            },
            json=body(request),
        )
        try:
            async with response_context as response:
                if response.status_code != httpx2.codes.OK:
                    await response.aread()
                    raise errors.status_error(
                        call, response.status_code, response.text, response.headers
                    )
                chunks = response.aiter_bytes()
                events = streaming.stream_events(call, response.headers, chunks, Reader())
                async with aclosing(events):
                    async for event in events:
                        yield event
        except UnicodeEncodeError as error:
            raise errors.unsendable(call, error) from None
        except transport_errors.TRANSPORT_ERRORS as error:
            raise transport_errors.transport_error(call, error) from None

    async def aclose(self) -> None:
        await self._client.aclose()


def body(request: Request) -> dict[str, Any]:
    """The request's JSON body; parameters that are not set are left out.

    Raises:
        InvalidParameterError: The format cannot carry images, tools or schemas.
    """
    parts = [part for message in request.messages for part in message.content]
    if request.tools or request.schema or not all(isinstance(part, TextPart) for part in parts):
        raise InvalidParameterError("Example takes texts only: no images, tools or schemas.")
    turns = [{"who": message.role, "says": message.text} for message in request.messages]
    parameters = request.parameters.as_dict()
    extra = parameters.pop("extra", {})
    return {"model": request.model_name, "turns": turns} | parameters | extra


class Reader:
    """Reads the events of one answer; see :class:`llm_playground.providers.streaming.Reader`."""

    def __init__(self) -> None:
        self.complete = False
        self.ended = False
        self.bad_end = None
        self._end: dict[str, Any] = {}

    def read(self, event: dict[str, Any]) -> list[ProviderEvent]:
        if "fault" in event:
            raise streaming.StreamError(event["fault"], json.dumps(event))
        if "end" in event:
            self._end, self.complete, self.ended = event, True, True
            return []
        if "think" in event:
            return [ReasoningDelta(event["think"])]
        return [TextDelta(event["say"])]

    def rest(self) -> list[ProviderEvent]:
        return []  # each event is read at once

    def finish(self, request_id: str | None) -> Finish:
        reasons = {"stop": "stop", "limit": "length"}
        tokens = self._end.get("tokens")
        return Finish(
            reasons.get(self._end.get("end"), "other"),
            None if tokens is None else Usage(*tokens),
            self._end.get("model"),
            request_id,
        )


def example_event(value: dict[str, Any]) -> bytes:
    """One event as it is sent."""
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


def example_stream(
    pieces: Sequence[str],
    *,
    reasoning: Sequence[str] = (),
    usage: tuple[int, int] | None = (11, 5),
    model: str = "example-1",
    finish_reason: str = "stop",
) -> tuple[bytes, ...]:
    """The recording: a whole answer, one item per event."""
    end = {"end": finish_reason, "model": model} | ({} if usage is None else {"tokens": usage})
    return (
        *(example_event({"think": text}) for text in reasoning),
        *(example_event({"say": text}) for text in pieces),
        example_event(end),
    )

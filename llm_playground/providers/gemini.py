"""``streamGenerateContent?alt=sse`` over google-genai: it builds and sends the request.

It offers no door to the bytes of a response and spends ten times as long on parsing them, but it
takes an HTTP client of ours: that one keeps the response, and hands the SDK an empty one.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from contextvars import ContextVar
from typing import Any

import httpx2
from google import genai
from google.genai import types as sdk

from llm_playground import config
from llm_playground.events import ProviderEvent
from llm_playground.providers import answer, breaks, faults
from llm_playground.providers.base import Endpoint
from llm_playground.providers.call import Call
from llm_playground.providers.generate_content import Reader, body
from llm_playground.providers.http import client_for
from llm_playground.types import Request

_kept: ContextVar[list[httpx2.Response] | None] = ContextVar("_kept", default=None)


class _KeepingClient(httpx2.AsyncClient):
    """Keeps each response for who asked, and gives the SDK an empty one that it finds fine."""

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:  # noqa: ANN401 - the parent's own options, handed on unread
        request.extensions["timeout"] = self.timeout.as_dict()  # the SDK turns them off
        response = await super().send(request, **options)
        kept = _kept.get()
        if kept is None:
            return response
        kept.append(response)
        return httpx2.Response(200, request=request, content=b"")


class GeminiProvider:
    """Speaks streamGenerateContent to one endpoint."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._http_client = client_for(endpoint, _KeepingClient)
        self._client = genai.Client(
            vertexai=False,
            api_key=endpoint.api_key,
            http_options=sdk.HttpOptions(
                base_url=endpoint.address,
                api_version=config.gemini_api_version(),
                httpx_async_client=self._http_client,
            ),
        )

    async def stream(self, request: Request) -> AsyncGenerator[ProviderEvent, None]:
        """See :class:`llm_playground.providers.base.Provider`."""
        call = Call(self._endpoint, request.model, request.parameters)
        try:
            async with self._response(call, request) as response:
                if response.status_code != httpx2.codes.OK:
                    await response.aread()
                    raise faults.status_error(
                        call, response.status_code, response.text, response.headers
                    )
                chunks = response.aiter_bytes()
                reading = answer.stream_events(call, response.headers, chunks, Reader())
                async with aclosing(reading) as events:
                    async for event in events:
                        yield event
        except breaks.TRANSPORT_FAULTS as error:
            raise breaks.transport_error(call, error) from None

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http_client.aclose()

    @asynccontextmanager
    async def _response(self, call: Call, request: Request) -> AsyncIterator[httpx2.Response]:
        """Send the request; the response is closed on leaving."""
        if "#" in request.model_name:  # what follows would be no part of the URL
            raise faults.unsendable(call, ValueError(f"no model is called {request.model_name}"))
        kept = list[httpx2.Response]()
        options = sdk.GenerateContentConfig(
            automatic_function_calling=sdk.AutomaticFunctionCallingConfig(disable=True),
            automatic_continuation=False,  # it sends further requests on its own
            # The body goes as it is: what the SDK makes of the contents is replaced by it.
            http_options=sdk.HttpOptions(extra_body=body(request)),
        )
        try:
            token = _kept.set(kept)
            try:
                sending = await self._client.aio.models.generate_content_stream(
                    model=request.model_name, contents="-", config=options
                )
                async for _ in sending:  # it sends at its first step, and reads nothing
                    pass
            except ValueError as error:  # a name that would leave its place in the URL
                raise faults.unsendable(call, error) from None
            finally:
                _kept.reset(token)
            yield kept[0]
        finally:
            for response in kept:
                await response.aclose()

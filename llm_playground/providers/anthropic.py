"""Messages over the anthropic SDK: it builds and sends the request; we read the bytes."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from typing import Any

import anthropic

from llm_playground.events import ProviderEvent
from llm_playground.providers import sdk_response
from llm_playground.providers.base import Endpoint
from llm_playground.providers.call import Call
from llm_playground.providers.http import client_for
from llm_playground.providers.messages import Reader, body
from llm_playground.types import Request

_RAISED = sdk_response.Errors(anthropic.APIStatusError, anthropic.APIConnectionError)


class AnthropicProvider:
    """Speaks Messages to one endpoint."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        http_client = client_for(endpoint, anthropic.DefaultAioHttpClient)
        self._client = anthropic.AsyncAnthropic(
            api_key=endpoint.api_key,
            base_url=endpoint.address,
            timeout=http_client.timeout,
            max_retries=0,
            open_telemetry=False,
            http_client=http_client,
        )

    def stream(self, request: Request) -> AsyncGenerator[ProviderEvent, None]:
        """See :class:`llm_playground.providers.base.Provider`."""
        call = Call(self._endpoint, request.model, request.parameters)
        return sdk_response.events(call, lambda: self._send(body(request)), Reader(), _RAISED)

    def _send(self, content: dict[str, Any]) -> AbstractAsyncContextManager[sdk_response.Response]:
        """The body goes as it is: what the SDK asks for is replaced by it.

        A model's name in its own place would make the SDK warn by the model's age.
        """
        return self._client.messages.with_streaming_response.create(
            model="", max_tokens=1, messages=[], stream=True, extra_body=content
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()

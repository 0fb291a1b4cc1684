"""Chat Completions over the openai SDK: it builds and sends the request.

The response is read as bytes, at a sixth of what the SDK's parsed stream costs.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from typing import Any

import openai

from llm_playground.events import ProviderEvent
from llm_playground.providers import sdk_response
from llm_playground.providers.base import Endpoint
from llm_playground.providers.call import Call
from llm_playground.providers.chat_completions import Reader, body
from llm_playground.providers.http import client_for
from llm_playground.types import Request

_RAISED = sdk_response.Errors(openai.APIStatusError, openai.APIConnectionError)


class OpenAIProvider:
    """Speaks Chat Completions to one endpoint.

    Args:
        endpoint: Anything but ``openai`` gets ``max_tokens``, which imitations understand, in
            place of OpenAI's ``max_completion_tokens``.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        http_client = client_for(endpoint, openai.DefaultAioHttpClient)
        self._client = openai.AsyncOpenAI(
            api_key=endpoint.api_key,
            admin_api_key="",  # None would be read from the environment
            base_url=endpoint.address,
            timeout=http_client.timeout,
            max_retries=0,
            http_client=http_client,
        )
        if endpoint.provider != "openai":  # the environment's account is none of theirs
            self._client.organization = self._client.project = None

    def stream(self, request: Request) -> AsyncGenerator[ProviderEvent, None]:
        """See :class:`llm_playground.providers.base.Provider`."""
        call = Call(self._endpoint, request.model, request.parameters)
        return sdk_response.events(call, lambda: self._send(body(request)), Reader(), _RAISED)

    def _send(self, content: dict[str, Any]) -> AbstractAsyncContextManager[sdk_response.Response]:
        """The body goes as it is: what the SDK asks for is replaced by it."""
        return self._client.chat.completions.with_streaming_response.create(
            model="", messages=[], stream=True, extra_body=content
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()

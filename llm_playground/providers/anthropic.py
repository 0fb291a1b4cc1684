"""Messages over the anthropic SDK: it builds and sends the request; we read the bytes."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import anthropic

from llm_playground.providers import answer, breaks, faults
from llm_playground.providers.base import Endpoint
from llm_playground.providers.call import Call
from llm_playground.providers.http import client_for
from llm_playground.providers.messages import Reader, body
from llm_playground.types import ProviderEvent, Request

BASE_URL = "https://api.anthropic.com"


class AnthropicProvider:
    """Speaks Messages to one endpoint."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        http_client = client_for(endpoint, anthropic.DefaultAioHttpClient)
        self._client = anthropic.AsyncAnthropic(
            api_key=endpoint.api_key,
            base_url=endpoint.base_url or BASE_URL,
            timeout=http_client.timeout,
            max_retries=0,
            open_telemetry=False,
            http_client=http_client,
        )

    async def stream(self, request: Request) -> AsyncGenerator[ProviderEvent, None]:
        """See :class:`llm_playground.providers.base.Provider`."""
        call = Call(self._endpoint, request.model, request.parameters)
        content = body(request)
        try:
            async with self._client.messages.with_streaming_response.create(
                model="",  # the body's own is sent; a name here makes the SDK warn by its age
                max_tokens=content["max_tokens"],
                messages=content["messages"],
                stream=True,
                extra_body=content,
            ) as response:
                chunks = response.iter_bytes()
                reading = answer.stream_events(call, response.headers, chunks, Reader())
                async with aclosing(reading) as events:
                    async for event in events:
                        yield event
        except UnicodeEncodeError as error:
            raise faults.unsendable(call, error) from None
        except anthropic.APIStatusError as error:
            raise faults.status_error(
                call, error.status_code, error.response.text, error.response.headers
            ) from None
        except (anthropic.APIConnectionError, *breaks.TRANSPORT_FAULTS) as error:
            raise breaks.transport_error(call, error) from None

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()

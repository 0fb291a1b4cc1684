"""Claude and Gemini on clouds: Vertex AI, and Amazon Bedrock with the signature of AWS.

Bodies and readers are those of Messages and generateContent; the vendors' SDKs find the
credentials, renew them, and set path, token or signature. What their libraries raise for
credentials that are missing or refused becomes an error of this package.

Format: https://cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude/use-claude
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from llm_playground.config import clouds
from llm_playground.errors import (
    AuthenticationError,
    ConfigError,
    ProviderError,
    ProviderUnavailableError,
)
from llm_playground.providers import Endpoint, RequestContext, anthropic, gemini, streaming
from llm_playground.providers.wire_formats import WIRE_FORMATS
from llm_playground.types import Request

if TYPE_CHECKING:
    import httpx2
    from anthropic import AsyncAnthropicBedrockMantle, AsyncAnthropicVertex
    from google.genai import Client

_Response = TypeVar("_Response", bound=streaming.Response)


class AnthropicVertexProvider(anthropic.AnthropicProvider):
    """Claude on Vertex AI, with Google's application default credentials."""

    wire_format: ClassVar[str] = "anthropic-vertex"

    def _connected(self, http_client: httpx2.AsyncClient) -> AsyncAnthropicVertex:
        from anthropic import AsyncAnthropicVertex

        address = _vertex_address(self._endpoint)
        return AsyncAnthropicVertex(
            project_id=address.project,
            region=address.region,
            base_url=address.root,
            **self._options(http_client),
        )

    def _send(self, request: Request) -> AbstractAsyncContextManager[streaming.Response]:
        WIRE_FORMATS[self.wire_format].path(request)  # refuses names that would change the URL
        call = RequestContext(self._endpoint, request.model, request.parameters)
        return _sent(call, super()._send(request), self.wire_format)

    def _model_argument(self, request: Request) -> str:
        return request.model_name  # which the SDK puts into the URL


class AnthropicBedrockProvider(anthropic.AnthropicProvider):
    """Claude on Amazon Bedrock, with requests that AWS credentials sign."""

    wire_format: ClassVar[str] = "anthropic-bedrock"

    def _connected(self, http_client: httpx2.AsyncClient) -> AsyncAnthropicBedrockMantle:
        from anthropic import AsyncAnthropicBedrockMantle

        return AsyncAnthropicBedrockMantle(
            aws_region=clouds.bedrock_region(self._endpoint.address),
            base_url=self._endpoint.address,
            **self._options(http_client),
        )

    def _send(self, request: Request) -> AbstractAsyncContextManager[streaming.Response]:
        call = RequestContext(self._endpoint, request.model, request.parameters)
        return _sent(call, super()._send(request), self.wire_format)


class GeminiVertexProvider(gemini.GeminiProvider):
    """Gemini on Vertex AI, with Google's application default credentials."""

    wire_format: ClassVar[str] = "gemini-vertex"

    def _credential_errors(self) -> tuple[type[Exception], ...]:
        return _credential_errors(self.wire_format)

    def _connected(self, http_client: httpx2.AsyncClient) -> Client:
        from google import genai
        from google.genai import types as sdk

        address = _vertex_address(self._endpoint)
        base_url, _, version = address.root.rpartition("/")
        return genai.Client(
            vertexai=True,
            project=address.project,
            location=address.region,
            http_options=sdk.HttpOptions(
                base_url=base_url, api_version=version, httpx_async_client=http_client
            ),
        )

    @asynccontextmanager
    async def _response(
        self, call: RequestContext, request: Request
    ) -> AsyncIterator[streaming.Received]:
        sending = super()._response(call, request)
        async with _sent(call, sending, self.wire_format) as response:
            yield response


def _vertex_address(endpoint: Endpoint) -> clouds.VertexAddress:
    address = clouds.vertex_address(endpoint.address)
    if address is None:  # `configure` refuses it, a package's endpoint may have it
        raise ConfigError(
            f"The base URL of {endpoint.provider} does not end with project and region.",
            provider=endpoint.provider,
        )
    return address


@asynccontextmanager
async def _sent(
    call: RequestContext,
    sending: AbstractAsyncContextManager[_Response],
    wire_format: str,
) -> AsyncIterator[_Response]:
    """The response to a request, or an error that says why the credentials failed."""
    async with AsyncExitStack() as stack:
        try:
            response = await stack.enter_async_context(sending)
        except _credential_errors(wire_format) as error:
            raise _translated(call, clouds.CLOUDS[wire_format], error) from None
        yield response


def _credential_errors(wire_format: str) -> tuple[type[Exception], ...]:
    """What the library that finds a cloud's credentials raises."""
    if wire_format == AnthropicBedrockProvider.wire_format:
        from botocore.exceptions import BotoCoreError  # type: ignore[import-untyped]

        return BotoCoreError, RuntimeError  # the latter by the SDK, where there are none
    from google.auth.exceptions import GoogleAuthError

    return (GoogleAuthError,)


# Of google-auth and botocore: the server that renews credentials was not reached.
_NOT_REACHED = frozenset({
    "TransportError", "EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError",
    "ConnectionClosedError", "ProxyConnectionError",
})  # fmt: skip


def _translated(call: RequestContext, cloud: clouds.Cloud, error: Exception) -> ProviderError:
    kind = type(error).__name__
    about: dict[str, Any] = {
        "provider": call.endpoint.provider,
        "model": call.model,
        "detail": str(error),
    }
    translated: ProviderError
    if kind in _NOT_REACHED or getattr(error, "retryable", False):
        translated = ProviderUnavailableError(
            f"{call.label} was not called: the server that renews {cloud.credentials} was not "
            f"reached ({kind}). Run again in a moment.",
            **about,
        )
    else:
        translated = AuthenticationError(
            f"{call.label} was not called: {cloud.credentials} are missing or not valid ({kind}). "
            f"{cloud.advice}",
            **about,
        )
    translated.reached = False
    return translated

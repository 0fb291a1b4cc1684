"""``streamGenerateContent`` over google-generativeai, Google's retired SDK (extra gemini-legacy).

It blocks, so each of its calls has a thread (see ``exchange``). It builds the URL and the headers
and sends; the body is the same as google-genai's, with all that came after its last version. We
read the response: it would take one byte at a time. It asks for no ``alt=sse`` and for enums as
numbers, so an answer is one JSON array.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing, contextmanager
from http import HTTPStatus
from typing import Any

from llm_playground import config
from llm_playground.errors import ConfigError
from llm_playground.events import ProviderEvent
from llm_playground.providers import answer, breaks, faults, generate_content, tape
from llm_playground.providers.address import is_loopback
from llm_playground.providers.base import Endpoint
from llm_playground.providers.call import Call
from llm_playground.providers.exchange import Adapter, Exchange
from llm_playground.providers.http import KEEPALIVE_S, MAX_REFUSAL_BYTES, client_for
from llm_playground.providers.json_array import ArrayDecoder
from llm_playground.redact import redact
from llm_playground.types import Request

# Who installs the extra knows that the SDK is retired; Google's plans for versions of Python are
# no news for a library that has no next version.
warnings.filterwarnings("ignore", r"\s*All support for the `google.generativeai`", FutureWarning)
warnings.filterwarnings("ignore", "You are using a", FutureWarning, r"google\.api_core")

from google.auth.exceptions import GoogleAuthError  # noqa: E402 - the filters stand first
from google.generativeai import client as library  # noqa: E402 - as above

API_VERSION = "v1beta"
"""The only one that the SDK speaks."""

_MODEL = re.compile(r"(?:models|tunedModels)/[^/?#%]+")  # what stays in its place in the URL


class GeminiLegacyProvider:
    """Speaks streamGenerateContent to one endpoint.

    Raises:
        ConfigError: Nothing can be sent to the base URL or through the environment's proxy, or
            the environment asks of the SDK what it cannot do.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._client = _client_for(endpoint)
        # A new connection for each request to this machine, as everywhere in the house.
        self._keepalive_s = 0.0 if is_loopback(endpoint.base_url) else KEEPALIVE_S
        self._under_way: set[Exchange] = set()

    async def stream(self, request: Request) -> AsyncGenerator[ProviderEvent, None]:
        """See :class:`llm_playground.providers.base.Provider`."""
        call = Call(self._endpoint, request.model, request.parameters)
        try:
            with self._exchange(call, request) as exchange:
                headers = await _headers(call, exchange)
                async with (
                    aclosing(_as_events(exchange.chunks())) as chunks,
                    aclosing(
                        answer.stream_events(call, headers, chunks, generate_content.Reader())
                    ) as events,
                ):
                    async for event in events:
                        yield event
        except breaks.TRANSPORT_FAULTS as error:
            raise breaks.transport_error(call, error) from None

    async def aclose(self) -> None:
        """Close the connections."""
        for exchange in list(self._under_way):
            exchange.abandon()
        self._client.transport.close()

    @contextmanager
    def _exchange(self, call: Call, request: Request) -> Iterator[Exchange]:
        """Send the request; the connection is closed on leaving, unless all of it was read."""
        model = _resource(call, request.model_name)
        content = json.dumps(generate_content.body(request)).encode()

        def send() -> object:
            return self._client.stream_generate_content({"model": model}, retry=None, timeout=None)

        exchange = Exchange(send, content, self._keepalive_s)
        self._under_way.add(exchange)
        try:
            yield exchange
        finally:
            self._under_way.discard(exchange)
            exchange.abandon()


async def _headers(call: Call, exchange: Exchange) -> Mapping[str, str]:
    """The headers of a response that is an answer.

    Raises:
        ProviderError: It is none.
    """
    try:
        response = await exchange.begun()
    except ValueError as error:  # half a character, or what this version has no URL for
        raise faults.unsendable(call, error) from None
    if response.status_code == HTTPStatus.OK:
        return response.headers
    body = bytearray()
    async for chunk in exchange.chunks():
        body += chunk
        if len(body) >= MAX_REFUSAL_BYTES:
            break
    trip = tape.last_trip()
    if trip is not None:
        trip.received.add(bytes(body[:MAX_REFUSAL_BYTES]))
    text = body[:MAX_REFUSAL_BYTES].decode("utf-8", "replace")
    raise faults.status_error(call, response.status_code, text, response.headers)


async def _as_events(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    decoder = ArrayDecoder()
    async for chunk in chunks:
        yield decoder.feed(chunk)


def _resource(call: Call, name: str) -> str:
    """The model's name as the API wants it.

    Raises:
        RequestRejectedError: It is none.
    """
    resource = name if "/" in name else f"models/{name}"
    if _MODEL.fullmatch(resource) is None:
        raise faults.unsendable(call, ValueError(f"{name} is no name of a Gemini model"))
    return resource


def _client_for(endpoint: Endpoint) -> Any:  # noqa: ANN401 - the SDK's client, of a type that says less
    """The SDK's client for one endpoint. Its global ``configure`` knows one endpoint only."""
    _check(endpoint)
    manager: Any = library._ClientManager()  # half of it has no types
    try:
        manager.configure(
            api_key=endpoint.api_key,
            transport="rest",
            client_options={
                "api_endpoint": endpoint.address.rstrip("/"),
                "universe_domain": "googleapis.com",
            },
        )
        client = manager.make_client("generative")
    except (ValueError, GoogleAuthError) as error:
        raise ConfigError(
            f"google-generativeai cannot be set up: {redact(str(error))}. Correct it.",
            provider=endpoint.provider,
        ) from error
    session = client.transport._session
    session.trust_env = not is_loopback(endpoint.base_url)
    session.auth = lambda request: request  # else a password is looked for in ~/.netrc
    adapter = Adapter(endpoint.connect_timeout_s)
    for scheme in ("https://", "http://"):
        session.mount(scheme, adapter)
    return client


def _check(endpoint: Endpoint) -> None:
    client_for(endpoint)  # never used: it finds out whether base URL and proxies can be
    if config.gemini_api_version() != API_VERSION:
        raise ConfigError(
            f"google-generativeai speaks {API_VERSION} of Gemini's API alone. "
            "Unset GOOGLE_GEMINI_API_VERSION, or use gemini: instead of gemini-legacy:.",
            provider=endpoint.provider,
        )

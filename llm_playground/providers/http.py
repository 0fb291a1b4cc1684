"""HTTP clients: one kind for every provider, with one set of limits and one rule for proxies."""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import aclosing

import httpx2

from llm_playground import config
from llm_playground.errors import ConfigError
from llm_playground.providers import tape
from llm_playground.providers.address import fault_in, is_loopback
from llm_playground.providers.base import Endpoint
from llm_playground.redact import redact, remember

WRITE_TIMEOUT_S = 60.0
# For a connection of the pool, its DNS look-up included.
POOL_TIMEOUT_S = 30.0
# Above what the limiter ever lets through; the transports' own default is 100.
MAX_CONNECTIONS = 2_000
# Below the idle time after which vendors' load balancers close: a reused connection is alive.
KEEPALIVE_S = 30.0
# Of a refusal, decoded: more than any says, and nothing to a kernel's memory.
MAX_REFUSAL_BYTES = 65_536
# Decoded at a time. A few bytes may stand for a thousand times as many, or more.
_SLICE_BYTES = 256
# What is repeated of a wrong address: a host with a dot or a port, its labels shorter than keys.
_PLAIN_HOST = re.compile(
    r"(?=localhost|[^/]*[.:])([\w-]{1,16}[.]){0,5}[\w-]{1,16}(:\d{1,5})?(/v\d)?/?"
)


def client_for(
    endpoint: Endpoint, kind: type[httpx2.AsyncClient] = httpx2.AsyncClient
) -> httpx2.AsyncClient:
    """An HTTP client for one endpoint.

    Redirects are not followed: a key would go along to another host. It waits for an answer
    without end: how long a call may be silent is for those to say who make it.

    Args:
        endpoint: Loopback endpoints never use a proxy, whatever the environment says, and a new
            connection for each request.
        kind: The class to build; the SDKs bring one over aiohttp, which costs a third of the CPU.

    Raises:
        ConfigError: Nothing can be sent to the base URL, or not through the environment's proxy.
    """
    remember(endpoint.api_key)
    _check(endpoint)
    at_home = is_loopback(endpoint.base_url)
    try:
        return kind(
            timeout=httpx2.Timeout(
                connect=endpoint.connect_timeout_s,
                read=None,
                write=WRITE_TIMEOUT_S,
                pool=POOL_TIMEOUT_S,
            ),
            limits=httpx2.Limits(
                max_connections=MAX_CONNECTIONS,
                max_keepalive_connections=MAX_CONNECTIONS,
                # A connection costs nothing here, and llama.cpp closes each after its answer while
                # it says "keep-alive": the next request would be written into the closing one.
                keepalive_expiry=0.0 if at_home else KEEPALIVE_S,
            ),
            follow_redirects=False,
            trust_env=not at_home,
            event_hooks={"request": [_note_request], "response": [_note_response, _shorten]},
        )
    except (ValueError, ImportError) as error:  # of a scheme unknown here, or SOCKS
        raise ConfigError(
            "The proxy of the environment is of a kind that cannot be used. "
            "Correct HTTPS_PROXY, HTTP_PROXY or ALL_PROXY, or name the host in NO_PROXY.",
            provider=endpoint.provider,
            detail=redact(str(error)),
        ) from None


async def _note_request(request: httpx2.Request) -> None:
    kept = tape.running()
    if kept is not None:
        body = await request.aread()
        kept.sent(request.method, str(request.url), request.headers.multi_items(), body)


async def _note_response(response: httpx2.Response) -> None:
    trip = tape.last_trip()
    if trip is not None:
        trip.answered(response.status_code, response.headers.multi_items())


class _Sliced(httpx2.AsyncByteStream):
    """A body as it comes, in small pieces."""

    def __init__(self, body: AsyncIterable[bytes]) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._body:
            for at in range(0, len(chunk), _SLICE_BYTES):
                yield chunk[at : at + _SLICE_BYTES]


async def _shorten(response: httpx2.Response) -> None:
    """Leave of a refusal its beginning: whoever reads it, an SDK too, reads it whole."""
    body = response.stream
    if response.is_success or not isinstance(body, httpx2.AsyncByteStream):
        return
    coded = httpx2.Response(
        response.status_code, headers=response.headers.raw, stream=_Sliced(body)
    )
    start = bytearray()
    try:
        async with aclosing(coded.aiter_bytes()) as parts:
            async for part in parts:
                start += part
                if len(start) >= MAX_REFUSAL_BYTES:
                    break
    finally:
        await body.aclose()
    trip = tape.last_trip()
    if trip is not None:
        trip.received.add(bytes(start[:MAX_REFUSAL_BYTES]))
    response.headers.pop("content-encoding", None)
    response.stream = httpx2.ByteStream(bytes(start[:MAX_REFUSAL_BYTES]))


def _check(endpoint: Endpoint) -> None:
    if endpoint.base_url is None:
        return
    fault = fault_in(endpoint.base_url)
    if fault is not None:
        raise ConfigError(_misplaced(endpoint, fault), provider=endpoint.provider)


def _misplaced(endpoint: Endpoint, fault: str) -> str:
    """What is wrong with a base URL; it is repeated only where it plainly is a host."""
    row, url = config.rows().get(endpoint.provider), endpoint.base_url or ""
    variable = row.base_url_variable if row else None
    if variable is None or config.read(variable) != url:
        label = config.label(endpoint.provider)
        return f"Nothing can be sent to the base URL of {label}: {fault}. Correct it."
    path = "/v1" if row and row.wire_format == "openai" else ""
    found = f"is {url}" if _PLAIN_HOST.fullmatch(url) else f"cannot be used: {fault}"
    return f"{variable} {found}; write it as http://host:port{path}."

"""The HTTP client of all providers, and checks of base URLs.

:func:`client_for` has the rules that hold for every provider: time limits, proxies, no redirects,
and error responses of limited size.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from urllib.request import getproxies, proxy_bypass

import httpx2

from llm_playground import config
from llm_playground.errors import ConfigError
from llm_playground.providers import Endpoint, http_trace, own_clients
from llm_playground.providers.wire_formats import WIRE_FORMATS
from llm_playground.redaction import redact, remember


def problem_with(base_url: str) -> str | None:
    """Why nothing can be sent to a base URL, as a clause; None where it is valid.

    >>> problem_with("http://127.0.0.1:8080/v1"), problem_with("api.example.com")
    (None, 'it does not begin with http:// or https://')
    """
    try:
        url = httpx2.URL(base_url)
    except httpx2.InvalidURL:  # its message may contain a password
        return "it is not a web address"
    if url.scheme not in ("http", "https"):
        return "it does not begin with http:// or https://"
    if url.userinfo:
        return "it contains a user name or a password"
    if url.query or url.fragment:
        return "it contains a query, and keys belong in .env"
    if url.port is not None and not 0 < url.port < 65_536:
        return f"{url.port} is not a port"
    return None if _is_host(url.host) else "it names no host"


def _is_host(host: str) -> bool:
    if _ip(host) is not None:
        return True
    try:  # the resolver's rules: no empty or overlong label
        return bool(host.encode("idna")) and "%" not in host
    except UnicodeError:
        return False


def is_loopback(base_url: str | None) -> bool:
    """Whether a base URL stays on this machine: 127.0.0.0/8, ::1, localhost.

    >>> is_loopback("http://127.8.0.1:80/v1"), is_loopback("https://localhost.example.com")
    (True, False)
    """
    host = httpx2.URL(base_url).host.rstrip(".").lower() if base_url else ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    ip = _ip(host)
    return ip is not None and ip.is_loopback


def proxy_for(base_url: str) -> str | None:
    """The proxy of the environment (or the system) for a base URL, None without one.

    As ``host:port``, without its credentials. Loopback addresses have none.
    """
    url = httpx2.URL(base_url)
    if is_loopback(base_url) or proxy_bypass(url.host):
        return None
    proxies = getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if not proxy:
        return None
    try:
        return httpx2.URL(proxy if "://" in proxy else f"http://{proxy}").netloc.decode()
    except httpx2.InvalidURL:
        return "of the environment"


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


WRITE_TIMEOUT_S = 60.0
# For a connection of the pool, its DNS look-up included.
POOL_TIMEOUT_S = 30.0
# More than the limiter ever allows; the transports' own default is 100.
MAX_CONNECTIONS = 2_000
# Vendors' load balancers close idle connections later than this.
KEEPALIVE_S = 30.0
# Of an error response, decoded; error messages are shorter.
MAX_ERROR_BYTES = 65_536
# Decoded at a time: a few compressed bytes may stand for thousands.
_SLICE_BYTES = 256
# A wrong address is repeated in a message only if it has a dot or a port, and labels shorter than
# keys.
_PLAIN_HOST = re.compile(
    r"(?=localhost|[^/]*[.:])([\w-]{1,16}[.]){0,5}[\w-]{1,16}(:\d{1,5})?(/v\d)?/?"
)


def client_for(
    endpoint: Endpoint, kind: type[httpx2.AsyncClient] = httpx2.AsyncClient
) -> httpx2.AsyncClient:
    """An HTTP client for one endpoint.

    Redirects are not followed, since they would send the key to another host. There is no read
    timeout: the engine's deadlines limit how long an answer may take. Loopback endpoints never use
    a proxy, and a new connection for each request. ``kind`` is the class to build; that of the SDKs
    uses aiohttp, at a third of the CPU.

    Raises:
        ConfigError: The base URL or the environment's proxy cannot be used.
    """
    remember(endpoint.api_key)
    if endpoint.base_url is not None and (problem := problem_with(endpoint.base_url)):
        raise ConfigError(_base_url_message(endpoint, problem), provider=endpoint.provider)
    loopback = is_loopback(endpoint.base_url)
    has_tls = not loopback or httpx2.URL(endpoint.base_url or "").scheme == "https"
    try:
        client = kind(
            verify=has_tls,  # loading the certificates takes longer than a call on this machine
            timeout=httpx2.Timeout(
                connect=endpoint.connect_timeout_s,
                read=None,
                write=WRITE_TIMEOUT_S,
                pool=POOL_TIMEOUT_S,
            ),
            limits=httpx2.Limits(
                max_connections=MAX_CONNECTIONS,
                max_keepalive_connections=MAX_CONNECTIONS,
                # llama.cpp announces "keep-alive" and closes each connection after its answer: the
                # next request could be written into the closing one. New ones cost little here.
                keepalive_expiry=0.0 if loopback else KEEPALIVE_S,
            ),
            follow_redirects=False,
            trust_env=not loopback,
            event_hooks={
                "request": [_rekey(endpoint), _trace_request],
                "response": [_trace_response, _truncate],
            },
        )
    except (ValueError, ImportError) as error:  # an unknown scheme, or SOCKS without its package
        raise ConfigError(
            "The environment's proxy is of a kind that is not supported. "
            "Correct HTTPS_PROXY, HTTP_PROXY or ALL_PROXY, or name the host in NO_PROXY.",
            provider=endpoint.provider,
            detail=redact(str(error)),
        ) from None
    own_clients.add(client)
    return client


def _rekey(endpoint: Endpoint) -> Callable[[httpx2.Request], Awaitable[None]]:
    """Moves the key to the header that the endpoint reads, which the SDKs cannot change."""
    row = config.rows().get(endpoint.provider)
    wire_format = WIRE_FORMATS.get(row.wire_format) if row else None
    usual = "Authorization" if wire_format is None else wire_format.key_header

    async def rekey(request: httpx2.Request) -> None:
        if endpoint.key_header is not None:
            request.headers.pop(usual, None)
            request.headers[endpoint.key_header] = endpoint.api_key

    return rekey


async def _trace_request(request: httpx2.Request) -> None:
    trace = http_trace.running()
    if trace is not None:
        body = await request.aread()
        trace.sent(request.method, str(request.url), request.headers.multi_items(), body)


async def _trace_response(response: httpx2.Response) -> None:
    trip = http_trace.last_trip()
    if trip is not None:
        trip.answered(response.status_code, response.headers.multi_items())


class _Sliced(httpx2.AsyncByteStream):
    """A body in small pieces, as it arrives."""

    def __init__(self, body: AsyncIterable[bytes]) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._body:
            for at in range(0, len(chunk), _SLICE_BYTES):
                yield chunk[at : at + _SLICE_BYTES]


async def _truncate(response: httpx2.Response) -> None:
    """Truncate the body of an error response, which SDKs read completely."""
    body = response.stream
    if response.is_success or not isinstance(body, httpx2.AsyncByteStream):
        return
    encoded = httpx2.Response(
        response.status_code, headers=response.headers.raw, stream=_Sliced(body)
    )
    try:
        content = await error_body(encoded.aiter_bytes())
    finally:
        await body.aclose()
    response.headers.pop("content-encoding", None)
    response.stream = httpx2.ByteStream(content)


async def error_body(parts: AsyncGenerator[bytes, None]) -> bytes:
    """The beginning of the body of an error response, which is also recorded."""
    start = bytearray()
    async with aclosing(parts):
        async for part in parts:
            start += part
            if len(start) >= MAX_ERROR_BYTES:
                break
    content = bytes(start[:MAX_ERROR_BYTES])
    trip = http_trace.last_trip()
    if trip is not None:
        trip.received.add(content)
    return content


def _base_url_message(endpoint: Endpoint, problem: str) -> str:
    """What is wrong with a base URL, which is repeated only where it is clearly a host."""
    row, url = config.rows().get(endpoint.provider), endpoint.base_url or ""
    variable = row.base_url_variable if row else None
    if variable is None or config.read(variable) != url:
        label = config.label(endpoint.provider)
        return f"The base URL of {label} cannot be used: {problem}. Correct it."
    path = "/v1" if row and row.wire_format == "openai" else ""
    state = f"is {url}" if _PLAIN_HOST.fullmatch(url) else f"cannot be used: {problem}"
    return f"{variable} {state}; write it as http://host:port{path}."

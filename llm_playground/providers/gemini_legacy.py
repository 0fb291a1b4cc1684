"""Gemini over google-generativeai, Google's retired SDK (extra gemini-legacy).

The SDK builds the URL and the headers and sends the request; :func:`gemini.body` builds the body,
and the response is read here, since the SDK reads it one byte at a time. The SDK does not ask for
``alt=sse``, so a response is one JSON array, with enums as numbers; :class:`ArrayDecoder` turns it
into server-sent events.

The SDK blocks, so each :class:`Exchange` has its own thread. It is not one of an executor: the
interpreter waits for those at exit, and there are fewer of them than answers that may stream at
once.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import ssl
import threading
import time
import warnings
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from contextvars import ContextVar
from functools import cached_property
from http import HTTPStatus
from typing import Any, cast

import httpx2
import requests
import requests.exceptions
import urllib3.exceptions
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.response import HTTPResponse

from llm_playground import config
from llm_playground.errors import ConfigError
from llm_playground.events import ProviderEvent
from llm_playground.providers import (
    Endpoint,
    RequestContext,
    errors,
    gemini,
    http,
    http_trace,
    streaming,
    transport_errors,
)
from llm_playground.providers.sse import MAX_EVENT_BYTES, EventTooLongError
from llm_playground.providers.wire_formats import WIRE_FORMATS
from llm_playground.redaction import redact
from llm_playground.types import Request

# Users of the extra know that the SDK is retired, and that it will not support new Pythons.
warnings.filterwarnings("ignore", r"\s*All support for the `google.generativeai`", FutureWarning)
warnings.filterwarnings("ignore", "You are using a", FutureWarning, r"google\.api_core")

from google.auth.exceptions import GoogleAuthError  # noqa: E402 - after the filters
from google.generativeai import client as library  # noqa: E402 - after the filters

API_VERSION = "v1beta"
"""The only version that the SDK supports."""

_MODEL = re.compile(r"(?:models|tunedModels)/[^/?#%]+")  # cannot change the rest of the URL
_READ_BYTES = 65_536
# How many pieces of a response may wait to be read; then reading from the network waits too.
_AHEAD = 64
# Exceptions as ``transport_errors`` expects them, the most specific first; it finds all others in
# the chain of causes.
_TRANSLATED: tuple[tuple[tuple[type[Exception], ...], type[Exception]], ...] = (
    ((urllib3.exceptions.ConnectTimeoutError,), httpx2.ConnectTimeout),
    (
        (
            requests.exceptions.ProxyError,
            requests.exceptions.InvalidProxyURL,
            requests.exceptions.InvalidSchema,  # SOCKS without its package
        ),
        httpx2.ProxyError,
    ),
)

_current: ContextVar[Exchange] = ContextVar("_current")


class Exchange:
    """One request and its response, which starts when it is created.

    Args:
        send: Sends a request through a session with an :class:`Adapter`; called on another thread.
        body: Replaces the body of that request.
        keepalive_s: How long a reused connection may have been idle.
    """

    def __init__(self, send: Callable[[], object], body: bytes, keepalive_s: float) -> None:
        self.body = body
        self.keepalive_s = keepalive_s
        self.response: requests.Response | None = None
        self.trace = http_trace.running()
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._arrived: asyncio.Queue[requests.Response | bytes | Exception] = asyncio.Queue()
        self._ahead = threading.Semaphore(_AHEAD)
        self._abandoned = False
        self._connection: _Connection | None = None
        self._socket: socket.socket | None = None
        threading.Thread(target=self._run, name="llm_playground exchange", daemon=True).start()

    async def begun(self) -> requests.Response:
        """The response without its body; call this once, before :meth:`chunks`.

        Raises what ``send`` raised, translated for ``transport_errors``.
        """
        return cast("requests.Response", await self._next())

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The response's body, decoded, as it arrives."""
        while chunk := cast("bytes", await self._next()):
            yield chunk
            self._ahead.release()

    def abandon(self) -> None:
        """Close the connection at once, from any thread; after the end, do nothing.

        A connection that is being opened is closed as soon as it is open.
        """
        # Here and in `use` and `sent`, each thread writes before it reads: one sees the other.
        self._abandoned = True
        connection = self._connection
        if connection is not None:
            with connection.holding:
                if connection.holder is self:  # another exchange may use it by now
                    _shut_down(self._socket or connection.sock)
        self._ahead.release()

    # The rest runs on the exchange's own thread.

    def use(self, connection: _Connection) -> None:
        """Note the connection that the request uses, which may be a reused one."""
        with connection.holding:
            connection.holder, self._connection = self, connection
        self._stop_if_abandoned()

    def sent(self, over: socket.socket) -> None:
        """Note the socket on which the response is awaited."""
        self._socket = over
        self._stop_if_abandoned()

    async def _next(self) -> requests.Response | bytes:
        item = await self._arrived.get()
        if isinstance(item, Exception):
            raise item
        return item

    def _run(self) -> None:
        _current.set(self)
        last: bytes | Exception = b""
        try:
            self._send()
            self._read()
        except Exception as error:
            last = _translated(error)
        finally:
            self._release_connection()
        self._deliver(last)

    def _read(self) -> None:
        response = self.response
        if response is None:
            raise ConnectionError("nothing was sent")
        self._deliver(response)
        while chunk := response.raw.read1(_READ_BYTES, decode_content=True):
            self._ahead.acquire()
            self._stop_if_abandoned()
            self._deliver(chunk)

    def _release_connection(self) -> None:
        """Close the connection, unless the response was read to its end, which returned it."""
        if self.response is not None:
            self.response.close()
        connection = self._connection
        if connection is not None:
            with connection.holding:
                if connection.holder is self:
                    connection.holder, connection.idle_since = None, time.monotonic()

    def _deliver(self, item: requests.Response | bytes | Exception) -> None:
        try:
            self._loop.call_soon_threadsafe(self._arrived.put_nowait, item)
        except RuntimeError:  # the loop is closed
            self._abandoned = True

    def _stop_if_abandoned(self) -> None:
        if self._abandoned:
            raise ConnectionAbortedError("the answer is no longer wanted")


class Adapter(HTTPAdapter):
    """Gives each response to its exchange and returns an empty, successful one to the SDK.

    So the SDK neither retries, nor follows a redirect with the key, nor reads the response. There
    is no read timeout: the engine's deadlines abandon the exchange.
    """

    def __init__(self, connect_timeout_s: float | None) -> None:
        self._connect_timeout_s = connect_timeout_s
        super().__init__(pool_maxsize=http.MAX_CONNECTIONS, max_retries=0)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - the parent's, passed on unread
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:  # noqa: ANN401 - as the parent
        manager = super().proxy_manager_for(proxy, **options)
        if not proxy.lower().startswith("socks"):  # which has connection classes of its own
            manager.pool_classes_by_scheme = _POOLS
        return manager

    def build_connection_pool_key_attributes(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - as the parent
        host, pool = super().build_connection_pool_key_attributes(*args, **options)
        if host["scheme"] == "https":
            pool["ssl_context"] = self._tls  # the same certificates as all other providers
        return host, pool

    def cert_verify(self, conn: Any, url: str, verify: bool | str, cert: Any) -> None:  # noqa: ANN401 - as the parent
        if verify is not True:  # REQUESTS_CA_BUNDLE, but not certifi's certificates
            super().cert_verify(conn, url, verify, cert)

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return httpx2.create_ssl_context()  # on an exchange's thread: it reads many certificates

    def send(
        self,
        request: requests.PreparedRequest,
        *args: Any,  # noqa: ANN401 - the parent's, passed on unread
        **options: Any,  # noqa: ANN401 - as above
    ) -> requests.Response:
        """Send the exchange's body to the SDK's address."""
        exchange = _current.get()
        request.prepare_body(exchange.body, None)
        trip = exchange.trace and exchange.trace.sent(
            str(request.method),
            str(request.url),
            ((name, str(value)) for name, value in request.headers.items()),
            exchange.body,
        )
        # The SDK's time limit would end slow answers.
        options |= {"stream": True, "timeout": (self._connect_timeout_s, None)}
        exchange.response = super().send(request, *args, **options)
        if trip:
            trip.answered(exchange.response.status_code, exchange.response.headers.items())
        empty = requests.Response()
        empty.request, empty.url, empty.status_code = request, str(request.url), 200
        return empty


class _Connection(HTTPConnection):
    """A connection that registers itself with the exchange of this thread."""

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - the parent's, passed on unread
        super().__init__(*args, **options)
        self.holding = threading.Lock()
        self.holder: Exchange | None = None
        self.idle_since = 0.0

    @property
    def is_connected(self) -> bool:
        idle_s = time.monotonic() - self.idle_since
        return idle_s < _current.get().keepalive_s and super().is_connected

    def request(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - the parent's, passed on unread
        _current.get().use(self)
        super().request(*args, **options)

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as urllib3's own
        if self.sock is not None:
            _current.get().sent(self.sock)
        return super().getresponse()


class _SecureConnection(_Connection, HTTPSConnection):
    """The same over TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


_POOLS: dict[str, type[HTTPConnectionPool]] = {"http": _Pool, "https": _SecurePool}


def _shut_down(connected: socket.socket | None) -> None:
    """Shut a socket down, which wakes the thread that reads it."""
    if connected is None:
        return
    plain = getattr(connected, "socket", connected)  # below TLS within a proxy's TLS
    with suppress(OSError):  # it is closed already
        socket.socket.shutdown(plain, socket.SHUT_RDWR)  # that of SSLSocket waits for its lock


def _translated(error: Exception) -> Exception:
    causes = transport_errors.chain(error)
    kinds = (new for old, new in _TRANSLATED if any(isinstance(one, old) for one in causes))
    broken = ConnectionError if isinstance(error, urllib3.exceptions.HTTPError) else None
    kind = next(kinds, broken)
    if kind is None:
        return error
    translated = kind(str(error))
    translated.__cause__ = error
    return translated


_MARKS = re.compile(rb'[\\"{}\[\]]')
_BACKSLASH, _QUOTE = b'\\"'
_OPENING, _CLOSING = frozenset(b"{["), frozenset(b"}]")
_BEFORE = b" \t\r\n\xef\xbb\xbf"  # white space and the byte order mark


class ArrayDecoder:
    r"""Converts a streamed JSON array to server-sent events; make one per response.

    Other responses, such as an error or a proxy's page, are passed on unchanged. The format is that
    of ``google.api_core.rest_streaming``: each event is an element, on any number of lines.

    >>> decoder = ArrayDecoder()
    >>> decoder.feed(b'[{"a": 1},\n{"b":\n "')
    b'data: {"a": 1}\n\n'
    >>> decoder.feed(b']}"}]')
    b'data: {"b":  "]}"}\n\n'
    """

    def __init__(self, max_element_bytes: int = MAX_EVENT_BYTES) -> None:
        self._limit = max_element_bytes
        self._is_array: bool | None = None  # None until the first significant byte
        self._depth = 0
        self._in_string = False
        self._escaped = -1  # where in the chunk the character after a backslash is
        self._element = bytearray()

    def feed(self, chunk: bytes) -> bytes:
        """The elements that ``chunk`` completes, each as one event.

        Raises:
            EventTooLongError: An element exceeds the limit.
        """
        if self._is_array is None:
            first = chunk.lstrip(_BEFORE)[:1]
            if not first:
                return b""
            self._is_array = first == b"["
        if not self._is_array:
            return chunk
        # JSON strings escape line ends, so those of an element are between its values.
        return b"".join(
            b"data: " + b" ".join(element.splitlines()) + b"\n\n"
            for element in self._elements(chunk)
        )

    def _elements(self, chunk: bytes) -> list[bytes]:
        elements, start = [], 0
        for match in _MARKS.finditer(chunk):
            place, mark = match.start(), chunk[match.start()]
            if self._in_string:
                self._read_string(place, mark)
            elif mark == _QUOTE:
                self._in_string = True
            elif mark in _OPENING:
                self._depth += 1
                if self._depth == 2:
                    start = place
            elif mark in _CLOSING:
                self._depth -= 1
                if self._depth == 1:
                    elements.append(bytes(self._element) + chunk[start : place + 1])
                    self._element.clear()
        self._escaped -= len(chunk)
        if self._depth > 1:
            self._element += chunk[start:]
            if len(self._element) > self._limit:
                raise EventTooLongError(f"an event of more than {self._limit:,} bytes")
        return elements

    def _read_string(self, place: int, mark: int) -> None:
        if place == self._escaped:
            return
        if mark == _BACKSLASH:
            self._escaped = place + 1
        elif mark == _QUOTE:
            self._in_string = False


class GeminiLegacyProvider:
    """Speaks streamGenerateContent to one endpoint."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._client = _client_for(endpoint)
        # No reuse of connections to this machine, as in client_for.
        self._keepalive_s = 0.0 if http.is_loopback(endpoint.base_url) else http.KEEPALIVE_S
        self._active: set[Exchange] = set()

    def stream(self, request: Request) -> AsyncGenerator[ProviderEvent, None]:
        call = RequestContext(self._endpoint, request.model, request.parameters)
        return streaming.sdk_events(call, lambda: self._response(call, request), gemini.Reader())

    async def aclose(self) -> None:
        for exchange in list(self._active):
            exchange.abandon()
        self._client.transport.close()

    @asynccontextmanager
    async def _response(
        self, call: RequestContext, request: Request
    ) -> AsyncIterator[streaming.Received]:
        """Send the request; leaving closes a connection that was not read to its end."""
        name = request.model_name
        model = name if "/" in name else f"models/{name}"
        if _MODEL.fullmatch(model) is None:
            raise errors.unsendable(call, ValueError(f"{name} is not the name of a Gemini model"))
        wire_format = WIRE_FORMATS["gemini"]
        sent_headers = wire_format.headers_of(request, dict(self._endpoint.headers))
        exchange = Exchange(
            lambda: self._client.stream_generate_content(
                {"model": model},
                retry=None,
                timeout=None,
                metadata=tuple(sent_headers.items()),
            ),
            json.dumps(wire_format.body(request)).encode(),
            self._keepalive_s,
        )
        self._active.add(exchange)
        try:
            headers, decoder = await _headers(call, exchange), ArrayDecoder()
            events = (decoder.feed(chunk) async for chunk in exchange.chunks())
            async with aclosing(events):
                yield streaming.Received(200, headers, lambda: events)
        finally:
            self._active.discard(exchange)
            exchange.abandon()


async def _headers(call: RequestContext, exchange: Exchange) -> Mapping[str, str]:
    """The headers of a successful response; an error is raised."""
    try:
        response = await exchange.begun()
    except ValueError as error:  # a lone surrogate, or a name for which the SDK has no URL
        raise errors.unsendable(call, error) from None
    if response.status_code == HTTPStatus.OK:
        return response.headers
    body = (await http.error_body(exchange.chunks())).decode("utf-8", "replace")
    raise errors.status_error(call, response.status_code, body, response.headers)


def _rekeyed(endpoint: Endpoint, request: Any) -> Any:  # noqa: ANN401 - of a library without types
    if endpoint.key_header is not None:
        del request.headers["x-goog-api-key"]
        request.headers[endpoint.key_header] = endpoint.api_key
    return request


def _client_for(endpoint: Endpoint) -> Any:  # noqa: ANN401 - the SDK's client has no useful type
    """The SDK's client for one endpoint; its global ``configure`` allows only one."""
    http.client_for(endpoint)  # only to check base URL and proxies
    if config.gemini_api_version() != API_VERSION:
        raise ConfigError(
            f"google-generativeai supports only {API_VERSION} of Gemini's API. "
            "Unset GOOGLE_GEMINI_API_VERSION, or use gemini: instead of gemini-legacy:.",
            provider=endpoint.provider,
        )
    manager: Any = library._ClientManager()  # partly without types
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
    session.trust_env = not http.is_loopback(endpoint.base_url)
    session.auth = lambda request: _rekeyed(endpoint, request)  # prevents a look-up in ~/.netrc
    adapter = Adapter(endpoint.connect_timeout_s)
    for scheme in ("https://", "http://"):
        session.mount(scheme, adapter)
    return client

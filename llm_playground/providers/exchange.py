"""One request over ``requests``, which blocks, for an event loop, which must not.

Every exchange has a thread of its own and not one of an executor's: the interpreter waits for
those when it ends, and there are fewer of them than answers that may stream at once.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from contextvars import ContextVar
from functools import cached_property
from typing import Any, cast

import httpx2
import requests
import requests.exceptions
import urllib3.exceptions
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.response import HTTPResponse

from llm_playground.providers import tape
from llm_playground.providers.http import MAX_CONNECTIONS

_READ_BYTES = 65_536
# How many pieces of a response may wait for who reads them; then the network waits too.
_AHEAD = 64
# What the rest of the house knows a failure by, the most telling first. Others' causes tell enough.
_KNOWN_AS: tuple[tuple[tuple[type[Exception], ...], type[Exception]], ...] = (
    ((urllib3.exceptions.ConnectTimeoutError,), httpx2.ConnectTimeout),
    (
        (
            requests.exceptions.ProxyError,
            requests.exceptions.InvalidProxyURL,
            requests.exceptions.InvalidSchema,  # SOCKS, and what speaks it is not installed
        ),
        httpx2.ProxyError,
    ),
)

_current: ContextVar[Exchange] = ContextVar("_current")


class Exchange:
    """One request and its response, begun at once.

    Args:
        send: Sends a request through a session with an :class:`Adapter`, on another thread.
        body: The request's body, whatever ``send`` had in mind.
        keepalive_s: How long a connection may have been idle to be used again.
    """

    def __init__(self, send: Callable[[], object], body: bytes, keepalive_s: float) -> None:
        self.body = body
        self.keepalive_s = keepalive_s
        self.response: requests.Response | None = None
        self.tape = tape.running()
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._arrived: asyncio.Queue[requests.Response | bytes | Exception] = asyncio.Queue()
        self._ahead = threading.Semaphore(_AHEAD)
        self._abandoned = False
        self._connection: _Connection | None = None
        self._socket: socket.socket | None = None
        threading.Thread(target=self._run, name="llm_playground exchange", daemon=True).start()

    async def begun(self) -> requests.Response:
        """The response, with its body still to come; call it once, and first.

        Raises:
            Exception: What ``send`` raised; transport faults are those that ``breaks`` knows.
        """
        return cast("requests.Response", await self._next())

    async def chunks(self) -> AsyncIterator[bytes]:
        """The response's body, decoded, as it arrives.

        Raises:
            OSError: The connection broke.
        """
        while chunk := cast("bytes", await self._next()):
            yield chunk
            self._ahead.release()

    def abandon(self) -> None:
        """Close the connection, at once and from any thread; after the end it does nothing.

        A connection that is only coming about is closed as soon as it has.
        """
        # Here and in `claim` and `sent` each side writes first and looks then: one sees the other.
        self._abandoned = True
        connection = self._connection
        if connection is not None:
            with connection.holding:
                if connection.holder is self:  # it may serve another by now
                    _hang_up(self._socket or connection.sock)
        self._ahead.release()

    # The rest runs on the exchange's own thread.

    def claim(self, connection: _Connection) -> None:
        """The request goes over this connection, which may have served another before.

        Raises:
            ConnectionAbortedError: Nobody wants the answer any more.
        """
        with connection.holding:
            connection.holder, self._connection = self, connection
        self._stop_if_abandoned()

    def sent(self, over: socket.socket) -> None:
        """The request is sent; this socket is where the response is awaited.

        Raises:
            ConnectionAbortedError: Nobody wants the answer any more.
        """
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
            last = _known(error)
        finally:
            self._let_go()
        self._tell(last)

    def _read(self) -> None:
        response = self.response
        if response is None:
            raise ConnectionError("nothing was sent")
        self._tell(response)
        while chunk := response.raw.read1(_READ_BYTES, decode_content=True):
            self._ahead.acquire()
            self._stop_if_abandoned()
            self._tell(chunk)

    def _let_go(self) -> None:
        """A response read to its end has given its connection back; any other's is closed."""
        if self.response is not None:
            self.response.close()
        connection = self._connection
        if connection is not None:
            with connection.holding:
                if connection.holder is self:
                    connection.holder, connection.idle_since = None, time.monotonic()

    def _tell(self, item: requests.Response | bytes | Exception) -> None:
        try:
            self._loop.call_soon_threadsafe(self._arrived.put_nowait, item)
        except RuntimeError:  # the loop is closed: nobody is left
            self._abandoned = True

    def _stop_if_abandoned(self) -> None:
        if self._abandoned:
            raise ConnectionAbortedError("nobody wants the answer any more")


class Adapter(HTTPAdapter):
    """Keeps each response for its exchange, and gives the library an empty one that it finds fine.

    So nothing above sends a second time, follows a redirect with the key in hand, or reads.

    Args:
        connect_timeout_s: How long a connection may take to come about; None is no limit. An
            answer may be silent without end: whoever waits for it abandons it.
    """

    def __init__(self, connect_timeout_s: float | None) -> None:
        self._connect_timeout_s = connect_timeout_s
        super().__init__(pool_maxsize=MAX_CONNECTIONS, max_retries=0)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - the parent's own, handed on unread
        """Connections tell their exchange."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:  # noqa: ANN401 - as the parent
        """Through a proxy too."""
        manager = super().proxy_manager_for(proxy, **options)
        if not proxy.lower().startswith("socks"):  # it connects in its own way
            manager.pool_classes_by_scheme = _POOLS
        return manager

    def build_connection_pool_key_attributes(
        self,
        request: requests.PreparedRequest,
        verify: bool | str,
        cert: Any = None,  # noqa: ANN401 - as the parent
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """TLS trusts whom the rest of the house trusts."""
        host, options = super().build_connection_pool_key_attributes(request, verify, cert)
        if host["scheme"] == "https":
            options["ssl_context"] = self._tls
        return host, options

    def cert_verify(self, conn: Any, url: str, verify: bool | str, cert: Any) -> None:  # noqa: ANN401 - as the parent
        """Certifi's authorities are not added; those of REQUESTS_CA_BUNDLE are."""
        if verify is not True:
            super().cert_verify(conn, url, verify, cert)

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return httpx2.create_ssl_context()  # on an exchange's thread: it reads many certificates

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: ARG002 - the parent's signature
        timeout: object = None,  # noqa: ARG002 - the library's own would end long silences
        verify: bool | str = True,
        cert: Any = None,  # noqa: ANN401 - as the parent
        proxies: Any = None,  # noqa: ANN401 - as the parent
    ) -> requests.Response:
        """Send the exchange's body to where the library would send its own."""
        exchange = _current.get()
        request.prepare_body(exchange.body, None)
        trip = exchange.tape and exchange.tape.sent(
            str(request.method),
            str(request.url),
            ((name, str(value)) for name, value in request.headers.items()),
            exchange.body,
        )
        exchange.response = super().send(
            request,
            stream=True,
            timeout=(self._connect_timeout_s, None),
            verify=verify,
            cert=cert,
            proxies=proxies,
        )
        if trip:
            trip.answered(exchange.response.status_code, exchange.response.headers.items())
        empty = requests.Response()
        empty.request, empty.url, empty.status_code = request, str(request.url), 200
        return empty


class _Connection(HTTPConnection):
    """Tells the exchange of this thread that it is used."""

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - the parent's own, handed on unread
        super().__init__(*args, **options)
        self.holding = threading.Lock()
        self.holder: Exchange | None = None
        self.idle_since = 0.0

    @property
    def is_connected(self) -> bool:
        idle_s = time.monotonic() - self.idle_since
        return idle_s < _current.get().keepalive_s and super().is_connected

    def request(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - the parent's own, handed on unread
        _current.get().claim(self)
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


def _hang_up(connected: socket.socket | None) -> None:
    """Wake whoever waits for this socket: for them the other side has left."""
    if connected is None:
        return
    plain = getattr(connected, "socket", connected)  # below TLS within a proxy's TLS
    with suppress(OSError):  # it is closed already
        socket.socket.shutdown(plain, socket.SHUT_RDWR)  # TLS's own would wait for its lock


def _known(error: Exception) -> Exception:
    links = list(_links(error))
    for theirs, ours in _KNOWN_AS:
        if any(isinstance(link, theirs) for link in links):
            return _caused(ours(str(error)), error)
    if isinstance(error, urllib3.exceptions.HTTPError):  # it broke while it was read
        return _caused(ConnectionError(str(error)), error)
    return error


def _links(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error

"""Recording at the requests of aiohttp's sessions, by which google-genai sends asynchronous calls.

The bytes of a response are kept as the connection delivers them, decompressed, before they are
read.
"""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any

from llm_playground.capture.exchange import Exchange
from llm_playground.capture.stored_responses import Substitute

Begin = Callable[[str, str, Callable[[], tuple[Mapping[str, str], bytes]]], Exchange | None]
_CLOSED = "Connection closed"  # the error in a stream that its reader has closed


def recorded_request(before: Any, aiohttp: Any, begin: Begin) -> Any:  # noqa: ANN401 - methods of aiohttp
    """The method ``_request`` of ``ClientSession`` with recording; ``before`` is the own one.

    ``begin`` takes method, URL and a function that gives headers and body, or raises, and returns
    None for what is not recorded.
    """

    @functools.wraps(before)
    async def request(session: Any, method: str, url: Any, **options: Any) -> Any:  # noqa: ANN401 - the arguments of aiohttp, passed on unread
        exchange = begin(method.upper(), str(url), lambda: _headers_and_body(session, options))
        if exchange is None:
            return await before(session, method, url, **options)
        substitute = await exchange.admitted()
        if substitute is not None:
            return _response(aiohttp, session, method, str(url), substitute)
        try:
            response = await before(session, method, url, **options)
        except BaseException as error:
            exchange.end(error)
            raise
        _keep(exchange, response, is_decoded=_decompresses(session, options))
        return response

    return request


def _headers_and_body(
    session: Any,  # noqa: ANN401 - of aiohttp
    options: Mapping[str, Any],
) -> tuple[Mapping[str, str], bytes]:
    """The headers and the body of a request.

    Raises:
        TypeError: The body is a stream or a form, or no JSON.
    """
    headers = {**session.headers, **dict(options.get("headers") or ())}
    data = options.get("data")
    if data is None:
        data = json.dumps(options.get("json"))
    if isinstance(data, str):
        return headers, data.encode()
    if isinstance(data, bytes):
        return headers, data
    raise TypeError("its body is a stream or a form")


def _decompresses(session: Any, options: Mapping[str, Any]) -> bool:  # noqa: ANN401 - of aiohttp
    own: bool | None = options.get("auto_decompress")
    return getattr(session, "auto_decompress", True) if own is None else own


def _keep(exchange: Exchange, response: Any, *, is_decoded: bool) -> None:  # noqa: ANN401 - of aiohttp
    received, content = exchange.received, response.content
    try:
        received.status_code = response.status
        received.headers = {name.lower(): value for name, value in response.headers.items()}
        if is_decoded:
            received.library = None
        for data in content._buffer if hasattr(content, "_buffer") else ():
            exchange.keep(bytes(data))
        if content.is_eof() or content.exception() is not None:
            exchange.end(content.exception(), is_whole=content.exception() is None)
        else:
            content.__class__ = _teeing(type(content), exchange)
    except Exception as error:  # another version of aiohttp
        exchange.lose(error)
        exchange.end(is_whole=True)


def _teeing(kind: Any, exchange: Exchange) -> Any:  # noqa: ANN401 - a class of aiohttp
    """The class of a stream that keeps what it is fed, for one exchange."""

    class Stream(kind):  # type: ignore[misc]  # a base of aiohttp
        """A response's stream whose bytes are kept as they come."""

        __slots__ = ()

        def feed_data(self, data: bytes, *arguments: Any) -> Any:  # noqa: ANN401 - of aiohttp
            exchange.keep(data)
            return super().feed_data(data, *arguments)

        def feed_eof(self) -> None:
            super().feed_eof()
            exchange.end(is_whole=True)

        def set_exception(self, exc: BaseException, *arguments: Any) -> None:  # noqa: ANN401 - of aiohttp
            super().set_exception(exc, *arguments)
            exchange.end(None if str(exc) == _CLOSED else exc)

    return Stream


def _response(aiohttp: Any, session: Any, method: str, url: str, substitute: Substitute) -> Any:  # noqa: ANN401 - of aiohttp
    """The response to give in place of sending a request."""
    from aiohttp.base_protocol import BaseProtocol  # loaded with aiohttp
    from multidict import CIMultiDict, CIMultiDictProxy
    from yarl import URL

    loop, address = asyncio.get_running_loop(), URL(url)
    content = aiohttp.StreamReader(BaseProtocol(loop), len(substitute.body) + 1, loop=loop)
    content.feed_data(substitute.body)
    content.feed_eof()
    headers = CIMultiDictProxy(CIMultiDict(substitute.headers))
    response = aiohttp.ClientResponse(
        method,
        address,
        writer=None,
        continue100=None,
        timer=None,
        request_info=aiohttp.RequestInfo(address, method, CIMultiDictProxy(CIMultiDict()), address),
        traces=[],
        loop=loop,
        session=session,
        stream_writer=SimpleNamespace(output_size=0),
    )
    response.status = substitute.status_code
    response.reason = HTTPStatus(substitute.status_code).phrase
    response.content, response._headers, response._raw_headers = content, headers, ()
    return response

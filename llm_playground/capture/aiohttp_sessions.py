"""Recording at the requests of aiohttp's sessions, by which google-genai sends asynchronous calls.

The bytes of a response are kept as the connection delivers them, decompressed, before they are
read.
"""

from __future__ import annotations

import asyncio
import functools
import json
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from time import perf_counter as now
from types import SimpleNamespace
from typing import Any

from llm_playground.capture.exchange import Exchange
from llm_playground.capture.stored_responses import Substitute
from llm_playground.redaction import redact

Begin = Callable[[str, str, Mapping[str, str], bytes], Exchange | None]
_CLOSED = "Connection closed"  # the error in a stream that its reader has closed
_log = logging.getLogger(__name__)


def recorded_request(before: Any, aiohttp: Any, begin: Begin) -> Any:  # noqa: ANN401 - methods of aiohttp
    """The method ``_request`` of ``ClientSession`` with recording; ``before`` is the own one.

    ``begin`` takes method, URL, headers and body, and returns None for what is not recorded.
    """

    @functools.wraps(before)
    async def request(session: Any, method: str, url: Any, **options: Any) -> Any:  # noqa: ANN401 - the arguments of aiohttp, passed on unread
        body = _body(options)
        headers = {**session.headers, **(options.get("headers") or {})}
        exchange = None if body is None else begin(method.upper(), str(url), headers, body)
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
        _keep(exchange, response)
        return response

    return request


def _body(options: Mapping[str, Any]) -> bytes | None:
    """The body of a request; None for one that is no bytes or JSON."""
    data = options.get("data")
    if isinstance(data, str):
        return data.encode()
    if data is None and options.get("json") is not None:
        with suppress(TypeError, ValueError):
            return json.dumps(options["json"]).encode()
    return data if isinstance(data, bytes) else None


def _keep(exchange: Exchange, response: Any) -> None:  # noqa: ANN401 - of aiohttp
    received, content = exchange.received, response.content
    received.status_code = response.status
    received.headers = {name.lower(): value for name, value in response.headers.items()}
    received.is_decoded = True
    try:
        received.chunks += [(now(), bytes(data)) for data in getattr(content, "_buffer", ())]
        if content.is_eof():
            exchange.end(is_whole=True)
        else:
            content.__class__ = _teeing(type(content), exchange)
    except Exception as error:  # another version of aiohttp
        _log.warning("An answer is not recorded: %s.", redact(f"{type(error).__name__}: {error}"))
        exchange.end()


def _teeing(kind: Any, exchange: Exchange) -> Any:  # noqa: ANN401 - a class of aiohttp
    """The class of a stream that keeps what it is fed, for one exchange."""

    class Stream(kind):  # type: ignore[misc]  # a base of aiohttp
        """A response's stream whose bytes are kept as they come."""

        __slots__ = ()

        def feed_data(self, data: bytes, *arguments: Any) -> Any:  # noqa: ANN401 - of aiohttp
            exchange.received.chunks.append((now(), bytes(data)))
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

"""Exceptions of the connection, and streams that end early, as errors of this package."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping

import aiohttp
import httpx2

from llm_playground.errors import (
    ContentBlockedError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    StreamInterruptedError,
)
from llm_playground.events import Block, Finish
from llm_playground.providers import RequestContext
from llm_playground.providers.endings import BadEnd
from llm_playground.providers.error_bodies import json_object, status_of
from llm_playground.providers.errors import Rule, blocked_error, spelled_out, status_error
from llm_playground.providers.sse import EventTooLongError

# Raised by the layers below an SDK. Timeouts and errors of ssl are OSErrors.
TRANSPORT_ERRORS = (httpx2.HTTPError, httpx2.StreamError, aiohttp.ClientError, OSError)

_LOST_BEFORE = Rule(
    ProviderUnavailableError,
    "The connection to {label} broke before an answer arrived. Run again in a moment.",
)
# The most specific exceptions of the chain come first: a refused connection, an unknown host and a
# failed certificate look alike one level up, and openai's transport reports a lost connection as a
# timeout.
_BEFORE_FIRST_DELTA: dict[type[BaseException] | tuple[type[BaseException], ...], Rule] = {
    ssl.SSLError: Rule(
        ProviderUnavailableError,
        "No secure connection to {host} could be made. "
        "Behind a company proxy, point SSL_CERT_FILE to its certificate.",
    ),
    httpx2.ProxyError: Rule(
        ProviderUnavailableError,
        "The proxy does not forward requests to {host}. Check HTTPS_PROXY and NO_PROXY.",
    ),
    socket.gaierror: Rule(
        ProviderUnavailableError,
        "The address of {host} cannot be found. Check the network and the base URL.",
    ),
    ConnectionRefusedError: Rule(
        ProviderUnavailableError,
        "{host} refuses connections. Check that {server} runs, and the base URL.",
    ),
    EventTooLongError: Rule(
        ProviderError, "{label} sent an event without end. Check the base URL and the proxy."
    ),
    (ConnectionError, aiohttp.ServerDisconnectedError): _LOST_BEFORE,
    httpx2.PoolTimeout: Rule(
        ProviderTimeoutError, "All connections to {label} are in use. Run fewer calls at once."
    ),
    (aiohttp.ConnectionTimeoutError, httpx2.ConnectTimeout): Rule(
        ProviderTimeoutError, "{host} could not be reached{within}. Check the network."
    ),
    TimeoutError: Rule(ProviderTimeoutError, "{host} does not respond. Check the network."),
    BaseException: _LOST_BEFORE,
}
# With a proxy, these mean that the proxy was not reached.
_NOT_REACHED = (
    socket.gaierror,
    ConnectionRefusedError,
    aiohttp.ClientProxyConnectionError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
    httpx2.ConnectTimeout,
)
# With any of these, nothing was sent. Those of httpx count only where aiohttp has no part: openai's
# transport turns a connection that was lost later into them too.
_NOT_CONNECTED = (*_NOT_REACHED[:-1], aiohttp.ClientConnectorError, ssl.SSLCertVerificationError)
_NOT_CONNECTED_BY_HTTPX = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
)
_PROXY_NOT_REACHED = Rule(
    ProviderUnavailableError,
    "The proxy {proxy} cannot be reached, and requests to {host} go through it. "
    "Check that it runs, HTTPS_PROXY and NO_PROXY.",
)
_LOST_AFTER = Rule(
    StreamInterruptedError,
    "The connection to {label} was lost. The text so far is kept. Run again for a full answer.",
)
_ENDED_EARLY = Rule(
    StreamInterruptedError,
    "{label} stopped in mid-answer. The text so far is kept. Run again for a full answer.",
)
_ENDED_BADLY = "{label} ended the answer as failed: {why}."
_BAD_END = Rule(ProviderError, _ENDED_BADLY + " {advice}")
_BAD_END_AFTER = Rule(StreamInterruptedError, _ENDED_BADLY + " The text so far is kept. {advice}")
_EMPTY = Rule(ProviderUnavailableError, "{label} sent an empty answer. Run again in a moment.")
_NO_STREAM = Rule(
    ProviderError,
    "{label} sent {content_type} instead of a stream. Check the base URL and the proxy.",
)


def transport_error(
    call: RequestContext,
    exception: BaseException,
    headers: Mapping[str, str] | None = None,
    *,
    delivered: bool = False,
) -> ProviderError:
    """The error for a failed connection.

    ``exception`` is one of :data:`TRANSPORT_ERRORS`, or an SDK's exception caused by one. After a
    delta was ``delivered``, the text is kept, and nothing is retried.
    """
    links = chain(exception)
    proxy, limit_s = call.proxy, call.endpoint.connect_timeout_s
    rule = _LOST_AFTER if delivered else _rule(links, through_proxy=proxy is not None)
    error = rule.error(
        call,
        headers or {},
        " < ".join(f"{type(link).__name__}: {link}" for link in links),
        host=call.host,
        server=call.own_server,
        proxy=proxy,
        within="" if limit_s is None else f" within {limit_s:g} s",
    )
    error.reached = delivered or not _not_connected(links)
    return error


def _not_connected(links: list[BaseException]) -> bool:
    by_aiohttp = any(isinstance(link, aiohttp.ClientError) for link in links)
    kinds = _NOT_CONNECTED if by_aiohttp else (*_NOT_CONNECTED, *_NOT_CONNECTED_BY_HTTPX)
    return any(isinstance(link, kinds) for link in links)


def _rule(links: list[BaseException], *, through_proxy: bool) -> Rule:
    if through_proxy and any(isinstance(link, _NOT_REACHED) for link in links):
        return _PROXY_NOT_REACHED
    return next(
        rule
        for kinds, rule in _BEFORE_FIRST_DELTA.items()
        if any(isinstance(link, kinds) for link in links)
    )


def error_in_stream(
    call: RequestContext, status: int, body: str, headers: Mapping[str, str], *, delivered: bool
) -> ProviderError:
    """The error for an error object inside a stream, given the status that it stands for."""
    error = status_error(call, status, body, headers)
    if not delivered:
        return error
    if isinstance(error, ContentBlockedError):
        block = Finish("content_filter", block=Block("answer", None, error.reason))
        return blocked_error(
            block, provider=call.endpoint.provider, model=call.model, label=call.label
        )
    return StreamInterruptedError(
        f"{error} The text so far is kept.",
        status_code=status,
        request_id=error.request_id,
        provider=error.provider,
        model=error.model,
        detail=error.detail,
    )


def ended_badly(
    call: RequestContext, headers: Mapping[str, str], end: BadEnd, *, delivered: bool
) -> ProviderError:
    """The error for an answer that the provider itself ended as failed, which may be billed."""
    parts = [spelled_out(part) for part in (end.reason, end.message) if part]
    if end.message and end.reason.lower() == "error":  # which adds nothing
        parts = parts[1:]
    rule = _BAD_END_AFTER if delivered else _BAD_END
    return rule.error(call, headers, end.message, why=", ".join(parts), advice=end.advice)


def cut_short(
    call: RequestContext, headers: Mapping[str, str], head: bytes, *, delivered: bool
) -> ProviderError:
    """The error for a response that ended before the answer did.

    ``head`` has the first bytes of a response without any event.
    """
    text = head.decode("utf-8", "replace").strip()
    error = json_object(text).get("error")
    if error:  # sent in place of an answer
        return status_error(call, status_of(error), text, headers)
    rule = _ENDED_EARLY if delivered else _NO_STREAM if text else _EMPTY
    content_type = headers.get("content-type", "").partition(";")[0] or "an unknown format"
    return rule.error(call, headers, text, content_type=content_type)


def chain(exception: BaseException) -> list[BaseException]:
    """The exception and its causes, at most ten."""
    links, link = [exception], exception.__cause__ or exception.__context__
    while link is not None and link not in links and len(links) < 10:
        links.append(link)
        link = link.__cause__ or link.__context__
    return links

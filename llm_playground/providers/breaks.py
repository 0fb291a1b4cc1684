"""What breaks below HTTP or in mid-answer: exceptions and early ends, as our errors."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping

import aiohttp
import httpx2

from llm_playground import errors
from llm_playground.providers.call import Call
from llm_playground.providers.faults import (
    DETAIL_CHARS,
    Rule,
    json_object,
    request_id,
    status_error,
    status_in,
)
from llm_playground.providers.sse import EventTooLongError
from llm_playground.redact import redact

# What the layers below an SDK raise. OSError holds the time-outs and ssl's errors.
TRANSPORT_FAULTS = (httpx2.HTTPError, httpx2.StreamError, aiohttp.ClientError, OSError)

_LOST_BEFORE = Rule(
    errors.ProviderUnavailableError,
    "The connection to {label} broke before an answer came. Run again in a moment.",
)
# From the most telling link of the chain to any. A refusal, a name that is not found, and a failed
# certificate look alike one level up, and openai's transport calls a lost connection a time-out.
_BEFORE_FIRST_DELTA: tuple[tuple[tuple[type[BaseException], ...], Rule], ...] = (
    (
        (ssl.SSLError,),
        Rule(
            errors.ProviderUnavailableError,
            "No secure connection to {host}. "
            "Behind a company proxy, point SSL_CERT_FILE to its certificate.",
        ),
    ),
    (
        (httpx2.ProxyError,),
        Rule(
            errors.ProviderUnavailableError,
            "The proxy does not pass calls to {host}. Check HTTPS_PROXY and NO_PROXY.",
        ),
    ),
    (
        (socket.gaierror,),
        Rule(
            errors.ProviderUnavailableError,
            "The address of {host} cannot be found. Check the network and the base URL.",
        ),
    ),
    (
        (ConnectionRefusedError,),
        Rule(
            errors.ProviderUnavailableError,
            "{host} refuses connections. Check that it runs, and the base URL.",
        ),
    ),
    (
        (EventTooLongError,),
        Rule(
            errors.ProviderError,
            "{label} sent one endless event. Check the base URL and the proxy.",
        ),
    ),
    ((ConnectionError, aiohttp.ServerDisconnectedError), _LOST_BEFORE),
    (
        (httpx2.PoolTimeout,),
        Rule(
            errors.ProviderTimeoutError, "No free connection to {label}. Run fewer calls at once."
        ),
    ),
    (
        (aiohttp.ConnectionTimeoutError, httpx2.ConnectTimeout),
        Rule(
            errors.ProviderTimeoutError,
            "{host} could not be reached{within}. Check the network.",
        ),
    ),
    (
        (TimeoutError,),
        Rule(errors.ProviderTimeoutError, "{host} does not answer. Check the network."),
    ),
    ((BaseException,), _LOST_BEFORE),
)
# The proxy's fault, where one is between: it was the proxy that was to be reached.
_NOT_REACHED = (
    socket.gaierror,
    ConnectionRefusedError,
    aiohttp.ClientProxyConnectionError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
    httpx2.ConnectTimeout,
)
_PROXY_NOT_REACHED = Rule(
    errors.ProviderUnavailableError,
    "The proxy {proxy} cannot be reached, and calls to {host} go through it. "
    "Check that it runs, HTTPS_PROXY and NO_PROXY.",
)
_LOST_AFTER = Rule(
    errors.StreamInterruptedError,
    "The connection to {label} was lost. The text so far is kept. Run again for all.",
)
_ENDED_EARLY = Rule(
    errors.StreamInterruptedError,
    "{label} stopped in mid-answer. The text so far is kept. Run again for all.",
)
_EMPTY = Rule(
    errors.ProviderUnavailableError, "{label} sent an empty answer. Run again in a moment."
)
_NO_STREAM = Rule(
    errors.ProviderError,
    "{label} sent no stream but {content_type}. Check the base URL and the proxy.",
)


def transport_error(
    call: Call,
    fault: BaseException,
    headers: Mapping[str, str] | None = None,
    *,
    delivered: bool = False,
) -> errors.ProviderError:
    """The error for what failed below HTTP.

    Args:
        call: What was asked of whom.
        fault: One of :data:`TRANSPORT_FAULTS`, or what an SDK wrapped it in.
        headers: The response's, where it came so far.
        delivered: Whether a delta came before: then the text is kept, and nothing is sent again.
    """
    chain = _chain(fault)
    proxy, limit_s = call.proxy, call.endpoint.connect_timeout_s
    rule = _LOST_AFTER if delivered else _rule(chain, through_proxy=proxy is not None)
    detail = " < ".join(f"{type(link).__name__}: {link}" for link in chain)
    return rule.kind(
        rule.line(
            label=call.label,
            host=call.host,
            proxy=proxy,
            within="" if limit_s is None else f" within {limit_s:g} s",
        ),
        request_id=request_id(headers or {}),
        provider=call.endpoint.provider,
        model=call.model,
        detail=redact(detail)[:DETAIL_CHARS],
    )


def _rule(chain: list[BaseException], *, through_proxy: bool) -> Rule:
    if through_proxy and any(isinstance(link, _NOT_REACHED) for link in chain):
        return _PROXY_NOT_REACHED
    return next(
        rule
        for kinds, rule in _BEFORE_FIRST_DELTA
        if any(isinstance(link, kinds) for link in chain)
    )


def fault_in_stream(
    call: Call, status: int, body: str, headers: Mapping[str, str], *, delivered: bool
) -> errors.ProviderError:
    """The error for an error object inside a stream, given the status it stands for."""
    error = status_error(call, status, body, headers)
    if not delivered:
        return error
    return errors.StreamInterruptedError(
        f"{error} The text so far is kept.",
        status_code=status,
        request_id=error.request_id,
        provider=error.provider,
        model=error.model,
        detail=error.detail,
    )


def cut_short(
    call: Call, headers: Mapping[str, str], head: bytes, *, delivered: bool
) -> errors.ProviderError:
    """The error for a response that ended before the answer did.

    Args:
        call: What was asked of whom.
        headers: The response's, lower case.
        head: The first bytes of a response without any event.
        delivered: Whether a delta came before.
    """
    text = head.decode("utf-8", "replace").strip()
    error = json_object(text).get("error")
    if error:  # it came instead of an answer
        return status_error(call, status_in(error) or 500, text, headers)
    rule = _ENDED_EARLY if delivered else _NO_STREAM if text else _EMPTY
    content_type = headers.get("content-type", "").partition(";")[0] or "unknown"
    return rule.kind(
        rule.line(label=call.label, content_type=content_type),
        request_id=request_id(headers),
        provider=call.endpoint.provider,
        model=call.model,
        detail=redact(text)[:DETAIL_CHARS] or None,
    )


def _chain(fault: BaseException) -> list[BaseException]:
    """The exception and what it came from, at most ten."""
    chain, link = [fault], fault.__cause__ or fault.__context__
    while link is not None and link not in chain and len(chain) < 10:
        chain.append(link)
        link = link.__cause__ or link.__context__
    return chain

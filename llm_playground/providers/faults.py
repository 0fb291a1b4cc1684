"""What went wrong, in our words: statuses, error bodies and exceptions become one error tree.

Every foreign error of every provider passes through here, and the tables say what it becomes: a
class of :mod:`llm_playground.errors` and one line with what happened, then what to do.
"""

from __future__ import annotations

import email.utils
import json
import re
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import httpx2

from llm_playground import config, errors
from llm_playground.providers.base import Endpoint
from llm_playground.providers.http import CONNECT_TIMEOUT_S, READ_TIMEOUT_S
from llm_playground.redact import mask, redact

# What the layers below an SDK raise. OSError holds the time-outs and ssl's errors.
TRANSPORT_FAULTS = (httpx2.HTTPError, httpx2.StreamError, aiohttp.ClientError, OSError)

_DETAIL_CHARS = 2_000
_REASON_CHARS = 240
_REQUEST_ID_HEADERS = ("x-request-id", "request-id", "x-goog-request-id", "cf-ray")


@dataclass(frozen=True, slots=True)
class Call:
    """What an error says about the call that failed."""

    endpoint: Endpoint
    model: str

    @property
    def label(self) -> str:
        """The provider's name for people, at the start of a sentence."""
        rule = config.KEY_RULES.get(self.endpoint.provider)
        if rule is not None:
            return rule.label
        local = self.endpoint.provider == "local"
        return "The local model" if local else self.endpoint.provider

    @property
    def model_name(self) -> str:
        """The model as the provider knows it."""
        return self.model.partition(":")[2]

    @property
    def key_origin(self) -> str:
        """Where the key came from and how it ends, as a sentence."""
        masked = mask(self.endpoint.api_key)
        if self.endpoint.provider in config.KEY_RULES:
            status = config.key_status(self.endpoint.provider)
            if status.masked == masked and status.source is not None:
                return f"It came from {_with_article(status.source)} and ends in {masked}."
        return f"It ends in {masked}."


def _with_article(source: str) -> str:
    return f"the {source}" if source.isalpha() else source


@dataclass(frozen=True, slots=True)
class _Rule:
    """One row of the status table; the message's fields are those of :func:`status_error`."""

    kind: type[errors.ProviderError]
    message: str


_STATUS: dict[int, _Rule] = {
    400: _Rule(
        errors.RequestRejectedError,
        "{label} rejected the request (400){reason}. Change it and run again.",
    ),
    401: _Rule(errors.AuthenticationError, "{label} refused the key (401). {key_origin}"),
    402: _Rule(
        errors.RequestRejectedError,
        "{label} wants to be paid first (402){reason}. Add credit to the account.",
    ),
    403: _Rule(
        errors.AuthenticationError,
        "{label} does not let this key use {model_name} (403){reason}. {key_origin}",
    ),
    404: _Rule(
        errors.RequestRejectedError,
        "{label} does not know {model_name} (404){reason}. "
        "Choose another model (%llm models), or check the base URL.",
    ),
    408: _Rule(errors.ProviderTimeoutError, "{label} gave up waiting (408){reason}. Run again."),
    413: _Rule(
        errors.RequestRejectedError,
        "{label} finds the request too large (413){reason}. Send less.",
    ),
    422: _Rule(
        errors.RequestRejectedError,
        "{label} rejected the request (422){reason}. Change it and run again.",
    ),
    429: _Rule(errors.RateLimitError, "{label} limits the rate (429){reason}. {retry_advice}"),
    503: _Rule(
        errors.ProviderUnavailableError,
        "{label} is overloaded or down (503){reason}. Run again in a moment.",
    ),
    529: _Rule(
        errors.ProviderUnavailableError,
        "{label} is overloaded (529){reason}. Run again in a moment.",
    ),
}
_BY_HUNDRED: dict[int, _Rule] = {
    3: _Rule(
        errors.RequestRejectedError,
        "{label} points to another address ({status}). Check the base URL.",
    ),
    4: _Rule(
        errors.RequestRejectedError,
        "{label} rejected the request ({status}){reason}. Change it and run again.",
    ),
    5: _Rule(
        errors.ProviderUnavailableError,
        "{label} has a fault of its own ({status}){reason}. Run again in a moment.",
    ),
}
_UNKNOWN_STATUS = _Rule(
    errors.ProviderError, "{label} gave an answer nobody expects ({status}){reason}."
)

# Bodies that say more than their status. Sources: OpenAI's error codes; Anthropic's "prompt is too
# long: 1 tokens > 2 maximum" and "input length and `max_tokens` exceed context limit"; Gemini's
# "input token count (1) exceeds the maximum number of tokens allowed (2)" and API_KEY_INVALID
# (a 400); llama.cpp's exceed_context_size_error; vLLM's "maximum context length".
_TOO_LONG = re.compile(
    r"context_length_exceeded|maximum context length|prompt is too long"
    r"|exceed(?:s|ed)? (?:the )?(?:available )?context (?:limit|size|length|window)"
    r"|input token count.{0,40}exceeds|exceed_context_size",
    re.IGNORECASE | re.DOTALL,
)
_BAD_KEY = re.compile(r"API_KEY_INVALID|API key not valid|API key expired", re.IGNORECASE)
_TOO_LONG_RULE = _Rule(
    errors.ContextLengthError,
    "The prompt is too long for {model_name} ({status}){reason}. "
    "Shorten it, lower max_tokens, or choose a model with a larger context window.",
)
_BY_BODY: tuple[tuple[frozenset[int], re.Pattern[str], _Rule], ...] = (
    (frozenset({400, 413, 422}), _TOO_LONG, _TOO_LONG_RULE),
    (frozenset({500}), re.compile("exceed_context_size"), _TOO_LONG_RULE),
    (
        frozenset({400}),
        _BAD_KEY,
        _Rule(errors.AuthenticationError, "{label} refused the key (400). {key_origin}"),
    ),
    (
        frozenset({429}),
        re.compile("insufficient_quota"),
        _Rule(
            errors.RateLimitError,
            "{label} says the account's quota is used up (429). Add credit or raise its limit.",
        ),
    ),
)


def status_error(
    call: Call, status: int, body: str, headers: Mapping[str, str] | None = None
) -> errors.ProviderError:
    """The error for an HTTP status, or for the status that an error inside a stream stands for.

    Args:
        call: What was asked of whom.
        status: The HTTP status.
        body: The response's text, as received.
        headers: The response's headers, lower case; for request id and waiting time.
    """
    headers = headers or {}
    text = redact(body[: 10 * _DETAIL_CHARS])
    retry_after = _retry_after_s(headers, body)
    rule = _rule(status, text)
    error = rule.kind(
        rule.message.format(
            label=call.label,
            model_name=call.model_name,
            key_origin=call.key_origin,
            status=status,
            reason=_reason(text),
            retry_advice="Run again in a moment."
            if retry_after is None
            else f"Run again in {retry_after:g} s.",
        ),
        status_code=status,
        request_id=request_id(headers),
        provider=call.endpoint.provider,
        model=call.model,
        detail=text[:_DETAIL_CHARS] or None,
    )
    if isinstance(error, errors.RateLimitError):
        error.retry_after = retry_after
    return error


def _rule(status: int, body: str) -> _Rule:
    for statuses, pattern, rule in _BY_BODY:
        if status in statuses and pattern.search(body):
            return rule
    return _STATUS.get(status) or _BY_HUNDRED.get(status // 100) or _UNKNOWN_STATUS


def request_id(headers: Mapping[str, str]) -> str | None:
    """What the provider calls this request."""
    return next((headers[name] for name in _REQUEST_ID_HEADERS if headers.get(name)), None)


def _reason(body: str) -> str:
    """The provider's own words, as `: words` without a final stop; empty when there are none."""
    words = " ".join(_message_in(body).split()).rstrip(". ")
    if len(words) > _REASON_CHARS:
        words = words[: _REASON_CHARS - 1] + "…"
    return f": {words}" if words else ""


def _message_in(body: str) -> str:
    """`error.message`, as all three formats and their imitations have it."""
    error = _json_object(body).get("error")
    message = error.get("message") if isinstance(error, dict) else error
    return message if isinstance(message, str) else ""


def _json_object(body: str) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    if isinstance(value, list) and value:  # Gemini wraps its error in a list without alt=sse
        value = value[0]
    return value if isinstance(value, dict) else {}


def _retry_after_s(headers: Mapping[str, str], body: str) -> float | None:
    """Seconds to wait: `retry-after-ms`, `retry-after` (seconds or a date), Google's RetryInfo."""
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        if "retry-after" in headers:
            return max(0.0, _seconds_or_date(headers["retry-after"]))
    except ValueError:
        return None
    told = re.search(r'"retryDelay":\s*"(\d+(?:\.\d+)?)s"', body)
    return float(told[1]) if told else None


def _seconds_or_date(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        return round(email.utils.parsedate_to_datetime(value).timestamp() - time.time(), 3)


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
    rules = _AFTER_FIRST_DELTA if delivered else _BEFORE_FIRST_DELTA
    rule = next(rule for kinds, rule in rules if any(isinstance(link, kinds) for link in chain))
    detail = " < ".join(f"{type(link).__name__}: {link}" for link in chain)
    return rule.kind(
        rule.message.format(
            label=call.label, host=_host(call), connect_s=CONNECT_TIMEOUT_S, read_s=READ_TIMEOUT_S
        ),
        request_id=request_id(headers or {}),
        provider=call.endpoint.provider,
        model=call.model,
        detail=redact(detail)[:_DETAIL_CHARS],
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
    if _json_object(text).get("error"):
        return status_error(call, _status_in(text), text, headers)
    rule = _ENDED_EARLY if delivered else _NO_STREAM if text else _EMPTY
    content_type = headers.get("content-type", "").partition(";")[0] or "unknown"
    return rule.kind(
        rule.message.format(label=call.label, content_type=content_type),
        request_id=request_id(headers),
        provider=call.endpoint.provider,
        model=call.model,
        detail=redact(text)[:_DETAIL_CHARS] or None,
    )


def _status_in(body: str) -> int:
    """The status an error object names as its code, else 500: it came instead of an answer."""
    error = _json_object(body).get("error")
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, int) and 400 <= code < 600 else 500


def _chain(fault: BaseException) -> list[BaseException]:
    """The exception and what it came from, at most ten."""
    chain, link = [fault], fault.__cause__ or fault.__context__
    while link is not None and link not in chain and len(chain) < 10:
        chain.append(link)
        link = link.__cause__ or link.__context__
    return chain


def _host(call: Call) -> str:
    """The host as written in the base URL; the provider's name for the vendor's own."""
    base_url = call.endpoint.base_url
    return httpx2.URL(base_url).netloc.decode() if base_url else call.label


# From the most telling link of the chain to any. A refusal, a name that is not found, and a failed
# certificate look alike one level up, and openai's transport calls a lost connection a time-out.
_BEFORE_FIRST_DELTA: tuple[tuple[tuple[type[BaseException], ...], _Rule], ...] = (
    (
        (ssl.SSLError,),
        _Rule(
            errors.ProviderUnavailableError,
            "No secure connection to {host}. "
            "Behind a company proxy, point SSL_CERT_FILE to its certificate.",
        ),
    ),
    (
        (httpx2.ProxyError,),
        _Rule(
            errors.ProviderUnavailableError,
            "The proxy does not pass calls to {host}. Check HTTPS_PROXY and NO_PROXY.",
        ),
    ),
    (
        (socket.gaierror,),
        _Rule(
            errors.ProviderUnavailableError,
            "The address of {host} cannot be found. Check the network and the base URL.",
        ),
    ),
    (
        (ConnectionRefusedError,),
        _Rule(
            errors.ProviderUnavailableError,
            "{host} refuses connections. Check that it runs, and the base URL.",
        ),
    ),
    (
        (httpx2.PoolTimeout,),
        _Rule(
            errors.ProviderTimeoutError, "No free connection to {label}. Run fewer calls at once."
        ),
    ),
    (
        (aiohttp.ConnectionTimeoutError,),
        _Rule(
            errors.ProviderTimeoutError,
            "{host} could not be reached within {connect_s:g} s. Check the network.",
        ),
    ),
    (
        (TimeoutError,),
        _Rule(
            errors.ProviderTimeoutError,
            "{label} sent nothing for {read_s:g} s. Run again, or choose a faster model.",
        ),
    ),
    (
        (BaseException,),
        _Rule(
            errors.ProviderUnavailableError,
            "The connection to {label} broke before an answer came. Run again in a moment.",
        ),
    ),
)
_AFTER_FIRST_DELTA: tuple[tuple[tuple[type[BaseException], ...], _Rule], ...] = (
    (
        (TimeoutError,),
        _Rule(
            errors.ProviderTimeoutError,
            "{label} fell silent for {read_s:g} s. The text so far is kept. Run again for all.",
        ),
    ),
    (
        (BaseException,),
        _Rule(
            errors.StreamInterruptedError,
            "The connection to {label} was lost. The text so far is kept. Run again for all.",
        ),
    ),
)
_ENDED_EARLY = _Rule(
    errors.StreamInterruptedError,
    "{label} stopped in mid-answer. The text so far is kept. Run again for all.",
)
_EMPTY = _Rule(
    errors.ProviderUnavailableError, "{label} sent an empty answer. Run again in a moment."
)
_NO_STREAM = _Rule(
    errors.ProviderError,
    "{label} sent no stream but {content_type}. Check the base URL and the proxy.",
)

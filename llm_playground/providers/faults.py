"""What a status and a body mean: the one table from a vendor's refusal to our errors.

Each row is a class of :mod:`llm_playground.errors` and one line with what happened, then what to
do. A status may come outside a stream, or inside one as an error object that stands for it.
"""

from __future__ import annotations

import email.utils
import json
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llm_playground import errors
from llm_playground.providers.call import Call
from llm_playground.providers.refused import refused_parameter
from llm_playground.redact import redact

DETAIL_CHARS = 2_000
_REASON_CHARS = 240
# Where a parameter's name is looked for; the search takes longer than its text grows.
_REFUSAL_CHARS = 500
_REQUEST_ID_HEADERS = ("x-request-id", "request-id", "x-goog-request-id", "cf-ray")


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of a table: the class, and the message with fields in braces.

    ``final`` is true where the class may be tried again, but not in this case.
    """

    kind: type[errors.ProviderError]
    message: str
    final: bool = False

    def line(self, **fields: object) -> str:
        """The message, filled in."""
        line = self.message.format(**fields)
        return f"T{line[1:]}" if line.startswith("the ") else line


_STATUS: dict[int, Rule] = {
    400: Rule(
        errors.RequestRejectedError,
        "{label} rejected the request (400){reason}. Change it and run again.",
    ),
    401: Rule(
        errors.AuthenticationError, "{label} refused the key (401). {key_origin} {key_advice}"
    ),
    402: Rule(
        errors.RequestRejectedError,
        "{label} wants to be paid first (402){reason}. Add credit to the account.",
    ),
    403: Rule(
        errors.AuthenticationError,
        "{label} does not let this key use {model_name} (403){reason}. {key_origin}",
    ),
    404: Rule(
        errors.RequestRejectedError,
        "{label} does not know {model_name} (404){reason}. "
        "Choose another model (%llm models), or check the base URL.",
    ),
    408: Rule(errors.ProviderTimeoutError, "{label} gave up waiting (408){reason}. Run again."),
    413: Rule(
        errors.RequestRejectedError,
        "{label} finds the request too large (413){reason}. Send less.",
    ),
    422: Rule(
        errors.RequestRejectedError,
        "{label} rejected the request (422){reason}. Change it and run again.",
    ),
    429: Rule(errors.RateLimitError, "{label} limits the rate (429){reason}. {retry_advice}"),
    503: Rule(
        errors.ProviderUnavailableError,
        "{label} is overloaded or down (503){reason}. {retry_advice}",
    ),
    529: Rule(
        errors.ProviderUnavailableError,
        "{label} is overloaded (529){reason}. {retry_advice}",
    ),
}
_BY_HUNDRED: dict[int, Rule] = {
    3: Rule(
        errors.RequestRejectedError,
        "{label} points to another address ({status}). Check the base URL.",
    ),
    4: Rule(
        errors.RequestRejectedError,
        "{label} rejected the request ({status}){reason}. Change it and run again.",
    ),
    5: Rule(
        errors.ProviderUnavailableError,
        "{label} has a fault of its own ({status}){reason}. {retry_advice}",
    ),
}
_UNKNOWN_STATUS = Rule(
    errors.ProviderError, "{label} gave an answer nobody expects ({status}){reason}."
)

# Bodies that say more than their status. Sources: OpenAI's error codes; Anthropic's "prompt is too
# long: 1 tokens > 2 maximum" and "input length and `max_tokens` exceed context limit"; Gemini's
# "input token count (1) exceeds the maximum number of tokens allowed (2)" and API_KEY_INVALID
# (a 400), its quotas' ids in google.rpc.QuotaFailure; llama.cpp's exceed_context_size_error; vLLM's
# "maximum context length".
_TOO_LONG = re.compile(
    r"context_length_exceeded|maximum context length|prompt is too long"
    r"|exceed(?:s|ed)? (?:the )?(?:available )?context (?:limit|size|length|window)"
    r"|input token count.{0,40}exceeds|exceed_context_size",
    re.IGNORECASE | re.DOTALL,
)
_BAD_KEY = re.compile(r"API_KEY_INVALID|API key not valid|API key expired", re.IGNORECASE)
_TOO_LONG_RULE = Rule(
    errors.ContextLengthError,
    "The prompt is too long for {model_name} ({status}){reason}. "
    "Shorten it, lower max_tokens, or choose a model with a larger context window.",
)
_CONTENT = re.compile(
    r'"code":\s*"(?:content_filter|content_policy_violation|data_inspection_failed)"'
)
_BY_BODY: tuple[tuple[frozenset[int], re.Pattern[str], Rule], ...] = (
    (frozenset({400, 413, 422}), _TOO_LONG, _TOO_LONG_RULE),
    (frozenset({500}), re.compile("exceed_context_size"), _TOO_LONG_RULE),
    (
        frozenset({400, 500}),
        re.compile("image input is not supported"),  # llama.cpp, as a fault of its own
        Rule(
            errors.RequestRejectedError,
            "{model_name} takes no pictures. Choose a model that sees.",
        ),
    ),
    (
        frozenset({400}),
        _CONTENT,  # OpenAI, Azure, DashScope
        Rule(
            errors.ContentBlockedError,
            "{label} blocked the prompt (400){reason}. Nothing was billed. "
            "Reword it, or choose another model.",
        ),
    ),
    (
        frozenset({400}),
        _BAD_KEY,
        Rule(
            errors.AuthenticationError, "{label} refused the key (400). {key_origin} {key_advice}"
        ),
    ),
    (
        frozenset({429}),
        re.compile("insufficient_quota|billing_hard_limit_reached|billing_not_active"),
        Rule(
            errors.RateLimitError,
            "{label} says the account's quota is used up (429). Add credit or raise its limit.",
            final=True,
        ),
    ),
    (
        frozenset({429}),
        re.compile(r'"quotaId":\s*"[^"]*PerDay'),
        Rule(
            errors.RateLimitError,
            "{label} says today's quota is used up (429){reason}. "
            "Wait until tomorrow or raise the limit.",
            final=True,
        ),
    ),
)
_REFUSED_PARAMETER = Rule(
    errors.RequestRejectedError,
    "{label} does not take {parameter} with {model_name} ({status}){reason}. "
    "Leave it at auto and run again.",
)
_REFUSING = frozenset({400, 422})


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
    text = redact(body[: 10 * DETAIL_CHARS])
    retry_after = _retry_after_s(headers, body)
    refused = _refused(call, status, text)
    rule = _rule(status, text)
    if refused is not None and rule.kind is errors.RequestRejectedError:
        rule = _REFUSED_PARAMETER
    error = rule.kind(
        rule.line(
            label=call.label,
            model_name=call.model_name,
            key_origin=call.key_origin,
            key_advice=call.key_advice,
            status=status,
            reason=_reason(text),
            parameter=refused,
            retry_advice="Run again in a moment."
            if retry_after is None
            else f"Run again in {_in_words(retry_after)}.",
        ),
        status_code=status,
        request_id=request_id(headers),
        provider=call.endpoint.provider,
        model=call.model,
        detail=text[:DETAIL_CHARS] or None,
    )
    if rule.final:
        error.retryable = False
    if isinstance(error, (errors.RateLimitError, errors.ProviderUnavailableError)):
        error.retry_after = retry_after
    if isinstance(error, errors.ContentBlockedError):
        error.stage, error.reason = "prompt", _one_line(_message_in(text)) or None
    if rule is _REFUSED_PARAMETER and isinstance(error, errors.RequestRejectedError):
        error.refused_parameter = refused
    return error


def unsendable(call: Call, fault: ValueError) -> errors.RequestRejectedError:
    """The error for a request that an SDK refuses to build, such as one with half a character."""
    return errors.RequestRejectedError(
        f"This cannot be sent to {call.label}: {_one_line(str(fault))}. Change it and run again.",
        provider=call.endpoint.provider,
        model=call.model,
    )


def _rule(status: int, body: str) -> Rule:
    for statuses, pattern, rule in _BY_BODY:
        if status in statuses and pattern.search(body):
            return rule
    return _STATUS.get(status) or _BY_HUNDRED.get(status // 100) or _UNKNOWN_STATUS


def _refused(call: Call, status: int, body: str) -> str | None:
    """Which parameter of ours the body says is not taken."""
    if status not in _REFUSING:
        return None
    error = json_object(body).get("error")
    error = error if isinstance(error, dict) else {}
    message = (_message_in(body) or body)[:_REFUSAL_CHARS]
    return refused_parameter(message, error.get("code"), error.get("param"), call.parameters)


def request_id(headers: Mapping[str, str]) -> str | None:
    """What the provider calls this request."""
    return next((headers[name] for name in _REQUEST_ID_HEADERS if headers.get(name)), None)


def _reason(body: str) -> str:
    """The provider's own words, as `: words` without a final stop; empty when there are none."""
    words = _one_line(_message_in(body))
    return f": {words}" if words else ""


def _one_line(text: str) -> str:
    words = " ".join(redact(text).split()).rstrip(". ")
    return words if len(words) <= _REASON_CHARS else words[: _REASON_CHARS - 1] + "…"


def _message_in(body: str) -> str:
    """`error.message`, as all three formats have it; vLLM and FastAPI have no `error` around it."""
    said = json_object(body)
    error = said.get("error", said)
    message = error.get("message", error.get("detail")) if isinstance(error, dict) else error
    return message if isinstance(message, str) else ""


def status_in(error: object) -> int | None:
    """The status an error object names as its code, None where it names none."""
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, int) and 400 <= code < 600 else None


def json_object(body: str) -> dict[str, Any]:
    """The body's JSON object, empty when it is none."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    if isinstance(value, list) and value:  # Gemini wraps its error in a list without alt=sse
        value = value[0]
    return value if isinstance(value, dict) else {}


def _retry_after_s(headers: Mapping[str, str], body: str) -> float | None:
    """Seconds to wait: `retry-after-ms`, `retry-after` (seconds or a date), Google's RetryInfo."""
    try:
        if "retry-after-ms" in headers:
            return _a_wait(float(headers["retry-after-ms"]) / 1000)
        if "retry-after" in headers:
            return _a_wait(_seconds_or_date(headers["retry-after"]))
    except (ValueError, OverflowError):  # a date of a zone that is none
        return None
    told = re.search(r'"retryDelay":\s*"(\d+(?:\.\d+)?)s"', body)
    return _a_wait(float(told[1])) if told else None


def _a_wait(seconds: float) -> float | None:
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _in_words(seconds: float) -> str:
    """A wait as people say it.

    >>> _in_words(1.5), _in_words(600), _in_words(7_200), _in_words(3e8)
    ('1.5 s', '10 min', '2 h', '3,472 days')
    """
    for unit, length_s in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length_s:
            return f"{seconds / length_s:,.0f} {unit}"
    return f"{seconds:g} s"


def _seconds_or_date(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        return round(email.utils.parsedate_to_datetime(value).timestamp() - time.time(), 3)

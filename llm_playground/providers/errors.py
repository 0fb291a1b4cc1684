"""HTTP statuses and error bodies as errors of :mod:`llm_playground.errors`.

``_BY_STATUS`` maps a status to an error class and its message; ``error_rules`` refine it by the
body. :func:`status_error` applies both, to responses and to error objects inside a stream.
:func:`blocked_error` is for answers that a safety system ended. Exceptions of the connection are in
:mod:`llm_playground.providers.transport_errors`.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache

from llm_playground.errors import (
    AuthenticationError,
    ContentBlockedError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    RateLimitError,
    RequestRejectedError,
)
from llm_playground.events import Block, Finish
from llm_playground.providers import RequestContext, additions, refused_values, request_id
from llm_playground.providers.error_bodies import json_object, message_in
from llm_playground.redaction import redact
from llm_playground.types import Parameters

DETAIL_CHARS = 2_000
_QUOTED_CHARS = 300  # of the provider's text in a message
_SEARCHED_CHARS = 500  # for a parameter's name: searching takes longer than the text grows


@dataclass(frozen=True, slots=True)
class Rule:
    """An error class and its message, a format string.

    ``{why}`` stands for the status and the provider's own message. ``final`` marks a case that is
    not retried although its class usually is.
    """

    kind: type[ProviderError]
    message: str
    final: bool = False

    def error(
        self,
        call: RequestContext,
        headers: Mapping[str, str],
        detail: str,
        *,
        status: int | None = None,
        **fields: object,
    ) -> ProviderError:
        """The error, with the fields of its message filled in."""
        line = self.message.format(label=call.label_at_host, status=status, **fields)
        error = self.kind(
            _capitalised(line).replace("….", "…"),
            status_code=status,
            request_id=request_id(headers),
            provider=call.endpoint.provider,
            model=call.model,
            detail=redact(detail)[:DETAIL_CHARS] or None,
        )
        if self.final:
            error.retryable = False
        return error


NO_MODEL = Rule(
    RequestRejectedError,
    "{label} has no model {model_name} {why}. "
    "Choose another model (%llm models), or check the base URL.",
)
_BY_STATUS: dict[int, Rule] = {
    401: Rule(AuthenticationError, "{label} refused the key (401). {key_origin} {key_advice}"),
    402: Rule(RequestRejectedError, "{label} requires payment {why}. Add credit to the account."),
    403: Rule(
        AuthenticationError, "{label} does not let this key use {model_name} {why}. {key_origin}"
    ),
    404: NO_MODEL,
    408: Rule(ProviderTimeoutError, "{label} timed out {why}. Run again."),
    413: Rule(RequestRejectedError, "{label} refused the request as too large {why}. Send less."),
    429: Rule(RateLimitError, "{label} limits the rate {why}. {retry_advice}"),
    503: Rule(ProviderUnavailableError, "{server} is overloaded or down {why}. {retry_advice}"),
    529: Rule(ProviderUnavailableError, "{server} is overloaded {why}. {retry_advice}"),
}
_BY_HUNDRED: dict[int, Rule] = {
    3: Rule(
        RequestRejectedError, "{label} redirects to another address ({status}). Check the base URL."
    ),
    4: Rule(RequestRejectedError, "{label} rejected the request {why}. Change it and run again."),
    5: Rule(ProviderUnavailableError, "{server} had an internal error {why}. {retry_advice}"),
}
_OTHER_STATUS = Rule(ProviderError, "{label} sent an unexpected response {why}.")
_REFUSED_PARAMETER = Rule(
    RequestRejectedError,
    "{label} does not take {parameter} with {model_name} {why}. Leave it at auto and run again.",
)
_REFUSED_LIMIT = Rule(
    RequestRejectedError,
    "{label} does not take {parameter} with {model_name} {why}. "
    "Leave it at auto, without a budget that sets it, or choose another model.",
)
_REFUSED_VALUE = Rule(
    RequestRejectedError,
    "{label} does not take this {value} with {model_name} {why}. Choose another and run again.",
)


def status_error(
    call: RequestContext, status: int, body: str, headers: Mapping[str, str] | None = None
) -> ProviderError:
    """The error for an HTTP status, or for the status that an error inside a stream stands for.

    ``headers`` are the response headers, names in lower case; for request id and waiting time.
    """
    headers = headers or {}
    text = redact(body[: 10 * DETAIL_CHARS])
    message, retry_after_s = _one_line(message_in(json_object(body))), _retry_after_s(headers, body)
    rule = _rule(status, f"{message}\n{text}")
    parameter, added = None, frozenset[str]()
    if rule.kind is RequestRejectedError:
        parameter, added = _refused(call, status, text)
    value = None
    if rule.kind is RequestRejectedError and status in (400, 422):
        value = refused_values.parameter_of(message or text, parameter, call.parameters)
    if value is not None:
        rule, parameter = _REFUSED_VALUE, None
    elif parameter is not None:
        rule = _REFUSED_LIMIT if parameter == "max_tokens" else _REFUSED_PARAMETER
    when = f"in {_readable(retry_after_s)}" if retry_after_s else "in a moment"
    error = rule.error(
        call,
        headers,
        text[:DETAIL_CHARS],
        status=status,
        server=call.label_at_host,
        model_name=call.model.partition(":")[2],
        key_origin=call.key_origin,
        key_advice=call.key_advice,
        why=f"({status}): {message}".removesuffix(".") if message else f"({status})",
        parameter=parameter,
        value=value,
        retry_advice=f"Run again {when}.",
    )
    if isinstance(error, (RateLimitError, ProviderUnavailableError)):
        error.retry_after = retry_after_s
    elif isinstance(error, ContentBlockedError):
        error.stage, error.reason = "prompt", message or None
    elif isinstance(error, RequestRejectedError):
        error.refused_parameter, error.refused_value = parameter, value
        error.refused_additions = added
    return error


def _rule(status: int, body: str) -> Rule:
    from llm_playground.providers import error_rules  # compiles many patterns

    rule = error_rules.by_body(status, body)
    return rule or _BY_STATUS.get(status) or _BY_HUNDRED.get(status // 100) or _OTHER_STATUS


def unsendable(call: RequestContext, reason: ValueError) -> RequestRejectedError:
    """The error for a request that an SDK cannot encode, such as one with a lone surrogate."""
    return RequestRejectedError(
        f"This cannot be sent to {call.label}: {_one_line(str(reason))}. Change it and run again.",
        provider=call.endpoint.provider,
        model=call.model,
    )


# Reading responses: the provider's message, how long to wait.


# "Quota exceeded for metric: generativelanguage.googleapis.com/generate_content_paid_tier_input_
# token_count, limit: 1000000"; Gemini's limits of tokens are per minute.
_METRIC = re.compile(r"(?:\* )?Quota exceeded for metric: \S*?(\w+), limit: (\d+)")
_REFERENCE = re.compile(
    r"(?:For more information|To (?:monitor|learn)|Learn more|Visit|See|Need more)"
    r"[^.]*https?://\S+ ?",
    re.IGNORECASE,
)


def _quota(match: re.Match[str]) -> str:
    name = match[1].removeprefix("generate_content_").replace("_token_count", "_tokens per minute")
    return f"Quota exceeded: {name.replace('_', ' ')}, {int(match[2]):,}"


def _one_line(text: str) -> str:
    """A provider's text in one line, shortened: without addresses of its documentation first."""
    line = _METRIC.sub(_quota, " ".join(redact(text).split()))
    line = (_REFERENCE.sub("", line) if len(line) > _QUOTED_CHARS else line).rstrip(". ")
    return line if len(line) <= _QUOTED_CHARS else line[: _QUOTED_CHARS - 1] + "…"


def _retry_after_s(headers: Mapping[str, str], body: str) -> float | None:
    """Seconds to wait: `retry-after-ms`, `retry-after` (seconds or a date), Google's RetryInfo.

    The first one above zero: a wait of zero says nothing, as the request was refused now.
    """
    delay = re.search(r'"retryDelay":\s*"(\d+(?:\.\d+)?)s"', body)
    given = (
        (headers.get("retry-after-ms"), lambda text: float(text) / 1000),
        (headers.get("retry-after"), _seconds_or_date),
        (delay and delay[1], float),
    )
    for text, read in given:
        with suppress(ValueError, OverflowError):  # also of a date with an unparsable time zone
            seconds = read(text) if text else 0.0
            if math.isfinite(seconds) and seconds > 0:
                return seconds
    return None


def _seconds_or_date(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        from email.utils import parsedate_to_datetime  # rarely needed

        return round(parsedate_to_datetime(value).timestamp() - time.time(), 3)


def _readable(seconds: float) -> str:
    """A waiting time in its largest fitting unit.

    >>> _readable(1.5), _readable(600), _readable(7_200), _readable(3e8)
    ('1.5 s', '10 min', '2 h', '3,472 days')
    """
    for unit, length_s in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length_s:
            return f"{seconds / length_s:,.0f} {unit}"
    return f"{seconds:g} s"


def _capitalised(line: str) -> str:
    return f"T{line[1:]}" if line.startswith("the ") else line


# Which parameter is refused. Sources: OpenAI's `code` and `param` ("Unsupported value:
# 'temperature' does not support 0.2 with this model"), Anthropic's "`temperature` is deprecated for
# this model", "top_p: Extra inputs are not permitted" and "`temperature` and `top_p` cannot both be
# specified", Gemini's "Penalty is not enabled for models/..." and 'Unknown name "seed"', pydantic's
# extra_forbidden (vLLM, Mistral), Groq's "property 'top_k' is unsupported", llama.cpp's
# "Unsupported param: logprobs".

# Parameters by vendors' names, in lower case without underscores; of several the first to drop.
_PARAMETERS: dict[str, tuple[str, ...]] = {
    "temperature": ("temperature",),
    "topp": ("top_p",),
    "topk": ("top_k",),
    **dict.fromkeys(("maxtokens", "maxcompletiontokens", "maxoutputtokens"), ("max_tokens",)),
    **dict.fromkeys(("stop", "stopsequences"), ("stop",)),
    "seed": ("seed",),
    "presencepenalty": ("presence_penalty",),
    "frequencypenalty": ("frequency_penalty",),
    "penalty": ("presence_penalty", "frequency_penalty"),
    **dict.fromkeys(("logprobs", "toplogprobs", "responselogprobs"), ("logprobs",)),
    **dict.fromkeys(("reasoning", "reasoningeffort", "effort"), ("reasoning_effort",)),
    **dict.fromkeys(
        ("thinking", "thinkingconfig", "thinkinglevel", "thinkingbudget"), ("reasoning_effort",)
    ),
}
_UNSUPPORTED_CODES = frozenset(
    {"unsupported_parameter", "unsupported_value", "unknown_parameter", "unrecognized_parameter"}
)
_NAMES = sorted({*_PARAMETERS, *additions.refusable_names()}, key=len, reverse=True)
_SPELLINGS = "|".join("[_ ]?".join(name) for name in _NAMES)
_NAME = rf"""(?<![\w.])[`'"\\]*(?:[\w\[\]]+\.)*(?P<name>{_SPELLINGS})[`'"\\]*(?!\w)"""
_NOT = r"(?:deprecated|unsupported|not (?:\w+ )?(?:supported|enabled|allowed|available|permitted))"
_REFUSALS = (
    rf"NAME (?:parameter )?(?:is|are) {_NOT}",
    r"NAME (?:is|are) only (?:enabled|supported|allowed|available)",
    r"NAME:? extra inputs are not permitted",
    r"NAME (?:must be unset|may only be set to|cannot be (?:set|used|specified))",
    r"and NAME cannot both be",
    r"NAME (?:and|or) [^.]{1,30} cannot both be",
    r"(?:unsupported|unknown|unrecognized|unexpected) "
    r"(?:request |keyword )?(?:param(?:eter)?|argument|name|field|property|value)"
    r"(?: supplied)?:? NAME",
    r"argument not supported on this model:? NAME",
    r"does not support (?:the )?(?:parameter )?NAME",
    r"not allowed to request NAME",
    r"NAME was unexpected",
    r"extra_forbidden[^}]{0,80}\bbody\b[^}\]]{0,80}[`'\"\\, ]NAME",
)


@cache
def _refusals() -> tuple[re.Pattern[str], ...]:
    """The patterns of ``_REFUSALS``; compiling them takes 20 ms, and most calls need none."""
    return tuple(re.compile(text.replace("NAME", _NAME), re.IGNORECASE) for text in _REFUSALS)


def refused_parameter(message: str, code: object, param: object, sent: Parameters) -> str | None:
    """The parameter that an error refuses, None where it refuses none of those ``sent``.

    ``code`` and ``param`` are the error's, where the format has them.

    >>> refused_parameter("`top_k` is deprecated for this model.", None, None, Parameters(top_k=5))
    'top_k'
    """
    names = tuple(sent.as_dict())
    named = (_PARAMETERS.get(name, ()) for name in _refused_names(message, code, param))
    return next((one for parameters in named for one in parameters if one in names), None)


def _refused_names(message: str, code: object, param: object) -> Iterator[str]:
    """What an error refuses, without case and ``_``."""
    if isinstance(param, str) and code in _UNSUPPORTED_CODES:
        found = iter((param.rpartition(".")[2],))
    else:
        found = (match["name"] for refusal in _refusals() for match in refusal.finditer(message))
    return (name.lower().replace("_", "").replace(" ", "") for name in found)


def _refused(call: RequestContext, status: int, body: str) -> tuple[str | None, frozenset[str]]:
    """The parameter and the additions that an error refuses."""
    if status not in (400, 422):
        return None, frozenset()
    error = json_object(body).get("error")
    error = error if isinstance(error, dict) else {}
    message = (message_in(json_object(body)) or body)[:_SEARCHED_CHARS]
    refusal = (message, error.get("code"), error.get("param"))
    added = additions.refused(_refused_names(*refusal), error.get("param"), message)
    return refused_parameter(*refusal, call.parameters), added


# Blocked answers.

# Advice by the provider's reason. Only Gemini's SAFETY depends on a setting.
_ADVICE = {
    "SAFETY": "Reword {it} or change the safety setting.",
    "IMAGE_SAFETY": "Reword {it} or change the safety setting.",
    "RECITATION": "Ask for it in the model's own words.",
    "IMAGE_RECITATION": "Ask for another image.",
    "BLOCKLIST": "Reword {it} without the words that are on the list.",
    "SPII": "Leave personal data out.",
}
_CONSTANT = re.compile(r"[A-Z0-9_]+|[a-z0-9]+(?:_[a-z0-9]+)*")
_SPELLED_OUT = {"SPII": "personal data", "OTHER": "it does not say why"}


def blocked_error(finish: Finish, *, provider: str, model: str, label: str) -> ContentBlockedError:
    """The error for an answer that ended with ``content_filter``.

    ``label`` is the provider's display name, as within a sentence.

    >>> block = Block("prompt", "HARM_CATEGORY_DANGEROUS_CONTENT", "SAFETY, HIGH")
    >>> finish = Finish("content_filter", block=block)
    >>> error = blocked_error(finish, provider="gemini", model="gemini:m", label="Gemini")
    >>> print(error)  # doctest: +NORMALIZE_WHITESPACE
    Gemini blocked the prompt: dangerous content, high. Nothing was billed.
    Reword it or change the safety setting.
    """
    block = finish.block or Block("answer")
    sentences = [f"{label} blocked the {block.stage}{_why(block)}."]
    if block.stage == "prompt" and finish.usage is None:
        sentences.append("Nothing was billed.")
    it = "it" if block.stage == "prompt" else "the prompt"
    reason = (block.reason or "").partition(", ")[0]  # without the probability of the harm
    sentences.append(_ADVICE.get(reason, "Reword {it}, or choose another model.").format(it=it))
    error = ContentBlockedError(
        _capitalised(" ".join(sentences)),
        request_id=finish.request_id,
        provider=provider,
        model=model,
    )
    error.stage, error.category, error.reason = block.stage, block.category, block.reason
    return error


def _why(block: Block) -> str:
    """Category and reason as `: text`; the reason SAFETY adds nothing to a category."""
    reason = block.reason or ""
    if block.category:
        reason = reason.removeprefix("SAFETY").removeprefix(", ")
    parts = [spelled_out(part) for part in (block.category, reason) if part]
    return f": {', '.join(parts)}" if parts else " for safety"


def spelled_out(text: str) -> str:
    """A provider's constant in words, other texts in one line.

    >>> spelled_out("HARM_CATEGORY_DANGEROUS_CONTENT"), spelled_out("It could harm. ")
    ('dangerous content', 'It could harm')
    """
    constant = text.removeprefix("HARM_CATEGORY_")
    if _CONSTANT.fullmatch(constant):
        return _SPELLED_OUT.get(constant, constant.replace("_", " ").lower())
    return _one_line(text)

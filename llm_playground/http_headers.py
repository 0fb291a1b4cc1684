"""HTTP headers of the user: which ones may be sent, which hold secrets, which change an answer.

Grammar: RFC 9110, sections 5.1 and 5.5. Names are kept in lower case, since HTTP does not
distinguish cases. The headers of a call are stored in the log, so they hold no credentials.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from llm_playground._validation import repr_of, short_repr, shorten
from llm_playground.errors import InvalidParameterError

VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
"""A variable in the header or query of an endpoint; the headers of calls have none."""
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_VALUE = re.compile(r"[\t\x20-\x7e]*")
_MOST_HEADERS, _MOST_VALUE_CHARS = 32, 4_096
# Headers that frame a request or say where it goes; a server on the way may follow either.
_FIXED = re.compile(
    r"host|content-.*|transfer-encoding|connection|keep-alive|te|trailer|upgrade|expect"
    r"|accept|accept-encoding|http2-settings|proxy-.*|forwarded|x-forwarded-.*|x-http-method.*"
    r"|x-method-override|x-original-.*|x-rewrite-.*"
)
_SECRET = re.compile(
    r"authori[sz]ation|(?:^|[-_])auth(?:$|[-_])|api[-_]?key|token|cookie|secret|password",
    re.IGNORECASE,
)
# Names such as anthropic-ratelimit-tokens-remaining.
_COUNTS = re.compile(r"ratelimit|rate-limit", re.IGNORECASE)
# Headers that identify the caller or the call, and leave the answer as it is.
_WITHOUT_EFFECT = re.compile(
    r"user-agent|(?:http-)?referer|x-title|x-openrouter-(?:title|categories)|traceparent"
    r"|tracestate|baggage|x-(?:client-)?request-id|x-(?:correlation|session|trace)-id"
    r"|x-amzn-trace-id|x-cloud-trace-context|idempotency-key|helicone-(?:session|property)-.*"
    r"|helicone-user-id|x-portkey-(?:trace-id|metadata)|x-goog-(?:api-client|user-project)"
    r"|openai-(?:organization|project)"
)


def has_secret(name: str) -> bool:
    """Whether a header of this name holds a credential.

    >>> has_secret("X-Api-Key"), has_secret("anthropic-beta")
    (True, False)
    """
    return _SECRET.search(name) is not None and _COUNTS.search(name) is None


def with_effect(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that may change an answer, such as beta flags; unknown ones may.

    >>> with_effect({"anthropic-beta": "x", "traceparent": "y"})
    {'anthropic-beta': 'x'}
    """
    return {name: value for name, value in headers.items() if not _WITHOUT_EFFECT.fullmatch(name)}


def checked(headers: object, place: str) -> dict[str, str]:
    """Headers with their names in lower case; ``place`` says whose they are in messages.

    Raises:
        InvalidParameterError: They are not a mapping of text, too many or too long; HTTP does not
            allow a name or a value; or a name is one that every request sets itself.

    >>> checked({"Anthropic-Beta": "files-api-2025-04-14"}, "headers")
    {'anthropic-beta': 'files-api-2025-04-14'}
    """
    if not isinstance(headers, Mapping):
        example = '{"anthropic-beta": "..."}'
        raise InvalidParameterError(f"{place} is {repr_of(headers)}; it takes {example}.")
    if len(headers) > _MOST_HEADERS:
        raise InvalidParameterError(f"{place} has more than {_MOST_HEADERS} headers.")
    lower: dict[str, str] = {}
    for name, value in headers.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise InvalidParameterError(f"{place}: {short_repr(name)} cannot name a header.")
        if name.lower() in lower:
            raise InvalidParameterError(f"{place} has {name} twice. Join its values with a comma.")
        if _FIXED.fullmatch(name.lower()):
            raise InvalidParameterError(f"{place} cannot set {name}: every request sets it itself.")
        lower[name.lower()] = _value(place, name, value)
    return lower


def _value(place: str, name: str, value: object) -> str:
    """The checked value. Errors do not repeat a wrong one, which may be a key."""
    if not isinstance(value, str) or not value.strip():
        raise InvalidParameterError(f"{place}[{name!r}] takes text.")
    if not _VALUE.fullmatch(value):
        raise InvalidParameterError(
            f"{place}[{name!r}] has a line break, a control character or a letter outside ASCII."
        )
    if len(value) > _MOST_VALUE_CHARS:
        raise InvalidParameterError(
            f"{place}[{name!r}] has more than {_MOST_VALUE_CHARS:,} characters."
        )
    return value.strip()


def of_call(headers: object) -> dict[str, str]:
    """The checked headers of a call, which the log stores: none holds a credential.

    Raises:
        InvalidParameterError: As :func:`checked`, a name is that of a credential, or a value
            has a ``${VARIABLE}``, which would be sent as it stands.
    """
    lower = checked(headers, "headers")
    secret = next(filter(has_secret, lower), None)
    if secret is not None:
        raise InvalidParameterError(
            f"headers cannot set {secret}: a call carries the key of its endpoint. Set it for "
            'the endpoint, as "${VARIABLE}": lp.configure(endpoints={"name": {"headers": ...}}).'
        )
    for name, value in lower.items():
        variable = VARIABLE.search(value)
        if variable is not None:
            raise InvalidParameterError(
                f"headers[{name!r}]: variables such as {shorten(variable[0])} are read in the "
                "headers of an endpoint only, see lp.configure(endpoints=...)."
            )
    return lower

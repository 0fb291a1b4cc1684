"""Headers and query of an endpoint's row: what ``configure(endpoints=...)`` takes for them.

A value such as ``Bearer ${GATEWAY_KEY}`` names a variable of the environment or ``.env``, which is
read when a request is sent: so no key is in code, in the log or in a snippet.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from llm_playground import http_headers
from llm_playground._validation import short_repr
from llm_playground.config.endpoint_table import EndpointRow
from llm_playground.errors import InvalidParameterError
from llm_playground.redaction import redact

_QUERY_NAME = re.compile(r"[A-Za-z0-9._$-]{1,100}")
_QUERY_VALUE = re.compile(r"[!-~]{1,1000}")
# A name that cannot change the rest of a URL, whatever a server on the way decodes.
_IN_PATH = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*(?<!\.)")
_MOST_FIELDS = 16
_KEYS = frozenset({"key", "code", "sig", "signature"})


def checked_headers(headers: object) -> dict[str, str]:
    """The headers of an endpoint; a credential is the name of a variable.

    Raises:
        InvalidParameterError: As :func:`llm_playground.http_headers.checked`, or one holds a key.

    >>> checked_headers({"Helicone-Auth": "Bearer ${HELICONE_API_KEY}"})
    {'helicone-auth': 'Bearer ${HELICONE_API_KEY}'}
    """
    lower = http_headers.checked(headers, "headers")
    for name, value in lower.items():
        is_literal = http_headers.has_secret(name) and not http_headers.VARIABLE.search(value)
        text = filled(value, lambda _name: "")  # redaction takes "Bearer ${NAME}" for a key
        if is_literal or redact(text) != text:
            raise InvalidParameterError(
                f"headers[{name!r}] holds a key, and keys do not belong in code. Put it in .env "
                'and name its variable, as in "${GATEWAY_KEY}".'
            )
    return lower


def checked_query(query: object) -> dict[str, str]:
    """The query of an endpoint, such as ``{"api-version": "2024-10-21"}``.

    Raises:
        InvalidParameterError: It is no mapping of text, or holds a key.
    """
    if not isinstance(query, Mapping) or len(query) > _MOST_FIELDS:
        raise InvalidParameterError('query takes a mapping such as {"api-version": "2024-10-21"}.')
    for name, value in query.items():
        if not isinstance(name, str) or not _QUERY_NAME.fullmatch(name):
            raise InvalidParameterError(f"query: {short_repr(name)} cannot name a field of a URL.")
        if name.lower() in _KEYS or http_headers.has_secret(name) or redact(str(value)) != value:
            raise InvalidParameterError(
                f"query[{name!r}] holds a key, and URLs are logged. Name the variable of the key "
                "with key_variable, and its header with key_header."
            )
        if not _QUERY_VALUE.fullmatch(value):
            raise InvalidParameterError(f"query[{name!r}] takes text without spaces.")
    return dict(query)


def variables(headers: Mapping[str, str]) -> dict[str, str]:
    """The header of each variable that values name.

    >>> variables({"x-a": "${A}", "x-b": "b"})
    {'A': 'x-a'}
    """
    return {
        name: header
        for header, value in headers.items()
        for name in http_headers.VARIABLE.findall(value)
    }


def filled(value: str, read: Callable[[str], str]) -> str:
    """A value with ``read(name)`` in place of each ``${name}``.

    >>> filled("Bearer ${A}", str.lower)
    'Bearer a'
    """
    return http_headers.VARIABLE.sub(lambda match: read(match[1]), value)


def pieces(value: str) -> list[str]:
    """A value's texts, at even places, and names of variables, at odd ones.

    >>> pieces("Bearer ${A}")
    ['Bearer ', 'A', '']
    """
    return http_headers.VARIABLE.split(value)


def url_for(base_url: str, model_name: str) -> str:
    """A base URL with the model's name in place of ``{model}``.

    Raises:
        InvalidParameterError: No URL can hold the name.

    >>> url_for("https://host/deployments/{model}", "gpt-4o")
    'https://host/deployments/gpt-4o'
    """
    if "{model}" in base_url and not _IN_PATH.fullmatch(model_name):
        raise InvalidParameterError(f"No deployment is called {short_repr(model_name)}.")
    return base_url.replace("{model}", model_name)


def with_effect(row: EndpointRow | None) -> dict[str, str]:
    """What a row adds to each request that may change an answer: for the request's hash.

    >>> row = EndpointRow("mine", "Mine", "", headers={"x-beta": "1"}, query={"api-version": "2"})
    >>> with_effect(row)
    {'x-beta': '1', '?api-version': '2'}
    """
    if row is None:
        return {}
    headers = {
        name: value
        for name, value in http_headers.with_effect(row.headers).items()
        if not http_headers.has_secret(name)
    }
    return headers | {f"?{name}": value for name, value in row.query.items()}

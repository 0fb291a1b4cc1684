"""Passwords in URLs: of a run log, a proxy, or a server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import unquote, unquote_plus

# After the scheme up to the last @ before the path's end: a password may contain any character.
_LOGIN = re.compile(r"\A[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*|.*)@", re.DOTALL)
_PARAMETER = re.compile(r"[?&][^=&#]*(?:password|secret|key|token)[^=&#]*=([^&#]*)", re.IGNORECASE)


@lru_cache(maxsize=32)
def url_passwords(url: str) -> tuple[str, ...]:
    """The passwords in a URL, as written and decoded, in its login and its parameters.

    >>> url_passwords("postgresql://ada:love%2Dlace@h/db?sslpassword=hopper")
    ('love%2Dlace', 'love-lace', 'hopper')
    """
    return tuple(dict.fromkeys(filter(None, _passwords(url))))


def _passwords(url: str) -> Iterator[str]:
    login = _LOGIN.match(url)
    if login is not None:
        written = login[1].partition(":")[2]
        yield from (written, unquote(written))
    for parameter in _PARAMETER.finditer(url):
        yield from (parameter[1], unquote(parameter[1]), unquote_plus(parameter[1]))

"""Known secrets: passwords in URLs, and how a secret is spelled in a text."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import quote, quote_plus, unquote, unquote_plus

_MAX_ENCODED_CHARS = 4_096  # of a secret that is searched in its encoded spellings too
_HEX = re.compile(r"%[0-9A-F]{2}|\\u[0-9a-f]{4}")
# Characters that encoders leave as they are: all of RFC 3986's reserved ones, those of
# JavaScript's encodeURI and encodeURIComponent, and a path's.
_SAFE = ("", "/", "!'()*", ";,/?:@&=+$!'()*#", "/:@!$&'()*+,;=")
# After the scheme up to the last @ before the path's end: a password may contain any character.
_LOGIN = re.compile(r"\A[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*|.*)@", re.DOTALL)
_PARAMETER = re.compile(r"[?&][^=&#]*(?:password|secret|key|token)[^=&#]*=([^&#]*)", re.IGNORECASE)


def spellings(secret: str) -> list[str]:
    """All spellings of a secret, itself first; a longer one may contain a shorter one.

    In base64 the secret may start at any of three positions, such as after the user name of Basic
    authentication; only the characters that the secret alone determines are searched.

    >>> [*spellings("horse+staple")[3:4], *spellings("horse+staple")[-3:]]
    ['horse%2Bstaple', 'aG9yc2Urc3RhcGxl', 'hvcnNlK3N0YXBsZ', 'ob3JzZStzdGFwbG']
    """
    found = dict.fromkeys([secret])
    if len(secret) <= _MAX_ENCODED_CHARS:
        for spelling in (*_escaped(secret), *_percent_encoded(secret), *_base64(secret)):
            found[spelling] = None
            found[_HEX.sub(lambda code: code[0].swapcase().replace("\\U", "\\u"), spelling)] = None
    return list(found)


def _escaped(secret: str) -> Iterator[str]:
    """As in JSON, in JSON within JSON, in a ``repr`` and in HTML."""
    for ascii_only in (True, False):
        once = json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
        yield from (once, json.dumps(once, ensure_ascii=ascii_only)[1:-1], once.replace("/", "\\/"))
        yield re.sub("[<>&'+=]", lambda sign: f"\\u{ord(sign[0]):04x}", once)
    yield from (repr(secret)[1:-1], ascii(secret)[1:-1])
    yield repr(secret.encode("utf-8", "surrogatepass"))[2:-1]
    yield from (html.escape(secret), html.escape(secret, quote=False))
    yield html.escape(secret).replace("&#x27;", "&#39;")


def _percent_encoded(secret: str) -> Iterator[str]:
    raw = secret.encode("utf-8", "surrogatepass")
    yield from (quote(raw, safe=safe) for safe in _SAFE)
    yield quote_plus(raw)
    yield "".join(f"%{byte:02X}" for byte in raw)


def _base64(secret: str) -> Iterator[str]:
    raw = secret.encode("utf-8", "surrogatepass")
    for before in range(3):  # bytes in front of it, of which a group has three
        first, end = -(-8 * before // 6), 8 * (before + len(raw)) // 6
        encoded = base64.b64encode(bytes(before) + raw)[first:end].decode()
        yield from (encoded, encoded.replace("+", "-").replace("/", "_"))


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

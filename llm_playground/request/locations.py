"""Where images and files of a message are: paths, web addresses and ``data:`` URLs.

``noun`` is ``image`` or ``file``, for the messages of errors.
"""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Literal
from urllib.parse import SplitResult, unquote_to_bytes, urlsplit

from llm_playground._files import open_regular
from llm_playground._validation import shorten
from llm_playground.errors import InvalidParameterError
from llm_playground.redaction import printable

_ARTICLES = {"image": "an image", "file": "a file"}
_MAX_SHOWN_CHARS = 120


def is_url(location: str) -> bool:
    """Whether a location is a web address or a ``data:`` URL.

    >>> is_url("https://example.com/cat.png"), is_url("cat.png")
    (True, False)
    """
    return location.lower().startswith(("http://", "https://", "data:"))


def kind_of(location: str, noun: str) -> Literal["data", "web", "path"]:
    """What a location is.

    Raises:
        InvalidParameterError: It is empty, or a URL with another scheme.

    >>> kind_of("data:,a", "file"), kind_of("cat.png", "image")
    ('data', 'path')
    """
    if is_url(location):
        return "data" if location[:5].lower() == "data:" else "web"
    if "://" in location:
        raise InvalidParameterError(
            f"The URL of {_ARTICLES[noun]} starts with http:// or https://; got "
            f"{shorten(location, 60)}."
        )
    if not location:
        raise InvalidParameterError(f"The path of the {noun} is empty.")
    return "path"


def url_parts(url: str, noun: str) -> SplitResult:
    """The parts of a web address.

    Raises:
        InvalidParameterError: It has no host.
    """
    try:
        parts = urlsplit(url)
    except ValueError:  # "http://[::1"
        parts = urlsplit("")
    if not parts.hostname:
        raise InvalidParameterError(
            f"{shorten(url, 60)} is not the web address of {_ARTICLES[noun]}."
        )
    return parts


def fetched(url: str | None, noun: str) -> str:
    """The web address of an image or file that the provider fetches itself.

    Raises:
        InvalidParameterError: It has another scheme.
    """
    if not (url or "").startswith(("http://", "https://")):
        raise InvalidParameterError(
            f"{_ARTICLES[noun].capitalize()} is at {shorten(url or '', 60)!r}; providers only "
            "fetch http:// and https:// URLs. Pass its bytes."
        )
    return str(url)


def of_data_url(url: str) -> bytes:
    """The bytes in a ``data:`` URL (RFC 2397).

    Raises:
        InvalidParameterError: It is malformed.

    >>> of_data_url("data:text/plain;base64,YWJj"), of_data_url("data:,a%20b")
    (b'abc', b'a b')
    """
    head, comma, content = url.partition(",")
    try:
        if head.lower().endswith(";base64"):
            return base64.b64decode(b"".join(unquote_to_bytes(content).split()), validate=True)
    except binascii.Error:
        comma = ""
    if not comma:
        raise InvalidParameterError(f"The data: URL cannot be read: {shorten(url, 60)}.")
    return unquote_to_bytes(content)


def read_path(path: Path, noun: str, most_bytes: int) -> bytes:
    """The bytes of a file, or one more than ``most_bytes`` of a larger one.

    Raises:
        InvalidParameterError: There is none, or it cannot be read.
    """
    shown = shorten(printable(str(path)), _MAX_SHOWN_CHARS)
    try:
        with open_regular(path.expanduser()) as opened:
            return opened.read(most_bytes + 1)
    except IsADirectoryError:
        raise InvalidParameterError(f"{shown} is a folder, not {_ARTICLES[noun]}.") from None
    except FileNotFoundError:
        raise InvalidParameterError(
            f"There is no {noun} at {shown} (relative to {Path.cwd()})."
        ) from None
    except (OSError, ValueError, RuntimeError) as error:  # a null byte; no home to expand
        why = getattr(error, "strerror", None) or error
        raise InvalidParameterError(f"{shown} cannot be read: {why}.") from None

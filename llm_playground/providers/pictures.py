"""Pictures as a request carries them."""

from __future__ import annotations

import base64
import mimetypes

from llm_playground.errors import InvalidParameterError
from llm_playground.types import ImagePart


def inline(part: ImagePart) -> tuple[str, str] | None:
    """A picture's media type and its bytes in base64; None for one that is elsewhere.

    Raises:
        InvalidParameterError: Nobody says of what type the bytes are.

    >>> inline(ImagePart("image/png", data=b"abc"))
    ('image/png', 'YWJj')
    >>> inline(ImagePart(None, url="data:image/gif;base64,YWJj"))
    ('image/gif', 'YWJj')
    """
    if part.data is not None:
        if part.media_type is None:
            raise InvalidParameterError(
                "A picture has no media type. Say which, for example image/png."
            )
        return part.media_type, base64.b64encode(part.data).decode()
    head, _, data = (part.url or "").partition(",")
    if not head.startswith("data:") or not head.endswith(";base64"):
        return None
    return part.media_type or head[5:-7] or "image/png", data


def data_url(part: ImagePart) -> str:
    """Where a picture is: its own address, or one that holds its bytes."""
    held = inline(part)
    return (part.url or "") if held is None else f"data:{held[0]};base64,{held[1]}"


def web_address(part: ImagePart) -> str:
    """The address of a picture that is elsewhere, for who fetches over the web alone.

    Raises:
        InvalidParameterError: It is of another kind.
    """
    url = part.url or ""
    if not url.startswith(("http://", "https://")):
        raise InvalidParameterError(
            f"A picture is at {url[:80]!r}, and this provider fetches only https:// addresses. "
            "Give its bytes."
        )
    return url


def media_type(part: ImagePart) -> str | None:
    """The media type of a picture that is elsewhere, None where its address does not tell.

    >>> media_type(ImagePart(None, url="https://example.com/a.jpg?size=9"))
    'image/jpeg'
    """
    path = (part.url or "").partition("?")[0].partition("#")[0]
    return part.media_type or mimetypes.guess_type(path)[0]

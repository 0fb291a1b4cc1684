"""Pictures from whatever a notebook holds, as parts of a message.

A path, bytes, a web address, a ``data:`` URL, a PIL image, a matplotlib figure or axes, a numpy
array. PIL and matplotlib are not imported here: what they give is known by what it can do.
"""

from __future__ import annotations

import base64
import binascii
import os
import struct
import zlib
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

from llm_playground.errors import InvalidParameterError
from llm_playground.types import ImagePart

# The largest request the vendors take: Gemini 20 MB, Anthropic 32 MB, OpenAI 50 MB.
MAX_BYTES = 20_000_000

# How the four formats begin that all vendors read.
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)
_SUFFIXES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
}
_CHANNELS = {1: 0, 3: 2, 4: 6}  # PNG's colour types: grey, RGB, RGB with transparency
_SHOWN = 60


def image(source: Any) -> ImagePart:  # noqa: ANN401 - what a picture may be is decided here
    """A picture to send: ``lp.ask("What is this?", images=[lp.image("cat.png")])``.

    Args:
        source: A path, bytes, an ``http(s)`` URL (sent as it is, not fetched), a ``data:`` URL, a
            PIL image, a matplotlib figure or axes, a numpy array of bytes, an open binary file,
            or anything else that a notebook shows as PNG or JPEG.

    Raises:
        InvalidParameterError: There is no such file, it is none of PNG, JPEG, GIF and WebP, or it
            has more than 20 MB.

    >>> image("https://example.com/cat.png")
    ImagePart(media_type='image/png', url='https://example.com/cat.png')
    """
    if isinstance(source, ImagePart):
        return source
    if isinstance(source, str):
        return _from_text(source.strip())
    if isinstance(source, os.PathLike):
        return _from_path(Path(source))
    return _part(_bytes_of(source), f"This {type(source).__name__}")


def images_from(sources: Any) -> tuple[ImagePart, ...]:  # noqa: ANN401 - one of what image() takes, or several
    """One picture or a list of them, as parts.

    Raises:
        InvalidParameterError: See :func:`image`.
    """
    if sources is None:
        return ()
    several = sources if isinstance(sources, (list, tuple)) else [sources]
    return tuple(image(source) for source in several)


def _from_text(text: str) -> ImagePart:
    scheme = text.partition(":")[0].lower()
    if scheme == "data":
        return _part(_of_data_url(text), "The data: URL")
    if scheme in {"http", "https"}:
        return _from_url(text)
    if "://" in text:
        raise InvalidParameterError(
            f"A picture's address begins with http:// or https://; got {_shown(text)}."
        )
    if not text:
        raise InvalidParameterError("The path of the picture is empty.")
    return _from_path(Path(text))


def _from_url(url: str) -> ImagePart:
    try:
        parts = urlsplit(url)
    except ValueError:  # "http://[::1"
        parts = urlsplit("")
    if not parts.hostname:
        raise InvalidParameterError(f"{_shown(url)} is no web address of a picture.")
    return ImagePart(_SUFFIXES.get(Path(parts.path).suffix.lower()), url=url)


def _from_path(path: Path) -> ImagePart:
    try:
        path = path.expanduser()
        if path.is_dir():
            raise InvalidParameterError(f"{path} is a folder; a picture is a file.")
        if path.exists() and not path.is_file():  # a device has no end
            raise InvalidParameterError(f"{path} is no ordinary file.")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise InvalidParameterError(
            f"There is no picture at {path} (seen from {Path.cwd()})."
        ) from None
    except (OSError, ValueError, RuntimeError) as error:  # a null byte; no home to expand
        why = getattr(error, "strerror", None) or error
        raise InvalidParameterError(f"{_shown(str(path))} cannot be read: {why}.") from None
    return _part(data, str(path))


def _of_data_url(url: str) -> bytes:
    head, comma, content = url.partition(",")
    try:
        if head.lower().endswith(";base64"):
            return base64.b64decode(b"".join(unquote_to_bytes(content).split()), validate=True)
    except binascii.Error:
        comma = ""
    if not comma:
        raise InvalidParameterError(f"The data: URL cannot be read: {_shown(url)}.")
    return unquote_to_bytes(content)


def _bytes_of(source: object) -> bytes:
    """What an object of Python shows as a picture."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source)
    try:
        given = None if isinstance(source, type) else _drawn(source)
    except InvalidParameterError:
        raise
    except Exception as error:  # whatever drawing, encoding or reading a closed file raises
        name, why = type(source).__name__, _shown(str(error))
        raise InvalidParameterError(f"This {name} cannot be made a picture: {why}.") from None
    if not isinstance(given, bytes):
        raise InvalidParameterError(
            "A picture is a path, bytes, a URL, a PIL image, a matplotlib figure or a numpy "
            f"array; got {type(source).__name__} {_shown(repr(source))}."
        )
    return given


def _drawn(source: Any) -> object:  # noqa: ANN401 - known by what it can do
    """A figure, axes, a PIL image, an array or a file as bytes; None when it is none of them."""
    if hasattr(source, "__array_interface__") and hasattr(source, "shape"):
        return _png(source)
    if callable(save := getattr(source, "savefig", None)):
        return _saved(save)
    if callable(save := getattr(getattr(source, "figure", None), "savefig", None)):
        return _saved(save)
    if (given := _shown_by("_repr_png_", source)) is not None:
        return given
    if callable(convert := getattr(source, "convert", None)):  # a PIL image of printing colours
        return _shown_by("_repr_png_", convert("RGB"))
    given = _shown_by("_repr_jpeg_", source)
    return _shown_by("read", source) if given is None else given


def _shown_by(method: str, source: object) -> object:
    show = getattr(source, method, None)
    return show() if callable(show) else None


def _saved(save: Callable[..., object]) -> bytes:
    buffer = BytesIO()
    save(buffer, format="png")
    return buffer.getvalue()


def _png(array: Any) -> bytes:  # noqa: ANN401 - a numpy array, without importing numpy
    """A numpy array as a PNG: height by width, or by 1, 3 or 4 channels, 0 to 255.

    Format: https://www.w3.org/TR/png-3/, sections 5.3, 11.2 and 7.2.
    """
    shape: Sequence[int] = array.shape if len(array.shape) == 3 else (*array.shape, 1)
    if str(array.dtype) != "uint8" or len(shape) != 3 or shape[2] not in _CHANNELS or 0 in shape:
        raise InvalidParameterError(
            "An array that is a picture is height x width (x 3 or 4) of uint8, 0 to 255; got "
            f"{'x'.join(map(str, array.shape))} of {array.dtype}. Show it with matplotlib and "
            "send the figure."
        )
    height, width, channels = shape
    raw, stride = array.tobytes(), width * channels
    # Every line begins with its filter, 0 for none.
    lines = b"".join(b"\0" + raw[at : at + stride] for at in range(0, len(raw), stride))
    head = struct.pack(">IIBBBBB", width, height, 8, _CHANNELS[channels], 0, 0, 0)
    blocks = ((b"IHDR", head), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))
    return _MAGIC[0][0] + b"".join(_png_block(name, data) for name, data in blocks)


def _png_block(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _part(data: bytes, what: str) -> ImagePart:
    if not data:
        raise InvalidParameterError(f"{what} is empty; a picture was wanted.")
    if len(data) > MAX_BYTES:
        raise InvalidParameterError(
            f"{what} has more than {MAX_BYTES // 1_000_000} MB, which providers refuse. "
            "Make the picture smaller."
        )
    return ImagePart(_media_type(data, what), data)


def _media_type(data: bytes, what: str) -> str:
    for magic, media_type in _MAGIC:
        if data.startswith(magic):
            return media_type
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "image/webp"
    if data.startswith(b"%PDF-"):
        raise InvalidParameterError(
            f"{what} is a PDF, which cannot be sent. Save the page you need as PNG."
        )
    raise InvalidParameterError(f"{what} is no picture: it is none of PNG, JPEG, GIF and WebP.")


def _shown(text: str) -> str:
    """The start of a long text, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…"

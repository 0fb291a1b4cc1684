"""Images of a message: conversion from Python objects, and encoding for requests.

Sources are a path, bytes, an http(s) or ``data:`` URL, a PIL image, a matplotlib figure or axes, or
a numpy array. PIL and matplotlib are not imported: their objects are recognised by their methods.

Images are sent upright: one whose EXIF data say to turn it is turned, by PIL. All others keep their
bytes, except for EXIF data that say where the picture was taken, which are removed.
"""

from __future__ import annotations

import base64
import os
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from llm_playground import image_formats
from llm_playground._validation import checks_arguments, repr_of, shorten
from llm_playground.errors import InvalidParameterError
from llm_playground.parts import ImagePart, Part
from llm_playground.request import locations

# The largest request that vendors accept: Gemini 20 MB, Anthropic 32 MB, OpenAI 50 MB.
MAX_BYTES = 20_000_000

SUFFIXES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
}
_MAX_ARRAY_BYTES = 20 * MAX_BYTES  # of pixels, which PNG compresses
_QUALITY = 95  # of a JPEG or WebP that was turned
_HEIC = tuple(b"ftyp" + brand for brand in (b"heic", b"heix", b"hevc", b"mif1", b"msf1"))
_CHANNELS = {1: 0, 3: 2, 4: 6}  # PNG's colour types: grey, RGB, RGB with transparency


@checks_arguments("image")
def image(source: Any) -> ImagePart:  # noqa: ANN401 - types are checked here
    """An image to send: ``lp.ask("What is this?", images=[lp.image("cat.png")])``.

    Args:
        source: A path, bytes, an ``http(s)`` URL (sent as it is, not fetched), a ``data:`` URL, a
            PIL image, a matplotlib figure or axes, a numpy array of bytes, an open binary file,
            or any other object that a notebook shows as PNG or JPEG.

    It is sent upright, as its EXIF data say, and without the place where it was taken. HEIC becomes
    JPEG if PIL reads it (``pip install pillow-heif``).

    Raises:
        InvalidParameterError: The file does not exist, is not PNG, JPEG, GIF or WebP, or has more
            than 20 MB.

    >>> image("https://example.com/cat.png").media_type
    'image/png'
    """
    if isinstance(source, ImagePart):
        return source
    if isinstance(source, str):
        return _from_text(source.strip())
    if isinstance(source, os.PathLike):
        return _from_path(Path(source))
    return _part(_bytes_of(_upright(source)), f"This {type(source).__name__}")


def images_from(sources: Any) -> tuple[ImagePart, ...]:  # noqa: ANN401 - as image()
    """One image or a list of images, as parts.

    Raises:
        InvalidParameterError: See :func:`image`.
    """
    return tuple(map(image, sources if isinstance(sources, (list, tuple)) else [sources]))


def _from_text(text: str) -> ImagePart:
    match locations.kind_of(text, "image"):
        case "data":
            return _part(locations.of_data_url(text), "The data: URL")
        case "web":
            parts = locations.url_parts(text, "image")
            return ImagePart(SUFFIXES.get(Path(parts.path).suffix.lower()), url=text)
    return _from_path(Path(text))


def _from_path(path: Path) -> ImagePart:
    return _part(locations.read_path(path, "image", MAX_BYTES), str(path.expanduser()))


def _bytes_of(source: object) -> bytes:
    """The encoded image of a Python object."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source)
    try:
        encoded = None if isinstance(source, type) else _encoded(source)
    except InvalidParameterError:
        raise
    except Exception as error:  # drawing, encoding and reading files raise many types
        name, why = type(source).__name__, shorten(str(error), 60)
        raise InvalidParameterError(
            f"This {name} cannot be converted to an image: {why}."
        ) from None
    if not isinstance(encoded, bytes):
        raise InvalidParameterError(
            "An image is a path, bytes, a URL, a PIL image, a matplotlib figure or a numpy "
            f"array; got {type(source).__name__} {repr_of(source, 60)}."
        )
    return encoded


def _encoded(source: Any) -> object:  # noqa: ANN401 - recognised by its methods
    """The bytes of a figure, axes, a PIL image, an array or a file; None for other objects."""
    if hasattr(source, "__array_interface__") and hasattr(source, "shape"):
        return _png(source)
    if callable(save := getattr(source, "savefig", None)):
        return _saved(save)
    if callable(save := getattr(getattr(source, "figure", None), "savefig", None)):
        return _saved(save)
    if (png := _call_if_present(source, "_repr_png_")) is not None:
        return png
    if callable(convert := getattr(source, "convert", None)):  # a PIL image in CMYK
        return _call_if_present(convert("RGB"), "_repr_png_")
    jpeg = _call_if_present(source, "_repr_jpeg_")
    return _read(source) if jpeg is None else jpeg


def _read(source: object) -> bytes | None:
    """The first bytes of an open file, one more than allowed of a longer one; None for others."""
    read = getattr(source, "read", None)
    if not callable(read):
        return None
    data = bytearray()
    while len(data) <= MAX_BYTES:
        piece = read(MAX_BYTES + 1 - len(data))
        if not isinstance(piece, bytes):
            return None  # of a text file
        if not piece:
            break
        data += piece
    return bytes(data)


def _call_if_present(source: object, method_name: str) -> object:
    method = getattr(source, method_name, None)
    return method() if callable(method) else None


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
            "An image array is height x width (x 3 or 4) of uint8, 0 to 255; got "
            f"{'x'.join(map(str, array.shape))} of {array.dtype}. Show it with matplotlib and "
            "send the figure."
        )
    if array.nbytes > _MAX_ARRAY_BYTES:
        raise InvalidParameterError(
            f"An image array of {array.nbytes / 1e6:,.0f} MB is too large. Use a smaller image."
        )
    height, width, channels = shape
    raw, stride = array.tobytes(), width * channels
    # Each line starts with its filter, 0 for none.
    lines = b"".join(b"\0" + raw[at : at + stride] for at in range(0, len(raw), stride))
    head = struct.pack(">IIBBBBB", width, height, 8, _CHANNELS[channels], 0, 0, 0)
    png = image_formats.PNG
    # Each block begins with its name, whose four bytes its length does not count.
    for block in (b"IHDR" + head, b"IDAT" + zlib.compress(lines), b"IEND"):
        png += struct.pack(">I", len(block) - 4) + block + struct.pack(">I", zlib.crc32(block))
    return png


def _upright(source: Any) -> Any:  # noqa: ANN401 - any source
    """A PIL image turned as its EXIF data say; every other source unchanged."""
    exif = _call_if_present(source, "getexif")
    if not isinstance(exif, Mapping) or exif.get(image_formats.ORIENTATION, 1) == 1:
        return source
    from PIL import ImageOps  # the source is PIL's

    return ImageOps.exif_transpose(source)


def _turned(data: bytes, name: str) -> bytes:
    """Encoded bytes turned upright, or HEIC as JPEG, in the least lossy form of their format."""
    try:
        from PIL import Image, ImageOps  # optional; only for images that lie on their side
    except ImportError:
        raise InvalidParameterError(
            f"{name} is stored on its side. pip install pillow, or save it upright."
        ) from None
    try:
        with Image.open(BytesIO(data)) as opened:
            kind = opened.format if opened.format in ("PNG", "WEBP") else "JPEG"
            upright, profile = ImageOps.exif_transpose(opened), opened.info.get("icc_profile")
            if kind == "JPEG" and upright.mode not in ("RGB", "L", "CMYK"):
                upright = upright.convert("RGB")
            written = BytesIO()
            upright.save(written, kind, quality=_QUALITY, icc_profile=profile)
    except Exception as error:  # PIL raises many types for broken files
        raise InvalidParameterError(
            f"{name} cannot be read ({shorten(str(error), 60)}). Save it as JPEG."
        ) from None
    return written.getvalue()


def _part(data: bytes, name: str) -> ImagePart:
    if data[4:12] in _HEIC or image_formats.orientation(data) != 1:
        data = _turned(data, name)
    data = image_formats.without_place(data)
    if not data:
        raise InvalidParameterError(f"{name} is empty. Use PNG, JPEG, GIF or WebP.")
    if len(data) > MAX_BYTES:
        raise InvalidParameterError(
            f"{name} has more than {MAX_BYTES // 1_000_000} MB, which providers reject. "
            "Use a smaller image."
        )
    return ImagePart(_media_type(data, name), data)


def _media_type(data: bytes, name: str) -> str:
    if media_type := image_formats.media_type(data):
        return media_type
    if data.startswith(b"%PDF-"):
        raise InvalidParameterError(
            f"{name} is a PDF. Pass it as files=, or save the page you need as PNG."
        )
    raise InvalidParameterError(f"{name} is not a supported image. Use PNG, JPEG, GIF or WebP.")


def is_gone(part: Part) -> bool:
    """Whether a part is an image with neither bytes nor a URL, such as one that the log has lost.

    >>> is_gone(ImagePart("image/png", stored_sha256="ab")), is_gone(ImagePart(None, b"abc"))
    (True, False)
    """
    return isinstance(part, ImagePart) and part.data is None and not part.url


def inline(part: ImagePart) -> tuple[str, str] | None:
    """Media type and base64 bytes of an image; None for one at a URL.

    Raises:
        InvalidParameterError: The image has bytes but no media type.

    >>> inline(ImagePart("image/png", data=b"abc"))
    ('image/png', 'YWJj')
    >>> inline(ImagePart(None, url="data:image/gif;base64,YWJj"))
    ('image/gif', 'YWJj')
    """
    if part.data is not None:
        if part.media_type is None:
            raise InvalidParameterError(
                "An image has no media type. Add one, for example image/png."
            )
        return part.media_type, base64.b64encode(part.data).decode()
    head, _, data = (part.url or "").partition(",")
    if not head.startswith("data:") or not head.endswith(";base64"):
        return None
    return part.media_type or head[5:-7] or "image/png", data


def data_url(part: ImagePart) -> str:
    """The URL of an image, or a data URL of its bytes."""
    encoded = inline(part)
    return (part.url or "") if encoded is None else f"data:{encoded[0]};base64,{encoded[1]}"


def media_type(part: ImagePart) -> str | None:
    """The media type of an image at a URL; None if the URL does not show it.

    >>> media_type(ImagePart(None, url="https://example.com/a.jpg?size=9"))
    'image/jpeg'
    """
    if part.media_type:
        return part.media_type
    import mimetypes  # only for images at a URL

    path = (part.url or "").partition("?")[0].partition("#")[0]
    return mimetypes.guess_type(path)[0]


def size_of(part: ImagePart) -> tuple[int, int] | None:
    """Width and height in pixels from the headers in an image's bytes; None if unknown.

    >>> header = bytes([0x89, *b"PNG", 13, 10, 26, 10, *b"....IHDR", 0, 0, 1, 4, 0, 0, 0, 2])
    >>> size_of(ImagePart("image/png", header + bytes(9)))
    (260, 2)
    """
    return image_formats.size(part.data or b"")

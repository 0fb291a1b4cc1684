"""The image formats that vendors and browsers read, recognised by their first bytes."""

from __future__ import annotations

import struct

PNG = b"\x89PNG\r\n\x1a\n"
# WebP is recognised in `media_type`.
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (PNG, "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)
# In which an image's size is looked for; millions of empty segments would take seconds.
_MAX_HEADER_BYTES = 500_000


def media_type(data: bytes) -> str | None:
    """The media type of an image from its first bytes: PNG, JPEG, GIF or WebP; None for others.

    >>> media_type(b"GIF89a..."), media_type(b"<svg>")
    ('image/gif', None)
    """
    for magic, known in _MAGIC:
        if data.startswith(magic):
            return known
    return "image/webp" if data.startswith(b"RIFF") and data[8:12] == b"WEBP" else None


def size(data: bytes) -> tuple[int, int] | None:
    """Width and height in pixels from the headers of an image; None if unknown.

    >>> header = bytes([0x89, *b"PNG", 13, 10, 26, 10, *b"....IHDR", 0, 0, 1, 4, 0, 0, 0, 2])
    >>> size(header + bytes(9))
    (260, 2)
    """
    try:
        found = _size_in(data[:_MAX_HEADER_BYTES])
    except (struct.error, IndexError):  # the header is cut off
        return None
    return found if found is not None and min(found) > 0 else None


def _size_in(data: bytes) -> tuple[int, int] | None:
    """The size of a PNG, GIF, WebP or JPEG.

    Formats: https://www.w3.org/TR/png-3/#11IHDR, https://www.w3.org/Graphics/GIF/spec-gif89a.txt,
    https://developers.google.com/speed/webp/docs/riff_container, ITU-T T.81, annex B.
    """
    if len(data) < 30:  # of the longest header
        return None
    if data.startswith(PNG):
        width, height = struct.unpack_from(">II", data, 16)
        return width, height
    if data.startswith(b"GIF8"):
        return _size_of_gif(data)
    if data[8:12] == b"WEBP":
        return _size_of_webp(data)
    return _size_of_jpeg(data) if data.startswith(b"\xff\xd8") else None


def _size_of_gif(data: bytes) -> tuple[int, int]:
    """The size of the screen, or of the first frame, to which decoders enlarge it."""
    screen = struct.unpack_from("<HH", data, 6)
    at = 13 + (6 << (data[10] & 7) if data[10] & 0x80 else 0)  # after the table of colours
    while data[at] == 0x21:  # an extension of blocks, which an empty one ends
        at += 2
        while data[at]:
            at += 1 + data[at]
        at += 1
    left, top, width, height = struct.unpack_from("<HHHH", data, at + 1)
    return max(screen[0], left + width), max(screen[1], top + height)


def _size_of_webp(data: bytes) -> tuple[int, int] | None:
    """The size of the canvas or of the first frame, whichever is larger."""
    canvas, at = (0, 0), 12
    while at < len(data):
        kind, content = data[at : at + 4], at + 8
        if kind == b"VP8X":
            canvas = _pair_of_24_bits(data, content + 4)
        elif kind == b"VP8L":
            bits = int.from_bytes(data[content + 1 : content + 5], "little")
            return _larger(canvas, (1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)))
        elif kind == b"VP8 ":
            width, height = struct.unpack_from("<HH", data, content + 6)
            return _larger(canvas, (width & 0x3FFF, height & 0x3FFF))
        elif kind == b"ANMF":
            return _larger(canvas, _pair_of_24_bits(data, content + 6))
        length = struct.unpack_from("<I", data, at + 4)[0]
        at = content + length + length % 2
    return None


def _pair_of_24_bits(data: bytes, at: int) -> tuple[int, int]:
    width, height = (1 + int.from_bytes(data[n : n + 3], "little") for n in (at, at + 3))
    return width, height


def _larger(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    return max(one[0], other[0]), max(one[1], other[1])


def _size_of_jpeg(data: bytes) -> tuple[int, int] | None:
    at = 2
    while data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # padding before a marker
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # a frame
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        else:
            at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    return None

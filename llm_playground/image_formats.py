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


ORIENTATION, _GPS = 0x0112, 0x8825  # tags of EXIF: how to hold the image, and where it was taken
_MAX_TAGS = 200


def orientation(data: bytes) -> int:
    """How EXIF says to turn a JPEG, PNG or WebP: 1 is upright, 2 to 8 as in EXIF 2.3, 4.6.4.

    >>> orientation(b"GIF89a")
    1
    """
    value = _exif_tags(data).get(ORIENTATION, 1)
    return value if 2 <= value <= 8 else 1


def without_place(data: bytes) -> bytes:
    """The image without its EXIF data if these say where it was taken; else unchanged."""
    found = _exif_block(data)
    if found is None or _GPS not in _exif_tags(data):
        return data
    start, end, _ = found
    cut = bytearray(data[:start] + data[end:])
    if data.startswith(b"RIFF"):
        struct.pack_into("<I", cut, 4, len(cut) - 8)
        if cut[12:16] == b"VP8X":
            cut[20] &= ~0x08  # the flag that EXIF follows
    return bytes(cut)


def _exif_tags(data: bytes) -> dict[int, int]:
    """The short values of EXIF's first directory by tag; empty if there is none, or it is broken.

    Format: TIFF 6.0, section 2.
    """
    found = _exif_block(data)
    if found is None:
        return {}
    tiff = data[found[2] : found[1]]
    order = "<" if tiff.startswith(b"II") else ">"
    try:
        at = struct.unpack_from(f"{order}I", tiff, 4)[0]
        count = min(struct.unpack_from(f"{order}H", tiff, at)[0], _MAX_TAGS)
        entries = (struct.unpack_from(f"{order}HHIH", tiff, at + 2 + 12 * n) for n in range(count))
        return {tag: value for tag, _kind, _count, value in entries}
    except struct.error:
        return {}


def _exif_block(data: bytes) -> tuple[int, int, int] | None:
    """Start and end of the segment or chunk with EXIF, and where its TIFF begins."""
    try:
        if data.startswith(b"\xff\xd8"):
            return _exif_of_jpeg(data)
        if data.startswith(PNG):
            return _exif_of_png(data)
        return _exif_of_webp(data) if data[8:12] == b"WEBP" else None
    except (struct.error, IndexError):  # cut off
        return None


def _exif_of_jpeg(data: bytes) -> tuple[int, int, int] | None:
    at = 2
    while data[at] == 0xFF and data[at + 1] != 0xDA:  # the scan, after which no segment is
        end = at + 2 + struct.unpack_from(">H", data, at + 2)[0]
        if data[at + 1] == 0xE1 and data[at + 4 : at + 10] == b"Exif\0\0":
            return at, end, at + 10
        at = end
    return None


def _exif_of_png(data: bytes) -> tuple[int, int, int] | None:
    at = len(PNG)
    while at < len(data):
        end = at + 12 + struct.unpack_from(">I", data, at)[0]
        if data[at + 4 : at + 8] == b"eXIf":
            return at, end, at + 8
        at = end
    return None


def _exif_of_webp(data: bytes) -> tuple[int, int, int] | None:
    at = 12
    while at < len(data):
        length = struct.unpack_from("<I", data, at + 4)[0]
        end = at + 8 + length + length % 2
        if data[at : at + 4] == b"EXIF":
            has_name = data[at + 8 : at + 14] == b"Exif\0\0"
            return at, end, at + (14 if has_name else 8)
        at = end
    return None

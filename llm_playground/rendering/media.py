"""Pictures and recordings of answers as data URLs, from bytes of known formats.

A browser decodes the bytes, so only known formats are passed to it: PNG, JPEG, GIF and WebP of a
bounded size, WAV and MP3. SVG is a document with scripts and is never shown. Nothing is loaded
from an address.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

from llm_playground import image_formats
from llm_playground.parts import AudioPart, ImagePart

MAX_BYTES = 20_000_000  # of one picture or recording; a larger one is shown as a line
_MAX_SIDE, _MAX_PIXELS = 16_384, 64_000_000  # a browser needs four bytes for each pixel


@dataclass(frozen=True, slots=True)
class Media:
    """What a page can show: the data URL of the bytes, and the size in pixels of a picture."""

    url: str
    width: int = 0
    height: int = 0


def picture(part: ImagePart) -> Media | None:
    """A picture from its bytes; None without bytes, or if they are no picture to be shown.

    >>> picture(ImagePart("image/png", b"<svg onload=alert(1)>")) is None
    True
    """
    data = part.data or b""
    media_type, size = image_formats.media_type(data), image_formats.size(data)
    if media_type is None or size is None or len(data) > MAX_BYTES:
        return None
    width, height = size
    if max(size) > _MAX_SIDE or width * height > _MAX_PIXELS:
        return None
    return Media(_data_url(media_type, data), width, height)


def recording(part: AudioPart) -> Media | None:
    """A recording from its bytes; None if they are neither WAV nor MP3."""
    data = part.data or b""
    media_type = _audio_type(data)
    if media_type is None or len(data) > MAX_BYTES:
        return None
    return Media(_data_url(media_type, data))


def _data_url(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def _audio_type(data: bytes) -> str | None:
    if data.startswith(b"RIFF") and data[8:12] == b"WAVE":
        return "audio/wav"
    # The header of a frame of layer III, without bits that have no meaning: ISO 11172-3, 2.4.1.3.
    is_frame = len(data) > 3 and data[0] == 0xFF and data[1] & 0xE6 == 0xE2
    return "audio/mpeg" if is_frame or data.startswith(b"ID3") else None

"""Tokens of documents and recordings before a call: upper bounds, and likely counts.

**Text** is part of the body, which :mod:`.token_bounds` counts. **PDF**: providers read the text of
each page and an image of it; the vendors document tokens per page. Pages are counted in the file,
also in its compressed parts. **Audio**: tokens per second, whose number the file's size bounds.

Sources: https://platform.claude.com/docs/en/build-with-claude/pdf-support (1,500 to 3,000 tokens of
text for a page, and its image), https://ai.google.dev/gemini-api/docs/media-resolution (at most
1,120 tokens for a page of a PDF), https://ai.google.dev/gemini-api/docs/audio (32 tokens a second),
https://developers.openai.com/api/docs/guides/file-inputs (text and an image of each page),
https://developers.openai.com/api/docs/guides/realtime-costs (10 tokens for a second of speech).
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from math import ceil

from llm_playground.catalog import token_bounds
from llm_playground.parts import FilePart, ImagePart
from llm_playground.request.files import kind_of

# Of a PDF at a URL, or whose pages are encrypted: the most that a vendor takes, Gemini's.
MOST_PAGES = 1000
_TEXT_TOKENS_PER_PAGE = 3_000
_LIKELY_TEXT_TOKENS_PER_PAGE = 1_500
_GEMINI_TOKENS_PER_PAGE = 1_120
_TOKENS_PER_SECOND = 32
# No codec in use has fewer: MP3 starts at 8 kbit/s, AAC for speech and Opus at about the same.
_MIN_BYTES_PER_SECOND = 750
_MOST_SECONDS = 34_200  # 9.5 hours, the most that Gemini takes
# Of audio with a usual bit rate, 128 kbit/s.
_LIKELY_BYTES_PER_SECOND = 16_000
# What Anthropic adds for citations: instructions, and a mark for each sentence of a text.
_TOKENS_FOR_CITATIONS = 1_000
_TOKENS_PER_MARK = 8
_ENDS_OF_SENTENCES = re.compile(r"[.!?\n。！？]")  # noqa: RUF001 - the ends of Chinese sentences
# ISO 32000-1, 7.5.7 and 7.7.3.3: pages are dictionaries, perhaps in compressed object streams.
_PAGE = re.compile(rb"/Type\s*/Page(?![A-Za-z])")
_STREAM = re.compile(rb"/ObjStm\b.{0,500}?stream\r?\n", re.DOTALL)
_COUNT = re.compile(rb"/Count\s+(\d{1,7})(?!\d)")
_MOST_UNPACKED_BYTES = 50_000_000
# Pages by the file's hash: the panel asks at each change of the prompt, and the files stay.
_known_pages: dict[str, int | None] = {}
_MOST_KNOWN = 1000


def pages_of(part: FilePart) -> int | None:
    """The number of pages of a PDF; None where it does not say, such as if encrypted.

    >>> pages_of(FilePart("application/pdf", data=b"<</Type /Page>> <</Type/Pages /Count 1>>"))
    1
    """
    sha256 = part.sha256
    if part.data is None or sha256 is None:
        return None
    if sha256 not in _known_pages:
        if len(_known_pages) >= _MOST_KNOWN:
            _known_pages.clear()
        _known_pages[sha256] = _counted_pages(part.data)
    return _known_pages[sha256]


def _counted_pages(data: bytes) -> int | None:
    found = sum(len(_PAGE.findall(piece)) for piece in _pieces(data))
    if found:
        return found
    counts = [int(count) for piece in _pieces(data) for count in _COUNT.findall(piece)]
    return max(counts, default=0) or None


def _pieces(data: bytes) -> Iterator[bytes]:
    """A PDF and its object streams, unpacked up to a limit in all."""
    yield data
    left = _MOST_UNPACKED_BYTES
    for match in _STREAM.finditer(data):
        unpacked = _unpacked(data, match.end(), left)
        left -= len(unpacked)
        yield unpacked
        if left <= 0:
            return


def _unpacked(data: bytes, start: int, most_bytes: int) -> bytes:
    try:
        return zlib.decompressobj().decompress(memoryview(data)[start:], most_bytes)
    except zlib.error:  # encrypted, or packed in another way
        return b""


def most_seconds(part: FilePart) -> int:
    """The longest time that a recording can take, in seconds."""
    data = part.data
    if data is None:
        return _MOST_SECONDS
    rate = _wav_bytes_per_second(data) or _MIN_BYTES_PER_SECOND
    return min(ceil(len(data) / rate), _MOST_SECONDS)


def _wav_bytes_per_second(data: bytes) -> int | None:
    """The rate in the header of a WAV file; None for other files.

    Format: https://www.mmsp.ece.mcgill.ca/Documents/AudioFormats/WAVE/WAVE.html.
    """
    at = data.find(b"fmt ", 12, 500) if data.startswith(b"RIFF") else -1
    if at < 0 or len(data) < at + 24:
        return None
    channels, _, rate = struct.unpack_from("<HII", data, at + 10)
    return int(rate) if channels and rate >= _MIN_BYTES_PER_SECOND else None


def most_of_file(model: str, part: FilePart) -> int:
    """The most tokens of a document or recording beyond those of its text in the body.

    >>> most_of_file("gemini:gemini-2.5-pro", FilePart("application/pdf", data=b"/Type/Page"))
    1120
    """
    match kind_of(part.media_type):
        case "audio":
            return most_seconds(part) * _TOKENS_PER_SECOND
        case "pdf":
            pages = pages_of(part) or MOST_PAGES
            return pages * _most_of_page(model) + _for_citations(model, "")
    if part.data is None:  # a text at a URL; the window of a model bounds it
        return MOST_PAGES * _TEXT_TOKENS_PER_PAGE
    return _for_citations(model, part.text or "")


def likely_of_file(model: str, part: FilePart) -> int:
    """The likely tokens of a document or recording beyond those of its text in the body."""
    match kind_of(part.media_type):
        case "audio":
            size_bytes = len(part.data or b"")
            rate = _wav_bytes_per_second(part.data or b"") or _LIKELY_BYTES_PER_SECOND
            return ceil(size_bytes / rate) * _TOKENS_PER_SECOND
        case "pdf":
            pages = pages_of(part) or 1
            is_gemini = "gemini" in model
            page = 0 if is_gemini else _LIKELY_TEXT_TOKENS_PER_PAGE
            return pages * (page + min(_image_of_page(model), _GEMINI_TOKENS_PER_PAGE))
    return 0


def _most_of_page(model: str) -> int:
    if "gemini" in model:  # its own reading of a page's text is not billed
        return _GEMINI_TOKENS_PER_PAGE
    return _TEXT_TOKENS_PER_PAGE + _image_of_page(model)


def _image_of_page(model: str) -> int:
    return token_bounds.of_image(model, ImagePart(None))


def _for_citations(model: str, text: str) -> int:
    if "claude" not in model:
        return 0
    marks = sum(1 for _ in _ENDS_OF_SENTENCES.finditer(text))
    return _TOKENS_FOR_CITATIONS + marks * _TOKENS_PER_MARK

"""Documents and recordings of a message: PDF, text of any kind, audio.

Sources are a path, bytes, an http(s) or ``data:`` URL, or an open file. The kind of a file is read
from its bytes, the kind of text from the end of its name. A name is shown to the model, in the log
and in the panel, so it is cleaned: no folders, control characters or marks that reorder letters.
"""

from __future__ import annotations

import base64
import os
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote

from llm_playground._validation import checks_arguments, repr_of, shorten
from llm_playground.errors import InvalidParameterError
from llm_playground.parts import FilePart, decoded, is_text
from llm_playground.redaction import printable
from llm_playground.request import locations

Kind = Literal["pdf", "text", "audio"]

# The largest file that a vendor takes in a request: OpenAI and, of a PDF, Gemini.
# https://developers.openai.com/api/docs/guides/file-inputs,
# https://ai.google.dev/gemini-api/docs/file-input-methods
MAX_BYTES = 50_000_000
_MAX_NAME_CHARACTERS = 120
_MAX_SUFFIX_CHARACTERS = 12
_PDF_START_BYTES = 1024  # in which readers look for the mark of a PDF
PDF = "application/pdf"
# First bytes of audio. MP3 without a tag starts with a frame of layer III.
_AUDIO_MAGIC: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"RIFF....WAVE", re.DOTALL), "audio/wav"),
    (re.compile(rb"ID3|\xff[\xfb\xfa\xf3\xf2\xe3\xe2]"), "audio/mpeg"),
    (re.compile(rb"fLaC"), "audio/flac"),
    (re.compile(rb"OggS"), "audio/ogg"),
    (re.compile(rb"FORM....AIF[FC]", re.DOTALL), "audio/aiff"),
    (re.compile(rb"\xff[\xf1\xf9]"), "audio/aac"),
    (re.compile(rb"....ftyp(?:M4A|M4B)", re.DOTALL), "audio/mp4"),
)
# First bytes of what cannot be sent, with what to do about it.
_UNSENDABLE: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (
        re.compile(rb"\x89PNG|\xff\xd8\xff|GIF8[79]a|RIFF....WEBP", re.DOTALL),
        "is an image. Pass it as images=",
    ),
    (
        re.compile(rb"PK\x03\x04|\xd0\xcf\x11\xe0"),
        "is an Office document or an archive. Save it as PDF or text",
    ),
    (re.compile(rb"....ftyp", re.DOTALL), "is a video. Save its sound as MP3 or WAV"),
)
# Characters that no text has, whatever its encoding.
_BINARY = re.compile(r"[\x00-\x06\x0e-\x1a\x1c-\x1f]")
# The registered media types of text; a suffix that is not listed is plain text. A table in place of
# the system's, so that a prompt has one hash on all machines.
_TEXT_TYPES = {
    ".csv": "text/csv",
    ".css": "text/css",
    ".htm": "text/html",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".markdown": "text/markdown",
    ".md": "text/markdown",
    ".py": "text/x-python",
    ".rtf": "text/rtf",
    ".svg": "image/svg+xml",
    ".tsv": "text/tab-separated-values",
    ".xml": "text/xml",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
}
_AUDIO_TYPES = {
    ".aac": "audio/aac",
    ".aif": "audio/aiff",
    ".aiff": "audio/aiff",
    ".flac": "audio/flac",
    ".m4a": "audio/mp4",
    ".mp3": "audio/mpeg",
    ".oga": "audio/ogg",
    ".ogg": "audio/ogg",
    ".wav": "audio/wav",
}
_TYPES_AT_URL = {".pdf": PDF, ".txt": "text/plain"} | _TEXT_TYPES | _AUDIO_TYPES
_SUFFIX_OF_KIND: dict[Kind, str] = {"pdf": ".pdf", "text": ".txt", "audio": ""}
_SUFFIX_OF_AUDIO = {media_type: suffix for suffix, media_type in reversed(_AUDIO_TYPES.items())}


@checks_arguments("file")
def file(source: Any, name: str | None = None) -> FilePart:  # noqa: ANN401 - types are checked here
    """A document or recording to send: ``lp.ask("Sum it up.", files=[lp.file("report.pdf")])``.

    Args:
        source: A path, bytes, an ``http(s)`` URL (sent as it is, not fetched), a ``data:`` URL,
            or an open file. PDF, text (UTF-8, or another encoding with a mark, else
            Windows-1252), and audio (WAV, MP3, FLAC, OGG, AAC, AIFF, M4A) are known by their bytes.
        name: The name that the model sees; None is the file's own.

    Raises:
        InvalidParameterError: The file does not exist, cannot be read, is empty, has more than
            50 MB, or is none of these kinds.

    >>> file(b"a,b", name="table.csv")
    FilePart(media_type='text/csv', name='table.csv', url=None, stored_sha256=None)
    """
    if name is not None and not isinstance(name, str):
        raise InvalidParameterError(f"The name of a file is text; got {repr_of(name, 60)}.")
    if isinstance(source, FilePart):
        return _checked(source, name)
    if isinstance(source, str):
        return _from_text(source.strip(), name)
    if isinstance(source, os.PathLike):
        return _from_path(Path(source), name)
    data = _bytes_of(source)
    own = getattr(source, "name", None)
    return from_bytes(data, name or (own if isinstance(own, str) else ""))


def files_from(sources: Any) -> tuple[FilePart, ...]:  # noqa: ANN401 - as file()
    """One file or a list of files, as parts.

    Raises:
        InvalidParameterError: See :func:`file`.
    """
    return tuple(map(file, sources if isinstance(sources, (list, tuple)) else [sources]))


def from_bytes(data: bytes, name: str = "") -> FilePart:
    """The part of a file's bytes; ``name`` may hold folders and any characters.

    Raises:
        InvalidParameterError: It is empty, too large, or neither PDF, text nor audio.

    >>> from_bytes(b"%PDF-1.7", "../../a.pdf").name
    'a.pdf'
    """
    shown = shorten(printable(name), 60) or "This file"
    _check_size(data, shown)
    media_type = _media_type(data, name, shown)
    return FilePart(media_type, clean_name(name, media_type), data)


def clean_name(name: str, media_type: str | None) -> str:
    r"""The last part of a path as a name of one line, without misleading characters.

    >>> clean_name("/tmp/x/plan\u202efdp.exe\n", "application/pdf")
    'planfdp.exe'
    >>> clean_name("", "audio/wav"), clean_name("..", None)
    ('recording.wav', 'document.pdf')
    """
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    # Every kind of control, format mark, private or broken character; spaces of any kind are one.
    kept = "".join(char for char in last if not unicodedata.category(char).startswith("C"))
    cleaned = " ".join(kept.split()).lstrip(".")
    if not cleaned:
        kind = kind_of(media_type)
        suffix = _SUFFIX_OF_AUDIO.get(media_type or "", "") or _SUFFIX_OF_KIND[kind]
        return f"{'recording' if kind == 'audio' else 'document'}{suffix}"
    if len(cleaned) <= _MAX_NAME_CHARACTERS:
        return cleaned
    suffix = Path(cleaned).suffix
    suffix = suffix if len(suffix) <= _MAX_SUFFIX_CHARACTERS else ""
    return f"{cleaned[: _MAX_NAME_CHARACTERS - len(suffix) - 1]}…{suffix}"


def kind_of(media_type: str | None) -> Kind:
    """What a file is to a model; one at a URL that does not say is taken for a PDF.

    Raises:
        InvalidParameterError: It is of another type, such as a video.

    >>> kind_of("text/csv"), kind_of("audio/wav"), kind_of(None)
    ('text', 'audio', 'pdf')
    """
    if media_type is None or media_type == PDF:
        return "pdf"
    if media_type.startswith("audio/"):
        return "audio"
    if is_text(media_type):
        return "text"
    raise InvalidParameterError(
        f"A file of the type {shorten(media_type, 60)} cannot be sent. Use PDF, text or audio."
    )


def with_heading(part: FilePart, text: str) -> str:
    r"""A file's text below its name, for models that take no files of text.

    >>> with_heading(FilePart("text/plain", "a.txt", b"One."), "One.")
    'File a.txt:\n\nOne.\n'
    """
    return f"File {part.name}:\n\n{text}\n"


def encoded(part: FilePart) -> str:
    """A file's bytes in base64; empty without bytes."""
    return base64.b64encode(part.data or b"").decode()


def data_url(part: FilePart) -> str:
    """The URL of a file, or a data URL of its bytes."""
    if part.data is None:
        return part.url or ""
    return f"data:{part.media_type or PDF};base64,{encoded(part)}"


def _from_text(text: str, name: str | None) -> FilePart:
    match locations.kind_of(text, "file"):
        case "data":
            return from_bytes(locations.of_data_url(text), name or _name_of_type(text))
        case "web":
            return _from_url(text, name)
    return _from_path(Path(text), name)


def _name_of_type(url: str) -> str:
    """A name that ends as the media type of a ``data:`` URL asks; empty for plain text."""
    media_type = re.split(r"[;,]", url[len("data:") :], maxsplit=1)[0].strip().lower()
    suffixes = (suffix for suffix, known in _TEXT_TYPES.items() if known == media_type)
    return next((f"document{suffix}" for suffix in suffixes), "")


def _from_url(url: str, name: str | None) -> FilePart:
    parts = locations.url_parts(url, "file")
    media_type = _TYPES_AT_URL.get(Path(parts.path).suffix.lower())
    own = unquote(parts.path, errors="replace").rstrip("/")
    return FilePart(media_type, clean_name(name or own or str(parts.hostname), media_type), url=url)


def _from_path(path: Path, name: str | None) -> FilePart:
    return from_bytes(locations.read_path(path, "file", MAX_BYTES), name or path.name)


def _bytes_of(source: object) -> bytes:
    """The bytes of an object in memory or of an open file."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source)
    read = None if isinstance(source, type) else getattr(source, "read", None)
    if not callable(read):
        raise InvalidParameterError(
            "A file is a path, bytes, a URL or an open file; got "
            f"{type(source).__name__} {repr_of(source, 60)}."
        )
    try:
        return b"".join(_pieces(read))
    except InvalidParameterError:
        raise
    except Exception as error:  # a closed file, an object of the user's
        name, why = type(source).__name__, shorten(str(error), 60)
        raise InvalidParameterError(f"This {name} cannot be read: {why}.") from None


def _pieces(read: Any) -> Iterable[bytes]:  # noqa: ANN401 - a method of any object
    """What an open file holds, up to one byte more than is allowed; text as UTF-8."""
    left = MAX_BYTES + 1
    while left > 0:
        piece = read(left)
        if not isinstance(piece, (bytes, str)):
            raise InvalidParameterError(f"A file has bytes or text; got {type(piece).__name__}.")
        data = piece.encode("utf-8", "replace") if isinstance(piece, str) else piece
        if not data:
            return
        left -= len(data)
        yield data


def _checked(part: FilePart, name: str | None) -> FilePart:
    """A part that was made by hand, with a clean name and a type that can be sent."""
    given = name or part.name or ""
    if part.data is not None and part.media_type is None:
        return from_bytes(part.data, given)
    kind_of(part.media_type)
    cleaned = clean_name(given, part.media_type)
    if part.data is not None:
        _check_size(part.data, cleaned)
    return part if cleaned == part.name else replace(part, name=cleaned)


def _check_size(data: bytes, shown: str) -> None:
    if not data.strip():
        raise InvalidParameterError(f"{shown} is empty.")
    if len(data) > MAX_BYTES:
        raise InvalidParameterError(
            f"{shown} has more than {MAX_BYTES // 1_000_000} MB, which providers reject. "
            "Send a part of it."
        )


def _media_type(data: bytes, name: str, shown: str) -> str:
    if b"%PDF-" in data[:_PDF_START_BYTES]:
        return PDF
    for pattern, media_type in _AUDIO_MAGIC:
        if pattern.match(data):
            return media_type
    for pattern, advice in _UNSENDABLE:
        if pattern.match(data):
            raise InvalidParameterError(f"{shown} {advice}.")
    if _BINARY.search(decoded(data)) is None:
        return _TEXT_TYPES.get(Path(name).suffix.lower(), "text/plain")
    raise InvalidParameterError(f"{shown} is neither PDF, text nor audio that providers take.")

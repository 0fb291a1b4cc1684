"""The images and files of a prompt: their bytes stay in the kernel, views get descriptions.

Jupyter's server closes the connection at a message of 10 MB (tornado's default) and drops what a
kernel sends beyond 1 MB a second. A view therefore sends each one once, in pieces, and the traits
hold entries: names and sizes only.
"""

from __future__ import annotations

import base64
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

from llm_playground import ids
from llm_playground.errors import InvalidParameterError
from llm_playground.parts import FilePart, ImagePart
from llm_playground.request import files, images, locations
from llm_playground.request.files import file
from llm_playground.request.images import image

# JSON for the view: id, name, media_type, size_bytes, sha256, and url, path, thumbnail or problem.
Entry: TypeAlias = dict[str, Any]
Kind: TypeAlias = Literal["image", "file"]

THUMBNAIL_PX = 128
_MOST_THUMBNAIL_CHARACTERS = 40_000
_SMALL_BYTES = 200_000
_FIELDS = (
    "id",
    "name",
    "media_type",
    "size_bytes",
    "sha256",
    "url",
    "path",
    "thumbnail",
    "problem",
)
_MOST_NAME_CHARACTERS = 120
_MOST_UPLOADS = 8  # at the same time


def read(source: Any, kind: Kind, name: str | None = None) -> ImagePart | FilePart:  # noqa: ANN401 - as lp.image and lp.file
    """An image or file; raises as :func:`llm_playground.image` or :func:`llm_playground.file`."""
    return image(source) if kind == "image" else file(source, name)


class Attachments:
    """The images and files behind the entries of one panel, by the entries' ids."""

    def __init__(self) -> None:
        self.kept: dict[str, ImagePart | FilePart] = {}
        self._pieces: dict[str, dict[int, bytes]] = {}
        self._piece_bytes: dict[str, int] = {}

    def entries(self, value: object, kind: Kind) -> list[Entry]:
        """Images or files as entries; one that cannot be read has a ``problem``.

        ``value`` is anything that :func:`llm_playground.image` (or ``file``) takes, an entry, or a
        list of these.
        """
        sources = value if isinstance(value, (list, tuple)) else [] if value is None else [value]
        return [self._entry(source, kind) for source in sources]

    def parts(self, entries: Sequence[Mapping[str, Any]], kind: Kind) -> list[Any]:
        """The images or files of entries, as they are sent.

        Raises:
            InvalidParameterError: One cannot be read, or is not in this kernel.
        """
        return [self._part(entry, kind) for entry in entries]

    def add(self, source: Any, kind: Kind, name: str | None = None) -> Entry:  # noqa: ANN401 - as read
        """Keep an image or file; its entry. Raises as :func:`read`."""
        part = read(source, kind, name)
        self.kept[key := ids.new_id()] = part
        own = part.name if isinstance(part, FilePart) else None
        shown = (own or name or _name(source, part))[:_MOST_NAME_CHARACTERS]
        return {"id": key, "name": shown} | _metadata(part) | _location(source, part)

    def add_piece(self, key: str, at: int, piece: bytes) -> None:
        """Keep one piece of what a view sends; ``at`` counts the pieces from 0."""
        pieces = self._pieces.setdefault(key, {})
        size = self._piece_bytes.get(key, 0)
        if piece and at not in pieces and size <= files.MAX_BYTES:  # file() refuses what is larger
            pieces[at], self._piece_bytes[key] = bytes(piece), size + len(piece)
        if len(self._pieces) > _MOST_UPLOADS:  # the oldest was given up
            self._forget_pieces(next(iter(self._pieces)))

    def complete(self, key: str, name: str, kind: Kind) -> Entry:
        """Join the pieces of an image or file and keep it under the view's id; its entry.

        Raises:
            InvalidParameterError: It is not of this kind, or too large.
        """
        pieces = self._pieces.get(key, {})
        data = b"".join(pieces[at] for at in sorted(pieces))
        try:
            part = self.kept[key] = read(data, kind, name)
        except InvalidParameterError as error:
            raise InvalidParameterError(str(error).replace("This bytes", name, 1)) from None
        finally:
            self._forget_pieces(key)
        named = {"name": part.name} if isinstance(part, FilePart) else {}
        return {"id": key} | named | _metadata(part)

    def thumbnail(self, key: str) -> str:
        """A small picture as a ``data:`` URL; empty where none can be made, as of a file."""
        part = self.kept.get(key)
        if not isinstance(part, ImagePart) or part.data is None:
            return ""
        return _thumbnail(part.data, part.media_type)

    def keep_only(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Forget the images and files of all other entries."""
        wanted = {entry.get("id") for entry in entries}
        for key in self.kept.keys() - wanted:
            del self.kept[key]

    def _forget_pieces(self, key: str) -> None:
        self._pieces.pop(key, None)
        self._piece_bytes.pop(key, None)

    def _entry(self, source: object, kind: Kind) -> Entry:
        name = None
        if isinstance(source, Mapping):
            if "id" in source or "problem" in source:
                return _checked(source)
            given, source = source.get("name"), _source_of(source)
            name = given if isinstance(given, str) else None
        try:
            return self.add(source, kind, name)
        except InvalidParameterError as error:
            shown = name or (source if isinstance(source, str) else type(source).__name__)
            shown = shown[:_MOST_NAME_CHARACTERS]
            return {"id": ids.new_id(), "name": shown, "problem": str(error)}

    def _part(self, entry: Mapping[str, Any], kind: Kind) -> ImagePart | FilePart:
        if entry.get("problem"):
            raise InvalidParameterError(str(entry["problem"]))
        key, name = str(entry.get("id")), entry.get("name", f"The {kind}")
        if key in self.kept:
            return self.kept[key]
        if key in self._pieces:
            raise InvalidParameterError(f"{name} is still on its way. Run again in a moment.")
        if location := entry.get("url") or entry.get("path"):  # of a draft, after a restart
            self.kept[key] = read(location, kind)
            return self.kept[key]
        raise InvalidParameterError(f"{name} is not in this kernel. Remove it and add it again.")


def _checked(entry: Mapping[str, Any]) -> Entry:
    """An entry from a view or a draft, without unknown fields and unusual thumbnails."""
    known = {name: entry[name] for name in _FIELDS if isinstance(entry.get(name), (str, int))}
    thumbnail = str(known.get("thumbnail", ""))
    if len(thumbnail) > _MOST_THUMBNAIL_CHARACTERS or not thumbnail.startswith("data:image/"):
        known.pop("thumbnail", None)
    return known


def _source_of(entry: Mapping[str, Any]) -> object:
    """The source in a dict of ``url``, ``path`` or ``data`` (bytes or base64)."""
    if data := entry.get("data"):
        media_type = entry.get("media_type") or "image/png"
        return data if isinstance(data, bytes) else f"data:{media_type};base64,{data}"
    return entry.get("url") or entry.get("path") or entry


def kind_of(path: str) -> Kind:
    """Whether a path or web address is that of an image, by the end of its name.

    An address without such an end is taken for an image's.

    >>> kind_of("https://example.com/cat"), kind_of("cat.PNG"), kind_of("report.pdf")
    ('image', 'image', 'file')
    """
    is_url = locations.is_url(path)
    suffix = Path(urlsplit(path).path if is_url else path).suffix.lower()
    return "image" if suffix in images.SUFFIXES or (is_url and not suffix) else "file"


def _metadata(part: ImagePart | FilePart) -> Entry:
    """What is known about an image or file; empty for one that has not been fetched."""
    size_bytes = None if part.data is None else len(part.data)
    metadata = {"media_type": part.media_type, "sha256": part.sha256, "size_bytes": size_bytes}
    return {name: value for name, value in metadata.items() if value is not None}


def _location(source: object, part: ImagePart | FilePart) -> Entry:
    """Where it can be loaded from again."""
    if part.url is not None:
        return {"url": part.url}
    if _is_path(source):
        return {"path": str(Path(str(source)).expanduser().resolve())}
    return {}


def _is_path(source: object) -> bool:
    text = str(source) if isinstance(source, (str, os.PathLike)) else "data:"
    return not text.strip().lower().startswith("data:")


def _name(source: object, part: ImagePart | FilePart) -> str:
    if part.url is not None:
        parts = urlsplit(part.url)
        return Path(parts.path).name or str(parts.hostname)
    if _is_path(source):
        return Path(str(source)).name
    kind = (
        "picture"
        if isinstance(source, (str, bytes, bytearray, ImagePart))
        else type(source).__name__
    )
    return f"{kind}.{(part.media_type or 'image/png').partition('/')[2]}"


def _thumbnail(data: bytes, media_type: str | None) -> str:
    """Drawn by Pillow if it is installed, else the picture itself if it is small."""
    with suppress(Exception):  # no Pillow, or any error of its about a broken or huge picture
        return f"data:image/png;base64,{base64.b64encode(_shrink(data)).decode()}"
    if len(data) <= _SMALL_BYTES:
        return f"data:{media_type};base64,{base64.b64encode(data).decode()}"
    return ""


def _shrink(data: bytes) -> bytes:
    from PIL import Image  # optional

    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(BytesIO(data)) as picture:
            picture.draft("RGB", (THUMBNAIL_PX, THUMBNAIL_PX))
            picture.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
            shrunk = BytesIO()
            picture.convert("RGBA").save(shrunk, "PNG")
    return shrunk.getvalue()

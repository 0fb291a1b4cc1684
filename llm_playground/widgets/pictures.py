"""The pictures of a prompt: their bytes stay in the kernel, a view is told what they are.

Jupyter's server cuts the connection at a message of 10 MB (tornado's default) and drops what a
kernel sends beyond 1 MB a second. So a view sends a picture once, in pieces, and the trait has
names and sizes only.
"""

from __future__ import annotations

import base64
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from llm_playground import _ids
from llm_playground.errors import InvalidParameterError
from llm_playground.images import MAX_BYTES, image
from llm_playground.types import ImagePart

# JSON for the view: id, name, media_type, size_bytes, sha256, and url, path, thumbnail or problem.
Entry: TypeAlias = dict[str, Any]

THUMBNAIL_PX = 128
_MOST_THUMBNAIL_CHARACTERS = 40_000
_SMALL_BYTES = 200_000
_KNOWN = ("id", "name", "media_type", "size_bytes", "sha256", "url", "path", "thumbnail", "problem")
_LONGEST_NAME = 120


class Pictures:
    """The bytes behind the entries of one panel, by the entries' ids."""

    def __init__(self) -> None:
        self._parts: dict[str, ImagePart] = {}
        self._arriving: dict[str, dict[int, bytes]] = {}

    def entries(self, given: object) -> list[Entry]:
        """What a person or a view gave as entries; what is no picture has its ``problem``.

        Args:
            given: One of what :func:`llm_playground.image` takes or an entry, or a list of them.
        """
        several = given if isinstance(given, (list, tuple)) else [] if given is None else [given]
        return [self._entry(source) for source in several]

    def parts(self, entries: Sequence[Mapping[str, Any]]) -> list[ImagePart]:
        """What is sent for the entries.

        Raises:
            InvalidParameterError: One is no picture, or its bytes are not here.
        """
        return [self._part(entry) for entry in entries]

    def add(self, source: Any, name: str | None = None) -> Entry:  # noqa: ANN401 - see image()
        """Keep a picture; its entry.

        Raises:
            InvalidParameterError: See :func:`llm_playground.image`.
        """
        part = image(source)
        self._parts[key := _ids.new_id()] = part
        called = (name or _name(source, part))[:_LONGEST_NAME]
        return {"id": key, "name": called} | _facts(part) | _place(source, part)

    def take_piece(self, key: str, at: int, piece: bytes) -> None:
        """One piece of a picture that a view sends; ``at`` counts them from 0."""
        pieces = self._arriving.setdefault(key, {})
        if sum(map(len, pieces.values())) <= MAX_BYTES:  # image() says that it is too large
            pieces[at] = bytes(piece)

    def complete(self, key: str, name: str) -> Entry:
        """All pieces are here: keep the picture under the id that the view gave it.

        Raises:
            InvalidParameterError: It is none, or too large.
        """
        pieces = self._arriving.get(key, {})
        try:
            part = self._parts[key] = image(b"".join(pieces[at] for at in sorted(pieces)))
        except InvalidParameterError as error:
            raise InvalidParameterError(str(error).replace("This bytes", name, 1)) from None
        finally:
            self._arriving.pop(key, None)
        return {"id": key} | _facts(part)

    def thumbnail(self, key: str) -> str:
        """A small picture as a ``data:`` URL; empty where none can be made."""
        part = self._parts.get(key)
        if part is None or part.data is None:
            return ""
        return _thumbnail(part)

    def keep_only(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Forget the bytes of all other entries."""
        wanted = {entry.get("id") for entry in entries}
        for key in [key for key in self._parts if key not in wanted]:
            del self._parts[key]

    def _entry(self, source: object) -> Entry:
        if isinstance(source, Mapping) and ("id" in source or "problem" in source):
            return _cleaned(source)
        name = None
        if isinstance(source, Mapping):
            name, source = source.get("name"), _source_of(source)
        try:
            return self.add(source, name)
        except InvalidParameterError as error:
            shown = name or (source if isinstance(source, str) else type(source).__name__)
            return {"id": _ids.new_id(), "name": shown[:_LONGEST_NAME], "problem": str(error)}

    def _part(self, entry: Mapping[str, Any]) -> ImagePart:
        if entry.get("problem"):
            raise InvalidParameterError(str(entry["problem"]))
        key, name = str(entry.get("id")), entry.get("name", "The picture")
        if key in self._parts:
            return self._parts[key]
        if key in self._arriving:
            raise InvalidParameterError(f"{name} is still on its way. Run again in a moment.")
        if place := entry.get("url") or entry.get("path"):  # of a draft, after a restart
            self._parts[key] = image(place)
            return self._parts[key]
        raise InvalidParameterError(f"{name} is not in this kernel. Remove it and add it again.")


def _cleaned(entry: Mapping[str, Any]) -> Entry:
    known = {field: entry[field] for field in _KNOWN if entry.get(field) is not None}
    thumbnail = str(known.get("thumbnail", ""))
    small = len(thumbnail) <= _MOST_THUMBNAIL_CHARACTERS and thumbnail.startswith("data:image/")
    return known if small else {k: v for k, v in known.items() if k != "thumbnail"}


def _source_of(entry: Mapping[str, Any]) -> object:
    """What a dict of ``url``, ``path`` or ``data`` (bytes or base64) stands for."""
    if data := entry.get("data"):
        kind = entry.get("media_type") or "image/png"
        return data if isinstance(data, bytes) else f"data:{kind};base64,{data}"
    return entry.get("url") or entry.get("path") or entry


def _facts(part: ImagePart) -> Entry:
    """What is known of a picture; nothing of one that is not fetched."""
    facts = {"media_type": part.media_type, "sha256": part.sha256}
    size = {} if part.data is None else {"size_bytes": len(part.data)}
    return {name: fact for name, fact in facts.items() if fact is not None} | size


def _place(source: object, part: ImagePart) -> Entry:
    """Where the picture can be had again."""
    if part.url is not None:
        return {"url": part.url}
    if _is_path(source):
        return {"path": str(Path(str(source)).expanduser().resolve())}
    return {}


def _is_path(source: object) -> bool:
    text = str(source) if isinstance(source, (str, os.PathLike)) else "data:"
    return not text.strip().lower().startswith("data:")


def _name(source: object, part: ImagePart) -> str:
    if part.url is not None:
        parts = urlsplit(part.url)
        return Path(parts.path).name or str(parts.hostname)
    if _is_path(source):
        return Path(str(source)).name
    kind = "picture" if isinstance(source, (str, bytes, bytearray)) else type(source).__name__
    return f"{kind}.{(part.media_type or 'image/png').partition('/')[2]}"


def _thumbnail(part: ImagePart) -> str:
    """Drawn small where Pillow is there; else the picture itself if it is small."""
    data = part.data or b""
    with suppress(Exception):  # no Pillow, or whatever it raises for a broken or huge picture
        return f"data:image/png;base64,{base64.b64encode(_drawn_small(data)).decode()}"
    if len(data) <= _SMALL_BYTES:
        return f"data:{part.media_type};base64,{base64.b64encode(data).decode()}"
    return ""


def _drawn_small(data: bytes) -> bytes:
    from PIL import Image  # first use, not import; not one of our requirements

    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(BytesIO(data)) as picture:
            picture.draft("RGB", (THUMBNAIL_PX, THUMBNAIL_PX))
            picture.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
            saved = BytesIO()
            picture.convert("RGBA").save(saved, "PNG")
    return saved.getvalue()

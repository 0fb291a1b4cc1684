"""Images, files and recordings in the log: the table ``attachments``, each once, by its SHA-256.

A prompt's messages hold the hashes of its attachments. After the journal line of the prompt, and
before the request is sent, the recorder writes each attachment to a file beside the journals; a
drain moves the files into the table. The order matters: one that another process removes as unused
while this one uses it again is stored again, because its prompt is in the log before its file is
read.

The name of a file is the hash, the size in bytes, what it holds and the media type. One that holds
the ``hash`` is empty: the attachment is above the limit of ``configure(privacy=...)``, or is a text
with a key, which texts in the log never have.
"""

from __future__ import annotations

import glob
import hashlib
import logging
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from llm_playground import _files
from llm_playground.errors import RunLogError
from llm_playground.parts import AudioPart, FilePart, ImagePart, Part, part_of_json
from llm_playground.redaction import redact
from llm_playground.runlog.store import Dialect, Session, Writer

T = TypeVar("T", bound=Part)
Attached = ImagePart | FilePart | AudioPart

BYTES_PER_MB = 1_000_000
_NAME = re.compile(
    r"(?P<sha256>[0-9a-f]{64})~(?P<size>\d{1,12})~(?P<holds>data|hash)~(?P<kind>[a-z]+~[a-z0-9.+-]+)?"
)
_MEDIA_TYPE = re.compile(r"[a-z]+/[a-z0-9.+-]{1,60}")
_FIND = "SELECT data IS NOT NULL FROM attachments WHERE sha256 = $sha256"
_INSERT = """
INSERT INTO attachments (sha256, media_type, size_bytes, data)
VALUES ($sha256, $media_type, $size_bytes, {data}) ON CONFLICT DO NOTHING
"""
_COMPLETE = "UPDATE attachments SET data = {data} WHERE sha256 = $sha256 AND data IS NULL"
# DuckDB takes a second for a value of 10 MB, and 50 ms to read it from a file.
_OF_FILE = "(SELECT content FROM read_blob($data))"
_READ = """
SELECT sha256, media_type, size_bytes, data FROM attachments
WHERE sha256 IN (SELECT unnest(CAST($hashes AS VARCHAR[])))
"""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Attachment:
    """One row of ``attachments``; ``data`` is None for what is not stored."""

    sha256: str
    media_type: str | None
    size_bytes: int | None  # None in a row of another program
    data: bytes | None

    @classmethod
    def of(cls, sha256: str, part: Attached, limit_mb: float) -> Attachment:
        """The row of an image or file that has its bytes, whose hash is ``sha256``."""
        data = part.data or b""
        known = _MEDIA_TYPE.fullmatch(part.media_type or "")
        is_kept = len(data) <= limit_mb * BYTES_PER_MB and not _has_key(part)
        return cls(sha256, known and known[0], len(data), data if is_kept else None)

    @property
    def file_name(self) -> str:
        """The name of its file beside the journals."""
        holds, kind = "hash" if self.data is None else "data", self.media_type or ""
        return f"{self.sha256}~{self.size_bytes}~{holds}~{kind.replace('/', '~')}"

    @classmethod
    def read(cls, path: Path) -> Attachment | None:
        """The row in a file beside the journals; None if it is gone or is no such file."""
        match = _NAME.fullmatch(path.name)
        if match is None:
            return None
        try:
            data = path.read_bytes()
        except FileNotFoundError:  # another process has stored it
            return None
        kind = match["kind"] and match["kind"].replace("~", "/")
        holds_data = match["holds"] == "data"
        return cls(match["sha256"], kind, int(match["size"]), data if holds_data else None)


def _has_key(part: Attached) -> bool:
    """Whether a file of text holds a key; bytes cannot be stored without it."""
    text = part.text if isinstance(part, FilePart) else None
    return text is not None and redact(text) != text


class AttachmentFiles:
    """The attachments beside the journals in ``folder`` that wait for a drain."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "attachments"
        self._refused: set[Path] = set()
        self._own: set[Path] = set()  # of prompts of this process
        self._said: set[str] = set()

    def keep(self, parts: Iterable[tuple[str, Attached]], limit_mb: float) -> None:
        """Write images and files that have their bytes, with their hashes; never raises."""
        try:
            for sha256, part in parts:
                self._write(Attachment.of(sha256, part, limit_mb), limit_mb)
        except OSError as error:
            self._warn(
                f"An attachment of a prompt is not stored: {self.folder} cannot be written "
                f"({error.strerror}). The run itself is logged."
            )

    def _write(self, attachment: Attachment, limit_mb: float) -> None:
        path = self.folder / attachment.file_name
        self._own.add(path)
        if path.exists():
            return
        if attachment.data is None and (attachment.size_bytes or 0) > limit_mb * BYTES_PER_MB:
            self._warn(
                f"Images and files above {limit_mb:g} MB are not stored, only their hashes: runs "
                "with them cannot be reopened whole. "
                'lp.configure(privacy={"image_mb": ...}) sets the limit.'
            )
        elif attachment.data is None:
            self._warn("A file with a key in its text is not stored, only its hash.")
        group = _files.group_of(self.folder.parent)
        if not self.folder.exists():
            _files.create_folder(self.folder)
            _files.set_rights(self.folder, group)
        with _files.making(path) as folder:
            with os.fdopen(_files.create(folder / "file", group=group), "wb") as file:
                file.write(attachment.data or b"")
            # Without fsync, as for journals; the hash is checked when the attachment is read.
            (folder / "file").replace(path)

    def waiting(self, *, only_own: bool = False) -> list[Path]:
        """The files to drain; what killed processes left incomplete is removed.

        A drain that does not read the journals of others leaves their attachments: no prompt in the
        database would use these yet, and a purge would remove them.
        """
        try:
            found = [Path(entry.path) for entry in os.scandir(self.folder)]
        except OSError:  # none was ever sent
            return []
        _files.remove_leftovers(self.folder)
        drained = self._own.intersection(found) if only_own else {*found}
        return sorted(p for p in drained - self._refused if _NAME.fullmatch(p.name))

    def ingest(self, writer: Writer, paths: Sequence[Path], dialect: Dialect) -> None:
        """Insert files into the table, one transaction each. A refused one stays, with a warning.

        Call :meth:`remove` once the database is closed.
        """
        for path in paths:
            try:
                attachment = Attachment.read(path)
                if attachment is not None:
                    file = path if dialect == "duckdb" else None
                    writer.change(partial(insert, attachment=attachment, file=file))
            except (RunLogError, OSError) as error:
                self._refused.add(path)
                self._warn(f"An attachment is not in the log, and stays in {path} ({error})")

    def remove(self, paths: Iterable[Path]) -> None:
        """Delete files whose attachments are in the database."""
        for path in paths:
            if path not in self._refused:
                self._own.discard(path)
                path.unlink(missing_ok=True)

    def _warn(self, line: str) -> None:
        """Log a warning of one kind once in this process."""
        if line[:20] not in self._said:
            self._said.add(line[:20])
            _log.warning("%s", line)


def insert(session: Session, attachment: Attachment, file: Path | None = None) -> None:
    """Insert a row into the table unless it is there; DuckDB can read its bytes from a file."""
    session.lock("attachments")  # a purge holds it while it removes unused ones
    is_read = file is not None and attachment.data is not None
    data = _OF_FILE if is_read else "$data"
    values = asdict(attachment) | ({"data": glob.escape(str(file))} if is_read else {})
    match session.rows(_FIND, {"sha256": attachment.sha256}):
        case []:
            session.execute(_INSERT.format(data=data), values)
        case [(False,)] if attachment.data is not None:  # it was above the limit before
            known = {name: values[name] for name in ("sha256", "data")}
            session.execute(_COMPLETE.format(data=data), known)


def hashes_in(messages: Iterable[Mapping[str, Any]]) -> list[str]:
    """The hashes of the images and files in messages of a prompt's row.

    >>> hashes_in([{"role": "user", "content": [{"type": "image", "sha256": "ab"}]}])
    ['ab']
    """
    return [
        part["sha256"]
        for message in messages
        for part in message["content"]
        if isinstance(part, Mapping) and isinstance(part.get("sha256"), str)
    ]


class Rows(Protocol):
    """What :func:`find` reads from: a run log."""

    def rows(self, sql: str, params: Mapping[str, object]) -> list[dict[str, Any]]:
        """The rows of one SELECT as dictionaries."""


def find(log: Rows, hashes: Iterable[str]) -> dict[str, Attachment]:
    """Attachments in the log by their hashes, without those that it lacks or holds damaged.

    Raises:
        RunLogError: The log cannot be read.
    """
    wanted = sorted(set(hashes))
    rows = log.rows(_READ, {"hashes": wanted}) if wanted else []
    # DuckDB's bytes are a bytearray, which cannot be a part of a hashable message.
    found = (
        Attachment(**row | {"data": None if row["data"] is None else bytes(row["data"])})
        for row in rows
    )
    return {
        one.sha256: one
        for one in found
        if one.data is None or hashlib.sha256(one.data).hexdigest() == one.sha256
    }


def parts_with_bytes(log: Rows, parts: tuple[T, ...]) -> tuple[T, ...]:
    """Parts of an answer with the bytes that the log holds of them; a missing one stays a hash.

    Raises:
        RunLogError: The log cannot be read.
    """
    lacking = {
        str(part.stored_sha256)
        for part in parts
        if isinstance(part, (ImagePart, AudioPart)) and part.data is None and part.stored_sha256
    }
    return parts_found(parts, find(log, lacking))


def parts_found(parts: tuple[T, ...], found: Mapping[str, Attachment]) -> tuple[T, ...]:
    """Parts of an answer with the bytes of the attachments; a missing one stays a hash."""

    def whole(part: Any) -> Any:  # noqa: ANN401 - a part of the same type
        one = found.get(str(getattr(part, "stored_sha256", None)))
        if one is None or one.data is None:
            return part
        return replace(part, data=one.data, stored_sha256=None)  # as it came

    return tuple(map(whole, parts)) if found else parts


def with_bytes(
    messages: Iterable[Mapping[str, Any]], found: Mapping[str, Attachment]
) -> list[dict[str, Any]]:
    """Messages of a prompt's row with their attachments as parts; a missing one stays a hash.

    >>> row = Attachment("ab", "text/csv", 3, b"1,2")
    >>> part = {"type": "file", "media_type": "text/csv", "name": "t.csv", "sha256": "ab"}
    >>> with_bytes([{"role": "user", "content": [part]}], {"ab": row})[0]["content"][0].name
    't.csv'
    """

    def restored(part: Any) -> Any:  # noqa: ANN401 - a part in any of its forms
        one = found.get(str(part.get("sha256"))) if isinstance(part, Mapping) else None
        if one is None or one.data is None:
            return part
        if part.get("type") == "file":
            return FilePart(part.get("media_type"), part.get("name"), one.data)
        read = part_of_json(part)
        if not isinstance(read, (ImagePart, AudioPart)):
            return part
        return replace(read, data=one.data, stored_sha256=None)

    return [
        {**message, "content": [restored(part) for part in content]}
        if isinstance(content := message["content"], list)
        else dict(message)
        for message in messages
    ]

"""One GGUF file of Hugging Face, in huggingface_hub's cache; in a process of its own only.

The library knows where files are, who may read them, and how its cache is laid out. When a download
breaks off it throws away what came, and it checks the length only. So the bytes are fetched here:
into ``blobs/<checksum>.incomplete`` of the repository's cache folder, under the library's lock for
that file, on from where they ended, and checked before they get their name. The library then links
the file into the snapshot, as ever.

The layout is that of "Understand caching" in huggingface_hub's documentation. A file's ETag is its
SHA-256 or, where it is small enough to lie in git itself, git's SHA-1.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import Timeout
from huggingface_hub import (
    HfApi,
    constants,
    get_hf_file_metadata,
    get_session,
    get_token,
    hf_hub_download,
    hf_hub_url,
    try_to_load_from_cache,
)
from huggingface_hub.utils import (  # type: ignore[attr-defined]  # exported, lazily
    WeakFileLock,
    build_hf_headers,
    hf_raise_for_status,
)

from llm_playground.providers.hub_errors import in_words, on_the_way
from llm_playground.providers.hub_files import Progress, Refused, choose, nothing_fits, whole

_HASH = re.compile(r"[0-9a-f]{64}|[0-9a-f]{40}")
_TICK_S = 0.2
_TRIES = 5
_PAUSE_S = 0.5
_SPARE_BYTES = 16_000_000
_AGAIN = (408, 429, 500, 502, 503, 504)


def fetch(repo: str, wanted: str | None, token: str | None, progress: Progress) -> dict[str, str]:
    """``path`` of the file, or ``error`` in one line with its ``detail``.

    Args:
        repo: ``org/name``.
        wanted: The file's path there, a quantisation, or None.
        token: Used where the library finds none.
        progress: Told what goes on.
    """
    progress.doing = f"Asking {constants.ENDPOINT} for {repo}"
    try:
        token = None if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN else get_token() or token
        return {"path": _Repository(repo, token, progress).path_of(wanted)}
    except Refused as error:
        line, detail = str(error), repr(error.__cause__ or "")
    except Exception as error:
        line, detail = in_words(error, repo, wanted), repr(error)
    said = {"error": " ".join(line.split()), "detail": detail}
    return {
        name: text.replace(token, "[redacted]") if token else text for name, text in said.items()
    }


@dataclass(frozen=True, slots=True)
class _Repository:
    """One repository, asked with one token."""

    name: str
    token: str | None
    progress: Progress

    @property
    def folder(self) -> Path:
        """Its part of the cache."""
        return Path(constants.HF_HUB_CACHE) / f"models--{self.name.replace('/', '--')}"

    def path_of(self, wanted: str | None) -> str:
        """Where the wanted file is, fetched when it must be. What is named and there asks nobody.

        Raises:
            Refused: It cannot be had.
        """
        named = wanted is not None and wanted.lower().endswith(".gguf")
        file = whole(wanted) if named and wanted else self._chosen(wanted)
        there = try_to_load_from_cache(self.name, file)
        return there if isinstance(there, str) else self._fetched(file)

    def _chosen(self, wanted: str | None) -> str:
        """The file to take; of those in the cache, when the hub cannot be asked."""
        try:
            sizes = self._sizes()
        except Exception:
            sizes = self._cached_sizes()
            if choose(sizes, wanted) is None:
                raise
        file = choose(sizes, wanted)
        if file is None:
            raise Refused(nothing_fits(self.name, sizes, wanted))
        return file

    def _sizes(self) -> dict[str, int]:
        patience = constants.HF_HUB_ETAG_TIMEOUT
        info = HfApi().model_info(
            self.name, files_metadata=True, token=self.token, timeout=patience
        )
        return {file.rfilename: file.size or 0 for file in info.siblings or ()}

    def _cached_sizes(self) -> dict[str, int]:
        try:
            commit = (self.folder / "refs" / "main").read_text().strip()
        except OSError:
            return {}
        snapshot = self.folder / "snapshots" / commit
        files = [path for path in snapshot.rglob("*") if path.is_file()]
        return {path.relative_to(snapshot).as_posix(): path.stat().st_size for path in files}

    def _fetched(self, file: str) -> str:
        there = get_hf_file_metadata(hf_hub_url(self.name, file), token=self.token)
        if there.etag is None or not _HASH.fullmatch(there.etag) or there.size is None:
            raise Refused(
                f"{constants.ENDPOINT} does not say the checksum of {file}, so it is not fetched. "
                "Set HF_ENDPOINT to a hub that does, or use a GGUF file: local:path."
            )
        blob = self.folder / "blobs" / there.etag
        blob.parent.mkdir(parents=True, exist_ok=True)
        self.progress.in_all = there.size
        with self._turn(blob):
            if not blob.exists():
                self.progress.doing = f"Fetching {file.rpartition('/')[2]} from Hugging Face, once"
                _Blob(self, file, blob, there.size, there.commit_hash).fetch()
        return str(hf_hub_download(self.name, file, token=self.token))

    @contextmanager
    def _turn(self, blob: Path) -> Iterator[None]:
        """The library's lock for this file. Waiting shows how far the one before is."""
        lock = self.folder.parent / ".locks" / self.folder.name / f"{blob.name}.lock"
        lock.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            while True:
                try:
                    stack.enter_context(WeakFileLock(lock, timeout=_TICK_S))
                    break
                except Timeout:
                    self.progress.doing = f"Waiting for {self.name}, which another process fetches"
                    self.progress.so_far = _bytes_so_far(blob)
            yield


@dataclass(frozen=True, slots=True)
class _Blob:
    """A file's bytes on their way into the cache."""

    repository: _Repository
    file: str
    path: Path
    size: int
    commit: str | None

    def fetch(self) -> None:
        """Fetch what is missing, check all, and give it its name.

        Raises:
            Refused: It broke off too often, or its checksum is wrong, or the disk is too small.
        """
        partial = self.path.with_name(f"{self.path.name}.incomplete")
        resumed = partial.exists() and partial.stat().st_size > 0
        self._require_space(partial)
        self._receive(partial)
        if self._checksum(partial) == self.path.name:
            partial.replace(self.path)
            return
        partial.unlink()
        if resumed:  # what was there before may have been wrong
            self.fetch()
            return
        raise Refused(
            f"What came as {self.file} of {self.repository.name} is not the file that the hub "
            "announced (its checksum differs), so it was thrown away. Try again, or on another "
            "network."
        )

    def _require_space(self, partial: Path) -> None:
        there = partial.stat().st_size if partial.exists() else 0
        needed, free = self.size - there + _SPARE_BYTES, shutil.disk_usage(partial.parent).free
        if free < needed:
            raise Refused(
                f"Fetching {self.file} takes {needed / 1e6:,.0f} MB in {constants.HF_HUB_CACHE}, "
                f"and {free / 1e6:,.0f} MB are free. Make room there, or set HF_HOME to another "
                "folder."
            )

    def _receive(self, partial: Path) -> None:
        """Append what is missing. Faults on the way are met by asking again for the rest."""
        partial.touch()
        tries = 0
        while (before := partial.stat().st_size) < self.size:
            try:
                self._receive_some(partial, before)
            except (on_the_way(), _AgainError) as error:
                there = partial.stat().st_size
                tries = tries + 1 if there <= before else 1
                if tries > _TRIES:
                    raise Refused(self._broke_off(there)) from error
                time.sleep(_PAUSE_S * tries)

    def _receive_some(self, partial: Path, begin: int) -> None:
        """One request's bytes, from ``begin`` on; a server may begin at the beginning."""
        headers = build_hf_headers(token=self.repository.token) | {"Accept-Encoding": "identity"}
        if begin:
            headers["Range"] = f"bytes={begin}-"
        url = hf_hub_url(self.repository.name, self.file, revision=self.commit)
        patience = constants.HF_HUB_DOWNLOAD_TIMEOUT
        with get_session().stream("GET", url, headers=headers, timeout=patience) as response:
            if response.status_code in _AGAIN:
                raise _AgainError(f"it answered {response.status_code}")
            hf_raise_for_status(response)
            goes_on = response.status_code == 206
            with partial.open("ab" if goes_on else "wb") as sink:
                for piece in response.iter_bytes():
                    sink.write(piece)
                    sink.flush()  # so much is there, however this process ends
                    self.repository.progress.so_far = there = sink.tell()
                    if there > self.size:
                        return  # not the file; its checksum says so
        if partial.stat().st_size == begin:
            raise _AgainError("it sent nothing")

    def _checksum(self, partial: Path) -> str:
        digest = hashlib.sha256()
        if len(self.path.name) == 40:
            digest = hashlib.sha1(b"blob %d\0" % self.size, usedforsecurity=False)
        with partial.open("rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
        return digest.hexdigest()

    def _broke_off(self, there: int) -> str:
        return (
            f"The connection to {constants.ENDPOINT} broke off at {there / 1e6:,.0f} of "
            f"{self.size / 1e6:,.0f} MB of {self.file}, {_TRIES} times in a row. Run again: it "
            "goes on from there."
        )


class _AgainError(Exception):
    """The server asks to be asked again."""


def _bytes_so_far(blob: Path) -> int:
    """What is there of a file that is being fetched, by us or by the library itself."""
    partials = blob.parent.glob(f"{blob.name}*.incomplete")
    return max((path.stat().st_size for path in partials if path.exists()), default=0)

"""Download of one GGUF file from Hugging Face into huggingface_hub's cache, in its own process.

huggingface_hub resolves names, access rights and the layout of its cache. Its download discards the
partial file when the connection breaks, and checks only the length. So the bytes are downloaded
here: into ``blobs/<checksum>.incomplete`` of the repository's cache folder, under the library's
lock for that file, resumed after interruptions, and verified before the file is renamed. The
library then links it into the snapshot.

The layout is that of "Understand caching" in huggingface_hub's documentation. A file's ETag is its
SHA-256 or, for small files that are stored in git itself, git's SHA-1.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import Timeout
from huggingface_hub import (
    HfApi,
    constants,
    errors,
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

from llm_playground.providers.local.huggingface import (
    DownloadError,
    Progress,
    check_file_name,
    choose,
    no_file_message,
)

_HASH = re.compile(r"[0-9a-f]{64}|[0-9a-f]{40}")
_POLL_S = 0.2
_MAX_TRIES = 5
_PAUSE_S = 0.5
_SPARE_BYTES = 16_000_000
_RETRIED_STATUSES = (408, 429, 500, 502, 503, 504)


def fetch(repo: str, wanted: str | None, token: str | None, progress: Progress) -> dict[str, str]:
    """A dictionary with the ``path`` of the file, or with ``error``, one line, and its ``detail``.

    ``token`` is used if the library has none; ``progress`` is updated during the download.
    """
    progress.message = f"Requesting {repo} from {constants.ENDPOINT}"
    try:
        token = None if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN else get_token() or token
        return {"path": _Repository(repo, token, progress).path_of(wanted)}
    except DownloadError as error:
        line, detail = str(error), repr(error.__cause__ or "")
    except Exception as error:
        line, detail = _message(error, repo, wanted), repr(error)
    result = {"error": " ".join(line.split()), "detail": detail}
    return {
        name: text.replace(token, "[redacted]") if token else text for name, text in result.items()
    }


@dataclass(frozen=True, slots=True)
class _Repository:
    """One repository, accessed with one token."""

    name: str
    token: str | None
    progress: Progress

    @property
    def folder(self) -> Path:
        """The repository's folder in the cache."""
        return Path(constants.HF_HUB_CACHE) / f"models--{self.name.replace('/', '--')}"

    def path_of(self, wanted: str | None) -> str:
        """The path of the wanted file; a named one in the cache is used without network access."""
        is_file_name = wanted is not None and wanted.lower().endswith(".gguf")
        file = check_file_name(wanted) if is_file_name and wanted else self._choose(wanted)
        cached = try_to_load_from_cache(self.name, file)
        return cached if isinstance(cached, str) else self._fetch(file)

    def _choose(self, wanted: str | None) -> str:
        """The file to use, from the cache if the hub cannot be reached."""
        try:
            sizes = self._sizes()
        except Exception:
            sizes = self._cached_sizes()
            if choose(sizes, wanted) is None:
                raise
        file = choose(sizes, wanted)
        if file is None:
            raise DownloadError(no_file_message(self.name, sizes, wanted))
        return file

    def _sizes(self) -> dict[str, int]:
        info = HfApi().model_info(
            self.name,
            files_metadata=True,
            token=self.token,
            timeout=constants.HF_HUB_ETAG_TIMEOUT,
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

    def _fetch(self, file: str) -> str:
        remote = get_hf_file_metadata(hf_hub_url(self.name, file), token=self.token)
        if remote.etag is None or not _HASH.fullmatch(remote.etag) or remote.size is None:
            raise DownloadError(
                f"{constants.ENDPOINT} has no checksum for {file}, so it is not downloaded. "
                "Set HF_ENDPOINT to a hub with checksums, or use a GGUF file: local:path."
            )
        blob = self.folder / "blobs" / remote.etag
        blob.parent.mkdir(parents=True, exist_ok=True)
        self.progress.total_bytes = remote.size
        with self._locked(blob):
            if not blob.exists():
                name = file.rpartition("/")[2]
                self.progress.message = f"Downloading {name} from Hugging Face, once"
                _Blob(self, file, blob, remote.size, remote.commit_hash).fetch()
        return str(hf_hub_download(self.name, file, token=self.token))

    @contextmanager
    def _locked(self, blob: Path) -> Iterator[None]:
        """Hold the library's lock for this file; report its holder's progress while waiting."""
        lock = self.folder.parent / ".locks" / self.folder.name / f"{blob.name}.lock"
        lock.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            while True:
                try:
                    stack.enter_context(WeakFileLock(lock, timeout=_POLL_S))
                    break
                except Timeout:
                    self.progress.message = (
                        f"Waiting for {self.name}, which another process downloads"
                    )
                    # Of a download by this package or by the library.
                    partials = blob.parent.glob(f"{blob.name}*.incomplete")
                    sizes = [path.stat().st_size for path in partials if path.exists()]
                    self.progress.done_bytes = max(sizes, default=0)
            yield


@dataclass(frozen=True, slots=True)
class _Blob:
    """A file that is being downloaded into the cache."""

    repository: _Repository
    file: str
    path: Path
    size: int
    commit: str | None

    def fetch(self) -> None:
        """Download the missing bytes, verify the file and rename it."""
        partial = self.path.with_name(f"{self.path.name}.incomplete")
        resumed = partial.exists() and partial.stat().st_size > 0
        self._require_space(partial)
        self._receive(partial)
        if self._checksum(partial) == self.path.name:
            partial.replace(self.path)
            return
        partial.unlink()
        if resumed:  # the earlier part may have been damaged
            self.fetch()
            return
        raise DownloadError(
            f"The downloaded {self.file} of {self.repository.name} does not have the "
            "checksum that the hub announced, so it was deleted. Try again, or on another network."
        )

    def _require_space(self, partial: Path) -> None:
        present = partial.stat().st_size if partial.exists() else 0
        needed, free = self.size - present + _SPARE_BYTES, shutil.disk_usage(partial.parent).free
        if free < needed:
            raise DownloadError(
                f"Downloading {self.file} takes {needed / 1e6:,.0f} MB in "
                f"{constants.HF_HUB_CACHE}, and {free / 1e6:,.0f} MB are free. Make room there, or "
                "set HF_HOME to another folder."
            )

    def _receive(self, partial: Path) -> None:
        """Append the missing bytes; after a broken connection, request the rest again."""
        partial.touch()
        tries = 0
        while (before := partial.stat().st_size) < self.size:
            try:
                self._receive_some(partial, before)
            except (_transport_error(), _RetryError) as error:
                after = partial.stat().st_size
                tries = tries + 1 if after <= before else 1
                if tries > _MAX_TRIES:
                    raise DownloadError(
                        f"The connection to {constants.ENDPOINT} broke at {after / 1e6:,.0f} of "
                        f"{self.size / 1e6:,.0f} MB of {self.file}, {_MAX_TRIES} times in a row. "
                        "Run again to resume the download."
                    ) from error
                time.sleep(_PAUSE_S * tries)

    def _receive_some(self, partial: Path, begin: int) -> None:
        """Store the bytes of one request, from ``begin`` on, or from 0 without server support."""
        headers = build_hf_headers(token=self.repository.token) | {"Accept-Encoding": "identity"}
        if begin:
            headers["Range"] = f"bytes={begin}-"
        url = hf_hub_url(self.repository.name, self.file, revision=self.commit)
        timeout_s = constants.HF_HUB_DOWNLOAD_TIMEOUT
        with get_session().stream("GET", url, headers=headers, timeout=timeout_s) as response:
            if response.status_code in _RETRIED_STATUSES:
                raise _RetryError(f"status {response.status_code}")
            hf_raise_for_status(response)
            with partial.open("ab" if response.status_code == 206 else "wb") as sink:
                for piece in response.iter_bytes():
                    sink.write(piece)
                    sink.flush()  # so that it is kept if this process is killed
                    self.repository.progress.done_bytes = done = sink.tell()
                    if done > self.size:
                        return  # not the expected file, as its checksum will show
        if partial.stat().st_size == begin:
            raise _RetryError("an empty response")

    def _checksum(self, partial: Path) -> str:
        digest = hashlib.sha256()
        if len(self.path.name) == 40:
            digest = hashlib.sha1(b"blob %d\0" % self.size, usedforsecurity=False)
        with partial.open("rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
        return digest.hexdigest()


class _RetryError(Exception):
    """A response after which the request is repeated."""


def _transport_error() -> type[Exception]:
    """The class of connection errors of the library's HTTP client, httpx2 or (before) httpx."""
    client = sys.modules[type(get_session()).__module__.partition(".")[0]]
    kind: type[Exception] = client.TransportError
    return kind


def _message(error: Exception, repo: str, wanted: str | None) -> str:
    """The message for an error in downloading ``wanted`` of ``repo``."""
    host, page, cache = constants.ENDPOINT, f"{constants.ENDPOINT}/{repo}", constants.HF_HUB_CACHE
    reference = f"{repo}:{wanted}" if wanted else repo
    unreached = (
        f"{host} cannot be reached ({type(error.__cause__ or error).__name__}), and {reference} "
        "is not in the cache. Check the network and HTTPS_PROXY, set HF_ENDPOINT to a mirror, or "
        "use a GGUF file: local:path."
    )
    lines: list[tuple[type[Exception], str]] = [
        (
            errors.GatedRepoError,
            f"{repo} requires that you accept its terms. Accept them at {page}, and set HF_TOKEN "
            "to a token of that account.",
        ),
        (
            errors.RepositoryNotFoundError,
            f"There is no {repo} at {host}, or it is private. Check the name; for a private one "
            "set HF_TOKEN to a token with access.",
        ),
        (errors.LocalEntryNotFoundError, unreached),
        (
            errors.EntryNotFoundError,
            f"{repo} has no file {wanted}. {page} lists its files; without :file one is chosen.",
        ),
        (
            errors.HFValidationError,
            f"{repo!r} is not a repository name. Write local:org/name or local:org/name:file.",
        ),
        (
            errors.OfflineModeIsEnabled,
            f"HF_HUB_OFFLINE is set, and {reference} is not in {cache}. Unset it once to "
            "download the model.",
        ),
        (_transport_error(), unreached),
        (errors.HfHubHTTPError, _status_message(error, host, reference)),
        (OSError, _disk_message(error, repo, cache)),
    ]
    default = (
        f"Downloading {reference} failed ({type(error).__name__}). Try again, or use a GGUF file."
    )
    return next((line for kind, line in lines if isinstance(error, kind)), default)


def _status_message(error: Exception, host: str, reference: str) -> str:
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403):
        return (
            f"{host} does not let this token read {reference} ({status}). Set HF_TOKEN to one that "
            "can, or run `hf auth login`."
        )
    return f"{host} answered a request for {reference} with status {status}. Try again later."


def _disk_message(error: Exception, repo: str, cache: str) -> str:
    number = error.errno if isinstance(error, OSError) else None
    reason = os.strerror(number) if number else type(error).__name__
    kept = " The partial file is kept." if number in (errno.ENOSPC, errno.EDQUOT) else ""
    return (
        f"{repo} cannot be stored in {cache} ({reason}). Make room there, or set "
        f"HF_HOME to another folder.{kept}"
    )

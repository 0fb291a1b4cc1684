"""What the library, the network or the disk said, in one line that says what to do."""

from __future__ import annotations

import errno
import os
import sys

from huggingface_hub import constants, errors, get_session


def on_the_way() -> type[Exception]:
    """Faults between here and the hub, as the library's HTTP client of the day names them."""
    client = sys.modules[type(get_session()).__module__.partition(".")[0]]  # httpx2, before httpx
    kind: type[Exception] = client.TransportError
    return kind


def in_words(error: Exception, repo: str, wanted: str | None) -> str:
    """One line for whatever came up when ``wanted`` of ``repo`` was to be fetched."""
    host, page, cache = constants.ENDPOINT, f"{constants.ENDPOINT}/{repo}", constants.HF_HUB_CACHE
    what = f"{repo}:{wanted}" if wanted else repo
    lines: list[tuple[type[Exception], str]] = [
        (
            errors.GatedRepoError,
            f"{repo} is open only to those who accepted its terms. Accept them at {page}, and "
            "set HF_TOKEN to a token of that account.",
        ),
        (
            errors.RepositoryNotFoundError,
            f"There is no {repo} at {host}, or it is private. Check the name; for a private one "
            "set HF_TOKEN to a token that may read it.",
        ),
        (errors.LocalEntryNotFoundError, _unreached(error, host, what)),
        (
            errors.EntryNotFoundError,
            f"{repo} has no file {wanted}. {page} lists what it has; without :file one is chosen.",
        ),
        (
            errors.HFValidationError,
            f"{repo!r} is no name of a repository. Write local:org/name or local:org/name:file.",
        ),
        (
            errors.OfflineModeIsEnabled,
            f"HF_HUB_OFFLINE is set, and {what} is not in {cache}. Unset it once, so "
            "that it is fetched.",
        ),
        (on_the_way(), _unreached(error, host, what)),
        (errors.HfHubHTTPError, _status_in_words(error, host, what)),
        (OSError, _disk_in_words(error, repo, cache)),
    ]
    otherwise = f"Fetching {what} failed ({type(error).__name__}). Try again, or use a GGUF file."
    return next((line for kind, line in lines if isinstance(error, kind)), otherwise)


def _unreached(error: Exception, host: str, what: str) -> str:
    return (
        f"{host} cannot be reached ({type(error.__cause__ or error).__name__}), and {what} is not "
        "in the cache. Check the network and HTTPS_PROXY, set HF_ENDPOINT to a mirror, or use a "
        "GGUF file: local:path."
    )


def _status_in_words(error: Exception, host: str, what: str) -> str:
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403):
        return (
            f"{host} does not let this token read {what} ({status}). Set HF_TOKEN to one that may, "
            "or run `hf auth login`."
        )
    return f"{host} answered {status} when asked for {what}. Try again later."


def _disk_in_words(error: Exception, repo: str, cache: str) -> str:
    number = error.errno if isinstance(error, OSError) else None
    reason = os.strerror(number) if number else type(error).__name__
    kept = " What is there is kept." if number in (errno.ENOSPC, errno.EDQUOT) else ""
    return (
        f"{repo} cannot be stored in {cache} ({reason}). Make room there, or set "
        f"HF_HOME to another folder.{kept}"
    )

"""Models on Hugging Face: ``org/repo[:file]`` names a GGUF file, which is downloaded once.

The cache is huggingface_hub's own and shared with other tools, and its settings apply:
``HF_ENDPOINT``, ``HF_TOKEN`` (or ``hf auth login``), ``HF_HUB_OFFLINE``, ``HF_HOME``. The library
runs in its own process (:func:`serve`), which can be killed at any time and reads the current
settings. This module does not import it: its import takes long, and the process reports progress
and ends with its parent meanwhile.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm_playground import config
from llm_playground.errors import ConfigError
from llm_playground.events import Preparing
from llm_playground.installation import INSTALL
from llm_playground.providers.local.server import send, start_python
from llm_playground.redaction import redact, remember

# This package can be imported only after the search path is set.
_SERVE = """
import json, sys
request = json.loads(sys.stdin.readline())
sys.path[:] = request["search_path"]
from llm_playground.providers.local.huggingface import serve
serve(request)
"""
_REPORT_EVERY_S = 0.2
_REFERENCE = re.compile(r"([A-Za-z0-9_][\w.-]*/[\w.-]+)(?::(.+))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Reference:
    """A model on Hugging Face: ``org/name``, and the path of a GGUF file or a quantisation in it.

    Without a file, it is the first available quantisation of :data:`PREFERRED`.
    """

    repo: str
    file: str | None = None

    def __str__(self) -> str:
        return f"{self.repo}:{self.file}" if self.file else self.repo


def parse(name: str) -> Reference | None:
    """The name after ``local:`` as a reference; None if it is not one.

    >>> parse("org/a-GGUF:a.Q8_0.gguf"), parse("smollm2-135m-instruct")
    (Reference(repo='org/a-GGUF', file='a.Q8_0.gguf'), None)
    """
    match = _REFERENCE.fullmatch(name)
    return Reference(match[1], match[2]) if match else None


def fetch(
    reference: Reference, progress: Callable[[Preparing], None], stop: threading.Event
) -> Path:
    """The path of the file, downloaded if it is not in the cache. Blocks for seconds to hours.

    A partial download is kept, and the next call resumes it. The file appears in the cache only
    after its checksum is verified. Of several processes, one downloads and the others wait.

    Args:
        reference: The model.
        progress: Called a few times a second.
        stop: Set it to cancel the download.

    Raises:
        ConfigError: The library, the file, access, the network or disk space is missing, or the
            checksum is wrong; the message says what to do.
        CancelledError: ``stop`` was set.
    """
    if importlib.util.find_spec("huggingface_hub") is None:
        raise ConfigError(
            f"Models from Hugging Face need huggingface_hub: {INSTALL['hf']}", provider="local"
        )
    token = config.read("HF_TOKEN")
    if token:
        remember(token)
    request = {"repo": reference.repo, "file": reference.file, "token": token}
    with tempfile.TemporaryFile() as log:
        result = _result(request, log, progress, stop)
        if "path" in result:
            return Path(result["path"])
        log.seek(0)
        detail = result.get("detail") or log.read().decode("utf-8", "replace").strip()[-2000:]
    raise ConfigError(
        redact(
            result.get("error") or f"The process downloading {reference} ended early. Try again."
        ),
        provider="local",
        model=f"local:{reference}",
        detail=redact(detail) or None,
    )


def _result(
    request: dict[str, Any],
    log: Any,  # noqa: ANN401 - a file as subprocess takes it
    progress: Callable[[Preparing], None],
    stop: threading.Event,
) -> dict[str, str]:
    """The result of the download process."""
    with start_python(["-c", _SERVE], log) as process:
        result: dict[str, str] = {}
        try:
            for line in send(process, request):
                if stop.is_set():
                    raise CancelledError
                value = json.loads(line)
                if "message" in value:
                    progress(Preparing(value["message"], value["fraction"]))
                else:
                    result = value
        finally:
            process.kill()  # the partial file remains
    return result


def serve(request: Mapping[str, Any]) -> None:
    """Download in this process; it ends with its parent, when standard input closes.

    Progress, then the result, are written to standard output, one JSON object per line.
    """
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # keeps output of libraries apart from the results
    progress, done = Progress(f"Looking for {request['repo']}"), threading.Event()

    def report() -> None:
        while not done.wait(_REPORT_EVERY_S):
            print(json.dumps(progress.as_json()), file=output, flush=True)

    def end_with_parent() -> None:
        sys.stdin.read()
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
    reporter = threading.Thread(target=report, daemon=True)
    reporter.start()
    try:
        from llm_playground.providers.local._huggingface_download import fetch as download
    except (ImportError, AttributeError) as error:
        line = "The installed huggingface_hub is too old: pip install -U huggingface_hub"
        result = {"error": line, "detail": repr(error)}
    else:
        result = download(request["repo"], request["file"], request["token"], progress)
    done.set()
    reporter.join()
    print(json.dumps(result), file=output, flush=True)
    os._exit(0)


PREFERRED = (
    "Q4_K_M", "Q4_K_S", "Q4_K_L", "Q4_K_XL", "Q4_K", "IQ4_XS", "IQ4_NL", "MXFP4", "Q4_1", "Q4_0",
    "Q5_K_M", "Q5_K_S", "Q5_K_L", "Q5_K", "Q5_1", "Q5_0", "Q6_K", "Q6_K_L", "Q8_0",
    "Q3_K_M", "Q3_K_L", "Q3_K_S", "IQ3_M", "IQ3_S", "IQ3_XS", "IQ3_XXS",
    "Q2_K", "IQ2_M", "IQ2_S", "IQ2_XS", "IQ2_XXS", "IQ1_M", "IQ1_S", "F16", "BF16", "F32",
)  # fmt: skip
"""Quantisations in order of preference: four bits, which lose little, then more bits, then fewer;
unquantised weights last."""

_PART = re.compile(r"-\d{5}-of-\d{5}\.gguf$", re.IGNORECASE)
_NOT_A_MODEL = re.compile(r"mmproj|imatrix", re.IGNORECASE)


@dataclass(slots=True)
class Progress:
    """The state of a download, which is sent to the parent a few times a second."""

    message: str
    done_bytes: int = 0
    total_bytes: int = 0

    def as_json(self) -> dict[str, object]:
        """The message and the completed fraction.

        >>> Progress("Downloading", 500_000, 2_000_000).as_json()
        {'message': 'Downloading: 0 of 2 MB', 'fraction': 0.25}
        """
        if not self.total_bytes:
            return {"message": self.message, "fraction": None}
        amount = f"{self.done_bytes / 1e6:,.0f} of {self.total_bytes / 1e6:,.0f} MB"
        fraction = min(1.0, self.done_bytes / self.total_bytes)
        return {"message": f"{self.message}: {amount}", "fraction": fraction}


class DownloadError(Exception):
    """The file cannot be downloaded; the message is one line that says what to do."""


def choose(sizes: Mapping[str, int], wanted: str | None = None) -> str | None:
    """The file of a repository to use; None if no file is suitable.

    Parts of a split model, image parts and importance matrices are ignored. Of several files with
    the same quantisation, the smallest is chosen, and of those the first by name.

    Args:
        sizes: The length of each file in bytes.
        wanted: A quantisation; None for the first available one of :data:`PREFERRED`.

    >>> choose({"a.Q8_0.gguf": 8, "a.Q4_K_M.gguf": 4, "mmproj-Q4_K_M.gguf": 1, "README.md": 1})
    'a.Q4_K_M.gguf'
    >>> choose({"a.Q8_0.gguf": 8, "a.Q4_K_M.gguf": 4}, "q8_0")
    'a.Q8_0.gguf'
    """
    whole = [name for name in sizes if _is_model(name) and not _PART.search(name)]
    order = PREFERRED if wanted is None else (wanted.upper(),)
    matching = [name for name in whole if wanted is None or _rank(name, order) < len(order)]
    return min(matching, key=lambda name: (_rank(name, order), sizes[name], name), default=None)


def _is_model(name: str) -> bool:
    return name.lower().endswith(".gguf") and not _NOT_A_MODEL.search(name)


def _rank(name: str, order: tuple[str, ...]) -> int:
    """The index of the file's quantisation in ``order``; ``len(order)`` if it is not in there."""
    file = name.upper().rpartition("/")[2]
    for index, quantisation in enumerate(order):
        if re.search(rf"(?<![A-Z0-9]){re.escape(quantisation)}(?![A-Z0-9_])", file):
            return index
    return len(order)


def check_file_name(file: str) -> str:
    """Check that a file of this name can be loaded, and return the name.

    Raises:
        DownloadError: The name is not a path, or names a part of a model or another kind of file.
    """
    if any(part in ("", ".", "..") for part in file.split("/")) or "\\" in file:
        raise DownloadError(f"{file!r} is not the path of a file in a repository.")
    if _PART.search(file):
        raise DownloadError(
            f"{file} is one part of a split model, and only complete files can be loaded. Choose a "
            "smaller quantisation in one file, or join the parts with llama-gguf-split."
        )
    if _NOT_A_MODEL.search(file):
        raise DownloadError(f"{file} is not a chat model. Name another file of the repository.")
    return file


def no_file_message(repo: str, sizes: Mapping[str, int], wanted: str | None) -> str:
    """The message if :func:`choose` returns None."""
    models = sorted(name for name in sizes if _is_model(name))
    complete = [name for name in models if not _PART.search(name)]
    if wanted is not None and complete:
        more = f" and {len(complete) - 8} more" if len(complete) > 8 else ""
        return f"{repo} has no GGUF file with {wanted}. It has {', '.join(complete[:8])}{more}."
    if models:
        return (
            f"The GGUF files of {repo} are split into parts, which cannot be loaded. Choose a "
            "repository with a smaller model, or join them with llama-gguf-split."
        )
    return (
        f"{repo} has no GGUF file of a chat model. Repositories with such files often have "
        "GGUF in their name."
    )

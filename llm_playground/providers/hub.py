"""Models of Hugging Face: ``org/repo[:file]`` names a GGUF file there, fetched once.

The cache is huggingface_hub's own, so other tools share it, and its settings count:
``HF_ENDPOINT``, ``HF_TOKEN`` (or ``hf auth login``), ``HF_HUB_OFFLINE``, ``HF_HOME``. It runs in a
process of its own, which can be ended at any moment and reads those settings as they are now.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm_playground import config
from llm_playground.errors import ConfigError
from llm_playground.events import Preparing
from llm_playground.redact import redact, remember

INSTALL = "pip install huggingface_hub"
_SCRIPT = Path(__file__).with_name("hub_process.py")
_REFERENCE = re.compile(r"([A-Za-z0-9_][\w.-]*/[\w.-]+)(?::(.+))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Reference:
    """A model on Hugging Face.

    Args:
        repo: ``org/name``.
        file: The GGUF file's path there, or a quantisation such as ``Q8_0``; None is the one
            that is best for most: ``Q4_K_M``, else the next in
            :data:`llm_playground.providers.hub_files.PREFERRED`.
    """

    repo: str
    file: str | None = None

    def __str__(self) -> str:
        return f"{self.repo}:{self.file}" if self.file else self.repo


def parse(name: str) -> Reference | None:
    """What follows ``local:`` as a reference, None when it is none.

    >>> parse("org/a-GGUF:a.Q8_0.gguf"), parse("smollm2-135m-instruct")
    (Reference(repo='org/a-GGUF', file='a.Q8_0.gguf'), None)
    """
    match = _REFERENCE.fullmatch(name)
    return Reference(match[1], match[2]) if match else None


def installed() -> bool:
    """Whether the library that knows Hugging Face is there."""
    return importlib.util.find_spec("huggingface_hub") is not None


def fetch(
    reference: Reference, progress: Callable[[Preparing], None], stop: threading.Event
) -> Path:
    """Where the file is, fetched when it is not in the cache. Blocks; seconds to hours.

    What is fetched is kept when it breaks off, and the next call goes on from there. The file
    appears in the cache only when its checksum is right. Of several processes one fetches.

    Args:
        reference: The model.
        progress: Called a few times a second.
        stop: Set it to give up.

    Raises:
        ConfigError: No library, no such file, no access, no network, no space, other bytes than
            announced; the message says what to do.
        CancelledError: ``stop`` was set.
    """
    if not installed():
        raise ConfigError(
            f"Models of Hugging Face need huggingface_hub: {INSTALL}", provider="local"
        )
    token = config.read("HF_TOKEN")
    if token:
        remember(token)
    order = {
        "search_path": [folder for folder in sys.path if folder],
        "repo": reference.repo,
        "file": reference.file,
        "token": token,
    }
    with tempfile.TemporaryFile() as log:
        answer = _answer(order, log, progress, stop)
        if "path" in answer:
            return Path(answer["path"])
        log.seek(0)
        detail = answer.get("detail") or log.read().decode("utf-8", "replace").strip()[-2000:]
    raise ConfigError(
        redact(answer.get("error") or f"Fetching {reference} ended without a word. Try again."),
        provider="local",
        model=f"local:{reference}",
        detail=redact(detail) or None,
    )


def _answer(
    order: dict[str, Any],
    log: Any,  # noqa: ANN401 - whatever subprocess takes for a file
    progress: Callable[[Preparing], None],
    stop: threading.Event,
) -> dict[str, str]:
    """The last line that the fetching process says; it says one every fifth of a second."""
    with subprocess.Popen(  # noqa: S603 - our own script
        [sys.executable, "-P", str(_SCRIPT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        start_new_session=True,  # Ctrl+C in a terminal is ours to handle
    ) as process:
        assert process.stdin is not None  # noqa: S101 - both are pipes
        assert process.stdout is not None  # noqa: S101 - as above
        answer: dict[str, str] = {}
        try:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(json.dumps(order).encode() + b"\n")
                process.stdin.flush()
            for line in process.stdout:
                if stop.is_set():
                    raise CancelledError
                said = json.loads(line)
                if "message" in said:
                    progress(Preparing(said["message"], said["fraction"]))
                else:
                    answer = said
        finally:
            process.kill()  # what it has written stays
    return answer

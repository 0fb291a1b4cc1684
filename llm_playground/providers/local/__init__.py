"""The provider ``local``: models that run on this machine, without a key.

The name after ``local:`` is that of the small model that comes with the package, the path of a GGUF
file, or a reference to one on Hugging Face. Each file has a server, which speaks Chat Completions
(and Anthropic's Messages) on loopback and is used like any other endpoint.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import AsyncGenerator, Callable, Hashable
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from llm_playground import _lifecycle, config
from llm_playground._runtime import SharedJob, SharedJobs, progress
from llm_playground.errors import ConfigError
from llm_playground.events import Preparing
from llm_playground.installation import INSTALL
from llm_playground.providers import Endpoint
from llm_playground.providers.local import huggingface, weights
from llm_playground.providers.local.server import STARTING, join, servers

_CLEARLY_PATH = re.compile(r"[/~.]|[A-Za-z]:[\\/]|\\")


async def start(
    model_name: str = weights.SMOLLM2.name,
) -> AsyncGenerator[Preparing | Endpoint, None]:
    """Yield progress events, then the endpoint of an embedded model.

    Weights are downloaded on first use. Each file has one server per process, shared by callers on
    all event loops; the next call retries a failed start. When the last waiting caller is
    cancelled, download and start are cancelled too. Idle servers are ended when there are more than
    ``server.MAX_SERVERS``; a server is in use until the task that requested it ends.

    Args:
        model_name: ``smollm2-135m-instruct``; a path that ends in ``.gguf``; ``org/repo``,
            ``org/repo:file.gguf`` or ``org/repo:Q8_0`` of Hugging Face. If
            ``LLM_PLAYGROUND_LOCAL_MODEL`` is set, any other name means its file.

    Raises:
        ConfigError: The library, the weights or the network is missing, or the weights are broken.

    Example::

        async for event in start():
            match event:
                case Preparing(message, fraction): ...
                case Endpoint(): ...
    """
    if not installed():
        raise ConfigError(
            f"The embedded model needs xllamacpp: {INSTALL['local']}", provider="local"
        )
    source = _source(model_name)
    path = source.path
    if path is None:
        download = _downloads.join(source.key, source.fetch, Path.is_file, STARTING)
        try:
            async with aclosing(progress(download)) as events:
                async for event in events:
                    yield event
            path = download.result()
        finally:
            _downloads.leave(download)
    start_job = join(path, source.remedy)
    try:
        async with aclosing(progress(start_job)) as events:
            async for event in events:
                yield event
        server = start_job.result()
    finally:
        servers.leave(start_job)
    yield Endpoint("local", server.api_key, f"{server.address}/v1")


def installed() -> bool:
    """Whether xllamacpp, which runs embedded models, is installed."""
    return importlib.util.find_spec("xllamacpp") is not None


@dataclass(frozen=True, slots=True)
class _Source:
    """The source of weights."""

    key: Hashable  # of the download, which callers of the same model share
    path: Path | None  # None if it is known only after the download
    fetch: Callable[[SharedJob[Path]], Path]
    remedy: str | None = None  # if they are broken; None for the default of ``weights.check``


_downloads: SharedJobs[Hashable, Path] = SharedJobs()


def _source(model_name: str) -> _Source:
    """The weights of a model name."""
    if model_name == weights.SMOLLM2.name:
        return _Source(weights.SMOLLM2, weights.find(), _fetch_small)
    file, reference = Path(model_name).expanduser(), huggingface.parse(model_name)
    if model_name.lower().endswith(".gguf") and (
        _CLEARLY_PATH.match(model_name)
        or file.is_file()
        or reference is None
        or reference.file is None
    ):
        return _Source(file, weights.find(file), _fetch_small, "Use another GGUF file.")
    if reference is not None:
        return _Source(reference, None, partial(_fetch_from_hub, reference), weights.DOWNLOAD_AGAIN)
    if config.local_model_path() is not None:
        return _Source(weights.SMOLLM2, weights.find(), _fetch_small)
    raise ConfigError(
        f"There is no embedded model {model_name!r}. Use local:{weights.SMOLLM2.name}, "
        "local:path/to/file.gguf or local:org/repo of Hugging Face, or set "
        f"{weights.VARIABLE} to a GGUF file.",
        provider="local",
        model=f"local:{model_name}",
    )


def _fetch_from_hub(reference: huggingface.Reference, job: SharedJob[Path]) -> Path:
    def report(preparing: Preparing) -> None:
        job.preparing = preparing

    return huggingface.fetch(reference, report, job.stop)


def _fetch_small(job: SharedJob[Path]) -> Path:
    def report(done_bytes: int, total_bytes: int) -> None:
        job.preparing = Preparing(
            "Downloading a small model, once: "
            f"{done_bytes / 1e6:.0f} of {total_bytes / 1e6:.0f} MB",
            done_bytes / total_bytes,
        )

    return weights.fetch(report, job.stop)


_lifecycle.register(at_exit=_downloads.end, after_fork_in_child=_downloads.forget)

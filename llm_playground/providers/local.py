"""Embedded models: real ones that run beside the kernel, without a key.

``local:`` takes the name of the small model that comes along, the path of a GGUF file, or a
reference to one on Hugging Face. Each file's server speaks Chat Completions on loopback (and
Anthropic's Messages); whoever builds providers talks to it as to any other endpoint.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import re
from collections.abc import AsyncGenerator, Callable, Hashable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from llm_playground import config
from llm_playground.errors import ConfigError
from llm_playground.events import Preparing
from llm_playground.providers import embedded, hub, weights
from llm_playground.providers.attempt import Attempt, Attempts, progress
from llm_playground.providers.base import Endpoint

INSTALL = "pip install xllamacpp"
_PLAINLY_A_PATH = re.compile(r"[/~.]|[A-Za-z]:[\\/]|\\")
_FETCHED_ANEW = "Delete it and run again: it is fetched anew."


async def start(
    model_name: str = weights.SMOLLM2.name,
) -> AsyncGenerator[Preparing | Endpoint, None]:
    """Yield what is being prepared, then, last, where the embedded model is reached.

    Weights are fetched on first use. One server per file of weights and process; all callers of
    any event loop share it, and its start. A failed start is tried again by the next call. When
    the last caller gives up waiting, fetching and starting are given up too. Servers that nobody
    uses are ended when there are more than ``embedded.MAX_SERVERS``; the task that was handed one
    uses it until the task's end.

    Args:
        model_name: What follows ``local:``: ``smollm2-135m-instruct``; a path that ends in
            ``.gguf``; ``org/repo``, ``org/repo:file.gguf`` or ``org/repo:Q8_0`` of Hugging Face.
            Where ``LLM_PLAYGROUND_LOCAL_MODEL`` names a file, any other name means that file.

    Raises:
        ConfigError: What is missing or broken, and what to do.

    Example::

        async for event in start():
            match event:
                case Preparing(message, fraction): ...
                case Endpoint(): ...
    """
    if not installed():
        raise ConfigError(f"The embedded model needs xllamacpp: {INSTALL}", provider="local")
    source = _source(model_name)
    path = source.path
    if path is None:
        fetching = _fetches.join(source.key, source.fetch, Path.is_file, embedded.STARTING)
        try:
            async with aclosing(progress(fetching)) as events:
                async for event in events:
                    yield event
            path = fetching.result()
        finally:
            _fetches.leave(fetching)
    starting = embedded.join(path, source.remedy)
    try:
        async with aclosing(progress(starting)) as events:
            async for event in events:
                yield event
        server = starting.result()
    finally:
        embedded.leave(starting)
    yield Endpoint("local", server.api_key, f"{server.address}/v1")


def installed() -> bool:
    """Whether the library that runs embedded models is there."""
    return importlib.util.find_spec("xllamacpp") is not None


@dataclass(frozen=True, slots=True)
class _Source:
    """Where weights come from.

    Args:
        key: What is fetched, for all who want the same.
        path: Where they are, None when that is known only after fetching.
        fetch: How they are fetched.
        remedy: What to do when they are broken; None for what ``weights`` says.
    """

    key: Hashable
    path: Path | None
    fetch: Callable[[Attempt[Path]], Path]
    remedy: str | None = None


_fetches: Attempts[Hashable, Path] = Attempts()


def _source(model_name: str) -> _Source:
    """What a model's name means.

    Raises:
        ConfigError: Nothing, or a file that does not exist.
    """
    if model_name == weights.SMOLLM2.name:
        return _Source(weights.SMOLLM2, weights.find(), _fetch_small)
    file, reference = Path(model_name).expanduser(), hub.parse(model_name)
    if model_name.lower().endswith(".gguf") and (
        _PLAINLY_A_PATH.match(model_name)
        or file.is_file()
        or reference is None
        or reference.file is None
    ):
        return _Source(file, weights.find(file), _fetch_small, "Use another GGUF file.")
    if reference is not None:
        return _Source(reference, None, _fetching(reference), _FETCHED_ANEW)
    if config.local_model_path() is not None:
        return _Source(weights.SMOLLM2, weights.find(), _fetch_small)
    raise ConfigError(
        f"There is no embedded model {model_name!r}. Use local:{weights.SMOLLM2.name}, "
        "local:path/to/file.gguf or local:org/repo of Hugging Face, or set "
        f"{weights.VARIABLE} to a GGUF file.",
        provider="local",
        model=f"local:{model_name}",
    )


def _fetching(reference: hub.Reference) -> Callable[[Attempt[Path]], Path]:
    def fetch(attempt: Attempt[Path]) -> Path:
        def say(preparing: Preparing) -> None:
            attempt.preparing = preparing

        return hub.fetch(reference, say, attempt.stop)

    return fetch


def _fetch_small(attempt: Attempt[Path]) -> Path:
    def say(so_far: int, in_all: int) -> None:
        attempt.preparing = Preparing(
            f"Fetching a small model, once: {so_far / 1e6:.0f} of {in_all / 1e6:.0f} MB",
            so_far / in_all,
        )

    return weights.fetch(say, attempt.stop)


atexit.register(_fetches.end)

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_fetches.forget)

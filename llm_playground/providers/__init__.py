"""The registry: from a provider's name to the one object that speaks its wire format."""

from __future__ import annotations

import asyncio
import atexit
import importlib
import os
from collections.abc import Callable
from contextlib import aclosing, suppress
from typing import cast

from llm_playground import _loop, config, credentials
from llm_playground.providers.base import Endpoint, Provider
from llm_playground.types import Preparing

# Which module and class speak a provider's wire format. Modules load on first use: each pulls
# in its vendor's SDK.
_WIRE_FORMATS = {
    "openai": ("llm_playground.providers.openai", "OpenAIProvider"),
    "anthropic": ("llm_playground.providers.anthropic", "AnthropicProvider"),
    "gemini": ("llm_playground.providers.gemini", "GeminiProvider"),
    "local": ("llm_playground.providers.openai", "OpenAIProvider"),
}
_EXIT_S = 2.0
_connected: dict[Endpoint, Provider] = {}
_inherited: list[dict[Endpoint, Provider]] = []


async def connect(model: str, progress: Callable[[Preparing], None]) -> Provider:
    """The provider, ready to be asked; one object, and so one set of connections, per endpoint.

    Args:
        model: ``provider:name``.
        progress: Told what takes long, such as fetching the embedded model.

    Raises:
        ConfigError: A key or a model file is missing; the message says what to do.
    """
    endpoint = await _endpoint(model, progress)
    if endpoint not in _connected:
        module, name = _WIRE_FORMATS[endpoint.provider]
        # An SDK takes up to 1.4 s to load: not on the loop, where other answers stream.
        build = getattr(await asyncio.to_thread(importlib.import_module, module), name)
        if endpoint not in _connected:  # another call may have waited for the same module
            _connected[endpoint] = cast("Provider", build(endpoint))
    return _connected[endpoint]


async def _endpoint(model: str, progress: Callable[[Preparing], None]) -> Endpoint:
    provider, _, name = model.partition(":")
    if provider != "local":
        return Endpoint(provider, credentials.key(provider), config.base_url(provider))
    from llm_playground.providers import local  # first use, not import

    async with aclosing(local.start(name)) as events:
        async for event in events:
            if isinstance(event, Endpoint):
                return event
            progress(event)
    raise AssertionError("the last thing local.start yields is an Endpoint")


async def close() -> None:
    """Close every connection. Later calls open new ones."""
    while _connected:
        _, provider = _connected.popitem()
        await provider.aclose()


def _close_at_exit() -> None:
    if _connected:
        with suppress(Exception):  # nobody is left to be told
            _loop.submit(close()).result(_EXIT_S)


atexit.register(_close_at_exit)


def _leave_to_parent() -> None:
    """A forked child must not share its parent's sockets, nor close them."""
    _inherited.append(dict(_connected))
    _connected.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)

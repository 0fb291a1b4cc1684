"""The registry: from a provider's name to the one object that speaks its wire format."""

from __future__ import annotations

import asyncio
import atexit
import os
from collections.abc import Callable
from contextlib import aclosing, suppress
from importlib import import_module
from typing import cast

from llm_playground import _loop, config, credentials
from llm_playground.errors import ConfigError
from llm_playground.events import Preparing
from llm_playground.providers.base import Endpoint, Provider

# Which module and class speak a wire format. Modules load on first use: each pulls in its
# vendor's SDK. A row of another package names its own as module:Class.
_WIRE_FORMATS = {
    "openai": ("llm_playground.providers.openai", "OpenAIProvider"),
    "anthropic": ("llm_playground.providers.anthropic", "AnthropicProvider"),
    "gemini": ("llm_playground.providers.gemini", "GeminiProvider"),
    "gemini-legacy": ("llm_playground.providers.gemini_legacy", "GeminiLegacyProvider"),
}
_EXTRAS = {"gemini-legacy": "Install it: pip install 'llm_playground[gemini-legacy]'."}
# What a server without keys is sent where a key belongs.
NO_KEY = "none"
_EXIT_S = 2.0
_connected: dict[tuple[Endpoint, str], Provider] = {}
_inherited: list[dict[tuple[Endpoint, str], Provider]] = []


async def connect(model: str, progress: Callable[[Preparing], None]) -> Provider:
    """The provider, ready to be asked; one object, and so one set of connections, per endpoint.

    Args:
        model: ``provider:name``.
        progress: Told what takes long, such as fetching the embedded model.

    Raises:
        ConfigError: A key or a model file is missing, or a package's provider cannot be loaded;
            the message says what to do.
    """
    endpoint = await _endpoint(model, progress)
    wire_format = config.rows()[endpoint.provider].wire_format
    key = (endpoint, wire_format)
    if key not in _connected:
        # An SDK takes up to 1.4 s to load: not on the loop, where other answers stream.
        build = await asyncio.to_thread(_class_of, endpoint.provider, wire_format)
        if key not in _connected:  # another call may have waited for the same module
            _connected[key] = build(endpoint)
    return _connected[key]


def endpoint_of(provider: str) -> Endpoint:
    """Where a provider is reached, and with which key. Not for ``local``, which must be started.

    Raises:
        MissingKeyError: It wants a key, and none was found or the one found is malformed.
    """
    row = config.rows()[provider]
    key = credentials.key(provider) if row.key_variables else NO_KEY
    base_url = config.base_url(provider) or row.base_url
    return Endpoint(provider, key, base_url, config.timeouts().connect)


async def _endpoint(model: str, progress: Callable[[Preparing], None]) -> Endpoint:
    provider, _, name = model.partition(":")
    if provider != "local":
        await credentials.ready(provider)  # a locked keyring waits for a person
        return endpoint_of(provider)
    from llm_playground.providers import local  # first use, not import

    async with aclosing(local.start(name)) as events:
        async for event in events:
            if isinstance(event, Endpoint):
                return event
            progress(event)
    raise AssertionError("the last thing local.start yields is an Endpoint")


def _class_of(provider: str, wire_format: str) -> Callable[[Endpoint], Provider]:
    """What builds a provider of a wire format.

    Raises:
        ConfigError: It is not there, or broken.
    """
    module, name = _WIRE_FORMATS.get(wire_format) or wire_format.split(":")
    try:
        return cast("Callable[[Endpoint], Provider]", getattr(import_module(module), name))
    except Exception as error:  # a package may be broken in any way
        fault = f"{type(error).__name__}: {error}"
        hint = _EXTRAS.get(wire_format, f"Install or correct what brings {wire_format}.")
        raise ConfigError(
            f"The provider {provider} cannot be loaded ({fault}). {hint}",
            provider=provider,
        ) from error


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

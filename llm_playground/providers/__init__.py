"""Providers: what the engine calls, where one is reached, and the registry of connected ones.

README.md in this folder says how to add a provider.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import Protocol, cast
from weakref import WeakSet

from llm_playground import _lifecycle, _runtime, config, formatting, http_headers
from llm_playground.config import credentials, dotenv, endpoint_fields, endpoint_table
from llm_playground.config.clouds import CLOUDS, Cloud
from llm_playground.config.endpoint_table import EndpointRow
from llm_playground.errors import ConfigError, InvalidParameterError, MissingKeyError
from llm_playground.events import Preparing, ProviderEvent
from llm_playground.providers.wire_formats import WIRE_FORMATS
from llm_playground.redaction import Secret, mask, remember
from llm_playground.types import Parameters, Request

own_clients: WeakSet[object] = WeakSet()
"""The HTTP clients of this package. What they send is logged by the engine."""
# Sent as the key to a server without keys.
NO_KEY = "none"
_EXIT_S = 2.0
# Modules that an SDK looks up in ``sys.modules`` during its calls. They are complete before it is
# used: another thread that imports one then, such as google-genai's, would break the calls.
_LOOKED_UP_BY = {"openai": "httpx"}
_REQUEST_ID_HEADERS = ("x-request-id", "request-id", "x-goog-request-id", "cf-ray")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where requests of one provider go.

    ``base_url`` is None for the vendor's own; ``connect_timeout_s`` is None for no limit.
    ``key_header`` carries the key as it is, in place of the wire format's header; None for that.
    ``headers`` and ``query`` belong to every request; the headers of a call precede them.
    """

    provider: str
    api_key: str = field(repr=False)
    base_url: str | None = None
    connect_timeout_s: float | None = 10.0
    key_header: str | None = None
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    query: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "api_key", Secret(self.api_key))  # frozen

    @property
    def address(self) -> str:
        """The base URL, the vendor's own where none is set."""
        return self.base_url or config.rows()[self.provider].base_url


@dataclass(frozen=True, slots=True)
class RequestContext:
    """The facts of one request that error messages name."""

    endpoint: Endpoint
    model: str
    parameters: Parameters = field(default_factory=Parameters)

    @property
    def label(self) -> str:
        """The provider's display name, as within a sentence."""
        return config.label(self.endpoint.provider)

    @property
    def host(self) -> str:
        """The host as written in the base URL; the provider's name for the vendor's own."""
        import httpx2  # first use, not import

        base_url = self.endpoint.base_url
        return httpx2.URL(base_url).netloc.decode() if base_url else self.label

    @property
    def own_server(self) -> str:
        """The name of a server that the user runs; ``it`` where the base URL replaces a vendor."""
        row = config.rows().get(self.endpoint.provider)
        return "it" if row is None or row.key_variables else self.label

    @property
    def label_at_host(self) -> str:
        """The label, with the host where a base URL is set in place of the provider's own."""
        built_in = endpoint_table.BUILT_IN.get(self.endpoint.provider)
        default = built_in.base_url if built_in else ""
        own_host = not default or self.endpoint.base_url in (None, default)
        return self.label if own_host else f"{self.label} at {self.host}"

    @property
    def proxy(self) -> str | None:
        """The proxy on the way to the host as ``host:port``, None without one."""
        from llm_playground.providers.http import proxy_for  # loads httpx2: first use, not import

        row = config.rows().get(self.endpoint.provider)
        base_url = self.endpoint.base_url or (row.base_url if row else None)
        return proxy_for(base_url) if base_url else None

    @property
    def _cloud(self) -> Cloud | None:
        row = config.rows().get(self.endpoint.provider)
        return CLOUDS.get(row.wire_format) if row else None

    @property
    def key_origin(self) -> str:
        """The source of the key and its last characters, as a sentence."""
        if self._cloud is not None:
            return f"{self._cloud.credentials[0].upper()}{self._cloud.credentials[1:]} were sent."
        if self.endpoint.api_key == NO_KEY:
            return "None is set."
        masked = mask(self.endpoint.api_key)
        source = credentials.source_of(self.endpoint.provider, self.endpoint.api_key)
        if source is not None:
            return f"It came from {formatting.article(source)} and ends in {masked}."
        return f"It ends in {masked}."

    @property
    def key_advice(self) -> str:
        """What to do about a refused key, as a sentence."""
        provider = self.endpoint.provider
        if self._cloud is not None:
            return self._cloud.advice
        if self.endpoint.api_key == NO_KEY:
            setting = f'{{"{provider}": {{"key_variable": "NAME"}}}}'
            return f"Say which variable holds it: lp.configure(endpoints={setting})."
        row = config.rows().get(provider)
        if row is None or not row.key_variables:
            return "Restart the kernel."  # the embedded server has a key of its own
        return refused_key_advice(row)


def refused_key_advice(row: EndpointRow) -> str:
    """What to do in a cell about a refused key, as a sentence."""
    check = f", or check {row.base_url_variable}" if row.base_url_variable else ""
    return f"Set another with %llm keys set {row.name}{check}."


def request_id(headers: Mapping[str, str]) -> str | None:
    """The provider's id of the request, from the response headers."""
    return next((headers[name] for name in _REQUEST_ID_HEADERS if headers.get(name)), None)


class Provider(Protocol):
    """A service reached by one wire format."""

    def stream(self, request: Request) -> AsyncGenerator[ProviderEvent, None]:
        """Send the request and yield its events: one ``Responded``, deltas, one ``Finish``.

        Closing the generator, or cancelling the task that reads it, closes the connection.

        Raises:
            ProviderError: Translated from the SDK's or the transport's exception.
        """
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...


_connected: dict[tuple[Endpoint, str], Provider] = {}
_inherited: list[dict[tuple[Endpoint, str], Provider]] = []


async def connect(model: str, progress: Callable[[Preparing], None]) -> Provider:
    """The provider of a model; one object, and so one connection pool, per endpoint.

    ``progress`` is called while something slow is prepared, such as fetching the embedded model.

    Raises:
        ConfigError: A key or a model file is missing, a package's provider cannot be loaded, or
            the administrator's policy does not allow the model; the message says what to do.
    """
    config.check_allowed(model)  # settings may have changed since the call was planned
    endpoint = await _endpoint(model, progress)
    wire_format = config.rows()[endpoint.provider].wire_format
    key = (endpoint, wire_format)
    if key not in _connected:
        # Loading an SDK takes up to 1.4 s, so it happens off the loop, where answers stream.
        build = await asyncio.to_thread(provider_class, wire_format, endpoint.provider)
        if key not in _connected:  # another call may have waited for the same module
            _connected[key] = build(endpoint)
    return _connected[key]


def endpoint_of(provider: str) -> Endpoint:
    """The endpoint and key of a provider other than ``local``, which has to be started.

    Everything that is sent to a provider is sent to this endpoint.

    Raises:
        MissingKeyError: It needs a key, and none was found or the one found is malformed.
        ConfigError: The administrator's policy does not allow it, or a setting of a ``.env`` needs
            the user's consent.
    """
    if not config.may_ask(provider):
        raise ConfigError(f"{provider} is not allowed here by the administrator's policy.")
    row = config.rows()[provider]
    key = credentials.key(provider) if row.key_variables else NO_KEY
    if config.dotenv_files():
        dotenv.check_settings(provider)
    base_url = config.base_url(provider) or row.base_url
    return Endpoint(
        provider,
        key,
        base_url,
        config.settings().timeouts.connect,
        row.key_header,
        tuple((name, _filled(row, name, value)) for name, value in row.headers.items()),
        tuple(row.query.items()),
    )


def _filled(row: EndpointRow, header: str, value: str) -> str:
    """The value of a header with its variables read, as a secret where there are any."""

    def read(variable: str) -> str:
        found = config.read(variable)
        if found is None:
            raise MissingKeyError(
                f"The header {header} of {row.label} takes {variable}, which is not set. Put it in "
                ".env or the environment (no restart needed).",
                provider=row.name,
            )
        remember(found)
        return found

    sent = endpoint_fields.filled(value, read)
    try:
        return http_headers.checked({header: sent}, f"The endpoint {row.name}")[header]
    except InvalidParameterError as error:
        raise ConfigError(f"{error} Correct its variable.", provider=row.name) from None


def provider_class(wire_format: str, provider: str) -> Callable[[Endpoint], Provider]:
    """The class of a wire format, imported together with the SDK it needs.

    ``wire_format`` is the name of a row of ``wire_formats``, or a package's ``module:Class``; the
    message of an error names the ``provider``.

    Raises:
        ConfigError: It is missing or broken.
    """
    row = WIRE_FORMATS.get(wire_format)
    module, name = (row.provider if row else wire_format).split(":")
    try:
        for needed in row.sdk if row else ():
            with suppress(ImportError):
                import_module(_LOOKED_UP_BY.get(needed, needed))
            import_module(needed)
        return cast("Callable[[Endpoint], Provider]", getattr(import_module(module), name))
    except Exception as error:  # a package's module may raise anything
        hint = (row and row.install) or f"Install or correct the package that brings {wire_format}."
        raise ConfigError(
            f"The provider {provider} cannot be loaded ({type(error).__name__}: {error}). {hint}",
            provider=provider,
        ) from error


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
    raise AssertionError("local.start yields an Endpoint last")


async def close() -> None:
    """Close every connection. Later calls open new ones."""
    while _connected:
        _, provider = _connected.popitem()
        await provider.aclose()


def _close_at_exit() -> None:
    if _connected:
        with suppress(Exception):  # the interpreter ends: no one is left to read an error
            _runtime.submit(close()).result(_EXIT_S)


def _leave_to_parent() -> None:
    """In a forked child: neither use nor close the parent's sockets."""
    _inherited.append(dict(_connected))
    _connected.clear()


_lifecycle.register(at_exit=_close_at_exit, after_fork_in_child=_leave_to_parent)

"""Recording at ``send`` of the clients of httpx and httpx2, and at the sessions of aiohttp.

The classes are changed once, when the first recording starts, and put back when the last one stops.
A library that is imported later is changed when it is imported; none is imported here. The request
is sent as it is; the response is passed on as it comes, and its bytes are kept.
"""

from __future__ import annotations

import asyncio
import functools
import importlib.abc
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from llm_playground import provenance
from llm_playground.capture import aiohttp_sessions, handling, recognition
from llm_playground.capture.exchange import Exchange, forget_reported, report
from llm_playground.capture.requests import Sent
from llm_playground.capture.stored_responses import Substitute
from llm_playground.providers import own_clients

_LIBRARIES = ("httpx", "httpx2", "aiohttp")
_HeadersAndBody = Callable[[], tuple[Mapping[str, str], bytes]]


@dataclass(frozen=True, slots=True)
class Settings:
    """What a recording adds to the calls: tags, and why they are sent regardless of budgets."""

    tags: tuple[str, ...] = ()
    override: str | None = None


# Whether the present request is sent on behalf of a client whose call is recorded already.
_within: ContextVar[bool] = ContextVar("_within", default=False)
_lock = threading.RLock()
# Class, name of the method, the method before, the method in its place.
_replaced: list[tuple[type, str, Any, Any]] = []
_active: list[Settings] = []  # those of each recording that has been started


def start(settings: Settings) -> None:
    """Start a recording."""
    with _lock:
        _active.append(settings)
        if len(_active) > 1:
            return
        forget_reported()
        sys.meta_path.insert(0, _later)
        for name in _LIBRARIES:
            if name in sys.modules:
                _change(sys.modules[name])


def stop(settings: Settings) -> None:
    """Stop a recording that was started with these settings; other recordings go on.

    Calls that are under way are recorded to their end.
    """
    with _lock:
        if settings not in _active:  # this module was reloaded
            return
        _active.remove(settings)
        if _active:
            return
        sys.meta_path.remove(_later)
        while _replaced:
            of, name, before, own = _replaced.pop()
            if of.__dict__.get(name) is own:  # else another program has changed it since
                setattr(of, name, before)


def is_recording() -> bool:
    """Whether any recording has been started."""
    return bool(_active)


class _Later(importlib.abc.MetaPathFinder):
    """Changes a library when it is imported."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in _LIBRARIES:
            return None
        for finder in sys.meta_path:
            if finder is self:
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None and spec.loader is not None:
                _change_after_loading(spec.loader)
                return spec
        return None


def _change_after_loading(loader: Any) -> None:  # noqa: ANN401 - any loader
    execute = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        execute(module)
        with _lock:
            if _active:
                _change(module)

    loader.exec_module = exec_module


_later = _Later()


def _change(library: ModuleType) -> None:
    if library.__name__ == "aiohttp":
        _replace(library, "ClientSession", "_request", _session_request)
        return
    _replace(library, "Client", "send", _sync_send)
    _replace(library, "AsyncClient", "send", _async_send)


def _replace(
    library: ModuleType, class_name: str, method: str, recorded: Callable[[Any, Any], Any]
) -> None:
    of = getattr(library, class_name)
    present = getattr(of, method)
    before = getattr(present, "unrecorded", present)  # of this module before it was reloaded
    own = recorded(before, library)
    own.unrecorded = before
    setattr(of, method, own)
    _replaced.append((of, method, before, own))


def _session_request(before: Any, library: Any) -> Any:  # noqa: ANN401 - untyped: of aiohttp
    def begin(method: str, url: str, sent: _HeadersAndBody) -> Exchange | None:
        return None if _within.get() else _begun(method, url, sent)

    return aiohttp_sessions.recorded_request(before, library, begin)


def _sync_send(before: Any, library: Any) -> Any:  # noqa: ANN401 - untyped: of either library
    @functools.wraps(before)
    def send(client: Any, request: Any, *, stream: bool = False, **options: Any) -> Any:  # noqa: ANN401 - the arguments of httpx, passed on unread
        exchange = _begin(client, request)
        if exchange is None:
            return _sent_within(before, client, request, stream=stream, **options)
        substitute = handling.admission(exchange)
        if substitute is not None:
            return _response(library, request, substitute)
        try:
            response = _sent_within(before, client, request, stream=True, **options)
        except BaseException as error:
            exchange.end(error)
            raise
        _keep(exchange, response, library, _sync_tee)
        if not stream:
            try:
                response.read()
            except BaseException as error:
                exchange.end(error)
                response.close()
                raise
        return response

    return send


def _async_send(before: Any, library: Any) -> Any:  # noqa: ANN401 - untyped: of either library
    @functools.wraps(before)
    async def send(client: Any, request: Any, *, stream: bool = False, **options: Any) -> Any:  # noqa: ANN401 - the arguments of httpx, passed on unread
        exchange = _begin(client, request)
        if exchange is None:
            return await _awaited_within(before, client, request, stream=stream, **options)
        is_asyncio = _runs_on_asyncio()
        substitute = await exchange.admitted() if is_asyncio else handling.admission(exchange)
        if substitute is not None:
            return _response(library, request, substitute)
        try:
            response = await _awaited_within(before, client, request, stream=True, **options)
        except BaseException as error:
            exchange.end(error)
            raise
        _keep(exchange, response, library, _async_tee)
        if not stream:
            try:
                await response.aread()
            except BaseException as error:
                exchange.end(error)
                await response.aclose()
                raise
        return response

    return send


def _runs_on_asyncio() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:  # trio
        return False
    return True


def _sent_within(before: Any, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - of httpx
    """Send; what the client sends through another client is the same call."""
    token = _within.set(True)
    try:
        return before(*arguments, **options)
    finally:
        _within.reset(token)


async def _awaited_within(before: Any, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - of httpx
    token = _within.set(True)
    try:
        return await before(*arguments, **options)
    finally:
        _within.reset(token)


def _begin(client: Any, request: Any) -> Exchange | None:  # noqa: ANN401 - of httpx
    if _within.get() or client in own_clients:
        return None
    return _begun(request.method, str(request.url), lambda: (request.headers, request.content))


def _begun(method: str, url: str, headers_and_body: _HeadersAndBody) -> Exchange | None:
    """Begin to record a request; None for one that is no call of a model."""
    try:
        target = recognition.target_of(method, url) if _active else None
        if target is None:
            return None
        headers, body = headers_and_body()
        sent = Sent(
            target,
            body,
            {name.lower(): value for name, value in headers.items()},
            datetime.now(UTC),
            provenance.cell_id(),
            provenance.cell_execution(),
            recognition.library(),
            tuple(tag for one in _active for tag in one.tags),
            next((one.override for one in _active if one.override is not None), None),
        )
        return handling.begin(sent)
    except Exception as error:  # a body that is a stream, or a bug: the call is made unrecorded
        report("A call is not recorded", error)
        return None


def _response(library: Any, request: Any, substitute: Substitute) -> Any:  # noqa: ANN401 - of httpx
    response = library.Response(
        substitute.status_code,
        headers=substitute.headers,
        content=substitute.body,
        request=request,
    )
    response.elapsed = timedelta(0)
    return response


def _keep(exchange: Exchange, response: Any, library: Any, tee: Any) -> None:  # noqa: ANN401 - of httpx
    """Keep the bytes of a response as they are read."""
    received = exchange.received
    try:
        received.library, received.status_code = library, response.status_code
        received.headers = {name.lower(): value for name, value in response.headers.items()}
        if not (response.is_stream_consumed or response.is_closed):
            response.stream = tee(library)(response.stream, exchange)
            return
        content = _content_of(response)
        if content is not None:
            received.library = None
            exchange.keep(content)
        exchange.end(is_whole=content is not None)
    except Exception as error:  # a response that is made otherwise
        exchange.lose(error)
        exchange.end(is_whole=True)


def _content_of(response: Any) -> bytes | None:  # noqa: ANN401 - of httpx
    """What the client's hooks have read of a response; None if it was closed unread."""
    try:
        content: bytes = response.content
    except RuntimeError:
        return None
    return content


@functools.cache
def _sync_tee(library: Any) -> Any:  # noqa: ANN401 - a class of either library
    class Tee(_Tee, library.SyncByteStream):  # type: ignore[misc]  # a base of either library
        """A response's bytes, which are kept as they pass."""

        def __iter__(self) -> Iterator[bytes]:
            try:
                for chunk in self.stream:
                    self.exchange.keep(chunk)
                    yield chunk
            except BaseException as error:
                self.exchange.end(error)
                raise
            self.exchange.end(is_whole=True)

        def close(self) -> None:
            try:
                self.stream.close()
            finally:
                self.exchange.end()

    return Tee


@functools.cache
def _async_tee(library: Any) -> Any:  # noqa: ANN401 - a class of either library
    class Tee(_Tee, library.AsyncByteStream):  # type: ignore[misc]  # a base of either library
        """A response's bytes, which are kept as they pass."""

        async def __aiter__(self) -> AsyncIterator[bytes]:
            try:
                async for chunk in self.stream:
                    self.exchange.keep(chunk)
                    yield chunk
            except BaseException as error:
                self.exchange.end(error)
                raise
            self.exchange.end(is_whole=True)

        async def aclose(self) -> None:
            try:
                await self.stream.aclose()
            finally:
                self.exchange.end()

    return Tee


class _Tee:
    """The stream of a response, and the call whose response it is."""

    def __init__(self, stream: Any, exchange: Exchange) -> None:  # noqa: ANN401 - of httpx
        self.stream = stream
        self.exchange = exchange

    def __del__(self) -> None:
        self.exchange.end()  # a response that was never read nor closed

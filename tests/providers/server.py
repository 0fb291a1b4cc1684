"""A scripted HTTP server on loopback: it plays byte for byte what a vendor would send.

It runs on a thread and a loop of its own, so that synchronous tests, browser tests and tests on any
event loop use it alike::

    with WireServer(Reply(openai_stream(["Hel", "lo"]))) as server:
        endpoint = Endpoint("openai", key, server.url)
        ...
    server.requests[0].json["model"]

It answers any path and any host, so it is a recording proxy as well: requests then come as
``CONNECT host:port`` or with an absolute URL.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

_START_TIMEOUT_S = 60.0
_SSE = {"content-type": "text/event-stream; charset=utf-8"}


@dataclass(frozen=True)
class WireRequest:
    """One request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    received_at: float

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """What one request gets.

    Args:
        chunks: The body; every item is one socket write and, in ``chunked`` framing, one chunk. An
            event among them holds the rest back until it is set.
        status: The HTTP status.
        headers: Beside the framing's own.
        framing: ``chunked``, ``length`` (one Content-Length), or ``close`` (the end is the close).
        delay_s: Before the status line.
        pause_s: Between chunks.
        end: ``done`` ends well; ``close`` too, but then closes the connection unannounced, as
            llama.cpp does; ``drop`` closes in mid-body; ``reset`` does so with a TCP reset;
            ``hang`` sends nothing more until the client leaves.
        head: Whether a status line and headers come at all.
    """

    chunks: Sequence[bytes | threading.Event] = ()
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: dict(_SSE))
    framing: Literal["chunked", "length", "close"] = "chunked"
    delay_s: float = 0.0
    pause_s: float = 0.0
    end: Literal["done", "close", "drop", "reset", "hang"] = "done"
    head: bool = True


def json_reply(status: int, value: object, headers: Mapping[str, str] | None = None) -> Reply:
    """A JSON body with a Content-Length, as errors come."""
    return Reply(
        (json.dumps(value).encode(),),
        status=status,
        headers={"content-type": "application/json", **(headers or {})},
        framing="length",
    )


Script = Reply | Sequence[Reply] | Callable[[WireRequest], Reply]


class WireServer:
    """Plays a script: one reply for all, replies in turn (the last for all further), or a function.

    Attributes:
        requests: Every request so far, in order of arrival.
        left_at: ``time.monotonic()`` of every client that left before its reply was over.
        connections: How many connections were opened.
    """

    def __init__(
        self, script: Script, host: str = "127.0.0.1", port: int = 0, greeting: bytes = b""
    ) -> None:
        self._script = script
        self._host = host
        self._port = port
        self._greeting = greeting  # sent before any request, by a server of another protocol
        self._changed = threading.Condition()
        self._open: set[asyncio.Task[None]] = set()
        self.requests: list[WireRequest] = []
        self.left_at: list[float] = []
        self.connections = 0

    @property
    def url(self) -> str:
        """The base URL, without a path."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    def wait_for(self, happened: Callable[[WireServer], bool], timeout_s: float = 60.0) -> bool:
        """Block until something is true of this server; False when it did not become so."""
        with self._changed:
            return self._changed.wait_for(lambda: happened(self), timeout_s)

    def __enter__(self) -> WireServer:
        started = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(started)), name="wire server", daemon=True
        )
        self._thread.start()
        assert started.wait(_START_TIMEOUT_S), "the wire server did not start"
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection and stop; returns when that is done."""
        if not self._thread.is_alive():
            return
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_START_TIMEOUT_S)

    async def _serve(self, started: threading.Event) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connected, self._host, self._port)
        self._port = server.sockets[0].getsockname()[1]
        started.set()
        await self._stop.wait()
        for listening in server.sockets:
            self._loop.remove_reader(listening)
        # A connection accepted at the last moment begins, to be closed too: asyncio would lose the
        # socket of one that begins after the server is closed.
        while asyncio.all_tasks() - {asyncio.current_task()}:
            for task in self._open:
                if not task.cancelling():
                    task.cancel()
            await asyncio.sleep(0.001)
        server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            await self._converse(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client left between two requests, or the server stops
        finally:
            self._open.discard(task)
            writer.transport.abort()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with self._noting():
            self.connections += 1
        first = b""
        if self._greeting:
            writer.write(self._greeting)
            return
        while True:
            request = await _receive(first, reader)
            with self._noting():
                self.requests.append(request)
                reply = self._reply_to(request)
            leaving = asyncio.create_task(_next_byte(reader))
            playing = asyncio.create_task(_play(reply, writer))
            try:
                await asyncio.wait({leaving, playing}, return_when=asyncio.FIRST_COMPLETED)
                if not playing.done() or playing.exception() is not None:
                    with self._noting():
                        self.left_at.append(time.monotonic())
                    return
                if reply.framing == "close" or reply.end != "done":
                    return
                first = await leaving
            finally:
                await _cancelled(playing, leaving)
            if not first:
                return

    def _reply_to(self, request: WireRequest) -> Reply:
        if isinstance(self._script, Reply):
            return self._script
        if callable(self._script):
            return self._script(request)
        return self._script[min(len(self.requests), len(self._script)) - 1]

    @contextlib.contextmanager
    def _noting(self) -> Iterator[None]:
        with self._changed:
            yield
            self._changed.notify_all()


async def _next_byte(reader: asyncio.StreamReader) -> bytes:
    """The first byte of another request, empty when the client left."""
    try:
        return await reader.read(1)
    except ConnectionError:
        return b""


async def _receive(first: bytes, reader: asyncio.StreamReader) -> WireRequest:
    head = (first + await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    method, path, _ = head.split("\r\n", 1)[0].split(" ", 2)
    lines = (line.partition(":") for line in head.split("\r\n")[1:] if line)
    headers = {name.lower(): value.strip() for name, _, value in lines}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return WireRequest(method, path, headers, body, time.monotonic())


async def _play(reply: Reply, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(reply.delay_s)
    writer.write(_head(reply) if reply.head else b"")
    await writer.drain()
    async for chunk in _paced(reply):
        framed = b"%x\r\n%s\r\n" % (len(chunk), chunk) if reply.framing == "chunked" else chunk
        writer.write(framed)
        await writer.drain()
    if reply.end == "hang":
        await asyncio.Event().wait()
    elif reply.end == "reset":
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()
        return
    if reply.end in ("done", "close") and reply.framing == "chunked":
        writer.write(b"0\r\n\r\n")
        await writer.drain()
    if reply.end != "done" or reply.framing == "close":
        writer.close()


async def _paced(reply: Reply) -> AsyncIterator[bytes]:
    for number, chunk in enumerate(reply.chunks):
        if number:
            # Zero still gives the loop a turn, so that every chunk is a write of its own.
            await asyncio.sleep(reply.pause_s)
        if isinstance(chunk, threading.Event):
            while not chunk.is_set():  # noqa: ASYNC110 - it is set on another thread
                await asyncio.sleep(0.005)
        elif chunk:  # an empty chunk would end a chunked body
            yield chunk


def _head(reply: Reply) -> bytes:
    length = sum(len(chunk) for chunk in reply.chunks if isinstance(chunk, bytes))
    framing = {
        "chunked": {"transfer-encoding": "chunked"},
        "length": {"content-length": str(length)},
        "close": {"connection": "close"},
    }[reply.framing]
    lines = [f"HTTP/1.1 {reply.status} Scripted"]
    lines += [f"{name}: {value}" for name, value in {**reply.headers, **framing}.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


async def _cancelled(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

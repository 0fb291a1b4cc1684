"""A vendor on loopback in a process of its own, so that its CPU is not counted as the client's.

    with loopback() as vendor:
        vendor.url("openai", deltas=2_000)

What it sends is written in the base URL: how many deltas, after which wait, how far apart. Every
event is one socket write. Run as a program, it serves, and prints its port.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.providers.formats import (
    ANTHROPIC_USAGE,
    OPENAI_USAGE,
    anthropic_stream,
    gemini_stream,
    openai_stream,
)

_WORDS = (" the", " quick", " brown", " fox", " jumps", " over", " the", " lazy", " dog", ".")
_STREAMS = {
    "completions": openai_stream,
    "messages": anthropic_stream,
    "streamGenerateContent": gemini_stream,
}
_START_S = 20.0
_STOP_S = 5.0


BASE_URLS = {
    "openai": "OPENAI_BASE_URL",
    "anthropic": "ANTHROPIC_BASE_URL",
    "gemini": "GOOGLE_GEMINI_BASE_URL",
}
KEY = "planted-" + "key-" * 4
_KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GOOGLE_GEMINI_API_KEY")


@contextmanager
def alone() -> Iterator[None]:
    """A data folder and a working folder of its own, and keys that are none."""
    from llm_playground.runlog import open_log  # not in the serving process

    # The log's threads may write once more while it goes.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home, chdir(home):
        os.environ["LLM_PLAYGROUND_HOME"] = home
        os.environ.pop("LLM_PLAYGROUND_LOG", None)
        os.environ.update(dict.fromkeys(_KEYS, KEY))
        yield
        open_log().close()


@dataclass(frozen=True)
class Loopback:
    """A serving process."""

    port: int

    def url(
        self, provider: str, *, deltas: int = 1, wait_ms: float = 0, apart_us: float = 0
    ) -> str:
        """The base URL, as the provider's SDK wants it, of a service that answers so."""
        base = f"http://127.0.0.1:{self.port}/{deltas}/{wait_ms:g}/{apart_us:g}"
        return f"{base}/v1" if provider == "openai" else base


@contextmanager
def loopback() -> Iterator[Loopback]:
    """Serve for the length of a ``with``."""
    with subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Loopback(int(process.stdout.readline()))
        finally:
            process.stdin.close()  # it ends with us, however we end
            process.wait(_STOP_S)


@lru_cache(maxsize=16)
def _events(service: str, deltas: int) -> tuple[bytes, ...]:
    """Framed for a chunked body."""
    pieces = [_WORDS[number % len(_WORDS)] for number in range(deltas)]
    return tuple(b"%x\r\n%s\r\n" % (len(event), event) for event in _STREAMS[service](pieces))


def _whole(service: str, deltas: int) -> bytes:
    """The same answer, not streamed."""
    text = "".join(_WORDS[number % len(_WORDS)] for number in range(deltas))
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text, "refusal": None},
        "finish_reason": "stop",
        "logprobs": None,
    }
    about = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1741569952}
    chat = {**about, "model": "gpt-4o-2024-08-06", "choices": [choice], "usage": OPENAI_USAGE}
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "content": [{"type": "text", "text": text}],
        "model": "claude-sonnet-4-5-20250929",
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": ANTHROPIC_USAGE,
    }
    return json.dumps({"completions": chat, "messages": message}[service]).encode()


class _Connection(asyncio.Protocol):
    """Reads requests and answers them; as little work as can be."""

    def __init__(self) -> None:
        self._received = b""
        self._writable = asyncio.Event()
        self._writable.set()
        self._answering: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answering is not None:
            self._answering.cancel()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found or len(body) < _content_length(head):
            return
        self._received = b""
        self._answering = asyncio.create_task(self._answer(head, body))

    async def _answer(self, head: bytes, body: bytes) -> None:
        path = head.split(b" ", 2)[1].decode().partition("?")[0]
        _, deltas, wait_ms, apart_us, rest = path.split("/", 4)
        service = rest.rpartition("/")[2].rpartition(":")[2]
        if float(wait_ms):
            await asyncio.sleep(float(wait_ms) / 1000)
        if service != "streamGenerateContent" and not json.loads(body).get("stream"):
            self._send_whole(_whole(service, int(deltas)))
            return
        self._transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
            b"transfer-encoding: chunked\r\n\r\n"
        )
        for event in _events(service, int(deltas)):
            await asyncio.sleep(float(apart_us) / 1e6)
            await self._writable.wait()
            self._transport.write(event)
        self._transport.write(b"0\r\n\r\n")

    def _send_whole(self, content: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        self._transport.write(head % len(content) + content)


def _content_length(head: bytes) -> int:
    lines = (line.partition(b":") for line in head.lower().split(b"\r\n")[1:])
    return next((int(value) for name, _, value in lines if name == b"content-length"), 0)


async def _serve() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 8_192)), hard))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Connection, "127.0.0.1", 0, backlog=4_096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve())

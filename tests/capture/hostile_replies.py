"""Replies and requests that are odd or hostile, and what the log has of the call."""

import gzip
import json
import zlib
from dataclasses import dataclass, field

import brotli
import zstandard

from tests.capture.wire import TEXT
from tests.providers import formats
from tests.providers.server import Reply

LIMIT_BYTES = 1 << 20
"""How much of a response is kept in these tests."""
STREAM = formats.openai_stream(["Hel", "lo, ", "wörld 😀."])
SSE = b"".join(STREAM)
WHOLE = json.dumps(
    {
        "model": "gpt-4o",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": TEXT},
                "finish_reason": "stop",
            }
        ],
        "usage": formats.OPENAI_USAGE,
    },
    ensure_ascii=False,
).encode()
PICTURE = "data:image/png;base64," + "iVBORw0KGgo" * 20_000
CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"place": "Zürich"'},  # no valid JSON
}
CALLING = json.dumps(
    {
        "choices": [
            {
                "message": {
                    "content": None,
                    "tool_calls": [CALL],
                    "images": [{"type": "image_url", "image_url": {"url": PICTURE}}],
                },
                "finish_reason": "tool_calls",
            }
        ],
        "usage": formats.OPENAI_USAGE,
    }
).encode()
WITH_PARTS = {
    "tools": [{"type": "function", "function": {"name": "weather", "parameters": {"a": [None]}}}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Where is it?"},
                {"type": "image_url", "image_url": {"url": PICTURE}},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,%%%"}},
                {"type": "unheard_of", "x": [1]},
            ],
        },
        {"role": "assistant", "content": None, "tool_calls": [CALL, {"type": "odd"}]},
        {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "Sun"}]},
    ],
}


def _compress(data, wbits):
    packing = zlib.compressobj(9, zlib.DEFLATED, wbits)
    return packing.compress(data) + packing.flush()


def _flushed_gzip(pieces):
    """A compressed chunk for each piece, as servers send streams."""
    packing = zlib.compressobj(9, zlib.DEFLATED, 31)
    chunks = [packing.compress(one) + packing.flush(zlib.Z_SYNC_FLUSH) for one in pieces]
    return (*chunks, packing.flush())


@dataclass(frozen=True)
class Case:
    """A reply, and what the log has of it: status, start of the error's type, text, tokens."""

    reply: Reply
    status: str = "completed"
    error: str = ""
    text: str | None = TEXT
    fields: dict = field(default_factory=dict)  # of the request's body
    tokens: int | None = formats.OPENAI_USAGE["completion_tokens"]


def _sse(chunks, *, encoding=None, **more):
    packed = {} if encoding is None else {"content-encoding": encoding}
    return Reply(chunks, headers={"content-type": "text/event-stream", **packed}, **more)


def _json(body, status=200, **headers):
    kind = {"content-type": "application/json", **headers}
    return Reply((body,) if body else (), status=status, headers=kind, framing="length")


def _failed(reply, error="", text=None):
    return Case(reply, "failed", error, text, tokens=None)


_GZIP = gzip.compress(SSE, mtime=0)
_LONG = b": " + b"x" * LIMIT_BYTES + b"\n\n" + SSE
CASES = {
    "whole": Case(_json(WHOLE)),
    "invalid JSON": _failed(_json(WHOLE[:-20]), "Provider"),
    "JSON of another shape": _failed(_json(b'{"choices": {"0": [null, 1e999]}}'), "Provider"),
    "deep JSON": _failed(_json(b"[" * 100_000), "Provider"),
    "gzip": Case(_json(gzip.compress(WHOLE, mtime=0), **{"content-encoding": "gzip"})),
    "gzip stream": Case(_sse(_flushed_gzip(STREAM), encoding="gzip")),
    "deflate": Case(_json(_compress(WHOLE, 15), **{"content-encoding": "deflate"})),
    "raw deflate stream": Case(_sse((_compress(SSE, -15),), encoding="deflate")),
    "br": Case(_json(brotli.compress(WHOLE), **{"content-encoding": "br"})),
    "br stream": Case(_sse(tuple(bytes([b]) for b in brotli.compress(SSE)), encoding="br")),
    "zstd": Case(_json(zstandard.compress(WHOLE), **{"content-encoding": "zstd"})),
    "zstd stream": Case(_sse((zstandard.compress(SSE),), encoding="zstd")),
    "gzip stream, cut": Case(
        _sse(_flushed_gzip(STREAM)[:3], encoding="gzip", end="reset"),
        *("failed", "StreamInterrupted", TEXT[:7]),
        tokens=None,
    ),
    "no gzip": _failed(_sse((SSE,), encoding="gzip"), "Provider"),
    "damaged gzip": _failed(
        _json(_GZIP[:20] + b"\0" * 40, **{"content-encoding": "gzip"}), "Provider"
    ),
    "an unknown encoding": Case(_sse((SSE,), encoding="x-rot13")),
    "bomb": _failed(
        _json(gzip.compress(b"\0" * (2 * LIMIT_BYTES), mtime=0), **{"content-encoding": "gzip"}),
        "Provider",
    ),
    "br bomb": _failed(
        _json(brotli.compress(b"\0" * (2 * LIMIT_BYTES)), **{"content-encoding": "br"}), "Provider"
    ),
    "too long": _failed(_sse((_LONG,)), "Provider"),
    "empty": _failed(_json(b""), "Provider"),
    "204": _failed(Reply((), status=204, headers={}, framing="close"), "Provider"),
    "CRLF": Case(_sse((SSE.replace(b"\n", b"\r\n"),))),
    "lone CR": Case(_sse(tuple(one.replace(b"\n", b"\r") for one in STREAM))),
    "one byte a chunk": Case(_sse(tuple(bytes([byte]) for byte in SSE))),
    "no UTF-8": Case(_sse((SSE.replace("ö".encode(), b"\xc3"),)), text="Hello, w�rld 😀."),
    "cut": Case(
        _sse(STREAM[:3], end="reset"), "failed", "StreamInterrupted", TEXT[:7], tokens=None
    ),
    "cut in JSON": _failed(
        Reply((WHOLE[:40],), headers={"content-type": "application/json"}, end="drop"), "Provider"
    ),
    "HTML": _failed(
        Reply((b"<html><p>Sign in.</html>",), headers={"content-type": "text/html"}), "Provider"
    ),
    "large headers": Case(_json(WHOLE, **{f"x-odd-{n}": "é" * 900 for n in range(40)})),
    "no content type": Case(Reply((WHOLE,), headers={}, framing="length")),
    "an error in HTML": _failed(
        Reply((b"<html>",), status=502, headers={"content-type": "text/html"}),
        "ProviderUnavailable",
    ),
    "tools and pictures": Case(_json(CALLING), text=None, fields=WITH_PARTS),
    "a request of odd types": Case(
        _json(WHOLE), fields={"messages": [None, 5, {"role": 3, "content": {"a": 1}}], "n": "two"}
    ),
}

"""Requests of every kind, for each vendor, and what our own provider sends for them."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from dataclasses import replace

from llm_playground.parts import (
    FilePart,
    ImagePart,
    Original,
    ReasoningPart,
    TextPart,
    ToolCall,
    ToolResult,
)
from llm_playground.types import Message, Parameters, Request, Schema, Tool
from tests.providers.server import Reply, WireRequest, WireServer
from tests.providers.vendors import Vendor

# What follows the server's address in a vendor's base URL.
BASE_PATH = {"openai": "/v1", "anthropic": "", "gemini": ""}
GIF = b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\1\0\1\0\0\2\2D\1\0;" + bytes(range(256))
DATA_URL = f"data:image/gif;base64,{b64encode(GIF).decode()}"
FILES = (
    FilePart("application/pdf", "a 'b' $HOME.pdf", b"%PDF-1.4 <</Type /Page>>" + bytes(range(256))),
    FilePart("text/csv", "c.csv", "a,\"b\"\n$HOME `id` ${x} 'c' {{d}}\u00e9".encode()),
)
_TOWN = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "__proto__": {"type": "integer"}},
    "required": ["city", "__proto__"],
}
HEADERS = {"x-beta": "a, \"b\" $HOME \\ `id` ${x} 'c' {{d}}", "x$`!`-2": "2"}
SETTINGS = {
    "openai": {"seed": 2**62 + 1, "presence_penalty": 0.5, "logprobs": 2, "stop": ("END", "'''")},
    "anthropic": {"stop": ("END", "EOF"), "top_k": 3},
    "gemini": {"seed": 7, "stop": ("END", "`${x}`"), "top_k": 3, "reasoning_effort": "low"},
}


def text(role: str, *texts: str) -> Message:
    return Message(role, tuple(map(TextPart, texts)))


SEALED = Original("anthropic", '{"type": "thinking", "signature": "seal"}', "anthropic")


def plain(vendor: Vendor) -> Request:
    return Request(vendor.model, (text("user", "Say hello."),))


def rich(vendor: Vendor) -> Request:
    """All kinds of turns and parts, settings, tools, and what only this vendor knows."""
    turns = (
        text("system", 'Be "brief".\nEOF\n$HOME `id` ${x} \\'),
        Message("user", (ImagePart("image/gif", GIF), *FILES, TextPart("What is this?"))),
        Message("user", (ImagePart(None, url=DATA_URL), TextPart("Is it the same?"))),
        text("assistant", "A dot."),
        Message("user", (ImagePart(None, url="https://example.com/a.png"), TextPart("And this?"))),
        Message("assistant", (ReasoningPart("Hm.", SEALED), ToolCall("c1", "look", '{"n": 1.5}'))),
        Message("tool", (ToolResult("c1", "look", "It's 'there'."),)),
        text("user", "Go on.", " Now."),
    )
    settings = Parameters(
        temperature=0.25,
        max_tokens=50,
        extra={"metadata": {"__proto__": [1, None, True, 1.5e-7]}, "new-thing": -0.5},
        headers=HEADERS,
        **SETTINGS[vendor.name],
    )
    return Request(vendor.model, turns, settings, (Tool("look", 'Looks "there".', _TOWN),))


def shaped(vendor: Vendor) -> Request:
    return replace(plain(vendor), schema=Schema("Town", _TOWN, str))


KINDS = {"plain": plain, "rich": rich, "shaped": shaped}


def sent_by_us(vendor: Vendor, request: Request) -> WireRequest:
    """What our own provider sends."""

    async def send(server: WireServer) -> None:
        provider = vendor.provider(server.url + BASE_PATH[vendor.name])
        try:
            async for _ in provider.stream(request):
                pass
        finally:
            await provider.aclose()

    with WireServer(Reply(vendor.stream(["A"]))) as server:
        asyncio.run(asyncio.wait_for(send(server), 20))
    return server.requests[0]

"""The HTTP clients by which the libraries send: one POST with each, as status and body."""

import asyncio
import json

import aiohttp
import httpx
import httpx2

from tests.capture.wire import KEY

HEADERS = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}


def _of_httpx(library):
    def sync(url, body):
        with library.Client(trust_env=False, verify=False) as client:
            response = client.post(url, content=body, headers=HEADERS)
        return response.status_code, response.content

    async def awaited(url, body):
        async with library.AsyncClient(trust_env=False, verify=False) as client:
            response = await client.post(url, content=body, headers=HEADERS)
        return response.status_code, response.content

    return sync, lambda url, body: asyncio.run(awaited(url, body))


async def _by_aiohttp(url, body):
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=body, headers=HEADERS) as response,
    ):
        return response.status, await response.read()


TRANSPORTS = {
    "httpx": _of_httpx(httpx)[0],
    "httpx-async": _of_httpx(httpx)[1],
    "httpx2": _of_httpx(httpx2)[0],
    "httpx2-async": _of_httpx(httpx2)[1],
    "aiohttp": lambda url, body: asyncio.run(_by_aiohttp(url, body)),
}
# Path and body of a call in each wire format, without its prompt.
CALLS = {
    "openai": ("/v1/chat/completions", lambda turn: {"model": "gpt-4o", "messages": [turn]}),
    "openai-responses": ("/v1/responses", lambda turn: {"model": "gpt-4o", "input": [turn]}),
    "anthropic": (
        "/v1/messages",
        lambda turn: {"model": "claude-sonnet-4-5", "max_tokens": 99, "messages": [turn]},
    ),
    "gemini": (
        "/v1beta/models/gemini-2.5-flash:generateContent",
        lambda turn: {"contents": [{"role": "user", "parts": [{"text": turn["content"]}]}]},
    ),
}


def post(transport, server, text="Say hello.", wire_format="openai", **fields):
    """Send a call of a model; its status and what came."""
    path, body = CALLS[wire_format]
    content = {**body({"role": "user", "content": text}), **fields}
    return TRANSPORTS[transport](server.url + path, json.dumps(content).encode())

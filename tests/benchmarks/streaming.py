"""What one streamed delta costs in CPU, beside the raw stream and the vendors' SDKs.

python tests/benchmarks/streaming.py

Every event is one socket write. Measured is the CPU of this process, all threads; the server is
another. Events come as fast as they can be sent, and once more 0.5 ms apart, each a read of its
own, as from a vendor.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import aiohttp
import anthropic
import httpx2
import openai
from google import genai

import llm_playground as lp
from llm_playground import providers, runlog
from llm_playground.types import Message, Request, TextPart
from tests.benchmarks.loopback import Loopback, loopback

DELTAS = 2_000
ROUNDS = 7
APART_US = 500
KEY = "planted-" + "key-" * 4
PROMPT = "Tell me a story."
MODELS = {
    "openai": "gpt-4o",
    "anthropic": "claude-sonnet-4-5",
    "gemini": "gemini-2.5-flash",
}
KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GOOGLE_GEMINI_API_KEY")
BASE_URLS = {
    "openai": "OPENAI_BASE_URL",
    "anthropic": "ANTHROPIC_BASE_URL",
    "gemini": "GOOGLE_GEMINI_BASE_URL",
}
_TURNS = [{"role": "user", "content": PROMPT}]
_RAW = {
    "openai": ("/chat/completions", {"model": "gpt-4o", "messages": _TURNS, "stream": True}),
    "anthropic": ("/v1/messages", {"model": "claude", "messages": _TURNS, "stream": True}),
    "gemini": ("/v1beta/models/gemini:streamGenerateContent?alt=sse", {"contents": []}),
}

# Reads one answer from a base URL and says how many pieces of text came.
Reading = Callable[[str], Awaitable[int]]


async def _texts(chunks: AsyncIterator[bytes], text: Callable[[dict], str | None]) -> int:
    """The least that reads events: split, parse, look."""
    found, rest = 0, b""
    async for chunk in chunks:
        *events, rest = (rest + chunk).replace(b"\r\n", b"\n").split(b"\n\n")
        for event in events:
            data = event.rpartition(b"data: ")[2]
            if data != b"[DONE]" and text(json.loads(data)):
                found += 1
    return found


_TEXT: dict[str, Callable[[dict], str | None]] = {
    "openai": lambda e: e["choices"][0]["delta"].get("content") if e["choices"] else None,
    "anthropic": lambda e: e["delta"].get("text") if "delta" in e else None,
    "gemini": lambda e: e["candidates"][0]["content"]["parts"][0]["text"],
}


def raw_aiohttp(session: aiohttp.ClientSession, provider: str) -> Reading:
    path, body = _RAW[provider]

    async def read(url: str) -> int:
        async with session.post(url + path, json=body) as response:
            return await _texts(response.content.iter_any(), _TEXT[provider])

    return read


def raw_httpx2(client: httpx2.AsyncClient, provider: str) -> Reading:
    path, body = _RAW[provider]

    async def read(url: str) -> int:
        async with client.stream("POST", url + path, json=body) as response:
            return await _texts(response.aiter_bytes(), _TEXT[provider])

    return read


def openai_parsed(client: openai.AsyncOpenAI) -> Reading:
    async def read(url: str) -> int:
        stream = await client.with_options(base_url=url).chat.completions.create(
            model=MODELS["openai"], messages=_TURNS, stream=True
        )
        return sum([1 async for e in stream if e.choices and e.choices[0].delta.content])

    return read


def anthropic_create(client: anthropic.AsyncAnthropic) -> Reading:
    async def read(url: str) -> int:
        stream = await client.with_options(base_url=url).messages.create(
            model=MODELS["anthropic"], max_tokens=4_096, messages=_TURNS, stream=True
        )
        return sum([1 async for e in stream if e.type == "content_block_delta"])

    return read


def anthropic_stream(client: anthropic.AsyncAnthropic) -> Reading:
    async def read(url: str) -> int:
        async with client.with_options(base_url=url).messages.stream(
            model=MODELS["anthropic"], max_tokens=4_096, messages=_TURNS
        ) as stream:
            return sum([1 async for _ in stream.text_stream])

    return read


def genai_stream() -> Reading:
    async def read(url: str) -> int:
        async with genai.Client(api_key=KEY, http_options={"base_url": url}).aio as client:
            stream = await client.models.generate_content_stream(
                model=MODELS["gemini"], contents=PROMPT
            )
            return sum([1 async for e in stream if e.text])

    return read


def our_provider(name: str) -> Reading:
    request = Request(f"{name}:{MODELS[name]}", (Message("user", (TextPart(PROMPT),)),))

    async def read(url: str) -> int:
        os.environ[BASE_URLS[name]] = url
        provider = await providers.connect(request.model, lambda _: None)
        async with aclosing(provider.stream(request)) as events:
            found = sum([1 async for e in events if isinstance(e, lp.TextDelta)])
        await providers.close()
        return found

    return read


def ours(name: str) -> Reading:
    async def read(url: str) -> int:
        os.environ[BASE_URLS[name]] = url
        events = lp.stream(PROMPT, f"{name}:{MODELS[name]}")
        return sum([1 async for e in events if isinstance(e, lp.TextDelta)])

    return read


def our_complete(name: str) -> Reading:
    async def read(url: str) -> int:
        os.environ[BASE_URLS[name]] = url
        run = await lp.complete(PROMPT, f"{name}:{MODELS[name]}")
        return run.text.count(" ") + run.text.count(".")  # a piece begins or is one

    return read


async def cpu_us(reading: Reading, url: str, deltas: int = DELTAS) -> float:
    """CPU of this process per delta while one answer is read, in µs."""
    await asyncio.to_thread(runlog.open_log().drain)  # what ran before is not this one's
    gc.collect()
    started = time.process_time()
    found = await reading(url)
    spent = time.process_time() - started
    assert found == deltas, f"{found} of {deltas} deltas came"
    return spent / deltas * 1e6


async def medians(
    contenders: dict[str, Reading], url: str, *, deltas: int = DELTAS, rounds: int = ROUNDS
) -> dict[str, float]:
    """CPU per delta, in µs: each in turn, so that a busy moment hits all alike."""
    spent: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name, reading in contenders.items():
            us = await cpu_us(reading, url, deltas)
            if number:  # the first imports and connects
                spent[name].append(us)
    return {name: statistics.median(values) for name, values in spent.items()}


@asynccontextmanager
async def contenders() -> AsyncIterator[dict[str, dict[str, Reading]]]:
    """By wire format: whom to compare. The first is the raw stream."""
    async with (
        aiohttp.ClientSession() as session,
        httpx2.AsyncClient() as client,
        openai.AsyncOpenAI(api_key=KEY) as plain,
        openai.AsyncOpenAI(api_key=KEY, http_client=openai.DefaultAioHttpClient()) as fast,
        anthropic.AsyncAnthropic(api_key=KEY) as claude,
    ):
        sdks = {
            "openai": {
                "openai SDK": openai_parsed(plain),
                "openai SDK aiohttp": openai_parsed(fast),
            },
            "anthropic": {"create": anthropic_create(claude), "stream": anthropic_stream(claude)},
            "gemini": {"google-genai": genai_stream()},
        }
        yield {
            name: {
                "raw aiohttp": raw_aiohttp(session, name),
                "raw httpx2": raw_httpx2(client, name),
                **sdks[name],
                "our provider": our_provider(name),
                "lp.stream": ours(name),
                "lp.complete": our_complete(name),
            }
            for name in MODELS
        }


@contextmanager
def alone() -> Iterator[None]:
    """A data folder of its own, and keys that are none."""
    with tempfile.TemporaryDirectory() as home:
        os.environ["LLM_PLAYGROUND_HOME"] = home
        os.environ.pop("LLM_PLAYGROUND_LOG", None)
        for variable in KEYS:
            os.environ[variable] = KEY
        yield


async def compare(vendor: Loopback, apart_us: float) -> None:
    print(f"\n{DELTAS:,} deltas, {apart_us:g} µs apart: CPU in µs per delta (ms per 1,000)")
    async with contenders() as formats:
        sdk = None
        for name, readings in formats.items():
            url = vendor.url(name, deltas=DELTAS, apart_us=apart_us)
            spent = await medians(readings, url)
            sdk = sdk or spent["openai SDK"]
            for reading, us in spent.items():
                raw = us / spent["raw aiohttp"]
                print(
                    f"{name:10} {reading:20} {us:7.1f}   {raw:5.2f} x raw   {us / sdk:5.2f} x SDK"
                )


async def main() -> None:
    with alone(), loopback() as vendor:
        for apart_us in (0, APART_US):
            await compare(vendor, apart_us)


if __name__ == "__main__":
    asyncio.run(main())

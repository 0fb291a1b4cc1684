"""What one streamed delta costs in CPU, beside the raw stream and the vendors' SDKs.

    python tests/benchmarks/streaming.py

Every event is one socket write. Counted is the CPU of all threads of this process; the vendor is
another. Ours is counted with engine and log; bringing a run into the database comes apart, since
it is done once a second at most, however many deltas and runs there were. Events come as fast as
they can be sent, and once more apart, so that each is a read of its own, as from a vendor.
"""

import asyncio
import gc
import json
import os
import statistics
import sys
import time
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import aiohttp
import anthropic
import httpx2
import openai
from google import genai
from google.genai import types as genai_types

import llm_playground as lp
from llm_playground.runlog import open_log
from tests.benchmarks.loopback import BASE_URLS, KEY, alone, loopback
from tests.providers import vendors

DELTAS = 2_000
ROUNDS = 9
APART_ROUNDS = 3
APART_US = 500
PROMPT = "Tell me a story."
MODELS = {"openai": "gpt-4o", "anthropic": "claude-haiku-4-5", "gemini": "gemini-2.5-flash"}
TURNS = [{"role": "user", "content": PROMPT}]
RAW = {
    "openai": ("/chat/completions", {"messages": TURNS, "stream": True}),
    "anthropic": ("/v1/messages", {"messages": TURNS, "stream": True}),
    "gemini": ("/v1beta/models/gemini:streamGenerateContent?alt=sse", {"contents": []}),
}
TEXT = {
    "openai": lambda e: e["choices"][0]["delta"].get("content") if e["choices"] else None,
    "anthropic": lambda e: e["delta"].get("text") if "delta" in e else None,
    "gemini": lambda e: e["candidates"][0]["content"]["parts"][0]["text"],
}


async def raw(chunks, provider):
    """The least that reads events: split, parse, look. How many pieces of text came."""
    text, found, rest = TEXT[provider], 0, b""
    async for chunk in chunks:
        *events, rest = (rest + chunk).replace(b"\r\n", b"\n").split(b"\n\n")
        for event in events:
            data = event.rpartition(b"data: ")[2]
            if data != b"[DONE]" and text(json.loads(data)):
                found += 1
    return found


async def of_openai(provider, url, closing):
    """The openai SDK's parsed stream, over each of its transports."""

    def reading(**options):
        client = openai.AsyncOpenAI(api_key=KEY, base_url=url, **options)
        closing.push_async_callback(client.close)

        async def read():
            stream = await client.chat.completions.create(
                model=MODELS[provider], messages=TURNS, stream=True
            )
            return sum([1 async for e in stream if e.choices and e.choices[0].delta.content])

        return read

    return {
        "openai SDK": reading(),
        "openai SDK, aiohttp": reading(http_client=openai.DefaultAioHttpClient()),
    }


async def of_anthropic(provider, url, closing):
    """Both doors of the anthropic SDK."""
    client = await closing.enter_async_context(anthropic.AsyncAnthropic(api_key=KEY, base_url=url))
    asked = {"model": MODELS[provider], "max_tokens": 4_096, "messages": TURNS}

    async def create():
        stream = await client.messages.create(**asked, stream=True)
        return sum([1 async for e in stream if e.type == "content_block_delta"])

    async def stream():
        async with client.messages.stream(**asked) as events:
            return sum([1 async for _ in events.text_stream])

    return {"anthropic create": create, "anthropic stream": stream}


async def of_gemini(provider, url, closing):
    """The google-genai SDK's stream."""
    options = genai_types.HttpOptions(base_url=url)
    client = genai.Client(api_key=KEY, http_options=options).aio
    closing.push_async_callback(client.aclose)

    async def read():
        stream = await client.models.generate_content_stream(
            model=MODELS[provider], contents=PROMPT
        )
        return sum([1 async for e in stream if e.text])

    return {"google-genai": read}


SDKS = {"openai": of_openai, "anthropic": of_anthropic, "gemini": of_gemini}


def ours(provider, url, closing):
    """Our provider alone; what scripts iterate over; what they await. The last two log."""
    [vendor] = [vendor for vendor in vendors.ALL if vendor.name == provider]
    alone_ = vendor.provider(url)
    closing.push_async_callback(alone_.aclose)
    os.environ[BASE_URLS[provider]] = url
    model = f"{provider}:{MODELS[provider]}"

    async def of_provider():
        events = alone_.stream(vendor.request())
        return sum([1 async for e in events if isinstance(e, lp.TextDelta)])

    async def stream():
        return sum([1 async for e in lp.stream(PROMPT, model) if isinstance(e, lp.TextDelta)])

    async def complete():
        text = (await lp.complete(PROMPT, model)).text
        return text.count(" ") + text.count(".")  # with which a piece begins

    return {"our provider": of_provider, "lp.stream": stream, "lp.complete": complete}


@asynccontextmanager
async def readings(provider, url):
    """By name: what reads one answer and says how many pieces of text came."""
    path, body = RAW[provider]
    async with AsyncExitStack() as closing:
        session = await closing.enter_async_context(aiohttp.ClientSession())
        client = await closing.enter_async_context(httpx2.AsyncClient())

        async def over_aiohttp():
            async with session.post(url + path, json=body) as response:
                return await raw(response.content.iter_any(), provider)

        async def over_httpx2():
            async with client.stream("POST", url + path, json=body) as response:
                return await raw(response.aiter_bytes(), provider)

        yield {
            "raw, aiohttp": over_aiohttp,
            "raw, httpx2": over_httpx2,
            **await SDKS[provider](provider, url, closing),
            **ours(provider, url, closing),
        }


async def at_rest(provider, url, short):
    """Nothing waits for the log, and a call was made just now, as one follows another."""
    await asyncio.to_thread(open_log().drain)
    os.environ[BASE_URLS[provider]] = short
    await lp.complete(PROMPT, f"{provider}:{MODELS[provider]}")
    os.environ[BASE_URLS[provider]] = url
    gc.collect()


async def cpu_us(read, deltas):
    """CPU of this process per delta while one answer is read."""
    started = time.process_time()
    found = await read()
    spent = time.process_time() - started
    assert found == deltas, f"{found} of {deltas} deltas came"
    return spent / deltas * 1e6


async def costs(
    vendor, provider, *, deltas=DELTAS, rounds=ROUNDS, apart_us=0, only=None, of=statistics.median
):
    """CPU per delta in µs by reading; in turn, so that a busy moment hits all alike."""
    url = vendor.url(provider, deltas=deltas, apart_us=apart_us)
    async with readings(provider, url) as ways:
        chosen = {name: read for name, read in ways.items() if only is None or name in only}
        spent = {name: [] for name in chosen}
        for number in range(rounds + 1):
            for name, read in chosen.items():
                await at_rest(provider, url, vendor.url(provider))
                us = await cpu_us(read, deltas)
                if number:  # the first imports and connects
                    spent[name].append(us)
    return {name: of(values) for name, values in spent.items()}


async def drain_ms(vendor):
    """CPU to bring one run of many deltas into the database."""
    os.environ[BASE_URLS["openai"]] = vendor.url("openai", deltas=DELTAS)
    spent = []
    for _ in range(ROUNDS):
        await lp.complete(PROMPT, f"openai:{MODELS['openai']}")
        started = time.process_time()
        await asyncio.to_thread(open_log().drain)
        spent.append((time.process_time() - started) * 1000)
    return statistics.median(spent)


async def measure(vendor):
    for apart_us, rounds in ((0, ROUNDS), (APART_US, APART_ROUNDS)):
        print(f"{DELTAS:,} deltas, {apart_us} µs apart: µs of CPU per delta (ms per 1,000)")
        sdk = None
        for provider in MODELS:
            found = await costs(vendor, provider, rounds=rounds, apart_us=apart_us)
            sdk = sdk or found["openai SDK"]
            for name, us in found.items():
                print(
                    f"{provider:10} {name:20} {us:6.1f}  {us / sdk:5.2f} x openai SDK  "
                    f"{us / found['raw, httpx2']:5.2f} x raw httpx2  "
                    f"{us / found['raw, aiohttp']:5.2f} x raw aiohttp"
                )
    print(f"a run into the database, once a second at most: {await drain_ms(vendor):.0f} ms")


def main():
    with alone(), loopback() as vendor:
        asyncio.run(measure(vendor))


if __name__ == "__main__":
    main()

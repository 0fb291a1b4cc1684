"""What 1,000 calls at once take, and what one call adds, beside the openai SDK.

    python tests/benchmarks/concurrency.py

Each way of 1,000 calls of 200 ms runs in a process of its own, after one call that loads modules
and connects. Ours streams on the wire and logs; the SDK is asked for whole answers, and once for
streams, too.
"""

import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.benchmarks.loopback import BASE_URLS, KEY, alone, loopback

CALLS = 1_000
WAIT_MS = 200
DELTAS = 8
ROUNDS = 5
SINGLE_CALLS = 300
PAUSED_CALLS = 5
PAUSE_S = 3.0
WARM_UP = 3
POLL_S = 0.005
LIMIT_S = 120
DESCRIPTORS = 8_192
PROMPT = "Say hello."
MODEL = "gpt-4o"
ASKED = {"model": MODEL, "messages": [{"role": "user", "content": PROMPT}]}


def client(closing, **options):
    import openai

    # Its own time-out is for one call, not for a thousand that share a core.
    made = openai.AsyncOpenAI(
        api_key=KEY,
        base_url=os.environ[BASE_URLS["openai"]],
        timeout=LIMIT_S,
        max_retries=0,
        **options,
    )
    closing.push_async_callback(made.close)
    return made


def over_aiohttp(closing):
    import openai

    return client(closing, http_client=openai.DefaultAioHttpClient())


def whole(asked):
    async def call():
        return (await asked.chat.completions.create(**ASKED)).choices[0].message.content

    return call


def streamed(asked):
    async def call():
        stream = await asked.chat.completions.create(**ASKED, stream=True)
        return "".join([e.choices[0].delta.content or "" async for e in stream if e.choices])

    return call


def ours(_closing):
    import llm_playground as lp

    lp.configure(concurrency=CALLS)

    async def call():
        return (await lp.complete(PROMPT, f"openai:{MODEL}")).text

    return call


SDK = {
    "openai SDK, aiohttp": lambda closing: whole(over_aiohttp(closing)),
    "openai SDK": lambda closing: whole(client(closing)),
}
STREAMED = {"openai SDK, aiohttp, streamed": lambda closing: streamed(over_aiohttp(closing))}
OURS = {"lp.complete": ours}
WAYS = SDK | STREAMED | OURS


async def at_once(way, calls):
    """In this process: seconds, CPU seconds, and memory in bytes before, for all calls."""
    async with AsyncExitStack() as closing:
        call = WAYS[way](closing)
        imported = psutil.Process().memory_info().rss
        await call()
        if way in OURS:  # its database would be loaded a second later, among the other calls
            from llm_playground.runlog import open_log

            open_log().drain()
        loaded = psutil.Process().memory_info().rss
        started, cpu = time.perf_counter(), time.process_time()
        texts = await asyncio.gather(*(call() for _ in range(calls)))
        found = {
            "wall_s": time.perf_counter() - started,
            "cpu_s": time.process_time() - cpu,
            "imported_bytes": imported,
            "loaded_bytes": loaded,
        }
    assert all(text.count(" ") == DELTAS for text in texts)
    return found


def elsewhere(way, calls=CALLS):
    """As :func:`at_once` in a process of its own, with the peak of its memory in MB."""
    command = [sys.executable, __file__, way, str(calls)]
    peak, ends = 0, time.monotonic() + LIMIT_S
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        while process.poll() is None:
            peak = max(peak, psutil.Process(process.pid).memory_info().rss)
            time.sleep(POLL_S)
            if time.monotonic() > ends:
                process.kill()
        found = json.loads(process.stdout.read())
    return {
        "wall_s": found["wall_s"],
        "cpu_s": found["cpu_s"],
        "above_import_mb": (peak - found["imported_bytes"]) / 1e6,
        "above_first_call_mb": (peak - found["loaded_bytes"]) / 1e6,
    }


def medians(ways, calls=CALLS, rounds=ROUNDS):
    """What each way takes, in turn, so that a busy moment hits all alike."""
    found = [{way: elsewhere(way, calls) for way in ways} for _ in range(rounds)]
    return {
        way: {name: statistics.median(one[way][name] for one in found) for name in found[0][way]}
        for way in ways
    }


async def single_ms(ways, calls=SINGLE_CALLS, pause_s=0):
    """The median time of one call by way, in turn, each after a pause."""
    async with AsyncExitStack() as closing:
        callings = {way: make(closing) for way, make in ways.items()}
        times = {way: [] for way in ways}
        for _ in range(calls + WARM_UP):
            for way, call in callings.items():
                await asyncio.sleep(pause_s)
                started = time.perf_counter()
                await call()
                times[way].append((time.perf_counter() - started) * 1000)
    return {way: statistics.median(values[WARM_UP:]) for way, values in times.items()}


def serve(vendor, wait_ms=0):
    os.environ[BASE_URLS["openai"]] = vendor.url("openai", deltas=DELTAS, wait_ms=wait_ms)


def allow_descriptors():
    """A thousand connections are more than most systems let a process have unasked."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, DESCRIPTORS), hard))


def main():
    with alone(), loopback() as vendor:
        serve(vendor)
        single = asyncio.run(single_ms(WAYS))
        paused = asyncio.run(single_ms(SDK | OURS, PAUSED_CALLS, PAUSE_S))
        serve(vendor, WAIT_MS)
        many = medians(WAYS)
    for said, found in (("at once", single), (f"{PAUSE_S:g} s later", paused)):
        fastest = min(found[way] for way in SDK)
        for way, ms in found.items():
            print(f"the next call {said:9} {way:30} {ms:6.2f} ms  {ms - fastest:+6.2f} ms")
    best = min(many[way]["wall_s"] for way in SDK)
    print(f"{CALLS:,} calls of {WAIT_MS} ms at once")
    for way, found in many.items():
        print(
            f"{way:30} {found['wall_s']:5.2f} s  {found['wall_s'] / best:4.2f} x best SDK  "
            f"CPU {found['cpu_s']:5.2f} s  {found['above_import_mb']:4.0f} MB above import  "
            f"{found['above_first_call_mb']:4.0f} MB above a first call"
        )


if __name__ == "__main__":
    allow_descriptors()
    if len(sys.argv) > 1:
        print(json.dumps(asyncio.run(at_once(sys.argv[1], int(sys.argv[2])))))
    else:
        main()

"""Whether memory and sockets stay flat over 10,000 streamed runs in one process, log included.

    python tests/benchmarks/soak.py

A few runs at a time, by turns of all three wire formats; one in ten is left in mid-answer.
"""

import asyncio
import gc
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[2]))

import llm_playground as lp
from llm_playground.runlog import open_log
from tests.benchmarks.loopback import BASE_URLS, alone, loopback

LOOKS = (1_000, 4_000, 7_000, 10_000)
AT_ONCE = 8
DELTAS = 20
LEFT_AFTER = 3
MODELS = ("openai:gpt-4o", "anthropic:claude-haiku-4-5", "gemini:gemini-2.5-flash")
# At rest each provider keeps at most the connections that were in use at once.
MOST_SOCKETS = AT_ONCE * len(MODELS)


@dataclass(frozen=True)
class Look:
    """What the process holds after so many runs, with no run under way."""

    runs: int
    rss_mb: float
    sockets: int
    descriptors: int
    threads: int
    objects: int


def look(runs):
    """Once everything is in the database and garbage is gone."""
    open_log().drain()
    gc.collect()
    process = psutil.Process()
    return Look(
        runs,
        process.memory_info().rss / 1e6,
        len(process.net_connections()),
        process.num_fds(),
        process.num_threads(),
        len(gc.get_objects()),
    )


async def stream(number):
    """One run; one in ten is left early, as people do."""
    wanted = LEFT_AFTER if number % 10 == 9 else DELTAS
    deltas, events = 0, lp.stream(f"Question {number}?", MODELS[number % len(MODELS)])
    async for event in events:
        deltas += isinstance(event, lp.TextDelta)
        if wanted < DELTAS and deltas == wanted:
            break
    await events.aclose()
    assert deltas == wanted, f"{deltas} deltas came"


async def a_few_at_a_time(numbers):
    async def some():
        for number in numbers:
            await stream(number)

    await asyncio.gather(*(some() for _ in range(AT_ONCE)))


async def soak(vendor, looks=LOOKS):
    """What is held after each of so many runs."""
    for name, variable in BASE_URLS.items():
        os.environ[variable] = vendor.url(name, deltas=DELTAS)
    seen, done = [], 0
    for runs in looks:
        await a_few_at_a_time(iter(range(done, runs)))
        done = runs
        seen.append(await asyncio.to_thread(look, runs))
    return seen


def main():
    with alone(), loopback() as vendor:
        seen = asyncio.run(soak(vendor))
        ended = lp.sql("SELECT status, count(*) AS runs FROM runs GROUP BY status ORDER BY status")
    for one in seen:
        print(
            f"{one.runs:6,} runs: {one.rss_mb:6.1f} MB, {one.sockets} sockets, "
            f"{one.descriptors} descriptors, {one.threads} threads, {one.objects:,} objects"
        )
    print(ended.to_string(index=False))


if __name__ == "__main__":
    main()

"""Calls through the limiter, and what was seen of them."""

import asyncio

from llm_playground.events import RateLimit, Responded
from llm_playground.execution import limiter

PERSON, SCRIPT, BATCH = 0, 1, 2
OPENAI = "openai:gpt-4o"
OPENAI_MINI = "openai:gpt-4o-mini"
ANTHROPIC = "anthropic:claude-sonnet-4-5"
LOCAL = "local:smollm2-135m-instruct"


class Traffic:
    """Calls through the limiter, and what was seen of them."""

    def __init__(self):
        self.sent = []
        self.under_way = {}
        self.peak = {}
        self.peak_in_all = 0

    def start(self, model, *, takes_s=1.0, tokens=1, priority=SCRIPT, name=None, answer=None):
        call = self._call(model, takes_s, tokens, priority, name, answer)
        return asyncio.get_running_loop().create_task(call)

    async def _call(self, model, takes_s, tokens, priority, name, answer):
        async with limiter.slot(model, tokens=tokens, priority=priority):
            self.sent.append((name or model, now()))
            self._count(model, +1)
            try:
                await asyncio.sleep(takes_s)
                if answer is not None:
                    limiter.learn(model, answer)
            finally:
                self._count(model, -1)

    def _count(self, model, change):
        provider = model.partition(":")[0]
        self.under_way[provider] = self.under_way.get(provider, 0) + change
        self.peak[provider] = max(self.peak.get(provider, 0), self.under_way[provider])
        self.peak_in_all = max(self.peak_in_all, sum(self.under_way.values()))

    @property
    def names(self):
        return [name for name, _ in self.sent]


def now():
    return asyncio.get_running_loop().time()


async def settled():
    """Wait until all calls that may be sent have been sent; no time passes."""
    for _ in range(5):
        await asyncio.sleep(0)


def says(limit=None, remaining=None, resets_in_s=None):
    return Responded(200, requests=RateLimit(limit, remaining, resets_in_s))


def says_of_tokens(limit=None, remaining=None, resets_in_s=None):
    return Responded(200, tokens=RateLimit(limit, remaining, resets_in_s))

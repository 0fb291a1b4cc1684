"""Asks, as a process of its own: ``python -m tests.budgets.shopper ROLE [...]``."""

import asyncio
import json
import sys

import llm_playground as lp
from llm_playground.retries import without_waits
from tests.wire.formats import openai_stream
from tests.wire.server import Reply

KEY = "sk-" + "planted" * 4
MODEL = "openai:any"
PRICES = {"openai:*": {"input_usd_per_mtok": 0, "output_usd_per_mtok": 1000}}


def answer(tokens=5, **reply):
    """An answer that costs a tenth of a cent for each token."""
    usage = {"prompt_tokens": 7, "completion_tokens": tokens, "total_tokens": 7 + tokens}
    return Reply(openai_stream(["Hi"], usage=usage), **reply)


def endless():
    """An answer that begins and never ends."""
    return Reply(openai_stream(["one ", "two "], finish_reason=None)[:3], end="hang")


def ask(prompt="hi", model=MODEL, max_tokens=5, **given):
    """The run, however it ended."""
    try:
        return lp.ask(prompt, model, max_tokens=max_tokens, **given)
    except lp.LLMError as error:
        if error.run is None:
            raise
        return error.run


async def one():
    try:
        run = await lp.complete("hi", MODEL, max_tokens=5)
    except lp.BudgetExceededError as error:
        run = error.run
    return run.status, float(run.cost_usd or 0)


async def many(count):
    return await asyncio.gather(*(one() for _ in range(count)))


def crowd(count):
    """Ask so often at once, when told to."""
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(asyncio.run(many(int(count)))), flush=True)


def hold():
    """Ask, and stay in the middle of the answer."""
    with without_waits():
        asyncio.run(one())


def look():
    """Ask once a line, and say how each ended."""
    for _ in sys.stdin:
        print(asyncio.run(one())[0], flush=True)


ROLES = {role.__name__: role for role in (crowd, hold, look)}

if __name__ == "__main__":
    lp.configure(prices=PRICES)
    ROLES[sys.argv[1]](*sys.argv[2:])

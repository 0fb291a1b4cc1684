"""Calls of the scripted endpoint, also as a process: ``python -m tests.budgeting.client ROLE``."""

import asyncio
import json
import sys

import llm_playground as lp
from llm_playground.execution.retry import without_waits
from tests.patience import wait_long_for_the_log
from tests.providers.formats import openai_stream
from tests.providers.server import Reply

KEY = "sk-" + "planted" * 4
MODEL = "openai:any"
PRICES = {"openai:*": {"input_usd_per_mtok": 0, "output_usd_per_mtok": 1000}}


def answer(tokens=5, **reply):
    """An answer that costs a tenth of a cent for each token."""
    usage = {"prompt_tokens": 7, "completion_tokens": tokens, "total_tokens": 7 + tokens}
    return Reply(openai_stream(["Hi"], usage=usage), **reply)


def endless():
    """An answer that starts and never ends."""
    return Reply(openai_stream(["one ", "two "], finish_reason=None)[:3], end="hang")


def ask(prompt="hi", model=MODEL, max_tokens=5, **options):
    """The run, also if it failed."""
    try:
        return lp.ask(prompt, model, max_tokens=max_tokens, **options)
    except lp.LLMError as error:
        if error.run is None:
            raise
        return error.run


async def call_once():
    try:
        run = await lp.complete("hi", MODEL, max_tokens=5)
    except (lp.BudgetExceededError, lp.RunLogError) as error:
        run = error.run
    return run.status, float(run.cost_usd or 0)


async def call_many(count):
    return await asyncio.gather(*(call_once() for _ in range(count)))


def burst(count):
    """Make calls in parallel as soon as a line arrives."""
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(asyncio.run(call_many(int(count)))), flush=True)


def hold():
    """Make one call, which stays in the middle of its answer."""
    with without_waits():
        asyncio.run(call_once())


def repeat():
    """Make one call per line, and print its status."""
    for _ in sys.stdin:
        print(asyncio.run(call_once())[0], flush=True)


ROLES = {role.__name__: role for role in (burst, hold, repeat)}

if __name__ == "__main__":
    wait_long_for_the_log()
    # One call that has reserved its cost and waits for its turn would keep it from all others.
    lp.configure(prices=PRICES, concurrency=16)
    ROLES[sys.argv[1]](*sys.argv[2:])

"""What a type checker finds in calls of the public functions; ``mypy`` checks this file.

An ignored error that mypy does not report is an error itself (``warn_unused_ignores``).
"""

from collections.abc import Callable
from typing import assert_type

import pandas as pd

import llm_playground as lp


async def right() -> None:
    assert_type(lp.ask("Hi", temperature=0.2, stop=["END"], extra={"user": "x"}), lp.Run)
    assert_type(await lp.complete("Hi", "local", max_tokens=8), lp.Run)
    assert_type(lp.compare("Hi", ["local"], n=2, top_p=1), lp.Comparison)
    assert_type(lp.estimate("Hi", "local", seed=1), lp.Estimate)
    assert_type(lp.ask_with_tools("Hi", "local", tools=[], temperature=0), lp.ToolRun)
    assert_type(lp.purge("90d", dry_run=True), pd.DataFrame)
    async for event in lp.stream("Hi"):
        print(event)


def wrong() -> list[Callable[[], object]]:
    return [
        lambda: lp.ask("Hi", temprature=0.2),  # type: ignore[call-arg]
        lambda: lp.ask("Hi", max_tokens="8"),  # type: ignore[arg-type]
        lambda: lp.complete("Hi", temprature=1),  # type: ignore[call-arg]
        lambda: lp.stream("Hi", temprature=1),  # type: ignore[call-arg]
        lambda: lp.compare("Hi", "local", temprature=1),  # type: ignore[call-arg]
        lambda: lp.estimate("Hi", temprature=1),  # type: ignore[call-arg]
        lambda: lp.ask_with_tools("Hi", tools=[], temprature=1),  # type: ignore[call-arg]
        lambda: lp.Playground(temprature=1),  # type: ignore[call-arg]
        lambda: lp.purge(dryrun=False),  # type: ignore[call-arg]
        lambda: lp.set_budget(5, modl="local"),  # type: ignore[call-arg]
        lambda: lp.budgets(1),  # type: ignore[call-arg]
    ]

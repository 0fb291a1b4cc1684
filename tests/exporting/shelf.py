"""Runs of every kind, for logs and without one."""

import dataclasses
from datetime import UTC, datetime
from decimal import Decimal

import llm_playground as lp
from llm_playground.errors import RateLimitError
from llm_playground.ids import new_id
from llm_playground.types import Attempt, Parameters, Run, Usage
from tests.reports.shelf import add

KEY = "sk" + "-" + "planted" * 4
HOSTILE = "=1+1\r\n'\"`~|\\ ```` </pre><script>alert(1)</script> 日本語 🎈 \u202e $x$ @all\t"


def fill(log):
    """Runs that differ in everything that a row can tell; how many."""
    runs = [
        add(log, system="Be brief.", tags=("x", "y,z"), notebook="a b.ipynb"),
        add(log, text=HOSTILE, question=HOSTILE, model="openai:'=a|b", user="=bob"),
        add(log, text="", reasoning="Hm.", finish_reason="length", attempts=[Attempt(1, 0.0, 9.5)]),
        add(
            log,
            status="failed",
            text="",
            cost_usd=None,
            error=RateLimitError("Too many."),
            usage=None,
        ),
        add(log, cached=True, saved_usd=Decimal("0.25"), cost_usd=Decimal(0), ttft_ms=None),
        add(log, cost_usd=Decimal("123456.123456789012"), usage=Usage(1, 2, 3, 4, 5)),
        add(log, at=datetime(2026, 2, 28, 23, 59, 59, 999_999, tzinfo=UTC), response_model="m-1"),
    ]
    lp.rate(runs[0], -1.5)
    return len(runs)


def run(text="An answer.", model="openai:gpt-x", **known):
    """A run that no log has."""
    values = {
        "status": "completed",
        "finish_reason": "stop",
        "usage": Usage(10, 195),
        "usage_source": "provider",
        "cost_usd": Decimal("0.00054"),
        "ttft_ms": 400.0,
        "response_time_ms": 1900.0,
    }
    began = datetime(2026, 3, 31, 12, tzinfo=UTC)
    bare = Run(new_id(), new_id(), new_id(), 1, model, model.partition(":")[0], began, Parameters())
    return dataclasses.replace(bare, text=text, **(values | known))

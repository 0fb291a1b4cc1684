"""The calls of each library: row, cost, budget, replay, and the same bytes on the wire.

LiteLLM, LangChain and Pydantic AI are tried where they are installed.
"""

import json
import subprocess
import sys
from functools import cache
from importlib.util import find_spec

import pytest

from tests.capture.wire import IN, OUT, TEXT

COSTS = {
    "openai:gpt-4o": 7.75e-5,
    "anthropic:claude-sonnet-4-5": 1.08e-4,
    "gemini:gemini-2.5-flash": 1.58e-5,
}
SDKS = ("openai", "anthropic", "google-genai")
FRAMEWORKS = {"litellm": "litellm", "langchain": "langchain_openai", "pydantic-ai": "pydantic_ai"}


@cache
def found_by(*libraries):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.capture.exercise", *libraries],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("library", [*SDKS, *FRAMEWORKS])
def test_each_call_is_recorded_counted_blocked_and_replayed(library):
    if library in FRAMEWORKS and find_spec(FRAMEWORKS[library]) is None:
        pytest.skip(f"{library} is not installed")
    found = found_by(*(SDKS if library in SDKS else [library]))[library]

    assert len(found) >= 4
    for name, calls in found.items():
        model = calls["row"]["model"]
        assert calls["plain"]["text"] == calls["recorded"]["text"] == TEXT, name
        assert calls["recorded"]["wire"] == calls["plain"]["wire"], name
        assert len(calls["plain"]["wire"]) == 1, name
        assert calls["row"] == {
            "model": model,
            "status": "completed",
            "source": "recorded",
            "response_text": TEXT,
            "input_tokens": IN,
            "output_tokens": OUT,
            "cost_usd": pytest.approx(COSTS[model]),
            "cached": 0,
            "tags": [library],
        }, name
        assert "402" in calls["blocked"]["error"] or "Not sent" in calls["blocked"]["error"], name
        assert calls["blocked"]["wire"] == [], name
        assert calls["refused"]["status"] == "over_budget", name
        assert calls["replayed"]["text"] == TEXT, name
        assert calls["replayed"]["wire"] == [], name
        assert calls["replayed row"]["cached"] == 1, name
        assert calls["replayed row"]["saved_usd"] == pytest.approx(COSTS[model]), name

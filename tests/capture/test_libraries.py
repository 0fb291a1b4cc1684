"""The calls of each library: row, cost, budget, replay, and the same bytes on the wire.

LiteLLM, LangChain and Pydantic AI are installed into a folder of their own, since they need other
versions of the SDKs.
"""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.capture.wire import IN, OUT, TEXT

COSTS = {
    "openai:gpt-4o": 7.75e-5,
    "anthropic:claude-sonnet-4-5": 1.08e-4,
    "gemini:gemini-2.5-flash": 1.58e-5,
}
ROOT = Path(__file__).parents[2]
SDKS = ("openai", "anthropic", "google-genai")
FRAMEWORKS = ("litellm", "langchain", "pydantic-ai")
PACKAGES = (
    *("litellm", "langchain-openai", "langchain-anthropic", "langchain-google-genai"),
    "pydantic-ai-slim[openai,anthropic,google]",
)


@pytest.fixture(scope="module")
def frameworks(tmp_path_factory):
    """The folder with the frameworks and the versions of the SDKs that they need."""
    folder = tmp_path_factory.mktemp("frameworks")
    install = ("pip", "install", "-q", "--no-compile", "--target", str(folder), *PACKAGES)
    command = [sys.executable, "-m", *install]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@cache
def found_by(*libraries, packages=None):
    folders = [str(packages)] if packages else []
    path = os.pathsep.join([*folders, str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.capture.exercise", *libraries],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("library", SDKS)
def test_each_call_of_an_sdk_is_recorded_counted_blocked_and_replayed(library):
    check(library, found_by(*SDKS)[library])


@pytest.mark.parametrize("library", FRAMEWORKS)
def test_each_call_of_a_framework_is_too(frameworks, library):
    check(library, found_by(*FRAMEWORKS, packages=frameworks)[library])


def check(library, found):
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

"""Panels for tests of what a view asks of the kernel, on the embedded model or a scripted one."""

import itertools
import json
import threading
import time

import pytest

import llm_playground as lp
from llm_playground.widgets.replies import reply
from tests.wire.server import WireServer

KEY = "sk-" + "planted" * 4 + "7Qa"
ANSWER_S = 60
NUMBERS = itertools.count()


@pytest.fixture
def pg(home):
    """A playground on the embedded model, its answers short."""
    name = f"invoice summary {next(NUMBERS)}"  # one of its own: a name brings its last answers
    made = lp.Playground(name, models=["local"], prompt="Say hello.")
    made.max_tokens = 8
    yield made
    made.close()


@pytest.fixture
def served(home, monkeypatch):
    """A playground on a scripted endpoint, and the server: ``served(script)``."""
    opened = []

    def start(script, **form):
        server = WireServer(script).__enter__()
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
        made = lp.Playground(models=["openai:gpt-4o"], prompt="Say hello.", **form)
        opened.extend([made, server])
        return made, server

    yield start
    for one in opened:
        one.close()


def ask(panel, what, **given):
    """What a view gets for a question; a refusal is raised as its line."""
    told = reply(panel, {"id": "1", "what": what, "given": given})
    assert json.dumps(told["value"] if "value" in told else told["error"])
    if "error" in told:
        raise lp.LLMError(told["error"])
    return told["value"]


def answered(panel):
    panel.run()
    return panel.results


def until(condition, timeout_s=ANSWER_S):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        threading.Event().wait(0.01)


def logged(*prompts, **parameters):
    return [lp.ask(prompt, "local", max_tokens=2, **parameters) for prompt in prompts]


FORM = ("prompt", "system", "models", "temperature", "max_tokens", "seed", "stop_at", "iterations")


def values(panel):
    return {name: getattr(panel, name) for name in FORM}

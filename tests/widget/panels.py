"""Panels for tests of views' requests, on the embedded model or a scripted endpoint."""

import itertools
import json
import threading
import time

import pytest

import llm_playground as lp
from llm_playground.widget.requests import reply
from tests.providers.server import WireServer

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


@pytest.fixture
def closed(home, monkeypatch):
    """Every playground that a test makes is closed at its end, with its drafts in a new home."""
    made = []
    make = lp.Playground

    def record(*arguments, **named):
        made.append(make(*arguments, **named))
        return made[-1]

    monkeypatch.setattr(lp, "Playground", record)
    yield made
    for panel in made:
        panel.close()


def ask(panel, name, /, **arguments):
    """The value that a view gets for a request; an error in the reply is raised."""
    answer = reply(panel, {"id": "1", "name": name, "arguments": arguments})
    assert json.dumps(answer["value"] if "value" in answer else answer["error"])
    if "error" in answer:
        raise lp.LLMError(answer["error"])
    return answer["value"]


def answered(panel):
    panel.run()
    return panel.results


def until(condition, timeout_s=ANSWER_S):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        threading.Event().wait(0.01)


def retried(panel, number):
    """The ids of the runs after an answer was retried."""
    until(lambda: not panel.running)
    before = panel.results.run_id.tolist()
    panel._handle_custom_msg({"type": "retry", "number": number, "changes": {}}, [])
    until(lambda: not panel.running and panel.results.run_id.tolist() != before)
    return panel.results.run_id.tolist()


def logged(*prompts, **parameters):
    return [lp.ask(prompt, "local", max_tokens=2, **parameters) for prompt in prompts]


FORM = ("prompt", "system", "models", "temperature", "max_tokens", "seed", "stop_at", "iterations")


def values(panel):
    return {name: getattr(panel, name) for name in FORM}

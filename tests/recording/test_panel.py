"""Run and Retry of a panel get new answers in mode ``reuse``, and recorded ones in ``replay``."""

import itertools

import pytest

import llm_playground as lp
from llm_playground.recording import kernel, numbers
from tests.providers.formats import openai_stream
from tests.providers.server import Reply
from tests.widget.panels import retried

MODELS = ["openai:gpt-4o", "openai:gpt-4o-mini"]
# The form of a panel, and how many calls it makes.
FORMS = {
    "one": ({}, 1),
    "iterations": ({"iterations": 3}, 3),
    "compare": ({"models": MODELS, "iterations": 2}, 4),
    "sweep": ({"temperature": [0.1, 0.5, 0.9]}, 3),
    "cases": ({"prompt": "Hi {{name}}", "cases": [{"name": "Ada"}, {"name": "Bob"}]}, 2),
}


@pytest.fixture
def server(serve):
    """Each of its answers is another."""
    texts = (f"answer {number}" for number in itertools.count(1))
    return serve(lambda _request: Reply(openai_stream([next(texts)])))


@pytest.fixture
def panel(request, server):
    """Makes the panel of a form as in a new kernel in a mode, and closes it at the end."""
    made = []

    def make(name, mode):
        numbers.reset()
        kernel.forget_use()
        lp.configure(mode=mode, recording="recordings/panel.yaml")
        pg = lp.Playground(models=MODELS[:1], prompt="Hi")
        for trait, value in FORMS[name][0].items():
            setattr(pg, trait, value)
        made.append(pg)
        return pg

    yield make
    for pg in made:
        pg.close()


def texts_of(pg):
    pg.run()
    assert pg.results.status.eq("completed").all()
    return pg.results.response_text.tolist()


@pytest.mark.parametrize("name", FORMS)
def test_run_gets_new_answers_in_reuse_and_the_recorded_ones_in_replay(server, panel, name):
    calls = FORMS[name][1]
    recorded = texts_of(panel(name, "record"))

    reused = panel(name, "reuse")
    assert {*texts_of(reused)}.isdisjoint(recorded)
    assert not any(reused.answers.run_of(n).cached for n in range(1, calls + 1))
    assert len(server.requests) == 2 * calls

    assert texts_of(panel(name, "replay")) == recorded
    assert len(server.requests) == 2 * calls


def test_retry_sends_in_reuse_only(server, panel):
    first = panel("one", "reuse")
    texts_of(first)
    retried(first, 1)
    assert len(server.requests) == 2

    again = panel("one", "replay")
    assert texts_of(again) == ["answer 1"], "from the log"
    retried(again, 1)
    assert again.results.response_text.tolist() == ["answer 2"]
    again.run()
    assert again.results.status.tolist() == ["failed"]
    assert "Replay has 2 answers" in again.answers.run_of(1).error.args[0]
    assert len(server.requests) == 2

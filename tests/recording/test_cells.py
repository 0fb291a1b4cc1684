"""A cell that is executed again: its answers in a replay, new ones in mode reuse."""

import itertools
import json
from types import SimpleNamespace

import pytest

from tests.conftest import OPENAI_KEY
from tests.kernel import kernel
from tests.providers.formats import openai_stream
from tests.providers.server import Reply, WireServer
from tests.test_tool_use import calling

SETUP = """
import json, os, time
import openai
import llm_playground as lp
%load_ext llm_playground
lp.configure(model="openai:gpt-4o", retry=1)
def weather(city: str) -> str:
    "The weather now."
    return "rain"
def asked_elsewhere(prompt):
    client = openai.OpenAI(max_retries=0)
    turns = [{"role": "user", "content": prompt}]
    chunks = client.chat.completions.create(model="gpt-4o", messages=turns, stream=True)
    return "".join(one.choices[0].delta.content or "" for one in chunks if one.choices)
def show(*texts):
    print(json.dumps(texts))
"""
# What a cell asks, by the kind of call; it shows the texts of the answers.
CALLS = {
    "ask": 'show(lp.ask("{}").text)',
    "loop": 'show(*(lp.ask("{}").text for _ in range(3)))',
    "awaited": 'show((await lp.complete("{}")).text)',
    "compare": 'show(*lp.compare(["{}", "{} too"], "openai:gpt-4o", n=2).df.response_text)',
    "magic": "%llm -n 2 -o both {}\nshow(*(run.text for run in both.runs))",
    "tools": 'show(lp.ask_with_tools("umbrella {}", tools=[weather]).text)',
    "panel": 'pg = lp.Playground(prompt="{}"); pg.run(); show(*pg.results.response_text)',
    "other library": 'with lp.record():\n    show(asked_elsewhere("{}"))',
}


@pytest.fixture(scope="module")
def notebook(tmp_path_factory):
    """A kernel whose vendor answers each call with another text; ``sent`` counts the calls."""
    counter = itertools.count(1)

    def answer(request):
        turns = json.loads(request.body)["messages"]
        if turns[-1]["content"].startswith("umbrella"):
            return calling(("weather", {"city": "Oslo"}))
        return Reply(openai_stream([f"answer {next(counter)}"]))

    folder = tmp_path_factory.mktemp("cells")
    with WireServer(answer) as server:
        environment = {
            "LLM_PLAYGROUND_HOME": str(folder / "home"),
            "LLM_PLAYGROUND_RECORDING": str(folder / "recordings" / "cells.yaml"),
            "OPENAI_API_KEY": OPENAI_KEY,
            "OPENAI_BASE_URL": f"{server.url}/v1",
        }
        with kernel(environment) as started:
            assert not started.run(SETUP, "setup").contents("error")

            def shown(code, cell_id):
                outputs = started.run(code, cell_id)
                assert not outputs.contents("error"), outputs.error["evalue"]
                return json.loads(outputs.text.splitlines()[-1])

            def mode(name):
                started.run(f'lp.configure(mode="{name}")', "mode")

            yield SimpleNamespace(
                shown=shown, mode=mode, kernel=started, sent=lambda: len(server.requests)
            )


@pytest.mark.parametrize("kind", ["ask", "loop", "compare", "other library"])
def test_a_cell_that_is_executed_again_asks_anew_in_mode_reuse(notebook, kind):
    code = CALLS[kind].replace("{}", f"reuse {kind}")
    notebook.mode("live")
    stored = notebook.shown(code, "a")
    notebook.mode("reuse")  # counts from 1, as a restarted kernel does
    sent = notebook.sent()

    assert notebook.shown(code, "a") == stored
    assert notebook.sent() == sent
    assert {*notebook.shown(code, "a")}.isdisjoint(stored)
    assert notebook.sent() > sent


@pytest.mark.parametrize("kind", ["awaited", "magic", "tools", "panel", "other library"])
def test_a_cell_that_is_executed_again_replays_its_answers(notebook, kind):
    code = CALLS[kind].replace("{}", f"replay {kind}")
    notebook.mode("record")
    recorded = [notebook.shown(code, cell_id) for cell_id in ("a", "b", "a")]
    assert len({str(texts) for texts in recorded}) == 3  # each was sent
    notebook.mode("replay")
    sent = notebook.sent()

    # What was recorded last for a cell is its answer.
    assert [notebook.shown(code, cell_id) for cell_id in "abaab"] == [
        recorded[2 - (cell_id == "b")] for cell_id in "abaab"
    ]
    assert notebook.sent() == sent


def test_runs_of_a_panel_are_counted_from_the_cell_that_made_it(notebook):
    ids = "list(pg.results.run_id) if len(pg.results) else []"

    def press(kind):
        content = {"type": kind} | ({"number": 1, "changes": {}} if kind == "retry" else {})
        comm_id = notebook.kernel.run(f"before = {ids}; print(pg.comm.comm_id)", "b").text.strip()
        notebook.kernel.finish(notebook.kernel.widget_message(comm_id, content))
        waited = f"while pg.running or ({ids}) == before:\n    time.sleep(0.01)\n"
        return notebook.shown(f"{waited}show(*pg.results.response_text)", "c")

    def run_and_retry():
        notebook.kernel.run('pg = lp.Playground(prompt="pressed")', "a")
        return press("run"), press("retry")

    notebook.mode("record")
    first = run_and_retry()
    notebook.mode("replay")

    assert [run_and_retry(), run_and_retry()] == [first, first]


@pytest.mark.parametrize(("mode", "options", "displays"), [
    ("replay", "", 1), ("replay", "-n 2", 1), ("replay", "--fresh", 2), ("record", "", 2),
])  # fmt: skip
def test_a_replayed_answer_is_shown_once_without_updates(notebook, mode, options, displays):
    notebook.mode("record")
    notebook.kernel.run("%%llm -n 2\nshown", "shown")
    notebook.mode(mode)

    outputs = notebook.kernel.run(f"%%llm {options}\nshown", "shown")

    assert min(len(outputs.html), 2) == displays
    assert "answer" in outputs.html[-1]
    updated = [one["transient"] for one in outputs.contents("display_data") if one["transient"]]
    assert bool(updated) == (displays == 2)


def test_cells_without_an_id_are_each_another(notebook):
    notebook.mode("reuse")

    first, second = (notebook.shown(CALLS["ask"].format("no id"), None) for _ in range(2))

    assert first != second


def test_a_dry_run_says_what_its_cell_would_get(notebook):
    notebook.mode("reuse")
    notebook.shown(CALLS["ask"].format("dry"), "a")
    dry = 'show(lp.dry_run("dry").answer)'

    assert notebook.shown(dry, "a") == [
        "0 of 1 answers are stored (mode reuse), beside 1 that earlier calls of this kernel have "
        "used; the others would be sent to the model."
    ]

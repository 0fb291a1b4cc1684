"""``executions.cell_id`` is the cell that asks: of a panel, the one that made it."""

import json

import pytest

from tests.kernel import kernel

SETUP = """
import threading, time, asyncio
import llm_playground as lp
%load_ext llm_playground
lp.configure(mode="live")
def cell_of(run):
    return lp.runs().set_index("run_id").cell_id[run.id]
"""
PANEL = 'pg = lp.Playground(models=["local"], prompt="Hi."); pg.max_tokens = 1'
ANSWERED = """
while pg.running or len(pg.results) == 0:
    time.sleep(0.01)
print(json.dumps(lp.runs(limit=len(pg.results)).cell_id.tolist()))
"""


@pytest.fixture(scope="module")
def notebook(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    with kernel({"LLM_PLAYGROUND_HOME": str(home)}) as started:
        started.run(SETUP, "c-setup")
        started.run("import json")
        yield started


def cells(notebook, code, cell_id):
    line = notebook.run(code, cell_id).text.splitlines()[-1]
    return json.loads(line, parse_constant=lambda _nan: None)


@pytest.mark.parametrize("cell_id", ["c-1", "c-2", None])
@pytest.mark.parametrize(
    "ask",
    [
        'run = lp.ask("Hi.", "local", max_tokens=1)',
        'run = await lp.complete("Hi.", "local", max_tokens=1)',
        "%llm -m local --max-tokens 1 -o run Hi.",
        'run = lp.compare("Hi.", "local", n=2, max_tokens=1).runs[1]',
    ],
    ids=["ask", "complete", "magic", "compare"],
)
def test_a_call_has_its_cell(notebook, ask, cell_id):
    assert cells(notebook, f"{ask}\nprint(json.dumps([cell_of(run)]))", cell_id) == [cell_id]


def test_a_run_of_the_panel_has_the_cell_that_made_it(notebook):
    notebook.run(PANEL, "c-panel")
    comm_id = notebook.run("print(pg.comm.comm_id)", "c-other").text.strip()
    notebook.finish(notebook.widget_message(comm_id, {"type": "run"}))
    assert cells(notebook, ANSWERED, "c-third") == ["c-panel"]


def test_a_panel_that_python_runs_has_the_cell_that_made_it(notebook):
    notebook.run(PANEL, "c-made")
    assert cells(notebook, f"pg.run(){ANSWERED}", "c-runs") == ["c-made"]


def test_an_answer_that_is_retried_keeps_the_cell_of_its_panel(notebook):
    run = 'run = lp.ask("Hi.", "local", max_tokens=1)'
    notebook.run(f"{run}; pg = lp.Playground(run=run)", "c-opened")
    comm_id = notebook.run("print(pg.comm.comm_id)", "c-other").text.strip()
    retry = {"type": "retry", "number": 1, "changes": {}}
    notebook.finish(notebook.widget_message(comm_id, retry))
    wait = "while pg.running or pg.results.run_id[0] == run.id:\n    time.sleep(0.01)\n"
    assert cells(notebook, f"{wait}{ANSWERED}", "c-third") == ["c-opened"]


def test_a_panel_outside_a_cell_has_none(notebook):
    notebook.run(f"{PANEL}\npg.run()", None)
    assert cells(notebook, ANSWERED, "c-third") == [None]

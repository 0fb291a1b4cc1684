"""A notebook that a program executes has the answers of its panels."""

import json
import re

import nbclient
import nbformat
import pytest
from nbconvert import HTMLExporter

from llm_playground.exporting.formats import MIME_TYPE
from tests.browser.stories import BRIEF, Storyteller

PANEL = "pg = lp.Playground({name!r}, models='ollama:brief', prompt='Say hello.', n=2)\n"
CELLS = {
    "displayed": [PANEL + "pg", "pg.prompt = 'Say it again.'\npg.run()"],
    "run": [PANEL + "pg.run()\npg"],
    "run before": [PANEL + "pg.run()", "pg"],
    "opened": ["lp.Playground(run=list(pg.results.run_id))"],
    "restored": ["lp.Playground('run', models='ollama:brief', prompt='Say hello.', n=2)"],
    "never run": [PANEL + "pg"],
    "fails": [PANEL + "display(pg)\npg.run()\n1 / 0"],
}


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The notebook after its execution, and the outputs of its cells by their names."""
    home = tmp_path_factory.mktemp("home")
    with Storyteller() as teller:
        sources = [
            (name, cell.format(name=name)) for name, cells in CELLS.items() for cell in cells
        ]
        cells = [nbformat.v4.new_code_cell(f"%env LLM_PLAYGROUND_HOME={home}\n{teller.setup}")]
        cells += [nbformat.v4.new_code_cell(source) for _, source in sources]
        notebook = nbformat.v4.new_notebook(cells=cells)
        nbclient.NotebookClient(notebook, timeout=120, allow_errors=True).execute()
    outputs = {name: [] for name in CELLS}
    for (name, _), cell in zip(sources, cells[1:], strict=True):
        outputs[name] += [one.data for one in cell.outputs if "data" in one]
    return notebook, outputs


@pytest.mark.parametrize("name", [name for name in CELLS if name != "never run"])
def test_the_file_has_the_answers(executed, name):
    _, outputs = executed
    [panel, answers] = outputs[name]

    assert "application/vnd.jupyter.widget-view+json" in panel
    runs = answers[MIME_TYPE]["runs"]
    assert [run["response_text"].strip() for run in runs] == [BRIEF, BRIEF]
    asked = "Say it again." if name == "displayed" else "Say hello."
    assert {run["user_prompt"] for run in runs} == {asked}
    assert "data-count" not in answers["text/html"]  # which depends on time
    assert "pip install" not in answers["text/plain"]
    assert "not installed" not in panel["text/plain"]


def test_a_panel_that_was_not_run_says_so(executed):
    _, outputs = executed
    [_, answers] = outputs["never run"]

    assert answers["text/plain"].startswith("No answers yet. Run this cell to ask.")


def test_the_file_is_small_and_becomes_a_page(executed):
    notebook, _ = executed
    states = notebook.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"]
    programs = [one["state"]["_esm"] for one in states.values() if "_esm" in one["state"]]

    assert len(json.dumps(states)) < 20_000 * len(programs)
    assert all("Saved answers. The kernel has stopped" in program for program in programs)
    page, _ = HTMLExporter().from_notebook_node(notebook)
    assert len(re.findall(BRIEF, page)) >= 2 * (len(CELLS) - 1)

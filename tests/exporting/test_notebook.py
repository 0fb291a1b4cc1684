"""Runs as a notebook: valid, safe, importable, and its cells send what the runs sent."""

import json
import re

import nbconvert
import nbformat
import pytest

import llm_playground as lp
from tests.codegen.running import KEYS
from tests.codegen.sides import SIDES, TEXT
from tests.codegen.test_matrix import BASE_URLS, KINDS
from tests.exporting import everything, shelf
from tests.exporting.shelf import HOSTILE, KEY, run
from tests.reports.shelf import add

TURNS = {
    "prompt": "And \\{{now}} {{x}}?",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi {{name}}."},
        {"role": "assistant", "content": "Hello."},
    ],
}
STOPPED = {"prompt": "Hi", "stop": ["END", "'''"], "seed": 7, "top_p": 0.5}


def notebook(runs):
    """The notebook of runs, valid, with its code cells after the one that imports."""
    found = nbformat.reads(lp.export(runs, "notebook"), 4)
    nbformat.validate(found)
    about, setup, *cells = found.cells
    assert (about.cell_type, setup.cell_type) == ("markdown", "code")
    assert "import llm_playground as lp" in setup.source
    return about.source, setup.source, [cell for cell in cells if cell.cell_type == "code"], cells


@pytest.fixture(params=SIDES, ids=str)
def side(request):
    return request.param


@pytest.fixture
def server(side, monkeypatch):
    for name, key in KEYS.items():
        monkeypatch.setenv(name, key)
    with side.server() as started:
        for name in BASE_URLS:
            monkeypatch.setenv(name, started.url + ("/v1" if name.startswith("OPENAI") else ""))
        lp.configure(**side.setup(started.url))
        yield started


@pytest.mark.filterwarnings("ignore::llm_playground.SchemaWarning")
def test_cells_send_what_the_runs_sent(side, server, tmp_path, monkeypatch):
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", str(tmp_path / "log" / "runs.duckdb"))
    kinds = {**KINDS, "turns": TURNS, "stopped": STOPPED}
    if side.name in ("responses", "anthropic"):
        kinds["stopped"] = {"prompt": "Hi", "top_p": 0.5}
    runs = [lp.ask(model=side.model, **arguments) for arguments in kinds.values()]
    asked = [(one.path, one.json, one.headers.get("x-own")) for one in server.requests]
    server.requests.clear()

    _, setup, cells, _ = notebook(runs)
    names = {}
    exec(setup, names)
    for cell in cells:
        exec(cell.source, names)

    sent = [(one.path, one.json, one.headers.get("x-own")) for one in server.requests]
    for kind, was, is_now in zip(kinds, asked, sent, strict=True):
        assert (kind, *is_now) == (kind, *was)
    outputs = dict(zip(kinds, (cell.outputs[0].data for cell in cells), strict=True))
    assert TEXT in outputs["plain"]["text/plain"]
    assert "look" in outputs["tools"]["text/html"]


def test_each_run_has_a_cell_with_its_stored_answer(log):
    everything.fill(log)
    shelf.fill(log)
    frame = lp.runs().sort_values("run_id")
    about, _, cells, everyone = notebook(frame)
    assert about.startswith("# 14 runs\n")
    assert len(cells) == 14
    for cell in cells:
        assert cell.source.startswith("lp.ask(\n")
        [output] = cell.outputs
        assert output.output_type == "execute_result"
        assert output.execution_count == cell.execution_count
        assert {"text/html", "text/markdown", "text/plain"} < output.data.keys()
    shown = "".join(cell.outputs[0].data["text/markdown"] for cell in cells)
    for said in ("An answer.", "Hm.", "Too many.", "Asked for weather"):
        assert said in shown
    assert everyone[0].source.startswith("## 1 · openai:gpt-x\n")


def test_it_is_imported_as_it_was(log, elsewhere, tmp_path):
    shelf.fill(log)
    path = tmp_path / "runs.ipynb"
    lp.export(lp.runs(), path=path)
    exact = json.loads(lp.export(lp.runs().sort_values("run_id")))["runs"]
    elsewhere()
    assert lp.import_runs(path) == len(exact)
    assert json.loads(lp.export(lp.runs().sort_values("run_id")))["runs"] == exact


def test_prompts_that_are_not_there_are_said_in_the_cell(log):
    everything.fill(log)
    _, setup, cells, _ = notebook(lp.runs().assign(user_prompt=None, system_prompt=None))
    assert "json" not in setup
    for cell in cells:
        assert cell.source.startswith("# The prompt of this run is not stored, or was removed")
        assert "Oslo" not in cell.source
        compile(cell.source, "cell", "exec")
    [cell] = notebook(run("alone"))[2]
    assert cell.source.startswith("# The prompt")
    assert "alone" in cell.outputs[0].data["text/html"]


def test_without_texts_in_the_log_there_are_none_in_a_notebook(log):
    lp.configure(privacy="metrics")
    add(log, text="a secret answer", question="a secret question")
    text = lp.export(lp.runs(), "notebook")
    assert "secret" not in text
    assert "# The text of this run's prompt is not stored (privacy, or a purge)" in text


def test_no_key_and_no_effect_of_any_text(log):
    evil = f"{HOSTILE}\n\0\ud800</script>\x1b[2J\u2028 {KEY}"
    known = {"system": evil, "reasoning": evil, "user": evil, "notebook": evil}
    kept = add(log, text=evil, question=evil, model=f"openai:{HOSTILE}", **known)
    text = lp.export(kept, "notebook")
    assert KEY not in text
    text.encode()
    _, _, [cell], everyone = notebook(kept)
    compile(cell.source, "cell", "exec")
    assert "<script" not in cell.outputs[0].data["text/html"]
    assert not re.search(r"(?<!\\)<", everyone[0].source)


def test_pictures_and_files_are_in_the_cell_as_they_were_sent(log):
    runs = everything.fill(log)
    _, _, cells, _ = notebook([runs["picture"], runs["file"]])
    assert "data:image/png;base64," in cells[0].source
    assert "rain.csv" in cells[1].source


def test_no_runs(log):
    about, _, cells, _ = notebook([])
    assert about.startswith("# No runs\n")
    assert cells == []


def test_it_reads_well_without_a_kernel(log):
    add(log, text="# Sales\n\nThey **rose**.", question="Why?")
    found = nbformat.reads(lp.export(lp.runs(), "notebook"), 4)
    html, _ = nbconvert.HTMLExporter().from_notebook_node(found)
    assert "<strong>rose</strong>" in html
    assert "lp.ask" in re.sub("<[^>]*>", "", html)

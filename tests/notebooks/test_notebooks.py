"""What the notebooks store: replays are reproducible, nothing is private, the README is true."""

import re
from pathlib import Path

import nbformat
import pytest

from llm_playground.redaction import redact
from tests.notebooks.refresh import FOLDER, executed, replays

README = (FOLDER.parent / "README.md").read_text("utf-8")
PATHS = sorted(FOLDER.glob("*.ipynb"))
NUMBERED = [path for path in PATHS if path.stem[0].isdigit()]
EXERCISES = re.findall(
    r"^\| ([A-Z]) \| .* \| \[.*\]\(notebooks/([\w.]+)\), (.+?) \| `(.+)` \|$", README, re.MULTILINE
)
# Paths of a machine, and dates and times of day, which change.
PRIVATE = re.compile(
    r"(?:/tmp|/home|/root|/Users|/work|/private)/\w|[A-Z]:\\\\\w|\b\d\d:\d\d\b|\b20\d\d-\d\d\b"
)
WIDGET = "application/vnd.jupyter.widget-view+json"  # its ids are random
PANEL = "application/vnd.llm_playground.runs+json"  # with the ids and times of its runs
IGNORED = "nbval-ignore-output"
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
ID = re.compile(r"\b[0-9a-f]{8}-?[0-9a-f-]{24,27}\b")
ASKED_AT = re.compile(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC")


def read(path):
    return nbformat.read(path, as_version=4)


def outputs(notebook):
    """What the cells show, without ids of widgets, and of a panel without ids and times of runs."""
    shown = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    for output in (one for cell in shown for one in cell):
        data = output.get("data", {})
        data.pop(WIDGET, None)
        output.pop("transient", None)
        if data.pop(PANEL, None):
            output.data = {kind: ASKED_AT.sub("", ID.sub("", data[kind])) for kind in data}
            output.metadata = {}
    return shown


# nbval compares the other outputs, but not those of panels, with random ids.
@pytest.mark.parametrize(
    "path",
    [path for path in NUMBERED if replays(notebook := read(path)) and IGNORED in str(notebook)],
    ids=lambda path: path.stem,
)
def test_a_second_execution_of_a_replay_shows_the_same(path):
    assert outputs(executed(read(path))) == outputs(read(path))


@pytest.mark.parametrize("path", NUMBERED, ids=lambda path: path.stem)
def test_a_notebook_is_short_and_has_been_run(path):
    notebook = read(path)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert path.stem.startswith("01_") or 8 <= len(notebook.cells) <= 22
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert any(output.get("data") for cell in code for output in cell.outputs)
    meant = [cell for cell in code if "raises-exception" in cell.metadata.get("tags", ())]
    failed = [cell for cell in code if any(one.output_type == "error" for one in cell.outputs)]
    assert failed == meant
    assert all("execution" not in cell.metadata for cell in code)


@pytest.mark.parametrize(
    "path", [*NUMBERED, *FOLDER.glob("recordings/*.yaml")], ids=lambda path: path.name
)
def test_a_notebook_stores_no_key_no_path_and_no_time(path):
    text = path.read_text("utf-8")
    assert redact(text) == text
    shown = str(outputs(read(path))) if path.suffix == ".ipynb" else text
    assert PRIVATE.findall(shown) == []


def test_each_link_of_a_notebook_leads_to_a_file():
    cells = [cell for path in PATHS for cell in read(path).cells if cell.cell_type == "markdown"]
    links = [link for cell in cells for link in LINK.findall(cell.source)]
    assert links
    assert [link for link in links if not (FOLDER / link).exists()] == []


def test_each_recording_belongs_to_a_notebook():
    used = {
        name
        for path in PATHS
        if replays(read(path))
        for cell in read(path).cells
        for name in re.findall(r"recordings/([\w.]+\.yaml)", cell.source)
    }
    assert {path.name for path in FOLDER.glob("recordings/*")} == used


def test_the_readme_lists_all_notebooks_and_exercises():
    assert {path.name for path in PATHS} <= set(re.findall(r"notebooks/([\w.]+\.ipynb)", README))
    assert [exercise[0] for exercise in EXERCISES] == list("ABCDEFGHI")


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise[0])
def test_the_cell_of_an_exercise_contains_its_call(exercise):
    _, name, heading, call = exercise
    section, calls = None, []
    for cell in read(Path(FOLDER / name)).cells:
        if cell.cell_type == "markdown":
            found = re.search(r"^## (.+)$", cell.source, re.MULTILINE)
            section = found[1] if found else section
        elif section == heading:
            calls.append(cell.source)
    assert any(call in source for source in calls)

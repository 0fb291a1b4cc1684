"""The notebooks as their readers see them without a kernel, as on GitHub.

Pictures go to ``screenshots/notebook-*.png`` beside this file, for people.
"""

from pathlib import Path

import nbformat
import pytest
from nbconvert import HTMLExporter

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
SCREENSHOTS = Path(__file__).parent / "screenshots"
WIDTH = 1000
WIDGET = "application/vnd.jupyter.widget-view+json"
# What JupyterLab, nbconvert and ipywidgets show in place of a widget that they cannot draw.
MISSING = ("Error displaying widget", "Error creating widget", "Loading widget", "model_id")
INSTALL = "pip install anywidget"  # for people in JupyterLab, so it is folded
BROKEN_IMAGES = "() => [...document.images].filter(one => !one.naturalWidth).map(one => one.src)"
EMPTY_OUTPUTS = """() => [...document.querySelectorAll(".jp-OutputArea-child")]
  .filter(one => !one.innerText.trim() && !one.querySelector("img[src], svg"))
  .map(one => one.closest(".jp-Cell").innerText)"""


@pytest.fixture(scope="module", params=["light", "dark"])
def reader(request, browser):
    """A page that executes no script and has no network, and its theme."""
    context = browser.new_context(
        viewport={"width": WIDTH, "height": 800},
        color_scheme=request.param,
        java_script_enabled=False,
        offline=True,
    )
    yield context.new_page(), request.param
    context.close()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_without_a_kernel_shows_its_answers_tables_and_charts(reader, path, tmp_path):
    page, theme = reader
    notebook = nbformat.read(path, as_version=4)
    outputs = [one for cell in notebook.cells for one in cell.get("outputs", ())]
    for output in outputs:
        output.get("data", {}).pop(WIDGET, None)  # GitHub has none; nbconvert leaves a blank
    html, _ = HTMLExporter(theme=theme).from_notebook_node(notebook)
    file = tmp_path / "notebook.html"
    file.write_text(html, "utf-8")

    requests = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(file.as_uri())
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"notebook-{path.stem}-{theme}.png", full_page=True)

    assert [url for url in requests if not url.startswith("data:")] == [file.as_uri()]
    assert page.evaluate(BROKEN_IMAGES) == []
    shown = page.locator("body").inner_text()
    assert [words for words in (*MISSING, INSTALL) if words in shown] == []
    assert page.locator(".jp-OutputArea-child").count() == len(outputs)
    assert page.evaluate(EMPTY_OUTPUTS) == []

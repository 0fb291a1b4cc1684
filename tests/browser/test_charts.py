"""A report's chart in JupyterLab: drawn there, from what the kernel sent, and a picture is kept."""

import pytest
from playwright.sync_api import expect

COSTS = """import llm_playground as lp
lp.configure(log="charts.duckdb")
lp.demo_runs(300)
lp.chart(lp.costs())"""
FORECAST = "lp.chart(lp.forecast('model'))"
BARS = """import sys
sys.modules['altair'] = None
lp.chart(lp.costs('model'))"""


@pytest.fixture(scope="module")
def notebook(open_notebook):
    opened = open_notebook(COSTS, FORECAST, BARS)
    opened.asked = []
    opened.page.on("request", lambda request: opened.asked.append(request.url))
    for index in range(3):
        opened.run_cell(index)
    return opened


def output(notebook, index):
    return notebook.page.locator(".jp-CodeCell").nth(index).locator(".jp-OutputArea-output")


@pytest.mark.parametrize("index", [0, 1])
def test_a_chart_is_drawn_by_the_front_end(notebook, index):
    drawn = output(notebook, index).locator(".vega-embed").locator("canvas, svg.marks")
    expect(drawn.first).to_be_visible()
    notebook.page.wait_for_function(
        "index => document.querySelectorAll('.jp-CodeCell')[index]"
        ".querySelector('.vega-embed :is(canvas, svg.marks)')?.clientHeight > 100",
        arg=index,
    )


def test_without_altair_bars_are_shown(notebook):
    bars = output(notebook, 2).locator("svg rect")
    expect(bars.nth(3)).to_be_visible()


def test_nothing_is_asked_from_elsewhere(notebook):
    own = (notebook.server.url, "blob:", "data:")
    assert [url for url in notebook.asked if not url.startswith(own)] == []


def test_the_notebooks_file_holds_a_picture(notebook):
    [kept] = notebook.saved()["cells"][0]["outputs"]
    assert kept["data"]["image/png"].startswith("iVBOR")

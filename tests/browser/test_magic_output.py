"""Where the answers of ``%llm`` appear: in widgets, and after the page was reloaded."""

import pytest
from playwright.sync_api import expect

from tests.browser.stories import BRIEF

IN_WIDGETS = """
import ipywidgets as w
out, button, shown = w.Output(), w.Button(description="Ask"), w.Output()
@shown.capture()
def ask(_):
    print("by button")
    %llm -m ollama:brief hi
button.on_click(ask)
def about(n):
    %llm -m ollama:brief is {{n}} odd?
display(w.Tab([out]), button, shown, w.interactive_output(about, {"n": w.IntSlider(3)}))
@w.interact(n=w.fixed(4))
def changed(n):
    about(n)
with out:
    print("before")
    %llm -m ollama:story tell
    print("after")
"""


@pytest.mark.parametrize("app", ["lab", "notebook"])
def test_answers_stream_where_a_widget_shows_output(open_notebook, story, app):
    notebook = open_notebook(story.setup + "%load_ext llm_playground", IN_WIDGETS, app=app)
    notebook.run_cell(0)
    output = (
        notebook.page.locator(".jp-Notebook .jp-CodeCell").nth(1).locator(".jp-Cell-outputArea")
    )
    tab = output.locator(".widget-tab")

    notebook.start_cell(1)
    expect(tab).to_contain_text("The sea: wave 0 wave 1")
    story.end()

    expect(tab).to_contain_text("after")
    expect(tab).to_contain_text("tokens")
    expect(tab.get_by_text("streaming")).to_have_count(0)
    assert tab.inner_text().index("before") < tab.inner_text().index("The sea")
    assert tab.inner_text().count("The sea") == 1
    expect(output.get_by_text(BRIEF)).to_have_count(2)
    output.get_by_role("button", name="Ask").click()
    expect(output.get_by_text(BRIEF)).to_have_count(3)
    expect(output.get_by_text("waiting")).to_have_count(0)

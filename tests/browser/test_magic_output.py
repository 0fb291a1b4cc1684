"""Where the answers of ``%llm`` appear: in widgets, and after the page was reloaded."""

import pytest
from playwright.sync_api import expect

from tests.browser.stories import BRIEF, CODE

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
def test_answers_are_where_output_goes_and_found_after_a_reload(open_notebook, story, app):
    asked = "%%llm -m ollama:story\ntell"
    setup = story.setup + "%load_ext llm_playground"
    notebook = open_notebook(
        setup, IN_WIDGETS, asked, "%llm show", "%llm -m ollama:code --cell x", app=app
    )
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

    story.begin()
    notebook.start_cell(2)
    streaming = notebook.page.locator(".jp-Notebook .jp-CodeCell").nth(2)
    expect(streaming).to_contain_text("The sea: wave 0 wave 1")
    notebook.saved()
    notebook.page.on("dialog", lambda dialog: dialog.accept())
    notebook.page.reload()
    expect(streaming.get_by_text("If the page was reloaded, the answer goes on")).to_be_visible()
    story.end()
    notebook.expect_in_kernel("1 + 1", "2")
    notebook.run_cell(3)

    shown = notebook.page.locator(".jp-Notebook .jp-CodeCell").nth(3)
    expect(shown).to_contain_text("The sea: wave 0 wave 1")
    [saved] = notebook.saved()["cells"][2]["outputs"]
    run_id = notebook.in_kernel("print(lp.runs(limit=1).execution_id[0])").strip()
    assert f"%llm show {run_id}" in "".join(saved["data"]["text/html"])
    assert f"%llm show {run_id}" in "".join(saved["data"]["text/plain"])

    before = notebook.cells()
    notebook.run_cell(4)
    added = notebook.page.locator(".jp-Notebook .jp-CodeCell").nth(5)
    expect(added.locator(".cm-content")).to_have_text(CODE)
    expect(added.locator(".jp-Cell-outputArea")).to_have_text("")
    assert notebook.cells()[:6] == [*before, CODE]  # an empty one is below, as after the last cell

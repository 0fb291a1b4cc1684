"""No hostile answer runs or loads anything, wherever a person can see it.

The corpus of ``tests/rendering/hostile.py`` is streamed in small pieces through the panel, its
difference view, its history, the representation in the saved notebook, and ``%%llm``.
"""

import itertools

import pytest
from playwright.sync_api import expect

from tests.providers.formats import openai_stream
from tests.providers.server import Reply, WireServer
from tests.rendering.hostile import hostile_answers

PIECE = 7
AT_ONCE = 36  # so many answers of one Run are all on the page
ANSWERS = [text for _, text in hostile_answers()]
BATCHES = -(-len(ANSWERS) // AT_ONCE)
KEY = "sk-" + "planted" * 4

SETUP = """import os
os.environ.update({{"OPENAI_API_KEY": {key!r}, "OPENAI_BASE_URL": {url!r}}})
import llm_playground as lp
%load_ext llm_playground
pg = lp.Playground("hostile", models=["openai:gpt-4o-mini"], prompt="Say it.", n={n})
pg"""
MAGIC = f"%%llm -m openai:gpt-4o-mini -n {AT_ONCE}\nSay it."

# All that an answer may bring into a page; the panel's own parts are buttons in code blocks.
FOUND = """selector => {
  const allowed = new Set(("p br hr h1 h2 h3 h4 h5 h6 blockquote pre code ul ol li strong em s a "
    + "span table thead tbody tr th td div button del ins math mrow mi mn mo mtext mspace mpadded "
    + "mphantom mstyle mfrac msqrt mroot msub msup msubsup munder mover munderover mmultiscripts "
    + "mprescripts mtable mtr mtd menclose").split(" "));
  const wrong = [];
  for (const element of document.querySelectorAll(`${selector} *`)) {
    const name = element.tagName.toLowerCase();
    if (!allowed.has(name)) wrong.push(name);
    for (const { name: attribute, value } of element.attributes) {
      if (/^on|^(src|srcset|style|action|formaction|xlink:href)$/.test(attribute)) {
        wrong.push(attribute);
      }
      if (attribute === "href" && !/^(https?:|mailto:)/i.test(value)) wrong.push(value);
    }
  }
  return wrong;
}"""


@pytest.fixture(scope="module")
def vendor():
    """Gives one hostile answer after the other, in pieces that cut through everything."""
    texts = itertools.cycle(ANSWERS)

    def reply(_request):
        text = next(texts)
        return Reply(openai_stream([text[at : at + PIECE] for at in range(0, len(text), PIECE)]))

    with WireServer(reply) as server:
        yield server


@pytest.fixture(scope="module")
def notebook(open_notebook, vendor):
    cell = SETUP.format(key=KEY, url=f"{vendor.url}/v1", n=AT_ONCE)
    opened = open_notebook(cell, MAGIC)
    opened.asked = []
    opened.page.on("request", lambda request: opened.asked.append(request.url))
    opened.page.on("dialog", lambda dialog: opened.asked.append(f"dialog {dialog.message}"))
    opened.page.on("popup", lambda page: opened.asked.append(f"popup {page.url}"))
    opened.run_cell(0)
    return opened


def assert_nothing_happened(notebook, selector):
    own = (notebook.server.url, notebook.server.url.replace("http", "ws"), "blob:", "data:")
    assert [url for url in notebook.asked if not url.startswith(own)] == []
    assert notebook.page.evaluate("() => window.stolen") is None
    assert notebook.page.evaluate(FOUND, selector) == []


def run_all(notebook):
    notebook.run_to_end()
    expect(notebook.by("stop")).to_be_hidden()
    expect(notebook.by("pane")).to_have_count(AT_ONCE)
    states = notebook.by("pane").evaluate_all("panes => panes.map(pane => pane.dataset.state)")
    assert set(states) <= {"completed", "failed"}, states


@pytest.fixture
def answered(notebook):
    """The notebook with answers, whichever tests ran before."""
    if notebook.run_number() == 0:
        run_all(notebook)
    return notebook


def test_the_corpus_is_large_enough():
    assert len(set(ANSWERS)) >= 150


@pytest.mark.parametrize("batch", range(BATCHES))
def test_in_the_panel_and_its_difference_view(notebook, batch):
    run_all(notebook)  # beside the baseline of the batch before
    notebook.by("pane").first.focus()
    notebook.page.keyboard.press("p")
    expect(notebook.by("baseline")).to_have_count(0)
    expect(notebook.by("answer")).to_have_count(AT_ONCE)
    assert_nothing_happened(notebook, "[data-llm=answer]")

    notebook.page.keyboard.press("d")
    expect(notebook.panel.locator(".llm-difference-line").last).to_be_visible()

    assert_nothing_happened(notebook, ".llm-difference")
    notebook.page.keyboard.press("d")


def test_in_the_history(answered):
    notebook = answered
    notebook.by("pane").first.focus()
    notebook.page.keyboard.press("h")
    drawer = notebook.page.get_by_role("dialog", name="History")
    expect(drawer.get_by_role("option").or_(drawer.locator("li")).first).to_be_visible()
    notebook.page.wait_for_timeout(300)

    assert_nothing_happened(notebook, "dialog[aria-label=History] ul")
    notebook.page.keyboard.press("Escape")


def test_of_the_magic(notebook):
    notebook.run_cell(1)
    output = notebook.page.locator(".jp-CodeCell").nth(1).locator(".jp-OutputArea-output")
    expect(output.first).to_contain_text("$")

    assert_nothing_happened(notebook, ".jp-CodeCell:nth-child(2) .jp-OutputArea-output td")


def test_in_the_saved_notebook(answered):
    notebook = answered
    expect(notebook.page.locator("[data-llm=saved]")).to_have_count(1)
    notebook.page.evaluate("() => window.jupyterapp.shell.currentWidget.context.save()")
    notebook.in_kernel("pg.close()")
    notebook.page.reload()
    expect(notebook.page.locator("[data-llm=saved], [data-llm-saved]").first).to_be_attached()
    notebook.page.wait_for_timeout(1_000)

    assert_nothing_happened(notebook, ".jp-CodeCell:first-child .jp-OutputArea-output td")

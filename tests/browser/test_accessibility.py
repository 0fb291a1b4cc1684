"""axe-core finds nothing against WCAG 2.1 A and AA in the panel, in light and dark, in every state.

What a machine cannot judge (names that say the right thing, the order of the focus) the other tests
of this folder hold.
"""

import pytest
from playwright.sync_api import expect

from tests.providers.formats import openai_stream
from tests.providers.server import Reply, WireServer

KEY = "sk-" + "planted" * 4
ANSWER = "# Sales\n\nThey rose **4 %**, see [the report](https://example.com/).\n\n" + (
    "```python\nx = 1  # one\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nThe rate is $r = n / b$."
)
PANEL = """import os
os.environ.update({{"OPENAI_API_KEY": {key!r}, "OPENAI_BASE_URL": {url!r}}})
import llm_playground as lp
article = "Sales rose."
pg = lp.Playground("invoice", models=["openai:gpt-4o-mini", "openai:nope"], n=2)
pg.prompt = "Summarise {{{{article}}}} in {{{{points}}}}."
pg"""
THEMES = ("JupyterLab Light", "JupyterLab Dark", "JupyterLab Dark High Contrast")
RUN_AXE = """async () => {
  const rules = { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"] };
  const panel = document.querySelector(".llm-playground");
  for (const one of panel.getAnimations({ subtree: true })) one.finish();
  const { violations } = await window.axe.run(panel, rules);
  const told = (id, node) => `${id}: ${node.html.slice(0, 160)}`;
  return violations.flatMap(({ id, nodes }) => nodes.map((node) => told(id, node)));
}"""


@pytest.fixture(scope="module")
def axe(node_modules):
    """The source of axe-core."""
    return (node_modules / "axe-core" / "axe.min.js").read_text("utf-8")


@pytest.fixture(scope="module")
def vendor():
    with WireServer(Reply(openai_stream([f"{word} " for word in ANSWER.split(" ")]))) as server:
        yield server


@pytest.fixture(scope="module")
def notebook(open_notebook, vendor, axe):
    opened = open_notebook(PANEL.format(key=KEY, url=f"{vendor.url}/v1"))
    opened.page.evaluate(axe)
    opened.run_cell(0)
    return opened


@pytest.fixture(params=THEMES)
def themed(notebook, request):
    """The panel in one of JupyterLab's themes."""
    notebook.page.evaluate(
        "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})",
        request.param,
    )
    expect(notebook.page.locator("body")).to_have_attribute("data-jp-theme-name", request.param)
    expect(notebook.page.locator("#jupyterlab-splash")).to_have_count(0)
    return notebook


def assert_accessible(notebook):
    assert notebook.page.evaluate(RUN_AXE) == []


def opened_by(key):
    def press(notebook):
        notebook.by("pane").first.focus()
        notebook.page.keyboard.press(key)
        expect(notebook.page.get_by_role("dialog")).to_be_visible()

    return press


def with_answers(notebook):
    notebook.in_kernel("points = 3")
    notebook.run_to_end()
    expect(notebook.by("footer").nth(3)).not_to_be_empty()
    expect(notebook.by("stop")).to_be_hidden()


def with_difference(notebook):
    notebook.by("pane").first.focus()
    notebook.page.keyboard.press("p")
    if notebook.panel.get_by_role("button", name="Diff", pressed=True).count() == 0:
        notebook.page.keyboard.press("d")
    expect(notebook.panel.locator(".llm-difference-line:not(:empty)").first).to_be_visible()


def with_baseline_of_another_run(notebook):
    notebook.run_to_end()
    expect(notebook.by("baseline").first).to_be_visible()
    expect(notebook.panel.locator(".llm-difference-line:not(:empty)").first).to_be_visible()


def with_earlier_run(notebook):
    notebook.in_kernel("pg.system = 'Be brief.' if pg.system == '' else ''")
    notebook.by("pane").first.focus()
    notebook.page.keyboard.press("[")
    expect(notebook.panel.get_by_role("button", name="Later Run")).to_be_enabled()
    expect(notebook.panel.get_by_role("button", name="Restore", exact=True)).to_be_visible()


def with_unfolded_history(notebook):
    opened_by("h")(notebook)
    rows = notebook.page.get_by_role("dialog", name="History").get_by_role("option")
    expect(rows.first).to_be_visible()
    before = rows.count()
    notebook.page.keyboard.press("ArrowRight")
    expect(rows.nth(before)).to_be_attached()


def with_list(notebook):
    notebook.by("model").click()
    expect(notebook.panel.get_by_role("option").first).to_be_visible()


def with_providers(notebook):
    notebook.page.keyboard.press("Escape")
    notebook.by("model").fill("seek")
    expect(notebook.panel.get_by_role("option")).to_contain_text("Enter key…")


def with_saved_prompts(notebook):
    for question in "bc":
        notebook.in_kernel(f"lp.save_prompt('a', pg.as_prompt().with_question({question!r}))")
    notebook.panel.get_by_role("button", name="Open…").click()
    expect(notebook.page.get_by_role("dialog", name="Open").locator("ins")).to_be_visible()


def with_missing_key(notebook):
    models = notebook.in_kernel("print(pg.models)").strip()
    notebook.in_kernel("pg.models = ['deepseek:chat']; pg.temperature = [0, 1]")
    notebook.by("run").click()
    enter = notebook.by("pane").first.get_by_role("button", name="Enter key for DeepSeek")
    expect(enter).to_be_visible()
    notebook.in_kernel(f"pg.models = {models}; pg.temperature = None")


def with_menu(notebook):
    notebook.by("pane").first.get_by_role("button", name="More for answer 1").click()
    expect(notebook.panel.get_by_role("menuitem").first).to_be_visible()


STATES = {
    "idle": lambda _: None,
    "the list of models": with_list,
    "the providers without a key": with_providers,
    "answers, one of them failed": with_answers,
    "the difference": with_difference,
    "the baseline of another Run": with_baseline_of_another_run,
    "an earlier Run, and a form that has changed": with_earlier_run,
    "the menu of an answer": with_menu,
    "keys": opened_by("?"),
    "history": with_unfolded_history,
    "wire": opened_by("w"),
    "saved prompts": with_saved_prompts,
    "a missing key": with_missing_key,
}


def test_no_state_breaks_a_rule(themed):
    broken = {}
    for state, enter in STATES.items():
        enter(themed)
        found = themed.page.evaluate(RUN_AXE)
        if found:
            broken[state] = found
        if themed.page.get_by_role("dialog").count() or state.startswith("the"):
            themed.page.keyboard.press("Escape")
    assert broken == {}


def test_a_reader_hears_sentences_and_no_tokens(notebook):
    live = notebook.panel.locator("[aria-live=polite]").first
    notebook.page.evaluate("""() => {
      window.heard = [];
      const live = document.querySelector(".llm-playground [aria-live=polite]");
      new MutationObserver(() => window.heard.push(live.textContent)).observe(live,
        { childList: true, characterData: true, subtree: true });
    }""")
    with_answers(notebook)
    expect(live).to_contain_text("All done.")

    heard = notebook.page.evaluate("window.heard")
    assert any("4 calls sent." in sentence for sentence in heard)
    assert len(heard) <= 8, heard
    assert all(sentence.endswith((".", "!", "?")) for sentence in heard if sentence), heard

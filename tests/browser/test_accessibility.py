"""axe-core finds nothing against WCAG 2.1 A and AA in the panel, in three themes, in every state.

What a machine cannot judge (names that say the right thing, the order of the focus) the other tests
of this folder hold.
"""

import threading

import pytest
from playwright.sync_api import expect

from tests.browser.stories import Held
from tests.budgeting.client import PRICES
from tests.providers.formats import openai_stream
from tests.providers.server import Reply, WireServer, json_reply

KEY = "sk-" + "planted" * 4
ANSWER = "# Sales\n\nThey rose **4 %**, see [the report](https://example.com/).\n\n" + (
    "```python\nx = 1  # one\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nThe rate is $r = n / b$."
)
PANEL = """import os, llm_playground as lp
os.environ.update({environment!r})
lp.configure(prices={prices}, endpoints=dict(groq={url!r}), log='axe.duckdb',
             confirm_above_usd=None)
for _ in lp.budgets().itertuples():
    lp.set_budget(None, period=_.period)
article = "Sales rose."
pg = lp.Playground("invoice", models=["openai:gpt-4o-mini", "openai:gpt-4o"], n=2)
pg.prompt = "Summarise {{{{article}}}} in {{{{points}}}}."
pg"""
# The stylesheets that JupyterLab loads for its themes; the first one is loaded.
THEMES = {
    "JupyterLab Light": "theme-light-extension",
    "JupyterLab Dark": "theme-dark-extension",
    "JupyterLab Dark High Contrast": "theme-dark-high-contrast-extension",
}
LOAD_THEMES = """themes => Promise.all(Object.entries(themes).map(([name, folder]) => {
  const link = document.createElement("link");
  const loaded = new Promise(done => { link.onload = done; });
  const { baseUrl } = JSON.parse(document.getElementById("jupyter-config-data").textContent);
  link.rel = "stylesheet";
  link.href = `${baseUrl}lab/api/themes/@jupyterlab/${folder}/index.css`;
  link.dataset.theme = name;
  document.head.append(link);
  return loaded;
}))"""
# All rules in the first theme; in the others those that depend on colors. A stylesheet of a theme
# is switched off and on, as loading a theme takes seconds for each of so many states.
RUN_AXE = """async () => {
  const panel = document.querySelector(".llm-playground");
  const links = [...document.querySelectorAll("link[data-theme]")];
  const use = name => {
    for (const link of links) link.disabled = link.dataset.theme !== name;
    document.body.dataset.jpThemeName = name;
    document.body.dataset.jpThemeLight = String(name.endsWith("Light"));
    for (const one of panel.getAnimations({ subtree: true })) one.finish();
  };
  const found = [];
  for (const [at, { dataset: { theme } }] of links.entries()) {
    use(theme);
    const runOnly = at === 0 ? ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
      : { type: "rule", values: ["color-contrast", "link-in-text-block"] };
    const { violations } = await window.axe.run(panel, { runOnly, resultTypes: ["violations"] });
    found.push(...violations.flatMap(({ id, nodes }) =>
      nodes.map(({ html }) => `${theme}: ${id}: ${html.slice(0, 160)}`)));
  }
  use(links[0].dataset.theme);
  return found;
}"""
OPEN_ABOVE = "dialog[open], .llm-list:not([hidden]), [role=menu]:not([hidden])"


@pytest.fixture(scope="module")
def axe(node_modules):
    """The source of axe-core."""
    return (node_modules / "axe-core" / "axe.min.js").read_text("utf-8")


@pytest.fixture(scope="module")
def vendor():
    """Each model ends in its own way; an answer of the others ends when it may."""
    may_end = threading.Event()
    may_end.set()

    def reply(request):
        model = request.json["model"]
        if model == "fails":
            return json_reply(400, {"error": {"message": "The image is too large."}})
        if model in {"cut", "blocked"}:
            reason = {"cut": "length", "blocked": "content_filter"}[model]
            return Reply(openai_stream(["Sales rose ", "4 %"], finish_reason=reason))
        if model == "json":
            return Reply(openai_stream(['{"quarter": "Q3", ', '"change": 0.04, "risk": null}']))
        text = f"{ANSWER} Here is {model}." + f"\n\n{ANSWER}" * 3
        events = openai_stream(text.splitlines(keepends=True), reasoning=["Let me see."])
        return Reply(Held(events, may_end), pause_s=0.02)

    with WireServer(reply) as server:
        server.may_end = may_end
        yield server
        may_end.set()


@pytest.fixture(scope="module")
def opened(open_notebook, vendor, axe):
    url = f"{vendor.url}/v1"
    environment = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": url}
    notebook = open_notebook(PANEL.format(environment=environment, url=url, prices=PRICES))
    notebook.page.evaluate(axe)
    notebook.page.evaluate(LOAD_THEMES, THEMES)
    return notebook


@pytest.fixture
def notebook(opened):
    """A new panel, with nothing asked."""
    opened.run_cell(0)
    expect(opened.panel.locator(".llm-chip")).to_have_count(2)
    expect(opened.by("pane")).to_have_count(0)
    opened.in_kernel("points = 3")
    return opened


def answered(notebook, **form):
    """Run the form, with other values if any, to its end."""
    if form:
        notebook.in_kernel(f"pg.set_form({form!r})")
    notebook.run_to_end()
    expect(notebook.by("stop")).to_be_hidden()


def pressed(key):
    """A state behind a key of an answer."""

    def enter(notebook):
        notebook.by("pane").first.focus()
        notebook.page.keyboard.press(key)
        expect(notebook.page.get_by_role("dialog")).to_be_visible()

    return enter


def clicked(name, shown="dialog"):
    """A state behind a button, which shows something with the role ``shown``."""

    def enter(notebook):
        notebook.panel.get_by_role("button", name=name).first.click()
        expect(notebook.panel.get_by_role(shown).locator("visible=true").first).to_be_visible()

    return enter


def toggled(name, shown):
    """A state of a switch, which shows elements of a selector."""

    def enter(notebook):
        notebook.panel.get_by_role("button", name=name, exact=True).click()
        expect(notebook.panel.locator(shown).locator("visible=true").first).to_be_visible()

    return enter


# The form


def models_listed(notebook):
    notebook.by("model").click()
    expect(notebook.panel.get_by_role("option").first).to_be_visible()


def providers_listed(notebook):
    notebook.by("model").fill("seek")
    expect(notebook.panel.get_by_role("option")).to_contain_text("Enter key…")
    notebook.page.keyboard.press("ArrowDown")
    expect(notebook.panel.get_by_role("button", name="Enter key for DeepSeek")).to_be_visible()


def nothing_found(notebook):
    notebook.by("model").fill("gpt7 nothing")
    expect(notebook.panel.get_by_text("No model matches")).to_be_visible()


def key_entered_in_the_picker(notebook):
    notebook.by("model").fill("seek")
    expect(notebook.panel.get_by_role("option")).to_contain_text("Enter key…")
    notebook.by("model").press("Enter")
    expect(notebook.panel.get_by_label("Key of DeepSeek")).to_be_focused()
    notebook.page.keyboard.press("Enter")  # an empty one
    expect(notebook.page.get_by_role("dialog").get_by_role("alert")).not_to_be_empty()


def filled(notebook):
    notebook.in_kernel(
        "pg.set_form(dict(temperature=[0, 0.5, 1], models=['groq:c', 'openai:gpt-4o'],"
        " values={'points': '3'}, prompt='{{article}} {{points}} {{missing}}'))"
    )
    expect(notebook.panel.get_by_role("alert").filter(has_text="is not defined")).to_be_visible()
    expect(notebook.panel.get_by_role("button", name="Enter key for Groq")).to_be_visible()


def over_a_budget(notebook):
    notebook.in_kernel(
        "pg.set_form(dict(temperature=None, models=['openai:gpt-4o'], max_tokens=100,"
        " prompt='Hi'))\nlp.set_budget(0.0001, period='total')"
    )
    notebook.panel.get_by_role("button", name="Override…").click()
    expect(notebook.panel.get_by_label("Reason for the override")).to_be_focused()


def prompts_saved(notebook):
    for question in "bc":
        notebook.in_kernel(f"lp.save_prompt('a', pg.as_prompt().with_question({question!r}))")
    notebook.panel.get_by_role("button", name="Open…").click()
    expect(notebook.page.get_by_role("dialog", name="Open").locator("ins")).to_be_visible()


FORM = {
    "idle": lambda _: None,
    "models listed": models_listed,
    "providers without a key": providers_listed,
    "no model found": nothing_found,
    "a key entered in the picker": key_entered_in_the_picker,
    "saved prompts": prompts_saved,
    "saving": clicked("Save as…"),
    "the keys": clicked("Keys"),
    "sweep, variables and a missing key": filled,
    "over a budget": over_a_budget,
}


# Answers


def one_copied(notebook):
    notebook.by("pane").first.get_by_role("button", name="Copy", exact=True).click()
    expect(notebook.by("message")).not_to_be_empty()


def as_text(notebook):
    notebook.panel.get_by_role("button", name="Text", exact=True).click()
    for text in notebook.panel.locator(".llm-raw").all():
        expect(text).to_contain_text("rate")  # comes from the kernel
    notebook.painted()


def reasoning_unfolded(notebook):
    notebook.by("pane").first.locator("summary", has_text="Reasoning").click()
    expect(notebook.by("pane").first.get_by_text("Let me see.")).to_be_visible()


ANSWERS = {
    "answers": lambda _: None,
    "all of an answer": clicked("Show all of answer 1", "region"),
    "as the model wrote it": as_text,
    "formatted again": toggled("Text", ".llm-answer"),
    "a message": one_copied,
    "reasoning unfolded": reasoning_unfolded,
    "difference": toggled("Diff", "ins, del"),
    "only different": toggled("Only different", ".llm-baseline"),
    "menu of an answer": clicked("More for answer 1", "menuitem"),
    "menu of exports": clicked("Export", "menuitem"),
    "wire": pressed("w"),
    "code": clicked("Code"),
}

# Runs


def baseline_of_another_run(notebook):
    notebook.by("pane").first.focus()
    notebook.page.keyboard.press("d")  # pins answer 1
    answered(notebook, models=["openai:gpt-4o", "openai:gpt-4.1"])
    expect(notebook.by("baseline").first).to_be_visible()
    expect(notebook.panel.locator("ins").first).to_be_visible()


def earlier_run(notebook):
    notebook.in_kernel("pg.system = 'Be brief.'")
    notebook.panel.get_by_role("button", name="Earlier Run").click()
    expect(notebook.panel.get_by_role("button", name="Later Run")).to_be_enabled()
    expect(notebook.panel.get_by_role("button", name="Restore", exact=True)).to_be_visible()


def form_restored(notebook):
    notebook.panel.get_by_role("button", name="Restore", exact=True).click()
    expect(notebook.by("message").get_by_role("button", name="Undo")).to_be_visible()


def history_unfolded(notebook):
    pressed("h")(notebook)
    rows = notebook.page.get_by_role("dialog", name="History").get_by_role("option")
    expect(rows.first).to_be_visible()
    notebook.page.keyboard.press("ArrowRight")
    expect(rows.filter(has_text="unfolded").first).to_be_visible()


RUNS = {
    "the baseline of another Run": baseline_of_another_run,
    "an earlier Run, and a form that has changed": earlier_run,
    "a restored form": form_restored,
    "history unfolded": history_unfolded,
}


# Endings


def key_entered_in_an_answer(notebook):
    notebook.panel.get_by_role("region").get_by_role("button", name="Enter key for Groq").click()
    expect(notebook.panel.get_by_label("Key of Groq")).to_be_focused()


def not_sent(notebook):
    notebook.in_kernel(
        "pg.set_form(dict(models=['openai:gpt-4o'], max_tokens=100))\n"
        "lp.set_budget(0.0001, period='total'); pg.run()"
    )
    expect(notebook.by("status").first).to_contain_text("Not sent")


ENDINGS = {
    "failed, blocked, cut, JSON, no key": lambda _: None,
    "only failed": toggled("Only failed", "[data-state=failed]"),
    "a key entered in an answer": key_entered_in_an_answer,
    "not sent over a budget": not_sent,
}


def broken_rules(notebook, states):
    """What axe finds in each of the states, which are entered in turn."""
    broken = {}
    for state, enter in states.items():
        enter(notebook)
        if found := notebook.page.evaluate(RUN_AXE):
            broken[state] = found
        while notebook.panel.locator(OPEN_ABOVE).count():
            notebook.page.keyboard.press("Escape")
    return broken


def test_no_state_of_the_form_breaks_a_rule(notebook):
    assert broken_rules(notebook, FORM) == {}


def test_no_state_of_answers_breaks_a_rule(notebook, vendor):
    vendor.may_end.clear()
    notebook.by("run").click()
    expect(notebook.by("answer").last).to_contain_text("rate")
    expect(notebook.by("stop")).to_be_visible()
    assert notebook.page.evaluate(RUN_AXE) == [], "streaming"
    vendor.may_end.set()
    notebook.expect_ended(1)
    assert broken_rules(notebook, ANSWERS) == {}


def test_no_state_of_runs_breaks_a_rule(notebook):
    answered(notebook, iterations=1)
    assert broken_rules(notebook, RUNS) == {}


def test_no_ending_breaks_a_rule(notebook):
    models = [f"openai:{name}" for name in ("fails", "blocked", "cut", "json")]
    answered(notebook, models=[*models, "groq:c"], iterations=1)
    assert broken_rules(notebook, ENDINGS) == {}


def test_a_reader_hears_sentences_and_no_tokens(notebook):
    live = notebook.panel.locator("[aria-live=polite]").first
    notebook.page.evaluate("""() => {
      window.heard = [];
      const live = document.querySelector(".llm-playground [aria-live=polite]");
      new MutationObserver(() => window.heard.push(live.textContent)).observe(live,
        { childList: true, characterData: true, subtree: true });
    }""")
    answered(notebook)
    expect(live).to_contain_text("All done.")

    heard = notebook.page.evaluate("window.heard")
    assert any("4 calls sent." in sentence for sentence in heard)
    assert len(heard) <= 8, heard
    assert all(sentence.endswith((".", "!", "?")) for sentence in heard if sentence), heard


def test_an_answer_whose_kernel_has_ended_breaks_no_rule(notebook, vendor):
    """The last one, as it ends the kernel."""
    vendor.may_end.clear()
    notebook.by("run").click()
    expect(notebook.by("answer").first).to_contain_text("rate")
    notebook.shut_down()
    expect(notebook.by("status").first).to_have_text("Interrupted")
    assert notebook.page.evaluate(RUN_AXE) == []

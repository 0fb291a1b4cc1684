"""A person plays: types a prompt, watches answers grow, stops them, comes back to them."""

import json
import re

import pytest
from playwright.sync_api import expect

STORY = "Tell me a long story about the sea."
WORDS = re.compile(r"\w+ \w+")
PLAYGROUND = """import llm_playground as lp
pg = lp.Playground(models=['local'])
pg.max_tokens = 200
pg"""

CELLS = (PLAYGROUND, "pg", "import time; time.sleep(8)")

# Notes the length of the answer at every animation frame where it differs, while it streams.
SAMPLE_PAINTS = """() => {
  window.paints = [];
  window.rewrites = 0;
  const sample = () => {
    const pane = document.querySelector("[data-llm=pane][data-state=running]");
    const answer = pane?.querySelector("[data-llm=answer]");
    if (answer && !window.watched) {
      window.watched = new MutationObserver(records => {
        window.rewrites += records.flatMap(record => [...record.removedNodes]).length;
      });
      window.watched.observe(answer, { childList: true });
    }
    const length = answer?.textContent.length ?? 0;
    if (length > 0 && length !== window.paints.at(-1)) window.paints.push(length);
    requestAnimationFrame(sample);
  };
  requestAnimationFrame(sample);
}"""


@pytest.fixture(scope="module")
def opened(open_notebook):
    return open_notebook(*CELLS)


@pytest.fixture
def notebook(opened):
    """The notebook with a new playground in its first cell."""
    opened.run_cell(0)
    return opened


@pytest.fixture
def slow_notebook(notebook, story_model):
    """The notebook with a model whose answer is still growing when a button is clicked."""
    notebook.in_kernel(f"{story_model}pg.models = ['ollama:story']")
    return notebook


def words_in(text):
    """The first words of an answer, which Markdown leaves as they are, whatever it is made of."""
    return re.findall(r"[a-z]{4,}", text)[:3]


def logged(notebook, columns):
    """The last Run's rows in the log, newest first."""
    newest = "lp.runs()[lambda runs: runs.run_id.isin(pg.results.run_id)]"
    printed = notebook.in_kernel(f"print({newest}[{columns!r}].to_json(orient='records'))")
    return json.loads(printed)


def test_ctrl_enter_streams_the_answer_and_logs_the_run(notebook):
    notebook.page.evaluate(SAMPLE_PAINTS)

    notebook.panel.get_by_role("textbox", name="User prompt").fill(STORY)
    notebook.page.keyboard.press("Control+Enter")

    expect(notebook.panel.get_by_role("region", name="Answer 1")).to_be_visible()
    expect(notebook.by("footer")).to_contain_text("free")
    lengths = notebook.page.evaluate("window.paints")
    assert lengths == sorted(lengths)
    assert notebook.page.evaluate("window.rewrites") == 0, "what is finished is not rewritten"
    [run] = logged(notebook, ["user_prompt", "status", "source", "response_text"])
    assert (run["user_prompt"], run["status"], run["source"]) == (STORY, "completed", "widget")
    assert words_in(notebook.by("answer").inner_text()) == words_in(run["response_text"])


def test_stop_keeps_the_text_so_far(slow_notebook):
    slow_notebook.by("prompt").fill(STORY)
    slow_notebook.panel.get_by_role("button", name="Run").click()
    expect(slow_notebook.by("answer")).to_contain_text(WORDS)

    slow_notebook.by("stop").click()

    expect(slow_notebook.by("footer")).to_contain_text("stopped after")
    expect(slow_notebook.by("status")).to_have_text("Stopped")
    [run] = logged(slow_notebook, ["status", "response_text"])
    assert run["status"] == "cancelled"
    assert WORDS.search(run["response_text"])
    assert words_in(slow_notebook.by("answer").inner_text()) == words_in(run["response_text"])


def test_stop_works_while_a_synchronous_cell_runs(slow_notebook):
    slow_notebook.by("prompt").fill(STORY)
    slow_notebook.start_cell(2)
    slow_notebook.by("run").click()
    expect(slow_notebook.by("answer")).to_contain_text(WORDS)

    slow_notebook.by("stop").click()

    expect(slow_notebook.by("footer")).to_contain_text("stopped after", timeout=5_000)
    expect(slow_notebook.page.locator(".jp-InputPrompt").nth(2)).to_have_text("[*]:", timeout=1)


def test_one_answer_of_several_is_stopped_alone(slow_notebook):
    slow_notebook.by("prompt").fill(STORY)
    slow_notebook.panel.get_by_role("spinbutton", name="Iterations").fill("2")
    expect(slow_notebook.by("price")).to_contain_text("2 calls · free")
    slow_notebook.by("run").click()
    first = slow_notebook.panel.get_by_role("region", name="Answer 1")
    second = slow_notebook.panel.get_by_role("region", name="Answer 2")
    expect(first.locator("[data-llm=answer]")).to_contain_text(re.compile(r"\w+ \w+"))

    first.get_by_role("button", name="Stop").click()

    expect(first.locator("[data-llm=status]")).to_have_text("Stopped")
    expect(second.locator("[data-llm=footer]")).to_contain_text("free")
    expect(second.locator("[data-llm=status]")).not_to_have_text("Stopped")


def test_a_second_view_shows_what_the_first_one_does(notebook):
    notebook.by("prompt").fill(STORY)
    notebook.by("run").click()
    expect(notebook.by("answer")).to_contain_text(WORDS)

    notebook.start_cell(1)

    panels = notebook.page.locator(".llm-playground")
    expect(panels).to_have_count(2)
    expect(panels.nth(1).locator("[data-llm=prompt]")).to_have_value(STORY)
    expect(panels.nth(1).locator("[data-llm=footer]")).to_contain_text("free")
    texts = [panels.nth(at).locator("[data-llm=answer]").inner_text() for at in (0, 1)]
    assert texts[0] == texts[1]


def test_values_set_from_python_and_in_the_panel_are_the_same(notebook):

    notebook.in_kernel("pg.prompt = 'From Python'; pg.temperature = 0.35; pg.iterations = 3")
    expect(notebook.by("prompt")).to_have_value("From Python")
    expect(notebook.panel.get_by_role("slider", name="Temperature")).to_have_value("0.35")
    expect(notebook.by("iterations")).to_have_value("3")
    notebook.by("prompt").fill("From the panel")
    notebook.panel.get_by_role("button", name="Creative").click()

    notebook.expect_in_kernel("pg.prompt, pg.preset", "('From the panel', 'creative')")
    notebook.expect_in_kernel("pg.temperature, pg.top_p", "(1.0, None)")
    expect(notebook.panel.get_by_role("button", name="Creative")).to_have_attribute(
        "aria-pressed", "true"
    )


def test_a_wrong_value_is_explained_and_nothing_is_lost(notebook):
    notebook.by("prompt").fill("My long prompt")
    problem = notebook.panel.get_by_role("alert")

    notebook.panel.get_by_role("textbox", name="Temperature value").fill("hot")
    expect(problem).to_have_text("temperature is 'hot'; local takes a number from 0 to 2.")
    notebook.in_kernel("pg.problem = ''")  # set again when the press of Run was handled
    notebook.by("run").click()
    notebook.expect_in_kernel("'hot' in pg.problem", "True")
    expect(problem).to_have_text("temperature is 'hot'; local takes a number from 0 to 2.")
    expect(notebook.by("pane")).to_have_count(0)
    expect(notebook.by("prompt")).to_have_value("My long prompt")
    expect(notebook.panel.get_by_role("textbox", name="Temperature value")).to_have_value("hot")

    notebook.in_kernel("pg.temperature = None; pg.iterations = 0")
    expect(problem).to_have_text("iterations is 0; it takes a whole number from 1 to 1,000.")
    notebook.in_kernel("pg.iterations = 1")
    expect(problem).to_have_text("")


def test_a_name_in_the_prompt_takes_its_value_from_the_notebook(notebook):
    notebook.by("prompt").fill("Say {{word}}.")

    notebook.by("run").click()
    expect(notebook.panel.get_by_role("alert")).to_contain_text("{{word}} is not defined")
    notebook.in_kernel("word = 'lighthouse'; pg.max_tokens = 4")
    notebook.by("run").click()

    expect(notebook.by("footer")).to_contain_text("free")
    assert logged(notebook, ["user_prompt"]) == [{"user_prompt": "Say lighthouse."}]


def test_models_are_added_by_typing_and_a_missing_key_is_named(notebook):
    picker = notebook.panel.get_by_role("combobox", name="Model")

    picker.fill("gpt-4o-mini")
    expect(notebook.panel.get_by_role("option").first).to_contain_text("no key")
    picker.press("Enter")

    notebook.expect_in_kernel("pg.models", "['local', 'openai:gpt-4o-mini']")
    notebook.by("prompt").fill("Hello")
    notebook.panel.get_by_role("textbox", name="Max tokens value").fill("4")
    notebook.by("run").click()
    expect(notebook.by("pane")).to_have_count(2)
    second = notebook.panel.get_by_role("region", name="Answer 2")
    expect(second).to_contain_text("No key for OpenAI. Put OPENAI_API_KEY in .env")
    first = notebook.panel.get_by_role("region", name="Answer 1")
    expect(first).to_contain_text("Cut off at 4 tokens.")

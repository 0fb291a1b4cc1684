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

# The third cell runs until a file is there.
CELLS = (
    PLAYGROUND,
    "pg",
    """import pathlib, time
go_on = pathlib.Path("playing-may-go-on")
while not go_on.exists():
    time.sleep(0.05)
go_on.unlink()""",
)

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
    # A second cell's view of an older playground is the page's first until this one is there.
    expect(opened.page.locator(".jp-CodeCell").first.locator(".llm-playground")).to_be_visible()
    return opened


@pytest.fixture
def slow_notebook(notebook, story):
    """The notebook with a model whose answer grows until ``story.end()``."""
    notebook.in_kernel(f"{story.setup}pg.models = ['ollama:story']")
    return notebook


def logged(notebook, columns):
    """The last Run's rows in the log, newest first."""
    newest = "lp.runs()[lambda runs: runs.run_id.isin(pg.results.run_id)]"
    code = f"pg.results\nprint({newest}[{columns!r}].to_json(orient='records'))"
    printed = notebook.in_kernel(code)  # read when all have ended
    return json.loads(printed)


def test_ctrl_enter_streams_the_answer_and_logs_the_run(slow_notebook, story):
    notebook = slow_notebook
    notebook.page.evaluate(SAMPLE_PAINTS)

    notebook.panel.get_by_role("textbox", name="User prompt").fill(STORY)
    notebook.page.keyboard.press("Control+Enter")

    expect(notebook.panel.get_by_role("region", name="Answer 1")).to_be_visible()
    notebook.page.wait_for_function("() => window.paints.length > 3")
    story.end()
    expect(notebook.by("footer")).to_contain_text("free")
    lengths = notebook.page.evaluate("window.paints")
    assert lengths == sorted(lengths)
    assert notebook.page.evaluate("window.rewrites") == 0, "what is finished is not rewritten"
    [run] = logged(notebook, ["user_prompt", "status", "source", "response_text"])
    assert (run["user_prompt"], run["status"], run["source"]) == (STORY, "completed", "widget")
    expect(notebook.by("answer")).to_have_text(run["response_text"])


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
    expect(slow_notebook.by("answer")).to_have_text(run["response_text"])


def test_stop_works_while_a_synchronous_cell_runs(slow_notebook):
    slow_notebook.by("prompt").fill(STORY)
    slow_notebook.start_cell(2)
    slow_notebook.by("run").click()
    expect(slow_notebook.by("answer")).to_contain_text(WORDS)

    slow_notebook.by("stop").click()

    # In vain, were it heard only after the cell: that waits for the file.
    expect(slow_notebook.by("footer")).to_contain_text("stopped after")
    running = slow_notebook.page.locator(".jp-InputPrompt").nth(2)
    expect(running).to_have_text("[*]:")
    (slow_notebook.server.folder / "playing-may-go-on").touch()
    expect(running).not_to_have_text("[*]:")


def test_one_answer_of_several_is_stopped_alone(slow_notebook, story):
    slow_notebook.by("prompt").fill(STORY)
    slow_notebook.panel.get_by_role("spinbutton", name="Iterations").fill("2")
    expect(slow_notebook.by("price")).to_contain_text("2 calls · free")
    slow_notebook.by("run").click()
    first = slow_notebook.panel.get_by_role("region", name="Answer 1")
    second = slow_notebook.panel.get_by_role("region", name="Answer 2")
    expect(first.locator("[data-llm=answer]")).to_contain_text(WORDS)

    first.get_by_role("button", name="Stop").click()

    expect(first.locator("[data-llm=status]")).to_have_text("Stopped")
    expect(second.locator("[data-llm=answer]")).to_contain_text(WORDS)
    story.end()
    expect(second.locator("[data-llm=footer]")).to_contain_text("free")
    expect(second.locator("[data-llm=status]")).not_to_have_text("Stopped")


def test_a_second_view_shows_what_the_first_one_does(slow_notebook, story):
    notebook = slow_notebook
    notebook.by("prompt").fill(STORY)
    notebook.by("run").click()
    expect(notebook.by("answer")).to_contain_text(WORDS)

    notebook.start_cell(1)

    panels = notebook.page.locator(".llm-playground")
    expect(panels).to_have_count(2)
    expect(panels.nth(1).locator("[data-llm=prompt]")).to_have_value(STORY)
    expect(panels.nth(1).locator("[data-llm=answer]")).to_contain_text(WORDS)
    story.end()
    [run] = logged(notebook, ["response_text"])
    for at in (0, 1):
        expect(panels.nth(at).locator("[data-llm=footer]")).to_contain_text("free")
        expect(panels.nth(at).locator("[data-llm=answer]")).to_have_text(run["response_text"])


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


def test_models_are_added_by_typing_and_a_missing_key_is_named(notebook, storyteller):
    notebook.in_kernel(f"{storyteller.setup}pg.models = ['ollama:cut']")
    picker = notebook.panel.get_by_role("combobox", name="Model")

    picker.fill("gpt-4o-mini")
    expect(notebook.panel.get_by_role("option").first).to_contain_text("no key")
    picker.press("Enter")

    notebook.expect_in_kernel("pg.models", "['ollama:cut', 'openai:gpt-4o-mini']")
    notebook.by("prompt").fill("Hello")
    notebook.panel.get_by_role("textbox", name="Max tokens value").fill("4")
    notebook.by("run").click()
    expect(notebook.by("pane")).to_have_count(2)
    second = notebook.panel.get_by_role("region", name="Answer 2")
    expect(second).to_contain_text("No key for OpenAI. Put OPENAI_API_KEY in .env")
    first = notebook.panel.get_by_role("region", name="Answer 1")
    expect(first).to_contain_text("Cut off at 4 tokens.")

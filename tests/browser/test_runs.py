"""The main loop by keyboard: change the prompt, run, see what changed; earlier Runs and History."""

import pytest
from playwright.sync_api import expect

from tests.providers.formats import openai_stream
from tests.providers.server import Reply, WireServer

KEY = "sk-" + "planted" * 4 + "7Qa"
CELL = """import os
os.environ.update({environment!r})
import llm_playground as lp
pg = lp.Playground("loop", models=["openai:gpt-4o", "openai:gpt-4o-mini"], prompt={prompt!r})
pg"""
SPEAKS = {"Sales rose 4 % in May.": "Sales rose 4 % in May.", "grew": "Sales grew by 4 % in May."}


def echo(request):
    """Answers with the prompt, and the smaller model with a full stop of its own."""
    text = request.json["messages"][-1]["content"]
    return Reply(openai_stream([text, " Yes." if request.json["model"].endswith("mini") else ""]))


@pytest.fixture(scope="module")
def notebook(open_notebook, tmp_path_factory):
    with WireServer(echo) as vendor:
        log = tmp_path_factory.mktemp("log") / "log.duckdb"
        environment = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": f"{vendor.url}/v1"}
        environment["LLM_PLAYGROUND_LOG"] = str(log)
        opened = open_notebook(
            CELL.format(environment=environment, prompt="Sales rose 4 % in May.")
        )
        opened.run_cell(0)
        yield opened


@pytest.fixture
def press(notebook):
    """Presses keys and counts those that are not typed text."""
    pressed = []

    def press(*keys):
        for key in keys:
            pressed.append(key)
            notebook.page.keyboard.press(key)

    press.count = lambda: len(pressed)
    return press


def walk_line(notebook):
    return notebook.panel.get_by_role("group", name="Runs of this panel")


def test_a_word_is_changed_and_the_difference_seen_with_few_keys(notebook, press):
    notebook.run_to_end()
    first = notebook.panel.get_by_role("region", name="Answer 1")
    first.focus()

    press("d", "e")  # pins answer 1; to the prompt
    notebook.page.keyboard.press("Control+a")  # typing, as a person changes words
    notebook.page.keyboard.insert_text("Sales grew by 4 % in May.")
    changed = notebook.panel.get_by_text("Changed since these answers: prompt")
    expect(changed).to_be_visible()
    press("Control+Enter")

    notebook.expect_ended(2)
    assert press.count() <= 6
    expect(first.locator("del")).to_have_text("rose")
    expect(first.locator("ins")).to_have_text("grew by")
    expect(first.get_by_text("2 words differ · same numbers")).to_be_visible()
    base = notebook.panel.get_by_role("region", name="Baseline, answer 1")
    expect(base).to_contain_text("Sales rose 4 % in May.")
    expect(notebook.by("baseline-footer")).to_contain_text("$")
    expect(notebook.panel.get_by_text("◆ baseline · Run 1, gpt-4o")).to_be_visible()
    expect(changed).to_be_hidden()
    assert notebook.page.evaluate(CROSSES_TEXT) == []


# Each word of a difference is inside its mark, which does not depend on color alone.
CROSSES_TEXT = """() => [...document.querySelectorAll(".llm-difference ins, .llm-difference del")]
  .filter(one => getComputedStyle(one).textDecorationLine === "none"
    || getComputedStyle(one, "::before").content === "none").map(one => one.outerHTML)"""

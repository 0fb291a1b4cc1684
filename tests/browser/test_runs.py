"""The main loop by keyboard: change the prompt, run, see what changed; earlier Runs and History."""

import re

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


def test_a_word_is_changed_and_the_difference_seen_with_few_keys(notebook, press):
    notebook.run_to_end()
    first = notebook.panel.get_by_role("region", name="Answer 1", exact=True)
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
    head = notebook.panel.get_by_role("heading", name="differs: prompt")
    expect(head).to_have_attribute(
        "title", re.compile(r"\nprompt: Sales \[-rose-\]\{\+grew by\+\}")
    )
    expect(changed).to_be_hidden()
    assert notebook.page.evaluate(CROSSES_TEXT) == []


def test_earlier_runs_come_back_by_keys_and_their_form_by_restore(notebook, press):
    answer = notebook.panel.get_by_role("region", name="Answer 1", exact=True)
    walk = notebook.panel.get_by_role("group", name="Runs of this panel")
    expect(walk).to_contain_text("Run 2 of 2")
    answer.focus()
    press("[")

    expect(walk).to_contain_text("Run 1 of 2")
    expect(notebook.by("answer").first).to_have_text("Sales rose 4 % in May.")
    changed = notebook.panel.get_by_text("Changed since these answers: prompt")
    expect(changed).to_be_visible()
    notebook.panel.get_by_role("button", name="Restore", exact=True).click()
    expect(notebook.by("prompt")).to_have_value("Sales rose 4 % in May.")
    expect(changed).to_be_hidden()
    expect(notebook.by("prompt")).to_be_focused()
    undo = notebook.panel.get_by_role("button", name="Undo")
    notebook.by("prompt").press("End")
    notebook.page.keyboard.insert_text(" Why?")
    expect(changed).to_be_visible()  # beside the message
    expect(undo).to_be_visible()
    boxes = [one.bounding_box() for one in (undo, changed)]
    assert boxes[0]["x"] + boxes[0]["width"] <= boxes[1]["x"]
    undo.click()
    expect(notebook.by("prompt")).to_have_value("Sales grew by 4 % in May.")
    answer.focus()
    press("<", ">")  # the brackets have no key of their own on many keyboards
    expect(walk).to_contain_text("Run 2 of 2")
    expect(walk.get_by_role("button", name="Later Run")).to_be_disabled()


def test_history_unfolds_a_run_opens_it_whole_and_undo_brings_all_back(notebook, press):
    notebook.in_kernel("lp.compare('Say blue.', ['openai:gpt-4o', 'openai:gpt-4o-mini'], n=2)")
    notebook.panel.get_by_role("region", name="Answer 1", exact=True).focus()
    press("h")
    history = notebook.page.get_by_role("dialog", name="History")
    rows = history.get_by_role("option")
    expect(rows).to_have_count(3)
    expect(rows.first).to_contain_text("2 models \N{MULTIPLICATION SIGN} 2 · $")
    expect(rows.first).to_contain_text("differs: iterations 2 \N{RIGHTWARDS ARROW} 1 · prompt")
    expect(rows.nth(1)).to_contain_text("same as the form now")
    press("ArrowRight")
    expect(rows).to_have_count(7)
    expect(rows.nth(1)).to_contain_text("Say blue.")
    expect(rows.nth(1)).to_contain_text("gpt-4o · $")
    press("ArrowLeft")
    expect(rows).to_have_count(3)
    press("Enter")

    expect(history).to_be_hidden()
    expect(notebook.by("pane")).to_have_count(4)
    expect(notebook.by("prompt")).to_have_value("Say blue.")
    expect(notebook.by("iterations")).to_have_value("2")
    expect(notebook.panel.get_by_role("region", name="Answer 1", exact=True)).to_be_focused()
    expect(notebook.panel.get_by_role("heading").first).to_be_in_viewport()
    expect(notebook.by("baseline")).to_have_count(1)  # of the first Run, for all rows
    notebook.panel.get_by_role("button", name="Undo").click()
    expect(notebook.by("pane")).to_have_count(2)
    expect(notebook.by("prompt")).to_have_value("Sales grew by 4 % in May.")
    press("h")
    history.get_by_role("radio", name="This panel").check()
    expect(rows).to_have_count(2)
    press("Escape")
    press("h")
    rows.nth(1).click()  # what it offers ends with the next step
    expect(notebook.panel.get_by_role("button", name="Undo")).to_be_visible()
    press("]")
    expect(notebook.panel.get_by_role("button", name="Undo")).to_be_hidden()


def test_a_run_goes_on_while_an_earlier_one_is_shown(notebook, story, press):
    notebook.in_kernel(f"{story.setup}pg.models, pg.prompt = ['ollama:story'], 'Tell.'")
    answer = notebook.panel.get_by_role("region", name="Answer 1", exact=True)
    notebook.by("run").click()
    expect(answer).to_have_attribute("data-state", "running")
    answer.focus()
    press("[")
    expect(notebook.by("answer").first).to_contain_text("Sales")
    going_on = notebook.panel.get_by_role("button", name="Run 3 is running")
    expect(going_on).to_be_visible()
    expect(notebook.by("stop")).to_be_visible()
    story.end()
    expect(going_on).to_be_hidden()
    press("]")
    expect(answer).to_have_attribute("data-state", "completed")


# Each word of a difference is inside its mark, which does not depend on color alone.
CROSSES_TEXT = """() => [...document.querySelectorAll(".llm-difference ins, .llm-difference del")]
  .filter(one => getComputedStyle(one.firstChild).textDecorationLine === "none"
    || getComputedStyle(one, "::before").content === "none").map(one => one.outerHTML)"""

"""The answers in their grid: the same question on one line, as high as their text, nothing jumps.

Pictures of every state go to ``screenshots/`` beside this file, for people.
"""

import threading

import pytest
from playwright.sync_api import expect

from tests.browser.stories import Held
from tests.browser.test_looks import (
    ANSWER,
    DARK,
    LIGHT,
    TOO_FAINT,
    WIDER_THAN_THE_PANEL,
    picture,
    use_theme,
)
from tests.providers.formats import openai_stream
from tests.providers.server import Reply, WireServer, json_reply

MODELS = ["openai:gpt-4o-mini", "openai:gpt-4o"]
CELL = """import os
os.environ.update({environment!r})
import llm_playground as lp
pg = lp.Playground('answers', models={models!r})
pg.max_tokens = 1024
reviews = [{{'review': text}} for text in (
    'Great service, quick and friendly, and the tea was hot.',
    'Never again. The parcel came two weeks late, and nobody answered the telephone for days.',
    'It is all right.')]
pg"""
JSON = '{"quarter": "Q3", "change": 0.04, "drivers": ["exports", "catalogue"], "risk": null}'
PLAIN = "iterations=1, cases=None, temperature=None"
FORMS = {
    "ended": f"pg.set_form(dict(prompt='Three points.', {PLAIN}))",
    "words": "pg.set_form(dict(prompt='One word: {{review}}', iterations=2, cases=reviews,"
    " temperature=[0, 1]))",
    "long": f"pg.set_form(dict(prompt='A long one.', {PLAIN}))",
    "json": f"pg.set_form(dict(prompt='As JSON.', {PLAIN}))",
    "failed": f"pg.set_form(dict(prompt='It fails.', {PLAIN}))",
}
BOXES = """panes => panes.map(pane => {
  const { top, bottom, left } = pane.getBoundingClientRect();
  const footer = pane.querySelector("[data-llm=footer]").getBoundingClientRect();
  return { number: Number(pane.dataset.number), top, bottom, left, footer: footer.bottom };
})"""


def answer_to(request, may_end):
    text, model = request.body.decode(), request.json["model"]
    if "One word" in text:
        return Reply(openai_stream(["positive"]))
    if "As JSON" in text:
        return Reply(openai_stream([JSON[:20], JSON[20:]]))
    if "It fails" in text and model == "gpt-4o":
        return json_reply(400, {"error": {"message": "The image is too large."}})
    if "It fails" in text:
        return Reply(openai_stream(["Sales rose ", "4 %"], finish_reason="length"))
    words = [f"{word} " for word in ANSWER.split(" ")]
    return Reply(Held(openai_stream(words * (4 if "long" in text else 1)), may_end))


@pytest.fixture(scope="module")
def vendor():
    may_end = threading.Event()
    with WireServer(lambda request: answer_to(request, may_end)) as server:
        server.may_end = may_end
        yield server
        may_end.set()


@pytest.fixture(scope="module")
def notebook(open_notebook, vendor):
    key = "-".join(["sk", "only", "for", "this", "test"])
    environment = {"OPENAI_API_KEY": key, "OPENAI_BASE_URL": f"{vendor.url}/v1"}
    opened = open_notebook(CELL.format(environment=environment, models=MODELS))
    opened.page.evaluate("() => window.jupyterapp.commands.execute('application:toggle-left-area')")
    opened.run_cell(0)
    expect(opened.by("run")).to_be_visible()
    return opened


def set_panel_width(notebook, width):
    page = notebook.page
    page.set_viewport_size({"width": width + 120, "height": 1800})
    for _ in range(2):
        missing = width - notebook.panel.evaluate("panel => panel.clientWidth")
        now = page.viewport_size["width"]
        page.set_viewport_size({"width": now + missing, "height": 1800})
    notebook.painted()


def ended(notebook, vendor, state):
    """Run the form of a state to its end."""
    vendor.may_end.set()
    notebook.in_kernel(FORMS[state])
    notebook.run_to_end()
    notebook.painted()


def boxes(notebook):
    return {box["number"]: box for box in notebook.by("pane").evaluate_all(BOXES)}


def test_one_word_answers_take_one_line_each_and_questions_one_row(notebook, vendor):
    set_panel_width(notebook, 1200)
    ended(notebook, vendor, "words")

    assert notebook.by("pane").count() == 24
    assert notebook.panel.bounding_box()["height"] < 1_300
    at = boxes(notebook)
    for number in range(1, 13):
        same = at[number], at[number + 12]
        assert same[0]["top"] == same[1]["top"]
        assert same[0]["footer"] == same[1]["footer"]
    head = notebook.panel.locator(".llm-row-head").first
    for part in ("case 1", "T 0", "1 of 2", "Great service, quick and friendly"):
        expect(head).to_contain_text(part)

    notebook.by("pane").first.focus()
    for key, number in [("ArrowRight", 13), ("ArrowDown", 14), ("ArrowLeft", 2), ("End", 24)]:
        notebook.page.keyboard.press(key)
        expect(
            notebook.panel.get_by_role("region", name=f"Answer {number}", exact=True)
        ).to_be_focused()


def test_an_ended_answer_stands_at_its_beginning_and_shows_all_on_request(notebook, vendor):
    set_panel_width(notebook, 800)
    ended(notebook, vendor, "long")
    first, second = (notebook.by("pane").nth(at) for at in (0, 1))
    high = boxes(notebook)
    assert high[1]["footer"] == high[2]["footer"]
    assert first.locator("[data-llm=answer]").evaluate("answer => answer.scrollTop") == 0
    assert first.locator(".llm-frame").bounding_box()["height"] <= 14 * 20

    first.get_by_role("button", name="Show all of answer 1").click()

    answer = first.locator("[data-llm=answer]")
    assert answer.evaluate("answer => answer.scrollHeight - answer.clientHeight") <= 1
    assert second.locator(".llm-frame").bounding_box()["height"] <= 14 * 20
    expect(first.get_by_role("button", name="Show less of answer 1")).to_be_focused()
    first.focus()
    notebook.page.keyboard.press("Enter")
    expect(first.get_by_role("button", name="Show all of answer 1")).to_be_visible()


def test_what_a_reader_reads_stays_in_place_when_the_answer_ends(notebook, vendor):
    set_panel_width(notebook, 800)
    vendor.may_end.clear()
    notebook.in_kernel(FORMS["long"])
    before = notebook.run_number()
    run, stop = notebook.by("run"), notebook.by("stop")
    place = run.bounding_box()
    run.click()
    answer = notebook.by("answer").first
    notebook.page.wait_for_function(
        "answer => answer.scrollHeight > 3 * answer.clientHeight", arg=answer.element_handle()
    )
    assert stop.bounding_box() == place, "Stop all stands where Run stood"
    answer.hover()
    notebook.page.mouse.wheel(0, -200)
    notebook.page.wait_for_function(
        "answer => answer.scrollHeight - answer.scrollTop - answer.clientHeight > 100",
        arg=answer.element_handle(),
    )
    read = answer.evaluate("answer => answer.scrollTop")
    heights = notebook.by("pane").evaluate_all("panes => panes.map(pane => pane.offsetHeight)")

    vendor.may_end.set()
    notebook.expect_ended(before + 1)

    assert answer.evaluate("answer => answer.scrollTop") == read
    assert notebook.by("answer").nth(1).evaluate("answer => answer.scrollTop") == 0
    after = notebook.by("pane").evaluate_all("panes => panes.map(pane => pane.offsetHeight)")
    assert after[0] - heights[0] <= 24, "no higher than by the line that offers all"


@pytest.mark.parametrize("state", FORMS)
def test_every_state_fits_and_can_be_read(notebook, vendor, state):
    ended(notebook, vendor, state)
    for theme, widths in ((LIGHT, (480, 800, 1200, 1600)), (DARK, (480, 1200))):
        use_theme(notebook, theme)
        for width in widths:
            set_panel_width(notebook, width)
            picture(notebook, f"answers-{state}-{'light' if theme == LIGHT else 'dark'}-{width}")
            notebook.expect_no(WIDER_THAN_THE_PANEL)
        assert notebook.page.evaluate(TOO_FAINT) == []
    use_theme(notebook, LIGHT)

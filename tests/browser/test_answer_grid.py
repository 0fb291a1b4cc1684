"""The answers in their grid: the same question on one line, as high as their text, nothing jumps.

Pictures of every state go to ``screenshots/`` beside this file, for people.
"""

import threading
import time

import pytest
from playwright.sync_api import expect

from tests.browser.pages import PATIENCE_MS
from tests.browser.stories import Held
from tests.browser.test_looks import (
    ANSWER,
    DARK,
    HEAD_IN_VIEW,
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
SIX = [*MODELS, *(f"openai:gpt-{name}" for name in ("4.1", "4.1-mini", "4.1-nano", "5-mini"))]
ONCE = "iterations=1, cases=None, temperature=None"
PLAIN = f"models={MODELS!r}, {ONCE}"
FORMS = {
    "ended": f"pg.set_form(dict(prompt='Three points.', {PLAIN}))",
    "words": "pg.set_form(dict(prompt='One word: {{review}}', iterations=2, cases=reviews,"
    f" temperature=[0, 1], models={MODELS!r}))",
    "long": f"pg.set_form(dict(prompt='A long one.', {PLAIN}))",
    "json": f"pg.set_form(dict(prompt='As JSON.', {PLAIN}))",
    "failed": f"pg.set_form(dict(prompt='It fails.', models={SIX!r}, {ONCE}))",
}
BOXES = """panes => panes.map(pane => {
  const { top, bottom, left } = pane.getBoundingClientRect();
  const footer = pane.querySelector("[data-llm=footer]").getBoundingClientRect();
  return { number: Number(pane.dataset.number), top, bottom, left, footer: footer.bottom };
})"""

CUT_FOOTERS = """() => [...document.querySelectorAll(".llm-foot > :not(.llm-pane-tools)")]
  .filter(one => one.scrollWidth > one.clientWidth)
  .map(one => one.textContent)"""


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
    lines = f"{ANSWER}\n\n".splitlines(keepends=True) * (4 if "long" in text else 1)
    return Reply(Held(openai_stream(lines), may_end), pause_s=0.02)


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
    until = time.monotonic() + PATIENCE_MS / 1000
    # JupyterLab lays itself out later, so a first measure may be of the width before. A scroll bar
    # may come or go with the last pixels.
    while abs(missing := width - notebook.panel.evaluate("panel => panel.clientWidth")) > 20:
        assert time.monotonic() < until, f"the panel does not become {width} px wide"
        wanted = min(max(page.viewport_size["width"] + missing, width), width + 800)
        page.set_viewport_size({"width": wanted, "height": 1800})
        page.wait_for_timeout(50)
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
    notebook.page.set_viewport_size({**notebook.page.viewport_size, "height": 500})
    notebook.page.wait_for_function(HEAD_IN_VIEW)


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
    expect(notebook.by("pane").first).to_have_attribute("data-state", "running")
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
            assert notebook.page.evaluate(CUT_FOOTERS) == []
        assert notebook.page.evaluate(TOO_FAINT) == []
    use_theme(notebook, LIGHT)


def test_only_failed_answers_keep_the_places_of_the_others(notebook, vendor):
    set_panel_width(notebook, 1200)
    ended(notebook, vendor, "failed")
    place = boxes(notebook)[2]["left"]
    one = notebook.panel.get_by_role("button", name="Only failed")

    one.click()

    expect(notebook.panel.get_by_text("1 of 6 shown")).to_be_visible()
    expect(notebook.panel.get_by_text("Cut off at 1,024 tokens").first).to_be_hidden()
    failed = notebook.panel.get_by_role("region", name="Answer 2", exact=True)
    assert failed.bounding_box()["x"] == place
    notebook.page.evaluate("() => document.activeElement.blur()")
    one.focus()
    notebook.page.keyboard.press("a")
    expect(failed).to_be_focused()
    one.click()
    expect(notebook.panel.get_by_text("1 of 6 shown")).to_be_hidden()

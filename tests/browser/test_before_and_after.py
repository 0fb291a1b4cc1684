"""The panel before and after its answers became a grid, side by side, for people.

``before/`` has pictures of commit b74e078, which ``draw`` of this file drew there. The test writes
each beside the picture of now to ``screenshots/pair-*.png``.
"""

import io
import threading
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.stories import Held
from tests.browser.test_looks import ANSWER, LIGHT, SCREENSHOTS, use_theme
from tests.providers.formats import openai_stream
from tests.providers.server import Reply, WireServer

BEFORE = Path(__file__).parent / "before"
CELL = """import os
os.environ.update({environment!r})
import llm_playground as lp
report = 'The third quarter began with the opening of the terminal in the north. ' * 30
reviews = [{{'review': text}} for text in (
    'Great service, quick and friendly, and the tea was hot.',
    'Never again. The parcel came two weeks late, and nobody answered the telephone for days.',
    'It is all right.')]
pg = lp.Playground('pairs', models=['openai:gpt-4o-mini', 'openai:gpt-4o'])
pg"""
ONE_WORD = "pg.cases, pg.iterations, pg.temperature = reviews, 2, [0, 1]"
ONCE = "pg.cases, pg.iterations, pg.temperature = None, 1, None"
# By name, what a picture shows: what is set, the prompt, and the panel's width in px. The numbers
# are of the ten changes: 1 heights, 2 rows, 3 baseline, 4 JSON, 5 heads, 6 roles of text,
# 7 variables, 8 Stop all and the status line, 9 padding and focus, 10 parameters that are auto or
# swept, and the prompt's width.
STATES = {
    "words-1-2-5-10": (ONE_WORD, "One word: {{review}}", 1200),
    "json-4": (ONCE, "As JSON: {{report}}", 1200),
    "baseline-3": (ONCE, "Once more", 1200),
    "running-8": (ONCE, "At length", 800),
    "stopped-8": (ONCE, "At length", 800),
    "focus-9": (ONCE, "In brief", 800),
    "wide-6-7-10": (ONCE, "Sum up {{report}}, in {{points}} points", 1600),
}
JSON = '{"quarter": "Q3", "change": 0.04, "drivers": ["exports", "catalogue"], "risk": null}'

NEVER = threading.Event()


def answer_to(request):
    text = request.body.decode()
    if "At length" in text:
        return Reply(Held(openai_stream([ANSWER]), NEVER), pause_s=0.05)
    if "One word" in text:
        return Reply(openai_stream(["positive"]))
    if "As JSON" in text:
        return Reply(openai_stream([JSON]))
    answer = ANSWER.replace("rose", "grew") if "Once more" in text else ANSWER
    words = [f"{word} " for word in answer.split(" ")]
    return Reply(openai_stream(words))


@pytest.fixture(scope="module")
def vendor():
    with WireServer(answer_to) as server:
        yield server


@pytest.fixture(scope="module")
def notebook(open_notebook, vendor):
    key = "-".join(["sk", "only", "for", "this", "test"])
    environment = {"OPENAI_API_KEY": key, "OPENAI_BASE_URL": f"{vendor.url}/v1"}
    opened = open_notebook(CELL.format(environment=environment))
    opened.page.evaluate("() => window.jupyterapp.commands.execute('application:toggle-left-area')")
    opened.run_cell(0)
    use_theme(opened, LIGHT)
    return opened


def draw(notebook, state):
    """A picture of the panel in a state."""
    settings, prompt, width = STATES[state]
    notebook.page.set_viewport_size({"width": width + 160, "height": 1800})
    notebook.in_kernel(f"pg.prompt = {prompt!r}; {settings}")
    if state == "baseline-3":
        notebook.in_kernel("pg.prompt = 'At first'")
        notebook.run_to_end()
        notebook.in_kernel("pg.baseline = 1; pg.prompt = 'Once more'")
    if state.endswith("-8"):
        notebook.by("run").click()
        second = notebook.by("pane").nth(1)
        expect(second).to_have_attribute("data-state", "running")
        expect(second.locator("[data-llm=answer]")).to_contain_text("three things")
    elif not state.startswith("wide"):
        notebook.run_to_end()
    if state == "stopped-8":
        notebook.by("stop").click()
        notebook.expect_ended(notebook.run_number())
    if state == "focus-9":
        notebook.by("pane").first.focus()
        notebook.page.keyboard.press("ArrowRight")
    notebook.painted()
    picture = Image.open(io.BytesIO(notebook.panel.screenshot())).convert("RGB")
    if state == "running-8":
        notebook.by("stop").click()
        notebook.expect_ended(notebook.run_number())
    return picture


@pytest.mark.parametrize("state", STATES)
def test_before_and_after_stand_side_by_side(notebook, state):
    after = draw(notebook, state)

    before = Image.open(BEFORE / f"{state}.png").convert("RGB")
    height = max(before.height, after.height)
    pair = Image.new("RGB", (before.width + 40 + after.width, height), "#888")
    pair.paste(before, (0, 0))
    pair.paste(after, (before.width + 40, 0))
    SCREENSHOTS.mkdir(exist_ok=True)
    pair.save(SCREENSHOTS / f"pair-{state}.png")
    if state.startswith("words"):
        assert after.height < before.height / 2

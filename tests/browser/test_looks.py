"""What the panel looks like: nothing overflows, nothing jumps, everything can be read.

Attachments go to ``screenshots/`` beside this file, for people; what can be measured is measured.
"""

import threading
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.stories import Held
from tests.providers.formats import openai_stream
from tests.providers.server import Reply, WireServer

SCREENSHOTS = Path(__file__).parent / "screenshots"
ANSWER = """Sales rose **4 %** in the third quarter, and three things drove it:

1. Exports to the north grew after the new terminal opened in July.
2. The summer catalogue sold out twice; `restock_days` fell from 12 to 5.
3. Returns went down, because sizes are now shown with measurements.

| Quarter | Revenue | Change |
|---|---|---|
| Q2 | 10.4 m | +1 % |
| Q3 | 10.8 m | +4 % |

The outlook names one risk: freight prices, which have risen since September."""
PLAYGROUND = """import llm_playground as lp
pg = lp.Playground('invoice-summary', models=['openai:gpt-4o-mini', 'openai:gpt-4o'], n=2)
pg.prompt = 'Summarise the third quarter in three points.\\nName the risk at the end.'
pg.temperature = 0.3
pg.max_tokens = 1024
pg"""
NARROW = 520  # of the page; the panel is then 480 px wide
LIGHT, DARK = "JupyterLab Light", "JupyterLab Dark"

# The ratio of WCAG 2 between a text's colour and what is painted behind it, where it is too small.
TOO_FAINT = """() => {
  const channels = colour => colour.match(/[\\d.]+/g).map(Number)
    .map((c, at) => at < 3 && colour.startsWith("color(srgb ") ? 255 * c : c);
  const light = ([r, g, b]) => {
    const linear = [r, g, b].map(c => c / 255)
      .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const behind = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = channels(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const over = ([r, g, b, alpha = 1], below) =>
    [r, g, b].map((c, at) => alpha * c + (1 - alpha) * below[at]);
  for (const one of document.getAnimations()) {
    if (one instanceof CSSTransition) one.finish();
  }
  const texts = [...document.querySelectorAll(".llm-playground *")].filter(element =>
    element.checkVisibility({ visibilityProperty: true }) && !element.closest(".llm-offscreen")
    && element.getAttribute("aria-disabled") !== "true"
    && [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim()));
  return texts.flatMap(element => {
    const paper = behind(element);
    const a = light(over(channels(getComputedStyle(element).color), paper));
    const b = light(paper);
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    return ratio < 4.5 ? [`${ratio.toFixed(2)} ${element.outerHTML.slice(0, 120)}`] : [];
  });
}"""
WIDER_THAN_THE_PANEL = """() => {
  const panel = document.querySelector(".llm-playground");
  const edge = panel.getBoundingClientRect().right + 1;
  const scrolls = element => element.closest(".llm-answer, .llm-list, .llm-offscreen, .llm-keys")
    || element.closest(".llm-playground:not(.llm-narrow) .llm-with-columns:not(.llm-sticky)");
  return [...panel.querySelectorAll("*")]
    .filter(element => element.checkVisibility() && !scrolls(element))
    .filter(element => element.getBoundingClientRect().right > edge)
    .map(element => element.outerHTML.slice(0, 120));
}"""

# Scrolls the notebook to the answers: whether the heads of the columns stay at its top.
HEAD_IN_VIEW = """() => {
  const top = element => element.getBoundingClientRect().top;
  const grid = document.querySelector(".llm-grid");
  const scroller = document.querySelector(".jp-WindowedPanel-outer");
  scroller.scrollTop += top(grid) - top(scroller) + 60;
  return [...grid.querySelectorAll(".llm-column-head")]
    .every(head => Math.round(top(head) - top(scroller)) === 0);
}"""


@pytest.fixture(scope="module")
def vendor():
    """Writes a word at a time and ends when it may; a long answer goes on until then."""
    may_end = threading.Event()
    words = [f"{word} " for word in ANSWER.split(" ")]

    def reply(request):
        long = "long" in request.body.decode()
        events = openai_stream(words * (40 if long else 1))
        return Reply(Held(events, may_end, whole=not long), pause_s=0.03)

    with WireServer(reply) as server:
        server.may_end = may_end
        yield server
        may_end.set()


@pytest.fixture(scope="module")
def notebook(open_notebook, vendor):
    opened = open_notebook(PLAYGROUND, app="notebook", width=1280)
    key = "-".join(["sk", "only", "for", "this", "test"])
    opened.in_kernel(
        f"import os; os.environ['OPENAI_API_KEY'] = {key!r}\n"
        f"os.environ['OPENAI_BASE_URL'] = {vendor.url + '/v1'!r}"
    )
    return opened


def use_theme(notebook, theme):
    change = "theme => window.jupyterapp.commands.execute('apputils:change-theme', { theme })"
    notebook.page.evaluate(change, theme)
    expect(notebook.page.locator("body")).to_have_attribute("data-jp-theme-name", theme)
    expect(notebook.page.locator("#jupyterlab-splash")).to_have_count(0)


def picture(notebook, name):
    SCREENSHOTS.mkdir(exist_ok=True)
    notebook.panel.screenshot(path=SCREENSHOTS / f"{name}.png")


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, NARROW], ids=["wide", "narrow"])
def test_idle_streaming_and_done_are_readable_and_fit(notebook, vendor, theme, width):
    vendor.may_end.clear()
    name = f"{'light' if theme == LIGHT else 'dark'}-{width}"
    notebook.page.set_viewport_size({"width": width, "height": 1400})
    use_theme(notebook, theme)
    notebook.run_cell(0)
    expect(notebook.panel.locator(".llm-chip")).to_have_count(2)
    expect(notebook.panel.locator(".llm-chip").first).to_contain_text("$")
    picture(notebook, f"{name}-idle")
    faint = notebook.page.evaluate(TOO_FAINT)

    notebook.by("run").click()
    expect(notebook.by("answer").first).to_contain_text("three things")
    heights = notebook.by("pane").evaluate_all("panes => panes.map(pane => pane.offsetHeight)")
    faint += notebook.page.evaluate(TOO_FAINT)
    picture(notebook, f"{name}-streaming")
    vendor.may_end.set()
    notebook.expect_ended(1)
    expect(notebook.by("footer").last).to_contain_text("$")
    faint += notebook.page.evaluate(TOO_FAINT)
    picture(notebook, f"{name}-done")

    assert faint == []
    notebook.expect_no(WIDER_THAN_THE_PANEL)
    after = notebook.by("pane").evaluate_all("panes => panes.map(pane => pane.offsetHeight)")
    assert max(after) <= max(heights), "an ended pane is at most as high as a streaming one"
    if width != NARROW:
        notebook.page.set_viewport_size({"width": width, "height": 500})
        notebook.page.wait_for_function(HEAD_IN_VIEW)


def test_a_narrow_panel_folds_its_parameters_into_one_line(notebook):
    notebook.page.set_viewport_size({"width": NARROW, "height": 1000})
    notebook.run_cell(0)
    slider = notebook.panel.get_by_role("slider", name="Temperature")
    expect(slider).to_be_hidden()

    line = notebook.panel.get_by_text("temperature 0.3 · top p auto · max tokens 1,024")
    line.click()

    expect(slider).to_be_visible()


def test_new_text_does_not_move_a_reader_who_scrolled_up(notebook, vendor):
    vendor.may_end.clear()
    notebook.page.set_viewport_size({"width": NARROW, "height": 1000})
    notebook.run_cell(0)
    notebook.by("prompt").fill("A long answer, please.")
    notebook.by("run").click()
    answer = notebook.by("answer").first
    notebook.page.wait_for_function(
        "answer => answer.scrollHeight > answer.clientHeight + 60", arg=answer.element_handle()
    )

    answer.evaluate("answer => answer.scrollTo(0, 0)")

    more = notebook.panel.get_by_role("button", name="New text").first
    expect(more).to_be_visible()
    assert answer.evaluate("answer => answer.scrollTop") == 0
    more.click()
    at_the_end = "answer => answer.scrollHeight - answer.scrollTop - answer.clientHeight < 30"
    notebook.page.wait_for_function(at_the_end, arg=answer.element_handle())
    expect(more).to_be_hidden()
    vendor.may_end.set()

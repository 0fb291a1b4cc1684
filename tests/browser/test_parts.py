"""Answers with pictures, tools and sources: how they look, and that nothing in them acts."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser import answers
from tests.browser.test_looks import DARK, LIGHT, TOO_FAINT, use_theme
from tests.providers.parts_provider import parts_stream
from tests.providers.server import Reply, WireServer

SCREENSHOTS = Path(__file__).parent / "screenshots"
SETUP = """import llm_playground as lp
from tests.providers.parts_provider import settings
lp.configure(**settings({url!r}))
%load_ext llm_playground
pg = lp.Playground('tides', models=['atlas:{model}'], prompt={prompt!r})
pg"""
MAGIC = "%%llm -m atlas:{model}\n{prompt}"
PROMPT = "Why are the tides in the Bay of Fundy so high? Check it with our measurements."
# What reaches beyond the output or the answer that holds it.
TOO_WIDE = """selector => {
  const wide = [];
  for (const box of document.querySelectorAll(selector)) {
    const edge = box.getBoundingClientRect().right + 1;
    for (const element of box.querySelectorAll("*")) {
      if (element.parentElement.closest("pre")) continue;
      if (element.getBoundingClientRect().right > edge) wide.push(element.outerHTML.slice(0, 120));
    }
  }
  return wide;
}"""
ALIVE = """selector => {
  const elements = /^(script|svg|iframe|object|embed|form|style|link|base|video)$/;
  const data = /^data:(image\\/(png|jpeg|gif|webp)|audio\\/(wav|mpeg));base64,/;
  const addresses = /^(https?:\\/\\/[^\\s"\\\\]+|#llm-[\\w-]+)$/;
  const wrong = [];
  for (const element of document.querySelectorAll(`${selector} *`)) {
    if (elements.test(element.tagName.toLowerCase())) wrong.push(element.tagName);
    for (const { name, value } of element.attributes) {
      if (/^(on|srcset|action|formaction)/.test(name)) wrong.push(name);
      if (name === "src" && !data.test(value)) wrong.push(value);
      if (name === "href" && !addresses.test(value)) wrong.push(value);
    }
  }
  return wrong;
}"""


@pytest.fixture(scope="module")
def vendor():
    streams = {
        "fair": parts_stream(answers.FAIR, answers.SOURCES),
        "hostile": parts_stream(answers.HOSTILE, answers.hostile_sources()),
    }
    with WireServer(lambda request: Reply(streams[request.json["model"]])) as server:
        yield server


def opened(open_notebook, vendor, model, app):
    known = {"model": model, "prompt": PROMPT, "url": vendor.url}
    notebook = open_notebook(SETUP.format(**known), MAGIC.format(**known), app=app)
    notebook.asked = []
    notebook.page.on("request", lambda request: notebook.asked.append(request.url))
    notebook.page.on("dialog", lambda dialog: notebook.asked.append(f"dialog {dialog.message}"))
    notebook.page.on("popup", lambda page: notebook.asked.append(f"popup {page.url}"))
    return notebook


@pytest.fixture(scope="module")
def fair(open_notebook, vendor):
    return opened(open_notebook, vendor, "fair", "notebook")


@pytest.fixture(scope="module")
def hostile(open_notebook, vendor):
    return opened(open_notebook, vendor, "hostile", "lab")


def picture(locator, name):
    SCREENSHOTS.mkdir(exist_ok=True)
    locator.screenshot(path=SCREENSHOTS / f"parts-{name}.png")


def output_of(notebook, index):
    return notebook.page.locator(".jp-CodeCell").nth(index).locator(".jp-OutputArea")


def assert_answer(answer):
    """All parts in their order, the table, the markers and the sources."""
    text = answer.inner_text()
    order = ["Searched the web", "largest range", "Q2", "Ran code", "The range grows", "Sources"]
    places = [text.index(words) for words in order]
    assert places == sorted(places), text
    assert answer.locator("sup").all_inner_texts() == ["[1]", "[2]", "[2]", "[3]"]
    rel = answer.locator("ol li a").first.get_attribute("rel")
    assert rel.startswith("noopener"), "JupyterLab replaces what an output says"
    image = answer.locator("img")
    assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") == answers.WIDTH
    assert answer.locator("details").count() == 3
    assert answer.locator("details[open]").count() == 0


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 520], ids=["wide", "narrow"])
def test_an_answer_with_parts_in_the_panel_and_of_the_magic(fair, theme, width):
    name = f"{'light' if theme == LIGHT else 'dark'}-{width}"
    fair.page.set_viewport_size({"width": width, "height": 1600})
    use_theme(fair, theme)
    fair.run_cell(0)
    fair.run_to_end()
    answer = fair.by("answer")
    expect(answer.locator("ol li")).to_have_count(3)
    assert_answer(answer)
    rels = answer.locator("ol li a").evaluate_all("links => links.map(link => link.rel)")
    assert set(rels) == {"noopener noreferrer nofollow"}
    fair.by("pane").focus()
    fair.page.keyboard.press("Enter")
    answer.locator("details").nth(2).locator("summary").click()
    answer.evaluate("answer => answer.scrollTo(0, 0)")
    picture(fair.panel, f"{name}-panel")
    answer.evaluate("answer => answer.scrollTo(0, 1e6)")
    picture(fair.by("pane"), f"{name}-pane-end")
    assert fair.page.evaluate(TOO_FAINT) == []
    assert fair.page.evaluate(TOO_WIDE, "[data-llm=answer]") == []

    fair.run_cell(1)
    output = output_of(fair, 1)
    expect(output).to_contain_text("Sources")
    assert_answer(output)
    picture(output, f"{name}-magic")
    assert fair.page.evaluate(TOO_WIDE, ".jp-CodeCell:nth-child(2) .jp-OutputArea-output") == []


def test_a_marker_leads_to_its_source(fair):
    fair.page.set_viewport_size({"width": 1280, "height": 900})
    fair.run_cell(0)
    fair.run_to_end()
    address = fair.page.url

    fair.by("answer").get_by_role("link", name="[3]", exact=True).click()

    source = fair.by("answer").locator("ol li").nth(2)
    expect(source).to_be_focused()
    expect(source).to_be_in_viewport()
    assert fair.page.url == address
    assert fair.by("answer").get_by_role("link", name="[3]").get_attribute("title") == (
        "Spring and neap tides, www.admiralty.co.uk"
    )


def test_a_saved_notebook_shows_the_answer_without_a_kernel(fair):
    fair.page.set_viewport_size({"width": 1280, "height": 1600})
    use_theme(fair, DARK)
    fair.run_cell(0)
    fair.run_to_end()
    fair.run_cell(1)
    expect(output_of(fair, 1)).to_contain_text("Sources")
    fair.expect_in_kernel("pg.saved_count > 0", "True")
    saved = fair.saved()
    fair.in_kernel("pg.close()")
    html = [
        "".join(output["data"]["text/html"])
        for output in saved["cells"][0]["outputs"]
        if "Sources" in "".join(output.get("data", {}).get("text/html", ""))
    ]
    assert len(html) == 1
    assert json.dumps(saved).count("data:image/png;base64,") == 2, "the panel's and the magic's"
    fair.page.reload()
    output = output_of(fair, 1)
    expect(output).to_contain_text("Sources")

    assert_answer(output)
    shown = output_of(fair, 0).locator("[data-llm=saved]")
    expect(shown).to_contain_text("Sources")
    assert_answer(shown.locator("details").first)
    picture(output_of(fair, 0), "saved-panel")
    shown.locator("summary").nth(1).focus()
    fair.page.keyboard.press("Enter")
    expect(shown.locator("details").nth(1)).to_have_attribute("open", "")


def test_a_hostile_answer_runs_and_loads_nothing(hostile):
    hostile.page.set_viewport_size({"width": 700, "height": 1600})
    hostile.run_cell(0)
    hostile.run_to_end()
    answer = hostile.by("answer")
    expect(answer).to_contain_text("The end.")
    for fold in answer.locator("summary").all():
        fold.click()
    hostile.run_cell(1)
    output = output_of(hostile, 1)
    expect(output).to_contain_text("The end.")
    for fold in output.locator("summary").all():
        fold.click()
    hostile.page.wait_for_load_state("networkidle")
    picture(hostile.by("pane"), "hostile")

    own = (hostile.server.url, hostile.server.url.replace("http", "ws"), "blob:", "data:")
    assert [url for url in hostile.asked if not url.startswith(own)] == []
    assert hostile.page.evaluate("() => window.stolen") is None
    for place in ("[data-llm=answer]", ".jp-CodeCell:nth-child(2) .jp-OutputArea-output"):
        assert hostile.page.evaluate(ALIVE, place) == []
        assert hostile.page.evaluate(TOO_WIDE, place) == []
    assert hostile.page.locator("[data-llm=answer] img").count() == 2, "those that are pictures"

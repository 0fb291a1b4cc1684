"""A person finds models without a key, mends keys in the answer, and opens saved prompts."""

import pytest
from playwright.sync_api import expect

from tests.browser.test_answer_grid import set_panel_width
from tests.browser.test_looks import (
    DARK,
    LIGHT,
    TOO_FAINT,
    WIDER_THAN_THE_PANEL,
    picture,
    use_theme,
)
from tests.providers.formats import openai_stream
from tests.providers.server import Reply, WireServer, json_reply

GOOD = "-".join(["sk", "planted", "good", "key"])
BAD = "-".join(["sk", "planted", "refused", "7Qa"])
CELL = """import os, time, llm_playground as lp
os.environ.update({{"OPENAI_BASE_URL": "{url}/v1", "OPENAI_API_KEY": {bad!r}}})
lp.configure(endpoints={{"groq": "{url}/v1"}})
pg = lp.Playground("ways", models=["openai:a", "openai:b", "groq:c"], prompt="Hi")
while not pg.choices:
    time.sleep(0.1)
pg"""
# Where the parts of the form and the first answer stand.
PLACES = """() => {
  const parts = [".llm-models", ".llm-text", ".llm-control", ".llm-vars", ".llm-bar", ".llm-head"];
  const found = document.querySelectorAll(parts.map(part => `.llm-playground ${part}`).join());
  return [...found].filter(one => one.checkVisibility()).map(one => {
    const { x, y, width, height } = one.getBoundingClientRect();
    return [x, y, width, height].map(Math.round);
  });
}"""


@pytest.fixture(scope="module")
def vendor():
    """Refuses all keys but one."""

    def reply(request):
        if GOOD not in str(request.headers):
            return json_reply(401, {"error": {"message": "Incorrect API key provided."}})
        if request.method == "GET":
            return json_reply(200, {"data": [{"id": "a"}, {"id": "b"}]})
        return Reply(openai_stream(["Mended."]))

    with WireServer(reply) as server:
        yield server


@pytest.fixture(scope="module")
def opened(open_notebook, vendor):
    return open_notebook(CELL.format(url=vendor.url, bad=BAD))


@pytest.fixture
def notebook(opened):
    opened.in_kernel("import llm_playground as lp; lp.forget_key('openai'); lp.forget_key('groq')")
    opened.run_cell(0)
    expect(opened.panel.locator(".llm-chip")).to_have_count(3)
    return opened


def pane(notebook, number):
    return notebook.panel.get_by_role("region", name=f"Answer {number}")


def type_key(notebook, vendor_name):
    expect(notebook.panel.get_by_label(f"Key of {vendor_name}")).to_be_focused()
    notebook.page.keyboard.type(GOOD)
    notebook.page.keyboard.press("Enter")


def test_a_refused_and_a_missing_key_are_mended_in_their_answers(notebook):
    notebook.run_to_end()
    refused, missing = pane(notebook, 1), pane(notebook, 3)
    expect(refused).to_contain_text(
        "refused the key (401). It came from the environment and ends in …7Qa."
    )
    expect(missing).to_contain_text("No key for Groq. Put GROQ_API_KEY in .env or the environment.")
    expect(missing.get_by_role("link", name="Get a key")).to_be_visible()

    refused.get_by_role("button", name="Check again").click()
    expect(notebook.by("message")).to_contain_text("is still the refused one (from environment)")
    refused.get_by_role("button", name="Enter key for OpenAI").click()
    type_key(notebook, "OpenAI")
    expect(refused.get_by_role("button", name="Retry all 2")).to_be_focused()
    notebook.page.keyboard.press("Enter")
    for number in (1, 2):
        expect(pane(notebook, number).locator("[data-llm=answer]")).to_have_text("Mended.")
    expect(missing.get_by_role("button", name="Retry all")).to_have_count(0)

    missing.get_by_role("button", name="Enter key for Groq").click()
    type_key(notebook, "Groq")
    expect(missing.get_by_role("button", name="Retry", exact=True)).to_be_focused()
    notebook.page.keyboard.press("Enter")
    expect(missing.locator("[data-llm=answer]")).to_have_text("Mended.")
    assert GOOD not in str(notebook.saved())
    assert GOOD not in notebook.page.content()


def test_every_provider_is_found_and_nothing_unknown_becomes_a_chip(notebook):
    box = notebook.panel.get_by_role("combobox", name="Model")
    before = notebook.in_kernel("print(pg.models)")
    for typed, said in {
        "gpt7 nothing": 'No model matches "gpt7 nothing".',
        "depseek:chat": 'No provider is called "depseek". Closest: deepseek:chat',
    }.items():
        box.fill(typed)
        box.press("Enter")
        expect(notebook.panel.get_by_text(said)).to_be_visible()
    assert notebook.in_kernel("print(pg.models)") == before

    box.fill("seek")
    offer = notebook.panel.get_by_role("option")
    expect(offer).to_have_text(["DSDeepSeek no key Enter key…"])
    box.press("Enter")
    type_key(notebook, "DeepSeek")
    expect(box).to_be_focused()
    expect(box).to_have_value("deepseek")
    expect(notebook.panel.get_by_role("group", name="DeepSeek")).to_be_visible()
    notebook.in_kernel("lp.forget_key('deepseek')")

    box.fill("ollama:mine")
    expect(offer.first).to_contain_text("not in the list, used as typed")
    box.press("Enter")
    notebook.expect_in_kernel("pg.models[-1]", "'ollama:mine'")
    box.press("Escape")


def test_a_saved_prompt_is_compared_and_opened_by_keys_with_undo(notebook):
    notebook.in_kernel(
        "q = lp.Playground(models=['local'], prompt='Three points.', system='Be exact.')\n"
        "lp.save_prompt('points', q, note='draft')\n"
        "q.prompt = 'Four points.'; lp.save_prompt('points', q, note='more')"
    )
    notebook.panel.get_by_role("button", name="Open…").click()
    dialog = notebook.panel.get_by_role("dialog", name="Open")
    rows = dialog.get_by_role("listbox").get_by_role("option")
    notebook.page.keyboard.type("points")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("version 2")
    expect(rows).to_contain_text("more")
    expect(dialog.locator("del")).to_have_text("Three")
    expect(dialog.locator("ins")).to_have_text("Four")

    notebook.page.keyboard.press("ArrowRight")
    expect(rows).to_have_count(2)
    notebook.page.keyboard.press("ArrowDown")
    expect(dialog.get_by_role("heading", name="points@1")).to_be_visible()
    notebook.page.keyboard.press("Enter")

    expect(dialog).to_be_hidden()
    expect(notebook.by("prompt")).to_have_value("Three points.")
    expect(notebook.by("system")).to_have_value("Be exact.")
    expect(notebook.by("message")).to_contain_text("Opened points, version 1.")
    notebook.by("message").get_by_role("button", name="Undo").click()
    notebook.expect_in_kernel("(pg.prompt, pg.system, len(pg.models))", "('Hi', '', 3)")
    notebook.panel.get_by_role("button", name="Save as…").click()
    expect(notebook.panel.get_by_label("Name", exact=True)).to_have_value("points")
    notebook.page.keyboard.press("Escape")


def test_messages_come_and_go_in_one_place_and_move_nothing(notebook):
    notebook.in_kernel("pg.models = ['local', 'openai:a']; pg.temperature = 0.5; pg.preset = None")
    expect(notebook.panel.locator(".llm-chip")).to_have_count(2)
    message = notebook.by("message")
    expect(message).to_have_count(1)
    acts = {
        "was removed.": lambda: notebook.panel.get_by_role(
            "button", name="Remove openai:a"
        ).click(),
        "were reset to auto.": lambda: notebook.panel.get_by_role(
            "button", name="Reset", exact=True
        ).click(),
    }

    for said, act in acts.items():
        act()
        expect(message).to_contain_text(said)
        with_message = notebook.page.evaluate(PLACES)
        message.evaluate("one => one.querySelector('[role=status]').textContent = ''")
        message.get_by_role("button", name="Undo").evaluate("one => { one.hidden = true; }")
        assert notebook.page.evaluate(PLACES) == with_message, said
    others = "[role=status]:not([data-llm=message] *):not(dialog *):not(.llm-list *):visible"
    assert notebook.panel.locator(others).all_inner_texts() in ([], [""]), "no other place"


FORM = """article = "Sales rose by four percent in the third quarter, driven by exports. " * 4
pg.models = ["openai:a", "groq:c"]
pg.prompt = "Summarise {{article}} in {{points}} points for {{who}}."
pg.values, pg.temperature, pg.max_tokens, pg.seed = {"points": "3"}, [0, 0.5, 1], 1024, 7"""
# The columns of the variables' table: left edges of names, sources and values.
COLUMNS = """() => ["code", ".llm-source", ".llm-given-value"].map(part =>
  new Set([...document.querySelectorAll(`.llm-var > ${part}`)]
    .map(one => Math.round(one.getBoundingClientRect().left))).size)"""


def test_the_form_fits_and_can_be_read_at_every_width(notebook):
    notebook.in_kernel(FORM)
    expect(notebook.panel.get_by_role("listitem").filter(has_text="not defined")).to_have_count(1)
    for theme, widths in ((LIGHT, (480, 800, 1200, 1600)), (DARK, (480, 1200))):
        use_theme(notebook, theme)
        for width in widths:
            set_panel_width(notebook, width)
            picture(notebook, f"form-{'light' if theme == LIGHT else 'dark'}-{width}")
            notebook.expect_no(WIDER_THAN_THE_PANEL)
            assert notebook.page.evaluate(COLUMNS) == [1, 1, 1], width
            assert notebook.by("prompt").bounding_box()["width"] <= 736
        assert notebook.page.evaluate(TOO_FAINT) == []
    use_theme(notebook, LIGHT)

    system = notebook.by("system")
    folded = system.bounding_box()["height"]
    system.fill("Be brief.")
    notebook.expect_in_kernel("pg.system", "'Be brief.'")
    assert system.bounding_box()["height"] > 2 * folded
    sweep = notebook.panel.get_by_role("slider", name="Temperature")
    assert sweep.evaluate("one => getComputedStyle(one).backgroundImage").count("gradient") == 3
    expect(notebook.panel.get_by_label("Stop", exact=True)).to_have_attribute("placeholder", "auto")

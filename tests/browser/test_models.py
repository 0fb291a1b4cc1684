"""A person picks models: by typing, several at once, by pointer; and gets in with a key."""

import pytest
from playwright.sync_api import expect

from tests.providers.server import WireServer, json_reply

KEY = "-".join(["sk", "planted", "for", "this", "test"])
PLAYGROUND = """import os, time, llm_playground as lp
os.environ["OPENAI_BASE_URL"] = "{url}/v1"
lp.configure(endpoints={{"groq": "{url}/v1"}})
pg = lp.Playground("models", models=["local"])
while not pg.choices:
    time.sleep(0.1)
pg"""
SERVED = json_reply(200, {"data": [{"id": "gpt-4o"}, {"id": "gpt-4o-mini"}]})


@pytest.fixture(scope="module")
def vendor():
    with WireServer(SERVED) as started:
        yield started


@pytest.fixture(scope="module")
def opened(open_notebook, vendor):
    return open_notebook(PLAYGROUND.format(url=vendor.url))


@pytest.fixture
def notebook(opened):
    """The notebook with a new playground, on one model, without keys."""
    opened.in_kernel("import llm_playground as lp; lp.forget_key('openai')")
    opened.run_cell(0)
    opened.in_kernel("pg.models = ['local']")
    expect(opened.panel.locator(".llm-chip")).to_have_count(1)
    return opened


def picker(notebook):
    return notebook.panel.get_by_role("combobox", name="Model")


def option(notebook, name):
    return notebook.panel.get_by_role("option").filter(has_text=name).first


def test_typing_finds_models_by_name_provider_and_ability(notebook):
    picker(notebook).fill("openai vision gpt-4.1")

    found = notebook.panel.get_by_role("option")
    expect(found).to_have_count(3)
    expect(found.first).to_contain_text("OA")
    expect(found.first).to_contain_text("$")
    expect(found.first).to_contain_text("1M context")
    expect(found.first.get_by_role("img", name="OpenAI")).to_be_visible()
    expect(notebook.panel.get_by_role("group", name="OpenAI, no key")).to_be_visible()


LIES_ON_TOP = """list => {
  const box = list.getBoundingClientRect();
  return [box.top + 8, box.bottom - 8].every(
    y => list.contains(document.elementFromPoint(box.left + 8, y)));
}"""


def test_nothing_cuts_the_open_list(notebook):
    picker(notebook).click()

    found = notebook.panel.locator(".llm-list")
    expect(found.get_by_role("option").nth(8)).to_be_attached()
    assert found.evaluate(LIES_ON_TOP)
    picker(notebook).press("Escape")


def test_several_are_picked_by_key_without_opening_the_list_again(notebook):
    box = picker(notebook)
    box.fill("claude-haiku-4")
    box.press("Enter")
    notebook.page.keyboard.type("gpt-4o-mini")
    box.press("Enter")

    notebook.expect_in_kernel(
        "pg.models", "['local', 'anthropic:claude-haiku-4-5', 'openai:gpt-4o-mini']"
    )
    expect(notebook.panel.get_by_role("listbox", name="Models")).to_be_visible()
    expect(option(notebook, "gpt-4o-mini")).to_have_attribute("aria-selected", "true")

    box.fill("")
    box.press("Backspace")
    notebook.expect_in_kernel("pg.models", "['local', 'anthropic:claude-haiku-4-5']")
    box.press("Escape")
    expect(notebook.panel.get_by_role("listbox", name="Models")).to_be_hidden()
    expect(box).to_be_focused()
    notebook.panel.get_by_role("button", name="Undo").click()
    notebook.expect_in_kernel("len(pg.models)", "3")
    expect(box).to_be_focused()


def test_a_press_adds_and_takes_away_and_the_list_stays_under_the_pointer(notebook):
    picker(notebook).click()
    line = option(notebook, "claude")
    line.scroll_into_view_if_needed()
    before = line.bounding_box()

    line.click()
    expect(line).to_have_attribute("aria-selected", "true")
    assert line.bounding_box() == before, "chips and keys' lines above move nothing under the hand"
    line.click()

    expect(line).to_have_attribute("aria-selected", "false")
    notebook.expect_in_kernel("pg.models", "['local']")


def test_when_nothing_matches_the_closest_are_named(notebook):
    picker(notebook).fill("gpt6 lunar")

    expect(
        notebook.panel.get_by_text('No model matches "gpt6 lunar". Closest: gpt-6-luna')
    ).to_be_visible()


def test_a_missing_key_is_typed_into_a_dialog_and_stands_nowhere(notebook):
    notebook.in_kernel("pg.models = ['openai:gpt-4o']")
    chip = notebook.panel.locator(".llm-chip")
    expect(chip).to_contain_text("no key")
    line = notebook.panel.get_by_text("No key for OpenAI. Put OPENAI_API_KEY in .env")
    expect(line).to_be_visible()

    notebook.panel.get_by_role("button", name="Enter key for OpenAI").click()
    field = notebook.panel.get_by_label("Key of OpenAI")
    expect(field).to_be_focused()
    expect(field).to_have_attribute("type", "password")
    notebook.page.keyboard.type("open sesame")
    notebook.page.keyboard.press("Enter")
    expect(
        notebook.panel.get_by_role("alert").filter(has_text="Not set: this is not a key")
    ).to_be_visible()
    notebook.page.keyboard.type(KEY)
    notebook.page.keyboard.press("Enter")

    expect(line).to_be_hidden()
    expect(chip).to_contain_text("$2.50/$10")
    expect(picker(notebook)).to_be_focused()
    assert notebook.in_kernel(
        "print(lp.keys().set_index('provider').source['openai'])"
    ).strip() == ("this kernel")
    assert KEY not in str(notebook.saved())
    assert KEY not in notebook.page.content()
    assert KEY not in notebook.in_kernel("print(pg.get_state())")


def test_a_key_in_the_environment_is_found_by_looking_again(notebook):
    notebook.in_kernel("pg.models = ['groq:llama']")
    expect(notebook.panel.get_by_text("No key for Groq.")).to_be_visible()
    notebook.in_kernel("import os; os.environ['GROQ_API_KEY'] = 'gsk_' + 'planted'")

    notebook.panel.get_by_role("button", name="Check again").click()

    expect(notebook.panel.get_by_text("No key for Groq.")).to_be_hidden()
    expect(picker(notebook)).to_be_focused()

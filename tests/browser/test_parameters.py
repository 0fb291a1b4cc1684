"""A person sets parameters: by slider, field, list and preset; and takes it back."""

import pytest
from playwright.sync_api import expect

PLAYGROUND = """import llm_playground as lp
pg = lp.Playground("parameters", models=["local"], prompt="Hi")
pg"""


@pytest.fixture(scope="module")
def opened(open_notebook):
    return open_notebook(PLAYGROUND, app="notebook")


@pytest.fixture
def notebook(opened):
    opened.in_kernel(
        "import llm_playground as lp\nfor name in lp.presets().name[3:]: lp.delete_preset(name)"
    )
    opened.run_cell(0)
    opened.in_kernel(
        "pg.models = ['local']; pg.preset = None\nfor trait in pg.dials: setattr(pg, trait, None)"
    )
    expect(opened.panel.get_by_role("textbox", name="Temperature value")).to_have_value("")
    return opened


def field(notebook, label):
    return notebook.panel.get_by_role("textbox", name=label, exact=True)


def slider(notebook, label):
    return notebook.panel.get_by_role("slider", name=label, exact=True)


def press(notebook, name):
    notebook.panel.get_by_role("button", name=name, exact=True).click()


def undo(notebook, sentence):
    line = notebook.by("message").filter(has_text=sentence)
    line.get_by_role("button", name="Undo").click()


def test_the_parameters_few_set_wait_behind_a_word_until_one_is_set(notebook):
    more = notebook.panel.get_by_role("button", name="6 more")
    if more.get_attribute("aria-expanded") == "true":
        more.click()
    expect(slider(notebook, "Top k")).to_be_hidden()

    notebook.in_kernel("pg.seed = 7")

    expect(slider(notebook, "Top k")).to_be_visible()
    expect(field(notebook, "Seed")).to_have_value("7")


def test_every_control_sets_what_is_sent(notebook):
    more = notebook.panel.get_by_role("button", name="6 more")
    if more.get_attribute("aria-expanded") == "false":
        more.click()
    notebook.panel.get_by_role("combobox", name="Reasoning effort").select_option("low")
    field(notebook, "Stop").fill('END, "\\n"')
    field(notebook, "Seed").fill("42")
    slider(notebook, "Top k").fill("5")
    slider(notebook, "Presence penalty").press("ArrowRight")

    notebook.expect_in_kernel(
        "pg.reasoning_effort, pg.stop_at, pg.seed, pg.top_k, pg.presence_penalty",
        "('low', ['END', '\\n'], 42, 5, 0.1)",
    )


def test_a_typed_range_is_a_sweep_and_the_price_line_counts_it(notebook):
    field(notebook, "Temperature value").fill("0..1 step 0.25")
    field(notebook, "Max tokens value").fill("10, 20")
    field(notebook, "Top p value").focus()

    notebook.expect_in_kernel("pg.temperature", "[0, 0.25, 0.5, 0.75, 1]")
    expect(field(notebook, "Temperature value")).to_have_value("5 values")
    expect(notebook.by("price")).to_contain_text("10 calls")
    thumb = slider(notebook, "Temperature")
    expect(thumb).to_have_attribute("aria-disabled", "true")
    expect(thumb).to_have_accessible_description("5 values, one call each: 0, 0.25, 0.5, 0.75, 1")
    thumb.press("ArrowRight")
    notebook.expect_in_kernel("pg.temperature[0]", "0")

    field(notebook, "Temperature value").fill("0..1 step 0.001")
    expect(notebook.panel.get_by_role("alert").first).to_contain_text(
        "temperature has more than 50 values."
    )


def test_what_no_chosen_model_takes_is_greyed_with_the_reason(notebook):
    notebook.in_kernel("pg.models = ['openai:o3']")
    thumb = slider(notebook, "Temperature")

    expect(thumb).to_have_attribute("aria-disabled", "true")
    expect(thumb).to_have_accessible_description("Not taken by o3: left out.")
    thumb.focus()
    expect(notebook.panel.get_by_text("Not taken by o3: left out.").first).to_be_visible()
    thumb.press("ArrowRight")
    field(notebook, "Temperature value").press("1")
    notebook.expect_in_kernel("pg.temperature", "None")


def test_own_presets_are_saved_applied_deleted_and_brought_back(notebook):
    field(notebook, "Temperature value").fill("0.3")
    field(notebook, "Max tokens value").fill("64")
    press(notebook, "Save preset…")
    notebook.page.keyboard.type("terse")
    notebook.page.keyboard.press("Enter")
    mine = notebook.panel.get_by_role("button", name="terse", exact=True)
    expect(mine).to_have_attribute("aria-pressed", "true")
    notebook.expect_in_kernel(
        "lp.presets().parameters[3]", "{'temperature': 0.3, 'max_tokens': 64}"
    )

    press(notebook, "Creative")
    notebook.expect_in_kernel("pg.temperature, pg.max_tokens", "(1.0, None)")
    mine.click()
    notebook.expect_in_kernel("pg.preset, pg.temperature, pg.max_tokens", "('terse', 0.3, 64)")

    press(notebook, "Delete preset terse")
    expect(mine).to_be_hidden()
    assert notebook.page.evaluate("document.activeElement.closest('.llm-playground') !== null")
    undo(notebook, "Preset “terse” was deleted.")
    expect(mine).to_have_attribute("aria-pressed", "true")


def test_a_preset_without_a_fit_name_is_explained_in_place(notebook):
    field(notebook, "Temperature value").fill("0.3")
    press(notebook, "Save preset…")
    notebook.page.keyboard.type("precise")
    notebook.page.keyboard.press("Enter")

    expect(
        notebook.panel.get_by_text("'precise' is a built-in preset. Use another name.")
    ).to_be_visible()
    notebook.page.keyboard.press("Escape")
    expect(notebook.panel.get_by_label("Name of the preset")).to_be_hidden()


def test_reset_can_be_undone(notebook):
    field(notebook, "Temperature value").fill("0.3")
    field(notebook, "Top p value").fill("0.5")
    notebook.expect_in_kernel("pg.temperature, pg.top_p", "(0.3, 0.5)")
    press(notebook, "Reset")
    notebook.expect_in_kernel("pg.temperature, pg.top_p", "(None, None)")

    undo(notebook, "All parameters were reset to auto.")

    notebook.expect_in_kernel("pg.temperature, pg.top_p", "(0.3, 0.5)")
    assert notebook.page.evaluate("document.activeElement.closest('.llm-playground') !== null")


def test_one_preset_after_another_stays_pressed(notebook):
    field(notebook, "Temperature value").fill("0.3")
    press(notebook, "Creative")
    undo(notebook, "Creative replaced values that you had set.")
    notebook.expect_in_kernel("pg.preset, pg.temperature", "(None, 0.3)")
    for name in ("Precise", "Creative", "Balanced"):
        press(notebook, name)
    notebook.expect_in_kernel("pg.preset, pg.temperature", "('balanced', 0.7)")
    expect(notebook.panel.get_by_role("button", name="Balanced")).to_have_attribute(
        "aria-pressed", "true"
    )

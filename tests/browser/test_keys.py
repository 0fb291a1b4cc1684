"""A key pressed in the panel does what it says there, and nothing to the notebook around it.

JupyterLab's command mode cuts, inserts and runs cells on single keys; one of them used to be enough
to lose the panel and what was typed into it.
"""

import pytest
from playwright.sync_api import expect

from tests.browser.stories import BRIEF

PROMPT = "typed text"
PLAYGROUND = f"pg = lp.Playground(models=['ollama:brief'], prompt={PROMPT!r}, n=2)\npg"
CELLS = ("x = 1", "y = 2")
# Both answers are whole again, should a key have stopped one before its first word.
RESET = f"""pg.temperature = pg.top_p = pg.max_tokens = pg.preset = pg.baseline = None
pg.iterations, pg.system, pg.problem = 2, '', ''
if pg.results.status.tolist() != ['completed', 'completed']:
    pg.models, pg.prompt = ['ollama:brief'], {PROMPT!r}
    pg.run()
    pg.results
pg.models = []"""

# Every key that JupyterLab or Notebook binds in command or edit mode without Ctrl or Cmd, those
# that a person uses in a form, and the Enter combinations.
KEYS = [
    *"abcdefhijklmnoprstuvxyz0123456",
    "/",
    "'",
    "-",
    "Space",
    "Shift+Space",
    "Shift+L",
    "Shift+M",
    *("Shift+V", "Shift+J", "Shift+K", "Shift+ArrowDown", "Shift+ArrowUp", "Shift+O", "Shift+R"),
    *("ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight", "Home", "End", "PageUp", "PageDown"),
    *("Delete", "Enter", "Shift+Enter", "Control+Enter", "Alt+Enter", "Escape"),
]
CONTROLS = {
    "text area": "[data-llm=prompt]",
    "system prompt": "[data-llm=system]",
    "slider": "[data-llm=temperature]",
    "number field": "[aria-label='Max tokens value']",
    "combobox": "[data-llm=model]",
    "spin button": "[data-llm=iterations]",
    "preset": "[data-llm=preset]",
    "chip": ".llm-chip button",
    "keys button": "[aria-label=Keys]",
    "Run": "[data-llm=run]",
    "region": "[data-llm=pane]",
    "Copy": "[data-llm=pane] .llm-pane-tools button:not([hidden])",
}
APPS = ("lab", "notebook")


# What no key may change; then the focus goes back to where it was, behind what is typed there.
STATE = """([selector, prompt]) => {
  const panel = document.querySelector(".llm-playground");
  const notebook = window.jupyterapp.shell.currentWidget.content;
  const cells = notebook.widgets.map(cell => cell.model);
  const typed = panel?.querySelector("[data-llm=prompt]").value ?? "";
  const state = {
    cells: cells.map(cell => [cell.sharedModel.source, cell.executionCount]),
    selected: notebook.activeCellIndex,
    same_panel: panel?.sameAsBefore === true,
    prompt_kept: typed.replaceAll("\\n", "").includes(prompt),
  };
  document.querySelector("dialog[open]")?.close();
  const target = panel?.querySelector(selector);
  target?.focus();
  if (target instanceof HTMLTextAreaElement) target.setSelectionRange(1e6, 1e6);
  return state;
}"""


@pytest.fixture(scope="module", params=APPS)
def notebook(request, open_notebook, storyteller):
    """A playground with two answers, in JupyterLab and in Notebook 7."""
    opened = open_notebook(storyteller.setup + PLAYGROUND, *CELLS, app=request.param)
    opened.run_cell(0)
    opened.expect_in_kernel("len(pg.choices) > 0", "True")
    opened.run_to_end()
    expect(opened.by("footer").last).to_contain_text("free")
    # From here on Run says what is missing instead of sending, whoever presses it.
    opened.in_kernel("pg.models = []")
    expect(opened.by("price")).to_have_text("No model chosen")
    opened.panel.evaluate("panel => { panel.sameAsBefore = true; }")
    return opened


@pytest.fixture
def panel(notebook):
    """The same panel with nothing touched, nothing open, focus in its prompt."""
    notebook.in_kernel(RESET)
    notebook.painted()
    notebook.by("prompt").fill(PROMPT)
    notebook.by("prompt").click()
    return notebook


@pytest.mark.parametrize("control", CONTROLS)
def test_no_key_on_any_control_touches_the_notebook(panel, control):
    if control == "chip":
        # Out of range, so that Run says so instead of sending.
        panel.in_kernel("pg.models = ['openai:some-model']; pg.temperature = 9")
        expect(panel.panel.locator(".llm-chip")).to_have_count(1)

    def state():
        return panel.page.evaluate(STATE, [CONTROLS[control], PROMPT])

    before = state()
    assert before["same_panel"]
    assert before["prompt_kept"]
    focused = panel.page.evaluate(
        "selector => document.activeElement.matches(selector)", CONTROLS[control]
    )
    assert focused
    touched = []

    for key in KEYS:
        panel.page.keyboard.press(key)
        after = state()
        if after != before:
            touched.append((key, after))
            break

    assert touched == []
    # Ctrl+Enter has sent the form; the next test's would come before it.
    panel.expect_in_kernel("pg.problem != ''", "True")


def test_a_text_box_takes_letters_and_new_lines(panel):
    prompt = panel.by("prompt")
    prompt.press("End")

    panel.page.keyboard.type(" and xdd b?.s")
    prompt.press("Shift+Enter")
    prompt.press("Enter")
    panel.page.keyboard.type("more")

    expect(prompt).to_have_value(f"{PROMPT} and xdd b?.s\n\nmore")


def test_a_text_box_is_edited_with_the_usual_ctrl_keys(panel):
    prompt, before = panel.by("prompt"), panel.cells()

    for key in (
        "Control+A",
        "Control+C",
        "End",
        "Control+V",
        "Control+A",
        "Control+X",
        "Control+Z",
    ):
        prompt.press(key)

    expect(prompt).to_have_value(PROMPT * 2)
    assert panel.cells() == before


@pytest.mark.parametrize(("key", "moved"), [("ArrowRight", 1.05), ("ArrowUp", 1.05), ("Home", 0)])
def test_a_slider_moves_by_keys(panel, key, moved):
    slider = panel.panel.get_by_role("slider", name="Temperature")
    slider.focus()

    slider.press(key)

    expect(slider).to_have_value(f"{moved:g}")
    panel.expect_in_kernel("float(pg.temperature)", str(float(moved)))


def test_a_spin_button_moves_by_keys(panel):
    spin = panel.by("iterations")

    spin.press("ArrowUp")

    expect(spin).to_have_value("3")
    panel.expect_in_kernel("pg.iterations", "3")


def test_the_model_list_is_walked_by_keys(panel):
    picker = panel.panel.get_by_role("combobox", name="Model")
    picker.press("ArrowDown")
    picker.press("ArrowDown")
    expect(picker).to_have_attribute("aria-expanded", "true")
    active = panel.panel.locator(f"[id={picker.get_attribute('aria-activedescendant')}]")
    expect(active).to_contain_text("smollm2")

    picker.press("Enter")

    panel.expect_in_kernel("pg.models", "['local:smollm2-135m-instruct']")
    expect(panel.panel.get_by_role("option", selected=True)).to_contain_text("smollm2")
    picker.press("Escape")
    expect(picker).to_have_attribute("aria-expanded", "false")


@pytest.mark.parametrize("control", ["text area", "slider", "combobox", "Run", "region"])
def test_ctrl_enter_runs_from_anywhere(panel, control):
    panel.panel.locator(CONTROLS[control]).first.focus()

    panel.page.keyboard.press("Control+Enter")

    expect(panel.panel.get_by_role("alert")).to_have_text("No model is chosen. Add one.")


FOCUS = """() => {
  const [panel, at] = [document.querySelector(".llm-playground"), document.activeElement];
  return panel.contains(at) ? (at.matches("input, textarea, select") ? "box" : "panel")
    : at.matches(".jp-Cell") ? "cell" : at.outerHTML.slice(0, 80);
}"""


BOXES = ("text area", "system prompt", "number field", "combobox", "spin button")


@pytest.mark.parametrize("control", [*BOXES, "slider", "Run", "region"])
def test_escape_leaves_the_box_then_the_panel(panel, control):
    panel.panel.locator(CONTROLS[control]).first.focus()
    if control in BOXES:
        panel.page.keyboard.press("Escape")
        assert panel.page.evaluate(FOCUS) == "panel"
        panel.page.keyboard.press("?")  # the single keys work from there
        expect(panel.panel.get_by_role("dialog", name="Keys")).to_be_visible()
        panel.page.keyboard.press("Escape")
        assert panel.page.evaluate(FOCUS) == "panel"

    panel.page.keyboard.press("Escape")

    assert panel.page.evaluate(FOCUS) == "cell"


def test_after_a_click_beside_the_controls_the_keys_stay_in_the_panel(panel):
    before = panel.cells()
    panel.panel.locator(".llm-bar").click(position={"x": 4, "y": 2})

    for key in ("x", "d", "d", "?"):
        panel.page.keyboard.press(key)

    expect(panel.panel.get_by_role("dialog", name="Keys")).to_be_visible()
    panel.page.keyboard.press("Escape")
    assert panel.cells() == before


def test_escape_closes_what_is_open_first(panel):
    picker = panel.panel.get_by_role("combobox", name="Model")
    picker.press("ArrowDown")
    picker.press("Escape")
    expect(picker).to_have_attribute("aria-expanded", "false")
    expect(picker).to_be_focused()

    panel.by("run").focus()
    panel.page.keyboard.press("?")
    keys = panel.panel.get_by_role("dialog", name="Keys")
    expect(keys).to_be_visible()
    panel.page.keyboard.press("Escape")

    expect(keys).to_be_hidden()
    expect(panel.by("run")).to_be_focused()


def test_arrows_walk_between_answers(panel):
    first = panel.panel.get_by_role("region", name="Answer 1")
    second = panel.panel.get_by_role("region", name="Answer 2")
    first.focus()

    for key, there in [
        ("ArrowRight", second),
        ("ArrowLeft", first),
        ("End", second),
        ("Home", first),
    ]:
        panel.page.keyboard.press(key)
        expect(there).to_be_focused()


def test_letters_lead_to_the_prompt_the_models_and_the_answers(panel):
    panel.by("run").focus()
    panel.page.keyboard.press("m")
    expect(panel.by("model")).to_be_focused()

    panel.by("run").focus()
    panel.page.keyboard.press("e")
    expect(panel.by("prompt")).to_be_focused()

    panel.page.keyboard.press("Escape")
    panel.page.keyboard.press("a")
    expect(panel.panel.get_by_role("region", name="Answer 1")).to_be_focused()
    panel.page.keyboard.press("ArrowRight")
    panel.page.keyboard.press("e")
    panel.page.keyboard.press("Escape")
    panel.page.keyboard.press("a")
    expect(panel.panel.get_by_role("region", name="Answer 2")).to_be_focused()


def test_c_copies_the_answer_with_the_focus(panel):
    panel.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    region = panel.panel.get_by_role("region", name="Answer 1")
    panel.in_kernel("pg.models = ['ollama:brief']; pg.run()")  # whose Copy nobody pressed
    answer = panel.in_kernel("print(pg.results.response_text[0])")
    panel.painted()
    expect(region.get_by_role("button", name="Copy", exact=True)).to_be_visible()
    region.focus()

    panel.page.keyboard.press("c")

    expect(region.get_by_role("button", name="Copied")).to_be_visible()
    assert panel.page.evaluate("() => navigator.clipboard.readText()").split() == answer.split()
    assert answer.strip() == BRIEF


def test_the_palette_and_save_go_on_working(panel):
    panel.by("run").focus()
    panel.page.keyboard.press("Control+Shift+C")
    palette = panel.page.locator(".lm-CommandPalette-input:visible")
    expect(palette).to_be_visible()
    palette.press("Escape")

    panel.by("prompt").click()
    with panel.page.expect_response(lambda r: r.request.method == "PUT" and "contents" in r.url):
        panel.page.keyboard.press("Control+S")

"""A person writes a prompt: names take values, turns come before it, pictures go with it."""

import base64
import io
import json
import re

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.test_looks import (
    DARK,
    LIGHT,
    NARROW,
    TOO_FAINT,
    WIDER_THAN_THE_PANEL,
    picture,
    use_theme,
)
from tests.providers.formats import openai_stream
from tests.providers.server import Reply, WireServer

VALUES = """import llm_playground as lp
import pandas as pd
article = "Sales rose by four percent. " * 40
n = 3
table = pd.DataFrame({"article": ["Up.", "Down.", "Flat."], "label": [1, 2, 3]})
class Endless:
    def __str__(self):
        import time; time.sleep(600)
endless = Endless()"""
# A name of its own each time: nothing of the test before comes back as a draft.
PLAYGROUND = """import secrets
pg = lp.Playground(secrets.token_hex(4), models=['openai:gpt-4o-mini'])
pg"""
LATER = "reader = 'a child'"

# Files as a person drops or pastes them; the browser lets scripts make such events.
BRING = """([kind, files, text]) => {
  const data = new DataTransfer();
  for (const { name, type, base64, padding = 0 } of files) {
    const bytes = Uint8Array.from(atob(base64), letter => letter.charCodeAt(0));
    data.items.add(new File([bytes, new Uint8Array(padding)], name, { type }));
  }
  if (text) data.setData("text/plain", text);
  const place = document.querySelector(".llm-playground [data-llm=prompt]");
  const how = { bubbles: true, cancelable: true };
  const events = kind === "paste"
    ? [new ClipboardEvent("paste", { clipboardData: data, ...how })]
    : ["dragover", "drop"].map(type => new DragEvent(type, { dataTransfer: data, ...how }));
  return events.map(event => place.dispatchEvent(event)).at(-1);
}"""


@pytest.fixture(scope="module")
def vendor():
    with WireServer(Reply(openai_stream(["Fine", "."]))) as server:
        yield server


def opened_with(open_notebook, vendor, app):
    opened = open_notebook(VALUES, PLAYGROUND, LATER, app=app)
    key = "-".join(["sk", "only", "for", "this", "test"])
    opened.in_kernel(
        f"import os; os.environ['OPENAI_API_KEY'] = {key!r}\n"
        f"os.environ['OPENAI_BASE_URL'] = {vendor.url + '/v1'!r}"
    )
    opened.run_cell(0)
    return opened


@pytest.fixture(scope="module")
def lab(open_notebook, vendor):
    return opened_with(open_notebook, vendor, "lab")


@pytest.fixture
def notebook(lab):
    """The notebook with a new playground in its second cell."""
    lab.in_kernel("if 'reader' in dir(): del reader")
    lab.run_cell(1)
    expect(prompt(lab)).to_be_visible()
    return lab


def chip(notebook, name):
    named = notebook.page.locator("code", has_text=re.compile(f"^{name}$"))
    return notebook.panel.get_by_role("listitem").filter(has=named)


def prompt(notebook):
    return notebook.panel.get_by_role("textbox", name="User prompt")


PDF = b"%PDF-1.4\n1 0 obj <</Type /Page>> endobj\n"


def button(notebook, name):
    return notebook.panel.get_by_role("button", name=name, exact=True)


def run(notebook, vendor):
    """Press Ctrl+Enter; the messages of each request that the vendor got."""
    before, number = len(vendor.requests), notebook.run_number()
    notebook.page.keyboard.press("Control+Enter")
    notebook.expect_ended(number + 1)
    expect(notebook.by("footer").last).to_contain_text("$")
    return [request.json["messages"] for request in vendor.requests[before:]]


def noise(width, height):
    buffer = io.BytesIO()
    Image.effect_noise((width, height), 90).save(buffer, "PNG")
    return buffer.getvalue()


def file(name, data, kind="image/png"):
    return {"name": name, "type": kind, "base64": base64.b64encode(data).decode()}


def test_names_show_their_values_as_they_are_typed_and_a_missing_one_takes_one(notebook, vendor):
    prompt(notebook).press_sequentially("Summarise {{article}} in {{n}} points for {{who}}.")

    expect(chip(notebook, "article")).to_contain_text("notebook · 280 tokens")
    expect(chip(notebook, "article")).to_contain_text("Sales rose by four percent.")
    expect(chip(notebook, "n")).to_contain_text("3")
    expect(chip(notebook, "who")).to_contain_text("not defined")
    value = notebook.panel.get_by_role("textbox", name="Value of who")
    value.press_sequentially("a busy reader", delay=40)
    notebook.expect_in_kernel("pg.values", "{'who': 'a busy reader'}")
    expect(value).to_be_focused()
    [[message]] = run(notebook, vendor)
    assert message["content"].endswith("in 3 points for a busy reader.")
    prompt(notebook).click()
    expect(chip(notebook, "who")).not_to_contain_text("not defined")
    button(notebook, "Take back the value of who").click()
    expect(chip(notebook, "who")).to_contain_text("not defined")


def test_a_value_of_the_notebook_gives_way_to_a_typed_one(notebook):
    prompt(notebook).fill("{{n}}")

    chip(notebook, "n").get_by_role("button").click()
    expect(notebook.panel.get_by_role("textbox", name="Value of n")).to_be_focused()
    notebook.page.keyboard.type("7")

    notebook.expect_in_kernel("pg.values", "{'n': '7'}")
    notebook.expect_in_kernel("[v['source'] for v in pg.variables]", "['typed']")


def test_a_cell_that_has_run_defines_what_was_missing(notebook):
    prompt(notebook).fill("For {{reader}}.")
    expect(chip(notebook, "reader")).to_contain_text("not defined")

    notebook.run_cell(2)

    expect(chip(notebook, "reader")).to_contain_text("a child")


def test_a_value_that_never_becomes_text_holds_nothing_up(notebook):
    prompt(notebook).fill("{{endless}}")
    expect(chip(notebook, "endless")).to_contain_text("Endless object")

    notebook.page.keyboard.press("Control+Enter")

    expect(notebook.panel.get_by_role("alert")).to_contain_text(
        "takes longer than 5 s to become text"
    )
    prompt(notebook).fill("Hello {{n}}")
    expect(chip(notebook, "n")).to_be_visible()


def test_rows_of_a_table_are_cases_chosen_by_keyboard(notebook, vendor):
    prompt(notebook).fill("Is this good? {{article}}")
    expect(chip(notebook, "article")).to_contain_text("tokens")
    button(notebook, "Cases from a table").focus()
    notebook.page.keyboard.press("Enter")
    offered = notebook.panel.get_by_role("menuitem")
    expect(offered).to_have_text(["table · 3 rows · article, label"])
    notebook.page.keyboard.press("Enter")

    expect(chip(notebook, "article")).to_contain_text("table, 3 cases")
    expect(notebook.by("price")).to_contain_text("3 calls")
    prompt(notebook).focus()
    asked = run(notebook, vendor)

    assert sorted(messages[0]["content"] for messages in asked) == [
        f"Is this good? {case}" for case in ("Down.", "Flat.", "Up.")
    ]
    button(notebook, "No cases").click()
    expect(chip(notebook, "article")).to_contain_text("280 tokens")
    button(notebook, "Undo").click()
    expect(chip(notebook, "article")).to_contain_text("table, 3 cases")


def add_turn(notebook, text):
    button(notebook, "+ Turn").click()
    notebook.page.keyboard.type(text)


def expect_turns(notebook, *texts):
    boxes = notebook.panel.get_by_role("list", name="Turns").get_by_role("textbox")
    expect(boxes).to_have_count(len(texts))
    for at, text in enumerate(texts):
        expect(boxes.nth(at)).to_have_value(text)


def test_turns_are_added_moved_deleted_brought_back_and_run_again(notebook, vendor):
    for text in ("A quarter?", "Three months.", "A year?", "Twelve months."):
        add_turn(notebook, text)
    roles = notebook.panel.get_by_role("combobox", name="role")
    assert roles.evaluate_all("all => all.map(one => one.value)") == ["user", "assistant"] * 2

    notebook.page.keyboard.press("Alt+ArrowUp")
    expect_turns(notebook, "A quarter?", "Three months.", "Twelve months.", "A year?")
    expect(notebook.panel.get_by_role("textbox", name="Turn 3")).to_be_focused()
    notebook.page.keyboard.press("Alt+ArrowDown")
    button(notebook, "Delete, turn 2").click()
    expect_turns(notebook, "A quarter?", "A year?", "Twelve months.")
    button(notebook, "Undo").click()
    expect_turns(notebook, "A quarter?", "Three months.", "A year?", "Twelve months.")
    prompt(notebook).fill("A decade?")

    before = len(vendor.requests)
    button(notebook, "Re-run from here, turn 3").click()
    expect(notebook.by("footer").last).to_contain_text("$")
    asked = vendor.requests[before].json["messages"]

    assert [(one["role"], one["content"]) for one in asked] == [
        ("user", "A quarter?"),
        ("assistant", "Three months."),
        ("user", "A year?"),
    ]
    expect(prompt(notebook)).to_have_value("A year?")
    button(notebook, "Undo").click()
    expect(prompt(notebook)).to_have_value("A decade?")
    expect_turns(notebook, "A quarter?", "Three months.", "A year?", "Twelve months.")


def test_an_answer_can_be_gone_on_from(notebook, vendor):
    prompt(notebook).fill("How many are {{n}}?")
    run(notebook, vendor)

    notebook.panel.get_by_role("button", name="More for answer 1").click()
    notebook.panel.get_by_role("menuitem", name="Go on from here").click()

    expect(prompt(notebook)).to_be_focused()
    expect(prompt(notebook)).to_have_value("")
    expect_turns(notebook, "How many are 3?", "Fine.")
    notebook.page.keyboard.type("Really?")
    [messages] = run(notebook, vendor)
    assert [one["content"] for one in messages] == ["How many are 3?", "Fine.", "Really?"]


def test_a_dropped_picture_is_shown_small_and_sent_whole(notebook, vendor):
    data = noise(300, 200)
    prompt(notebook).fill("What is this?")

    notebook.page.evaluate(
        BRING, ["drop", [file("cat.png", data), file("a.bmp", b"a", "image/bmp")], ""]
    )

    shown = notebook.panel.get_by_role("list", name="Images").get_by_role("listitem")
    expect(shown).to_have_count(1)
    expect(shown).to_contain_text("cat.png")
    expect(shown.locator("img")).to_have_js_property("naturalWidth", 96)
    expect(shown.locator("img")).to_have_js_property("naturalHeight", 64)
    expect(notebook.panel.locator(".llm-attachments [role=alert]")).to_have_text(
        "a.bmp is not a supported image. Use PNG, JPEG, GIF or WebP."
    )
    notebook.expect_in_kernel("len(pg.form().images)", "1")
    expect(notebook.by("price")).to_contain_text("1 call")
    [[message]] = run(notebook, vendor)
    sent, text = message["content"]
    assert base64.b64decode(sent["image_url"]["url"].partition(",")[2]) == data
    assert text["text"] == "What is this?"
    button(notebook, "Remove cat.png").click()
    notebook.expect_in_kernel("pg.images", "[]")
    button(notebook, "Undo").click()
    notebook.expect_in_kernel("len(pg.form().images)", "1")


def test_a_picture_larger_than_a_message_may_be_arrives_and_is_sent_only_once(notebook):
    small, padding = noise(30, 20), 12_000_000  # what follows a PNG's end is not looked at
    notebook.page.evaluate(BRING, ["drop", [file("large.png", small) | {"padding": padding}], ""])

    size = len(small) + padding
    notebook.expect_in_kernel("[len(one.data) for one in pg.form().images]", f"[{size}]")
    prompt(notebook).press_sequentially("x")
    notebook.expect_in_kernel("pg.prompt", "'x'")
    assert int(notebook.in_kernel("print(len(repr(pg.get_state(['images']))))")) < 10_000
    expect(notebook.panel.get_by_role("list", name="Images")).to_contain_text("12.0 MB")


def test_a_pasted_picture_is_taken_and_pasted_text_stays_text(notebook):
    prompt(notebook).focus()

    taken = notebook.page.evaluate(BRING, ["paste", [file("image.png", noise(9, 9))], ""])
    left = notebook.page.evaluate(BRING, ["paste", [file("table.png", noise(9, 9))], "a\tb"])

    assert (taken, left) == (False, True), "a default that is left pastes the text"
    expect(notebook.panel.get_by_role("list", name="Images").get_by_role("listitem")).to_have_count(
        1
    )


def test_dropped_and_pasted_files_are_sent_whole_and_removed(notebook, vendor):
    data = PDF + bytes(2_000_000)
    hostile = "<img src=x onerror=window.hurt=1>\u202efdp.csv"
    prompt(notebook).fill("Sum it up.")

    dropped = [file("report.pdf", data, "application/pdf"), file(hostile, b"a,b", "text/csv")]
    notebook.page.evaluate(BRING, ["drop", dropped, ""])

    shown = notebook.panel.get_by_role("list", name="Files").get_by_role("listitem")
    expect(shown).to_have_count(2)
    expect(shown.first).to_contain_text("report.pdf")
    expect(shown.first).to_contain_text("2.0 MB")
    expect(shown.last).to_contain_text("<img src=x onerror=window.hurt=1>fdp.csv")
    expect(notebook.panel.get_by_role("list", name="Images")).to_be_hidden()
    prompt(notebook).focus()
    pasted = [file("a.docx", b"PK\x03\x04", "application/zip"), file("b.md", b"# Hi", "")]
    assert notebook.page.evaluate(BRING, ["paste", pasted, ""]) is False
    expect(shown).to_have_count(3)
    expect(notebook.panel.locator(".llm-attachments [role=alert]")).to_contain_text(
        "a.docx is an Office document"
    )
    [[message]] = run(notebook, vendor)
    pdf, table, notes, text = message["content"]
    assert base64.b64decode(pdf["file"]["file_data"].partition(",")[2]) == data
    assert table["text"] == "File <img src=x onerror=window.hurt=1>fdp.csv:\n\na,b\n"
    assert (notes["text"], text["text"]) == ("File b.md:\n\n# Hi\n", "Sum it up.")
    button(notebook, "Remove report.pdf").focus()
    notebook.page.keyboard.press("Enter")
    expect(shown).to_have_count(2)
    expect(prompt(notebook)).to_be_focused()
    assert notebook.page.evaluate("() => window.hurt") is None


def test_a_path_or_nothing_wrong_is_said_in_one_line(notebook):
    (notebook.server.folder / "dog.png").write_bytes(noise(20, 10))
    button(notebook, "+ Image or file").focus()
    notebook.page.keyboard.press("Enter")
    notebook.page.keyboard.type("nowhere.png")
    notebook.page.keyboard.press("Enter")
    said = notebook.panel.locator(".llm-attachments [role=alert]")
    expect(said).to_contain_text("There is no image at nowhere.png")

    notebook.page.keyboard.press("Control+a")
    notebook.page.keyboard.type("dog.png")
    notebook.page.keyboard.press("Enter")

    shown = notebook.panel.get_by_role("list", name="Images").get_by_role("listitem")
    expect(shown).to_contain_text("dog.png")
    expect(shown.locator("img")).to_have_js_property("naturalWidth", 20)
    expect(said).to_have_text("")
    notebook.page.keyboard.press("Escape")
    expect(button(notebook, "+ Image or file")).to_be_focused()


def test_python_sets_what_the_view_shows(notebook):
    notebook.in_kernel(
        "from matplotlib.figure import Figure\n"
        "pg.images = [Figure(figsize=(2, 1))]\n"
        "pg.turns = [{'role': 'assistant', 'content': 'From Python'}]\n"
        "pg.cases = table; pg.prompt = '{{article}}'"
    )

    expect(notebook.panel.get_by_role("list", name="Images").locator("img")).to_be_visible()
    expect_turns(notebook, "From Python")
    expect(chip(notebook, "article")).to_contain_text("DataFrame, 3 cases")
    expect(prompt(notebook)).to_have_value("{{article}}")


def test_a_box_grows_with_its_text_within_bounds_and_tab_moves_on(notebook):
    box = prompt(notebook)
    height = "box => box.offsetHeight"
    low = box.evaluate(height)

    box.fill("\n".join("line" for _ in range(12)))
    grown = box.evaluate(height)
    box.fill("\n".join("line" for _ in range(200)))

    assert low == 130 < grown
    assert box.evaluate(height) == 410
    box.focus()
    notebook.page.keyboard.press("Tab")
    expect(box).not_to_be_focused()
    assert notebook.page.evaluate(
        "document.querySelector('.llm-playground').contains(document.activeElement)"
    )
    box.fill("")
    box.press_sequentially("abc")
    notebook.page.keyboard.press("Control+z")
    expect(box).not_to_have_value("abc")


def test_letters_choose_a_role_and_nothing_is_lost_to_notebook_7(open_notebook, vendor):
    notebook = opened_with(open_notebook, vendor, "notebook")
    notebook.run_cell(1)
    cells = notebook.cells()
    prompt(notebook).fill("{{n}} more?")
    add_turn(notebook, "first")
    add_turn(notebook, "second")

    notebook.panel.get_by_role("combobox", name="Turn 2, role").focus()
    notebook.page.keyboard.press("s")
    notebook.page.keyboard.press("Alt+ArrowUp")
    expect(notebook.panel.get_by_role("combobox", name="Turn 1, role")).to_be_focused()
    button(notebook, "Delete, turn 2").focus()
    notebook.page.keyboard.press("x")

    notebook.expect_in_kernel(
        "pg.turns",
        "[{'role': 'system', 'content': 'second'}, {'role': 'user', 'content': 'first'}]",
    )
    expect(chip(notebook, "n")).to_contain_text("3")
    assert notebook.cells() == cells


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_everything_can_be_read_and_fits(notebook, theme):
    notebook.in_kernel(
        "pg.turns = [{'role': 'user', 'content': 'A quarter?'},"
        " {'role': 'assistant', 'content': 'Three months.'}]\n"
        "pg.cases = 'table'; pg.values = {'who': 'a child'}\n"
        "pg.prompt = 'Summarise {{article}} in {{n}} points for {{who}}, {{missing}}.'"
    )
    attached = [
        file("cat.png", noise(30, 20)),
        file("report.pdf", PDF + bytes(214_000), "application/pdf"),
        file("a rather long name of a table of measurements.csv", b"a,b", "text/csv"),
    ]
    notebook.page.evaluate(BRING, ["drop", attached, ""])
    expect(notebook.panel.get_by_role("list", name="Images")).to_be_visible()
    expect(notebook.panel.get_by_role("list", name="Files").get_by_role("listitem")).to_have_count(
        2
    )
    expect(chip(notebook, "missing")).to_be_visible()
    use_theme(notebook, theme)
    notebook.page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
    for width in (1280, 760, NARROW):
        notebook.page.set_viewport_size({"width": width, "height": 1400})
        picture(notebook, f"prompt-{'light' if theme == LIGHT else 'dark'}-{width}")
        notebook.expect_no(WIDER_THAN_THE_PANEL)
    assert notebook.page.evaluate(TOO_FAINT) == []
    notebook.page.set_viewport_size({"width": 1280, "height": 900})
    assert json.loads(notebook.in_kernel("import json; print(json.dumps(pg.cases))")) == "table"

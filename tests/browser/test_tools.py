"""The panel's tools, as a person uses them: by keys, by pointer, with the clipboard and files."""

import json
import re

import pytest
from playwright.sync_api import expect

from tests.providers.formats import openai_stream
from tests.providers.server import Reply, WireServer, json_reply

PIECES = ["Sales ", "rose ", "by ", "four ", "percent."]
KEY = "sk-" + "planted" * 4 + "7Qa"
HEADERS = {"content-type": "text/event-stream", "x-request-id": "req_81f2"}
CELL = """import os
os.environ.update({environment!r})
import llm_playground as lp
pg = lp.Playground({name!r}, models=["openai:gpt-4o"], prompt={prompt!r}, top_k=40, max_tokens=60)
pg"""
# Keeps what the panel says for six seconds only.
KEEP_SAID = """() => {
  window.said = [];
  new MutationObserver(records => {
    for (const { target } of records) window.said.push(target.textContent);
  }).observe(document.querySelector(".llm-playground"), { childList: true, subtree: true });
}"""


@pytest.fixture(scope="module")
def vendor():
    """The scripted endpoint refuses its first request, then answers."""
    refused = json_reply(429, {"error": {"message": "Slow down."}}, {"retry-after": "0.2"})
    answer = Reply(openai_stream(PIECES), headers=HEADERS, pause_s=0.02)
    with WireServer([refused, answer]) as server:
        yield server


@pytest.fixture(scope="module")
def notebook(open_notebook, vendor, tmp_path_factory):
    """A panel with one answer, a log of its own, and the right to read the clipboard."""
    log = tmp_path_factory.mktemp("log") / "log.duckdb"
    environment = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": f"{vendor.url}/v1"}
    environment["LLM_PLAYGROUND_LOG"] = str(log)
    cell = CELL.format(environment=environment, name="quarter", prompt="Summarise {{n}}.")
    opened = open_notebook("n = 'the quarter'", cell)
    opened.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    opened.run_cell(0)
    opened.run_cell(1)
    opened.by("run").click()
    expect(opened.by("answer")).to_contain_text("percent.")
    expect(opened.by("footer")).to_contain_text("$")
    opened.page.evaluate(KEEP_SAID)
    return opened


@pytest.fixture
def answer(notebook):
    """The answer, focused; nothing is open."""
    pane = notebook.panel.get_by_role("region", name="Answer 1")
    expect(notebook.page.get_by_role("dialog")).to_have_count(0)
    pane.focus()
    notebook.page.evaluate("() => { window.said = []; }")
    return pane


def expect_said(notebook, text):
    heard = "text => window.said.some(said => said.startsWith(text))"
    notebook.page.wait_for_function(heard, arg=text)


def clipboard(notebook):
    return notebook.page.evaluate("() => navigator.clipboard.readText()")


def press(notebook, key):
    notebook.page.keyboard.press(key)


def test_w_tells_what_went_over_the_wire(notebook, vendor, answer):
    press(notebook, "w")

    wire = notebook.page.get_by_role("dialog", name="Wire · answer 1")
    expect(
        wire.get_by_role("img", name=re.compile("Timeline. First text at .* 5 deltas"))
    ).to_be_visible()
    expect(wire.get_by_text("Attempt 1 · 429")).to_be_visible()
    row = wire.get_by_role("row", name=re.compile("max_tokens 60 max_completion_tokens"))
    expect(row).to_contain_text("refuse max_tokens")
    expect(wire.get_by_role("row", name=re.compile("top_k 40 not sent"))).to_be_visible()
    body = wire.get_by_role("region", name="Request body · attempt 2").inner_text()
    assert json.loads(body) == vendor.requests[1].json
    expect(wire.get_by_role("region", name="Response body · attempt 2")).to_contain_text("[DONE]")
    assert KEY not in wire.inner_text()

    press(notebook, "Escape")
    expect(wire).to_be_hidden()
    expect(answer).to_be_focused()


def test_the_menu_of_an_answer_has_wire_and_code(notebook, answer):
    answer.get_by_role("button", name="More for answer 1").click()
    notebook.page.get_by_role("menuitem", name="Code").click()

    code = notebook.page.get_by_role("dialog", name="Code")
    expect(code.get_by_text("Answer 1 · openai:gpt-4o")).to_be_visible()
    press(notebook, "ArrowRight")
    expect(code.get_by_role("tab", name="JavaScript")).to_be_focused()
    expect(code.get_by_role("tabpanel")).to_contain_text("import OpenAI from")
    press(notebook, "End")
    expect(code.get_by_role("tabpanel")).to_contain_text("curl")
    code.get_by_role("button", name="Copy code").click()
    expect(code.get_by_role("button", name="Copy code")).to_have_text("Copied")
    assert "Summarise the quarter." in clipboard(notebook)

    code.get_by_role("tab", name="Python").click()
    panel = code.get_by_role("tabpanel")
    expect(panel).to_contain_text("stream=True")
    code.get_by_role("button", name="Stream").click()
    expect(panel).not_to_contain_text("stream=True")
    code.get_by_role("button", name="Function").click()
    expect(panel).to_contain_text("def ask(")
    expect(code.get_by_role("button", name="Function")).to_be_focused()
    press(notebook, "Escape")


def test_letters_in_a_dialog_do_nothing_behind_it(notebook, answer):
    before = notebook.cells()
    press(notebook, "w")
    wire = notebook.page.get_by_role("dialog", name="Wire · answer 1")
    expect(wire.get_by_role("button", name="Refresh")).to_be_visible()
    wire.get_by_role("button", name="Refresh").focus()

    for key in ("x", "b", "h", "e", "Control+Enter"):
        press(notebook, key)

    expect(notebook.page.get_by_role("dialog")).to_have_count(1)
    assert notebook.cells() == before
    press(notebook, "Escape")


FILES = {
    "HTML": ("html", b"<!DOCTYPE html>"),
    "JSON": ("json", b"{"),
    "Markdown": ("md", b"# "),
    "notebook": ("ipynb", b"{"),
    "CSV": ("csv", b"run_id,"),
    "Parquet": ("parquet", b"PAR1"),
}


@pytest.mark.parametrize("name", FILES)
def test_an_export_is_a_file_with_a_good_name(notebook, answer, name):
    suffix, beginning = FILES[name]
    notebook.panel.get_by_role("button", name="Export").click()
    with notebook.page.expect_download() as waiting:
        notebook.page.get_by_role("menuitem", name=f"Download {name}").click()

    file = waiting.value
    assert re.fullmatch(rf"quarter 20\d\d-\d\d-\d\d \d{{4}}\.{suffix}", file.suggested_filename)
    content = file.path().read_bytes()
    assert content.removeprefix(b"\xef\xbb\xbf").startswith(beginning)
    assert b"Sales rose by four percent." in content


def test_an_export_is_copied_too(notebook, answer):
    notebook.panel.get_by_role("button", name="Export").click()
    notebook.page.get_by_role("menuitem", name="Copy Markdown").click()

    expect_said(notebook, "Copied.")
    assert "Sales rose by four percent." in clipboard(notebook)


def test_copy_as_cell_gives_the_cell_of_the_form_as_it_stands(notebook, answer):
    notebook.by("prompt").fill("Summarise {{n}} again.")
    notebook.panel.get_by_role("button", name="Copy as cell").click()

    expect_said(notebook, "Copied. Paste it into a cell.")
    assert clipboard(notebook) == (
        "%%llm -m openai:gpt-4o --max-tokens 60 --param top_k=40\nSummarise {{n}} again."
    )
    notebook.by("prompt").fill("Summarise {{n}}.")


def test_share_copies_the_code_that_opens_the_answers_again(notebook, answer):
    notebook.panel.get_by_role("button", name="Share").click()

    expect_said(notebook, "Copied lp.Playground(run=")
    shown = notebook.in_kernel(f"import llm_playground as lp; print({clipboard(notebook)}.prompt)")
    assert shown.strip() == "Summarise the quarter."
    expect(notebook.panel.get_by_text("Copied lp.Playground(run=")).to_be_hidden()


def test_save_as_says_which_version_it_is(notebook, answer):
    notebook.panel.get_by_role("button", name="Save as…").click()
    save = notebook.page.get_by_role("dialog", name="Save as")
    expect(save.get_by_role("combobox", name="Name")).to_have_value("quarter")
    save.get_by_role("textbox", name="Note").fill("first")
    press(notebook, "Enter")

    expect(save.get_by_text("Saved as quarter@1.")).to_be_visible()
    note = "(lp.prompt('quarter').note, str(lp.prompt('quarter')))"
    assert notebook.in_kernel(f"print({note})").strip() == "('first', 'Summarise {{n}}.')"
    save.get_by_role("combobox", name="Name").fill("a@b")
    press(notebook, "Enter")
    expect(save.get_by_role("alert")).to_contain_text("A prompt name is text without @")
    press(notebook, "Escape")


def test_h_finds_a_run_and_enter_opens_it_and_undo_takes_the_form_back(notebook, answer):
    # No model says this word; an answer that contained it would be found too.
    notebook.in_kernel("lp.ask('Something about zorvials.', 'local', max_tokens=4)")
    press(notebook, "h")
    history = notebook.page.get_by_role("dialog", name="History")
    search = history.get_by_role("combobox", name="Search the log")
    expect(search).to_be_focused()
    expect(history.get_by_role("option").nth(1)).to_be_visible()
    press(notebook, "ArrowDown")
    expect(history.get_by_role("option", selected=True)).to_contain_text("Summarise the quarter.")
    search.fill("ZORVIALS")
    expect(history.get_by_role("option")).to_have_count(1)
    press(notebook, "Enter")

    expect(history).to_be_hidden()
    expect(notebook.by("prompt")).to_have_value("Something about zorvials.")
    expect(notebook.by("max_tokens").first).to_have_value("4")
    opened = notebook.by("message")
    expect(opened).to_contain_text("Opened the Run of")
    expect(notebook.by("footer")).to_contain_text("free")

    opened.get_by_role("button", name="Undo").click()
    expect(notebook.by("prompt")).to_have_value("Summarise {{n}}.")
    notebook.expect_in_kernel("pg.max_tokens", "60")


def test_wire_of_a_run_opened_from_the_log_says_that_the_response_was_not_kept(notebook, answer):
    notebook.in_kernel("lp.ask('Something about quarvels.', 'local', max_tokens=4)")
    press(notebook, "h")
    history = notebook.page.get_by_role("dialog", name="History")
    history.get_by_role("combobox", name="Search the log").fill("quarvels")
    expect(history.get_by_role("option")).to_contain_text("quarvels")  # and there is only one
    press(notebook, "Enter")
    expect(history).to_be_hidden()
    expect(notebook.by("prompt")).to_have_value("Something about quarvels.")
    notebook.painted()
    notebook.by("pane").focus()
    press(notebook, "w")

    wire = notebook.page.get_by_role("dialog", name="Wire · answer 1")
    expect(wire.get_by_text("The response was not kept")).to_be_visible()
    expect(wire.get_by_role("region", name="Request body")).to_contain_text(
        "Something about quarvels."
    )
    press(notebook, "Escape")


def test_history_says_when_nothing_matches_and_when_the_log_cannot_be_read(notebook, answer):
    press(notebook, "h")
    history = notebook.page.get_by_role("dialog", name="History")
    history.get_by_role("combobox").fill("nothing like it")
    expect(
        history.get_by_text("Nothing matches. Texts older than 90 days are compressed")
    ).to_be_visible()
    history.get_by_role("button", name="Search them").click()
    expect(history.get_by_text("Nothing matches, not even in compressed texts.")).to_be_visible()

    notebook.in_kernel("log = os.environ['LLM_PLAYGROUND_LOG']")
    notebook.in_kernel("os.environ['LLM_PLAYGROUND_LOG'] = 'postgresql://127.0.0.1:1/none'")
    history.get_by_role("combobox").fill("x")
    expect(history.get_by_role("status")).to_contain_text(re.compile("127.0.0.1|Postgres", re.I))
    notebook.in_kernel("os.environ['LLM_PLAYGROUND_LOG'] = log")
    press(notebook, "Escape")
    expect(history).to_be_hidden()


def test_in_notebook_7_the_keys_open_the_tools_too(open_notebook, vendor):
    environment = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": f"{vendor.url}/v1"}
    cell = CELL.format(environment=environment, name="seven", prompt="Hello.")
    opened = open_notebook(cell, app="notebook")
    opened.run_cell(0)
    opened.by("run").click()
    expect(opened.by("footer")).to_contain_text("$")
    before = opened.cells()

    opened.panel.get_by_role("region", name="Answer 1").focus()
    press(opened, "w")
    expect(opened.page.get_by_role("dialog", name="Wire · answer 1")).to_contain_text("5 deltas")
    press(opened, "Escape")
    opened.panel.get_by_role("region", name="Answer 1").focus()
    press(opened, "h")
    expect(
        opened.page.get_by_role("dialog", name="History").get_by_role("option").first
    ).to_be_visible()
    press(opened, "Escape")
    assert opened.cells() == before

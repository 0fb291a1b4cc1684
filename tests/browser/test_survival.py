"""The person's work outlives the cell, the page, the connection and the kernel."""

import functools
import json
import os
import re
import secrets
import signal

import nbformat
import pytest
from nbconvert import HTMLExporter
from playwright.sync_api import expect

from tests.browser.pages import NotebookPage
from tests.browser.stories import BRIEF

STORY = "Tell me a long story about the sea."
WORDS = re.compile(r"\w+ \w+")
GONE = (
    "The kernel has stopped. These answers are saved; run this cell to continue without paying "
    "for them again."
)
KERNEL = "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel"
PLAYGROUND = """pg = lp.Playground({name!r}, models={model!r}, prompt='Say hello.', max_tokens=300)
pg"""
# Runs until a file is there.
WAITING = """import pathlib, time
while not pathlib.Path({file!r}).exists():
    time.sleep(0.05)"""


@pytest.fixture
def forgotten():
    """Keep drafts between panels, in place of the fixture that deletes them."""


@pytest.fixture
def opened(open_notebook, storyteller):
    """A notebook with a playground of a name of its own, executed once."""

    def open_one(*more, source=PLAYGROUND, model="ollama:brief", app="lab", width=1280):
        name = f"survival-{secrets.token_hex(3)}"
        cell = storyteller.setup + source.format(name=name, model=model)
        notebook = open_notebook(cell, *more, app=app, width=width)
        notebook.run_cell(0)
        expect(notebook.by("run")).to_be_visible()
        return notebook

    return open_one


@pytest.fixture
def open_slow(opened, story):
    """Opens a notebook whose model goes on until ``story.end()``."""
    return functools.partial(opened, model="ollama:story")


def draft_words(notebook):
    return notebook.by("draft")


def run(notebook, prompt):
    notebook.by("prompt").fill(prompt)
    notebook.by("run").click()


def ran(notebook, prompt="Say hello."):
    """As :func:`run`, to the end."""
    run(notebook, prompt)
    expect(notebook.by("footer")).to_contain_text("free ·")


def answer_of(notebook):
    """The first answer's text, once it has ended."""
    return notebook.in_kernel("print(pg.results.response_text[0])").strip()


def ids(notebook):
    return json.loads(notebook.in_kernel("print(pg.results.run_id.to_json(orient='values'))"))


def logged(notebook):
    """How many runs the log has of this notebook; others may still write theirs."""
    own = f"lp.runs().notebook.str.contains({notebook.name!r}, na=False)"
    return int(notebook.in_kernel(f"print(int({own}.sum()))"))


def restart(notebook):
    notebook.page.evaluate(
        "() => window.jupyterapp.shell.currentWidget.sessionContext.restartKernel()"
    )


def execute(notebook):
    """Execute the playground's cell once more, and wait for its new panel."""
    notebook.page.evaluate("() => document.querySelector('.llm-playground').dataset.old = '1'")
    notebook.start_cell(0)
    expect(notebook.page.locator(".llm-playground:not([data-old])")).to_be_visible()
    expect(notebook.page.locator(".llm-playground[data-old]")).to_have_count(0)


def copy_of(notebook):
    return notebook.page.locator("[data-llm=saved]")


def kept_in(saved):
    """The outputs of a saved notebook's first cell that have answers."""
    outputs = saved["cells"][0]["outputs"]
    return [output for output in outputs if "text/markdown" in output.get("data", {})]


def test_a_draft_survives_execution_restart_and_discarding(opened):
    notebook = opened()
    notebook.by("prompt").fill("Half a thought")
    expect(draft_words(notebook)).to_have_text("· draft saved")

    execute(notebook)
    expect(notebook.by("prompt")).to_have_value("Half a thought")
    expect(draft_words(notebook)).to_have_text(re.compile(r"· draft of .*\d\d:\d\d.* restored"))
    restart(notebook)
    execute(notebook)
    expect(notebook.by("prompt")).to_have_value("Half a thought")

    notebook.panel.get_by_role("button", name="Discard").click()
    expect(notebook.by("prompt")).to_have_value("Say hello.")
    notebook.panel.get_by_role("button", name="Undo").click()
    expect(notebook.by("prompt")).to_have_value("Half a thought")


def test_executed_again_it_shows_the_saved_answers_and_pays_nothing(opened):
    notebook = opened()
    ran(notebook)
    asked, count = ids(notebook), logged(notebook)

    restart(notebook)
    execute(notebook)

    expect(notebook.by("saved-line")).to_have_text(
        re.compile(r"1 saved answer from .*\d\d:\d\d.* · nothing paid")
    )
    expect(notebook.by("footer")).to_contain_text("free ·")
    assert ids(notebook) == asked
    assert logged(notebook) == count
    notebook.panel.get_by_role("button", name="Run fresh").click()
    expect(notebook.by("saved-line")).to_have_text("")
    expect(notebook.by("footer")).to_contain_text("free ·")
    assert ids(notebook) != asked


def test_the_saved_notebook_keeps_the_answers_and_the_page_shows_them_once(opened):
    notebook = opened()
    ran(notebook, "Say **hello**.")

    expect(copy_of(notebook)).to_have_count(1)
    expect(copy_of(notebook)).to_be_hidden()
    assert answer_of(notebook) == BRIEF
    saved = notebook.saved()
    [kept] = kept_in(saved)
    assert BRIEF in "".join(kept["data"]["text/html"])
    assert "<script" not in "".join(kept["data"]["text/html"])
    page, _ = HTMLExporter().from_notebook_node(nbformat.reads(json.dumps(saved), 4))
    assert BRIEF in page


def test_with_the_view_gone_the_copy_shows(opened):
    notebook = opened("pg.close()")
    ran(notebook)
    expect(copy_of(notebook)).to_have_count(1)
    expect(copy_of(notebook)).to_be_hidden()

    notebook.run_cell(1)

    expect(copy_of(notebook)).to_be_visible()
    expect(copy_of(notebook)).to_contain_text("Say hello.")


def test_reloaded_in_mid_stream_it_catches_up(open_slow, story):
    notebook = open_slow()
    run(notebook, STORY)
    expect(notebook.by("answer")).to_contain_text(WORDS)
    notebook.saved()

    notebook.load()

    expect(notebook.by("answer")).to_contain_text(WORDS)
    story.end()
    expect(notebook.by("footer")).to_contain_text("free ·")
    expect(notebook.by("answer")).to_have_text(answer_of(notebook))
    expect(notebook.by("prompt")).to_have_value(STORY)


def test_executed_again_in_mid_stream_the_answers_go_on(open_slow):
    notebook = open_slow()
    run(notebook, STORY)
    expect(notebook.by("answer")).to_contain_text(WORDS)
    count = logged(notebook)

    execute(notebook)

    expect(notebook.by("answer")).to_contain_text(WORDS)
    notebook.by("stop").click()
    expect(notebook.by("footer")).to_contain_text("stopped after")
    assert logged(notebook) == count


def test_a_kernel_killed_in_mid_stream_leaves_its_text(open_slow):
    notebook = open_slow()
    run(notebook, STORY)
    expect(notebook.by("answer")).to_contain_text(WORDS)
    pid = int(notebook.in_kernel("import os; print(os.getpid())"))
    own = f"lp.runs()[lambda runs: runs.notebook.str.contains({notebook.name!r}, na=False)]"
    notebook.expect_in_kernel(f"'wave 3' in ({own}.response_text.item() or '')", "True")

    os.kill(pid, signal.SIGKILL)

    expect(notebook.by("vitals")).to_have_text(GONE)
    expect(notebook.by("status")).to_have_text("Interrupted")
    notebook.page.wait_for_function(f"() => {KERNEL}.status === 'idle'")
    notebook.page.get_by_role("button", name="Ok", exact=True).click()
    execute(notebook)
    expect(notebook.by("status")).to_have_text("Interrupted")
    expect(notebook.by("answer")).to_contain_text(WORDS)
    expect(notebook.by("prompt")).to_have_value(STORY)
    assert notebook.in_kernel("print(pg.results.status[0])").strip() == "interrupted"


def test_after_the_connection_was_lost_it_catches_up(open_slow, story):
    notebook = open_slow()
    run(notebook, STORY)
    expect(notebook.by("answer")).to_contain_text(WORDS)

    notebook.page.evaluate(f"() => {KERNEL}._ws.close()")
    story.end()

    expect(notebook.by("footer")).to_contain_text("free ·")
    expect(notebook.by("answer")).to_have_text(answer_of(notebook))


def test_a_busy_kernel_is_shown_where_messages_wait_for_it(open_slow):
    file = f"go-on-{secrets.token_hex(4)}"
    notebook = open_slow(WAITING.format(file=file))
    notebook.page.evaluate(f"() => {{ {KERNEL}.commsOverSubshells = 'disabled'; }}")
    execute(notebook)
    run(notebook, STORY)
    expect(notebook.by("answer")).to_contain_text(WORDS)

    notebook.start_cell(1)

    expect(notebook.by("vitals")).to_contain_text("The kernel is running another cell.")
    (notebook.server.folder / file).touch()
    expect(notebook.by("vitals")).to_be_hidden()


def test_two_linked_playgrounds_have_one_prompt_in_the_browser_and_in_python(opened):
    source = PLAYGROUND + "\nother = lp.Playground({name!r} + '-b', models=['local'])\n"
    notebook = opened(
        "import ipywidgets, traitlets\n"
        "js = ipywidgets.jslink((pg, 'prompt'), (other, 'prompt'))\n"
        "py = traitlets.link((pg, 'iterations'), (other, 'iterations'))\n"
        "other",
        source=source + "pg",
    )
    notebook.run_cell(1)
    panels = notebook.page.locator(".llm-playground")
    expect(panels).to_have_count(2)

    panels.nth(0).locator("[data-llm=prompt]").fill("Both")
    expect(panels.nth(1).locator("[data-llm=prompt]")).to_have_value("Both")
    panels.nth(1).locator("[data-llm=iterations]").fill("3")
    expect(panels.nth(0).locator("[data-llm=iterations]")).to_have_value("3")
    notebook.expect_in_kernel("pg.prompt, other.prompt, pg.iterations", "('Both', 'Both', 3)")


def test_on_a_reloaded_page_the_notebook_keeps_the_new_answers(opened):
    notebook = opened()
    notebook.saved()
    notebook.load()
    expect(notebook.by("prompt")).to_have_value("Say hello.")

    ran(notebook, "Say goodbye.")

    expect(copy_of(notebook)).to_have_count(1)
    expect(copy_of(notebook)).to_be_hidden()
    [kept] = kept_in(notebook.saved())
    assert "Say goodbye." in "".join(kept["data"]["text/markdown"])


def test_a_colleague_is_offered_the_notebooks_answers_to_import(opened, server):
    whose = server.folder / secrets.token_hex(4)
    whose.write_text(str(server.folder / f"{whose.name}-mine"))
    theirs = f"import os; os.environ['LLM_PLAYGROUND_HOME'] = open({whose.name!r}).read()\n"
    source = theirs + PLAYGROUND
    notebook = opened(source=source)
    ran(notebook, "Say goodbye.")
    asked = ids(notebook)
    expect(copy_of(notebook)).to_have_count(1)
    notebook.saved()

    whose.write_text(str(server.folder / f"{whose.name}-theirs"))
    restart(notebook)
    execute(notebook)

    expect(notebook.by("saved-line")).to_contain_text("in this notebook, not in your log")
    expect(notebook.by("prompt")).to_have_value("Say goodbye.")
    assert logged(notebook) == 0
    notebook.panel.get_by_role("button", name="Import them").click()
    expect(notebook.by("saved-line")).to_contain_text("nothing paid")
    assert (logged(notebook), ids(notebook)) == (1, asked)


def test_two_views_of_one_widget_lose_no_run(opened):
    notebook = opened("pg")
    notebook.run_cell(1)
    panels = notebook.page.locator(".llm-playground")
    expect(panels).to_have_count(2)
    before = logged(notebook)

    for at in (0, 1):
        panels.nth(at).locator("[data-llm=run]").click()
        notebook.expect_ended(at + 1)
        expect(panels.nth(at).locator("[data-llm=footer]")).to_contain_text("free ·")
        expect(panels.nth(1 - at).locator("[data-llm=footer]")).to_contain_text("free ·")

    assert logged(notebook) == before + 2


UNNAMED = """pg = lp.Playground(models={model!r}, prompt='Say hello.', max_tokens=300)
pg"""


@pytest.mark.parametrize("app", ["lab", "notebook"])
def test_a_renamed_notebook_keeps_the_work_of_a_panel_without_a_name(opened, app):
    notebook = opened(source=UNNAMED, app=app)
    ran(notebook, "Say goodbye.")
    expect(draft_words(notebook)).to_have_text("· draft saved")
    expect(copy_of(notebook)).to_have_count(1)
    asked = ids(notebook)
    notebook.saved()
    notebook.rename()

    for _ in range(3):
        restart(notebook)
        execute(notebook)
        expect(notebook.by("prompt")).to_have_value("Say goodbye.")
        expect(notebook.by("saved-line")).to_contain_text("1 saved answer from")
        expect(copy_of(notebook)).to_be_hidden()
        assert ids(notebook) == asked
        [kept] = kept_in(notebook.saved())
        assert BRIEF in "".join(kept["data"]["text/html"])


HEIGHTS = """() => [...document.querySelectorAll(".jp-CodeCell")].map(cell => {
  const outputs = cell.querySelector(".jp-OutputArea");
  return [outputs.clientHeight, outputs.scrollHeight];
})"""
TALL_PX = 1_820  # above which Notebook 7 puts outputs into a box that scrolls
COMMAND = "name => window.jupyterapp.commands.execute(name)"
SAVE_WIDGETS = "@jupyter-widgets/jupyterlab-manager:saveWidgetState"
WIDGETS = "application/vnd.jupyter.widget-state+json"


def expect_whole(notebook):
    """The panel's cell is tall, and shows all of its height."""
    notebook.page.wait_for_function(f"() => ({HEIGHTS})()[0][1] > {TALL_PX}")
    notebook.painted()
    [shown_px, whole_px], *_ = notebook.page.evaluate(HEIGHTS)
    assert shown_px == whole_px


@pytest.mark.parametrize("app", ["lab", "notebook"])
def test_a_tall_panel_is_whole_also_on_a_reloaded_page(opened, app):
    notebook = opened("for i in range(300): print(i)", "", app=app, width=480)
    notebook.in_kernel("pg.iterations = 16")
    for _ in range(2):
        notebook.run_to_end()
        expect(copy_of(notebook)).to_have_count(1)
        expect_whole(notebook)
    if app == "notebook":  # outputs of others are put into a box as before
        notebook.run_cell(1)
        notebook.page.wait_for_function(f"() => ({HEIGHTS})()[1][0] < 400")

    notebook.saved()
    notebook.load()
    expect(notebook.by("run")).to_be_visible()
    expect_whole(notebook)
    notebook.page.locator(".jp-CodeCell .cm-content").first.click()
    notebook.page.evaluate(COMMAND, "notebook:enable-output-scrolling")
    notebook.page.wait_for_function(f"() => ({HEIGHTS})()[0][0] < 400")


@pytest.fixture
def widgets_saved():
    """``widgets_saved(notebook)`` lets notebooks be saved with the state of their widgets."""
    pages = []

    def start(notebook):
        notebook.page.evaluate(COMMAND, SAVE_WIDGETS)
        pages.append(notebook.page)

    yield start
    for page in pages:
        page.evaluate(COMMAND, SAVE_WIDGETS)


@pytest.mark.parametrize("app", ["lab", "notebook"])
def test_a_notebook_saved_with_its_widgets_shows_the_answers_and_what_to_do(
    opened, widgets_saved, app
):
    notebook = opened(app=app)
    widgets_saved(notebook)
    ran(notebook, "Say goodbye.")
    expect(copy_of(notebook)).to_have_count(1)

    states = notebook.saved()["metadata"]["widgets"][WIDGETS]
    assert len(json.dumps(states)) < 4_000
    assert "Say goodbye." not in json.dumps(states)
    notebook.shut_down()
    notebook.load()

    expect(notebook.page.locator("[data-llm=vitals]")).to_have_text(
        "Saved answers. The kernel has stopped; run this cell to go on, nothing is paid again."
    )
    expect(copy_of(notebook)).to_be_visible()
    expect(copy_of(notebook)).to_contain_text(BRIEF)
    execute_first(notebook)
    expect(notebook.by("saved-line")).to_contain_text("1 saved answer from")
    expect(copy_of(notebook)).to_be_hidden()


def execute_first(notebook):
    """Execute the cell of a page that has no panel yet."""
    notebook.start_cell(0)
    expect(notebook.by("run")).to_be_visible()


@pytest.mark.parametrize("app", ["lab", "notebook"])
def test_two_windows_of_one_notebook_show_and_send_one_form(opened, app):
    notebook = opened(app=app)
    ran(notebook)
    notebook.saved()
    other = NotebookPage(notebook.page.context.new_page(), notebook.server, app, notebook.name)
    other.load()
    expect(other.by("prompt")).to_have_value("Say hello.")
    expect(other.by("footer")).to_contain_text("free ·")

    other.by("prompt").click()
    other.page.keyboard.press("Home")
    notebook.by("prompt").click()
    notebook.page.keyboard.press("Control+End")
    notebook.page.keyboard.type(" And then", delay=20)
    other.page.keyboard.type("Please: ", delay=20)
    for one in (other, notebook):
        expect(one.by("prompt")).to_have_value("Please: Say hello. And then")
    other.page.keyboard.press("Control+Home")
    for _ in "Please: ":
        other.page.keyboard.press("ArrowRight")
    notebook.page.keyboard.type(" goodbye.")
    expect(other.by("prompt")).to_have_value("Please: Say hello. And then goodbye.")
    other.page.keyboard.type("do. ")  # the caret stayed where it was
    other.by("iterations").fill("2")
    expect(notebook.by("iterations")).to_have_value("2")

    notebook.by("run").click()
    for one in (other, notebook):
        expect(one.by("footer")).to_have_count(2)
        expect(one.by("prompt")).to_have_value("Please: do. Say hello. And then goodbye.")
    sent = "lp.runs(limit=2).user_prompt.tolist()"
    notebook.expect_in_kernel(f"set({sent})", "{'Please: do. Say hello. And then goodbye.'}")


# Presses Stop all, and gives how many ms it took until the page said that it has stopped.
STOPPED_AFTER_MS = """() => new Promise((resolve, reject) => {
  setTimeout(() => reject(Error("it did not stop")), 60000);
  const begun = performance.now();
  const status = document.querySelector(".llm-playground [data-llm=status]");
  const look = () => {
    if (status.textContent === "Stopped") resolve(performance.now() - begun);
  };
  new MutationObserver(look).observe(status, {childList: true, characterData: true, subtree: true});
  document.querySelector(".llm-playground [data-llm=stop]").click();
})"""


def test_in_jupyterlab_stop_works_at_once_while_a_cell_runs(open_slow):
    notebook = open_slow("import threading; threading.Event().wait()")
    notebook.start_cell(1)
    took = []
    while len(took) < 10 and min(took, default=1_000) >= 1_000:  # others may have the machine
        expect(notebook.by("run")).to_have_attribute("aria-disabled", "false")
        run(notebook, STORY)
        growing = notebook.panel.locator("[data-llm=pane][data-state=running]")
        expect(growing.locator("[data-llm=answer]")).to_contain_text(WORDS)
        took.append(notebook.page.evaluate(STOPPED_AFTER_MS))

    expect(notebook.page.locator(".jp-InputPrompt").nth(1)).to_have_text("[*]:")
    assert min(took) < 1_000

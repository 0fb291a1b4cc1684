"""A provider limits the rate: who sits before the panel need not wait as long as it says."""

import re
from dataclasses import replace

import pytest
from playwright.sync_api import expect

from tests.browser.test_looks import DARK, LIGHT, NARROW, TOO_FAINT, picture, use_theme
from tests.providers.formats import openai_stream
from tests.providers.server import Reply, WireServer, json_reply

LIMITED = json_reply(429, {"error": {"message": "Slow down."}}, {"retry-after": "90"})
ANSWER = Reply(openai_stream(["Here ", "it ", "is."]))
PLAYGROUND = """import os, llm_playground as lp
os.environ |= {{"OPENAI_API_KEY": "none", "OPENAI_BASE_URL": "{url}/v1"}}
lp.configure(retry={{"max_wait_s": 300, "total_s": 600}})
pg = lp.Playground(models=["openai:gpt-4o"], prompt="Wait.", n=2)
pg"""
NEXT_TRY = re.compile(r"OpenAI(?: at \S+)? limits the rate \(429\).* Next try in 9\d s, 2 of 5\.")


@pytest.mark.parametrize(("theme", "width"), [(LIGHT, 1280), (DARK, NARROW)])
def test_retry_now_ends_the_wait_of_one_answer(open_notebook, theme, width):
    with WireServer([LIMITED, LIMITED, ANSWER]) as server:
        notebook = open_notebook(PLAYGROUND.format(url=server.url), app="notebook", width=width)
        notebook.page.set_viewport_size({"width": width, "height": 1400})
        use_theme(notebook, theme)
        notebook.run_cell(0)
        notebook.by("run").click()
        first, second = (notebook.by("pane").nth(at) for at in (0, 1))
        for pane in (first, second):
            expect(pane).to_contain_text(NEXT_TRY)
            expect(pane).to_contain_text("nothing billed yet")
            status = pane.locator("[data-llm=status]")
            assert status.evaluate("one => one.scrollWidth <= one.clientWidth")
        picture(notebook, f"waiting-{width}")
        assert notebook.page.evaluate(TOO_FAINT) == []
        button = first.get_by_role("button", name="Retry now")

        button.focus()
        notebook.page.keyboard.press("Enter")

        expect(first).to_contain_text("Here it is.")
        expect(button).to_be_hidden()
        expect(first).to_be_focused()
        expect(second.get_by_role("button", name="Retry now")).to_be_visible()

        second.focus()
        notebook.page.keyboard.press("r")

        expect(second).to_contain_text("Here it is.")
        expect(notebook.by("stop")).to_be_hidden()
        assert len(server.requests) == 4


def test_a_wait_below_what_is_seen_is_on_the_page_too(open_notebook):
    with WireServer([LIMITED, replace(LIMITED, delay_s=0.25)]) as server:
        notebook = open_notebook(PLAYGROUND.format(url=server.url), app="notebook")
        notebook.page.set_viewport_size({"width": 1280, "height": 300})
        notebook.run_cell(0)
        expect(notebook.by("run")).to_be_attached()

        notebook.in_kernel("pg.run()")

        for at in (0, 1):
            expect(notebook.by("pane").nth(at)).to_contain_text(NEXT_TRY)
        notebook.in_kernel("pg.stop()")

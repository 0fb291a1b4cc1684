"""A person sees what Run costs before pressing it, and decides."""

# ruff: noqa: RUF001 - the multiplication sign is what people read
import re
import threading

import pytest
from playwright.sync_api import expect

from tests.browser.stories import Held
from tests.budgeting.client import KEY, PRICES
from tests.providers.formats import openai_stream
from tests.providers.server import Reply, WireServer

PLAYGROUND = """import llm_playground as lp
lp.configure(prices={prices}, confirm_above_usd=1, log='price.duckdb')
pg = lp.Playground(models=['openai:any'], prompt='Name three things.')
pg.max_tokens = 100
pg"""
WORDS = [f"word{number} " for number in range(40)]
# The second click comes as soon as the button asks, as that of a double click may.
CLICK_TWICE = """run => new Promise(done => {
  const asks = new MutationObserver(() => {
    asks.disconnect();
    run.click();
    done();
  });
  asks.observe(run, {childList: true});
  run.focus();
  run.click();
})"""


@pytest.fixture(scope="module")
def vendor():
    """A token of an answer costs a tenth of a cent; an answer has fifty, and ends when it may."""
    usage = {"prompt_tokens": 7, "completion_tokens": 50, "total_tokens": 57}
    may_end = threading.Event()
    answer = Reply(Held(openai_stream(WORDS, usage=usage), may_end), pause_s=0.02)
    with WireServer(answer) as server:
        server.may_end = may_end
        may_end.set()
        yield server


def opened_in(app, open_notebook, vendor):
    notebook = open_notebook(PLAYGROUND.format(prices=PRICES), app=app)
    notebook.in_kernel(
        f"import os; os.environ['OPENAI_API_KEY'] = {KEY!r}\n"
        f"os.environ['OPENAI_BASE_URL'] = {vendor.url + '/v1'!r}"
    )
    notebook.run_cell(0)
    return notebook


@pytest.fixture(scope="module")
def opened(open_notebook, vendor):
    return opened_in("lab", open_notebook, vendor)


@pytest.fixture
def notebook(opened, vendor):
    """The same panel with nothing asked, no budget, one call."""
    opened.in_kernel(
        "for _ in lp.budgets().itertuples(): lp.set_budget(None, period=_.period)\n"
        "pg.stop(); pg.results\n"
        "lp.configure(prices={'deepseek:*': None})\n"
        "pg.models = ['openai:any']; pg.prompt = 'Name three things.'; pg.iterations = 1"
    )
    expect(opened.by("price")).to_have_text("1 call · about $0.1000, at most $0.1000")
    vendor.may_end.set()
    vendor.requests.clear()
    return opened


def set_budget(notebook, limit_usd):
    """In a cell, as a person would."""
    notebook.in_kernel(f"lp.set_budget({limit_usd}, period='total')")


def test_the_price_follows_while_a_prompt_is_typed(notebook):
    notebook.in_kernel("article = 'news ' * 100")
    price = notebook.by("price")

    notebook.by("iterations").fill("3")
    expect(price).to_have_text("3 calls · about $0.3000, at most $0.3000")
    notebook.in_kernel("pg.models = ['openai:any', 'local']")
    expect(price).to_have_text("2 models × 3 = 6 calls · about $0.3000, at most $0.3000")
    notebook.by("prompt").fill("Summarise {{articel}}")
    expect(price).to_have_text("")
    expect(notebook.panel.get_by_role("alert")).to_have_text(
        "{{articel}} is not defined. Run the cell that defines it, or type a value. "
        r"To send the braces as they are, write \{{articel}}."
    )
    notebook.by("prompt").fill("Summarise {{article}}")

    expect(price).to_have_text("2 models × 3 = 6 calls · about $0.3000, at most $0.3000")
    expect(notebook.panel.get_by_role("alert")).to_have_text("")


def test_what_could_cost_much_is_sent_by_a_second_press_only(notebook, vendor):
    run = notebook.by("run")
    notebook.by("iterations").fill("11")
    expect(notebook.by("price")).to_have_text("11 calls · about $1.10, at most $1.10")

    run.click()

    expect(run).to_have_text("Run · up to $1.10")
    expect(notebook.by("price")).to_have_text("Press again to send 11 calls")
    assert vendor.requests == []
    run.press("Escape")
    expect(run).to_have_text("Run")
    expect(run).to_be_focused()

    run.click()
    expect(run).to_have_text("Run · up to $1.10")
    notebook.by("prompt").fill("Another prompt.")
    expect(run).to_have_text("Run")
    assert vendor.requests == []

    run.evaluate(CLICK_TWICE)
    expect(run).to_have_text("Run · up to $1.10")
    assert vendor.requests == [], "a double click is one press"
    run.press("Escape")
    notebook.page.keyboard.press("Control+Enter")
    expect(run).to_have_text("Run · up to $1.10")
    expect(run).to_have_attribute("aria-disabled", "false")
    vendor.may_end.clear()
    notebook.page.keyboard.press("Control+Enter")
    expect(notebook.by("pane")).to_have_count(11)
    notebook.by("stop").click()
    expect(notebook.by("stop")).to_be_hidden()


def test_over_a_budget_the_calls_that_fit_are_sent(notebook, vendor):
    notebook.by("iterations").fill("6")
    set_budget(notebook, "lp.costs().cost_usd.sum() + 0.25")
    price = notebook.by("price")
    expect(price).to_have_text(
        re.compile(r"^Fits 2 of 6 calls: \$0\.2500 of \$\d\.\d+ left in total$")
    )
    expect(price).to_have_attribute("data-tone", "red")

    notebook.panel.get_by_role("button", name="Run 2").click()

    expect(notebook.by("pane")).to_have_count(2)
    for at in (0, 1):
        expect(notebook.by("footer").nth(at)).to_contain_text("$0.0500")
    assert len(vendor.requests) == 2


def test_a_budget_is_overridden_with_a_reason_and_never_without(notebook, vendor):
    notebook.by("iterations").fill("3")
    set_budget(notebook, "lp.costs().cost_usd.sum() + 0.15")
    override = notebook.panel.get_by_role("button", name="Override…")
    override.click()
    reason = notebook.panel.get_by_role("textbox", name="Reason for the override")
    expect(reason).to_be_focused()

    reason.press("Enter")
    expect(notebook.panel.get_by_role("alert").filter(has_text="Enter a reason.")).to_be_visible()
    reason.press("Escape")
    expect(reason).to_be_hidden()
    expect(override).to_be_focused()
    assert vendor.requests == []

    override.click()
    reason.fill("the report is due")
    reason.press("Enter")
    expect(notebook.by("pane")).to_have_count(3)
    expect(notebook.by("footer").last).to_contain_text("$0.0500")
    audited = "lp.sql(\"SELECT detail FROM audit_log WHERE action = 'override_budget'\")"
    notebook.expect_in_kernel(
        f"{audited}.detail.str.contains('the report is due').any().item()", "True"
    )


def test_try_one_sends_the_first_call_alone(notebook, vendor):
    notebook.in_kernel("pg.models = ['openai:any', 'local']; pg.iterations = 3")
    one = notebook.panel.get_by_role("button", name="Try one")
    expect(one).to_have_attribute(
        "title", "Ctrl+Shift+Enter · any once · about $0.1000, at most $0.1000"
    )

    notebook.by("prompt").press("Control+Shift+Enter")

    expect(notebook.by("pane")).to_have_count(1)
    expect(notebook.by("footer")).to_contain_text("$0.0500")
    assert len(vendor.requests) == 1


def test_while_it_runs_the_cost_is_counted_and_then_compared_with_the_estimate(notebook, vendor):
    vendor.may_end.clear()
    head = notebook.panel.locator(".llm-progress")
    notebook.in_kernel("pg.iterations = 2")

    notebook.by("run").click()

    expect(head).to_have_text(
        re.compile(r"2 calls · 2 streaming · \$0\.[01]\d+ so far, at most \$0\.2000")
    )
    vendor.may_end.set()
    expect(head).to_have_text(
        re.compile(r"2 answers · \$0\.1000 \(estimate \$0\.\d+\) · [\d.]+ (s|min)")
    )


def test_a_price_that_nobody_knows_is_set_in_the_panel(notebook):
    notebook.in_kernel("pg.models = ['deepseek:nobody-knows']")
    price = notebook.by("price")
    expect(price).to_have_text("1 call · price unknown")
    opener = notebook.panel.get_by_role("button", name="Set price").first
    opener.click()
    dialog = notebook.panel.get_by_role("dialog", name="Set price")
    expect(dialog.get_by_role("textbox", name="Input")).to_be_focused()

    notebook.page.keyboard.type("1")
    notebook.page.keyboard.press("Enter")
    expect(dialog.get_by_role("alert")).to_have_text(
        "Output must be a number of US dollars, 0 or more."
    )
    notebook.page.keyboard.type("2,5")
    expect(dialog.locator("code")).to_have_text(
        'lp.configure(prices={"deepseek:nobody-knows": '
        '{ "input_usd_per_mtok": 1, "output_usd_per_mtok": 2.5}})'
    )
    notebook.page.keyboard.press("Enter")

    expect(dialog).to_be_hidden()
    expect(price).to_have_text("1 call · about $0.0003, at most $0.0004")
    expect(notebook.by("run")).to_be_focused()


def test_in_notebook_7_keys_try_one_ask_and_take_back(open_notebook, vendor):
    notebook = opened_in("notebook", open_notebook, vendor)
    vendor.requests.clear()
    prompt, run = notebook.by("prompt"), notebook.by("run")
    prompt.press("Control+Shift+Enter")
    expect(notebook.by("footer")).to_contain_text("$0.0500")
    assert len(vendor.requests) == 1

    notebook.by("iterations").fill("11")
    expect(notebook.by("price")).to_have_text("11 calls · about $1.10, at most $1.10")
    notebook.by("iterations").press("Control+Enter")
    expect(run).to_have_text("Run · up to $1.10")
    notebook.page.keyboard.press("Escape")
    expect(run).to_have_text("Run")

    expect(notebook.by("iterations")).to_be_focused()
    assert len(vendor.requests) == 1

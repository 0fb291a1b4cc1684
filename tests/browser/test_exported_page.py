"""Exported HTML in a browser: it requests nothing, runs nothing, and is readable everywhere."""

from pathlib import Path

import pytest

import llm_playground as lp
from llm_playground.parts import AudioPart, ImagePart, TextPart, ToolCall
from llm_playground.runlog import open_log
from tests.browser import answers
from tests.browser.axe import violations
from tests.exporting import everything
from tests.exporting.shelf import run
from tests.reports.shelf import add

SCREENSHOTS = Path(__file__).parent / "screenshots"
EVIL = (
    "</script><script>window.stolen = 1</script><img src=x onerror='window.stolen = 1'>\n\n"
    "[x](javascript:window.stolen=1) ![y](http://evil.example/y.png)\n\n"
    "\0\u202etxet neddih \ud800 שלום עולם\n\n" + "w" * 3_000
)
REPORT = (
    "# Sales\n\nThey rose **4 %**, see [the report](https://example.com/).\n\n"
    "```python\nx = 1  # one\n```\n\n| region | sales |\n|---|--:|\n| north | 1,200 |\n\n"
    "The rate is $r = \\frac{n}{b}$.\n\n> quoted `code`\n\n\u05e9\u05dc\u05d5\u05dd"
)
WATCH = """
window.seen = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.seen.push(`${event.violatedDirective}: ${event.blockedURI}`));
"""


@pytest.fixture
def log(tmp_path, monkeypatch):
    url = str(tmp_path / "log" / "runs.duckdb")
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", url)
    log = open_log(url)
    yield log
    log.close()


@pytest.fixture
def opened(browser, tmp_path):
    """Opens exported runs; fails at their end if a page requested or executed anything."""
    pages, noted = [], []

    def open_one(runs, **context):
        path = tmp_path / f"{len(pages)}.html"
        lp.export(runs, path=path)
        page = browser.new_context(**context).new_page()
        page.add_init_script(WATCH)
        page.on("request", lambda request: noted.append(request.url))
        page.on("console", lambda message: noted.append(message.text))
        page.on("pageerror", lambda error: noted.append(str(error)))
        page.on("dialog", lambda dialog: noted.append(dialog.message))
        page.goto(path.as_uri())
        pages.append(page)
        return page

    yield open_one
    for page in pages:
        noted += [*page.evaluate("window.seen"), page.evaluate("window.stolen")]
        page.context.close()
    others = [one for one in noted if one and not str(one).startswith(("file:", "data:"))]
    assert others == []
    assert sum(str(one).startswith("file:") for one in noted) == len(pages)


def report(log):
    """Runs as people have them: a comparison, pictures, tools, a failure, every folded part."""
    fair = tuple(TextPart(one) if isinstance(one, str) else one for one in answers.FAIR)
    text = "".join(one for one in answers.FAIR if isinstance(one, str))
    everything.fill(log)
    known = {"question": "Summarise the sales.", "system": "Be brief."}
    add(log, text=REPORT, model="openai:gpt-x", reasoning="First the table.", **known)
    add(log, text="They rose.", model="anthropic:claude-x", finish_reason="length", **known)
    add(log, text="", status="failed", error=lp.RateLimitError("Too many."), cost_usd=None, **known)
    add(log, text=text, parts=fair, sources=answers.SOURCES, question="How high?")
    wave = b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x40\x1f\0\0\1\0\x08\0data\0\0\0\0"
    add(log, text="Hi.", parts=(TextPart("Hi."), AudioPart("audio/wav", wave, "Hi.")))
    return lp.runs().sort_values("run_id")


def test_hostile_runs_request_and_execute_nothing(log, opened):
    parts = tuple(TextPart(one) if isinstance(one, str) else one for one in answers.HOSTILE)
    call = ToolCall("c", EVIL, EVIL)
    runs = [
        run(parts=parts, sources=tuple(answers.hostile_sources())),
        run(EVIL, parts=(TextPart(EVIL), call), tool_calls=(call,), reasoning=EVIL),
        add(log, text=EVIL, question=EVIL, system=EVIL, notebook=EVIL, model=f"openai:{EVIL}"),
        add(log, text="x", parts=(ImagePart("image/svg+xml", answers.SVG.encode()),)),
    ]
    page = opened(runs)
    for fold in page.locator("details").all():
        fold.evaluate("fold => { fold.open = true; }")
    for width in (360, 1400):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("article").count() == 4
    for link in page.locator("a[href^=javascript], a[href^='data:text']").all():
        raise AssertionError(link.get_attribute("href"))


def test_the_policy_of_the_page_refuses_scripts_and_requests(log, browser, tmp_path):
    path = tmp_path / "changed.html"
    html = lp.export(add(log), "html")
    added = "<script>window.stolen = 1</script><img src='http://evil.example/x.png'></body>"
    path.write_text(html.replace("</body>", added), "utf-8")
    page = browser.new_context().new_page()
    page.add_init_script(WATCH)
    page.goto(path.as_uri())
    assert page.evaluate("window.stolen") is None
    assert [one.partition(":")[0] for one in page.evaluate("window.seen")] == [
        "script-src-elem",
        "img-src",
    ]
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_is_readable_on_every_screen_and_for_axe(log, opened, node_modules, scheme):
    page = opened(report(log), color_scheme=scheme)
    for width in (360, 800, 1400):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert violations(page, node_modules) == []
        SCREENSHOTS.mkdir(exist_ok=True)
        page.screenshot(path=SCREENSHOTS / f"exported-{width}-{scheme}.png", full_page=True)


def test_everything_is_open_and_dark_on_white_in_print(log, opened):
    page = opened(report(log), color_scheme="dark")
    folded = page.get_by_text("First the table.")
    assert not folded.is_visible()
    page.emulate_media(media="print")
    assert folded.is_visible()
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"

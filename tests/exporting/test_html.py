"""Runs as one HTML page: what it holds, what it never holds, and that it needs nothing else."""

import base64
import re
from decimal import Decimal

import pytest

import llm_playground as lp
from llm_playground.exporting import html_document
from llm_playground.exporting.records import Exported
from llm_playground.parts import ImagePart, Source, TextPart, ToolCall, ToolResult
from llm_playground.types import Message, Parameters, Request
from tests.exporting import everything, shelf
from tests.exporting.pages import Page
from tests.exporting.shelf import HOSTILE, KEY, run
from tests.reports.shelf import add
from tests.runlog.actors import record

PIXEL = f"data:image/png;base64,{base64.b64encode(everything.PIXEL).decode()}"
NEVER = {"script", "iframe", "object", "embed", "form", "input", "base", "link", "svg", "video"}


def page(runs):
    """The page of runs, which has only tags, attributes and addresses that do no harm."""
    html = lp.export(runs, "html")
    found = Page(html)
    assert not NEVER & set(found.tags)
    assert not [name for name, _ in found.attributes if name.startswith("on")]
    for address in found.values("src"):
        assert address.startswith(("data:image/", "data:audio/"))
    for address in found.values("href"):
        assert re.match(r"(https?|mailto):|#|data:application/octet-stream;base64,", address)
    ids = found.values("id")
    assert len(ids) == len(set(ids))
    assert {one[1:] for one in found.values("href") if one.startswith("#")} <= set(ids)
    assert found.values("content")[0] == html_document.POLICY
    return found


def test_a_page_has_all_that_is_known_of_each_run(log):
    everything.fill(log)
    shelf.fill(log)
    frame = lp.runs().sort_values("run_id")
    found = page(frame)
    assert found.values("id").count("run-14") == 1
    for run_id in frame.run_id:
        assert run_id in found.text
    for said in (
        *("14 runs of", "Be brief.", "And in Rome?", "2 earlier messages", "temperature 0.2"),
        *("rain.csv (text/csv), 16 B", "Oslo,12", "Called weather", '"city"', "Result of weather"),
        *(
            "Too many.",
            "Hm.",
            "cut off",
            "failed",
            "reused, saved $0.2500",
            "$123456.123456789012",
            "-1.5",
        ),
        *("a b.ipynb", "y,z", "2026-03-31 12:00:00 UTC", "m-1"),
    ):
        assert said in found.text, said
    assert found.values("src") == [PIXEL]
    assert found.values("download") == ["rain.csv"]


def test_runs_of_one_prompt_share_its_messages_and_are_compared(log):
    runs = [
        add(log, model="openai:gpt-x", cost_usd=Decimal("0.25"), question="Why?"),
        add(log, model="anthropic:claude-x", cost_usd=Decimal("0.50"), question="Why?"),
        add(log, model="anthropic:claude-x", cost_usd=None, question="Why?"),
    ]
    found = page(runs)
    assert found.tags.count("article") == 3
    assert found.values("class").count("message") == 1
    assert found.tags.count("table") == 2  # of models, of runs
    assert "$0.7500 and 1 unpriced" in found.text
    assert page(runs[0]).tags.count("table") == 0


def test_a_page_of_one_prompt_has_it_as_its_title(log):
    found = page(add(log, question="Why\nis the sky blue?"))
    assert found.text.lstrip().startswith("Why is the sky blue?")
    assert "No runs" in page([]).text


def test_answers_are_shown_as_in_the_panel_with_their_sources(log):
    text = "# Far\n\nIt is **far**.\n\n| a |\n|---|\n| 1 |\n\n$\\frac{1}{2}$ `x`"
    place = text.index(".") + 1
    found = page(
        run(text, sources=(Source("Moon", "https://example.com/moon", cited_at=(place,)),))
    )
    assert {"h1", "strong", "table", "math", "code"} <= set(found.tags)
    assert "https://example.com/moon" in found.values("href")
    assert "#run-1-source-1" in found.values("href")


def test_calls_of_tools_and_pictures_of_an_answer(log):
    asked = Request("openai:gpt-x", (Message("user", (TextPart("Draw."),)),))
    parts = (TextPart("Here."), ImagePart("image/png", everything.PIXEL))
    drawn = record(log, asked, text="Here.", parts=parts)
    call = ToolCall("c", "look", '{"at": "<b>"}')
    called = record(log, asked, text="", parts=(call,), tool_calls=(call,))
    found = page([drawn, called])
    assert found.values("src") == [PIXEL]
    assert ("Called look" in found.text, '"<b>"' in found.text) == (True, True)


def test_a_failed_tool_is_marked(log):
    messages = (
        Message("user", (TextPart("Go."),)),
        Message("assistant", (ToolCall("c", "look", "{}"),)),
        Message("tool", (ToolResult("c", "look", "it broke", is_error=True),)),
    )
    found = page(record(log, Request("openai:gpt-x", messages, Parameters())))
    assert "Result of look: failed" in found.text


@pytest.mark.parametrize(
    "evil",
    [
        HOSTILE,
        "</script><script>alert(1)</script>",
        "</style></title><img src=x onerror=alert(1)>",
        "[x](javascript:alert(1)) ![y](https://example.com/y.png) <a href='data:text/html,x'>z</a>",
        '" onload="alert(1)',
        "\0\x1b[2J\u202eevil\u2066 \ud800 שלום",
        "``` \n</code></pre></article><meta http-equiv=refresh>\n```",
    ],
)
def test_no_text_has_an_effect(log, evil):
    call = ToolCall("c", evil, evil)
    known = {"reasoning": evil, "notebook": evil, "user": evil, "tags": (evil,)}
    kept = add(log, text=evil, question=evil, system=evil, model=f"openai:{evil}", **known)
    failed = add(log, status="failed", text="", error=lp.RateLimitError(evil), question=evil)
    bare = run(evil, parts=(call,), tool_calls=(call,), sources=(Source(evil, evil, evil),))
    found = page([kept, failed, bare])
    assert "\0" not in found.text
    lp.export([kept, failed, bare], "html").encode()  # no lone surrogates


def test_no_key_is_in_a_page(log):
    known = {"reasoning": KEY, "notebook": KEY, "tags": (KEY,)}
    kept = add(log, text=f"It is {KEY}.", question=KEY, system=KEY, **known)
    call = ToolCall("c", "look", f'{{"key": "{KEY}"}}')
    for runs in (
        kept,
        run(KEY, parts=(call,), tool_calls=(call,), sources=(Source(KEY, KEY, KEY),)),
    ):
        assert KEY not in lp.export(runs, "html")


def test_what_was_not_stored_or_was_removed_is_said(log):
    everything.fill(log)
    frame = lp.runs().assign(user_prompt=None, system_prompt=None, response_text=None, parts=None)
    found = page(frame)
    assert found.text.count("The text of the prompt is not stored") == found.tags.count("section")
    assert "The text of the answer is not stored" in found.text
    assert "Oslo" not in found.text
    assert found.values("src") == []


def test_without_texts_in_the_log_a_page_has_none(log):
    lp.configure(privacy="metrics")
    add(log, text="a secret answer", question="a secret question")
    found = page(lp.runs())
    assert "secret" not in found.text
    assert "not stored" in found.text


def test_media_beyond_the_limit_are_named(log, monkeypatch):
    everything.fill(log)
    monkeypatch.setattr(html_document, "MAX_MEDIA_BYTES", 1)
    found = page(lp.runs())
    assert (found.values("src"), found.values("download")) == ([], [])
    assert "Picture (image/png), not kept here" in found.text
    assert "rain.csv (text/csv), not kept here" in found.text


def test_a_page_is_made_section_by_section(log):
    rows = Exported.of([run("x" * 1_000) for _ in range(300)])
    rows = Exported([row | {"user_prompt": f"p{n}"} for n, row in enumerate(rows.rows)])
    pieces = list(html_document.pieces(rows))
    assert max(map(len, pieces[2:])) < sum(map(len, pieces)) / 4
    assert '<body class="long">' in "".join(pieces[:2])


def test_the_file_is_named_by_its_suffix(log, tmp_path):
    path = tmp_path / "answers.html"
    text = lp.export(add(log, text="é 日本"), path=path)
    assert path.read_bytes() == text.encode()
    assert text.startswith("<!DOCTYPE html>")

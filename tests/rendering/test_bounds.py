"""HTML is bounded by its Markdown, nothing is lost beyond a limit, formulas keep to their line."""

import html
import re
from datetime import UTC, datetime
from functools import partial

import pytest

from llm_playground.rendering import answers, pages, run_to_html, to_html
from llm_playground.rendering.markdown import FREE_HTML_CHARS, MAX_HTML_PER_CHAR
from llm_playground.rendering.streaming import GrowingAnswer
from llm_playground.types import Parameters, Run

SIZE = 12_000  # characters of each attack
RUN = partial(Run, "a", "b", "c", 1, "local:x", "local", datetime.now(UTC), Parameters())
NOTE = "The rest is shown as plain text"


def times(piece, size=SIZE):
    return (piece * (size // len(piece) + 1))[:size]


def table(columns, rows):
    return f"|{'a|' * columns}\n|{'-|' * columns}\n" + "|\n" * rows + "\n"


LONG = "https://example.com/" + "y" * (SIZE // 2)
ATTACKS = {
    "references": f"[a]: {LONG}\n\n" + times("[a] ", SIZE // 2),
    "full references": f"[a]: {LONG}\n\n" + times("[b][a] ", SIZE // 2),
    "references in paragraphs": f"[a]: {LONG}\n\n" + times("[a]\n\n", SIZE // 2),
    "titles": f'[a]: http://b "{"y" * (SIZE // 2)}"\n\n' + times("[a] ", SIZE // 2),
    "images": f"[a]: {LONG}\n\n" + times("![a] ", SIZE // 2),
    "references in lists": f"[a]: {LONG}\n\n" + times("- [a]\n", SIZE // 2),
    "references in a table": f"[a]: {LONG}\n\n|x|\n|-|\n" + times("|[a]|\n", SIZE // 2),
    "definitions": times("[a]: https://b\n"),
    "one wide table": table(256, 256),
    "many wide tables": times(table(100, 100)),
    "a table in a quotation": "> " + table(200, 300).replace("\n", "\n> "),
    "quotations": times(">" * 19 + "\n\n"),
    "more quotations": times(">" * 60 + "a\n\n"),
    "lists": times("- " * 15 + "a\n"),
    "alternating lists": times("-\n+\n"),
    "emphasis": times("**a *b "),
    "nested emphasis": "*" * (SIZE // 2) + "a" + "*" * (SIZE // 2),
    "brackets": "[" * (SIZE // 2) + "a" + "]" * (SIZE // 2),
    "images in images": times("![", SIZE // 2) + times("]()", SIZE // 2),
    "automatic links": times("<https://a.b>"),
    "addresses of mail": times("<a@b>"),
    "web addresses": times("http://a "),
    "www addresses": times("www.a "),
    "addresses that are none": times("http://a@"),
    "tags": times("<u>"),
    "pairs of tags": times("<u><b>a</u></b>"),
    "nested tags": times("<u><b>", SIZE // 2) + times("</b></u>", SIZE // 2),
    "breaks": times("<br>"),
    "lines": times("a\n"),
    "right-to-left cells": times("|\N{HEBREW LETTER ALEF}|\n|-|\n|\N{HEBREW LETTER ALEF}|\n\n"),
    "right-to-left lists": times("- \N{HEBREW LETTER ALEF}\n"),
    "JSON": "[" + times("1,"),
    "lines of JSON": times("{}\n"),
    "deep JSON": '{"a":' * (SIZE // 10) + "}" * (SIZE // 10),
    "environments": times(r"\begin{a}"),
    "ended environments": times("\\begin{cases}1\\end{cases}\n\n"),
    "entities": times("&amp;"),
    "characters as entities": times("<>&\"'"),
    "headings": times("#\n"),
    "rules": times("***\n"),
    "fences": times("```\n```\n"),
    "code": times("```python\n" + "=1" * 40 + "\n```\n"),
    "formulas": times("$x$"),
    "matrices": times(r"$\begin{cases}&&&&&&&&\end{cases}$"),
    "arrows": times(r"$\xrightarrow[a]b$"),
    "long addresses": "[a](https://b/" + "\N{GRINNING FACE}" * SIZE + ")",
    "empty lines": "\n" * SIZE,
}


def streamed(text, pieces=40):
    growing, size = GrowingAnswer(), len(text) // pieces + 1
    for begin in range(0, len(text), size):
        growing.feed(text[begin : begin + size])
        growing.update()
    last = growing.finish()
    return "".join(growing.snapshot().blocks), last.whole and "".join(last.whole)


@pytest.mark.parametrize("text", ATTACKS.values(), ids=ATTACKS)
def test_html_is_at_most_a_multiple_of_its_markdown(text):
    limit = MAX_HTML_PER_CHAR * len(text) + FREE_HTML_CHARS
    whole, (blocks, last) = to_html(text), streamed(text)

    assert len(whole) <= limit
    assert len(blocks) <= limit
    assert (blocks if last is None else last) == whole
    assert len(pages.to_html(answers.blocks([text], (), "", pages.PAGE))) <= limit
    assert whole.count(NOTE) <= 1


def test_what_exceeds_the_limit_is_plain_text_and_said_once():
    text = f"# Title\n\n*before*\n\n[a]: {LONG}\n\n" + times("[a] ") + "\n\n*after* it\n\n*last*\n"

    rendered = to_html(text)

    assert rendered.startswith("<h1>Title</h1>\n<p><em>before</em></p>\n<p>The rest is shown")
    assert rendered.count(NOTE) == 1
    assert html.unescape(rendered).count("[a]") == text.count("[a]") - 1, "without the definition"
    assert "<pre><code>*after* it</code></pre>\n<pre><code>*last*</code></pre>" in rendered


@pytest.mark.parametrize("short", [f"[a]: {'https://b/' + 'c' * 90}\n\n" + "See [a]. " * 200])
def test_an_ordinary_answer_of_many_links_keeps_them(short):
    rendered = to_html(short)

    assert rendered.count("<a href=") == 200
    assert NOTE not in rendered


def test_a_table_with_short_rows_stays_a_table():
    rendered = to_html("|a|b|c|\n|-|-|-|\n|1|\n|2|3|\n\n" + table(20, 40))

    assert rendered.count("<table>") == 2
    assert rendered.count("<tr>") == 3 + 41


def words(number):
    return [f"w{each}w" for each in range(number)]


DEEP = {
    "list": lambda depth: "".join(f"{'  ' * i}- w{i}w\n" for i in range(depth)),
    "ordered": lambda depth: "".join(f"{'   ' * i}1. w{i}w\n" for i in range(depth)),
    "loose": lambda depth: "".join(f"{'  ' * i}* w{i}w\n\n" for i in range(depth)),
    "quotation": lambda depth: "".join(f"{'>' * (i + 1)} w{i}w\n" for i in range(depth)),
    "mixed": lambda depth: "".join(f"{'> - ' * (i + 1)}w{i}w\n" for i in range(depth)),
    "one line": lambda depth: "- " * depth + " ".join(words(depth)),
    "with code": lambda depth: "> " * depth + "```\n" + "> " * depth + " ".join(words(depth)),
    "heading": lambda depth: "- " * depth + "# " + " ".join(words(depth)),
    "table": lambda depth: (
        ">" * depth + "a|b\n" + ">" * depth + "-|-\n" + ">" * depth + "|".join(words(depth)[:2])
    ),
}


@pytest.mark.parametrize("depth", [1, 9, 10, 11, 19, 20, 21, 60, 200])
@pytest.mark.parametrize("nested", DEEP.values(), ids=DEEP)
def test_nothing_in_or_after_a_deep_list_is_dropped(nested, depth):
    text = f"{nested(depth)}\n\nafter it\n"

    rendered, (blocks, last) = to_html(text), streamed(text)

    assert [word for word in re.findall(r"w\d+w", text) if word not in rendered] == []
    assert "<p>after it</p>" in rendered
    assert (blocks if last is None else last) == rendered


def test_twenty_levels_of_lists_are_lists():
    assert to_html(DEEP["list"](20)).count("<ul>") == 20
    assert to_html(DEEP["quotation"](40)).count("<blockquote>") == 40


@pytest.mark.parametrize(
    "latex",
    [
        *(r"\hspace{50em}x", r"\hspace{-5em}x", r"\mspace{-99mu}x", r"\kern-3em x"),
        *(r"\hskip-3em x", r"\raisebox{3em}{x}", r"\raisebox{-3em}{x}", r"\!" * 100 + "x"),
        *(r"\raisebox{.9em}{" * 20 + "x" + "}" * 20, r"\genfrac(){99em}{0}{a}{x}"),
        *(r"\rule{99em}{99em}x", r"\smash{x}", r"\rlap{x}", r"\llap{x}", r"\mathllap{x}"),
        *(r"\vphantom{\rule{1em}{99em}}x", r"\Huge x", r"\moveleft3em x", r"\raise3em x"),
        "x" + "\N{COMBINING ACUTE ACCENT}" * 50,
        r"\text{x" + "\N{COMBINING LONG SOLIDUS OVERLAY}" * 50 + "}",
    ],
)
@pytest.mark.parametrize(
    "place", ["a ${}$ b", "$$\n{}\n$$", r"\({}\)", "- ${}$", "|a|\n|-|\n|${}$|"]
)
def test_nothing_in_a_formula_moves_beyond_its_line(place, latex):
    rendered = to_html(place.replace("{}", latex))

    assert "x" in rendered
    assert not re.search(r'="-|voffset| style=|scriptlevel="-', rendered)
    lengths = re.findall(r'(?:width|height|depth|space|size|thickness)="([\d.]+)em"', rendered)
    assert all(float(length) < 10 for length in lengths)
    assert not re.search("<math>.*[\u0300-\u036f]{4}", rendered)


@pytest.mark.parametrize("latex", [r"\quad", r"\,x", r"\hspace{2em}x", r"\hat{\bar{x}}", r"\not="])
def test_ordinary_space_and_marks_stay(latex):
    assert "<math>" in to_html(f"${latex}$")


@pytest.mark.parametrize("depth", [1, 50, 200, 400])
def test_data_that_indenting_would_multiply_is_shown_as_it_was_written(depth):
    text = "[" * depth + "1" + "]" * depth
    data = 1
    for _ in range(depth):
        data = [data]

    rendered = run_to_html(RUN(text=text, data=data))

    assert len(rendered) <= MAX_HTML_PER_CHAR * len(text) + FREE_HTML_CHARS
    shown = html.unescape(re.sub("<[^>]*>", "", rendered))
    assert re.sub(r"\s", "", shown).count("[" * depth + "1" + "]" * depth) == 1

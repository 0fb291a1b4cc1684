"""What a saved notebook keeps of a playground: readable anywhere, harmless, small, importable."""

import json
import re

import nbconvert
import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

import llm_playground as lp
from llm_playground import redaction
from llm_playground.exporting import formats
from llm_playground.exporting.formats import MIME_TYPE
from llm_playground.exporting.notebook_output import MAX_BYTES, mime_bundle
from llm_playground.exporting.row_checks import check_rows
from llm_playground.exporting.rows import plain_row, plain_rows
from llm_playground.runlog import open_log
from tests.exporting.pages import Page
from tests.exporting.shelf import HOSTILE, KEY, run
from tests.reports.shelf import add

FORM = {
    "prompt": "Summarise {{article}}",
    "system": "Be brief.",
    "models": ["openai:gpt-x", "anthropic:claude-x"],
    "parameters": {"temperature": 0.2, "top_p": None},
    "preset": "precise",
    "iterations": 2,
}
EVIL = (
    "<script>alert(1)</script>",
    "</pre></details></div><img src=x onerror=alert(1)>",
    "![x](https://example.com/pixel.png)",
    "[x](javascript:alert(1)) <a href='data:text/html,x'>x</a>",
    '"><iframe src="https://example.com"></iframe>',
    "<style>@import 'https://example.com/a.css'</style><svg onload=alert(1)>",
    "``` \n</code></pre><script>alert(1)</script>\n```",
    "<!-- --><base href='https://example.com'><meta http-equiv=refresh>",
)
OWN = {"div", "h3", "p", "em", "strong", "pre", "table", "thead", "tbody", "tr", "th", "td"}
OWN |= {"details", "summary", "small", "br"}
OF_ANSWERS = {"h1", "h2", "h3", "h4", "h5", "h6", "hr", "blockquote", "code", "ul", "ol", "li"}
OF_ANSWERS |= {"s", "a", "span", "u", "sub", "sup", "kbd", "mark", "small"}
ATTRIBUTES = {"style", "open", "href", "title", "rel", "class", "start", "dir"}
ATTRIBUTES |= {"role", "aria-label", "tabindex"}  # of the frame of a table
STYLES = {
    *("white-space:pre-wrap;overflow-wrap:anywhere", "overflow-x:auto;max-width:100%"),
    *("text-align:left", "text-align:center", "text-align:right", "padding:0 2em"),
    *("margin:0 0 8px;overflow-wrap:normal;word-break:normal",),
    "border-left:0;border-right:5px solid #9e9e9e",
}


def harmless(html):
    page = Page(html)
    assert page.declarations == []
    assert set(page.tags) <= OWN | OF_ANSWERS
    for name, value in page.attributes:
        assert name in ATTRIBUTES
        if name == "style":
            assert value in STYLES
        if name == "href":
            assert re.match(r"(https?|mailto):", value)
        if name == "class":
            assert re.fullmatch(r"(tok|language)-[\w.+#-]+", value)
    return page


def several():
    return [
        run("**Sales** rose.", "openai:gpt-x", parameters=lp.Parameters(temperature=0.2)),
        run("Revenue grew.", "anthropic:claude-x", cost_usd=None),
        run("", "anthropic:claude-x", status="failed", error=lp.RateLimitError("Too many.")),
    ]


def test_every_form_tells_name_prompts_settings_answers_and_what_they_cost():
    bundle = mime_bundle("invoice-summary", FORM, several())
    assert bundle.keys() == {"text/plain", "text/markdown", "text/html", MIME_TYPE}
    texts = {
        "html": harmless(bundle["text/html"]).text,
        "markdown": bundle["text/markdown"].replace("\\", ""),
        "plain": bundle["text/plain"],
    }
    for form, text in texts.items():
        for said in (
            *("invoice-summary", "Summarise {{article}}", "Be brief.", "precise", "temperature"),
            *("openai:gpt-x", "anthropic:claude-x", "Too many.", "0.2"),
            *("$0.0005 · 1.9 s · 195 tokens", "price unknown · 1.9 s", "2026-03-31 12:00:00 UTC"),
        ):
            assert said in text, (form, said)
        assert "top_p" not in text  # automatic: not set
        assert ("Revenue grew." in text) is (form != "plain"), form
    assert "<strong>Sales</strong> rose." in bundle["text/html"]


def test_several_answers_are_compared_in_a_table_and_one_is_not():
    head = "<th>cost</th><th>time</th><th>tokens</th>"
    assert head in mime_bundle("x", FORM, several())["text/html"]
    assert head not in mime_bundle("x", FORM, several()[:1])["text/html"]
    assert (
        "| answer | model | ended | cost | time | tokens |"
        in (mime_bundle("x", FORM, several())["text/markdown"])
    )


def test_without_answers_or_a_name_it_says_what_to_do():
    bundle = mime_bundle(None, {}, [])
    for form in ("text/html", "text/markdown", "text/plain"):
        assert "Playground" in bundle[form]
        assert "No answers yet. Run this cell to ask." in bundle[form]
    assert bundle[MIME_TYPE]["runs"] == []


def test_an_answer_that_is_data_is_shown_in_lines():
    text = '{"a_b_c": "*x*", "n": 1.10}'
    shown = '{\n  "a_b_c": "*x*",\n  "n": 1.10\n}\n'
    assert shown in harmless(mime_bundle("x", {}, [run(text)])["text/html"]).text
    assert "<em>x</em>" not in mime_bundle("x", {}, [run(text)])["text/html"]


@pytest.mark.parametrize(
    "answer",
    [
        r"One half is $\frac{1}{2}$ and *not* $a_1 * b_2 * c$.",
        "$$\nx^2 \\\\ y_1\n$$\n\nand so on",
        r"\(x^2\) or \[\sum_{i=1}^n i\]",
        "It costs $5 to $10, $x^2$ in all.",
        "[a](https://example.com/$x^2$) is $x^2$",
        "```bash\necho $$ $x$\n```\n$x^2$\n```bash\necho $$\n```",
        "> $$x^2\n> y$$",
    ],
)
def test_formulas_stay_as_they_were_written(answer):
    page = harmless(mime_bundle("x", {}, [run(answer)])["text/html"])
    said = "".join(page.text.split())
    for formula in re.findall(r"\$[^$ ]+\$|\\\(.+\\\)|\\\[.+\\\]", answer):
        assert "".join(formula.split()) in said


def test_two_amounts_are_not_the_ends_of_a_formula():
    row = {**plain_row(run()), "error_message": "$0.0151 of $50.00 left."}
    html = mime_bundle("x", {}, [row])["text/html"]
    assert "<span>$</span>0.0151 of <span>$</span>50.00 left." in html
    known = run('It costs $5 to $10, [a](https://example.com/$1 "$2 > $3"), and $x^2$ of `$7 $8`.')
    html = mime_bundle("x", {}, [known])["text/html"]
    assert "It costs <span>$</span>5 to <span>$</span>10, " in html
    assert "and $x^2$ of" in html
    assert 'href="https://example.com/$1" title="$2 > $3"' in html.replace("&gt;", ">")
    assert "$7 $8" in harmless(html).text


@pytest.mark.parametrize("evil", EVIL)
def test_nothing_hostile_becomes_markup(evil):
    form = {"prompt": evil, "system": evil, "models": [evil], "preset": evil, "iterations": evil}
    form["parameters"] = {evil: evil}
    error = lp.RateLimitError(evil)
    bundle = mime_bundle(
        evil, form, [run(evil, evil), run(evil, evil, status="failed", error=error)]
    )
    page = harmless(bundle["text/html"])
    assert not {"src", "onerror", "onload"} & {name for name, _ in page.attributes}
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(bundle["text/markdown"])
    inside = [child for token in tokens for child in token.children or ()]
    assert not {one.type for one in [*tokens, *inside]} & {
        *("html_block", "html_inline", "image", "link_open"),
    }


@settings(max_examples=150)
@given(
    st.text(max_size=80), st.text(alphabet="<>&\"'`*_[](){}!|#-=+~$\\\n a/:;\0\ud800", max_size=80)
)
def test_whatever_is_said_the_page_is_whole(one, other):
    form = {"prompt": one, "system": other, "models": [one], "parameters": {other: one}}
    bundle = mime_bundle(other, form, [run(one, other), run(other, one)])
    harmless(bundle["text/html"])
    assert json.loads(json.dumps(bundle)) == bundle  # what a notebook file can hold
    "".join(map(str, bundle.values())).encode()


def test_no_key_is_in_any_form():
    redaction.remember("opensesame12")
    for secret in (KEY, "opensesame12"):
        form = dict.fromkeys(("prompt", "system", "preset"), secret) | {"models": [secret]}
        form["parameters"] = {"stop": [secret]}
        known = run(secret, f"x:{secret}", error=lp.RateLimitError(secret))
        bundle = json.dumps(mime_bundle(secret, form, [known]))
        assert secret not in bundle
        assert "[redacted]" in bundle


class TestSize:
    def size(self, bundle):
        return max(
            len(json.dumps(bundle[MIME_TYPE], **options).encode())
            for options in ({}, {"indent": 1}, {"indent": 1, "ensure_ascii": False})
        )

    @pytest.mark.parametrize("text", ["word ", "日", "🎈", '"', "\0", "\n", "&<"])
    def test_long_texts_are_cut_and_say_how_much_is_missing(self, text):
        long = run(text * 400_000)
        bundle = mime_bundle("x", {}, [long, run("short")])
        assert MAX_BYTES * 0.9 < self.size(bundle) <= MAX_BYTES
        kept, short = (row["response_text"] for row in bundle[MIME_TYPE]["runs"])
        [missing] = re.findall(r"… \[([\d,]+) more characters are not kept in the notebook\]", kept)
        shown = kept.partition("… [")[0]
        assert len(shown) + int(missing.replace(",", "")) == len(long.text)
        assert long.text.startswith(shown)
        assert short == "short"

    def test_the_page_is_cut_with_them(self):
        bundle = mime_bundle("x", {"prompt": "p" * 10**6}, [run("word " * 400_000)])
        assert len(bundle["text/html"]) < 3 * MAX_BYTES
        assert "more characters are not kept" in bundle["text/html"]
        assert "more characters are not kept" in bundle["text/markdown"]

    @pytest.mark.parametrize("most", [0, 100, 5_000, 40_000])
    def test_what_does_not_fit_at_all_is_left_out_and_counted(self, most):
        runs = [run(f"answer {number}") for number in range(60)]
        bundle = mime_bundle("x", {}, runs, max_bytes=most)
        kept = bundle[MIME_TYPE]["runs"]
        assert [row["run_id"] for row in kept] == [one.id for one in runs[: len(kept)]]
        assert len(kept) < 60
        assert not kept or self.size(bundle) <= most
        assert f"{60 - len(kept)} more answers are not kept in the notebook." in bundle["text/html"]

    @pytest.mark.parametrize("text", ["short", "long " * 400])
    def test_the_work_grows_with_the_number_of_answers(self, monkeypatch, text):
        measured = []
        document = formats.json_document
        monkeypatch.setattr(
            formats, "json_document", lambda rows: measured.extend(rows) or document(rows)
        )
        runs = [run(text) for _ in range(80)]
        for most in (20_000, 120_000, 10**6):
            mime_bundle("x", {}, runs, max_bytes=most)
            assert len(measured) <= 4 * len(runs)
            measured.clear()

    def test_an_answer_made_of_empty_cells_does_not_grow_without_end(self):
        table = "|" * 3_000 + "\n" + "|-" * 3_000 + "\n" + "x\n" * 20_000
        bundle = mime_bundle("x", {}, [run(table), run("> " * 40_000), run("*a" * 40_000)])
        harmless(bundle["text/html"])
        assert len(bundle["text/html"]) < 12 * MAX_BYTES

    def test_a_key_at_the_cut_does_not_show_its_beginning(self):
        text = f"{'x ' * 130_000}{KEY} {'x ' * 130_000}"
        for most in range(250_000, 280_000, 3_000):
            assert "planted" not in json.dumps(mime_bundle("x", {}, [run(text)], max_bytes=most))


class TestNotebooks:
    def converted(self, form, runs):
        bundle = mime_bundle("invoice </h3>", form, runs)
        output = nbformat.v4.new_output("display_data", data=bundle)
        cell = nbformat.v4.new_code_cell("pg", outputs=[output])
        notebook = nbformat.v4.new_notebook(cells=[cell])
        nbformat.validate(notebook)
        return notebook, bundle

    @pytest.mark.parametrize("theme", ["light", "dark"])
    def test_nbconvert_shows_it(self, theme):
        notebook, bundle = self.converted(FORM, [*several(), run(HOSTILE)])
        exporter = nbconvert.HTMLExporter(theme=theme, sanitize_html=False)
        html, _ = exporter.from_notebook_node(notebook)
        shown, whole = (
            Page(bundle["text/html"]),
            Page(html[html.index("<body") :].replace("</html>", "")),
        )
        assert set(shown.tags) <= set(whole.tags)
        assert " ".join(shown.text.split()) in " ".join(whole.text.split())
        assert "<script>alert(1)" not in html
        assert "Revenue grew." in html

    def test_a_sanitising_reader_keeps_all_that_is_said(self):
        notebook, _ = self.converted(FORM, several())
        html, _ = nbconvert.HTMLExporter(sanitize_html=True).from_notebook_node(notebook)
        for said in ("Summarise {{article}}", "Revenue grew.", "$0.0005 · 1.9 s · 195 tokens"):
            assert said in re.sub(r"<[^>]+>", "", html)

    def test_markdown_shows_it(self):
        notebook, _ = self.converted(FORM, several())
        del notebook.cells[0].outputs[0].data["text/html"]
        text, _ = nbconvert.MarkdownExporter().from_notebook_node(notebook)
        assert "#### 1 · openai:gpt-x" in text


class TestRuns:
    def test_they_are_what_is_imported(self):
        bundle = mime_bundle("x", FORM, several())
        rows = check_rows(bundle[MIME_TYPE]["runs"])
        assert [row["response_text"] for row in rows] == ["**Sales** rose.", "Revenue grew.", ""]
        assert {(row["user_prompt"], row["system_prompt"]) for row in rows} == {
            ("Summarise {{article}}", "Be brief.")
        }

    def test_rows_of_the_log_tell_all_that_the_log_knows(self, monkeypatch, new_url):
        monkeypatch.setenv("LLM_PLAYGROUND_LOG", new_url("duckdb"))
        kept = add(open_log(), user="eve", question="What was sent?")
        bundle = mime_bundle("x", FORM, plain_rows([kept]))
        exported = json.loads(lp.export(kept))
        assert bundle[MIME_TYPE]["runs"] == exported["runs"]
        assert bundle[MIME_TYPE]["runs"][0]["user_prompt"] == "What was sent?"

    def test_the_log_is_not_asked(self, monkeypatch, tmp_path):
        place = tmp_path / "log" / "runs.duckdb"
        monkeypatch.setenv("LLM_PLAYGROUND_LOG", str(place))
        mime_bundle("x", FORM, several())
        assert not place.parent.exists()

"""Line breaks, harmless tags of HTML, and addresses in the text of an answer."""

# ruff: noqa: RUF001 - letters and punctuation of other scripts

import re

import pytest

from llm_playground.rendering import to_html
from tests.rendering.safety import faults

POEM = "The sea is wide,\nthe sea is deep.\n\nMr. Smith\n12 High Street\nLeeds"


def test_lines_stay_lines():
    assert to_html(POEM) == (
        "<p>The sea is wide,<br>\nthe sea is deep.</p>\n"
        "<p>Mr. Smith<br>\n12 High Street<br>\nLeeds</p>\n"
    )
    assert to_html("> A: Hi.\n> B: Hello.\n\n- one\n  two") == (
        "<blockquote>\n<p>A: Hi.<br>\nB: Hello.</p>\n</blockquote>\n"
        "<ul>\n<li>one<br>\ntwo</li>\n</ul>\n"
    )


TAGS = {
    "a<br>b": "a<br>\nb",
    "a<br/>b<BR />c": "a<br>\nb<br>\nc",
    "a<br>\nb": "a<br>\nb",
    "H<sub>2</sub>O, x<sup>2</sup>": "H<sub>2</sub>O, x<sup>2</sup>",
    "<b>a</b> <i>b</i> <u>c</u> <del>d</del>": "<strong>a</strong> <em>b</em> <u>c</u> <s>d</s>",
    "<kbd>Ctrl</kbd>+<kbd>C</kbd> <mark>x</mark>": "<kbd>Ctrl</kbd>+<kbd>C</kbd> <mark>x</mark>",
    "<code>a*b*&lt;</code>": "<code>a*b*&lt;</code>",
    "<b>**a**</b>": "<strong><strong>a</strong></strong>",
    "<b>open": "&lt;b&gt;open",
    "close</b>": "close&lt;/b&gt;",
    "<b>a<i>b</b>": "<strong>a&lt;i&gt;b</strong>",
    "use the <div> tag": "use the &lt;div&gt; tag",
    "<b onclick=x>a</b>": "&lt;b onclick=x&gt;a&lt;/b&gt;",
    "`<br>`": "<code>&lt;br&gt;</code>",
    "<sup>[1]</sup>": "<sup>[1]</sup>",
}


@pytest.mark.parametrize(("text", "html"), TAGS.items(), ids=TAGS)
def test_harmless_tags_have_their_effect_and_others_are_text(text, html):
    assert to_html(text) == f"<p>{html}</p>\n"


def test_a_break_in_a_cell_is_one_and_columns_keep_their_alignment():
    html = to_html("| a | b |\n|:-:|--:|\n| x<br>y | <b>z</b> |")

    assert '<td align="center">x<br>\ny</td>\n<td align="right"><strong>z</strong></td>' in html


ADDRESSES = {
    "See https://example.com/a_b__c__d.": "https://example.com/a_b__c__d",
    "(https://example.com/a_(b))": "https://example.com/a_(b)",
    "https://example.com/?q=a,b;c!": "https://example.com/?q=a,b;c",
    "访问https://example.com/文档。然后": "https://example.com/文档",
    "请访问 https://example.com，谢谢": "https://example.com",
    "访问https://example.com获取更多": "https://example.com",
    "访问https://example.com/docs获取更多": "https://example.com/docs",
    "**https://example.com/a**次": "https://example.com/a",
    "<b>https://example.com/a</b>": "https://example.com/a",
    "“https://example.com/a”": "https://example.com/a",
    "http://localhost:8888/lab?a=1#b": "http://localhost:8888/lab?a=1#b",
    "www.example.com/a, or": "www.example.com/a",
    "mail jane.doe@example.com.": "jane.doe@example.com",
    "https://github.com/x/__init__.py": "https://github.com/x/__init__.py",
    "https://аpple.com/": "https://аpple.com/",
    "<https://xn--pple-43d.com/>": "https://xn--pple-43d.com/",
    "https://example.com: a site": "https://example.com",
    "راجع https://example.com/a، ثم": "https://example.com/a",
}


@pytest.mark.parametrize(("text", "shown"), ADDRESSES.items(), ids=ADDRESSES)
def test_an_address_becomes_a_link_that_is_shown_as_written(text, shown):
    html = to_html(text)
    links = re.findall(r'<a href="([^"]*)" rel="noopener noreferrer nofollow">([^<]*)</a>', html)

    assert [text for _, text in links] == [shown]
    assert faults(html) == []


@pytest.mark.parametrize(
    "text",
    [
        *(
            "readme.md",
            "node.js",
            "example.com",
            "git@github.com:owner/repo.git",
            "ftp://example.com",
        ),
        *("http://", "https:// x", "xhttp://example.com", "https://user@evil.example/", "//a.b"),
        *(
            "https://user:pass@evil.example/",
            "https://user:1@evil.example",
            "javascript://a.b/%0Ax",
        ),
        *(
            "`https://example.com`",
            "postgres://me@example.com",
            "www.",
            "a@b",
            "file:///etc/passwd",
        ),
        "https://" + "a" * 2_500,
    ],
)
def test_what_is_no_web_address_is_no_link(text):
    assert "<a " not in to_html(text)


def test_a_link_is_not_put_into_a_link():
    html = to_html(
        "[https://example.com](https://example.com/b) [see www.example.com](https://a.b)"
    )

    assert html.count("<a ") == 2
    assert (
        '<a href="https://example.com/b" rel="noopener noreferrer nofollow">https://example.com</a>'
        in html
    )

"""Answers as HTML."""

import re

import pytest

from llm_playground import rendering

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](data:text/html,<script>1</script>)",
    "![x](https://example.com/leak.png)",
    "![x][r]\n\n[r]: https://example.com/leak.png",
    "<svg/onload=alert(1)>",
    "</script><script>alert(1)</script>",
    "<style>@import 'https://example.com/x.css';</style>",
    "`<img src=x onerror=1>`",
    "```<script>\n</script>\n```",
    '<a href="https://example.com" onclick="x()">x</a>',
    '<https://example.com/?a="><img src=x>',
    "| a |\n|---|\n| <iframe src=//example.com> |",
]


@pytest.mark.parametrize("answer", HOSTILE)
def test_a_hostile_answer_keeps_no_active_element(answer):
    html = rendering.to_html(answer)

    elements = set(re.findall(r"<\s*([a-zA-Z]+)", html))
    attributes = set(re.findall(r"\s([a-zA-Z-]+)=\"", re.sub(r">[^<]*<", "><", html)))
    assert elements <= {"p", "code", "pre", "a", "table", "thead", "tbody", "tr", "th", "td"}
    assert attributes <= {"href", "rel", "class", "title"}
    assert not re.search(r"href=\"(?!https?:|mailto:)", html)


def test_markdown_is_rendered():
    html = rendering.to_html("# Title\n\n- *a*\n- **b**\n\n```python\nx\n```")

    assert "<h1>Title</h1>" in html
    assert "<em>a</em>" in html
    assert '<code class="language-python">' in html


def test_a_running_answer_is_escaped_text():
    assert "<script>" not in rendering.to_plain_html("<script>")

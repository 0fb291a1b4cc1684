"""A complete answer as HTML, and a text that is shown as it is."""

from __future__ import annotations

from html import escape

from llm_playground.redact import redact
from llm_playground.render import markdown as markdown_
from llm_playground.render.sanitising import sanitised


def to_html(markdown: str) -> str:
    r"""Sanitised HTML of a Markdown text, with formulas as MathML and code in colours.

    >>> to_html("**bold** <script>alert(1)</script>")
    '<p><strong>bold</strong> &lt;script&gt;alert(1)&lt;/script&gt;</p>\n'
    >>> to_html("![logo](https://example.com/a.png)")
    '<p><a href="https://example.com/a.png" rel="noopener noreferrer nofollow">logo</a></p>\n'
    >>> to_html("$5 and $10, but $x$")
    '<p>$5 and $10, but <math><mi>x</mi></math></p>\n'
    """
    return sanitised(markdown_.tokens(redact(markdown), {}))


def to_plain_html(text: str) -> str:
    """Text as it is, escaped, with its line breaks; what a running answer is shown as.

    >>> to_plain_html("a < b")
    '<div style="white-space:pre-wrap;overflow-wrap:anywhere">a &lt; b</div>'
    """
    return f'<div style="white-space:pre-wrap;overflow-wrap:anywhere">{escape(redact(text))}</div>'

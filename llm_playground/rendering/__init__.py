"""Answers as safe HTML: no scripts, no style sheets, nothing loaded from elsewhere, no keys.

Raw HTML in Markdown is escaped, apart from a few harmless tags, images become links (a remote image
is a leak without a click), and only the allow-listed tags and attributes of ``rendering.markdown``
remain. Pictures of an answer are shown from their bytes (``rendering.media``). Code is highlighted
in the kernel. Formulas are MathML in the panel and LaTeX in cells' outputs (``rendering.pages``).
Keys that an answer repeats are redacted, because outputs are saved with the notebook.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from itertools import groupby

from llm_playground import footer
from llm_playground._validation import shorten
from llm_playground.parts import AnswerPart
from llm_playground.redaction import printable, redact
from llm_playground.rendering import answers, pages, parts
from llm_playground.rendering.markdown import Answer, render_blocks
from llm_playground.types import Run

_MAX_HEADING_CHARS = 60  # of the prompt
_PRE_WRAP = "white-space:pre-wrap;overflow-wrap:anywhere"
_HAIRLINE = "1px solid var(--jp-border-color2,#e0e0e0)"
_HEAD = f"font-weight:600;padding-bottom:4px;border-bottom:{_HAIRLINE};overflow-wrap:anywhere"
_FOOTER = "color:var(--jp-ui-font-color2,#616161);font-size:12px;font-variant-numeric:tabular-nums"


def to_html(markdown: str) -> str:
    r"""Sanitised HTML of a Markdown text, with MathML formulas and highlighted code.

    >>> to_html("**bold** <script>alert(1)</script>")
    '<p><strong>bold</strong> &lt;script&gt;alert(1)&lt;/script&gt;</p>\n'
    >>> to_html("![logo](https://example.com/a.png)")
    '<p><a href="https://example.com/a.png" rel="noopener noreferrer nofollow">logo</a></p>\n'
    >>> to_html("$5 and $10, but $x$")
    '<p>$5 and $10, but <math><mi>x</mi></math></p>\n'
    """
    return "".join(render_blocks(redact(markdown), Answer()))


def code_to_html(code: str, language: str) -> str:
    """Safe HTML of code, highlighted, in which a page finds no formula."""
    longest = max(map(len, re.findall("`+", code)), default=0)
    fence = "`" * max(3, longest + 1)
    return pages.isolated(to_html(f"{fence}{language}\n{code}\n{fence}"))


def to_plain_html(text: str) -> str:
    """The text itself, escaped, with its line breaks; used while an answer is streaming.

    Each line has the direction of its first letter, and MathJax ignores all: "$5 to $10" is text.

    >>> to_plain_html("a < b")[:41]
    '<div class="mathjax_ignore" dir="auto" st'
    """
    style = f"{_PRE_WRAP};unicode-bidi:plaintext"
    return f'<div class="mathjax_ignore" dir="auto" style="{style}">{escape(redact(text))}</div>'


def run_to_html(run: Run) -> str:
    """An output with one ended run: its answer, its notices, its footer."""
    return _ended(run, [*footer.notices(run), *footer.caveats([run])])


def answer_to_html(run: Run) -> str:
    """An ended run as one of several answers; :func:`caveats_to_html` is for all of them."""
    return _ended(run, footer.notices(run))


def answer_to_text(run: Run) -> str:
    """An ended run as one of several answers, as plain text; ``footer.caveats`` is for all."""
    lines = [printable(redact(line)) for line in answers.as_lines(run)]
    return "\n".join([*lines, *footer.notices(run), footer.line(run)])


def caveats_to_html(runs: Iterable[Run]) -> str:
    """What is said once below several answers."""
    return "".join(map(_notice, footer.caveats(runs)))


def notes_to_html(runs: Sequence[Run]) -> str:
    """The caveats below several answers, after a line about how many were re-used, if any."""
    reused = footer.reused(runs)
    return (_notice(reused) if reused else "") + caveats_to_html(runs)


def _ended(run: Run, notices: Iterable[str]) -> str:
    blocks = answers.blocks(answers.items(run), run.sources, answers.anchor(run), pages.PAGE)
    return _framed(pages.to_html(blocks) + "".join(map(_notice, notices)), footer.line(run))


def _notice(text: str) -> str:
    return f'<div style="{_FOOTER}">{pages.isolated(escape(text))}</div>'


def partial_to_html(items: Iterable[str | AnswerPart], status: str) -> str:
    """A streaming answer: its text so far, unrendered, above a status line.

    Other parts are lines: each update sends the whole, and pictures are large.
    """
    texts = (item if isinstance(item, str) else f"\n{parts.to_line(item)}\n" for item in items)
    return _framed(to_plain_html("".join(texts)), status)


def _framed(body: str, line: str) -> str:
    """One answer with a line below; ``body`` is safe HTML already, ``line`` is text."""
    return (
        f'<div style="padding:8px 0;border-bottom:{_HAIRLINE};overflow-wrap:anywhere">{body}'
        f'<div style="{_FOOTER}">{pages.isolated(escape(line))}</div></div>'
    )


def side_by_side(answers: Iterable[tuple[str, str]]) -> str:
    """One column per heading, with its answers below each other.

    Answers are pairs of heading and safe HTML; equal neighbouring headings share a column.
    """
    columns = [
        f'<div style="flex:1 1 18em;min-width:0">'
        f'<div style="{_HEAD}">{pages.isolated(escape(head))}</div>'
        f"{''.join(html for _, html in group)}</div>"
        for head, group in groupby(answers, key=lambda answer: answer[0])
    ]
    return f'<div style="display:flex;flex-wrap:wrap;gap:24px">{"".join(columns)}</div>'


def heading(model: str, prompt: str, *, alone: bool) -> str:
    """The heading of a column: the model, and the start of the prompt unless it is the only one.

    >>> heading("local:m", "Say hello.", alone=False)
    'local:m · Say hello.'
    """
    if alone:
        return printable(model)
    return printable(f"{model} · {shorten(redact(prompt), _MAX_HEADING_CHARS)}")

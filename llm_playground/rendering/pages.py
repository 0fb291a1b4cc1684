"""Answers in pages apart from the panel: cells' outputs, saved notebooks, documents of exports.

In :data:`PAGE`, for pages without a style sheet of this package, the HTML has styles in place of
classes and keeps its meaning where a page removes some of it. An untrusted JupyterLab and GitHub
remove MathML's tags, which would turn one half into 12. So formulas are their LaTeX source, which
JupyterLab, Notebook and nbconvert typeset themselves. What they would take for a formula and is
none, such as "$5 to $10", has its signs in elements of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import chain, zip_longest

from llm_playground.rendering import answers, direction, parts
from llm_playground.rendering.markdown import Target

# Words stay whole in a table, which is as wide as it needs; its frame scrolls. An untrusted
# JupyterLab keeps these styles; it removes those with variables or "start".
_TABLE = re.compile(r'<table(?: dir="(ltr|rtl)")?>(.*?)</table>', re.DOTALL)
_CELL = re.compile(r'<(t[hd])(?: align="(left|center|right)")?(?=[ >])')
_PARAGRAPH = re.compile(r'<p dir="auto">(.*?)</p>', re.DOTALL)
_NO_TEXT = re.compile(r"<code[ >].*?</code>|<[^>]*>|[0-9a-f]{32}:\d+;", re.DOTALL)
_LIST_OR_QUOTE = re.compile(r'<(ul|ol|blockquote)((?: start="\d+")?) dir="(ltr|rtl)"')
_STYLES = {  # of blocks with right-to-left text; an item has its bullet at the side where it begins
    ("blockquote", "rtl"): "border-left:0;border-right:5px solid #9e9e9e",
    **dict.fromkeys((("ul", "rtl"), ("ul", "ltr"), ("ol", "rtl"), ("ol", "ltr")), "padding:0 2em"),
}
_TAG = re.compile(r'(<(?:[^<>"]|"[^"]*")*>)')
_BEGINS_FORMULA = re.compile(r"\$|\\(?=[(\[]|begin|ref|eqref)")


def isolated(html: str) -> str:
    r"""HTML in which a page finds no formula: each sign that begins one is in an element.

    >>> isolated("from $5 to $10")
    'from <span>$</span>5 to <span>$</span>10'
    """
    if not _BEGINS_FORMULA.search(html):
        return html
    pieces = _TAG.split(html)  # texts, and tags between them
    texts = (_BEGINS_FORMULA.sub(r"<span>\g<0></span>", text) for text in pieces[::2])
    return "".join(chain.from_iterable(zip_longest(texts, pieces[1::2], fillvalue="")))


def _finish(html: str) -> str:
    html = _TABLE.sub(_framed_table, html)
    html = _PARAGRAPH.sub(_aligned_paragraph, html)
    return isolated(_LIST_OR_QUOTE.sub(_styled_block, html))


def _framed_table(table: re.Match[str]) -> str:
    written = f' dir="{table[1]}"' if table[1] else ""
    start = "right" if table[1] == "rtl" else "left"
    rows = _CELL.sub(lambda cell: f'<{cell[1]} style="text-align:{cell[2] or start}"', table[2])
    return (
        f'<div role="region" aria-label="Table" tabindex="0"{written} '
        f'style="overflow-x:auto;max-width:100%"><table{written} '
        f'style="margin:0 0 8px;overflow-wrap:normal;word-break:normal">{rows}</table></div>'
    )


def _aligned_paragraph(paragraph: re.Match[str]) -> str:
    """A paragraph at the side where it begins: JupyterLab aligns all at the left."""
    if direction.of(_NO_TEXT.sub("", paragraph[1])) != "rtl":
        return paragraph[0]
    return f'<p dir="auto" style="text-align:right">{paragraph[1]}</p>'


def _styled_block(block: re.Match[str]) -> str:
    style = _STYLES.get((block[1], block[3]))
    return f'{block[0]} style="{style}"' if style else block[0]


def _with_framed_tables(html: str) -> str:
    return _TABLE.sub(
        lambda table: (
            f'<div class="llm-table-frame" role="group" aria-label="Table" tabindex="0">{table[0]}'
            "</div>"
        ),
        html,
    )


PAGE = Target(formula=lambda _mathml, source: source, finish=_finish)
"""For pages that have no style sheet of this package, and may remove tags."""

DOCUMENT = Target(formula=lambda mathml, _source: mathml, finish=_with_framed_tables)
"""For documents with a style sheet of their own: formulas are MathML, wide tables scroll."""


def to_html(blocks: Iterable[answers.Block]) -> str:
    """Blocks of an answer for :data:`PAGE` as one HTML."""
    return "".join(
        block if isinstance(block, str) else isolated(parts.with_styles(block.html))
        for block in blocks
    )

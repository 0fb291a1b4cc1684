"""Answers in pages without this package's style sheet: cells' outputs, saved notebooks, exports.

The HTML has styles in place of classes and keeps its meaning where a page removes some of it. An
untrusted JupyterLab and GitHub remove MathML's tags, which would turn one half into 12. So formulas
are their LaTeX source, which JupyterLab, Notebook and nbconvert typeset themselves. What they would
take for a formula and is none, such as "$5 to $10", has its signs in elements of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import chain, zip_longest

from llm_playground.rendering import answers, parts
from llm_playground.rendering.markdown import Target

# Words stay whole in a table, which is as wide as it needs; its frame scrolls.
_TABLE = (
    '<div role="region" aria-label="Table" tabindex="0" '
    'style="overflow-x:auto;max-width:100%"><table style="margin:0 0 8px;overflow-wrap:normal;'
    'word-break:normal"'
)
_CELL = re.compile(r'<(t[hd])(?: align="(left|center|right)")?(?=[ >])')
_ALIGNMENTS = {"left": "left", "center": "center", "right": "right", None: "start"}
_LINE_DIRECTION = re.compile(r"<(ul|ol|blockquote)( dir=\"rtl\")")
_RIGHT_TO_LEFT_STYLES = {
    "ul": "padding:0 2em 0 0",
    "ol": "padding:0 2em 0 0",
    "blockquote": "border-left:0;border-right:5px solid var(--jp-border-color2,#e0e0e0)",
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
    if "<table" in html:
        html = html.replace("<table", _TABLE).replace("</table>", "</table></div>")
        html = _CELL.sub(lambda cell: f'<{cell[1]} style="text-align:{_ALIGNMENTS[cell[2]]}"', html)
    html = _LINE_DIRECTION.sub(
        lambda block: f'<{block[1]}{block[2]} style="{_RIGHT_TO_LEFT_STYLES[block[1]]}"', html
    )
    return isolated(html)


PAGE = Target(formula=lambda _mathml, source: source, finish=_finish)


def to_html(blocks: Iterable[answers.Block]) -> str:
    """Blocks of an answer for :data:`PAGE` as one HTML."""
    return "".join(
        block if isinstance(block, str) else isolated(parts.with_styles(block.html))
        for block in blocks
    )

r"""An answer as HTML that says the same wherever it is shown.

Formulas stay as they were written. ``render`` makes MathML of them, which GitHub and an untrusted
JupyterLab take out, tags only: one half would read 12. Where a page has MathJax, as JupyterLab and
nbconvert's have, it typesets what stands between ``$`` or ``\(`` itself.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable
from html import escape
from itertools import chain, zip_longest

from llm_playground import render

# No empty line and no fence of code is within a formula, as for `render`.
_FORMULA = re.compile(
    r"(?<!\\)(?:"
    r"\$\$(?:(?!\$\$|\n\s*\n|```|~~~)[\s\S]){1,4000}?\$\$"
    r"|\$(?![\s$])[^$\n`]{1,4000}(?<![\s\\])\$(?!\d)"
    r"|\\\((?:(?!\\\)|\n\s*\n|```|~~~)[\s\S]){1,4000}?\\\)"
    r"|\\\[(?:(?!\\\]|\n\s*\n|```|~~~)[\s\S]){1,4000}?\\\])"
)
_MATHML = "<math"
_TAG = re.compile(r'(<(?:[^<>"]|"[^"]*")*>)')
_WRAP = "white-space:pre-wrap;overflow-wrap:anywhere"  # where it is stripped, lines are long
# A few characters of a table may stand for thousands of empty cells.
_MOST_GROWTH, _FREE = 40, 1_000


def html(answer: str) -> str:
    r"""Safe HTML of an answer: its Markdown, or itself where that would not do.

    >>> html("*half*: $\\frac{1}{2}$")
    '<p><em>half</em>: $\\frac{1}{2}$</p>'
    """
    if _is_data(answer):
        return plain(answer)
    shown = render.to_html(answer).rstrip()
    shown = _with_sources(answer) if _MATHML in shown else _apart(shown)
    return shown if len(shown) <= _MOST_GROWTH * len(answer) + _FREE else plain(answer)


def plain(text: str) -> str:
    """Text as it is."""
    return f'<pre style="{_WRAP}">{safe(text)}</pre>'


def safe(text: str) -> str:
    """Text as HTML shows it; HTML has no NUL."""
    return escape(text.replace("\0", "\ufffd"))


def lines(texts: Iterable[str]) -> str:
    """Lines of text in one paragraph."""
    return _apart("<br>".join(map(safe, texts)))


def _apart(shown: str) -> str:
    """HTML with each of its dollars for itself: what is between two amounts is no formula."""
    if shown.count("$") < 2:
        return shown
    pieces = _TAG.split(shown)  # texts, and tags between them
    texts = (text.replace("$", "<span>$</span>") for text in pieces[::2])
    return "".join(chain.from_iterable(zip_longest(texts, pieces[1::2], fillvalue="")))


def _with_sources(answer: str) -> str:
    """Rendered with a mark for each formula, which then takes its place again as text."""
    mark = f"f{secrets.token_hex(12)}n"  # a word to Markdown, which no answer can hold
    formulas: list[str] = []

    def hold(found: re.Match[str]) -> str:
        formulas.append(found[0])
        return f"{mark}{len(formulas) - 1}e"

    shown = render.to_html(_FORMULA.sub(hold, answer)).rstrip()
    if _MATHML in shown or re.search(rf'="[^"]*{mark}', shown):  # it knows more; it is an address
        return plain(answer)
    return re.sub(rf"{mark}(\d+)e", lambda at: safe(formulas[int(at[1])]), _apart(shown))


def _is_data(text: str) -> bool:
    """Whether an answer is JSON: Markdown would eat some of its signs."""
    if not text.lstrip().startswith(("{", "[")):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True

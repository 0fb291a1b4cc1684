"""Answers as HTML for a cell's output: no script, no style sheet, only inline styles."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from itertools import groupby

from llm_playground import footer, render
from llm_playground.redact import redact
from llm_playground.types import Run

_HAIRLINE = "1px solid var(--jp-border-color2,#e0e0e0)"
_HEAD = f"font-weight:600;padding-bottom:4px;border-bottom:{_HAIRLINE};overflow-wrap:anywhere"
_FOOTER = "color:var(--jp-ui-font-color2,#616161);font-size:12px;font-variant-numeric:tabular-nums"


def ended(run: Run) -> str:
    """An ended run: its answer as Markdown, or as its data; what has to be said; its footer."""
    said = "".join(
        f'<div style="{_FOOTER}">{escape(notice)}</div>' for notice in footer.notices(run)
    )
    answer = render.to_html(run.text) if run.data is None else _as_json(run.data)
    return framed(answer + said, footer.text(run))


def as_text(run: Run) -> str:
    """An ended run for where no HTML is shown: its answer, what has to be said, its footer."""
    return "\n".join([redact(run.text), *footer.notices(run), footer.text(run)])


def _as_json(data: object) -> str:
    from pydantic_core import to_json  # first use, not import

    text = redact(to_json(data, indent=2, fallback=str).decode())
    return f'<pre style="white-space:pre-wrap;overflow-wrap:anywhere">{escape(text)}</pre>'


def running(text: str, status: str) -> str:
    """An answer on its way: its text so far as it is, and what it is doing."""
    return framed(render.to_plain_html(text), status)


def framed(body: str, line: str) -> str:
    """One answer with a line below; ``body`` is safe HTML already, ``line`` is text.

    JupyterLab's MathJax leaves it alone: formulas are in it already, and $5 to $10 is none.
    """
    return (
        '<div class="mathjax_ignore" '
        f'style="padding:8px 0;border-bottom:{_HAIRLINE};overflow-wrap:anywhere">{body}'
        f'<div style="{_FOOTER}">{escape(line)}</div></div>'
    )


def side_by_side(headed: Iterable[tuple[str, str]]) -> str:
    """A column per heading with its answers below each other.

    Args:
        headed: Heading and safe HTML, in order; equal headings in a row share a column.
    """
    columns = [
        f'<div style="flex:1 1 18em;min-width:0"><div style="{_HEAD}">{escape(head)}</div>'
        f"{''.join(html for _, html in group)}</div>"
        for head, group in groupby(headed, key=lambda answer: answer[0])
    ]
    return f'<div style="display:flex;flex-wrap:wrap;gap:24px">{"".join(columns)}</div>'


def heading(model: str, prompt: str, *, alone: bool) -> str:
    """What stands above a column: the model, and which prompt where there are several.

    >>> heading("local:m", "Say hello.", alone=False)
    'local:m · Say hello.'
    """
    if alone:
        return model
    start = " ".join(redact(prompt).split())
    return f"{model} · {start if len(start) <= 60 else start[:59] + '…'}"

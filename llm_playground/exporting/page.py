"""A static page as HTML, Markdown and plain text.

The HTML has no script, style sheet or address to load from. It is made of plain headings, tables
and ``pre``, because GitHub and an untrusted JupyterLab strip most else; without colours of its own
it looks right on light and on dark.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from llm_playground.exporting import as_markdown, still
from llm_playground.exporting.leaf import Answer, Leaf

_FIGURES = ("cost", "time", "tokens")


def html(leaf: Leaf) -> str:
    """The page as one ``div`` of safe HTML."""
    parts = [
        f"<h3>{still.lines([leaf.name])}</h3>",
        f"<p><em>{still.lines([leaf.note])}</em></p>",
        *(f"<p><strong>{title}</strong></p>\n{still.plain(text)}" for title, text in leaf.prompts),
        _table(("setting", "value"), leaf.settings) if leaf.settings else "",
        _table(leaf.HEAD, leaf.compared) if leaf.compared else "",
        *map(_answer, leaf.answers),
    ]
    return "<div>\n" + "\n".join(part for part in parts if part) + "\n</div>"


def markdown(leaf: Leaf) -> str:
    """The page as Markdown, each text in a fence of its own."""
    parts = [
        f"### {as_markdown.escaped(leaf.name)}",
        f"*{as_markdown.escaped(leaf.note)}*",
        *(f"**{title}**\n\n{as_markdown.fenced(text)}" for title, text in leaf.prompts),
        as_markdown.table(("setting", "value"), leaf.settings) if leaf.settings else "",
        as_markdown.table(leaf.HEAD, leaf.compared) if leaf.compared else "",
        *map(_answer_as_markdown, leaf.answers),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def text(leaf: Leaf) -> str:
    """The page as plain text, without the answers' texts: a notebook holds them often enough."""
    parts = [
        f"{leaf.name}\n{leaf.note}",
        *(f"{title}:\n{content}" for title, content in leaf.prompts),
        "\n".join(f"{name}: {value}" for name, value in leaf.settings),
        *map(_answer_as_text, leaf.answers),
    ]
    return "\n\n".join(part for part in parts if part)


def _answer(answer: Answer) -> str:
    said = [*answer.notices, answer.footer, answer.settings]
    title = still.lines([_title(answer, str)])
    return (
        f"<details open>\n<summary><strong>{title}</strong></summary>\n"
        f"{still.html(answer.text)}\n"
        f"<p><small>{still.lines(line for line in said if line)}</small></p>\n</details>"
    )


def _answer_as_markdown(answer: Answer) -> str:
    lines = [*answer.notices, answer.footer, answer.settings]
    parts = [
        f"#### {_title(answer, as_markdown.escaped)}",
        as_markdown.fenced(answer.text) if answer.text else "",
        "\n".join(f"- {as_markdown.escaped(line)}" for line in lines if line),
    ]
    return "\n\n".join(part for part in parts if part)


def _answer_as_text(answer: Answer) -> str:
    lines = [_title(answer, str), *answer.notices, answer.footer, answer.settings]
    return "\n".join(line for line in lines if line)


def _title(answer: Answer, escaped: Callable[[str], str]) -> str:
    return f"{answer.number} · {escaped(answer.model)}"


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table of texts; JupyterLab would have words at the right as well."""
    styles = ["" if title in _FIGURES else ' style="text-align:left"' for title in head]
    return (
        f"<table>\n<thead>{_table_row('th', styles, head)}</thead>\n<tbody>\n"
        + "\n".join(_table_row("td", styles, line) for line in lines)
        + "\n</tbody>\n</table>"
    )


def _table_row(tag: str, styles: Sequence[str], cells: Sequence[str]) -> str:
    written = (
        f"<{tag}{style}>{still.lines([cell])}</{tag}>"
        for style, cell in zip(styles, cells, strict=True)
    )
    return f"<tr>{''.join(written)}</tr>"
